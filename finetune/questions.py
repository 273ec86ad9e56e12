"""What the knowledge itself teaches: its own questions, each asked as if it did not stand in the index.

A question or alternative of an entry with an `intent` is an example of that intent. Some alternatives also show
the entries that search finds for them, with the entry's answer as the reply: which of them answers is told by
their words. What is nearly the same as a customer's message of the calibration or test part is left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chatbot.model import SHOWN_ENTRIES
from chatbot.types import Message
from finetune.data import Lesson, Turn, grounded
from finetune.records import Transcript
from finetune.split import near_duplicate_groups
from knowledge_base.candidates import HeldOut

if TYPE_CHECKING:
    from knowledge_base.search import KnowledgeBase

READ_QUESTIONS = 2  # alternatives of an entry that show evidence; evidence is most of the tokens
ID = "knowledge:"


def knowledge_lessons(
    knowledge: KnowledgeBase, held_out: Sequence[Transcript], most: int, seed: int = 0
) -> list[Lesson]:
    """Return at most `most` lessons, one a question.

    Args:
        knowledge: what the company knows.
        held_out: conversations that measure; no lesson may repeat one of their messages.
        most: how many questions are taken, by seed, if there are more.
        seed: chooses the questions, and those that show evidence.
    """
    entries = [entry for entry in knowledge.entries.values() if entry.visibility == "public"]
    asked = [
        (place, number, text)
        for place, entry in enumerate(entries)
        for number, text in enumerate((entry.question, *entry.alternatives))
        if entry.approved and (entry.intent or number)
    ]
    chance = random.Random(seed)  # noqa: S311 (a sample, not a secret)
    if len(asked) > most:
        asked = [asked[i] for i in sorted(chance.sample(range(len(asked)), most))]
    repeated = _repeated([text for _, _, text in asked], held_out)
    read: dict[int, int] = {}
    lessons = []
    for index in chance.sample(range(len(asked)), len(asked)):
        place, number, text = asked[index]
        if index in repeated:
            continue
        entry = entries[place]
        message = Message("user", text, intents=(entry.intent,) if entry.intent else ())
        turn = Turn(0)
        if number and read.get(place, 0) < READ_QUESTIONS:
            read[place] = read.get(place, 0) + 1
            candidates = knowledge.candidates(text, held_out=HeldOut(entry.id, number))
            found = tuple(hit.entry for hit in candidates.hits(knowledge.scorer, 2 * SHOWN_ENTRIES))
            turn = Turn(0, evidence=grounded(entry.answer, (entry,), (entry,), found, chance))
        if message.intents or turn.evidence:
            reply = Message("assistant", entry.answer, author="approved", evidence=(entry.id,))
            lessons.append(Lesson(Transcript(f"{ID}{entry.id}:{number}", (message, reply)), [turn]))
    return lessons


def _repeated(texts: Sequence[str], held_out: Sequence[Transcript]) -> set[int]:
    """Return the places of the texts that are near-duplicates of a customer's held-out message."""
    said = [m for transcript in held_out for m in transcript.messages if m.role == "user"]
    rows = [Transcript(f"held:{i}", (message,)) for i, message in enumerate(said)]
    rows += [Transcript(f"text:{i}", (Message("user", text),)) for i, text in enumerate(texts)]
    return {
        int(row.id.partition(":")[2])
        for group in near_duplicate_groups(rows)
        if any(row.id.startswith("held:") for row in group)
        for row in group
        if row.id.startswith("text:")
    }
