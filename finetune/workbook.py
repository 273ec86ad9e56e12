"""Sheets of XLSX files as tables: the first sheet whose header has the wanted columns."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from finetune.tables import Row, TableError

_MAX_UNPACKED = 512 * 2**20
_MAX_PARTS = 4096
_MAX_ROWS = 1_048_576  # of a sheet, by the format; a damaged file can name a later row
_MAX_COLUMNS = 64
_HEADER_WITHIN = 20  # rows; titles may stand above the header


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of one sheet, each with its number; `others` are the sheets that are not read."""

    columns: tuple[str, ...]
    header_line: int
    cells: tuple[tuple[int, tuple[str, ...]], ...]
    others: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def rows(self) -> Iterator[Row | TableError]:
        """Yield each row behind the header that holds anything."""
        width = len(self.columns)
        for number, cells in self.cells:
            if any(cell.strip() for cell in cells[width:]):
                yield TableError(f"expected {width} cells, got more", number)
                continue
            padded = (*cells[:width], *[""] * (width - len(cells)))
            yield Row(number, dict(zip(self.columns, padded, strict=True)))


def read_sheet(data: bytes, layouts: Sequence[Sequence[str]]) -> Sheet:
    """Return the first sheet whose header holds all columns of one of the `layouts`.

    Raises:
        TableError: it is no workbook, it is larger than it may be, or no sheet has such a header.
    """
    _check_archive(data)
    try:
        sheets = _sheets(data)
    except Exception as error:  # a damaged workbook makes the library raise whatever it meets first
        raise TableError(f"expected a whole XLSX workbook, got one that cannot be read ({_said(error)})") from error
    seen: tuple[str, ...] = ()
    for name, rows in sheets:
        for number, cells in rows[:_HEADER_WITHIN]:
            columns = _header(cells)
            if any(set(layout) <= set(columns) for layout in layouts):
                twice = sorted({column for column in columns if column and columns.count(column) > 1})
                if twice:
                    raise TableError(f"expected every column once, got {', '.join(twice)[:80]} twice", number)
                behind = tuple(row for row in rows if row[0] > number)
                others = tuple(other for other, _ in sheets if other != name)
                return Sheet(columns, number, behind, others)
            seen = seen or columns
    expected = " or ".join(",".join(layout) for layout in layouts)
    raise TableError(f"expected a sheet with the columns {expected}, got {', '.join(seen)[:80] or 'empty sheets'}")


def _check_archive(data: bytes) -> None:
    """Refuse an archive that would unpack to far more than a workbook, before any of it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, IndexError) as error:
        raise TableError(f"expected a whole XLSX workbook, got a damaged one ({_said(error)})") from error
    size = sum(part.file_size for part in parts)
    if size > _MAX_UNPACKED or len(parts) > _MAX_PARTS:
        raise TableError(f"expected a workbook of at most {_MAX_UNPACKED:,} bytes unpacked, got {size:,}")


def _sheets(data: bytes) -> list[tuple[str, list[tuple[int, tuple[str, ...]]]]]:
    """Return (name, [(row number, cells)]) of each sheet; rows without anything are left out."""
    import warnings

    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions that do not touch the cells
        # With defusedxml installed, openpyxl reads sheets and strings with it: no entities, no bombs.
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        try:
            return [(str(sheet.title), _filled(sheet)) for sheet in book.worksheets]
        finally:
            book.close()


def _filled(sheet: Any) -> list[tuple[int, tuple[str, ...]]]:
    sheet.reset_dimensions()  # what a sheet says of its size may be wrong
    rows = sheet.iter_rows(max_row=_MAX_ROWS, max_col=_MAX_COLUMNS, values_only=True)
    shown = ((number, tuple(_shown(value) for value in cells)) for number, cells in enumerate(rows, 1))
    return [(number, cells) for number, cells in shown if any(cell.strip() for cell in cells)]


def _header(cells: Sequence[str]) -> tuple[str, ...]:
    names = [cell.strip().casefold() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def _shown(value: object) -> str:
    """Return what stands in a cell as text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    return str(value).encode("utf-8", "replace").decode()


def _said(error: Exception) -> str:
    """Return the kind of an error and the start of its words, on one line."""
    words = " ".join(str(error).split())[:80]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
