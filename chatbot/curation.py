"""Care of the knowledge: what a message finds and why, which entries there are, and what was asked in vain.

The search, and whether a question is answered by now, are the bot's own: with its weights, and as its policy decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from chatbot import policy
from chatbot.bot import Parts
from chatbot.calibration import SEARCHED_ENTRIES
from chatbot.errors import NotLoadedError
from chatbot.types import Understanding
from knowledge_base.candidates import MEANING, NEAREST, REGRESSION
from knowledge_base.editing import Editor
from knowledge_base.edits import Edit
from knowledge_base.entry import Entry, Hit
from knowledge_base.origins import Origin
from knowledge_base.regression import pointed_at
from knowledge_base.scorer import FEATURES, OF_ENTRY, Scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chatbot.store import Store, UnansweredQuestion

LOOKED_AT = 500  # of the latest unanswered questions: some seconds of embedding on the first look, none afterwards
SHOWN_GAPS = 50

STATES = ("in force", "not in force", "internal", "not approved", "edited here", "retired")


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit with its reasons: `values` of its features, and `contributions` (value times weight), by their names.

    The contributions sum to the hit's score, by which it ranks among the entries.
    """

    hit: Hit
    values: Mapping[str, float]
    contributions: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Findings:
    """What a message finds, likeliest first; `nothing` is the probability that no entry answers.

    `reasons` say by their names what adds to the log-odds that any entry answers, and sum to these.
    """

    found: Sequence[Finding]
    nothing: float
    reasons: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as operators see it, retired or not; `edit` is what operators changed in it, `origin` where it comes from."""

    entry: Entry
    edit: Edit | None = None
    origin: Origin | None = None

    @property
    def source(self) -> str:
        """What it comes from: what it says itself, or the file that it was read from; "" where neither is known."""
        return self.entry.source or (self.origin.source if self.origin else "")

    @property
    def changed(self) -> str:
        """The day of its last change, ISO 8601: what it says itself, or when that was seen here; "" where neither is known."""
        seen = self.origin.since if self.origin else self.edit.at if self.edit else ""
        return (self.entry.updated_at or seen)[:10]

    def states(self, today: date) -> Iterator[str]:
        """Yield which of STATES it is in."""
        if self.edit and self.edit.retired:
            yield "retired"
        else:
            yield "in force" if self.entry.is_valid_on(today) else "not in force"
        if self.entry.visibility == "internal":
            yield "internal"
        if not self.entry.approved:
            yield "not approved"
        if self.edit:
            yield "edited here"


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that are near in meaning and that no entry answers, the latest first.

    `nearest` is the entry that search likes best for the first of them, which the bot would still not send.
    """

    questions: Sequence[UnansweredQuestion]
    nearest: Hit | None

    @property
    def answer(self) -> str:
        """The latest answer that a person gave, empty where none did."""
        return next((question.answer for question in self.questions if question.answer), "")


class Curation:
    """The knowledge as its keepers work on it. It can be asked while the bot's parts load: there is nothing yet then."""

    def __init__(self, parts: Callable[[], Parts | None], store: Store) -> None:
        self._parts, self._store = parts, store
        self._vectors: dict[str, NDArray[np.float32]] = {}  # of unanswered questions, LOOKED_AT at most

    @property
    def ready(self) -> bool:
        """Whether the knowledge is loaded."""
        return self._parts() is not None

    def editor(self) -> Editor:
        """Return the editor of the knowledge that the bot answers from."""
        knowledge = self._loaded().knowledge
        return Editor(knowledge.home, knowledge.encoder)

    def items(self) -> dict[str, Item]:
        """Return all entries by id, retired ones too; none while the knowledge is loaded."""
        parts = self._parts()
        if parts is None:
            return {}
        parts.knowledge.refresh()
        snapshot = parts.knowledge.snapshot
        retired = {i: Item(edit.entry, edit) for i, edit in snapshot.edits.items() if edit.retired}
        origins = snapshot.origins
        return {i: Item(e, snapshot.edits.get(i), origins.get(i)) for i, e in snapshot.entries.items()} | retired

    def search(self, message: str, context: str = "") -> Findings:
        """Search as the bot does for a message, `context` being the customer's message before it."""
        parts = self._loaded()
        parts.knowledge.refresh()
        scorer = parts.scorer
        candidates = parts.knowledge.candidates(message, history=[("user", context)] if context else ())
        features = candidates.features
        place = {entry.id: i for i, entry in enumerate(candidates.entries)}
        shares = scorer.contributions(features)
        found = []
        for hit in candidates.hits(scorer, SEARCHED_ENTRIES):
            row = place[hit.entry.id]
            values, added = features[row, : len(OF_ENTRY)].tolist(), shares[row].tolist()
            found.append(
                Finding(hit, dict(zip(OF_ENTRY, values, strict=True)), dict(zip(OF_ENTRY, added, strict=True)))
            )
        return Findings(found, 1.0 - scorer.something(features), scorer.reasons(features))

    def gaps(self) -> list[Gap]:
        """Return what was asked in vain and still would be, the most frequent first, then the latest."""
        parts = self._loaded()
        parts.knowledge.refresh()
        questions = [question for question in self._store.unanswered(LOOKED_AT) if question.content.strip()]
        gaps = []
        same_from = _same_from(parts.scorer, parts.knowledge.usual_cosine)
        for group in _groups(self._embedded(parts, questions), same_from):
            hits = parts.knowledge.search(questions[group[0]].content, scorer=parts.scorer, k=SEARCHED_ENTRIES)
            decided = policy.decide(Understanding(), hits, parts.calibration, None, questions[group[0]].content)
            if decided.kind != "approved":
                gaps.append(Gap([questions[i] for i in group], hits[0] if hits else None))
            if len(gaps) == SHOWN_GAPS:
                break
        return gaps

    def _embedded(self, parts: Parts, questions: Sequence[UnansweredQuestion]) -> NDArray[np.float32]:
        """Return (n, dimension) unit vectors; those of earlier looks are remembered."""
        import numpy as np

        texts = [question.content for question in questions]
        new = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        fresh = dict(zip(new, parts.knowledge.encoder.encode_queries(new), strict=True)) if new else {}
        known = {**self._vectors, **fresh}
        self._vectors = {text: known[text] for text in texts}
        return np.array([known[text] for text in texts], np.float32).reshape(
            len(texts), parts.knowledge.encoder.dimension
        )

    def _loaded(self) -> Parts:
        parts = self._parts()
        if parts is None:
            raise NotLoadedError("The knowledge is still being loaded. Try again in a moment.")
        return parts


def _same_from(scorer: Scorer, usual: float) -> float:
    """Return the cosine from which on an entry that says one question would rather be chosen for the other than all else.

    It follows from the fitted weights: from there on what such an entry has for it, by its question and as a whole, without a
    common word, outweighs all NEAREST others that a search looks at, which have the cosine `usual` of any two texts.
    """
    import numpy as np

    cosines = np.linspace(usual, 1.0, 1001)
    weights = dict(zip(FEATURES, scorer.weights, strict=True))
    nearness = sum(weights[name] for name in MEANING) * cosines
    pointed = sum(weights[name] for name in REGRESSION) * pointed_at(cosines, usual)
    speaks = nearness + pointed
    enough = np.flatnonzero(speaks - speaks[0] >= np.log(NEAREST))
    return float(cosines[enough[0]]) if len(enough) else 1.0


def _groups(vectors: NDArray[np.float32], same_from: float) -> list[list[int]]:
    """Return the places of rows that belong together, the largest group first, then the one that begins first.

    Row by row, each joins the group to which its mean cosine is highest, if that is `same_from` or more.
    """
    import numpy as np

    sums = np.zeros_like(vectors)
    groups: list[list[int]] = []
    for row, vector in enumerate(vectors):
        means = sums[: len(groups)] @ vector / np.array([len(group) for group in groups])
        nearest = int(means.argmax()) if groups else 0
        if not groups or means[nearest] < same_from:
            nearest = len(groups)
            groups.append([])
        groups[nearest].append(row)
        sums[nearest] += vector
    return sorted(groups, key=lambda group: (-len(group), group[0]))
