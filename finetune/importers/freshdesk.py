"""Freshdesk: tickets with their conversations, as the API gives them with `include=conversations`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from finetune.importers.draft import (
    PRIVATE,
    REDACTED,
    Draft,
    Placed,
    Record,
    fields_of,
    has_object_with,
    identity_of,
    is_export,
    list_of,
    members,
    record_of,
)
from finetune.importers.mail import html_or_plain

NAME = "Freshdesk"

_OUTBOUND = 10  # the `source` of a ticket that the company opened by a mail of its own
_MACHINE_MARKS = ("auto_response", "automation_id", "automation_type_id", "bot_id")


def recognises(value: object) -> bool:
    """Say whether a value is a ticket with conversations, or a page of tickets."""
    return is_export(value, "tickets", _is_ticket)


def _is_ticket(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("conversations"), list):
        return False
    described = "description" in value or "description_text" in value
    said = value["conversations"]
    return (described and not said) or has_object_with(said, ("incoming", "body_text"))


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield a conversation a ticket: its description, then what was written to and fro."""
    for place, value, _ in members(values, "tickets"):
        yield record_of(place, partial(_ticket, value))


def _ticket(value: object) -> Draft | str:
    ticket = fields_of(value, "a ticket object")
    if ticket.get("spam") is True or ticket.get("deleted") is True:
        return "ticket that is deleted or spam left out"
    draft = Draft(identity_of(NAME, ticket.get("id")), tags=ticket.get("tags"))
    described = html_or_plain(ticket, "description", "description_text")
    if described and ticket.get("source") == _OUTBOUND:
        draft.say("assistant", described, author="human")
    elif described:
        draft.say("user", described)
    for message in list_of(ticket, "conversations"):
        _message(draft, fields_of(message, "a conversation object"))
    return draft


def _message(draft: Draft, message: Mapping[str, Any]) -> None:
    # Anything but a clear "no" keeps a message private.
    if message.get("private") is not False:
        draft.leave_out(PRIVATE)
        return
    if message.get("deleted") is True:
        draft.leave_out(REDACTED)
        return
    text = html_or_plain(message, "body", "body_text")
    time = message.get("created_at")
    if message.get("incoming") is True:
        draft.say("user", text, time=time)
    else:
        is_machine = any(message.get(mark) not in (None, False) for mark in _MACHINE_MARKS)
        draft.say("assistant", text, time=time, author="bot" if is_machine else "human")
