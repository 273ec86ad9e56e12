"""Sheets of XLSX files as tables: the first sheet whose header has the wanted columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune.columns import EXPECTED, named
from finetune.tables import FileError, Row
from knowledge_base.sources import limits, xlsx
from knowledge_base.sources.document import UnreadableError

BOUNDS = limits.Bounds(members=4096, unpacked_bytes=512 * 2**20, characters=512 * 2**20)
"""More than a source of knowledge may have: a year of conversations is longer than any FAQ."""

_HEADER_WITHIN = 20  # rows; titles may stand above the header


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of one sheet, each with its number; `others` are the sheets that are not read."""

    header: tuple[str, ...]
    columns: tuple[str, ...]
    header_line: int
    cells: tuple[tuple[int, list[str]], ...]
    others: tuple[str, ...] = ()

    def rows(self) -> Iterator[Row | FileError]:
        """Yield each row behind the header that holds anything."""
        width = len(self.columns)
        for number, cells in self.cells:
            if any(cell.strip() for cell in cells[width:]):
                yield FileError(f"expected {width} cells, got more", number)
                continue
            padded = (*cells[:width], *[""] * (width - len(cells)))
            yield Row(number, dict(zip(self.columns, padded, strict=True)))


def read_sheet(data: bytes) -> Sheet:
    """Return the first sheet whose header holds all columns of a layout.

    Raises:
        UnreadableError: it is no workbook, it is larger than it may be, or no sheet has such a header.
    """
    sheets = _sheets(data)
    seen: Sequence[str] = ()
    for sheet in sheets:
        for number, cells in sheet.rows[:_HEADER_WITHIN]:
            header = _header(cells)
            columns = named(header)
            if columns is not None:
                twice = sorted({column for column in columns if column and columns.count(column) > 1})
                if twice:
                    reason = f"expected every column once, got {', '.join(twice)[:80]} twice"
                    raise UnreadableError(reason, f"sheet {sheet.name!r}, row {number}")
                behind = tuple(row for row in sheet.rows if row[0] > number)
                others = tuple(other.name for other in sheets if other is not sheet)
                return Sheet(tuple(header), columns, number, behind, others)
            seen = seen or header
    raise UnreadableError(f"expected a sheet with the columns {EXPECTED}, got {', '.join(seen)[:80] or 'empty sheets'}")


def _sheets(data: bytes) -> list[xlsx.Sheet]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions that do not touch the cells
        try:
            return xlsx.sheets(data, BOUNDS, hidden=True)
        except (MemoryError, RecursionError) as error:
            name = type(error).__name__
            raise UnreadableError(f"expected XLSX, got one that is nested too deep or too large ({name})") from error


def _header(cells: Sequence[str]) -> Sequence[str]:
    """Return the cells without the empty ones at the end."""
    filled = [place for place, cell in enumerate(cells, 1) if cell.strip()]
    return cells[: max(filled, default=0)]
