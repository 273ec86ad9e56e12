"""Tables of text as people export them: found out are the encoding and the delimiter, kept are the line numbers."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune.columns import EXPECTED, named
from knowledge_base.sources.text import likeliest
from knowledge_base.tables import Cells, csv_cells

_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_NOT_FIRST_BYTES = bytes(range(0xC0))  # in UTF-8 each character beyond ASCII has one byte that is not among these
_DELIMITERS = (",", ";", "\t")


class FileError(Exception):
    """A file, or one row of a table, cannot be read; `line` is 1-based, None means the whole file."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `line` is the 1-based line on which it starts, a cell may span several lines."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its text, its delimiter, its header, and its column names as `columns.named` gives them."""

    text: str
    delimiter: str
    header: tuple[str, ...]
    columns: tuple[str, ...]
    header_line: int

    def rows(self) -> Iterator[Row | FileError]:
        """Return each row behind the header; a row that cannot be read comes as the error that says why."""
        return (self._row(row) for row in _rows(self.text, self.delimiter) if row.line > self.header_line)

    def _row(self, row: Cells) -> Row | FileError:
        if isinstance(row.cells, str):
            return FileError(row.cells, row.line)
        if len(row.cells) != len(self.columns):
            return FileError(f"expected {len(self.columns)} cells, got {len(row.cells)}", row.line)
        return Row(row.line, dict(zip(self.columns, row.cells, strict=True)))


def read_table(text: str) -> Table:
    """Return a table whose header holds all columns of a layout.

    Raises:
        FileError: no header names the columns of a layout.
    """
    seen: Sequence[str] = ()
    for delimiter in _DELIMITERS:
        line, header = _header(text, delimiter)
        columns = named(header)
        if columns is not None:
            twice = sorted({name for name in columns if name and columns.count(name) > 1})
            if twice:
                raise FileError(f"expected every column once, got {_listed(twice)} twice", line)
            return Table(text, delimiter, tuple(header), columns, line)
        seen = header if len(header) > len(seen) else seen
    raise FileError(f"expected a header with the columns {EXPECTED}, got {_listed(seen) or 'an empty file'}", 1)


def decode(data: bytes) -> tuple[str, str]:
    """Return the text, and a note that tells which encoding was guessed or what is lost; the note may be empty.

    Raises:
        FileError: no known encoding fits.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode_as(data, encoding), ""
    zeros, length = data[:4096].count(0), len(data[:4096])
    cleaned = data.replace(b"\0", b"")
    # In UTF-16 every second byte of ASCII is zero; a stray zero makes none.
    found = None if zeros and 8 * zeros >= length else _utf_8(cleaned)
    if found:
        return found
    if 128 * zeros > length:  # of Chinese text in UTF-16 only the delimiters and line ends have zeros
        encoding = "utf-16-le" if data[1:4096:2].count(0) >= data[0:4096:2].count(0) else "utf-16-be"
        return _decode_as(data, encoding), ""
    encoding = _legacy_encoding(cleaned)
    text = _decode_as(cleaned, encoding)
    return text, f"not UTF-8: read as {encoding}; save it as UTF-8 if letters look wrong"


def _utf_8(data: bytes) -> tuple[str, str] | None:
    """Return the text and a note; None where most of what is beyond ASCII is no UTF-8, and no mark says that it is."""
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        whole = data.decode("utf-8", "ignore").encode()
        characters = len(whole.translate(None, _NOT_FIRST_BYTES))
        if characters <= len(data) - len(whole) and not data.startswith(codecs.BOM_UTF8):
            return None
        return data.decode("utf-8-sig", "replace"), "bytes that are no UTF-8: \ufffd stands for them"


def _decode_as(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeError as error:
        raise FileError(f"expected text in a known encoding, got bytes that are not {encoding}") from error


def _legacy_encoding(data: bytes) -> str:
    encoding = likeliest(data)
    if encoding is None:
        raise FileError("expected text in a known encoding (UTF-8 is safest), got bytes that fit none")
    return encoding


def _header(text: str, delimiter: str) -> tuple[int, Sequence[str]]:
    first = next(_rows(text, delimiter), None)
    if first is None or isinstance(first.cells, str):
        return first.line if first else 1, ()
    return first.line, first.cells


def _rows(text: str, delimiter: str) -> Iterator[Cells]:
    # newline="" keeps line ends inside quoted cells; the reader counts them, so a row knows where it began.
    return csv_cells(io.StringIO(text, newline=""), delimiter)


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 80 else text[:80] + "..."
