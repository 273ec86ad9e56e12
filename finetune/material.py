"""What a run of training learns from: transcripts redacted, split and judged, and the knowledge's own questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finetune.arguments import LoraArguments
    from finetune.data import Labels, Lesson
    from finetune.records import Transcript
    from finetune.split import Split
    from knowledge_base.search import KnowledgeBase

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Material:
    """What a run learns from: checked, redacted, split, and decided for every reply.

    `lessons` are those of the transcripts by id; `questions` those of the knowledge, which only train.
    """

    transcripts: tuple[Transcript, ...]
    split: Split
    lessons: dict[str, Lesson]
    labels: Labels
    replies: Counter[str]
    redacted: Counter[str]
    questions: tuple[Lesson, ...] = ()

    def part(self, name: str) -> list[Lesson]:
        """Return the lessons of a part."""
        lessons = [self.lessons[i] for i in getattr(self.split, name)]
        return [*lessons, *self.questions] if name == "train" else lessons


def prepare(
    arguments: LoraArguments, transcripts: Sequence[Transcript], knowledge: KnowledgeBase | None, say: Say
) -> Material:
    """Redact and split the transcripts, and decide for every reply whether it trains writing."""
    from finetune.data import Labels, lessons
    from finetune.split import split

    redacted: Counter[str] = Counter()
    if arguments.redact:
        transcripts, redacted = without_personal_data(transcripts, knowledge)
        say("redacted: " + (", ".join(f"{n:,} {kind}" for kind, n in sorted(redacted.items())) or "nothing"))
    parts = split(transcripts, arguments.seed, (arguments.split[0], arguments.split[1], arguments.split[2]))
    say(
        f"parts: {len(parts.train):,} train, {len(parts.calibration):,} calibration, {len(parts.test):,} test "
        f"({parts.groups:,} groups of near-duplicates kept whole)"
    )
    for warning in parts.warnings:
        say(f"warning: {warning}")
    taught, replies = lessons(
        transcripts, knowledge, unsupported_too=arguments.train_unsupported_replies, seed=arguments.seed
    )
    _say_replies(replies, arguments, say)
    by_id = {lesson.transcript.id: lesson for lesson in taught}
    questions = _questions(arguments, knowledge, [by_id[i].transcript for i in (*parts.calibration, *parts.test)], say)
    trained = [by_id[i].transcript for i in parts.train] + [lesson.transcript for lesson in questions]
    return Material(tuple(transcripts), parts, by_id, Labels.of(trained), replies, redacted, questions)


def _questions(
    arguments: LoraArguments, knowledge: KnowledgeBase | None, held_out: Sequence[Transcript], say: Say
) -> tuple[Lesson, ...]:
    if knowledge is None or not arguments.knowledge_questions:
        return ()
    from finetune.questions import knowledge_lessons

    lessons = knowledge_lessons(knowledge, held_out, arguments.knowledge_questions, arguments.seed)
    labelled = sum(bool(lesson.transcript.messages[0].intents) for lesson in lessons)
    read = sum(bool(lesson.turns[0].evidence) for lesson in lessons)
    say(f"{len(lessons):,} questions of the knowledge train too: {labelled:,} teach an intent, {read:,} reading")
    return tuple(lessons)


def without_personal_data(
    transcripts: Sequence[Transcript], knowledge: KnowledgeBase | None
) -> tuple[list[Transcript], Counter[str]]:
    """Return the transcripts redacted, but for the company's own details, and how much of each kind was replaced."""
    from finetune.redaction import Redactor, company_details

    entries = knowledge.entries.values() if knowledge else []
    redactor = Redactor(keep=company_details(entry.answer for entry in entries))
    return [redactor.redact(transcript) for transcript in transcripts], Counter(redactor.counts)


def _say_replies(replies: Counter[str], arguments: LoraArguments, say: Say) -> None:
    for reason, count in replies.most_common():
        if reason == "state facts that no entry holds":
            used = "used all the same" if arguments.train_unsupported_replies else "not used for writing"
            say(f"{count:,} replies state facts that no entry holds: {used}")
        elif reason == "written by a bot":
            say(f"{count:,} replies were written by a bot: not used for writing")
        elif reason == "name a step only":
            say(f"{count:,} replies name a step only: not used for writing")
        else:
            say(f"{count:,} replies {reason}: used for writing")
