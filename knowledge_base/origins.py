"""Where each entry of a snapshot comes from, and since when it has been as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knowledge_base.entry import Entry


@dataclass(frozen=True, slots=True)
class Origin:
    """`source` is the file that an entry was read from, "" where no file says; `since` the day (UTC) of its last change here."""

    source: str
    since: str


@dataclass(frozen=True, slots=True)
class Before:
    """The snapshot before: its entries by id, what is known of their origins, and the day it was made."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    day: str = ""


def origins_of(entries: Iterable[Entry], files: Mapping[str, str], before: Before, today: str) -> dict[str, Origin]:
    """Return the origin of each entry: an unchanged one keeps its day, and its file where `files` names no other."""
    found = {}
    for entry in entries:
        known = before.origins.get(entry.id, Origin("", before.day))
        since = known.since if before.entries.get(entry.id) == entry else today
        found[entry.id] = Origin(files.get(entry.id, known.source), since)
    return found


def write_origins(path: Path, origins: Mapping[str, Origin]) -> None:
    """Write origins by entry id."""
    rows = {entry_id: [origin.source, origin.since] for entry_id, origin in origins.items()}
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def read_origins(path: Path) -> dict[str, Origin]:
    """Read what `write_origins` wrote; nothing where there is no such file.

    Raises:
        TypeError, ValueError: it holds something else.
    """
    if not path.exists():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(rows, dict):
        raise TypeError("expected origins by entry id")
    return {entry_id: Origin(*row) for entry_id, row in rows.items()}
