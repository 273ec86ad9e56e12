"""The conversations as transcripts, in the file format that the fine-tuning reads.

Only what a customer saw and what a person confirmed goes out: superseded, cut off and failed replies do not, and a
prediction of the bot is not a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chatbot.store.tables import ConversationTable, LabelTable, MessageTable, TurnTable

RATED_DOWN = "rated_down"
_NEXT_STEPS = {"approved": "answer", "grounded": "answer"}  # transcripts know one word for both kinds


def conversation_ids(session: Session) -> Sequence[str]:
    """Return the ids of all conversations, oldest first."""
    return session.scalars(
        select(ConversationTable.id).order_by(ConversationTable.created_at, ConversationTable.id)
    ).all()


def transcripts(session: Session, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the conversations of these ids in this order, without those of which nothing can be handed on."""
    shown = MessageTable.conversation_id.in_(ids) & ~MessageTable.superseded
    conversations: dict[str, list[MessageTable]] = {conversation_id: [] for conversation_id in ids}
    for row in session.scalars(select(MessageTable).where(shown).order_by(MessageTable.seq)):
        conversations[row.conversation_id].append(row)
    confirmed = _confirmed_intents(session, ids)
    made = (_transcript(conversation_id, rows, confirmed) for conversation_id, rows in conversations.items())
    return [transcript for transcript in made if transcript["messages"]]


def _transcript(conversation_id: str, rows: list[MessageTable], confirmed: dict[str, list[str]]) -> dict[str, Any]:
    messages = [_message(row, confirmed.get(row.id, [])) for row in rows if _was_said(row)]
    rated_down = any(row.rating is not None and row.rating.value == "down" for row in rows)
    return {"id": conversation_id, "messages": messages, **({"tags": [RATED_DOWN]} if rated_down else {})}


def _was_said(row: MessageTable) -> bool:
    return bool(row.content.strip()) and (row.turn is None or row.turn.status == "done")


def _message(row: MessageTable, intents: list[str]) -> dict[str, Any]:
    if row.role == "user":
        return {"role": "user", "content": row.content, **({"intent": intents} if intents else {})}
    message: dict[str, Any] = {"role": "assistant", "content": row.content, "author": row.author}
    if row.turn is not None and row.turn.kind is not None:
        message["action"] = _NEXT_STEPS.get(row.turn.kind, row.turn.kind)
    if row.citations:
        message["evidence"] = [citation["entry_id"] for citation in row.citations]
    if row.author == "bot":
        message["ai_generated"] = True
    return message


def _confirmed_intents(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    query = (
        select(TurnTable.message_id, LabelTable.label)
        .join(LabelTable, LabelTable.turn_id == TurnTable.id)
        .join(MessageTable, MessageTable.id == TurnTable.message_id)
        .where(
            MessageTable.conversation_id.in_(ids),
            LabelTable.set_name == "intent",
            LabelTable.witness == "person",
        )
        .order_by(LabelTable.id)
    )
    intents: dict[str, list[str]] = {}
    for message_id, label in session.execute(query):
        if label not in intents.setdefault(message_id, []):
            intents[message_id].append(label)
    return intents
