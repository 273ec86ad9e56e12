"""ChatML text: turns between `<|im_start|>` and `<|im_end|>`, in a text file or as `{"text": ...}` a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from finetune.importers.draft import Draft, Placed, Record, record_of
from finetune.records import RefusedError, shown
from knowledge_base.queries import BOTS, ROLES

NAME = "ChatML"
START = "<|im_start|>"

_END = "<|im_end|>"
_UNSPOKEN = ("tool", "developer", "function")
# Between two turns of a conversation stands one line end; more, a rule or a mark part two conversations.
_PARTS = re.compile(r"\n[ \t]*\n|\n-{3,}[ \t]*\n|<\|endoftext\|>")


def recognises(value: object) -> bool:
    """Say whether a value is ChatML text, or an object whose `text` is."""
    text = value.get("text") if isinstance(value, dict) else value
    return isinstance(text, str) and START in text


def records(values: Sequence[Placed]) -> Iterator[Record]:
    """Yield each conversation. A new one begins at a system message, behind an empty line or `<|endoftext|>`."""
    for place, value in values:
        text = value.get("text") if isinstance(value, dict) else value
        if not isinstance(text, str):
            yield Record(place, refusal=RefusedError(f"expected a text, got {shown(text)}"))
            continue
        for line, turns in _conversations(text.replace("\r\n", "\n").replace("\r", "\n")):
            # In a text file the place is a line; in an object it stays that of the object.
            yield record_of(place if isinstance(value, dict) else line, partial(_draft, turns))


def _conversations(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line on which it begins, turns without their start marks)."""
    pieces = text.split(START)
    line = 1 + pieces[0].count("\n")
    first, turns, parted = line, list[str](), False
    for piece in pieces[1:]:
        is_system = piece.lstrip().casefold().startswith("system")
        if turns and (parted or is_system):
            yield first, turns
            turns = []
        if not turns:
            first = line
        turns.append(piece)
        # Text without an end mark may hold empty lines of its own.
        parted = bool(_PARTS.search(piece.partition(_END)[2]))
        line += piece.count("\n")
    if turns:
        yield first, turns


def _draft(turns: Sequence[str]) -> Draft:
    draft = Draft("")
    for turn in turns:
        head, _, text = turn.partition(_END)[0].partition("\n")
        name = head.strip().casefold()
        if name in _UNSPOKEN or (name in ROLES and ROLES[name] is None):
            draft.leave_out("system or tool message left out")
            continue
        role = ROLES.get(name)
        if role is None:
            raise RefusedError(f"expected role user, assistant or system behind {START}, got {shown(head.strip())}")
        draft.say(role, text, author="bot" if name in BOTS else None)
    return draft
