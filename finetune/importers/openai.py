"""OpenAI chat messages where they go beyond our own form: parts, tools, developer messages and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from finetune.importers.draft import (
    PRIVATE,
    Draft,
    Placed,
    Record,
    fields_of,
    identity_of,
    inner_of,
    list_of,
    record_of,
)
from finetune.records import RefusedError, shown
from knowledge_base.queries import BOTS, ROLES

NAME = "OpenAI messages"

_UNSPOKEN = ("system", "developer", "tool", "function")
_OWN_ROLES = ("developer", "tool", "function")
_OWN_KEYS = ("tool_calls", "function_call", "refusal", "weight")
# Labels of our own form, which such messages may carry too.
_LABELS = {"user": ("intent", "entities"), "assistant": ("action", "evidence", "entities")}


def recognises(value: object) -> bool:
    """Say whether a value has `messages` with something that only this form has; the rest is our own form."""
    if isinstance(value, list) or (isinstance(value, dict) and "messages" not in value):
        return bool(_bare(value))
    messages = value.get("messages") if isinstance(value, dict) else None
    if not isinstance(messages, list):
        return False
    return any(isinstance(message, dict) and "role" in message and _is_own(message) for message in messages)


def _bare(value: object) -> list[Any]:
    """Return the messages of a list that holds nothing else, or of a prompt and a completion that are such lists."""
    if isinstance(value, dict):
        prompt, completion = _bare(value.get("prompt")), _bare(value.get("completion"))
        return [*prompt, *completion] if prompt and completion else []
    items = value if isinstance(value, list) else []
    return items if all(isinstance(item, dict) and {"role", "content"} <= item.keys() for item in items) else []


def _is_own(message: Mapping[str, Any]) -> bool:
    has_parts = isinstance(message.get("content"), list)
    return has_parts or message["role"] in _OWN_ROLES or any(message.get(key) is not None for key in _OWN_KEYS)


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield each conversation; of a message in parts the text counts, of a call of a tool nothing."""
    for place, value in values:
        yield record_of(place, partial(_conversation, value))


def _conversation(value: object) -> Draft:
    bare = _bare(value)
    fields = {"messages": bare} if bare else fields_of(value, "a conversation object")
    tags = fields.get("tags") or inner_of(fields, "metadata").get("tags")
    draft = Draft(identity_of("openai", fields.get("id")), tags, fields.get("language"))
    for message in list_of(fields, "messages"):
        _message(draft, fields_of(message, "a message object"))
    return draft


def _message(draft: Draft, message: Mapping[str, Any]) -> None:
    name = message.get("role")
    role = ROLES.get(name.strip().casefold()) if isinstance(name, str) else None
    labels = {key: message.get(key) for key in _LABELS.get(role or "", ())}
    if message.get("note") not in (None, False):
        draft.leave_out(PRIVATE)
    elif name in _UNSPOKEN:
        draft.leave_out("system or tool message left out")
    elif role == "user":
        draft.say("user", _text(message.get("content")), **labels)
    elif role == "assistant" and message.get("content") is None and message.get("refusal") is None:
        draft.leave_out("call of a tool left out")
    elif role == "assistant":
        text = _text(message["content"] if message.get("content") is not None else message["refusal"])
        # A weight of 0 asks not to learn from the message: that is how the bot's own words are treated.
        silent = message.get("weight") == 0 or str(name).strip().casefold() in BOTS
        draft.say("assistant", text, author="bot" if silent else message.get("author"), **labels)
    else:
        raise RefusedError(f"expected role system, developer, user, assistant or tool, got {shown(name)}")


def _text(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise RefusedError(f'expected "content" to be a string or a list of parts, got {shown(content)}')
    texts = [part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, str | dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
