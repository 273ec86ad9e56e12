"""Intercom: conversations with their parts, as the API gives them one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from chatbot.types import Author, Role
from finetune.importers.draft import (
    PRIVATE,
    REDACTED,
    Draft,
    Placed,
    Record,
    fields_of,
    identity_of,
    inner_of,
    is_export,
    list_of,
    members,
    record_of,
)
from finetune.importers.mail import html_or_plain
from finetune.records import RefusedError, shown

NAME = "Intercom"

# Parts in which somebody may have written; a part of another type says what happened to the conversation.
_SPOKEN = ("comment", "open", "close", "assignment", "quick_reply", "snoozed", "assign_and_unsnooze", "source")
_CUSTOMERS = ("user", "lead", "contact", "visitor")
_MACHINES = ("bot", "operator", "workflow", "fin")
# How a conversation begins that no person began: series, campaigns and custom bots.
_SENT_BY_MACHINES = ("automated", "campaigns_initiated", "campaign_initiated", "operator_initiated")


def recognises(value: object) -> bool:
    """Say whether a value is a conversation with parts, or a page of conversations."""
    return is_export(value, "conversations", _is_conversation)


def _is_conversation(value: object) -> bool:
    return isinstance(value, dict) and (
        isinstance(value.get("conversation_parts"), dict | list)
        or (value.get("type") == "conversation" and isinstance(value.get("source"), dict))
    )


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield each conversation: its source, which is the first message, then its parts."""
    for place, value, _ in members(values, "conversations"):
        yield record_of(place, partial(_conversation, value))


def _conversation(value: object) -> Draft:
    conversation = fields_of(value, "a conversation object")
    draft = Draft(identity_of(NAME, conversation.get("id")), tags=_tags(conversation))
    source = inner_of(conversation, "source")
    if source.get("body") is not None:
        by_machine = source.get("delivered_as") in _SENT_BY_MACHINES
        _part(draft, {**source, "part_type": "source", "created_at": None}, by_machine=by_machine)
    for part in _parts(conversation):
        _part(draft, fields_of(part, "a conversation part"), by_machine=False)
    return draft


def _parts(conversation: Mapping[str, Any]) -> list[Any]:
    inner = conversation.get("conversation_parts")
    if isinstance(inner, dict):
        return list_of(inner, "conversation_parts")
    return list_of(conversation, "conversation_parts")


def _tags(conversation: Mapping[str, Any]) -> list[str]:
    tags = inner_of(conversation, "tags").get("tags")
    named = [tag.get("name") for tag in (tags if isinstance(tags, list) else []) if isinstance(tag, dict)]
    return [name for name in named if isinstance(name, str)]


def _part(draft: Draft, part: Mapping[str, Any], *, by_machine: bool) -> None:
    kind = part.get("part_type")
    if not isinstance(kind, str):
        raise RefusedError(f'expected "part_type" to be a string, got {shown(kind)}')
    if kind.startswith("note") or kind.endswith("_note"):
        draft.leave_out(PRIVATE)
    elif kind not in _SPOKEN:
        draft.leave_out("event left out")
    elif part.get("redacted") is True:
        draft.leave_out(REDACTED)
    elif part.get("body") is None:
        draft.leave_out("event left out")
    else:
        role, author = _speaker(inner_of(part, "author"), part)
        text = html_or_plain(part, "body")
        draft.say(role, text, time=part.get("created_at"), author="bot" if by_machine and author else author)


def _speaker(author: Mapping[str, Any], part: Mapping[str, Any]) -> tuple[Role, Author | None]:
    kind, email = author.get("type"), author.get("email")
    if kind in _CUSTOMERS:
        return "user", None
    if kind in _MACHINES:
        return "assistant", "bot"
    if kind not in ("admin", "team"):
        raise RefusedError(f"expected an author of type user, lead, admin or bot, got {shown(kind)}")
    # Operator is the bot of every workspace and stands there as an admin; AI answers carry a mark.
    is_operator = isinstance(email, str) and email.startswith("operator+")
    marks = (holder.get(key) for holder in (author, part) for key in ("from_ai_agent", "is_ai_answer"))
    return "assistant", "bot" if is_operator or any(mark not in (None, False) for mark in marks) else "human"
