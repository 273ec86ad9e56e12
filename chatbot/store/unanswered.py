"""Finding what customers asked in vain: declined, or asked back, because no entry answers."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ScalarSelect, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from chatbot.readings import picked
from chatbot.store.records import UnansweredQuestion
from chatbot.store.tables import MessageTable, TurnTable
from chatbot.types import Option

T = TypeVar("T")
_NO_ENTRY = or_(
    and_(TurnTable.kind == "decline", TurnTable.reason == "nothing_fits"),
    and_(TurnTable.kind == "ask", TurnTable.reason == "unclear"),
)
_Question, _Reply, _Later = aliased(MessageTable), aliased(MessageTable), aliased(MessageTable)
_Answer = aliased(TurnTable)


def find(session: Session, limit: int) -> list[UnansweredQuestion]:
    """Return the latest questions that no entry answered; see `Store.unanswered`."""
    query = (
        select(
            _Question.id,
            _Question.content,
            _Question.created_at,
            _Reply.options,
            _offered_before(),
            _next(_Later.content, "user"),
            _next_reason(),
            _next(_Later.author, "assistant"),
            _next(_Later.content, "assistant"),
        )
        .select_from(TurnTable)
        .join(_Question, TurnTable.message_id == _Question.id)
        .join(_Reply, TurnTable.reply_id == _Reply.id)
        .where(TurnTable.status == "done", ~_Reply.superseded, _NO_ENTRY)
        .order_by(TurnTable.started_at.desc(), TurnTable.id)
        .limit(limit)
    )
    return [
        UnansweredQuestion(message_id, content, asked_at, said if author == "human" else "")
        for message_id, content, asked_at, options, before, following, reason, author, said in session.execute(query)
        if reason != "reading_picked"  # what was picked is an answer
        and (following not in [option["value"] for option in options if option.get("entry_id") is None])
        and picked([Option(**option) for option in before or ()], content) is None  # "the second one" is no question
    ]


def _offered_before() -> ScalarSelect[list[dict[str, Any]]]:
    """Return the options of the last shown reply before the question."""
    return (
        select(_Later.options)
        .where(
            _Later.conversation_id == _Question.conversation_id,
            _Later.seq < _Question.seq,
            _Later.role == "assistant",
            ~_Later.superseded,
        )
        .order_by(_Later.seq.desc())
        .limit(1)
        .correlate(_Question)
        .scalar_subquery()
    )


def _next_reason() -> ScalarSelect[str | None]:
    """Return why the customer's next message that got a whole reply got that one."""
    return (
        select(_Answer.reason)
        .join(_Later, _Answer.message_id == _Later.id)
        .where(_Later.conversation_id == _Reply.conversation_id, _Later.seq > _Reply.seq, _Answer.status == "done")
        .order_by(_Later.seq, _Answer.started_at.desc())
        .limit(1)
        .correlate(_Reply)
        .scalar_subquery()
    )


def _next(column: InstrumentedAttribute[T], role: str) -> ScalarSelect[T]:
    """Return a column of the next shown message of a role behind the reply."""
    return (
        select(column)
        .where(
            _Later.conversation_id == _Reply.conversation_id,
            _Later.seq > _Reply.seq,
            _Later.role == role,
            ~_Later.superseded,
        )
        .order_by(_Later.seq)
        .limit(1)
        .correlate(_Reply)
        .scalar_subquery()
    )
