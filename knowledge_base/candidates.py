"""What may answer a question, with what speaks for each: one snapshot with its indexes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from knowledge_base.entry import Entry, Hit
from knowledge_base.scorer import FEATURES, Scorer
from knowledge_base.snapshots import Snapshot
from knowledge_base.subjects import Names, latest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Entries that are scored exactly: the nearest by meaning, those by words, and all of the subjects most spoken of.
NEAREST, WORDIEST, SUBJECTS = 100, 50, 10
SUBJECT = ("subject", "subject_latest", "subject_ever")
CATEGORY = ("category", "category_latest", "category_ever")


@dataclass(frozen=True, slots=True)
class Candidates:
    """Entries that may answer a query, with what speaks for each: `features` is (n, len(FEATURES))."""

    entries: tuple[Entry, ...]
    features: NDArray[np.float32]

    def hits(self, scorer: Scorer, k: int, recent: Sequence[str] = ()) -> list[Hit]:
        """Return the k likeliest candidates and the recent ones, likeliest first."""
        utilities = scorer.utilities(self.features)
        probabilities = scorer.probabilities(utilities)
        ranked = sorted(range(len(self.entries)), key=lambda place: (-utilities[place], place))
        kept = [p for rank, p in enumerate(ranked) if rank < k or self.entries[p].id in recent]
        return [Hit(self.entries[p], float(utilities[p]), float(probabilities[p])) for p in kept]

    def answering(self, relevant: Collection[str]) -> NDArray[np.bool_]:
        """Return which candidates (n,) are among the relevant ids."""
        import numpy as np

        return np.array([entry.id in relevant for entry in self.entries], np.bool_)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What search is to do without: a question of an entry (0, or an alternative from 1 on), or the whole entry."""

    entry_id: str
    question: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in its conversation.

    `vectors` is (2, dimension): the meaning of the message alone, and behind the customer's message before it
    (`context`). `said` is everything said before, oldest first.
    """

    vectors: NDArray[np.float32]
    message: str
    context: str
    said: Sequence[str]
    recent: Sequence[str]
    held_out: HeldOut | None


class Shelf:
    """One snapshot with its indexes; never changed after it is built.

    `with_subject` is the share of its entries that have a subject.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        import numpy as np

        self.snapshot = snapshot
        self._index = snapshot.read_index()
        self._lexical = snapshot.read_lexical()
        self._entries = list(snapshot.entries.values())
        self._subjects = _Labels([entry.subject for entry in self._entries], self._entries)
        named = [entry.category if self._subjects.names.names else "" for entry in self._entries]
        self._categories = _Labels(named, self._entries)
        self.with_subject = sum(bool(entry.subject) for entry in self._entries) / max(1, len(self._entries))
        self._places = {entry.id: place for place, entry in enumerate(self._entries)}
        self._place_of_row = np.array([self._places[row.entry_id] for row in snapshot.rows], dtype=np.int64)
        order = np.argsort(self._place_of_row, kind="stable")
        self._rows = np.split(order, np.cumsum(np.bincount(self._place_of_row, minlength=len(self._entries)))[:-1])
        self._allowed_rows = lru_cache(maxsize=2)(self._compute_allowed_rows)

    def candidates(self, asked: Asked, today: date) -> Candidates:
        """Return the entries that may answer, with their features."""
        import numpy as np

        allowed = self._allowed_rows(today)
        out = asked.held_out
        if out is not None:
            own = self._rows[self._places[out.entry_id]]
            allowed = allowed.copy()
            allowed[own if out.question is None else own[out.question]] = False
        by_words = self._words(asked.message, out)
        subjects = self._subjects.spoken_of(asked)
        places = set(self._nearest(asked.vectors.mean(axis=0), allowed))
        places.update(int(p) for p in np.argsort(-by_words, kind="stable")[:WORDIEST] if by_words[p] > 0)
        places.update(self._subjects.places_of_best(subjects.max(axis=0)))
        places.update(self._places[entry_id] for entry_id in asked.recent if entry_id in self._places)
        # The last row of an entry is the whole of it and is never held out alone.
        found = sorted(place for place in places if allowed[self._rows[place][-1]])
        values: dict[str, NDArray[np.float32] | list[bool] | float] = {}
        if found:
            cosines = self._cosines(asked.vectors, found, allowed)
            values |= dict(zip(("question", "whole", "question_in_context", "whole_in_context"), cosines, strict=True))
            values["words"] = by_words[found]
            values["context_words"] = self._words(asked.context, out)[found] if asked.context else 0.0
            values["recent"] = [self._entries[place].id in asked.recent for place in found]
            values |= dict(zip(SUBJECT, self._subjects.of_places(subjects, found), strict=True))
            categories = self._categories.of_places(self._categories.spoken_of(asked), found)
            values |= dict(zip(CATEGORY, categories, strict=True))
            values["asks"] = float(cosines[0].max())
            values["named"] = float(subjects.max(initial=0.0))
        features = np.zeros((len(found), len(FEATURES)), np.float32)
        for name, column in values.items():
            features[:, FEATURES.index(name)] = column
        return Candidates(tuple(self._entries[place] for place in found), features)

    def _words(self, text: str, out: HeldOut | None) -> NDArray[np.float32]:
        """Return the lexical score of every entry; of the one a question of which is held out, without it."""
        scores = self._lexical.scores(text)
        if out is not None and out.question is not None:
            place = self._places[out.entry_id]
            texts = self._entries[place].searched_texts
            left = texts[: out.question] + texts[out.question + 1 :]
            scores[place] = self._lexical.score(text, "\n".join(left))
        return scores

    def _nearest(self, vector: NDArray[np.float32], allowed: NDArray[np.bool_]) -> list[int]:
        """Return the places of the entries that own the nearest rows: at least NEAREST of them, if there are."""
        available = int(allowed.sum())
        fetched = min(4 * NEAREST, available)
        while fetched:
            rows, _ = self._index.search(vector, fetched, allowed)
            places = list(dict.fromkeys(int(place) for place in self._place_of_row[rows]))
            if len(places) >= NEAREST or fetched == available:
                return places
            fetched = min(4 * fetched, available)
        return []

    def _cosines(
        self, vectors: NDArray[np.float32], places: Sequence[int], allowed: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Return (2 * k, n) for k vectors: for each the cosine of an entry's nearest question or alternative, and of the whole entry."""
        import numpy as np

        own = [self._rows[place] for place in places]
        rows = np.concatenate(own)
        values = vectors @ self._index.vectors(rows).T
        ends = np.cumsum([len(part) for part in own])
        whole = values[:, ends - 1]
        values = np.where(allowed[rows], values, np.float32(-1.0))
        values[:, ends - 1] = -1.0
        starts = np.concatenate([[0], ends[:-1]])
        questions = np.maximum.reduceat(values, starts, axis=1)
        best: NDArray[np.float32] = np.stack([questions, whole], axis=1).reshape(-1, len(places))
        return best.clip(-1.0, 1.0)

    def _compute_allowed_rows(self, today: date) -> NDArray[np.bool_]:
        import numpy as np

        allowed = [entry.visibility == "public" and entry.is_valid_on(today) for entry in self._entries]
        rows: NDArray[np.bool_] = np.array(allowed, dtype=np.bool_)[self._place_of_row]
        return rows


class _Labels:
    """Which of a few names each entry bears: its subject, or its category; no name is the place -1."""

    def __init__(self, labels: Sequence[str], entries: Sequence[Entry]) -> None:
        import numpy as np

        texts: dict[str, list[str]] = defaultdict(list)
        for label, entry in zip(labels, entries, strict=True):
            texts[label or entry.id].append("\n".join((label, *entry.searched_texts)))
        found = list(dict.fromkeys(filter(None, labels)))
        self.names = Names(found, ["\n".join(of) for of in texts.values()] if found else [])
        numbers = {name: number for number, name in enumerate(found)}
        self._of = np.array([numbers.get(label, -1) for label in labels], np.int64)

    def spoken_of(self, asked: Asked) -> NDArray[np.float32]:
        """Return (3, names): how far each is named in the message, was last spoken of before, and was ever named before."""
        import numpy as np

        before = [self.names.mentions(text) for text in asked.said]
        ever = np.max(before, axis=0) if before else np.zeros(len(self.names.names), np.float32)
        return np.stack([self.names.mentions(asked.message), latest(before) if before else ever, ever])

    def places_of_best(self, spoken: NDArray[np.float32]) -> list[int]:
        """Return the places of all entries of the names most spoken of."""
        import numpy as np

        best = [number for number in np.argsort(-spoken, kind="stable")[:SUBJECTS] if spoken[number] > 0]
        return [int(place) for place in np.flatnonzero(np.isin(self._of, best))]

    def of_places(self, spoken: NDArray[np.float32], places: Sequence[int]) -> NDArray[np.float32]:
        """Return (3, n): what `spoken_of` gave for the name of each entry; 0 without a name."""
        import numpy as np

        padded = np.concatenate([spoken, np.zeros((len(spoken), 1), np.float32)], axis=1)
        return np.asarray(padded[:, self._of[list(places)]])
