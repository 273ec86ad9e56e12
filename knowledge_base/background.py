"""What people say in service chats that asks nothing of a FAQ: greetings, choices, details, wishes to be carried out.

A message that is like one of these, and no more like anything in the knowledge, is no question (as speakers are told apart
from a background of others; Reynolds, Quatieri and Dunn 2000, "Speaker Verification Using Adapted Gaussian Mixture
Models"). Its words are those of everyday speech: a name that is made of them is less surely meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base.lexical import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from knowledge_base.encoder import Encoder

FILE = Path(__file__).with_name("background.txt")  # written for Frontdesk, a line each


class Background:
    """The lines of `background.txt` with their vectors; never changed after it is built."""

    def __init__(self, encoder: Encoder) -> None:
        self._vectors = encoder.encode_queries(lines())

    def nearest(self, vector: NDArray[np.float32]) -> float:
        """Return the cosine of the unit vector of a message with the likest line."""
        return float((self._vectors @ vector).max())


@cache
def lines() -> Sequence[str]:
    """Return all lines."""
    return tuple(FILE.read_text(encoding="utf-8").splitlines())


@cache
def everyday_words() -> Sequence[frozenset[str]]:
    """Return the words of each line."""
    return tuple(frozenset(words(line)) for line in lines())
