"""What operators changed: an edit stands in place of what the sources say of an entry, until it is taken back.

Edits are part of a snapshot (`edits.jsonl`), so that they come into force, and go back, together with what they change.
Every ingestion takes them over: the sources go on saying what they say, and the edits are laid over that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from knowledge_base.entry import Entry, parse_entry


@dataclass(frozen=True, slots=True)
class Edit:
    """What operators made of one entry.

    `entry` is their text, also where it is `retired` and nobody finds it; `source` is what the sources say, None where
    they have no such entry; `by` is an operator's name and `at` a time in UTC (ISO 8601).
    """

    entry: Entry
    by: str
    at: str
    retired: bool = False
    source: Entry | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing is changed: the text is the source's, and in force."""
        return self.entry == self.source and not self.retired

    def renewed(self, source: Entry | None) -> Edit:
        """Return the edit over what the sources now say; a text that operators left alone follows them."""
        return replace(self, entry=source if source and self.entry == self.source else self.entry, source=source)

    def to_json(self) -> dict[str, Any]:
        """Return the edit as a JSON object."""
        return {
            "entry": self.entry.to_json(),
            "by": self.by,
            "at": self.at,
            "retired": self.retired,
            "source": self.source.to_json() if self.source else None,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Edit:
        """Read what `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        source = parse_entry(row["source"]) if row["source"] is not None else None
        return cls(parse_entry(row["entry"]), str(row["by"]), str(row["at"]), bool(row["retired"]), source)


def laid_over(sources: Sequence[Entry], edits: Mapping[str, Edit]) -> tuple[list[Entry], dict[str, Edit]]:
    """Return the entries that are in force, and the edits with what the sources now say of each."""
    said = {entry.id: entry for entry in sources}
    renewed = {entry_id: edit.renewed(said.get(entry_id)) for entry_id, edit in _followed(edits, said).items()}
    current = {**said, **{entry_id: edit.entry for entry_id, edit in renewed.items()}}
    return [e for e in current.values() if e.id not in renewed or not renewed[e.id].retired], renewed


def _followed(edits: Mapping[str, Edit], said: Mapping[str, Entry]) -> dict[str, Edit]:
    """Return the edits by where the texts now stand that they were made of.

    Passages are numbered below their heading: one that is put in above another takes its id, and the edit must go with the text.
    """
    if all(edit.source is None or said.get(entry_id) == edit.source for entry_id, edit in edits.items()):
        return dict(edits)
    standing = {_text(entry): entry.id for entry in said.values()}
    moved: dict[str, str] = {}
    for entry_id, edit in edits.items():
        now = said.get(entry_id)
        if edit.source and (now is None or _text(now) != _text(edit.source)) and _text(edit.source) in standing:
            moved[entry_id] = standing[_text(edit.source)]
    while taken := [
        i for i, n in Counter([moved.get(i, i) for i in edits]).items() if n > 1
    ]:  # two cannot share a place
        moved = {before: now for before, now in moved.items() if now not in taken}
    return {
        moved.get(i, i): replace(edit, entry=replace(edit.entry, id=moved[i]), source=replace(edit.source, id=moved[i]))
        if i in moved and edit.source
        else edit
        for i, edit in edits.items()
    }


def _text(entry: Entry) -> tuple[object, ...]:
    return entry.question, entry.answer, entry.alternatives, entry.heading, entry.subject


def lifted(entries: Mapping[str, Entry], edits: Mapping[str, Edit]) -> dict[str, Entry]:
    """Return what the sources say, by id: the entries in force without what operators changed."""
    said = {entry_id: entry for entry_id, entry in entries.items() if entry_id not in edits}
    return said | {entry_id: edit.source for entry_id, edit in edits.items() if edit.source}


def version(entry: Entry, edit: Edit | None) -> str:
    """Return what changes with the text of an entry and with whether it is retired."""
    return f"{entry.sha256}-retired" if edit and edit.retired else entry.sha256
