"""What every engine answers, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Token:
    """One written token with its log-probability (natural logarithm) under the distribution it was taken from."""

    id: int
    logprob: float


class Engine(Protocol):
    """Answers about whole paths of ids; an engine reuses the longest prefix that it holds."""

    def read(self, ids: Sequence[int], sets: Sequence[str]) -> dict[str, Array]:
        """Return (n_labels,) float32 log-probabilities a set, each set normalised, at the last position."""

    def stream(
        self, ids: Sequence[int], max_new_tokens: int, stop_ids: frozenset[int], cancelled: Event
    ) -> Iterator[Token]:
        """Yield greedily written tokens until a stop id (not yielded), the limit, or `cancelled` is set."""

    def score(self, ids: Sequence[int], n: int) -> Array:
        """Return the (n,) float32 log-probabilities of the last n ids."""
