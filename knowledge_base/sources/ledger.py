"""What earlier runs converted, so that an unchanged document is not converted again: `HOME/sources.json`.

It holds hashes and ids, no text. An entry is taken from the snapshot in force, without what operators changed, and only
where it is still what the document gave; whatever does not fit is forgotten and the document converted anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from knowledge_base import snapshots
from knowledge_base.command import Finding
from knowledge_base.entry import Entry
from knowledge_base.errors import SnapshotError

FILE = "sources.json"
FORMAT = 2  # of the file and of what the converters give: raised where either changes


@dataclass(frozen=True, slots=True)
class Record:
    """What a file gave: entries, suspicious places, how many drafts were left out, and what names the articles in it."""

    entries: Sequence[Entry]
    suspicious: Sequence[Finding]
    drafts: int
    keys: Sequence[str]


class Ledger:
    """The documents of a knowledge home; without a home it remembers nothing."""

    def __init__(self, home: Path | None = None) -> None:
        self._home = home
        self._rows: dict[str, dict[str, Any]] | None = None
        self._held: Mapping[str, Entry] | None = None
        self._noted: dict[str, dict[str, Any]] = {}

    def recall(self, path: Path, source: str, data: bytes) -> Record | None:
        """Return what a document gave, if it is unchanged and its entries are too."""
        row = self._read().get(_key(path))
        if row is None:
            return None
        try:
            entries = [self._entries()[entry_id] for entry_id in row["entries"]]
            if row["sha256"] != _sha256(source, data) or row["digest"] != _digest(entries):
                return None
            suspicious = [Finding(**found) for found in row["suspicious"]]
            record = Record(entries, suspicious, int(row["drafts"]), [str(key) for key in row["keys"]])
        except (KeyError, TypeError, ValueError):
            return None
        self._noted[_key(path)] = row
        return record

    def note(self, path: Path, source: str, data: bytes, record: Record) -> None:
        """Remember what a document gave; `save` writes it."""
        self._noted[_key(path)] = {
            "sha256": _sha256(source, data),
            "digest": _digest(record.entries),
            "entries": [entry.id for entry in record.entries],
            "suspicious": [asdict(found) for found in record.suspicious],
            "drafts": record.drafts,
            "keys": list(record.keys),
        }

    def save(self) -> None:
        """Write what was noted beside what earlier runs noted, without documents whose entries are gone."""
        if self._home is None:
            return
        before = self._read()
        rows = {**before, **self._noted}
        if rows == before:
            return
        held = {entry_id for row in self._noted.values() for entry_id in row["entries"]}.union(self._entries())
        rows = {key: row for key, row in rows.items() if held.issuperset(row["entries"])}
        partial = self._home / f"{FILE}.partial"
        partial.write_text(json.dumps({"format": FORMAT, "documents": rows}), encoding="utf-8")
        partial.replace(self._home / FILE)

    def _read(self) -> dict[str, dict[str, Any]]:
        if self._rows is None:
            self._rows = {}
            try:
                content = json.loads((self._home / FILE).read_text(encoding="utf-8")) if self._home else {}
                if content.get("format") == FORMAT:
                    self._rows = {str(k): dict(v) for k, v in content["documents"].items() if list(v["entries"])}
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                pass  # absent or damaged: everything is converted again
        return self._rows

    def _entries(self) -> Mapping[str, Entry]:
        if self._held is None:
            try:
                self._held = snapshots.read_current(self._home).sourced if self._home else {}
            except SnapshotError:
                self._held = {}
        return self._held


def _key(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).hexdigest()[:32]


def _sha256(source: str, data: bytes) -> str:
    digest = hashlib.sha256(f"{FORMAT}\0{source}\0".encode(errors="surrogateescape"))
    digest.update(data)
    return digest.hexdigest()


def _digest(entries: Sequence[Entry]) -> str:
    return hashlib.sha256("".join(entry.sha256 for entry in entries).encode()).hexdigest()
