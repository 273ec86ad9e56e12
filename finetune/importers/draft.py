"""A conversation of an export as it is put together: who said what and when, and what was left out and why."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chatbot.types import Author, Role
from finetune.records import RefusedError, moment_of, shown

Placed = tuple[int, object]
"""A value of a file and its 1-based line, or its number among the records of the file."""

PRIVATE = "private note left out"
REDACTED = "deleted or redacted message left out"
EMPTY = "message without words of its own left out"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_TIME = "a time such as 2026-01-31T09:30:00Z or seconds since 1970"


@dataclass(frozen=True, slots=True)
class Record:
    """What one record of an export gives: a transcript as a JSON value, or the reason why it is refused.

    Neither is there for a record that is left out on purpose, such as spam; then `notes` says so.
    """

    place: int
    raw: dict[str, Any] | None = None
    refusal: RefusedError | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Draft:
    """A conversation that grows message by message; `record` puts the messages in the order of their times.

    What is left out keeps its place among them, so that a message is found in its source by its position.
    """

    identity: str
    tags: object = None
    language: object = None
    notes: list[str] = field(default_factory=list)
    _said: list[tuple[float | None, dict[str, Any]]] = field(default_factory=list)

    def say(self, role: Role, text: str, *, time: object = None, author: Author | None = None, **labels: Any) -> None:
        """Add a message; one without words is left out and noted.

        Raises:
            RefusedError: the time cannot be read.
        """
        moment = None if time is None else moment_of(time, _TIME)
        content = readable(text).strip()
        if not content:
            self.leave_out(EMPTY)
            return
        message = {"role": role, "content": content, "author": author, **labels}
        self._said.append((moment, {key: value for key, value in message.items() if value is not None}))

    def leave_out(self, what: str) -> None:
        """Note that the next message is not used."""
        self.notes.append(what)
        self._said.append((None, {"note": True}))

    def record(self, place: int) -> Record:
        """Return the conversation; a message without a time stays behind the one that stands before it."""
        timed, last = [], -math.inf
        for moment, message in self._said:
            last = last if moment is None else moment
            timed.append((last, message))
        if not timed:
            return Record(place, refusal=RefusedError("expected at least one message of a customer, got none"))
        timed.sort(key=lambda pair: pair[0])
        raw: dict[str, Any] = {"messages": [message for _, message in timed]}
        if self.identity:
            raw["id"] = self.identity
        if self.tags:
            raw["tags"] = self.tags
        if self.language:
            raw["language"] = self.language
        return Record(place, raw, notes=tuple(self.notes))


def record_of(place: int, build: Callable[[], Draft | str]) -> Record:
    """Return what `build` makes of a record: a conversation, a word on why it is left out, or why it is refused."""
    try:
        made = build()
    except RefusedError as error:
        return Record(place, refusal=error)
    return Record(place, notes=(made,)) if isinstance(made, str) else made.record(place)


def members(values: Sequence[Placed], key: str) -> Iterator[tuple[int, object, Mapping[str, Any]]]:
    """Yield the records of pages such as `{"tickets": [...]}`, with the page around them, and bare records as they are.

    Records of the only page of a file are numbered; those of several pages have the place of their page.
    """
    for place, value in values:
        inner = value.get(key) if isinstance(value, dict) else None
        if isinstance(inner, list) and isinstance(value, dict):
            for number, item in enumerate(inner, 1):
                yield (number if len(values) == 1 else place), item, value
        else:
            yield place, value, {}


def is_export(value: object, key: str, is_record: Callable[[object], bool]) -> bool:
    """Say whether a value is a record, or a page with at least one under a key."""
    if not isinstance(value, dict):
        return False
    listed = value.get(key)
    return is_record(value) or (isinstance(listed, list) and any(is_record(item) for item in listed))


def readable(text: str) -> str:
    """Return a text without control characters and halves of surrogate pairs, its line ends as one newline."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")
    return _CONTROL.sub("", text.encode("utf-8", "replace").decode())


def identity_of(source: str, value: object) -> str:
    """Return the id of a record with its source in front: two systems count their conversations alike."""
    name = name_of(value)
    return f"{source.casefold()}-{name}" if name else ""


def name_of(value: object) -> str:
    """Return an id, a number or a text, as a text; anything else is none."""
    if isinstance(value, str):
        return readable(value).strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def fields_of(value: object, expected: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        RefusedError: it is something else.
    """
    if not isinstance(value, dict):
        raise RefusedError(f"expected {expected}, got {shown(value)}")
    return value


def text_of(fields: Mapping[str, Any], *keys: str) -> str:
    """Return the first of the fields that holds words; none holds an empty text.

    Raises:
        RefusedError: one of them holds something else than text.
    """
    for key in keys:
        value = fields.get(key)
        if value is not None and not isinstance(value, str):
            raise RefusedError(f'expected "{key}" to be a string, got {shown(value)}')
        if value and value.strip():
            return value
    return ""


def list_of(fields: Mapping[str, Any], key: str) -> list[Any]:
    """Return a list; an absent one is empty.

    Raises:
        RefusedError: it is something else.
    """
    value = fields.get(key)
    if value is not None and not isinstance(value, list):
        raise RefusedError(f'expected "{key}" to be a list, got {shown(value)}')
    return value or []


def list_at(fields: Mapping[str, Any], key: str) -> list[Any]:
    """Return a list inside of an object; anything else counts as an empty one."""
    value = fields.get(key)
    return value if isinstance(value, list) else []


def inner_of(fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object inside of another; anything else counts as an empty one."""
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def has_object_with(values: object, keys: Iterable[str]) -> bool:
    """Say whether a list holds an object with one of the keys."""
    names = tuple(keys)
    return isinstance(values, list) and any(isinstance(item, dict) and any(k in item for k in names) for item in values)
