"""One conversation as it stands in a file: checked field by field, then a value.

Optional fields that are null count as absent. A reason reads "expected X, got Y".
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from chatbot.types import Author, Entity, Message, Role
from knowledge_base.queries import BOTS, ROLES

_AUTHORS = ("human", "bot", "approved")
_CONVERSATION_KEYS = {"id", "messages", "language", "tags"}
_ENTITY_KEYS = {"type", "value", "start", "end"}
_MESSAGE_KEYS: Mapping[Role, set[str]] = {
    "user": {"role", "content", "note", "intent", "entities"},
    "assistant": {"role", "content", "note", "entities", "action", "author", "evidence", "ai_generated"},
}

_MILLISECONDS = 1e11  # later than the year 5000 in seconds: such a number counts milliseconds

Note = Callable[[str], None]
"""Called with a warning about something that was left out of a conversation that is used."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """One conversation as it was read.

    `source` is "file:line". `positions` gives for each message its 0-based index among the messages of the
    source, where notes, system messages and empty ones count too; empty means that nothing was left out.
    """

    id: str
    messages: tuple[Message, ...]
    language: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""
    positions: tuple[int, ...] = ()

    def position(self, index: int) -> int:
        """Return the 0-based index in the source of the message at `index`."""
        return self.positions[index] if self.positions else index

    @property
    def customer_words(self) -> str:
        """What the customer wrote, one message a line."""
        return "\n".join(message.content for message in self.messages if message.role == "user")

    @property
    def words_hash(self) -> str:
        """SHA-256 of what was said by which side: labels that are given or corrected later change nothing."""
        said = [(message.role, message.content) for message in self.messages]
        return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()

    @property
    def content_hash(self) -> str:
        """SHA-256 of words and labels; the id, the source and what was left out do not count."""
        content = [astuple(message) for message in self.messages], self.language, self.tags
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


class RefusedError(Exception):
    """A conversation cannot be used; `message` is the 0-based index of the message at fault."""

    def __init__(self, reason: str, message: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message


def parse_line(data: bytes) -> object:
    """Return the JSON value of a line.

    Raises:
        RefusedError: the line is not UTF-8 or not JSON.
    """
    try:
        return parse_text(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RefusedError(f"expected UTF-8, got byte 0x{data[error.start]:02x} at byte {error.start + 1}") from error


def parse_text(text: str) -> object:
    """Return the JSON value of a text.

    Raises:
        RefusedError: it is not JSON.
    """
    try:
        raw: object = json.loads(text)
        if "\\ud" in text.lower():
            # An escape can name half of a surrogate pair, which no encoding can write: "?" stands for it.
            raw = json.loads(json.dumps(raw, ensure_ascii=False).encode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        raise RefusedError(f"expected a JSON object, got: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise RefusedError("expected a JSON object, got one nested too deeply or with too long a number") from error
    return raw


def read_record(raw: object, source: str, note: Note) -> Transcript:
    """Return the conversation that a JSON value describes (transcripts of the design, one a line).

    Args:
        raw: the JSON value.
        source: where it stands, "file:line".
        note: told what is left out.

    Raises:
        RefusedError: it is not a conversation, or a label in it is not valid.
    """
    fields = _mapping(raw, "a conversation object")
    _note_unknown(fields, _CONVERSATION_KEYS, "", note)
    rows = fields.get("messages")
    if "messages" not in fields:
        raise RefusedError(f'expected "messages", a list of messages, got the keys {shown(", ".join(fields))}')
    if not isinstance(rows, list) or not rows:
        raise RefusedError(f'expected "messages" to be a list of messages, got {shown(rows)}')
    read = [(index, _read_message(index, row, note)) for index, row in enumerate(rows)]
    kept = [(index, message) for index, message in read if message is not None]
    messages = tuple(message for _, message in kept)
    if not any(message.role == "user" for message in messages):
        raise RefusedError("expected at least one message of a customer, got none")
    positions = tuple(index for index, _ in kept) if len(kept) < len(rows) else ()
    identity = _identity(fields)
    transcript = Transcript(
        identity, messages, _string(fields, "language").strip(), _strings(fields, "tags"), source, positions
    )
    return transcript if identity else replace(transcript, id=transcript.words_hash[:16])


def shown(value: object) -> str:
    """Return a short description of a wrong value, for a reason."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 40 else value[:40] + "...", ensure_ascii=False)
    if isinstance(value, bool | int | float):
        return json.dumps(value)[:40]
    name = "list" if isinstance(value, list) else "object"
    return f"a {name}" if value and name == "list" else f"an {name}" if value else f"an empty {name}"


def _identity(fields: Mapping[str, Any]) -> str:
    value = fields.get("id")
    if type(value) is int:
        return str(value)
    return _string(fields, "id").strip()


def _read_message(index: int, raw: object, note: Note) -> Message | None:
    """Return the message, or None for one that is not part of what customer and company said."""
    try:
        fields = _mapping(raw, "a message object")
        # Anything but a clear "no" keeps a note private.
        if fields.get("note") not in (None, False):
            return None
        role, name = _role(fields)
        return None if role is None else _spoken(fields, role, name, note)
    except RefusedError as error:
        raise RefusedError(f"message {index + 1}: {error.reason}", index) from error


def _spoken(fields: Mapping[str, Any], role: Role, name: str, note: Note) -> Message | None:
    owner = "customers' messages" if role == "user" else "assistant messages"
    _note_unknown(fields, _MESSAGE_KEYS[role], f" of {owner}", note)
    content = fields.get("content")
    if not isinstance(content, str):
        raise RefusedError(f'expected "content" to be a string, got {shown(content)}')
    if not content.strip():
        note("message without words left out")
        return None
    entities = _entities(fields.get("entities"), content, note)
    if role == "user":
        return Message(role, content, intents=_strings(fields, "intent"), entities=entities)
    return Message(
        role,
        content,
        author=_author(fields, name),
        action=_string(fields, "action").strip() or None,
        evidence=_strings(fields, "evidence"),
        entities=entities,
    )


def _role(fields: Mapping[str, Any]) -> tuple[Role | None, str]:
    value = fields.get("role")
    name = value.strip().casefold() if isinstance(value, str) else ""
    if name not in ROLES:
        raise RefusedError(f"expected role user or assistant (or customer, agent, bot, ...), got {shown(value)}")
    return ROLES[name], name


def _author(fields: Mapping[str, Any], role_name: str) -> Author | None:
    value = _string(fields, "author").strip().casefold()
    if value and value not in _AUTHORS:
        raise RefusedError(f"expected author human, bot or approved, got {shown(value)}")
    return cast("Author | None", value or ("bot" if role_name in BOTS else None))


def _entities(raw: object, content: str, note: Note) -> tuple[Entity, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise RefusedError(f'expected "entities" to be a list, got {shown(raw)}')
    entities = []
    for item in raw:
        entity = _entity(item, content)
        if entity is None:
            note("entity left out, because its span does not hold its value")
            continue
        _note_unknown(item, _ENTITY_KEYS, " of entities", note)
        entities.append(entity)
    return tuple(entities)


def _entity(raw: object, content: str) -> Entity | None:
    if not isinstance(raw, dict):
        return None
    kind, value, start, end = (raw.get(key) for key in ("type", "value", "start", "end"))
    if not (isinstance(kind, str) and kind.strip() and isinstance(value, str)):
        return None
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(content):
        return None
    return Entity(kind.strip(), value, start, end) if content[start:end] == value else None


def _mapping(raw: object, expected: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise RefusedError(f"expected {expected}, got {shown(raw)}")
    return raw


def _string(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is not None and not isinstance(value, str):
        raise RefusedError(f'expected "{key}" to be a string, got {shown(value)}')
    return value or ""


def _strings(fields: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a field that holds one string or a list of them, each once, without empty ones."""
    value = fields.get(key)
    values = value if isinstance(value, list) else [] if value is None else [value]
    for item in values:
        if not isinstance(item, str):
            raise RefusedError(f'expected "{key}" to be a string or a list of strings, got {shown(item)}')
    return tuple(dict.fromkeys(item.strip() for item in values if item.strip()))


def _note_unknown(fields: Mapping[str, Any], known: set[str], owner: str, note: Note) -> None:
    for key in fields:
        if key not in known and fields[key] is not None:
            note(f"unknown key {shown(key)}{owner} ignored")


def moment_of(value: object, expected: str, message: int | None = None) -> float:
    """Return a time as seconds since 1970, from a number or a text in ISO 8601; one without a zone counts as UTC.

    Args:
        value: the time as it stands in a file.
        expected: what the reason says was expected.
        message: the 0-based index of its message, for the reason.

    Raises:
        RefusedError: it is neither.
    """
    try:
        seconds = _seconds(value)
    except (ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise RefusedError(f"expected {expected}, got {shown(value)}", message)
    return seconds / 1000 if seconds > _MILLISECONDS else seconds


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return math.nan
    text = value.strip().removesuffix(" UTC")
    if text.replace(".", "", 1).isdecimal():
        return float(text)
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
