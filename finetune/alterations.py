# ruff: noqa: SIM905 - word lists are read as text
"""Evidence said otherwise: one fact of an entry and of the answer that quotes it, changed alike in both.

What the weights remember of an entry is wrong then, so only reading helps. An alteration that cannot be made
cleanly is not made: every place that says the fact must change, whatever was more or less than the fact stays
so, and the gate must let the new answer pass with the new entries, and with the old ones neither it nor, with
the new ones, the old answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from chatbot.facts import Fact, facts, family, placed_facts
from chatbot.gate import passes
from chatbot.sentences import sentences
from chatbot.units import same_unit
from finetune.polarity import flipped
from finetune.values import forms
from knowledge_base.entry import Entry

Pointed = tuple[tuple[int, str], ...]  # (pointer from 1, text)
Rewrite = Callable[[str], str | None]  # None: the text cannot be rewritten cleanly

YES_NO, NAME = "yes/no", "name"
# Invented, so that no altered name is one that an entry may know.
_INVENTED = tuple(
    "Alderby Brenwick Corvane Dunmere Elsworth Fenwright Garrowby Haldene Irvale Jorwick Kelmarsh Lorvane "
    "Marrick Norvale Ormsley Penhurst Quarrow Rothmere Selwick Torvale Ulverby Varnholt Wexmoor Yarrowby".split()
)
_CAPITALS = r"[A-Z][a-z]{2,}"
_NAME = re.compile(rf"(?<![\w'’-])[a-z][a-z'’-]*,? ({_CAPITALS}(?: {_CAPITALS})*)(?![\w-])")  # within a sentence


@dataclass(frozen=True, slots=True)
class Alteration:
    """What was changed: its kind (one of `Fact.kind`, "yes/no" or "name"), and how it was and is said.

    `values` are the old and the new fact where a fact of `chatbot.facts` was changed.
    """

    kind: str
    old: str
    new: str
    values: tuple[Fact, Fact] | None = None

    def old_in(self, text: str) -> bool:
        """Say whether a text states what was."""
        return self._in(text, self.old, self.values and self.values[0])

    def new_in(self, text: str) -> bool:
        """Say whether a text states what is now."""
        return self._in(text, self.new, self.values and self.values[1])

    def _in(self, text: str, said: str, fact: Fact | None) -> bool:
        if fact:
            return any(_same(fact, found) for found in facts(text))
        words = r"\s+".join(re.escape(word) for word in said.split())
        return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Altered:
    """Entries and the answer that rests on them, (pointer, text) a piece, after one alteration."""

    entries: tuple[Entry, ...]
    answer: Pointed
    alteration: Alteration


def alterations(
    entries: Sequence[Entry], answer: Pointed, said: Sequence[str], chance: random.Random
) -> Iterator[Altered]:
    """Yield the entries and the answer with one fact changed, each time another fact; nothing where no change is clean.

    Args:
        entries: those shown; only those that the answer points at change.
        answer: the reply written from them.
        said: the conversation's messages; what they name is not changed.
        chance: chooses the facts and their new values.
    """
    kinds = [
        _other_values(entries, answer, said, chance),
        _other_answer(entries, answer),
        _other_names(entries, answer, said, chance),
    ]
    chance.shuffle(kinds)
    return chain.from_iterable(kinds)


def _other_values(
    entries: Sequence[Entry], answer: Pointed, said: Sequence[str], chance: random.Random
) -> Iterator[Altered]:
    """Yield changes of a number, price, date, time, weekday, code or phone number of the answer."""
    stated = list({fact: None for _, text in answer for fact in facts(text)})
    named = [fact for text in said for fact in facts(text)]
    around = [*named, *(fact for n, _ in answer for text in _texts(entries[n - 1]) for fact in facts(text))]
    chance.shuffle(stated)
    for fact in stated:
        if any(_same(fact, other) for other in named):
            continue
        for changed in forms(fact, chance):
            found = _applied(_Reworded(fact, changed), entries, answer)
            values = found and _read_back(fact, answer, found[1])
            if found and values and _keeps_order(*values, around) and _is_clean(entries, answer, *found):
                yield Altered(*found, Alteration(fact.kind, values[0].text, values[1].text, values))
                break


def _other_answer(entries: Sequence[Entry], answer: Pointed) -> Iterator[Altered]:
    """Yield the answer turned from yes to no, or from no to yes; what explained the old one is left out."""
    if len(answer) != 1:
        return
    ((number, text),) = answer
    entry = entries[number - 1]
    first = next(iter(sentences(text)), "")
    turned = flipped(first, entry.question) if first == next(iter(sentences(entry.answer)), None) else None
    if turned:
        changed = tuple(replace(e, answer=turned.sentence) if n == number else e for n, e in enumerate(entries, 1))
        yield Altered(changed, ((number, turned.sentence),), Alteration(YES_NO, turned.old, turned.new))


def _other_names(
    entries: Sequence[Entry], answer: Pointed, said: Sequence[str], chance: random.Random
) -> Iterator[Altered]:
    """Yield changes of a name that the answer gives away and nobody asked for."""
    cited = [entries[n - 1] for n in sorted({n for n, _ in answer})]
    known = "\n".join([*said, *(text for entry in cited for text in (entry.question, entry.subject))])
    whole = "\n".join(text for entry in cited for text in (*_texts(entry), entry.subject, entry.category, entry.url))
    names = list({name: None for _, text in answer for name in _NAME.findall(text)})
    new = chance.choice(_INVENTED)
    chance.shuffle(names)
    for name in names:
        first = name.split()[0]
        asked = any(word.casefold() in known.casefold() for word in name.split())
        ordinary = first.lower() in whole  # "press Cancel" names a button; "stagway.example" would not change
        dated = any(first in fact.text for fact in facts(whole))
        found = None if asked or ordinary or dated else _applied(_Renamed(name, new), entries, answer)
        if found and new not in whole and all(first not in text for text in _all_texts(*found)):
            yield Altered(*found, Alteration(NAME, name, new))


@dataclass(frozen=True, slots=True)
class _Renamed:
    """Says another name wherever the name stands as a whole."""

    name: str
    new: str

    def __call__(self, text: str) -> str:
        return re.sub(rf"(?<![\w-]){self.name}(?![\w-])", self.new, text)


@dataclass(frozen=True, slots=True)
class _Reworded:
    """Says a fact otherwise wherever it stands; `changed` holds the ways to write the old value and the new one."""

    fact: Fact
    changed: dict[str, str]

    def __call__(self, text: str) -> str | None:
        for start, fact in reversed(placed_facts(text)):
            if _same(self.fact, fact):
                said = self._said_otherwise(text[start : start + len(fact.text)])
                if said is None:
                    return None
                text = text[:start] + said + text[start + len(fact.text) :]
        return text

    def _said_otherwise(self, piece: str) -> str | None:
        ways = "|".join(re.escape(way) for way in sorted(self.changed, key=len, reverse=True))
        found = list(re.finditer(rf"(?<![\d:])(?:{ways})(?!\d|[.,]\d)", piece, re.IGNORECASE))
        if len(found) != 1:
            return None
        (match,) = found
        new = next(self.changed[way] for way in self.changed if way.casefold() == match[0].casefold())
        if match[0].islower() or match[0].isupper():
            new = new.lower() if match[0].islower() else new.upper()
        elif match[0].istitle():
            new = new.capitalize()
        return piece[: match.start()] + new + piece[match.end() :]


def _applied(rewrite: Rewrite, entries: Sequence[Entry], answer: Pointed) -> tuple[tuple[Entry, ...], Pointed] | None:
    """Return the cited entries and the answer rewritten; None where it cannot be done or the answer stays the same."""
    cited = {number for number, _ in answer}
    changed = [_rewritten(entry, rewrite) if n in cited else entry for n, entry in enumerate(entries, 1)]
    pieces = [(number, rewrite(text)) for number, text in answer]
    if any(entry is None for entry in changed) or any(text is None for _, text in pieces):
        return None
    written = tuple((number, text or "") for number, text in pieces)
    return (tuple(entry for entry in changed if entry), written) if written != answer else None


def _rewritten(entry: Entry, rewrite: Rewrite) -> Entry | None:
    texts = [rewrite(text) for text in _texts(entry)]
    if any(text is None for text in texts):
        return None
    question, answer, heading, *alternatives = (text or "" for text in texts)
    return replace(entry, question=question, answer=answer, heading=heading, alternatives=tuple(alternatives))


def _texts(entry: Entry) -> tuple[str, ...]:
    return (entry.question, entry.answer, entry.heading, *entry.alternatives)


def _all_texts(entries: Sequence[Entry], answer: Pointed) -> Iterator[str]:
    yield from (text for n in {n for n, _ in answer} for text in _texts(entries[n - 1]))
    yield from (text for _, text in answer)


def _read_back(fact: Fact, before: Pointed, after: Pointed) -> tuple[Fact, Fact] | None:
    """Return the fact and what became of it, if the answer reads as before but for this one value."""
    old = [found for _, text in before for found in facts(text)]
    new = [found for _, text in after for found in facts(text)]
    if len(old) != len(new):
        return None
    pairs = [(a, b) for a, b in zip(old, new, strict=True) if (a.kind, a.value, a.unit) != (b.kind, b.value, b.unit)]
    if not pairs or any(not _same(fact, a) or (a.kind, a.unit, a.per) != (b.kind, b.unit, b.per) for a, b in pairs):
        return None
    return pairs[0] if len({b.value for _, b in pairs}) == 1 else None


def _keeps_order(old: Fact, new: Fact, others: Sequence[Fact]) -> bool:
    """Say whether what was more than the fact, or less, or as much, still is: "free from $80, so at $89" stays true."""
    return all(
        (size(other) > size(old)) - (size(other) < size(old)) == (size(other) > size(new)) - (size(other) < size(new))
        for other in others
        if other.kind == old.kind and _same_unit(other, old) and not _same(other, old)
    )


def size(fact: Fact) -> float:
    """Return how much a fact is: a number, the minutes of a day, the days of a year; 0 for what cannot be compared."""
    try:
        if fact.kind == "time":
            hour, minute = fact.value.split(":")
            return 60 * int(hour) + int(minute)
        if fact.kind == "date":
            _, month, day = fact.value.split("-")
            return 31 * int(month) + int(day)
        return float(fact.value) if fact.kind in ("number", "price", "percent") else 0.0
    except ValueError:  # "*-03-*", "1.2.3"
        return 0.0


def _is_clean(entries: Sequence[Entry], answer: Pointed, changed: Sequence[Entry], written: Pointed) -> bool:
    return passes(written, changed) and not passes(written, entries) and not passes(answer, changed)


def _same(one: Fact, other: Fact) -> bool:
    """Say whether two facts are one; where only one of them has a unit, they may be."""
    return one.value == other.value and family(one) == family(other) and _same_unit(one, other)


def _same_unit(one: Fact, other: Fact) -> bool:
    return not one.unit or not other.unit or same_unit(one.unit, other.unit)
