"""Tables of text as people export them: found out are the encoding and the delimiter, kept are the line numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# What spreadsheets and shop systems write besides Unicode. A short list keeps short files from being
# read as a rare encoding in which they happen to make sense.
_LEGACY_ENCODINGS = (
    "gb18030",
    "big5",
    "shift_jis",
    "euc_jp",
    "euc_kr",
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
)
_DELIMITERS = (",", ";", "\t")


class UnreadableError(Exception):
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
    """A decoded table: its text, how it was read, and its column names in lower case."""

    text: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    header_line: int

    def rows(self) -> Iterator[Row | UnreadableError]:
        """Yield each row behind the header; a row that cannot be read comes as the error that says why."""
        for line, cells in _records(self.text, self.delimiter):
            if line <= self.header_line:
                continue
            if isinstance(cells, UnreadableError):
                yield cells
            elif any(cell.strip() for cell in cells):
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row | UnreadableError:
        if len(cells) != len(self.columns):
            return UnreadableError(f"expected {len(self.columns)} cells, got {len(cells)}", line)
        return Row(line, dict(zip(self.columns, cells, strict=True)))


def read_table(data: bytes, layouts: Sequence[Sequence[str]]) -> Table:
    """Decode a table whose header holds all columns of one of the `layouts`.

    Args:
        data: the file, uncompressed.
        layouts: for each form of table that is understood, the names of its required columns.

    Raises:
        UnreadableError: the encoding cannot be told, or no header names the columns of a layout.
    """
    text, encoding = decode(data)
    seen: tuple[str, ...] = ()
    for delimiter in _DELIMITERS:
        line, columns = _header(text, delimiter)
        if any(set(layout) <= set(columns) for layout in layouts):
            twice = sorted({name for name in columns if name and columns.count(name) > 1})
            if twice:
                raise UnreadableError(f"expected every column once, got {_listed(twice)} twice", line)
            return Table(text, encoding, delimiter, columns, line)
        seen = columns if len(columns) > len(seen) else seen
    expected = " or ".join(",".join(layout) for layout in layouts)
    raise UnreadableError(f"expected a header with the columns {expected}, got {_listed(seen) or 'an empty file'}", 1)


def decode(data: bytes) -> tuple[str, str]:
    """Return the text and the name of the encoding it was read as.

    Raises:
        UnreadableError: no known encoding fits.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode_as(data, encoding), encoding.removesuffix("-sig")
    if b"\0" in data[:4096]:
        encoding = "utf-16-le" if data[1:4096:2].count(0) >= data[0:4096:2].count(0) else "utf-16-be"
        return _decode_as(data, encoding), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        encoding = _legacy_encoding(data)
        return _decode_as(data, encoding), encoding


def _decode_as(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeError as error:
        raise UnreadableError(f"expected text in a known encoding, got bytes that are not {encoding}") from error


def _legacy_encoding(data: bytes) -> str:
    from charset_normalizer import from_bytes

    matches = from_bytes(data, cp_isolation=list(_LEGACY_ENCODINGS))
    best = matches.best()
    if best is None:
        raise UnreadableError("expected text in a known encoding (UTF-8 is safest), got bytes that fit none")
    # The single-byte encodings differ in few letters: of equally plausible ones the commonest is meant.
    equal = [match.encoding for match in matches if match.chaos <= best.chaos]
    return "cp1252" if best.encoding == "cp1250" and "cp1252" in equal else best.encoding


def _header(text: str, delimiter: str) -> tuple[int, tuple[str, ...]]:
    for line, cells in _records(text, delimiter):
        if isinstance(cells, UnreadableError):
            return line, ()
        if any(cell.strip() for cell in cells):
            return line, tuple(cell.strip().casefold() for cell in cells)
    return 1, ()


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | UnreadableError]]:
    # newline="" keeps line ends inside quoted cells; the reader counts them, so a row knows where it began.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, UnreadableError(_csv_reason(str(error), line, reader.line_num), line)


def _csv_reason(message: str, first: int, last: int) -> str:
    if "unexpected end of data" in message:
        return (
            f"expected a closing quote, got the end of the file at line {last} (lines {first} to {last} are not used)"
        )
    if "field larger" in message:
        return (
            f"expected a cell of at most {csv.field_size_limit():,} characters, got a longer one (a quote left open?)"
        )
    return f"expected quotes inside a quoted cell to be doubled, got: {message}"


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 80 else text[:80] + "..."
