"""How a decision becomes a reply: the entry itself, text written through the gate, a question or a refusal.

What is yielded grows; each text is all that may be shown so far, and the last one is the reply.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from chatbot import gate, readings
from chatbot.phrases import phrase
from chatbot.types import Citation, Decision, Message, Reply
from knowledge_base.entry import Entry

if TYPE_CHECKING:
    from chatbot.config import Settings
    from chatbot.model import DialogueModel


def write(
    decision: Decision,
    messages: Sequence[Message],
    entries: Sequence[Entry],
    model: DialogueModel | None,
    settings: Settings,
    cancelled: Event,
) -> Iterator[Reply]:
    """Yield the growing reply to the last message; `entries` are those that the decision names, best first."""
    blank = Reply("", kind=decision.kind, reason=decision.reason)
    if decision.kind == "approved":
        yield replace(blank, text=entries[0].answer, citations=(cite(1, entries[0]),))
    elif decision.reason == "reading_picked":
        asked = " ".join([message.content for message in messages if message.role == "user"][-2:])
        yield _quoted(blank, entries[0], asked)
    elif decision.kind == "grounded" and model is not None:
        yield from grounded(blank, messages, entries, model, settings, cancelled)
    elif decision.kind in ("chat", "ask") and not entries and model is not None:
        yield from _ungrounded(blank, messages, model, settings, cancelled)
    elif decision.kind == "ask":
        yield replace(blank, text=phrase("which", settings.languages), options=readings.offered(entries, settings))
    else:
        yield declined(decision, settings)


def is_written(decision: Decision, model: DialogueModel | None) -> bool:
    """Say whether the model writes the reply, which takes time; all others are there at once."""
    if model is None or decision.reason == "reading_picked":
        return False
    return decision.kind == "grounded" or (decision.kind in ("chat", "ask") and not decision.entry_ids)


def declined(decision: Decision, settings: Settings) -> Reply:
    """Return the reply that says we cannot help, with the contact of the settings."""
    text = phrase(decision.reason, settings.languages)
    return Reply(text, kind="decline", reason=decision.reason, contact=settings.contact)


def cite(number: int, entry: Entry) -> Citation:
    """Return an entry as a numbered source."""
    return Citation(number, entry.id, entry.title, entry.answer, entry.url)


def grounded(
    blank: Reply,
    messages: Sequence[Message],
    entries: Sequence[Entry],
    model: DialogueModel,
    settings: Settings,
    cancelled: Event,
) -> Iterator[Reply]:
    """Yield the reply written from entries, sentence by sentence as the gate lets them pass.

    If the gate finds a violation, the entry last pointed at, or else the likeliest, is quoted instead. A model that
    ends the reply before it began has read that nothing answers: then the reply says so.
    """
    shown = model.shown(entries)
    watch = gate.Gate(shown)
    passed: list[gate.Sentence] = []
    seen = ""
    writing = Writing(model.write(messages, shown, cancelled))
    for piece in writing:
        passed += watch.feed(piece)
        if watch.violation is not None:
            break
        ahead = watch.ahead()
        reply = _cited(blank, [*passed, ahead] if ahead else passed, shown)
        if len(reply.text) > len(seen):
            seen = reply.text
            yield reply
    if watch.violation is None:
        passed += watch.close(cut=not writing.ended)
    if cancelled.is_set():
        yield _cited(blank, passed, shown)
    elif watch.violation is not None and watch.violation.kind == "empty" and watch.number is None:
        yield declined(Decision("decline", "nothing_fits"), settings)
    elif watch.violation is not None or not passed:
        entry = shown[(watch.number or 1) - 1]
        yield replace(_quoted(blank, entry, messages[-1].content), reason="evidence_quoted")
    else:
        yield _cited(blank, passed, shown)


def _quoted(blank: Reply, entry: Entry, asked: str) -> Reply:
    """Return what an entry says of what was asked, as it stands."""
    return replace(blank, text=gate.quote(entry, asked), citations=(cite(1, entry),))


class Writing:
    """The pieces of a reply; once they are through, `ended` says whether it ended by itself."""

    def __init__(self, pieces: Generator[str, None, bool]) -> None:
        self._pieces = pieces
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        self.ended = yield from self._pieces


def _cited(blank: Reply, sentences: Sequence[gate.Sentence], shown: Sequence[Entry]) -> Reply:
    """Return the sentences without pointers, with the entries they rest on numbered in the order of their use."""
    used = list(dict.fromkeys(sentence.number for sentence in sentences if sentence.number))
    citations = tuple(cite(place, shown[number - 1]) for place, number in enumerate(used, start=1))
    return replace(blank, text=" ".join(sentence.text for sentence in sentences), citations=citations)


def _ungrounded(
    blank: Reply, messages: Sequence[Message], model: DialogueModel, settings: Settings, cancelled: Event
) -> Iterator[Reply]:
    """Yield small talk or a question back, once it is whole and states no fact that nobody said."""
    writing = Writing(model.write(messages, (), cancelled))
    text = "".join(writing).strip()
    known = [message.content for message in messages] + [settings.company, settings.contact, settings.hours]
    if not text or not writing.ended or gate.ungrounded(text, known) is not None:
        text = phrase("small_talk", settings.languages)
    yield replace(blank, text=text)
