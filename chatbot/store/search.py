"""Finding conversations for an operator."""

from __future__ import annotations

from typing import cast

from sqlalchemy import ColumnElement, ScalarSelect, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from chatbot.store.records import ConversationFilter, ConversationRow
from chatbot.store.tables import ConversationTable, MessageTable, RatingTable, TurnTable
from chatbot.types import Kind


def find(session: Session, wanted: ConversationFilter, limit: int, offset: int) -> list[ConversationRow]:
    """Return the conversations that fit `wanted`, the one last written in first."""
    query = (
        select(
            ConversationTable,
            _messages(),
            _ratings("up"),
            _ratings("down"),
            _last(TurnTable.kind),
            _last(TurnTable.intent),
            _lowest_probability(),
        )
        .where(*_conditions(wanted))
        .order_by(ConversationTable.updated_at.desc(), ConversationTable.id)
        .limit(limit)
        .offset(offset)
    )
    return [
        ConversationRow(
            row.id, row.visitor_id, row.title, row.created_at, row.updated_at,
            messages, up, down, cast(Kind | None, kind), intent, lowest,
        )
        for row, messages, up, down, kind, intent, lowest in session.execute(query)
    ]  # fmt: skip


def intents(session: Session) -> list[str]:
    """Return the intents of all turns, sorted."""
    query = select(TurnTable.intent).where(TurnTable.intent.is_not(None)).distinct().order_by(TurnTable.intent)
    return [intent for intent in session.scalars(query) if intent]


def _conditions(wanted: ConversationFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(ConversationTable.updated_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(ConversationTable.created_at < wanted.until)
    if wanted.text:
        conditions.append(_contains(wanted.text))
    if reply := _reply_conditions(wanted):
        conditions.append(
            select(TurnTable.id)
            .join(MessageTable, TurnTable.reply_id == MessageTable.id)
            .outerjoin(RatingTable, RatingTable.message_id == MessageTable.id)
            .where(_shown(), *reply)
            .correlate(ConversationTable)
            .exists()
        )
    return conditions


def _reply_conditions(wanted: ConversationFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.rating is not None:
        conditions.append(RatingTable.value == wanted.rating)
    if wanted.kind is not None:
        conditions.append(TurnTable.kind == wanted.kind)
    if wanted.intent is not None:
        conditions.append(TurnTable.intent == wanted.intent)
    if wanted.max_probability is not None:
        conditions.append(TurnTable.probability <= wanted.max_probability)
    return conditions


def _contains(text: str) -> ColumnElement[bool]:
    needle = text.casefold()
    return or_(
        func.instr(func.casefold(ConversationTable.visitor_id), needle) > 0,
        exists()
        .where(_shown(), func.instr(func.casefold(MessageTable.content), needle) > 0)
        .correlate(ConversationTable),
    )


def _shown() -> ColumnElement[bool]:
    return (MessageTable.conversation_id == ConversationTable.id) & ~MessageTable.superseded


def _messages() -> ScalarSelect[int]:
    return select(func.count()).where(_shown()).correlate(ConversationTable).scalar_subquery()


def _ratings(value: str) -> ScalarSelect[int]:
    return (
        select(func.count())
        .select_from(MessageTable)
        .join(RatingTable, RatingTable.message_id == MessageTable.id)
        .where(_shown(), RatingTable.value == value)
        .correlate(ConversationTable)
        .scalar_subquery()
    )


def _last(column: InstrumentedAttribute[str | None]) -> ScalarSelect[str | None]:
    return (
        select(column)
        .join(MessageTable, TurnTable.reply_id == MessageTable.id)
        .where(_shown())
        .order_by(MessageTable.seq.desc())
        .limit(1)
        .correlate(ConversationTable)
        .scalar_subquery()
    )


def _lowest_probability() -> ScalarSelect[float]:
    return (
        select(func.min(TurnTable.probability))
        .join(MessageTable, TurnTable.reply_id == MessageTable.id)
        .where(_shown())
        .correlate(ConversationTable)
        .scalar_subquery()
    )
