"""Past conversations, read from JSON Lines and CSV; what cannot be used is refused with file, line and reason."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from finetune.records import RefusedError, Transcript, parse_line, read_record, shown
from finetune.tables import Row, TableError, read_table
from knowledge_base.command import Refusal

__all__ = ["Transcript", "read_transcripts"]

MAX_LINE_BYTES = 32 * 2**20

_PAIRS = ("question", "answer")
_TURNS = ("conversation_id", "role", "text")


def read_transcripts(paths: Sequence[Path]) -> tuple[list[Transcript], list[Refusal], list[str]]:
    """Read conversations from `.jsonl` and `.csv` files, gzipped or not.

    A CSV file holds either `question,answer[,intent]`, one conversation a row (several intents separated by
    `|`, the answers written by people), or `conversation_id,role,text[,time]`, one message a row, in the order
    of the times where there are any and of the file otherwise. A conversation that stands there twice, with the
    same id and the same content, is read once.

    Args:
        paths: the files, read in this order.

    Returns:
        The conversations in file order, what was refused, and warnings about what was left out of
        conversations that are used. Nothing in a file raises.
    """
    collection = _Collection()
    for path in paths:
        collection.read(path)
    return collection.transcripts, collection.refusals, collection.warnings


class _Collection:
    """What has been read so far, over all files."""

    def __init__(self) -> None:
        self.transcripts: list[Transcript] = []
        self.refusals: list[Refusal] = []
        self._first_with_id: dict[str, tuple[str, str]] = {}
        self._noted: Counter[str] = Counter()
        self._first_noted: dict[str, str] = {}

    @property
    def warnings(self) -> list[str]:
        return [
            f"{self._first_noted[text]}: {text}" + (f" ({count:,} times)" if count > 1 else "")
            for text, count in self._noted.items()
        ]

    def read(self, path: Path) -> None:
        kind = next((suffix for suffix in reversed(path.suffixes) if suffix.lower() != ".gz"), "").lower()
        readers = {".jsonl": self._read_lines, ".csv": self._read_table, ".tsv": self._read_table}
        if kind not in readers:
            self._refuse(path, None, f"expected a .jsonl, .jsonl.gz or .csv file, got {shown(path.name)}")
            return
        try:
            with path.open("rb") as raw, _uncompressed(raw) as file:
                readers[kind](path, file)
        except OSError as error:
            self._refuse(path, None, f"expected a file that can be read, got: {error.strerror or error}")

    def _read_lines(self, path: Path, file: BinaryIO) -> None:
        number = 0
        try:
            while data := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(data) > MAX_LINE_BYTES:
                    reason = (
                        f"expected lines of at most {MAX_LINE_BYTES:,} bytes, got a longer one; the rest is not read"
                    )
                    self._refuse(path, number, reason)
                    return
                if number == 1 and data.startswith((b"\xff\xfe", b"\xfe\xff")):
                    self._refuse(path, None, "expected UTF-8, got UTF-16; the file is not read")
                    return
                self._read_line(path, number, data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self._refuse(path, number + 1, "expected whole gzip data, got a damaged or cut file; the rest is not read")

    def _read_line(self, path: Path, number: int, data: bytes) -> None:
        if not data.strip():
            return
        try:
            self._keep(parse_line(data), f"{path}:{number}")
        except RefusedError as error:
            self._refuse(path, number, error.reason)

    def _read_table(self, path: Path, file: BinaryIO) -> None:
        try:
            table = read_table(file.read(), (_TURNS, _PAIRS))
        except TableError as error:
            self._refuse(path, error.line, error.reason)
            return
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self._refuse(path, None, "expected whole gzip data, got a damaged or cut file")
            return
        if not table.encoding.startswith("utf"):
            self._note(f"{path}", f"not UTF-8: read as {table.encoding}; save it as UTF-8 if letters look wrong")
        has_turns = set(_TURNS) <= set(table.columns)
        known = {*_TURNS, "time"} if has_turns else {*_PAIRS, "intent"}
        for column in table.columns:
            if column not in known:
                self._note(f"{path}:{table.header_line}", f"unknown column {shown(column)} ignored")
        rows = self._readable(path, table.rows())
        for group in _grouped(rows) if has_turns else ([row] for row in rows):
            self._read_rows(path, group, _turns if has_turns else _pair)

    def _readable(self, path: Path, rows: Iterable[Row | TableError]) -> Iterator[Row]:
        for row in rows:
            if isinstance(row, Row):
                yield row
            else:
                self._refuse(path, row.line, row.reason)

    def _read_rows(
        self, path: Path, rows: list[Row], convert: Callable[[list[Row]], tuple[dict[str, Any], list[int]]]
    ) -> None:
        lines = [row.line for row in rows]
        try:
            raw, lines = convert(rows)
            self._keep(raw, f"{path}:{min(lines)}")
        except RefusedError as error:
            self._refuse(path, lines[error.message or 0], error.reason)

    def _keep(self, raw: object, source: str) -> None:
        notes: list[str] = []
        transcript = read_record(raw, source, notes.append)
        content = transcript.content_hash
        first_content, first_source = self._first_with_id.setdefault(transcript.id, (content, source))
        if first_source == source:
            self.transcripts.append(transcript)
            for text in notes:
                self._note(source, text)
        elif first_content == content:
            self._note(source, "conversation with the id and content of an earlier one used once")
        else:
            raise RefusedError(
                f"expected a new id, got {shown(transcript.id)}, which stands with other content at {first_source}"
            )

    def _refuse(self, path: Path, line: int | None, reason: str) -> None:
        self.refusals.append(Refusal(str(path), line, reason))

    def _note(self, source: str, text: str) -> None:
        self._first_noted.setdefault(text, source)
        self._noted[text] += 1


def _uncompressed(file: BinaryIO) -> BinaryIO:
    """Return the content of a file that is gzipped or not, whatever its name says."""
    start = file.read(2)
    file.seek(0)
    return cast("BinaryIO", gzip.open(file)) if start == b"\x1f\x8b" else file


def _pair(rows: list[Row]) -> tuple[dict[str, Any], list[int]]:
    """Return the conversation of a row of questions and answers; without an answer it is a question only."""
    (row,) = rows
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": row.cells["question"], "intent": row.cells.get("intent", "").split("|")}
    ]
    if row.cells["answer"].strip():
        messages.append({"role": "assistant", "content": row.cells["answer"], "author": "human"})
    return {"messages": messages}, [row.line] * len(messages)


def _grouped(rows: Iterable[Row]) -> Iterable[list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.cells["conversation_id"].strip(), []).append(row)
    return groups.values()


def _turns(rows: list[Row]) -> tuple[dict[str, Any], list[int]]:
    """Return the conversation of rows that share an id, with the line of each message."""
    identity = rows[0].cells["conversation_id"].strip()
    if not identity:
        raise RefusedError(f"expected a conversation_id, got an empty cell ({len(rows):,} rows from here on)")
    if any(row.cells.get("time", "").strip() for row in rows):
        times = [_seconds(row.cells["time"].strip(), index) for index, row in enumerate(rows)]
        rows = [row for _, row in sorted(zip(times, rows, strict=True), key=lambda pair: pair[0])]
    messages = [{"role": row.cells["role"], "content": row.cells["text"]} for row in rows]
    return {"id": identity, "messages": messages}, [row.line for row in rows]


def _seconds(text: str, index: int) -> float:
    """Return a time as seconds since 1970; one without a zone counts as UTC, and order is all that matters."""
    try:
        if text.replace(".", "", 1).isdecimal():
            return float(text)
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        expected = "a time such as 2026-01-31 09:30:00 or seconds since 1970 in every row of a conversation"
        raise RefusedError(f"expected {expected}, got {shown(text or None)}", index) from error
