"""Rows of a table as JSON objects: a question with its answer or its intent, or one message, an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finetune import rows
from finetune.columns import named
from finetune.importers.draft import PRIVATE, Placed, Record
from finetune.records import RefusedError, shown
from finetune.tables import Row

NAME = "table rows as JSON"


def recognises(value: object) -> bool:
    """Say whether a value is an object with the columns of a table as its keys, whatever it calls them."""
    return isinstance(value, dict) and "messages" not in value and named(tuple(map(str, value))) is not None


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield each conversation; messages are put together by the id of their conversation."""
    tables: dict[bool, list[Row]] = {}
    for place, value in values:
        try:
            row = Row(place, _cells(value))
        except RefusedError as error:
            yield Record(place, refusal=error)
            continue
        tables.setdefault(rows.has_turns(row.cells), []).append(row)
    for table in tables.values():
        for group in rows.grouped(table, {name for row in table for name in row.cells}):
            yield _record(group)


def _record(group: list[Row]) -> Record:
    lines = [row.line for row in group]
    notes = [f"unknown key {shown(key)} ignored" for row in group for key in rows.unknown(row.cells)]
    try:
        raw, _ = rows.conversation(group)
    except RefusedError as error:
        return Record(lines[error.message or 0], refusal=error)
    notes += [PRIVATE for message in raw["messages"] if message.get("note")]
    return Record(min(lines), None if rows.is_wholly_private(raw) else raw, notes=tuple(notes))


def _cells(value: object) -> dict[str, str]:
    """Return an object as the cells of a row.

    Raises:
        RefusedError: it is none, or holds more than texts, numbers and lists of texts.
    """
    fields: Mapping[str, object] = value if isinstance(value, dict) else {}
    columns = named(tuple(map(str, fields)))
    if columns is None:
        raise RefusedError(f"expected an object with the columns of a table, got {shown(value)}")
    return {name: _cell(key, fields[key]) for name, key in zip(columns, fields, strict=True)}


def _cell(key: str, value: object) -> str:
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, dict | list) for item in items):
        raise RefusedError(f"expected {shown(key)} to be a text, a number or a list of texts, got {shown(value)}")
    return "|".join("" if item is None else str(item) for item in items)
