"""Editing: operators add, change, retire and bring back entries; each change is a snapshot, or nothing happens.

It is the publication of an ingestion, under the same lock: only a text that is new is embedded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from knowledge_base import snapshots
from knowledge_base.edits import Edit, laid_over, version
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry, content_id, parse_entry
from knowledge_base.errors import ChangedError, InputError, SnapshotError
from knowledge_base.home import writing
from knowledge_base.publication import Publication

LOGGER = logging.getLogger(__name__)
SOURCE = "operators"  # of an entry that no source holds
Change = Callable[[snapshots.Snapshot, datetime], Edit]


class Editor:
    """Edits a knowledge home with the encoder that its vectors were made with. Any thread may use it.

    Every method raises
        InUseError: an ingestion or another edit is being written.
        ChangedError: the entry is not any more what the operator saw.
        InputError: what was given cannot be used, or the home cannot be written; nothing was changed.
    """

    def __init__(
        self, home: Path, encoder: Encoder, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._home, self._encoder, self._now = home, encoder, now

    def add(self, values: Mapping[str, object], by: str) -> Entry:
        """Add an entry of which the columns are given, without an id."""

        def change(held: snapshots.Snapshot, now: datetime) -> Edit:
            entry = _parsed({"source": SOURCE, **values, "id": "", "updated_at": now.date().isoformat()})
            known = held.entries.get(entry.id) or (held.edits[entry.id].entry if entry.id in held.edits else None)
            if known is not None:
                if _texts(known) == _texts(entry):
                    raise InputError(
                        "An entry with this question and answer is there already, or was retired. Search for it and change that one."
                    )
                entry = replace(entry, id=content_id(*_texts(entry), now.isoformat()))
            return Edit(entry, by, _time(now))

        return self._publish(change)

    def change(self, entry_id: str, values: Mapping[str, object], by: str, seen: str) -> Entry:
        """Change the given columns of an entry; `seen` is the `version` of what the operator was shown.

        A retired entry stays retired. Where nothing changes, nothing is written.
        """

        def change(held: snapshots.Snapshot, now: datetime) -> Edit:
            edit = _seen(held, entry_id, seen, by, now)
            entry = _parsed({**edit.entry.to_json(), **values, "id": entry_id})
            if entry != edit.entry:
                entry = replace(entry, updated_at=now.date().isoformat())
            return replace(edit, entry=entry)

        return self._publish(change)

    def retire(self, entry_id: str, by: str, seen: str) -> Entry:
        """Take an entry out of force; no ingestion brings it back, only an operator."""

        def change(held: snapshots.Snapshot, now: datetime) -> Edit:
            return replace(_seen(held, entry_id, seen, by, now), retired=True)

        return self._publish(change)

    def bring_back(self, entry_id: str, by: str, seen: str) -> Entry:
        """Bring a retired entry back: what operators wrote, else what the sources now say."""

        def change(held: snapshots.Snapshot, now: datetime) -> Edit:
            return replace(_seen(held, entry_id, seen, by, now), retired=False)

        return self._publish(change)

    def take_back(self, entry_id: str, by: str, seen: str) -> Entry:
        """Forget all that operators changed in an entry: what the sources say counts again."""

        def change(held: snapshots.Snapshot, now: datetime) -> Edit:
            edit = _seen(held, entry_id, seen, by, now)
            if edit.source is None:
                raise InputError("No source holds this entry, so there is nothing to go back to. Retire it instead.")
            return replace(edit, entry=edit.source, retired=False)

        return self._publish(change)

    def _publish(self, change: Change) -> Entry:
        """Publish the edit that `change` makes of what is held, unless it changes nothing."""
        with writing(self._home):
            held = self._held()
            edit = change(held, self._now())
            before = held.edits.get(edit.entry.id)
            if edit.is_none if before is None else (before.entry, before.retired) == (edit.entry, edit.retired):
                return edit.entry
            kept = [other for other in held.edits.values() if other.entry.id != edit.entry.id]
            edits = kept if edit.is_none else [*kept, edit]
            entries, renewed = laid_over(list(held.sourced.values()), {one.entry.id: one for one in edits})
            publication = Publication(entries, renewed, held, self._encoder, LOGGER.info)
            publication.write(self._home, lambda: self._encoder)
            return edit.entry

    def _held(self) -> snapshots.Snapshot:
        held = snapshots.read_current(self._home)
        if held.encoder_sha256 != self._encoder.sha256:
            raise SnapshotError(
                f"{held.folder}: expected knowledge made with the encoder {self._encoder.id}, got {held.encoder_id}. "
                "Restart with that encoder, or ingest with this one."
            )
        return held


def _seen(held: snapshots.Snapshot, entry_id: str, seen: str, by: str, now: datetime) -> Edit:
    """Return the edit of an entry, if it is still what the operator was shown, in the name of who goes on with it."""
    edit = held.edits.get(entry_id)
    entry = edit.entry if edit else held.entries.get(entry_id)
    if entry is None:
        raise ChangedError("This entry is not there any more: it was removed since you opened it.")
    if version(entry, edit) != seen:
        who = f"{edit.by} changed it at {edit.at}" if edit else "An ingestion changed it"
        raise ChangedError(f"This entry is not any more what you opened. {who}. Open it again, then change it.")
    return replace(edit, by=by, at=_time(now)) if edit else Edit(entry, by, _time(now), source=entry)


def _parsed(row: Mapping[str, object]) -> Entry:
    try:
        return parse_entry(row)
    except ValueError as error:
        raise InputError(f"{error}.") from error


def _texts(entry: Entry) -> tuple[str, str, str]:
    return entry.question, entry.answer, entry.subject


def _time(now: datetime) -> str:
    return now.isoformat(timespec="seconds")
