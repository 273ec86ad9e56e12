"""Turns: from a customer's message to the reply, within the session of the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chatbot.errors import NotFoundError
from chatbot.store.conversations import as_kept, new_id, next_seq
from chatbot.store.records import FinalStatus, StoredMessage, TurnRecord
from chatbot.store.rows import label_rows, plain, turn_record
from chatbot.store.tables import ConversationTable, MessageTable, TurnTable
from chatbot.types import Decision, Reply, Understanding


def begin(session: Session, message_id: str) -> str:
    """Begin to answer a customer's message; see `Store.begin_turn`."""
    message = session.get(MessageTable, message_id)
    if message is None or message.role != "user":
        raise NotFoundError(f"message {message_id}: there is no such message of a customer.")
    seq = next_seq(session, message.conversation_id)
    earlier = present_reply(session, message_id)
    if earlier is not None:
        seq = _supersede(session, earlier, seq)
    now = datetime.now(UTC)
    reply = MessageTable(
        id=new_id(),
        conversation_id=message.conversation_id,
        visitor_id=message.visitor_id,
        seq=seq,
        role="assistant",
        author="bot",
        content="",
        created_at=now,
    )
    turn = TurnTable(id=new_id(), message_id=message_id, reply=reply, status="generating", started_at=now)
    session.add(turn)
    return turn.id


def save_partial(session: Session, turn_id: str, text: str) -> None:
    """Keep what a running turn has shown so far; see `Store.save_partial`."""
    turn = _turn(session, turn_id)
    if turn.status == "generating":
        turn.reply.content = text


def finish(
    session: Session,
    turn_id: str,
    reply: Reply,
    *,
    decision: Decision | None,
    understanding: Understanding | None,
    trace: Mapping[str, Any],
    status: FinalStatus,
) -> StoredMessage:
    """Keep a turn's reply with all that led to it; see `Store.finish_turn`."""
    turn = _turn(session, turn_id)
    turn.status, turn.finished_at, turn.trace = status, datetime.now(UTC), plain(trace)
    _keep_decision(turn, reply, decision)
    _keep_understanding(session, turn, understanding)
    row = turn.reply
    row.content, row.contact = reply.text, reply.contact
    row.author = "approved" if turn.kind == "approved" else "bot"
    row.citations = [asdict(citation) for citation in reply.citations]
    row.options = [asdict(option) for option in reply.options]
    conversation = session.get_one(ConversationTable, row.conversation_id)
    conversation.updated_at = turn.finished_at
    return as_kept(session, row)


def interrupt_running(session: Session) -> int:
    """Mark all running turns as interrupted and return how many; see `Store.recover`."""
    turns = session.scalars(select(TurnTable).where(TurnTable.status == "generating")).all()
    for turn in turns:
        turn.status = "interrupted"
    return len(turns)


def present_reply(session: Session, message_id: str) -> MessageTable | None:
    """Return the reply to a customer's message that is shown, or None."""
    query = (
        select(MessageTable)
        .join(TurnTable, TurnTable.reply_id == MessageTable.id)
        .where(TurnTable.message_id == message_id, ~MessageTable.superseded)
    )
    return session.scalars(query).one_or_none()


def every(session: Session, conversation_id: str) -> list[TurnRecord]:
    """Return all turns of a conversation; see `Store.turns`."""
    if session.get(ConversationTable, conversation_id) is None:
        raise NotFoundError(f"conversation {conversation_id}: there is no such conversation.")
    query = (
        select(TurnTable)
        .join(MessageTable, TurnTable.message_id == MessageTable.id)
        .where(MessageTable.conversation_id == conversation_id)
        .order_by(MessageTable.seq, TurnTable.started_at)
    )
    return [turn_record(row) for row in session.scalars(query)]


def _supersede(session: Session, earlier: MessageTable, free_seq: int) -> int:
    """Move a reply out of sight to `free_seq` and return the place that it leaves to the new one."""
    place, earlier.seq, earlier.superseded = earlier.seq, free_seq, True
    if earlier.turn is not None and earlier.turn.status == "generating":
        earlier.turn.status = "interrupted"
    session.flush()
    return place


def _keep_decision(turn: TurnTable, reply: Reply, decision: Decision | None) -> None:
    turn.kind = reply.kind or (decision.kind if decision else None)
    turn.reason = reply.reason or (decision.reason if decision else None)
    turn.entry_ids = list(decision.entry_ids) if decision else []
    turn.probability = float(decision.probability) if decision and decision.probability is not None else None


def _keep_understanding(session: Session, turn: TurnTable, understanding: Understanding | None) -> None:
    turn.labels = []
    session.flush()  # what an earlier finish left goes before the new rows come
    turn.labels = list(label_rows(understanding)) if understanding else []
    turn.intent = next((row.label for row in turn.labels if row.set_name == "intent"), None)


def _turn(session: Session, turn_id: str) -> TurnTable:
    turn = session.get(TurnTable, turn_id)
    if turn is None:
        raise NotFoundError(f"turn {turn_id}: there is no such turn; its conversation may have been erased.")
    return turn
