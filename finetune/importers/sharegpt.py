"""ShareGPT: `{"conversations": [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}]}`."""

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
    has_object_with,
    identity_of,
    list_of,
    record_of,
    text_of,
)
from finetune.records import RefusedError, shown

NAME = "ShareGPT"

_CUSTOMER = ("human", "user", "customer")
# "gpt" is the name of the side that is to be learnt, whoever wrote it; the others name a machine.
_ASSISTANT = ("gpt", "assistant", "agent", "model")
_MACHINES = ("bot", "chatgpt", "bing", "bard", "claude")
_UNSPOKEN = ("system", "tool", "function", "function_call", "function_response", "observation")


def recognises(value: object) -> bool:
    """Say whether a value is a conversation of turns with `from` and `value`."""
    return isinstance(value, dict) and has_object_with(value.get("conversations"), ("from",))


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield each conversation; system texts and what tools said are left out."""
    for place, value in values:
        yield record_of(place, partial(_conversation, value))


def _conversation(value: object) -> Draft:
    fields = fields_of(value, "a conversation object")
    draft = Draft(identity_of(NAME, fields.get("id")))
    for turn in list_of(fields, "conversations"):
        _turn(draft, fields_of(turn, "a turn object"))
    return draft


def _turn(draft: Draft, turn: Mapping[str, Any]) -> None:
    name = turn.get("from")
    speaker = name.strip().casefold() if isinstance(name, str) else ""
    text = text_of(turn, "value")
    if turn.get("note") not in (None, False):
        draft.leave_out(PRIVATE)
    elif speaker in _CUSTOMER:
        draft.say("user", text)
    elif speaker in _ASSISTANT:
        draft.say("assistant", text)
    elif speaker in _MACHINES:
        draft.say("assistant", text, author="bot")
    elif speaker in _UNSPOKEN:
        draft.leave_out("system or tool message left out")
    else:
        raise RefusedError(f'expected "from" to be human, gpt or system, got {shown(name)}')
