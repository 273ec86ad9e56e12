"""Finding what customers asked in vain: declined, or asked back, because no entry answers."""

from __future__ import annotations

from typing import TypeVar

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


def find(session: Session, limit: int) -> list[UnansweredQuestion]:
    """Return the latest questions that no entry answered; see `Store.unanswered`."""
    query = (
        select(
            _Question.id,
            _Question.content,
            _Question.created_at,
            _Reply.options,
            _next(_Later.content, "user"),
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
        for message_id, content, asked_at, options, following, author, said in session.execute(query)
        if not picked([Option(**option) for option in options], following or "")  # what was picked is an answer
    ]


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
