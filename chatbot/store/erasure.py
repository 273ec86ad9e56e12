"""Deleting all that is kept about one visitor."""

from __future__ import annotations

from sqlalchemy import CursorResult, Delete, delete, select
from sqlalchemy.orm import Session

from chatbot.store.tables import ConversationTable, LabelTable, MessageTable, RatingTable, TurnTable


def delete_visitor(session: Session, visitor_id: str) -> dict[str, int]:
    """Delete a visitor's rows and return how many by table, from the leaves to the conversations."""
    messages = select(MessageTable.id).where(MessageTable.visitor_id == visitor_id)
    turns = select(TurnTable.id).where(TurnTable.message_id.in_(messages))
    statements: dict[str, Delete] = {
        "ratings": delete(RatingTable).where(RatingTable.message_id.in_(messages)),
        "labels": delete(LabelTable).where(LabelTable.turn_id.in_(turns)),
        "turns": delete(TurnTable).where(TurnTable.message_id.in_(messages)),
        "messages": delete(MessageTable).where(MessageTable.visitor_id == visitor_id),
        "conversations": delete(ConversationTable).where(ConversationTable.visitor_id == visitor_id),
    }
    return {table: _count(session, statement) for table, statement in statements.items()}


def _count(session: Session, statement: Delete) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)  # noqa: S101 (what SQLAlchemy returns for a DELETE)
    return result.rowcount
