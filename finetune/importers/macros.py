"""Ready-made replies of an export: the same text in many conversations trains writing once, not every time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from finetune.importers.draft import Record

REPEATED = 3  # conversations; in fewer the same words may be chance
_MIN_WORDS = 8  # "You are welcome, have a nice day!" is how people talk, not a text that somebody prepared
_MAX_KEY = 2000  # characters by which paragraphs are compared

_NUMBER = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")


def once(records: Iterable[Record]) -> list[Record]:
    """Return the records of one file with the later uses of ready-made replies marked as approved wording.

    A paragraph is ready-made when it stands in several conversations, numbers aside; a reply is when most of it
    is. The first conversation with it keeps its author; in the others the reply stands as `approved`: history for
    the turns behind it, but no text to learn writing from once more.
    """
    kept = list(records)
    holders: dict[str, set[int]] = {}
    for index, record in enumerate(kept):
        for message in _replies(record):
            for key in _keys(message["content"]):
                holders.setdefault(key, set()).add(index)
    ready = {key for key, where in holders.items() if len(where) >= REPEATED}
    if not ready:
        return kept
    seen: set[str] = set()
    return [_marked(record, ready, seen) for record in kept]


def _replies(record: Record) -> Iterable[dict[str, Any]]:
    messages: Sequence[dict[str, Any]] = record.raw["messages"] if record.raw else ()
    return (message for message in messages if message.get("author") == "human")


def _marked(record: Record, ready: set[str], seen: set[str]) -> Record:
    marked = 0
    first_here: set[str] = set()
    for message in _replies(record):
        lengths = _keys(message["content"])
        found = {key for key in lengths if key in ready}
        if 2 * sum(lengths[key] for key in found) <= sum(_lengths(message["content"])):
            continue
        if found <= seen:
            message["author"] = "approved"
            marked += 1
        first_here |= found
    seen |= first_here
    if not marked:
        return record
    return replace(record, notes=(*record.notes, *["ready-made reply, used for writing once"] * marked))


def _keys(text: str) -> Mapping[str, int]:
    """Return the paragraphs of a reply that are long enough to be recognised, with their lengths."""
    keys = {}
    for paragraph in text.split("\n"):
        key = _NUMBER.sub("0", _SPACE.sub(" ", paragraph.casefold()).strip())[:_MAX_KEY]
        if len(key.split()) >= _MIN_WORDS or (len(key) >= 3 * _MIN_WORDS and " " not in key):  # no spaces in Chinese
            keys[key] = len(paragraph.strip())
    return keys


def _lengths(text: str) -> Iterable[int]:
    return (len(paragraph.strip()) for paragraph in text.split("\n"))
