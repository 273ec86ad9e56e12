"""What a run of training would learn from each file, and why not from the rest, without training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finetune.arguments import LoraArguments
    from finetune.data import Lesson
    from finetune.transcripts import Reading
    from knowledge_base.search import KnowledgeBase


@dataclass(frozen=True, slots=True)
class FilePreview:
    """One file: what it was recognised as, what it holds, and how many of its replies train writing.

    `not_used` counts the other replies by reason; together they are all replies. `labelled` counts customers'
    messages with an intent, `steps` replies with a next step.
    """

    file: str
    format: str
    conversations: int
    messages: int
    replies: int
    used: int
    not_used: Mapping[str, int]
    labelled: int
    steps: int
    refused: int

    def lines(self) -> Iterator[str]:
        """Yield what was found, a line a finding."""
        yield f"{self.file}: {self.format}"
        yield (
            f"  {self.conversations:,} conversations, {self.messages:,} messages, {self.labelled:,} with an intent, "
            f"{self.steps:,} with a next step, {self.refused:,} records refused"
        )
        yield f"  {self.used:,} of {self.replies:,} replies would train writing"
        yield from (f"  {count:,} not: {reason}" for reason, count in self.not_used.items() if count)


def preview(reading: Reading, knowledge: KnowledgeBase | None, arguments: LoraArguments) -> list[FilePreview]:
    """Return for each file what a run with these arguments would use of it; nothing is written."""
    from finetune.data import human_action, lessons
    from finetune.material import without_personal_data

    transcripts = reading.transcripts
    if arguments.redact:
        transcripts = without_personal_data(transcripts, knowledge)[0]
    found = []
    for file, form in reading.formats.items():
        own = [transcript for transcript in transcripts if transcript.source.rpartition(":")[0] == file]
        taught, counts = lessons(
            own, knowledge, unsupported_too=arguments.train_unsupported_replies, seed=arguments.seed
        )
        messages = [message for transcript in own for message in transcript.messages]
        replies = [message for message in messages if message.role == "assistant"]
        used = sum(_used(lesson) for lesson in taught)
        found.append(
            FilePreview(
                file,
                form,
                len(own),
                len(messages),
                len(replies),
                used,
                _not_used(counts, len(replies), used),
                sum(bool(message.intents) for message in messages),
                sum(human_action(message) is not None for message in replies),
                sum(refusal.file == file for refusal in reading.refusals),
            )
        )
    return found


def _used(lesson: Lesson) -> int:
    """Return how many replies of a conversation train writing: as they are, or from entries."""
    return sum(turn.writes or any(e.sentences for e in turn.evidence) for turn in lesson.turns)


def _not_used(counts: Counter[str], replies: int, used: int) -> dict[str, int]:
    """Return the replies that do not train writing by reason; what follows no customer's message is the rest."""
    reasons = {
        "written by a bot, or ready-made": counts["written by a bot"],
        "the name of a step, without words": counts["name a step only"],
    }
    reasons["stand behind another reply or before the first message"] = replies - sum(counts.values())
    reasons["state facts that no entry holds"] = replies - used - sum(reasons.values())
    return reasons
