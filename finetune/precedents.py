"""Which entries answered what customers asked: the ways to ask that search learns from past chats."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from finetune.data import by_bot, reply_to
from knowledge_base.precedents import Precedents

if TYPE_CHECKING:
    from chatbot.types import Message
    from finetune.data import Lesson, Turn
    from knowledge_base.encoder import Encoder

LEARNT_FROM = 12_000  # pairs at most, as many as the intents learn from: some 9 MB


def find_precedents(lessons: Sequence[Lesson], encoder: Encoder, seed: int) -> Precedents | None:
    """Return each customer's message that entries answered, with these; None where no reply of a person rests on any.

    Beyond LEARNT_FROM pairs some are chosen by `seed`.
    """
    pairs: dict[tuple[str, str], None] = {}
    for lesson in lessons:
        messages = lesson.transcript.messages
        for turn in lesson.turns:
            reply = reply_to(messages, turn.message)
            if reply and reply.role == "assistant" and not by_bot(reply):
                pairs.update(dict.fromkeys((messages[turn.message].content, one) for one in _answers(turn, reply)))
    if not pairs:
        return None
    kept = list(pairs)
    if len(kept) > LEARNT_FROM:
        kept = random.Random(seed).sample(kept, LEARNT_FROM)  # noqa: S311 (a sample, not a secret)
    return Precedents(encoder.encode_queries([text for text, _ in kept]), [answer for _, answer in kept])


def _answers(turn: Turn, reply: Message) -> Sequence[str]:
    """Return the ids of the entries that a reply names, or else of those that hold what it says."""
    used = [shown.entries[number - 1].id for shown in turn.evidence for number, _ in shown.sentences]
    return reply.evidence or used
