"""ShareGPT: `{"conversations": [{"from": "human", "value": ...}, {"from": "gpt", "value": ...}]}`.

Data sets of this form also call the list `conversation` or `items`, and the keys of a turn `role` and `content`.
"""

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
    list_at,
    list_of,
    record_of,
    text_of,
)
from finetune.records import RefusedError, shown

NAME = "ShareGPT"

_LISTS = ("conversations", "conversation", "items")
_CUSTOMER = ("human", "user", "customer")
# "gpt" is the name of the side that is to be learnt, whoever wrote it; the others name a machine.
_ASSISTANT = ("gpt", "assistant", "agent", "model")
_MACHINES = ("bot", "chatgpt", "bing", "bard", "claude")
_UNSPOKEN = ("system", "tool", "function", "function_call", "function_response", "observation")


def recognises(value: object) -> bool:
    """Say whether a value is a conversation of turns with `from` and `value`."""
    return isinstance(value, dict) and bool(_list_in(value))


def _list_in(value: Mapping[str, Any]) -> str:
    """Return the name of the list of turns; empty where there is none."""
    return next((name for name in _LISTS if any(map(_is_turn, list_at(value, name)))), "")


def _is_turn(item: object) -> bool:
    return isinstance(item, dict) and ("from" in item or ("role" in item and ("content" in item or "value" in item)))


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield each conversation; system texts and what tools said are left out."""
    for place, value in values:
        yield record_of(place, partial(_conversation, value))


def _conversation(value: object) -> Draft:
    fields = fields_of(value, "a conversation object")
    draft = Draft(identity_of(NAME, fields.get("id")))
    for turn in list_of(fields, _list_in(fields)):
        _turn(draft, fields_of(turn, "a turn object"))
    return draft


def _turn(draft: Draft, turn: Mapping[str, Any]) -> None:
    name = turn.get("from", turn.get("role"))
    speaker = name.strip().casefold() if isinstance(name, str) else ""
    text = text_of(turn, "value", "content")
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
