"""What each pass over the lessons shows: a share of the evidence, and of it most with one fact changed."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from chatbot.types import Message
from finetune.alterations import alterations
from finetune.data import Evidence, Lesson, Turn

# As it stands evidence is shown in every third showing. Served entries stand as they are, and some cannot be altered;
# but what is shown twice alike can be learnt by heart, and then there is no need to read.
AS_IT_STANDS_EVERY = 3


def variants(lesson: Lesson, number: int, showings: int = 1, seed: int = 0) -> list[Lesson]:
    """Return the lesson `number` times a showing, each with the evidence of another share of the turns that have some.

    Evidence is most of the tokens. Passes take the variants in turn, so that labels, which need more passes
    than copying from entries does, are seen more often in the same time. With each showing of all evidence other
    facts are altered, by seed. What no entry answers is answered with silence.
    """
    shown = [turn.message for turn in lesson.turns if turn.evidence]
    # Conversations begin their rounds at different places: the first turn's evidence is not always in the first.
    offset = zlib.crc32(lesson.transcript.id.encode())

    def variant(which: int, showing: int) -> Lesson:
        kept = {message for place, message in enumerate(shown) if (place + offset) % number == which}
        turns = [
            _shown(turn, lesson.transcript.messages, f"{seed}:{lesson.transcript.id}", offset + showing)
            if turn.message in kept
            else replace(turn, evidence=())
            for turn in lesson.turns
        ]
        return Lesson(lesson.transcript, turns)

    return [variant(which, showing) for showing in range(showings) for which in range(number)]


def _shown(turn: Turn, messages: Sequence[Message], name: str, showing: int) -> Turn:
    turn = replace(turn, silent=True)
    if (showing + turn.message) % AS_IT_STANDS_EVERY == 0:
        return turn
    chance = random.Random(f"{name}:{turn.message}:{showing}")  # noqa: S311 (variety of training rows, not secrecy)
    said = [message.content for message in messages[: turn.message + 1]]
    return replace(turn, evidence=tuple(_altered(evidence, said, chance) for evidence in turn.evidence))


def _altered(evidence: Evidence, said: Sequence[str], chance: random.Random) -> Evidence:
    """Return evidence with one fact of an entry and of the answer changed; as it is where no change is clean."""
    if not evidence.sentences:
        return evidence
    found = next(alterations(evidence.entries, evidence.sentences, said, chance), None)
    if found is None:
        return evidence
    return replace(evidence, entries=found.entries, sentences=found.answer, altered=found.alteration.kind)


def summary(lessons: Iterable[Lesson]) -> str:
    """Say in one sentence how many rows of evidence lessons show, and of which kinds."""
    rows = [evidence for lesson in lessons for turn in lesson.turns for evidence in turn.evidence]
    support = Counter(row.support for row in rows)
    kinds = Counter(row.altered for row in rows if row.altered)
    named = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
    return (
        f"{len(rows):,} rows with evidence: {support['full']:,} that answer, {sum(kinds.values()):,} of them altered"
        f"{f' ({named})' if named else ''}; {support['part']:,} that answer in part, {support['none']:,} not at all"
    )
