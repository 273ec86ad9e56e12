"""What a set of transcripts holds, in words, before anything is done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune.records import Transcript
from finetune.split import near_duplicate_groups, normalised
from knowledge_base.command import Refusal

SAMPLED_CONVERSATIONS = 500
RARE = 3  # a label in fewer messages cannot occur in three parts
_SHOWN_LABELS = 8
_SHOWN_REASONS = 20
_SHOWN_LINES = 5
_MIN_LANGUAGE_BYTES = 16  # of UTF-8; "hi" and "ok" are words of many languages
# The identifier knows 140 languages and finds rare ones in short messages; these have most of the speakers and shops.
# fmt: off
_LANGUAGES = (
    "ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu",
    "id", "it", "ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "sw",
    "ta", "th", "tl", "tr", "uk", "ur", "vi", "zh",
)
# fmt: on
_MIN_LANGUAGE_SHARE = 0.02  # of the sample; rarer finds are judged again between the languages that are there


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts over the conversations that were read, most frequent first, and what was refused.

    `exact_duplicates` counts conversations in which the customer says what another customer said before, but for
    case, punctuation and numbers; `near_duplicates` counts those that differ a little. `languages` counts
    `language_sample` conversations; conversations that say their language are taken at their word.
    """

    conversations: int
    messages: Mapping[str, int]
    files: Mapping[str, int]
    intents: Mapping[str, int]
    actions: Mapping[str, int]
    entities: Mapping[str, int]
    tags: Mapping[str, int]
    authors: Mapping[str, int]
    labelled_messages: int
    labelled_replies: int
    replies_with_evidence: int
    languages: Mapping[str, int]
    language_sample: int
    exact_duplicates: int
    near_duplicates: int
    refusals: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what was found, a line a finding."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        said, replied = self.messages["user"], self.messages["assistant"]
        yield (
            f"read: {_count(self.conversations, 'conversation')} from {_count(len(self.files), 'file')} with "
            f"{_count(said, 'message')} of customers and {_count(replied, 'reply', 'replies')}"
        )
        yield from self._label_lines("intents", self.intents, self.labelled_messages, said, "messages")
        if self.intents:
            yield "  python -m finetune.audit lists messages whose intent is likely wrong"
        yield from self._label_lines("next steps", self.actions, self.labelled_replies, replied, "replies")
        if self.entities:
            yield f"entities: {_most(self.entities)}"
        if replied:
            yield f"replies by: {_most(self.authors)}; {self.replies_with_evidence:,} name the entries they rest on"
        if self.languages:
            yield f"languages of {self.language_sample:,} conversations looked at: {_most(self.languages)}"
        yield (
            f"duplicates: {_count(self.exact_duplicates, 'conversation')} with the words of an earlier one, "
            f"{self.near_duplicates:,} with nearly the same"
        )
        yield from (f"warning: {text}" for text in self.warnings)
        yield f"refused: {len(self.refusals):,}"
        yield from self._refusal_lines()

    def _refusal_lines(self) -> Iterator[str]:
        """Yield each reason of each file once, with the lines where it holds."""
        where: dict[tuple[str, str, str], list[int | None]] = {}
        for refusal in self.refusals:
            where.setdefault((refusal.file, refusal.reason, refusal.unit), []).append(refusal.line)
        for (file, reason, unit), lines in list(where.items())[:_SHOWN_REASONS]:
            numbers = [f"{line:,}" for line in lines[:_SHOWN_LINES] if line is not None]
            more = f" and {len(lines) - _SHOWN_LINES:,} more" if len(lines) > _SHOWN_LINES else ""
            place = f", {unit if len(lines) == 1 else unit + 's'} {', '.join(numbers)}{more}" if numbers else ""
            yield f"  {file}{place}: {reason}"
        if len(where) > _SHOWN_REASONS:
            yield f"  ... and {len(where) - _SHOWN_REASONS:,} more reasons"

    @staticmethod
    def _label_lines(name: str, labels: Mapping[str, int], labelled: int, total: int, owner: str) -> Iterator[str]:
        if not labels:
            yield f"{name}: none"
            return
        yield f"{name}: {len(labels):,} on {labelled:,} of {total:,} {owner}: {_most(labels)}"
        rare = {label: count for label, count in labels.items() if count < RARE}
        if rare:
            yield f"  {_count(len(rare), 'label')} on fewer than {RARE} {owner}: {_most(rare)}"


def survey(transcripts: Sequence[Transcript], refusals: Sequence[Refusal], warnings: Sequence[str]) -> Survey:
    """Count what the conversations hold.

    Args:
        transcripts: the conversations that can be used.
        refusals: what could not be used.
        warnings: what was left out of conversations that can be used.
    """
    messages = [message for transcript in transcripts for message in transcript.messages]
    said = [message for message in messages if message.role == "user"]
    replies = [message for message in messages if message.role == "assistant"]
    words = {normalised(transcript.customer_words) for transcript in transcripts}
    found = languages(transcripts)
    return Survey(
        conversations=len(transcripts),
        messages={"user": len(said), "assistant": len(replies)},
        files=_counted(transcript.source.rpartition(":")[0] for transcript in transcripts),
        intents=_counted(name for message in said for name in message.intents),
        actions=_counted(message.action for message in replies if message.action),
        entities=_counted(entity.type for message in messages for entity in message.entities),
        tags=_counted(tag for transcript in transcripts for tag in transcript.tags),
        authors=_counted(message.author or "not stated" for message in replies),
        labelled_messages=sum(bool(message.intents) for message in said),
        labelled_replies=sum(bool(message.action) for message in replies),
        replies_with_evidence=sum(bool(message.evidence) for message in replies),
        languages=found,
        language_sample=sum(found.values()),
        exact_duplicates=len(transcripts) - len(words),
        near_duplicates=len(words) - len(near_duplicate_groups(transcripts)),
        refusals=tuple(refusals),
        warnings=tuple(warnings),
    )


def languages(transcripts: Sequence[Transcript]) -> dict[str, int]:
    """Return how many conversations of an evenly spaced sample are in which language (ISO 639-1)."""
    step = max(1, len(transcripts) // SAMPLED_CONVERSATIONS)
    sample = transcripts[::step][:SAMPLED_CONVERSATIONS]
    stated = _counted(transcript.language for transcript in sample if transcript.language)
    words = [transcript.customer_words for transcript in sample if not transcript.language]
    words = [text for text in words if len(text.encode()) >= _MIN_LANGUAGE_BYTES]
    if not words:
        return stated
    found = _identified(words, _LANGUAGES)
    frequent = [language for language, count in found.items() if count >= _MIN_LANGUAGE_SHARE * len(words)]
    return _counted([*Counter(stated).elements(), *Counter(_identified(words, frequent)).elements()])


def _identified(texts: Sequence[str], languages: Sequence[str]) -> dict[str, int]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(languages)
    return _counted(identifier.classify(text)[0] for text in texts)


def _counted(names: Iterable[str]) -> dict[str, int]:
    """Return counts, most frequent first and equal ones by name."""
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


def _most(counts: Mapping[str, int]) -> str:
    named = [f"{name} {count:,}" for name, count in list(counts.items())[:_SHOWN_LABELS]]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more > 0 else "")


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
