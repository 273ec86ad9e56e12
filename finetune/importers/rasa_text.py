"""The texts of Rasa's training data: lists of examples, and entities marked up in them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from finetune.importers.draft import readable
from finetune.records import RefusedError, shown

# [Berlin](city), [Berlin](city:BER), [Berlin]{"entity": "city"}, [Berlin][{"entity": "city"}, {"entity": "place"}]
_MARKED = re.compile(
    r"\[(?P<text>[^\[\]]+)\](?:\((?P<type>[^():\[\]]+)(?::[^()]*)?\)|(?P<one>\{[^{}]*\})|\[(?P<several>\s*\{[^\[\]]*\}\s*)\])"
)


@dataclass(frozen=True, slots=True)
class Example:
    """What a customer may say, with its entities as JSON values of a transcript."""

    text: str
    entities: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


def examples_of(intent: str, value: object) -> list[Example]:
    """Return the examples of an intent: a text with a line `- example` for each, or a list.

    Raises:
        RefusedError: they are neither.
    """
    if isinstance(value, str):
        found = _lines(value)
        if not found and value.strip():
            raise RefusedError(f'intent {shown(intent)}: expected examples on lines that begin with "- ", got none')
        return [example for text in found if (example := unmarked(text)).text]
    if not isinstance(value, list):
        raise RefusedError(f"intent {shown(intent)}: expected examples as a text or a list, got {shown(value)}")
    texts: list[str] = []
    for item in value:
        text = item.get("text") if isinstance(item, dict) else item
        if not isinstance(text, str):
            raise RefusedError(f"intent {shown(intent)}: expected every example to be a text, got {shown(text)}")
        texts.append(text.strip().removeprefix("- "))
    return [example for text in texts if (example := unmarked(text)).text]


def _lines(text: str) -> list[str]:
    """Return the items of a list in a text; a line without a dash goes on with the one above it."""
    items: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("-") and not line.startswith("   "):
            items.append(stripped[1:].strip())
        elif stripped and items:
            items[-1] += f"\n{stripped}"
    return items


def unmarked(marked: str) -> Example:
    """Return a text without its mark-up; offsets count in the text that remains."""
    parts: list[str] = []
    entities: list[dict[str, Any]] = []
    notes: list[str] = []
    length = end = 0
    marked = readable(marked).strip()
    for match in _MARKED.finditer(marked):
        before, words = marked[end : match.start()], match["text"]
        start = length + len(before)
        types = _types(match)
        if not types:
            notes.append("entity mark-up that cannot be read left out")
        entities.extend({"type": t, "value": words, "start": start, "end": start + len(words)} for t in types)
        parts += [before, words]
        length, end = start + len(words), match.end()
    return Example("".join([*parts, marked[end:]]), tuple(entities), tuple(notes))


def _types(match: re.Match[str]) -> list[str]:
    if match["type"]:
        return [name] if (name := match["type"].strip()) else []
    try:
        value = json.loads(match["one"] or f"[{match['several']}]")
    except (ValueError, RecursionError):
        return []
    items = value if isinstance(value, list) else [value]
    names = [item.get("entity") for item in items if isinstance(item, dict)]
    return [name.strip() for name in names if isinstance(name, str) and name.strip()]
