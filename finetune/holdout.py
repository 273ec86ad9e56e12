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
    whole = np.append(owners[1:] != owners[:-1], True)  # the last row of an entry is the whole of it
    vectors = knowledge.encoder.encode([text for _, text in texts])
    for row, (place, text) in enumerate(texts):
        entry = entries[place]
        hidden = np.zeros(len(texts), bool)
        if not whole[row] and text in entry.searched_texts[1:-1]:
            hidden[row] = True
            relevant = frozenset([entry.id])
        elif text == entry.searched_texts[0]:
            hidden[owners == place] = True
            relevant = frozenset[str]()
        else:
            continue
        scores = np.where(hidden, -1.0, vectors @ vectors[row])
        questions, wholes = np.full(len(entries), -1.0), np.full(len(entries), -1.0)
        np.maximum.at(questions, owners[~whole], scores[~whole])
        wholes[owners[whole]] = scores[whole]
        total = (questions + wholes) / 2
        order = [int(p) for p in np.argsort(-total)[:k] if total[p] > -1.0]
        yield text, [Hit(entries[p], float(total[p])) for p in order], relevant
