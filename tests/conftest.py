"""What several test files share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from knowledge_base.encoder import Encoder, EncoderFolder, load_encoder
from knowledge_base.entry import Entry
from knowledge_base.ingest import Report, ingest


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

    def _vector(self, text: str) -> NDArray[np.float32]:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        vector = np.random.default_rng(seed).standard_normal(self.dimension)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def fill(home: Path, entries: Sequence[Entry], encoder: Encoder | None = None, *, prune: bool = False) -> Report:
    """Ingest entries into a knowledge home, without the command line."""
    chosen = encoder or HashEncoder()
    located = EncoderFolder(chosen.id, Path(), chosen.sha256)
    return ingest(entries, home, located, lambda: chosen, prune=prune, say=lambda _text: None)


@pytest.fixture
def hash_encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """The real encoder, loaded once for all tests that need meaning."""
    return load_encoder()
