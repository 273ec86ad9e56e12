"""Sources of knowledge, as files and folders, made entries: every row and passage checked, none guessed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from knowledge_base import jsonl, tables
from knowledge_base.command import Finding, Refusal, Unit
from knowledge_base.entry import COLUMNS, SURROGATE, Entry, content_id, parse_entry
from knowledge_base.errors import InputError
from knowledge_base.sources import limits
from knowledge_base.sources.kinds import KINDS, Content, Found, Row, kind_of
from knowledge_base.sources.ledger import Ledger, Record
from knowledge_base.sources.sandbox import Sandbox
from knowledge_base.sources.suspicion import suspicions

SUFFIXES = (".csv", *jsonl.SUFFIXES, *KINDS)


@dataclass(frozen=True, slots=True)
class Where:
    """Where a row or passage stands: what a `Finding` says of its place."""

    file: Path
    line: int | None
    unit: Unit = "line"
    place: str = ""

    def __str__(self) -> str:
        return self.found("").where

    def refused(self, reason: str) -> Refusal:
        """Return why what stands here is not used."""
        return Refusal(_readable(str(self.file)), self.line, _readable(reason), self.unit, _readable(self.place))

    def found(self, reason: str) -> Finding:
        """Return what was found here."""
        return Finding(_readable(str(self.file)), self.line, _readable(reason), self.unit, _readable(self.place))


@dataclass
class Reading:
    """What sources hold: entries with unique ids, what was refused, and what of the used is suspicious."""

    warn: Callable[[str], None]
    entries: list[Entry] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    suspicious: list[Finding] = field(default_factory=list)
    drafts: int = 0
    places: dict[str, str] = field(default_factory=dict)  # entry id -> file and place, for people
    files: dict[str, str] = field(default_factory=dict)  # entry id -> name of the file
    silent: set[str] = field(default_factory=set)  # names of files that gave nothing and no reason why

    def refuse(self, file: Path, reason: str) -> None:
        """Note that a whole file is not used."""
        self.refusals.append(Where(file, None).refused(reason))

    def parse(self, row: Mapping[str, object], where: Where) -> Entry | None:
        """Return a row as an entry, or None after refusing it."""
        try:
            entry = parse_entry(row)
        except ValueError as error:
            self.refusals.append(where.refused(f"{error}."))
            return None
        if entry.id in self.places:
            what = f"the id {entry.id!r}" if row.get("id") else "the same question and answer"
            reason = f"{what} stands in {self.places[entry.id]} already. Remove one or give it its own id."
            self.refusals.append(where.refused(reason))
            return None
        return entry

    def take(self, entry: Entry, where: Where) -> None:
        """Use an entry that `parse` gave."""
        self.places[entry.id] = str(where)
        self.entries.append(entry)

    def ignore_unknown(self, file: Path, keys: Iterable[str], seen: set[str], what: str) -> None:
        """Tell each key that is not one of an entry's, once."""
        for key in keys:
            if key not in COLUMNS and key not in seen:
                seen.add(key)
                self.warn(f"{file}: the {what} {key!r} is not known and is ignored.")


def read_entries(
    paths: Sequence[Path], warn: Callable[[str], None] = lambda _text: None
) -> tuple[list[Entry], list[Refusal]]:
    """Read all entries of files and folders; see `read_sources`."""
    reading = read_sources(paths, warn)
    return reading.entries, reading.refusals


def read_sources(
    paths: Sequence[Path],
    warn: Callable[[str], None] = lambda _text: None,
    ledger: Ledger | None = None,
    guard: limits.Guard | None = None,
) -> Reading:
    """Read files and folders, in the order given, folders sorted by path.

    Args:
        paths: files of the kinds in `SUFFIXES`, or folders of them.
        warn: is called with each thing that was ignored, once a thing.
        ledger: knows what earlier runs converted, and is told what this one does.
        guard: what the conversion of one file may use.

    Raises:
        InputError: a path does not exist.
    """
    reading = Reading(lambda text: warn(_readable(text)))
    with Sandbox(guard) as sandbox:
        files = _Files(reading, sandbox, ledger or Ledger())
        for path in paths:
            if not path.exists():
                raise InputError(f"{path}: expected a file or folder of knowledge, got nothing there. Check the path.")
            if path.is_dir():
                files.read_folder(path)
            else:
                files.read_file(path, path.name)
    return reading


class _Files:
    """Reads files into a `Reading`."""

    def __init__(self, reading: Reading, sandbox: Sandbox, ledger: Ledger) -> None:
        self._reading = reading
        self._sandbox = sandbox
        self._ledger = ledger
        self._documents: dict[str, str] = {}  # what names a document -> its file or place, for people

    def read_folder(self, folder: Path) -> None:
        skipped = 0
        for path in _visible_files(folder, self._refuse_folder):
            source = f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}"
            if not path.name.lower().endswith(SUFFIXES) or not self.read_file(path, source, lenient=True):
                skipped += 1
        if skipped:
            kinds = ", ".join(SUFFIXES)
            self._reading.warn(f"{folder}: {skipped:,} files of other kinds were skipped (read are {kinds}).")

    def read_file(self, path: Path, source: str, *, lenient: bool = False) -> bool:
        """Read one file; `source` is its name in the entries, which never holds a path of this machine.

        Returns:
            False where a `lenient` look found another kind of file than its name says; nothing was read then.
        """
        reading = self._reading
        if not _is_text(source):
            reading.refuse(path, "expected a file name in UTF-8, got other bytes. Rename the file.")
            return True
        before = len(reading.entries), len(reading.refusals), reading.drafts
        recognised = self._read(path, source, lenient=lenient)
        reading.files.update((entry.id, source) for entry in reading.entries[before[0] :])
        if before == (len(reading.entries), len(reading.refusals), reading.drafts):
            reading.silent.add(source)
            if recognised:
                reading.warn(f"{path}: the file holds no entry.")
        if reading.drafts > before[2]:
            reading.warn(f"{path}: left out {reading.drafts - before[2]:,} articles that are drafts or unpublished.")
        return recognised

    def _read(self, path: Path, source: str, *, lenient: bool) -> bool:
        name = path.name.lower()
        try:
            if not path.is_file():
                self._reading.refuse(path, "expected a file, got something else.")
            elif name.endswith(jsonl.SUFFIXES):
                path.open("rb").close()  # what cannot be opened is refused here, not raised there
                self._read_rows(path, jsonl.read_objects(path, limits.ROWS_BYTES), "key")
            elif name.endswith(".csv"):
                if _is_short(self._reading, path, limits.ROWS_BYTES):
                    self._read_rows(path, tables.read_csv(path), "column")
            elif kind := kind_of(name):
                return self._read_document(path, source, kind, lenient=lenient)
            else:
                reason = f"expected a file ending in {', '.join(SUFFIXES)}, got {path.suffix or 'none'}."
                self._reading.refuse(path, reason)
        except OSError as error:
            self._reading.refuse(path, f"expected a file that can be read, got: {error.strerror}.")
        return True

    def _read_rows(
        self, path: Path, items: Iterable[tables.Item], what: str, unit: Unit = "line", place: str = ""
    ) -> None:
        seen: set[str] = set()
        for item in items:
            if isinstance(item, Refusal):
                self._reading.refusals.append(Where(path, item.line, item.unit, item.place).refused(item.reason))
                continue
            line, row = item
            self._reading.ignore_unknown(path, row, seen, what)
            where = Where(path, line, unit, place)
            entry = self._reading.parse(row, where)
            if entry:
                self._reading.take(entry, where)
                for text in (entry.question, *entry.alternatives, entry.answer):
                    self._reading.suspicious += [where.found(reason) for _below, reason in suspicions(text)]

    def _read_document(self, path: Path, source: str, kind: str, *, lenient: bool) -> bool:
        if not _is_short(self._reading, path, limits.FILE_BYTES):
            return True
        if not self._is_new(source, str(path)):
            other = self._documents[source]
            reason = (
                f"{other} has the same name, by which passages are told apart. Rename one, or give the folder of both."
            )
            self._reading.refuse(path, f"expected each document once, got a second one: {reason}")
            return True
        data = path.read_bytes()
        known = self._ledger.recall(path, source, data)
        if known and not self._is_met(known):
            self._recall(path, known)
            return True
        content = self._sandbox.convert(kind, data, path.stem)
        if not content.recognised and lenient:
            return False
        before = len(self._reading.entries), len(self._reading.refusals), len(self._reading.suspicious)
        self._reading.refusals += [_at(path, found).refused(found.reason) for found in content.refused]
        self._reading.drafts += content.drafts
        if content.sheets:
            self._read_sheets(path, content)
        else:
            self._read_passages(path, source, content)
        if len(self._reading.refusals) == before[1]:
            entries, suspicious = self._reading.entries[before[0] :], self._reading.suspicious[before[2] :]
            keys = [*dict.fromkeys(row.key for row in content.rows if row.key)]
            self._ledger.note(path, source, data, Record(entries, suspicious, content.drafts, keys))
        return True

    def _is_met(self, known: Record) -> bool:
        """Say whether an entry or an article of a file stands in one before it already."""
        entries = any(entry.id in self._reading.places for entry in known.entries)
        return entries or any(key in self._documents for key in known.keys)

    def _recall(self, path: Path, known: Record) -> None:
        """Use what an unchanged file gave in an earlier run."""
        self._documents.update((key, str(Where(path, None))) for key in known.keys)
        for entry in known.entries:
            self._reading.take(entry, Where(path, None))
        self._reading.suspicious += known.suspicious
        self._reading.drafts += known.drafts

    def _read_sheets(self, path: Path, content: Content) -> None:
        usable = [(name, rows) for name, rows in content.sheets if tables.has_columns(rows)]
        for name, rows in content.sheets:
            if usable and (name, rows) not in usable:
                self._reading.warn(f"{path}: the sheet {name!r} has no columns question, answer and is skipped.")
                continue
            self._read_rows(path, tables.read_sheet(path, name, rows), "column", "row", f"sheet {name!r}")

    def _read_passages(self, path: Path, source: str, content: Content) -> None:
        """Use the passages of documents, each document whole or not at all."""
        documents: dict[str, list[Row]] = {}
        for row in content.rows:
            documents.setdefault(row.key, []).append(row)
        for key, rows in documents.items():
            if key and not self._is_new(key, str(_at(path, rows[0]))):
                reason = f"expected each article once, got one that stands in {self._documents[key]} too. Remove one."
                self._reading.refusals.append(_at(path, rows[0]).refused(reason))
                continue
            parts: Counter[str] = Counter()  # passages below each heading so far
            parsed: list[tuple[Row, Entry]] = []
            for row in rows:
                # The place, not the text, makes the id: an edited passage is a changed entry, not a second one.
                heading = str(row.values["heading"])
                parts[heading] += 1
                identity = content_id(key or source, heading, str(parts[heading]))
                values = {**row.values, "id": identity, "source": source + row.part}
                entry = self._reading.parse(values, _at(path, row))
                if entry is None:
                    break
                parsed.append((row, entry))
            else:
                for row, entry in parsed:
                    self._reading.take(entry, _at(path, row))
        self._reading.suspicious += [_at(path, found).found(found.reason) for found in content.suspicious]

    def _is_new(self, document: str, place: str) -> bool:
        """Say whether a document is met for the first time, and remember where."""
        return self._documents.setdefault(document, place) == place

    def _refuse_folder(self, error: OSError) -> None:
        folder = Path(os.fsdecode(error.filename or ""))
        self._reading.refuse(folder, f"expected a folder that can be listed, got: {error.strerror}.")


def _at(path: Path, found: Row | Found) -> Where:
    return Where(path, found.line, place=found.place)


def _is_short(reading: Reading, path: Path, most: int) -> bool:
    size = path.stat().st_size
    if size > most:
        reading.refuse(path, f"expected a file of at most {most // limits.MB} MB, got {size:,} bytes. Divide it.")
    return size <= most


def _readable(text: str) -> str:
    """Return a text with a mark in place of each byte that is no UTF-8, as it can be written anywhere."""
    return SURROGATE.sub("\ufffd", text)


def _is_text(name: str) -> bool:
    """Say whether a file's name is characters, and not bytes of another encoding."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _visible_files(folder: Path, unlisted: Callable[[OSError], None]) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=unlisted):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if not name.startswith("."))
