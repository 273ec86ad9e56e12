"""Rows of a table as conversations: a question and its answer a row, or one message a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from finetune.columns import LABELS, PAIRS, PRIVATE, PUBLIC, TURNS
from finetune.records import RefusedError, moment_of
from finetune.tables import Row
from knowledge_base.queries import ROLES

_PUBLIC = ("", "0", "false", "no", "n", "f", "public")  # anything else in a column of PRIVATE keeps a message private
_YES = ("1", "true", "yes", "y", "t", "public")  # anything else in a column of PUBLIC does, too
_AUTHORS = {"human": "human", "bot": "bot", "chatbot": "bot", "approved": "approved"}  # other words name a person
_TIME = "a time such as 2026-01-31 09:30:00 or seconds since 1970 in every row of a conversation"


def has_turns(columns: Iterable[str]) -> bool:
    """Say whether a table holds a message a row, and not a question and its answer."""
    return set(TURNS.required) <= set(columns)


def unknown(columns: Iterable[str]) -> Iterator[str]:
    """Yield the columns that mean nothing here."""
    names = tuple(columns)
    layout = TURNS if has_turns(names) else PAIRS
    return (name for name in names if name not in (*layout.required, *layout.optional))


def grouped(rows: Iterable[Row], columns: Iterable[str]) -> Iterable[list[Row]]:
    """Return the rows of each conversation."""
    if not has_turns(columns):
        return ([row] for row in rows)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.cells["conversation_id"].strip(), []).append(row)
    return groups.values()


def conversation(rows: list[Row]) -> tuple[dict[str, Any], list[int]]:
    """Return the conversation that rows make, with the line of each message.

    Raises:
        RefusedError: the rows have no id, or a time that cannot be read.
    """
    return _turns(rows) if has_turns(rows[0].cells) else _pair(rows[0])


def _pair(row: Row) -> tuple[dict[str, Any], list[int]]:
    """Return the conversation of a row of questions and answers; without an answer it is a question only."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": row.cells["question"], "intent": row.cells.get("intent", "").split("|")}
    ]
    if row.cells.get("answer", "").strip():
        messages.append({"role": "assistant", "content": row.cells["answer"], "author": "human"})
    return {"messages": messages}, [row.line] * len(messages)


def _turns(rows: list[Row]) -> tuple[dict[str, Any], list[int]]:
    """Return the conversation of rows that share an id, with the line of each message."""
    identity = rows[0].cells["conversation_id"].strip()
    if not identity:
        raise RefusedError(f"expected a conversation_id, got an empty cell ({len(rows):,} rows from here on)")
    if any(row.cells.get("time", "").strip() for row in rows):
        times = [moment_of(row.cells.get("time", "").strip() or None, _TIME, index) for index, row in enumerate(rows)]
        rows = [row for _, row in sorted(zip(times, rows, strict=True), key=lambda pair: pair[0])]
    return {"id": identity, "messages": [_turn(row) for row in rows]}, [row.line for row in rows]


def _turn(row: Row) -> dict[str, Any]:
    """Return the message of a row; labels that do not belong to its side are left out."""
    cells = {name: row.cells.get(name, "").strip() for name in (*PRIVATE, *LABELS)}
    is_private = any(cells[name].casefold() not in _PUBLIC for name in PRIVATE)
    is_private |= any(row.cells.get(name, "yes").strip().casefold() not in _YES for name in PUBLIC)
    message: dict[str, Any] = {"role": row.cells["role"], "content": row.cells["text"], "note": is_private}
    if ROLES.get(message["role"].strip().casefold()) == "user":
        return message | {"intent": cells["intent"].split("|")}
    labels = {"author": _AUTHORS.get(cells["author"].casefold()), "action": cells["action"] or None}
    return message | labels | {"evidence": cells["evidence"].split("|")}
