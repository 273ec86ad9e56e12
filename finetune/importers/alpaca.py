"""Alpaca: `{"instruction": ..., "input": ..., "output": ...}`, one question and answer a record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from finetune import rows
from finetune.importers.draft import PRIVATE, Draft, Placed, Record, fields_of, identity_of, list_of, record_of, text_of
from finetune.records import RefusedError, shown

NAME = "Alpaca"


def recognises(value: object) -> bool:
    """Say whether a value has an instruction and an output (or `response`, as some data sets call it)."""
    return isinstance(value, dict) and "instruction" in value and ("output" in value or "response" in value)


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield a conversation a record; an instruction that several inputs share is a task, not a customer's words."""
    pairs = ((value.get("instruction"), value.get("input")) for _, value in values if isinstance(value, dict))
    tasks = rows.tasks((task, given) for task, given in pairs if isinstance(task, str) and isinstance(given, str))
    for place, value in values:
        yield record_of(place, partial(_conversation, value, tasks))


def _conversation(value: object, tasks: set[str]) -> Draft | str:
    fields = fields_of(value, "an object with instruction, input and output")
    if rows.is_private({key: "" if value is None else str(value) for key, value in fields.items()}):
        return PRIVATE
    draft = Draft(identity_of(NAME, fields.get("id")))
    for pair in list_of(fields, "history"):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise RefusedError(f'expected "history" to be a list of pairs of texts, got {shown(pair)}')
        draft.say("user", pair[0])
        draft.say("assistant", pair[1])
    intent = text_of(fields, "intent").strip() or None
    draft.say("user", rows.asked(text_of(fields, "instruction"), text_of(fields, "input"), tasks), intent=intent)
    draft.say("assistant", text_of(fields, "output", "response"))
    return draft
