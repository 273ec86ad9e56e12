"""Chatwoot: messages of the API, of pages of conversations and of a log of webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from chatbot.types import Author
from finetune.importers.draft import (
    PRIVATE,
    REDACTED,
    Draft,
    Placed,
    Record,
    fields_of,
    identity_of,
    inner_of,
    name_of,
    record_of,
)
from finetune.importers.mail import words
from finetune.records import RefusedError, moment_of, shown

NAME = "Chatwoot"

_KINDS = ("incoming", "outgoing", "activity", "template")


def recognises(value: object) -> bool:
    """Say whether a value is a message, a conversation with messages, or a page of either."""
    if not isinstance(value, dict):
        return False
    return _is_message(value) or any(_is_message(item) or _has_messages(item) for item in _page(value))


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and "message_type" in value and "content" in value


def _has_messages(value: object) -> bool:
    inner = value.get("messages") if isinstance(value, dict) else None
    return isinstance(inner, list) and any(_is_message(item) for item in inner)


def _page(value: Mapping[str, Any]) -> list[Any]:
    """Return what a page holds: conversations or messages; a bare conversation is a page of itself."""
    if isinstance(value.get("messages"), list):
        return [value]
    inner = inner_of(value, "data") or value
    payload = inner.get("payload")
    return payload if isinstance(payload, list) else []


@dataclass(slots=True)
class _Conversation:
    place: int
    labels: object = None
    messages: list[object] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    repeated: int = 0

    def add(self, message: object) -> None:
        """Add a message, or put it in the place of the one that it edits or deletes."""
        identity = name_of(message.get("id")) if isinstance(message, dict) else ""
        if identity and identity in self.seen:
            self.repeated += 1
            place = self.seen[identity]
            if _replaces(fields_of(message, "a message object"), fields_of(self.messages[place], "a message object")):
                self.messages[place] = message
            return
        self.seen[identity] = len(self.messages)
        self.messages.append(message)


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield each conversation; messages that stand alone are put together by the id of their conversation."""
    conversations: dict[str, _Conversation] = {}
    for place, value in values:
        fields = value if isinstance(value, dict) else {}
        items = [value] if _is_message(value) or not _page(fields) else _page(fields)
        known = {_stated(item) for item in items if _is_message(item)} - {""}
        page = next(iter(known)) if len(known) == 1 else f"at {place}"  # an event may not say where it belongs
        for number, item in enumerate(items, 1):
            spot = number if len(values) == 1 else place
            for identity, message, labels in _messages(item, page):
                conversation = conversations.setdefault(identity, _Conversation(spot))
                conversation.labels = conversation.labels or labels
                conversation.add(message)
    for identity, conversation in conversations.items():
        yield record_of(conversation.place, partial(_draft, identity, conversation))


def _messages(item: object, page: str) -> Iterator[tuple[str, object, object]]:
    """Yield (id of the conversation, message, labels); what states no id has that of its page."""
    if isinstance(item, dict) and isinstance(item.get("messages"), list) and not _is_message(item):
        identity = name_of(item.get("id")) or page
        yield from ((identity, message, item.get("labels")) for message in item["messages"])
        return
    yield _stated(item) or page, item, None


def _stated(message: object) -> str:
    fields = message if isinstance(message, dict) else {}
    return name_of(fields.get("conversation_id")) or name_of(inner_of(fields, "conversation").get("id"))


def _draft(identity: str, conversation: _Conversation) -> Draft:
    stated = "" if identity.startswith("at ") else identity_of(NAME, identity)
    draft = Draft(stated, tags=conversation.labels)
    draft.notes.extend(["message that stands there twice used once"] * conversation.repeated)
    for message in conversation.messages:
        _message(draft, fields_of(message, "a message object"))
    return draft


def _message(draft: Draft, message: Mapping[str, Any]) -> None:
    kind = _kind(message.get("message_type"))
    # Anything but a clear "no" keeps a message private.
    if message.get("private") is not False:
        draft.leave_out(PRIVATE)
        return
    if kind == "activity":
        draft.leave_out("event left out")
        return
    attributes = inner_of(message, "content_attributes")
    if _is_deleted(message):
        draft.leave_out(REDACTED)
        return
    text = _text(message, attributes)
    if kind == "incoming":
        draft.say("user", text, time=message.get("created_at"))
    else:
        author = _author(message, attributes) if kind == "outgoing" else "bot"
        draft.say("assistant", text, time=message.get("created_at"), author=author)


def _replaces(message: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Say whether a message with the id of an earlier one tells what became of it; what was deleted stays so."""
    if _is_deleted(message) or _is_deleted(earlier):
        return not _is_deleted(earlier)
    time, time_before = _updated(message), _updated(earlier)
    if time is not None and time_before is not None:
        return time > time_before
    return message.get("event") == "message_updated"


def _updated(message: Mapping[str, Any]) -> float | None:
    try:
        return moment_of(message.get("updated_at"), "a time")
    except RefusedError:
        return None


def _is_deleted(message: Mapping[str, Any]) -> bool:
    return inner_of(message, "content_attributes").get("deleted") not in (None, False)


def _kind(value: object) -> str:
    if isinstance(value, str) and value in _KINDS:
        return value
    if type(value) is int and 0 <= value < len(_KINDS):
        return _KINDS[value]
    raise RefusedError(f'expected "message_type" to be 0 to 3 or {", ".join(_KINDS)}, got {shown(value)}')


def _text(message: Mapping[str, Any], attributes: Mapping[str, Any]) -> str:
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        raise RefusedError(f'expected "content" to be a string, got {shown(content)}')
    # A mail keeps what was written apart from what it quotes.
    mail = inner_of(attributes, "email")
    reply = inner_of(mail, "text_content").get("reply") or inner_of(mail, "html_content").get("reply")
    return words(reply if isinstance(reply, str) else content or "", is_html=True)


def _author(message: Mapping[str, Any], attributes: Mapping[str, Any]) -> Author:
    """Return who wrote a reply; one without a sender came from a rule, a campaign or the API."""
    sender = inner_of(message, "sender")
    kind = sender.get("type") or message.get("sender_type")
    by_rule = attributes.get("automation_rule_id") or inner_of(message, "additional_attributes").get("campaign_id")
    # An agent is a "user" of Chatwoot; webhooks of some versions name the sender without a type.
    is_person = kind in ("user", "User") or (kind is None and "id" in sender)
    return "human" if is_person and not by_rule else "bot"
