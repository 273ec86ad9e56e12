"""Judged questions: what customers asked in queries and chats, what may answer each, and what does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chatbot.types import Message, said_before
from knowledge_base.candidates import Candidates, HeldOut
from knowledge_base.command import progress
from knowledge_base.entry import Hit
from knowledge_base.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from finetune.records import Transcript
    from knowledge_base.queries import Query
    from knowledge_base.search import KnowledgeBase


@dataclass(frozen=True, slots=True)
class Case:
    """A question in its conversation, what may answer it, the entries that do (none: nothing does), and the hits."""

    messages: tuple[Message, ...]
    candidates: Candidates
    relevant: frozenset[str]
    hits: tuple[Hit, ...] = ()

    @property
    def judged(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The features (n, len(FEATURES)) of the n candidates, and which of them (n,) answer."""
        return self.candidates.features, self.candidates.answering(self.relevant)

    def right(self, count: int) -> bool:
        """Say whether one of the first hits answers."""
        return any(hit.entry.id in self.relevant for hit in self.hits[:count])


def query_cases(knowledge: KnowledgeBase, queries: Sequence[Query]) -> list[Case]:
    """Return the judged queries with what may answer them."""
    cases = []
    for query in queries:
        if query.relevant is None:
            continue
        messages = tuple(Message(_role(role), content) for role, content in query.messages)
        candidates = knowledge.candidates(query.text, history=query.history)
        cases.append(Case(messages, candidates, frozenset(query.relevant)))
    return cases


def with_unanswerable(cases: Sequence[Case]) -> list[Case]:
    """Return the cases; where each has an answer, they are asked once more with the entries held out that answer them."""
    return [*cases, *(map(_without_answer, cases) if all(case.relevant for case in cases) else ())]


def _without_answer(case: Case) -> Case:
    """Return the question as it is where the entries that answer it do not exist."""
    found = case.candidates
    kept = ~found.answering(case.relevant)
    return Case(case.messages, Candidates(found.of, found.places[kept], found.features[kept]), frozenset())


def _role(role: str) -> Any:
    return "user" if role == "user" else "assistant"


def chat_cases(knowledge: KnowledgeBase, chats: Sequence[Transcript], held_out: HeldOut | None = None) -> list[Case]:
    """Return the turns whose reply rests on entries, and those that were declined: nothing answers them."""
    cases: list[Case] = []
    with progress("searching", len(chats)) as advance:
        for chat in chats:
            cases += _turns(knowledge, chat, held_out)
            advance(1)
    return cases


def _turns(knowledge: KnowledgeBase, chat: Transcript, held_out: HeldOut | None) -> Iterator[Case]:
    from finetune.data import by_bot, supporting

    for index, message in enumerate(chat.messages[:-1]):
        reply = chat.messages[index + 1]
        if message.role != "user" or reply.role != "assistant" or by_bot(reply):
            continue
        relevant = supporting(knowledge, reply)
        if not relevant and reply.action != "decline":
            continue
        replies = [m for m in chat.messages[:index] if m.role == "assistant"]
        recent = [i for m in replies[-2:] for i in m.evidence]
        before = said_before(chat.messages, index)
        candidates = knowledge.candidates(message.content, history=before, recent=recent, held_out=held_out)
        yield Case(chat.messages[: index + 1], candidates, relevant)


def own_cases(knowledge: KnowledgeBase) -> list[Case]:
    """Ask the knowledge its own alternatives, each held out, and each entry's question with the entry held out.

    Raises:
        InputError: no entry has an alternative.
    """
    cases = []
    for entry in knowledge.entries.values():
        if entry.visibility != "public":
            continue
        for number, text in enumerate((entry.question, *entry.alternatives)):
            # The question itself is asked without the whole entry: then nothing answers it.
            held_out = HeldOut(entry.id, number or None)
            candidates = knowledge.candidates(text, held_out=held_out)
            cases.append(Case((Message("user", text),), candidates, frozenset([entry.id] if number else [])))
    if not any(case.relevant for case in cases):
        raise InputError(
            "--queries: expected questions to fit on; the knowledge has no alternatives to ask instead. Give a file."
        )
    return cases
