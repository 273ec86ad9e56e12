"""A visitor's conversations and messages, within the session of the caller."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chatbot.errors import NotFoundError
from chatbot.store.records import ConversationSummary, Rating, StoredMessage
from chatbot.store.rows import stored_message
from chatbot.store.tables import ConversationTable, MessageTable, RatingTable
from chatbot.types import TurnRequest

_TITLE_CHARACTERS = 60


def add(session: Session, request: TurnRequest) -> StoredMessage:
    """Keep a customer's message, or find it by its `client_message_id`; see `Store.add_message`."""
    row = _by_client_id(session, request)
    if row is None:
        conversation = _conversation_for(session, request)
        row = MessageTable(
            id=new_id(),
            conversation_id=conversation.id,
            visitor_id=request.visitor_id,
            seq=next_seq(session, conversation.id),
            role="user",
            content=request.content,
            client_message_id=request.client_message_id or None,
            created_at=conversation.updated_at,
        )
        session.add(row)
    return as_kept(session, row)


def messages(session: Session, conversation_id: str, visitor_id: str) -> list[StoredMessage]:
    """Return the messages of a visitor's conversation; see `Store.conversation`."""
    _owned(session, conversation_id, visitor_id)
    query = (
        select(MessageTable)
        .where(MessageTable.conversation_id == conversation_id, ~MessageTable.superseded)
        .order_by(MessageTable.seq)
    )
    return [stored_message(row) for row in session.scalars(query)]


def summaries(session: Session, visitor_id: str, limit: int) -> list[ConversationSummary]:
    """Return a visitor's conversations, the one last written in first."""
    query = (
        select(ConversationTable)
        .where(ConversationTable.visitor_id == visitor_id)
        .order_by(ConversationTable.updated_at.desc(), ConversationTable.id)
        .limit(limit)
    )
    return [ConversationSummary(row.id, row.title, row.updated_at) for row in session.scalars(query)]


def rate(session: Session, message_id: str, visitor_id: str, value: Rating | None, comment: str) -> None:
    """Keep a visitor's thumb on a reply; see `Store.rate`."""
    row = session.get(MessageTable, message_id)
    if row is None or row.visitor_id != visitor_id or row.role != "assistant":
        raise NotFoundError(f"message {message_id}: there is no such reply for this visitor.")
    earlier = session.get(RatingTable, message_id)
    if earlier is not None:
        session.delete(earlier)
        session.flush()
    if value is not None:
        session.add(RatingTable(message_id=message_id, value=value, comment=comment, created_at=datetime.now(UTC)))


def new_id() -> str:
    """Return an id that nobody can guess."""
    return uuid.uuid4().hex


def next_seq(session: Session, conversation_id: str) -> int:
    """Return the first free place of a conversation."""
    query = select(func.coalesce(func.max(MessageTable.seq), 0)).where(MessageTable.conversation_id == conversation_id)
    return session.scalars(query).one() + 1


def as_kept(session: Session, row: MessageTable) -> StoredMessage:
    """Return the record of what the database holds, not of what it was given."""
    session.flush()
    session.expire_all()
    return stored_message(row)


def _by_client_id(session: Session, request: TurnRequest) -> MessageTable | None:
    if not request.client_message_id:
        return None
    query = select(MessageTable).where(
        MessageTable.visitor_id == request.visitor_id, MessageTable.client_message_id == request.client_message_id
    )
    return session.scalars(query).one_or_none()


def _conversation_for(session: Session, request: TurnRequest) -> ConversationTable:
    now = datetime.now(UTC)
    if request.conversation_id is not None:
        row = _owned(session, request.conversation_id, request.visitor_id)
        row.updated_at = now
        return row
    title = " ".join(request.content.split())[:_TITLE_CHARACTERS]
    row = ConversationTable(id=new_id(), visitor_id=request.visitor_id, title=title, created_at=now, updated_at=now)
    session.add(row)
    session.flush()
    return row


def _owned(session: Session, conversation_id: str, visitor_id: str) -> ConversationTable:
    row = session.get(ConversationTable, conversation_id)
    if row is None or row.visitor_id != visitor_id:
        raise NotFoundError(f"conversation {conversation_id}: there is no such conversation for this visitor.")
    return row
