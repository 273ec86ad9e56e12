"""The knowledge as it would be without a question or an entry: what would then be found for that question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from knowledge_base.entry import Entry, Hit

if TYPE_CHECKING:
    from knowledge_base.search import KnowledgeBase


class HeldOutSearch:
    """Searches public entries, with one question or one entry held out of the index; scores as the real search."""

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self.entries: Sequence[Entry] = [e for e in knowledge.entries.values() if e.visibility == "public"]
        self._encoder = knowledge.encoder
        places = {entry.id: place for place, entry in enumerate(self.entries)}
        ids, vectors = knowledge.rows()
        kept = np.array([entry_id in places for entry_id in ids], bool)
        self._vectors = vectors[kept]
        self._owners = np.array([places[entry_id] for entry_id in ids if entry_id in places], np.int64)
        self._whole = np.append(self._owners[1:] != self._owners[:-1], True)[: len(self._owners)]
        self._first = {place: int(row) for row, place in reversed(list(enumerate(self._owners)))}

    def without_question(self, place: int, number: int, k: int) -> list[Hit]:
        """Find the k best entries for an entry's own question (0) or alternative (1, 2, ...), which is held out."""
        asked = self.entries[place].searched_texts[number]
        return self._search(asked, np.arange(len(self._owners)) == self._first[place] + number, k)

    def without_entry(self, place: int, k: int) -> list[Hit]:
        """Find the k best entries for an entry's own question, with the entry held out."""
        return self._search(self.entries[place].question, self._owners == place, k)

    def _search(self, asked: str, hidden: NDArray[np.bool_], k: int) -> list[Hit]:
        scores = np.where(hidden, -1.0, self._vectors @ self._encoder.encode_query(asked))
        questions, wholes = np.full(len(self.entries), -1.0), np.full(len(self.entries), -1.0)
        np.maximum.at(questions, self._owners[~self._whole], scores[~self._whole])
        wholes[self._owners[self._whole]] = scores[self._whole]
        total = (questions + wholes) / 2
        best = [int(place) for place in np.argsort(-total)[:k] if total[place] > -1.0]
        return [Hit(self.entries[place], float(total[place])) for place in best]
