"""The gate between what the model writes and the customer: evidence or silence.

The model writes `[1] {sentence} [2] {sentence} ...`, each pointer before what it covers. A piece passes when its
pointer names an entry of this turn and every fact of it stands in that entry. The first violation ends the writing:
nothing more passes, and the caller quotes the entry instead. The same rule decides which human replies may be learnt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from chatbot.facts import Fact, Sources, facts
from chatbot.sentences import content_words, sentence_spans, sentences
from knowledge_base.entry import Entry

__all__ = ["Gate", "Sentence", "Violation", "align", "has_facts", "passes", "quote", "sentences", "ungrounded"]

ViolationKind = Literal[
    "unknown_pointer",  # the pointer names no entry of this turn
    "missing_pointer",  # text stands before the first pointer
    "unsupported_fact",  # a fact does not stand in the cited entry
    "control_text",  # a turn mark or a role name reached the text
    "empty",  # nothing is said
    "repetition",  # a sentence is said again
]

QUOTED_SENTENCES = 3  # the longest quotation; a shorter answer is quoted whole

_POINTER = re.compile(r"\[([0-9]{1,9})\]")
_MARK = re.compile(r"<\||\|>|</?(?:s|eos|bos|pad|unk|start_of_turn|end_of_turn)>|\[/?INST\]")
_ROLE_LINE = re.compile(
    r"(?m)^[^\S\n]*(?:(?:user|assistant|system|knowledge|details)[^\S\n]*$|(?i:user|assistant)[^\S\n]*:)"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one pointer covers, one sentence or more; `number` is the pointer, None where nothing is cited."""

    text: str
    number: int | None


@dataclass(frozen=True, slots=True)
class Violation:
    """Why the writing ended: the rule, the text that broke it, and what exactly broke it."""

    kind: ViolationKind
    sentence: str
    detail: str = ""


class Gate:
    """Lets the sentences of one reply pass while it is written.

    The result does not depend on how the text is cut into pieces. After a violation, kept in `violation`, nothing
    passes. `number` is the last pointer that names an entry.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.violation: Violation | None = None
        self._evidence = [_Evidence(entry) for entry in entries]
        self._said: Counter[str] = Counter()
        self._buffer = ""
        self._searched = 0
        self.number: int | None = None
        self._passed_any = False

    def feed(self, piece: str) -> list[Sentence]:
        """Take the next piece of text and return the sentences that are complete with it and pass."""
        passed: list[Sentence] = []
        if self.violation:
            return passed
        self._buffer += piece
        while not self.violation and (event := self._next_event()):
            passed += self._take(event)
        if self.violation is None and self.number is None:
            self._expect_pointer()
        return passed

    def ahead(self) -> Sentence | None:
        """Return the whole sentences of the piece that is being written, if they would pass as they stand.

        They may be shown at once. The piece itself passes or not when it ends.
        """
        if self.violation or self.number is None:
            return None
        whole = sentence_spans(self._buffer)[:-1]
        if not whole:
            return None
        text = self._buffer[whole[0][0] : whole[-1][1]]
        return None if self._violation(text, self._evidence[self.number - 1]) else Sentence(text, self.number)

    def close(self, *, cut: bool = False) -> list[Sentence]:
        """End the text and return what was still open and passes.

        Args:
            cut: The text ended for want of room, not by itself: the last sentence, which is not finished, is dropped.
        """
        if self.violation:
            return []
        rest = self._buffer.strip()
        if cut:
            rest = _finished(rest)
        if cut and not rest and self._passed_any:
            return []
        if self.number is None:
            kind: ViolationKind = "missing_pointer" if rest else "empty"
            self.violation = Violation(kind, rest)
            return []
        return self._check(rest, self.number)

    def _next_event(self) -> re.Match[str] | None:
        """Return the next complete pointer or mark; what was searched in vain before is not searched again."""
        pointer = _POINTER.search(self._buffer, self._searched)
        mark = _MARK.search(self._buffer, self._searched)
        found = min((match for match in (pointer, mark) if match), key=lambda match: match.start(), default=None)
        if not found:  # an event may have begun at the end: none is longer than a mark or a pointer
            self._searched = max(0, len(self._buffer) - len("</start_of_turn>"))
        return found

    def _take(self, event: re.Match[str]) -> list[Sentence]:
        before = self._buffer[: event.start()].strip()
        passed: list[Sentence] = []
        if self.number is None and before:
            self.violation = Violation("missing_pointer", before)
        elif event.re is _MARK:
            self.violation = Violation("control_text", before, event[0])
        elif self.number is not None:
            passed = self._check(before, self.number)
        if self.violation is None:
            number = int(event[1])
            if 1 <= number <= len(self._evidence):
                self.number = number
            else:
                self.violation = Violation("unknown_pointer", event[0], f"{len(self._evidence)} entries")
        self._buffer, self._searched = self._buffer[event.end() :], 0
        return passed

    def _expect_pointer(self) -> None:
        """Refuse a text that cannot begin with a pointer any more, without waiting for its end."""
        begun = self._buffer.strip()
        if begun and not re.fullmatch(r"\[[0-9]{0,9}|<.{0,15}", begun):
            self.violation = Violation("missing_pointer", begun)

    def _check(self, text: str, number: int) -> list[Sentence]:
        evidence = self._evidence[number - 1]
        self.violation = self._violation(text, evidence)
        if self.violation:
            return []
        self._passed_any = True
        self._said.update(map(_key, sentences(text)))
        return [Sentence(text, number)]

    def _violation(self, text: str, evidence: _Evidence) -> Violation | None:
        if not any(sign.isalnum() for sign in text):
            return Violation("empty", text)
        role = _ROLE_LINE.search(text)
        if role and role[0].strip() not in evidence.text:
            return Violation("control_text", text, role[0].strip())
        lacking = evidence.lack(text)
        if lacking:
            return Violation("unsupported_fact", text, _named(lacking))
        said = Counter[str]()
        for sentence in map(_key, sentences(text)):
            if self._said[sentence] + said[sentence] >= max(1, evidence.sentences[sentence]):
                return Violation("repetition", text, sentence)
            said[sentence] += 1
        return None


def shown_texts(entry: Entry) -> tuple[str, ...]:
    """Return an entry as the gate reads it: what the customer can open, not how other customers asked."""
    return entry.question, entry.answer, entry.heading, entry.category, entry.subject, entry.url


class _Evidence:
    """What facts are looked up in: the texts of an entry."""

    def __init__(self, entry: Entry) -> None:
        self._texts = shown_texts(entry)
        self.text = "\n\n".join(self._texts)

    @cached_property
    def sentences(self) -> Counter[str]:
        return Counter(_key(sentence) for text in self._texts for sentence in sentences(text))

    @cached_property
    def words(self) -> frozenset[str]:
        return content_words(self.text)

    @cached_property
    def _sources(self) -> Sources:
        return Sources(self._texts)

    def lack(self, text: str) -> tuple[Fact, ...]:
        """Return the facts of a text that do not stand here; sentences of the entry itself stand here as they are."""
        if all(_key(sentence) in self.sentences for sentence in sentences(text)):
            return ()
        return self._sources.lack(text)


def has_facts(text: str) -> bool:
    """Say whether a text states anything that an entry would have to hold."""
    return bool(facts(text))


def ungrounded(text: str, known: Sequence[str] = ()) -> Violation | None:
    """Judge a reply written without evidence: small talk, a question back.

    Args:
        text: The reply.
        known: Texts whose facts it may repeat: the customer's own words, the company's name and contact.

    Returns:
        The violation, or None when the reply may be shown.
    """
    if not any(sign.isalnum() for sign in text):
        return Violation("empty", text)
    control = _MARK.search(text) or _ROLE_LINE.search(text)
    if control:
        return Violation("control_text", text, control[0].strip())
    pointer = _POINTER.search(text)
    if pointer:
        return Violation("unknown_pointer", text, pointer[0])
    lacking = Sources(known).lack(text)
    if lacking:
        return Violation("unsupported_fact", text, _named(lacking))
    said = Counter(_key(sentence) for sentence in sentences(text))
    again = next((sentence for sentence, count in said.items() if count > 1), None)
    return Violation("repetition", text, again) if again else None


def align(reply: str, entries: Sequence[Entry]) -> list[tuple[int, str]] | None:
    """Give each sentence of a reply the entry that holds it: a target for writing.

    A sentence with facts goes to the entry that holds them all and shares the most words with it; one without facts to
    the entry that shares the most words, or stays with its neighbour. Neighbours with one entry become one piece.

    Returns:
        (pointer, text) pairs, pointers counted from 1, as the gate lets them pass; None when a fact is in no entry,
        when the reply has no word in common with any, or when it would not pass the gate for another reason.
    """
    evidence = [_Evidence(entry) for entry in entries]
    spans = sentence_spans(reply)
    pointers: list[int | None] = []
    for start, end in spans:
        sentence = reply[start:end]
        holding = [n for n, source in enumerate(evidence, 1) if not source.lack(sentence)]
        if not holding:
            return None
        previous = pointers[-1] if pointers else None
        pointers.append(_nearest(sentence, holding, evidence, previous))
    first = next((pointer for pointer in pointers if pointer), None)
    if first is None:  # nothing but "No, they do not.": the entry that says just that
        keys = {_key(reply[start:end]) for start, end in spans}
        first = next((n for n, source in enumerate(evidence, 1) if keys and keys <= source.sentences.keys()), None)
    if first is None:
        return None
    pieces: list[tuple[int, int, int]] = []
    for (start, end), pointer in zip(spans, pointers, strict=True):
        number = pointer or first
        if pieces and pieces[-1][0] == number:
            start = pieces.pop()[1]
        pieces.append((number, start, end))
    target = [(number, reply[start:end]) for number, start, end in pieces]
    return target if passes(target, entries) else None


def quote(entry: Entry, message: str) -> str:
    """Return what to quote of an entry: a short answer whole, else the run of sentences nearest to the message."""
    spans = sentence_spans(entry.answer)
    if len(spans) <= QUOTED_SENTENCES:
        return entry.answer.strip()
    asked = content_words(message)
    runs = [(spans[i][0], spans[i + QUOTED_SENTENCES - 1][1]) for i in range(len(spans) - QUOTED_SENTENCES + 1)]
    start, end = max(runs, key=lambda run: len(asked & content_words(entry.answer[run[0] : run[1]])))
    return entry.answer[start:end]


def _nearest(sentence: str, holding: list[int], evidence: list[_Evidence], previous: int | None) -> int | None:
    """Return the entry that shares the most words with a sentence, or None where its neighbour decides ("Yes.").

    Of equals the one that has the very sentence, then the one cited before, then the first.
    """
    words = content_words(sentence)
    overlap = {n: len(words & evidence[n - 1].words) for n in holding}
    best = max(holding, key=lambda n: (overlap[n], _key(sentence) in evidence[n - 1].sentences, n == previous, -n))
    return best if overlap[best] or has_facts(sentence) else previous


def passes(target: Sequence[tuple[int, str]], entries: Sequence[Entry]) -> bool:
    """Say whether a reply, given as (pointer, text) pairs, passes whole and as it is cut."""
    gate = Gate(entries)
    passed = gate.feed(" ".join(f"[{number}] {text}" for number, text in target)) + gate.close()
    return gate.violation is None and [(s.number, s.text) for s in passed] == list(target)


def _key(sentence: str) -> str:
    return " ".join(sentence.split()).casefold()


def _finished(text: str) -> str:
    """Return a text without its last sentence, unless that one ends as sentences do."""
    spans = sentence_spans(text)
    while spans and not re.search(r"[.!?…。！？][\"'”’»)\]*_]*\Z", text[spans[-1][0] : spans[-1][1]]):
        spans.pop()
    return text[: spans[-1][1]] if spans else ""


def _named(lacking: tuple[Fact, ...]) -> str:
    return ", ".join(fact.text for fact in lacking)
