"""What may answer a question, with what speaks for each: one snapshot with its indexes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from knowledge_base.background import Background, everyday_words
from knowledge_base.bearers import Bearers, best_of
from knowledge_base.entry import Entry, Hit
from knowledge_base.lexical import words
from knowledge_base.precedents import AskedBefore, Precedents
from knowledge_base.regression import above_least, foreseen
from knowledge_base.scorer import FEATURES, Scorer
from knowledge_base.snapshots import Snapshot
from knowledge_base.subjects import Vocabulary
from knowledge_base.wording import Wording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Entries that are scored exactly: the nearest by meaning, those by words, and all of the subjects most spoken of.
NEAREST, WORDIEST = 100, 50
MEANING = ("question", "whole", "question_in_context", "whole_in_context")
SUBJECT = ("subject", "subject_before")
REGRESSION = ("regression", "regression_in_context")
CATEGORY = ("category", "category_before")


@dataclass(frozen=True, slots=True)
class Candidates:
    """Entries that may answer a query, with what speaks for each.

    `features` is (n, len(FEATURES)); candidate i is `of[places[i]]`.
    """

    of: Sequence[Entry]
    places: NDArray[np.int64]
    features: NDArray[np.float32]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries, in the order of their features."""
        return tuple(self.of[place] for place in self.places.tolist())

    def hits(self, scorer: Scorer, k: int, recent: Sequence[str] = ()) -> list[Hit]:
        """Return the k likeliest candidates and the recent ones, likeliest first."""
        import numpy as np

        utilities = scorer.utilities(self.features)
        probabilities = scorer.probabilities(self.features)
        ranked = np.argsort(-utilities, kind="stable").tolist()
        kept = ranked[:k] + ([rank for rank in ranked[k:] if self.of[self.places[rank]].id in recent] if recent else [])
        return [Hit(self.of[self.places[p]], float(utilities[p]), float(probabilities[p])) for p in kept]

    def answering(self, relevant: Collection[str]) -> NDArray[np.bool_]:
        """Return which candidates (n,) are among the relevant ids."""
        import numpy as np

        return np.array([entry.id in relevant for entry in self.entries], np.bool_)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What search is to do without: a question of an entry (0, or an alternative from 1 on), or the whole entry.

    Of no entry: that the same words were asked before.
    """

    entry_id: str = ""
    question: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in its conversation.

    `as_said` is (dimension,): the meaning of the message. `vectors` is (1 or 2, dimension): that of the message without the
    subject it names, and of the message behind the customer's message before it (`context`), where one of these is
    another. `said` is everything said before, oldest first.
    """

    as_said: NDArray[np.float32]
    vectors: NDArray[np.float32]
    message: str
    context: str
    said: Sequence[str]
    recent: Sequence[str]
    held_out: HeldOut | None


class Shelf:
    """One snapshot with its indexes; never changed after it is built.

    `with_subject` and `with_alternatives` are the shares of its entries that have a subject, and that are known to be
    asked in other words than their question: they have alternatives or precedents.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        encode_words: Callable[[Sequence[str]], NDArray[np.float32]],
        background: Background,
        precedents: Precedents | None = None,
    ) -> None:
        import numpy as np

        self.snapshot = snapshot
        self._background = background
        self._index = snapshot.read_index()
        self._index.prepare()
        self._lexical = snapshot.read_lexical()
        self._wording = Wording(self._lexical, encode_words)
        self._entries = list(snapshot.entries.values())
        subjects = [entry.subject for entry in self._entries]
        self.with_subject = sum(map(bool, subjects)) / max(1, len(subjects))
        named = bool(self.with_subject)  # without subjects nothing is looked for by name
        said = [set(words("\n".join(entry.searched_texts))) if named else set() for entry in self._entries]
        categories = [entry.category if named else "" for entry in self._entries]
        vocabulary = Vocabulary({*subjects, *categories})
        everyday = everyday_words()
        self._subjects, self._categories = (
            Bearers(labels, said, vocabulary, everyday) for labels in (subjects, categories)
        )
        self._places = {entry.id: place for place, entry in enumerate(self._entries)}
        # The rows of an entry follow each other, as the snapshot has them; the last is the whole entry.
        of_entry = [len(entry.searched_texts) for entry in self._entries]
        self._ends = np.cumsum(of_entry, dtype=np.int64)
        self._starts = self._ends - of_entry
        self._place_of_row = np.repeat(np.arange(len(self._entries)), of_entry)
        numbers: dict[str, int] = {}
        texts = (text for entry in self._entries for text in entry.searched_texts)
        self._text_of_row = np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
        self._before = AskedBefore(precedents, self._places, self._text_of_row[self._starts], self._index.dimension)
        others = {place for place, entry in enumerate(self._entries) if entry.alternatives}
        self.with_alternatives = len(others.union(self._before.places.tolist())) / max(1, len(subjects))
        self._allowed_rows = lru_cache(maxsize=2)(self._compute_allowed_rows)

    @property
    def usual_cosine(self) -> float:
        """The mean cosine of two of its texts."""
        return self._index.usual_cosine

    def without_subject(self, message: str) -> str:
        """Return a message with "it" for the subject that it clearly names, as the questions of entries do without theirs."""
        return self._subjects.names.without(message)

    def candidates(self, asked: Asked, today: date) -> Candidates:
        """Return the entries that may answer, with their features."""
        import numpy as np

        out = asked.held_out
        allowed = self._without(self._allowed_rows(today), out)
        by_words = self._words(asked.message, out)
        subjects, categories = (
            names.spoken_of(asked.message, asked.said) for names in (self._subjects, self._categories)
        )
        recent = [self._places[entry_id] for entry_id in asked.recent if entry_id in self._places]
        before = self._before.cosines(
            np.concatenate([asked.as_said[None], asked.vectors[1:]]),
            allowed[self._ends[self._before.places] - 1],
            same_words=out != HeldOut(),
        )
        places = [
            best_of(by_words, WORDIEST),
            self._before.places_of_nearest(before, NEAREST),
            self._subjects.places_of_best(subjects, by_words),
            np.array(recent, np.int64),
            self._nearest(asked.vectors.mean(axis=0), allowed),
        ]
        found = np.unique(np.concatenate(places))
        found = found[allowed[self._ends[found] - 1]]  # the row of the whole entry is never held out alone
        values: dict[str, NDArray[np.float32] | NDArray[np.bool_] | float] = {}
        if len(found):
            cosines, shares = self._compared(asked.vectors, found, allowed, before)
            values |= zip(MEANING[:2], cosines[:2], strict=True)
            values |= zip(MEANING[2:], cosines[-2:], strict=True)
            values |= zip(REGRESSION, shares[[0, -1]], strict=True)
            values["words"] = by_words[found]
            values["wording"] = self._wording.scores(asked.message, found, self._instead(out))
            values["context_words"] = self._words(asked.context, out)[found] if asked.context else 0.0
            values["recent"] = np.isin(found, recent)
            values |= zip(SUBJECT, self._subjects.of_places(subjects, found), strict=True)
            values |= zip(CATEGORY, self._categories.of_places(categories, found), strict=True)
            values["background"] = self._background.nearest(asked.vectors[0])
            values["length"] = math.log(1 + len(words(asked.message)))
        features = np.zeros((len(found), len(FEATURES)), np.float32)
        for name, column in values.items():
            features[:, FEATURES.index(name)] = column
        return Candidates(self._entries, found, features)

    def nearness(self, vector: NDArray[np.float32], today: date) -> NDArray[np.float32]:
        """Return the cosine of a vector with the nearest text of every entry, (entries,), -1 for what search never finds."""
        import numpy as np

        allowed = self._allowed_rows(today)
        cosines = np.full(len(allowed), -1.0, np.float32)
        cosines[allowed] = self._index.vectors(np.flatnonzero(allowed)) @ vector
        return np.maximum.reduceat(cosines, self._starts) if len(self._starts) else cosines

    def _without(self, allowed: NDArray[np.bool_], out: HeldOut | None) -> NDArray[np.bool_]:
        """Return the rows that may be found, without those that are held out."""
        if out is None or not out.entry_id:
            return allowed
        place, left = self._places[out.entry_id], allowed.copy()
        if out.question is None:
            left[self._starts[place] : self._ends[place]] = False
        else:
            left[self._starts[place] + out.question] = False
        return left

    def _words(self, text: str, out: HeldOut | None) -> NDArray[np.float32]:
        """Return the lexical score of every entry; of the one a question of which is held out, without it."""
        scores = self._lexical.scores(text)
        for place, left in self._instead(out).items():
            scores[place] = self._lexical.score(text, left)
        return scores

    def _instead(self, out: HeldOut | None) -> dict[int, str]:
        """Return what is left of the entry of which a question is held out, by its place."""
        if out is None or out.question is None:
            return {}
        place = self._places[out.entry_id]
        texts = self._entries[place].searched_texts
        return {place: "\n".join(texts[: out.question] + texts[out.question + 1 :])}

    def _nearest(self, vector: NDArray[np.float32], allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the places of the entries that own the nearest rows, at least NEAREST of them if there are."""
        import numpy as np

        available, fetched = int(np.count_nonzero(allowed)), 4 * NEAREST
        places = np.unique(self._place_of_row[self._index.search(vector, fetched, allowed)])
        while len(places) < NEAREST and fetched < available:
            fetched = 4 * fetched
            places = np.unique(self._place_of_row[self._index.search(vector, fetched, allowed)])
        return places

    def _compared(
        self,
        vectors: NDArray[np.float32],
        places: NDArray[np.int64],
        allowed: NDArray[np.bool_],
        before: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compare k vectors with all texts of n entries, of which `before` are the cosines with the precedents.

        Returns:
            (2 * k, n): for each vector the cosine of an entry's nearest question or alternative, and of the whole entry.
            (k, n): for each vector how far all near texts and precedents together point at an entry, 0 where they do not.
        """
        import numpy as np

        counts = self._ends[places] - self._starts[places]
        ends = np.cumsum(counts)
        starts = ends - counts
        rows = np.repeat(self._starts[places] - starts, counts) + np.arange(ends[-1])
        own = self._index.vectors(rows)
        values = np.stack([own @ vector for vector in vectors])
        usable = allowed[rows]
        known, owners = self._before.nearest_of(before, places)
        texts = np.concatenate([self._text_of_row[rows[usable]], len(self._text_of_row) + known])
        of_text = np.flatnonzero(usable)

        def vectors_of(at: NDArray[np.int64]) -> NDArray[np.float32]:
            found = np.empty((len(at), own.shape[1]), np.float32)
            ours = at < len(of_text)
            found[ours], found[~ours] = own[of_text[at[ours]]], self._before.vectors[known[at[~ours] - len(of_text)]]
            return found

        weights = foreseen(np.concatenate([values[:, usable], before[:, known]], axis=1), texts, vectors_of)
        of_rows = np.zeros_like(values)
        of_rows[:, usable], of_known = np.split(weights, [len(weights[0]) - len(known)], axis=1)
        shares = np.add.reduceat(of_rows, starts, axis=1) + of_known @ owners
        whole = values[:, ends - 1]
        values[:, ~usable] = -1.0
        values[:, ends - 1] = -1.0
        questions = np.maximum.reduceat(values, starts, axis=1)
        best: NDArray[np.float32] = np.stack([questions, whole], axis=1).reshape(-1, len(places))
        return best.clip(-1.0, 1.0), above_least(shares)

    def _compute_allowed_rows(self, today: date) -> NDArray[np.bool_]:
        import numpy as np

        allowed = [entry.visibility == "public" and entry.is_valid_on(today) for entry in self._entries]
        rows: NDArray[np.bool_] = np.array(allowed, dtype=np.bool_)[self._place_of_row]
        return rows
