"""What the probes of reading count: whether an answer follows a changed fact, repeats the old one, or refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatbot import gate
from chatbot.types import Message
from finetune.alterations import Alteration
from finetune.card import wilson
from knowledge_base.entry import Entry
from knowledge_base.queries import Query


@dataclass(frozen=True, slots=True)
class Case:
    """A question, the entry that answers it, and that entry with one fact changed."""

    query: Query
    entry: Entry
    altered: Entry
    alteration: Alteration

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation up to the question."""
        return tuple(Message("user" if role == "user" else "assistant", text) for role, text in self.query.messages)


@dataclass(frozen=True, slots=True)
class Written:
    """What came out for a case: text without pointers, whether it refuses, and the entries that were shown.

    `support` is the likeliest label that the model read off the entries; of the bot it is the kind of its reply.
    """

    text: str
    refused: bool
    shown: tuple[Entry, ...] = ()
    support: str = ""


Judge = Callable[["Case", "Written"], bool]


def summary(cases: Sequence[Case], written: Mapping[str, Sequence[Written]]) -> dict[str, Any]:
    """Return the shares of every probe.

    The refusal of the raw writer is silence; beside it stands how often `support` is likeliest "none".
    """
    altered = list(zip(cases, written["altered"], strict=True))
    removed = list(zip(cases, written["removed"], strict=True))
    closed = list(zip(cases, written["closed book"], strict=True))
    return {
        "altered: follows": share(altered, follows),
        "altered: old fact stated": share(altered, lambda case, out: case.alteration.old_in(out.text)),
        "altered: refused": share(altered, lambda _case, out: out.refused),
        "altered: support none": share(altered, lambda _case, out: out.support == "none"),
        "removed: old fact appears": share(removed, lambda case, out: case.alteration.old_in(out.text)),
        "removed: it stands in no entry shown": share(removed, remembered),
        "removed: refused": share(removed, lambda _case, out: out.refused),
        "removed: support none": share(removed, lambda _case, out: out.support == "none"),
        "closed book: states a fact": share(closed, invents),
        "closed book: states the old fact": share(closed, lambda case, out: case.alteration.old_in(out.text)),
        "closed book: refused": share(closed, lambda _case, out: out.refused),
    }


def follows(case: Case, out: Written) -> bool:
    """Say whether an answer states the new fact and not the old one."""
    return case.alteration.new_in(out.text) and not case.alteration.old_in(out.text)


def remembered(case: Case, out: Written) -> bool:
    """Say whether the old fact appears although no entry that was shown holds it."""
    held = any(case.alteration.old_in(f"{entry.question}\n{entry.answer}") for entry in out.shown)
    return case.alteration.old_in(out.text) and not held


def invents(case: Case, out: Written) -> bool:
    """Say whether a text states a fact that nobody said in the conversation."""
    violation = gate.ungrounded(out.text, [message.content for message in case.messages])
    return violation is not None and violation.kind == "unsupported_fact"


def share(rows: Sequence[tuple[Case, Written]], judge: Judge) -> dict[str, Any]:
    """Return how many rows a judge finds, of how many, with Wilson's interval at 95 %."""
    return counted(sum(judge(case, out) for case, out in rows), len(rows))


def counted(found: int, n: int) -> dict[str, Any]:
    """Return a share with its count and interval; without rows neither is known."""
    if not n:
        return {"n": 0, "found": 0, "share": None, "interval": None}
    low, high = wilson(found, n)
    return {"n": n, "found": found, "share": round(found / n, 4), "interval": [round(low, 4), round(high, 4)]}


def kinds(cases: Sequence[Case]) -> dict[str, int]:
    """Return how many facts of each kind were changed."""
    found = [case.alteration.kind for case in cases]
    return {kind: found.count(kind) for kind in sorted(set(found))}


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report as text for people."""
    yield f"{report['cases']} entries: " + ", ".join(f"{n} {kind}" for kind, n in report["kinds"].items())
    for level in ("raw writer", "whole bot"):
        for name, found in report.get(level, {}).items():
            low, high = found["interval"] or (0.0, 0.0)
            rate = f"{found['share']:7.1%}  {low:.1%}-{high:.1%}" if found["n"] else "      -"
            yield f"{level:11} {name:38} {found['found']:>4} of {found['n']:>4} {rate}"
