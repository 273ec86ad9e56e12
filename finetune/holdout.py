"""Questions that a knowledge base can ask itself: its alternatives, with what they would find held out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from knowledge_base.entry import Hit

if TYPE_CHECKING:
    from knowledge_base.search import KnowledgeBase


def held_out_hits(knowledge: KnowledgeBase, k: int) -> Iterator[tuple[str, list[Hit], frozenset[str]]]:
    """Yield (question, hits, relevant ids): each alternative without its own row, each question without its entry.

    The second kind is a question that nothing answers any more, so its relevant ids are empty.
    """
    entries = [entry for entry in knowledge.entries.values() if entry.visibility == "public"]
    texts = [(place, text) for place, entry in enumerate(entries) for text in entry.searched_texts]
    owners = np.array([place for place, _ in texts])
    vectors = knowledge.encoder.encode([text for _, text in texts])
    scores = vectors @ vectors.T
    for row, (place, text) in enumerate(texts):
        entry = entries[place]
        own = owners == place
        if text in entry.alternatives:
            hidden = np.zeros(len(texts), bool)
            hidden[row] = True
            yield text, _best(scores[row], owners, hidden, entries, k), frozenset([entry.id])
        elif text == entry.searched_texts[0]:
            yield text, _best(scores[row], owners, own, entries, k), frozenset()


def _best(scores: np.ndarray, owners: np.ndarray, hidden: np.ndarray, entries: list, k: int) -> list[Hit]:  # type: ignore[type-arg]
    """Return the k best entries by their best row that is not hidden."""
    best = np.full(len(entries), -1.0)
    np.maximum.at(best, owners[~hidden], scores[~hidden])
    order = np.argsort(-best)[:k]
    return [Hit(entries[place], float(best[place])) for place in order if best[place] > -1.0]
