"""Past conversations, read from files of many forms; what cannot be used is refused with file, place and reason."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from finetune import columns, rows
from finetune.documents import json_line, one_document, read_json, read_yaml, unpacked, whole
from finetune.importers import Importer, Placed, Record, chatml, flat, importer_of, macros, rasa
from finetune.importers.draft import PRIVATE
from finetune.records import RefusedError, Transcript, parse_line, read_record, shown
from finetune.tables import FileError, Row, Table, decode, read_table
from finetune.workbook import Sheet, read_sheet
from knowledge_base.command import Refusal, Unit
from knowledge_base.sources.document import UnreadableError

__all__ = ["Reading", "Transcript", "read_files"]

MAX_LINE_BYTES = 32 * 2**20

_OURS = "Frontdesk transcripts"
_TABLES = (".csv", ".tsv")
_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".xlsx", ".yml", ".yaml", ".txt")
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
_RASA_KEY = re.compile(r"^(?:nlu|stories|rules|responses|intents)\s*:", re.MULTILINE)

UNRECOGNISED = "not recognised"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of some files: `formats` names for each file what it was recognised as."""

    transcripts: list[Transcript]
    refusals: list[Refusal]
    warnings: list[str]
    formats: Mapping[str, str]


def read_files(paths: Sequence[Path]) -> Reading:
    """Read conversations from files, gzipped or not: our own JSON Lines, tables, and exports of other systems.

    A table (CSV or XLSX) holds either `question,answer[,intent]`, one conversation a row (several intents separated
    by `|`, the answers written by people), or `conversation_id,role,text[,time]`, one message a row, in the order
    of the times where there are any and of the file otherwise. An export is recognised by its content. A
    conversation that stands there twice, with the same id and the same content, is read once.

    Args:
        paths: the files, read in this order; those of a Rasa project come last, since they belong together.

    Returns:
        The conversations in file order, what was refused, and warnings about what was left out of
        conversations that are used. Nothing in a file raises.
    """
    collection = _Collection()
    for path in paths:
        collection.read(path)
    collection.finish()
    return Reading(collection.transcripts, collection.refusals, collection.warnings, collection.formats)


class _Collection:
    """What has been read so far, over all files."""

    def __init__(self) -> None:
        self.transcripts: list[Transcript] = []
        self.refusals: list[Refusal] = []
        self._formats: dict[str, dict[str, None]] = {}
        self._rasa: list[tuple[Path, object]] = []
        self._first_with_id: dict[str, tuple[str, str]] = {}
        self._noted: Counter[str] = Counter()
        self._first_noted: dict[str, str] = {}

    @property
    def warnings(self) -> list[str]:
        return [
            f"{self._first_noted[text]}: {text}" + (f" ({count:,} times)" if count > 1 else "")
            for text, count in self._noted.items()
        ]

    @property
    def formats(self) -> dict[str, str]:
        return {file: ", ".join(names) or UNRECOGNISED for file, names in self._formats.items()}

    def read(self, path: Path) -> None:
        self._formats.setdefault(str(path), {})
        kind = next((suffix for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), "").lower()
        if kind not in _SUFFIXES:
            expected = f"{', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]} file, gzipped or not"
            self._refuse(path, None, f"expected a {expected}, got {shown(path.name)}")
            return
        try:
            with path.open("rb") as raw, unpacked(raw) as file:
                if kind == ".jsonl":
                    self._read_long(path, file)
                else:
                    self._read_whole(path, kind, whole(file))
        except FileError as error:
            self._refuse(path, error.line, error.reason)
        except UnreadableError as error:
            self.refusals.append(Refusal(str(path), None, str(error), place=error.place))
        except _DAMAGED:
            self._refuse(path, None, "expected whole gzip data, got a damaged or cut file")
        except OSError as error:
            self._refuse(path, None, f"expected a file that can be read, got: {error.strerror or error}")

    def finish(self) -> None:
        """Read what had to wait until all files were there."""
        project = rasa.Project.of(value for _, value in self._rasa)
        read = [(path, list(rasa.records([(1, value)], project))) for path, value in self._rasa]
        is_empty = not any(records for _, records in read)  # a domain alone says nothing that a customer asks
        for path, records in read:
            self._import(path, rasa.NAME, records, "record")
            if is_empty:
                self._refuse(path, None, "expected examples of intents or stories in the Rasa files, got none")

    def _read_long(self, path: Path, file: BinaryIO) -> None:
        """Read JSON Lines line by line, however many there are, unless the file is one document after all."""
        try:
            first = file.readline(MAX_LINE_BYTES + 1)
            found = one_document(first, file, lambda item: importer_of(item) is not None)
            file.seek(0)
        except _DAMAGED:
            found = None
            file.seek(0)
        if found is None:
            self._read_lines(path, file)
        else:
            document, note = found
            self._note_decoding(path, note)
            self._read_document(path, document)

    def _read_lines(self, path: Path, file: BinaryIO) -> None:
        number = 0
        foreign: dict[str, tuple[Importer, list[Placed]]] = {}
        try:
            while data := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(data) > MAX_LINE_BYTES:
                    reason = (
                        f"expected lines of at most {MAX_LINE_BYTES:,} bytes, got a longer one; the rest is not read"
                    )
                    self._refuse(path, number, reason)
                    break
                if number == 1 and data.startswith((b"\xff\xfe", b"\xfe\xff")):
                    self._refuse(path, None, "expected UTF-8, got UTF-16; the file is not read")
                    break
                data = data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data
                self._read_line(path, number, data, foreign)
        except _DAMAGED:
            self._refuse(path, number + 1, "expected whole gzip data, got a damaged or cut file; the rest is not read")
        for importer, values in foreign.values():
            self._import(path, importer.NAME, importer.records(values), "line")

    def _read_line(
        self, path: Path, number: int, data: bytes, foreign: dict[str, tuple[Importer, list[Placed]]]
    ) -> None:
        if not data.strip():
            return
        try:
            value = parse_line(data)
            importer = importer_of(value)
            if importer is None:
                self._keep(value, f"{path}:{number}")
                self._formats[str(path)].setdefault(_OURS)
            else:
                foreign.setdefault(importer.NAME, (importer, []))[1].append((number, value))
        except RefusedError as error:
            self._refuse(path, number, error.reason)

    def _read_whole(self, path: Path, kind: str, data: bytes) -> None:
        """Read a file by what it holds; its name decides only what is expected of a file that holds nothing known."""
        if data.startswith(b"PK\x03\x04") or kind == ".xlsx":
            self._read_rows(path, read_sheet(data), "row")
            return
        text, note = decode(data)
        self._note_decoding(path, note)
        start = text.lstrip()[:1]
        if start in ("{", "[") and self._read_braces(path, kind, text):
            return
        if kind in _TABLES:
            self._read_rows(path, read_table(text), "line")
            return
        if text.lstrip().startswith(chatml.START):
            self._import(path, chatml.NAME, chatml.records([(1, text)]), "line")
        elif kind in (".yml", ".yaml") or (start not in ("{", "[") and _RASA_KEY.search(text)):
            self._read_document(path, read_yaml(text))
        elif kind == ".txt" and start not in ("{", "["):
            self._read_text(path, text)
        else:
            self._read_document(path, read_json(text))

    def _read_braces(self, path: Path, kind: str, text: str) -> bool:
        """Read JSON or JSON Lines; returns False for a file that is neither."""
        try:
            document = read_json(text)
        except FileError:
            first = text.lstrip().partition("\n")[0]
            if kind in _TABLES or not isinstance(json_line(first.encode("utf-8", "replace")), dict):
                return False
            self._read_lines(path, io.BytesIO(text.encode("utf-8", "replace")))
            return True
        if kind in _TABLES and not isinstance(document, dict | list):
            return False
        self._read_document(path, document)
        return True

    def _read_text(self, path: Path, text: str) -> None:
        try:
            table = read_table(text)
        except FileError as error:
            expected = "ChatML, JSON, Rasa's YAML or a table with the columns that data-formats.md names"
            raise FileError(f"expected {expected}, got other text") from error
        self._read_rows(path, table, "line")

    def _read_document(self, path: Path, document: object) -> None:
        """Read the records of a JSON or YAML document: its list, or the one object that it is."""
        document = _unwrapped(document)
        several = isinstance(document, list) and importer_of(document) is None
        values = list(enumerate(document, 1)) if isinstance(document, list) and several else [(1, document)]
        groups: dict[str, tuple[Importer | None, list[Placed]]] = {}
        for number, value in values:
            importer = importer_of(value)
            name = importer.NAME if importer else ""
            groups.setdefault(name, (importer, []))[1].append((number, value))
        if set(groups) <= {""} and not any(isinstance(v, dict) and "messages" in v for _, v in values):
            held = document[0] if isinstance(document, list) and document else document
            got = f"the keys {shown(', '.join(map(str, held)))}" if isinstance(held, dict) and held else shown(held)
            raise FileError(f"expected conversations in a form that data-formats.md names, got {got}")
        for importer, placed in groups.values():
            if importer is None:
                self._import(path, _OURS, (_own(number, value) for number, value in placed), "record")
            elif importer.NAME == rasa.NAME:
                self._formats[str(path)].setdefault(rasa.NAME)
                self._rasa.extend((path, value) for _, value in placed)
            else:
                self._import(path, importer.NAME, importer.records(placed), "record")

    def _import(self, path: Path, name: str, records: Iterable[Record], unit: Unit) -> None:
        self._formats[str(path)].setdefault(name)
        for record in records if name in (_OURS, flat.NAME) else macros.once(records):
            source = f"{path}:{record.place}"
            for text in record.notes:
                self._note(source, text)
            try:
                if record.refusal:
                    raise record.refusal
                if record.raw is not None:
                    self._keep(record.raw, source)
            except RefusedError as error:
                self._refuse(path, record.place, error.reason, unit)

    def _read_rows(self, path: Path, table: Table | Sheet, unit: Unit) -> None:
        form = "messages" if rows.has_turns(table.columns) else "questions"
        self._formats[str(path)].setdefault(f"table of {form}")
        if isinstance(table, Sheet) and table.others:
            self._note(f"{path}", f"further sheets not read: {shown(', '.join(table.others))}")
        for given, name in columns.renamed(table.header, table.columns):
            self._note(f"{path}:{table.header_line}", f"column {shown(given)} read as {shown(name)}")
        for column in rows.unknown(table.columns):
            self._note(f"{path}:{table.header_line}", f"unknown column {shown(column)} ignored")
        for group in rows.grouped(self._readable(path, table.rows(), unit), table.columns):
            lines = [row.line for row in group]
            try:
                raw, lines = rows.conversation(group)
                for message, line in zip(raw["messages"], lines, strict=True):
                    if message.get("note"):
                        self._note(f"{path}:{line}", PRIVATE)
                if not rows.is_wholly_private(raw):
                    self._keep(raw, f"{path}:{min(lines)}")
            except RefusedError as error:
                self._refuse(path, lines[error.message or 0], error.reason, unit)

    def _readable(self, path: Path, found: Iterable[Row | FileError], unit: Unit) -> Iterator[Row]:
        for row in found:
            if isinstance(row, Row):
                yield row
            else:
                self._refuse(path, row.line, row.reason, unit)

    def _keep(self, raw: object, source: str) -> None:
        notes: list[str] = []
        transcript = read_record(raw, source, notes.append)
        content = transcript.content_hash
        if (
            transcript.id == transcript.words_hash[:16]
            and self._first_with_id.get(transcript.id, (content,))[0] != content
        ):
            transcript = replace(transcript, id=content[:16])  # the same words with other labels
        first_content, first_source = self._first_with_id.get(transcript.id, (None, ""))
        if first_content is None:
            self._first_with_id[transcript.id] = (content, source)
            self.transcripts.append(transcript)
            for text in notes:
                self._note(source, text)
        elif first_content == content:
            self._note(source, "conversation with the id and content of an earlier one used once")
        else:
            raise RefusedError(
                f"expected a new id, got {shown(transcript.id)}, which stands with other content at {first_source}"
            )

    def _refuse(self, path: Path, line: int | None, reason: str, unit: Unit = "line") -> None:
        self.refusals.append(Refusal(str(path), line, reason, unit))

    def _note(self, source: str, text: str) -> None:
        self._first_noted.setdefault(text, source)
        self._noted[text] += 1

    def _note_decoding(self, path: Path, note: str) -> None:
        if note:
            self._note(f"{path}", note)


def _unwrapped(document: object) -> object:
    """Return the list of conversations that an object of no known form holds, as pages of search results do."""
    if not isinstance(document, dict) or "messages" in document or importer_of(document):
        return document
    lists = [value for value in document.values() if isinstance(value, list) and any(map(_is_conversation, value))]
    return lists[0] if len(lists) == 1 else document


def _is_conversation(value: object) -> bool:
    return importer_of(value) is not None or (isinstance(value, dict) and isinstance(value.get("messages"), list))


def _own(number: int, value: object) -> Record:
    if isinstance(value, dict):
        return Record(number, value)
    return Record(number, refusal=RefusedError(f"expected a conversation object, got {shown(value)}"))
