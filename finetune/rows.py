"""Rows of a table as conversations: a question and its answer a row, or one message a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from finetune.columns import INSTRUCTED, LABELS, PRIVATE, PUBLIC, TURNS, layout_of
from finetune.records import RefusedError, moment_of
from finetune.tables import Row
from knowledge_base.queries import ROLES

_PUBLIC = ("", "0", "false", "no", "n", "f", "public")  # anything else in a column of PRIVATE keeps a message private
_YES = ("1", "true", "yes", "y", "t", "public")  # anything else in a column of PUBLIC does, too
_AUTHORS = {"human": "human", "bot": "bot", "chatbot": "bot", "approved": "approved"}  # other words name a person
_TIME = "a time such as 2026-01-31 09:30:00 or seconds since 1970 in every row of a conversation"


def has_turns(columns: Collection[str]) -> bool:
    """Say whether a table holds a message a row, and not a question and its answer."""
    return set(TURNS.required) <= set(columns)


def unknown(columns: Collection[str]) -> Iterator[str]:
    """Yield the columns that mean nothing here."""
    layout = layout_of(columns)
    return (name for name in columns if name not in (*layout.required, *layout.optional))


def is_private(cells: Mapping[str, str]) -> bool:
    """Say whether a row is marked as private, or is not marked as public where there is such a mark."""
    hidden = any(cells.get(name, "").strip().casefold() not in _PUBLIC for name in PRIVATE)
    return hidden or any(cells.get(name, "yes").strip().casefold() not in _YES for name in PUBLIC)


def is_wholly_private(raw: Mapping[str, Any]) -> bool:
    """Say whether a conversation, as `conversation` returns it, holds nothing but private messages."""
    return all(message.get("note") for message in raw["messages"])


def tasks(instructed: Iterable[tuple[str, str]]) -> set[str]:
    """Return of pairs of instruction and input the instructions that several inputs share: no customer wrote these."""
    shared = Counter(instruction for instruction, given in instructed if given.strip())
    return {instruction for instruction, count in shared.items() if count > 1}


def asked(instruction: str, given: str, known_tasks: Collection[str]) -> str:
    """Return what the customer asks: the instruction with its input, or the input alone where the other is a task."""
    parts = (given,) if given.strip() and instruction in known_tasks else (instruction, given)
    return "\n".join(part for part in parts if part.strip())


def grouped(rows: Iterable[Row], columns: Collection[str]) -> Iterable[list[Row]]:
    """Return the rows of each conversation."""
    if not has_turns(columns):
        return ([row] for row in (_questions(list(rows)) if _has_instructions(columns) else rows))
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


def _has_instructions(columns: Collection[str]) -> bool:
    return set(INSTRUCTED.required) <= set(columns)


def _questions(rows: list[Row]) -> Iterator[Row]:
    """Yield the rows, those with an instruction and an input with a question in place of both."""
    pairs = [(row.cells["instruction"], row.cells["input"]) for row in rows if _has_instructions(row.cells)]
    known_tasks = tasks(pairs)
    for row in rows:
        if not _has_instructions(row.cells):
            yield row
            continue
        cells = dict(row.cells)
        question = asked(cells.pop("instruction"), cells.pop("input"), known_tasks)
        yield replace(row, cells={**cells, "question": question})


def _pair(row: Row) -> tuple[dict[str, Any], list[int]]:
    """Return the conversation of a row of questions and answers; without an answer it is a question only."""
    if is_private(row.cells):
        return {"messages": [{"role": "user", "content": row.cells["question"], "note": True}]}, [row.line]
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
    cells = {name: row.cells.get(name, "").strip() for name in LABELS}
    message: dict[str, Any] = {"role": row.cells["role"], "content": row.cells["text"], "note": is_private(row.cells)}
    if ROLES.get(message["role"].strip().casefold()) == "user":
        return message | {"intent": cells["intent"].split("|")}
    labels = {"author": _AUTHORS.get(cells["author"].casefold()), "action": cells["action"] or None}
    return message | labels | {"evidence": cells["evidence"].split("|")}
