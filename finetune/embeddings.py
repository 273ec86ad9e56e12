"""The embeddings of requests and of what was said behind them; each distinct text is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finetune.requests import Request

if TYPE_CHECKING:
    from knowledge_base.encoder import Encoder


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`requests` is (n, dimension), unit rows; `following` (n, dimension) means, zero where nothing was said."""

    requests: NDArray[Any]
    following: NDArray[Any]

    @classmethod
    def of(
        cls, requests: Sequence[Request], encoder: Encoder, advance: Callable[[int], None] | None = None
    ) -> Embeddings:
        """Encode requests; `advance(count)` is called as texts are done, `len(distinct_texts(requests))` in all."""
        texts = distinct_texts(requests)
        vectors = encoder.encode(texts, advance)
        place = {text: number for number, text in enumerate(texts)}
        asked = vectors[[place[request.text] for request in requests]]
        behind = np.zeros(asked.shape, np.float64)
        for number, request in enumerate(requests):
            if request.following:
                behind[number] = vectors[[place[text] for text in request.following]].mean(axis=0, dtype=np.float64)
        return cls(asked, behind)


def distinct_texts(requests: Sequence[Request]) -> list[str]:
    """Return the requests and what was said behind them, each text once."""
    return sorted({text for request in requests for text in (request.text, *request.following)})
