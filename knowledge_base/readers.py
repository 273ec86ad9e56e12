"""Sources of knowledge: CSV, JSON Lines and Markdown, as files and folders; every row checked, none guessed."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from knowledge_base import jsonl, passages
from knowledge_base.command import Refusal
from knowledge_base.entry import COLUMNS, Entry, content_id, parse_entry
from knowledge_base.errors import InputError

MARKDOWN = (".md", ".markdown")
SUFFIXES = (".csv", *jsonl.SUFFIXES, *MARKDOWN)
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_entries(
    paths: Sequence[Path], warn: Callable[[str], None] = lambda _text: None
) -> tuple[list[Entry], list[Refusal]]:
    """Read all entries of files and folders, in the order given, folders sorted by path.

    Args:
        paths: CSV, JSON Lines (also gzipped) or Markdown files, or folders of them.
        warn: is called with each thing that was ignored, once a thing.

    Returns:
        The entries, with unique ids, and what was refused, with file and line.

    Raises:
        InputError: a path does not exist or cannot be opened.
    """
    reading = _Reading(warn)
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: expected a file or folder of knowledge, got nothing there. Check the path.")
        if path.is_dir():
            _read_folder(reading, path)
        else:
            _read_file(reading, path, path.name)
    return reading.entries, reading.refusals


@dataclass
class _Reading:
    """What has been read so far."""

    warn: Callable[[str], None]
    entries: list[Entry] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)  # entry id -> file:line
    parts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (source, heading) -> passages so far

    def refuse(self, file: Path, line: int | None, reason: str) -> None:
        self.refusals.append(Refusal(str(file), line, reason))

    def add(self, file: Path, line: int, row: Mapping[str, object]) -> None:
        try:
            entry = parse_entry(row)
        except ValueError as error:
            self.refuse(file, line, f"{error}.")
            return
        if entry.id in self.places:
            what = f"the id {entry.id!r}" if row.get("id") else "the same question and answer"
            self.refuse(
                file, line, f"{what} stands in {self.places[entry.id]} already. Remove one or give it its own id."
            )
            return
        self.places[entry.id] = f"{file}:{line}"
        self.entries.append(entry)

    def ignore_unknown(self, file: Path, keys: Iterable[str], seen: set[str], what: str) -> None:
        for key in keys:
            if key not in COLUMNS and key not in seen:
                seen.add(key)
                self.warn(f"{file}: the {what} {key!r} is not known and is ignored.")


def _read_folder(reading: _Reading, folder: Path) -> None:
    skipped = 0
    for path in _visible_files(folder):
        if path.name.lower().endswith(SUFFIXES):
            _read_file(reading, path, f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}")
        else:
            skipped += 1
    if skipped:
        reading.warn(f"{folder}: {skipped:,} files of other kinds were skipped (read are {', '.join(SUFFIXES)}).")


def _visible_files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if not name.startswith("."))


def _read_file(reading: _Reading, path: Path, source: str) -> None:
    """Read one file; `source` is its name in the entries, which never holds a path of this machine."""
    name = path.name.lower()
    try:
        if name.endswith(jsonl.SUFFIXES):
            _read_jsonl(reading, path)
        elif name.endswith(MARKDOWN):
            _read_markdown(reading, path, source)
        elif name.endswith(".csv"):
            _read_csv(reading, path)
        else:
            reading.refuse(path, None, f"expected a file ending in {', '.join(SUFFIXES)}, got {path.suffix or 'none'}.")
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be read, got: {error.strerror}.") from error


def _read_jsonl(reading: _Reading, path: Path) -> None:
    seen: set[str] = set()
    for item in jsonl.read_objects(path):
        if isinstance(item, Refusal):
            reading.refusals.append(item)
            continue
        line, row = item
        reading.ignore_unknown(path, row, seen, "key")
        reading.add(path, line, row)


def _read_markdown(reading: _Reading, path: Path, source: str) -> None:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reading.refuse(path, line, f"expected UTF-8, got byte 0x{data[error.start]:02x}. Save the file as UTF-8.")
        return
    for passage in passages.cut(text, title=path.stem):
        # The place, not the text, makes the id: an edited passage is a changed entry, not a second one.
        reading.parts[source, passage.heading] += 1
        part = reading.parts[source, passage.heading]
        row = {
            "id": content_id(source, passage.heading, str(part)),
            "question": passage.title,
            "answer": passage.text,
            "source": source,
            "heading": passage.heading,
            "approved": False,
        }
        reading.add(path, passage.line, row)


def _read_csv(reading: _Reading, path: Path) -> None:
    with path.open("rb") as raw:
        if raw.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            reading.refuse(path, None, "expected UTF-8, got UTF-16. Save the file as CSV UTF-8.")
            return
    # Bytes that are not UTF-8 become lone surrogates, which refuse their own row and no other.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = _csv_rows(file)
        header = next(rows, None)
        if header is None:
            reading.refuse(path, None, "expected columns question, answer; got an empty file.")
            return
        columns = _columns(reading, path, header)
        if columns is None:
            return
        reading.ignore_unknown(path, columns, set(), "column")
        for row in rows:
            if isinstance(row.cells, str):
                reading.refuse(path, row.line, row.cells)
            elif len(row.cells) != len(columns):
                reason = f"expected {len(columns)} cells, got {len(row.cells)}. Put cells that hold commas in quotes."
                reading.refuse(path, row.line, reason)
            else:
                _add_cells(reading, path, row.line, dict(zip(columns, row.cells, strict=True)))


def _add_cells(reading: _Reading, path: Path, line: int, cells: Mapping[str, str]) -> None:
    given: dict[str, object] = {key: cell for key, cell in cells.items() if cell.strip()}
    if "alternatives" in given:
        given["alternatives"] = str(given["alternatives"]).split("|")
    if "approved" in given:
        word = str(given["approved"]).strip().lower()
        if word not in WORDS:
            reading.refuse(path, line, f"approved: expected true or false, got {word[:40]!r}.")
            return
        given["approved"] = WORDS[word]
    reading.add(path, line, given)


def _columns(reading: _Reading, path: Path, header: _Cells) -> list[str] | None:
    """Return the names of the columns, or None after refusing the file."""
    names = [name.strip().lower() for name in header.cells] if isinstance(header.cells, list) else []
    missing = {"question", "answer"} - set(names)
    if missing:
        got = ", ".join(names) if names else str(header.cells)
        remedy = "Rename the column." if len(names) >= 2 else "Separate the columns with commas."
        reading.refuse(path, header.line, f"expected columns question, answer; got {got[:200]}. {remedy}")
        return None
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        reading.refuse(path, header.line, f"expected every column once, got {twice!r} twice. Remove one.")
        return None
    return names


@dataclass(frozen=True, slots=True)
class _Cells:
    """One row of a CSV file with the line on which it begins; `cells` is the reason where it cannot be read."""

    line: int
    cells: list[str] | str


def _csv_rows(file: Iterable[str]) -> Iterator[_Cells]:
    reader = csv.reader(file, strict=True)
    while True:
        before = reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines = f" (lines {before + 1} to {reader.line_num})" if reader.line_num > before + 1 else ""
            yield _Cells(before + 1, f"expected a row of CSV, got: {error}{lines}. Check the quotes.")
            continue
        if any(cell.strip() for cell in cells):
            yield _Cells(before + 1, cells)
