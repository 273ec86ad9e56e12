"""What several test files share."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_base import save_tiny_base

from chatbot.engines.bases import Base, find_base
from chatbot.engines.tokenizer import BaseTokenizer, turn_marks
from chatbot.prompt import Renderer
from knowledge_base.encoder import Encoder, EncoderFolder, load_encoder
from knowledge_base.entry import Entry
from knowledge_base.ingest import Report, ingest
from knowledge_base.scorer import FEATURES, Scorer


def scorer_of(nothing: float, **weights: float) -> Scorer:
    """Weights of the named features; the others weigh nothing."""
    return Scorer(tuple(weights.get(name, 0.0) for name in FEATURES), nothing)


class HashEncoder:
    """An encoder without a model: each text has its own random direction, the same every time.

    It loads at once and remembers in `encoded` what it was asked to embed.
    """

    def __init__(self, name: str = "hash", dimension: int = 32) -> None:
        self.id = name
        self.sha256 = hashlib.sha256(name.encode()).hexdigest()
        self.dimension = dimension
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        self.encoded.extend(texts)
        if advance is not None:
            advance(len(texts))
        return np.stack([self._vector(text) for text in texts]) if texts else np.empty((0, self.dimension), np.float32)

    def encode_query(self, text: str) -> NDArray[np.float32]:
        return self._vector(text)

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._vector(text) for text in texts])

    def behind(self, context: str, message: str) -> str:
        return f"{context}\n{message}"

    def encode_words(self, words: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([self._vector(word) for word in words]) if words else np.empty((0, self.dimension), np.float32)

    def _vector(self, text: str) -> NDArray[np.float32]:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).standard_normal(self.dimension)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


class WordEncoder(HashEncoder):
    """An encoder without a model for which texts are near that share words."""

    def __init__(self, dimension: int = 64) -> None:
        super().__init__("words", dimension)

    def _vector(self, text: str) -> NDArray[np.float32]:
        words = re.findall(r"\w+", text.casefold()) or [""]
        vector = np.sum([super(WordEncoder, self)._vector(word) for word in words], axis=0)
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


def fill(home: Path, entries: Sequence[Entry], encoder: Encoder | None = None, *, prune: bool = False) -> Report:
    """Ingest entries into a knowledge home, without the command line."""
    chosen = encoder or HashEncoder()
    located = EncoderFolder(chosen.id, Path(), chosen.sha256)
    return ingest(entries, home, located, lambda: chosen, prune=prune, say=lambda _text: None)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Loading a model sets as many threads as there are cores; for tiny models they only wait for each other."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


@pytest.fixture
def hash_encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The real encoder, loaded once for all tests that need meaning."""
    return load_encoder()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a base model with random weights."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bases") / "tiny"
    save_tiny_base(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_renderer(tiny_base: Path) -> Renderer:
    return Renderer(BaseTokenizer(tiny_base), turn_marks(tiny_base))


@pytest.fixture(scope="session")
def default_base() -> Base:
    """The real default base, converted on first use."""
    return find_base()


@pytest.fixture(scope="session")
def default_renderer(default_base: Base) -> Renderer:
    return Renderer(BaseTokenizer(default_base.folder), turn_marks(default_base.folder))
