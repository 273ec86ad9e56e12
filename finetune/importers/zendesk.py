"""Zendesk: tickets with their comments, as the API and the JSON export of an account give them."""

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
    has_object_with,
    identity_of,
    inner_of,
    is_export,
    list_of,
    members,
    name_of,
    record_of,
)
from finetune.importers.mail import html_or_plain
from finetune.records import RefusedError

NAME = "Zendesk"

_REDACTED_MARK = "▇"
# Who speaks where no person does: triggers and automations, and the bots that answer for the company.
_MACHINES = ("rule", "answer_bot", "bot", "ai_agent", "automation", "system")


def recognises(value: object) -> bool:
    """Say whether a value is a ticket with comments, or a page of tickets."""
    return is_export(value, "tickets", _is_ticket)


def _is_ticket(value: object) -> bool:
    ticket = _with_inner(value) if isinstance(value, dict) else {}
    if not isinstance(ticket.get("comments"), list):
        return False
    keys = ("requester_id", "requester", "ticket")
    return any(key in ticket for key in keys) or has_object_with(ticket["comments"], ("author_id",))


def _with_inner(outer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ticket that may stand as `{"ticket": {...}}`, its comments inside of that or beside it."""
    return {**inner_of(outer, "ticket"), **outer}


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield a conversation a ticket; its comments are the messages, and `requester_id` tells the customer."""
    for place, value, page in members(values, "tickets"):
        yield record_of(place, partial(_ticket, value, page))


def _ticket(value: object, page: Mapping[str, Any]) -> Draft | str:
    ticket = _with_inner(fields_of(value, "a ticket object"))
    if ticket.get("status") == "deleted":
        return "deleted ticket left out"
    customer = name_of(ticket.get("requester_id")) or name_of(inner_of(ticket, "requester").get("id"))
    users = {name_of(user.get("id")): user for user in _users(page, ticket)}
    if not customer and not any(user.get("role") == "end-user" for user in users.values()):
        raise RefusedError('expected "requester_id", which tells who the customer is, got nothing')
    draft = Draft(identity_of(NAME, ticket.get("id")), tags=ticket.get("tags"))
    for comment in list_of(ticket, "comments"):
        _comment(draft, fields_of(comment, "a comment object"), customer, users)
    return draft


def _users(*holders: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for holder in holders:
        users = holder.get("users")
        yield from (user for user in (users if isinstance(users, list) else []) if isinstance(user, dict))


def _comment(draft: Draft, comment: Mapping[str, Any], customer: str, users: Mapping[str, Mapping[str, Any]]) -> None:
    # Anything but a clear "yes" keeps a comment private.
    if comment.get("public") is not True:
        draft.leave_out(PRIVATE)
        return
    channel = inner_of(comment, "via").get("channel")
    if comment.get("type") == "VoiceComment" or channel == "chat_transcript":
        draft.leave_out("call or chat that is folded into one comment left out")
        return
    text = html_or_plain(comment, "html_body", "plain_body", "body")
    if not text.replace(_REDACTED_MARK, "").strip():
        draft.leave_out(REDACTED)
        return
    role, author = _speaker(comment, customer, users)
    draft.say(role, text, time=comment.get("created_at"), author=author)


def _speaker(
    comment: Mapping[str, Any], customer: str, users: Mapping[str, Mapping[str, Any]]
) -> tuple[Role, Author | None]:
    writer = name_of(comment.get("author_id"))
    if not writer:
        raise RefusedError('expected "author_id" in every comment, got nothing')
    channel = inner_of(comment, "via").get("channel")
    is_machine = isinstance(channel, str) and channel.startswith(_MACHINES)
    user = users.get(writer, {})
    if not is_machine and (writer == customer or user.get("role") == "end-user"):
        return "user", None
    name = user.get("name")
    named_bot = isinstance(name, str) and name.casefold().endswith((" bot", " ai agent", "answer bot"))
    return "assistant", "bot" if is_machine or named_bot or writer.startswith("-") else "human"
