"""XLSX by openpyxl: each sheet as rows of text, to be read as CSV is."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from knowledge_base.sources import archive, limits
from knowledge_base.sources.document import UnreadableError, damage_of


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its name, and its rows that are not empty, each with its number."""

    name: str
    rows: list[tuple[int, list[str]]]


def sheets(data: bytes, bounds: limits.Bounds | None = None, *, hidden: bool = False) -> list[Sheet]:
    """Read the sheets of a workbook; of formulas the value that was last seen.

    Args:
        data: the file.
        bounds: how much it may hold.
        hidden: whether hidden sheets are read too.

    Raises:
        UnreadableError: it is not one, damaged or too large.
    """
    bounds = bounds or limits.Bounds()
    archive.check(data, "XLSX", "xl/workbook.xml", bounds)
    import openpyxl

    found: list[Sheet] = []
    room = bounds.characters
    with damage_of("XLSX"):
        # The file is bytes in memory, so that nothing is left open where this breaks off.
        book = openpyxl.load_workbook(BytesIO(data), read_only=True, data_only=True, keep_links=False)
        for sheet in book.worksheets:
            if hidden or sheet.sheet_state == "visible":
                with damage_of("XLSX", f"sheet {sheet.title!r}"):
                    rows = list(_rows(sheet, room, bounds))
                room -= sum(len(cell) for _number, cells in rows for cell in cells)
                found.append(Sheet(str(sheet.title), rows))
    return found


def _rows(sheet: Any, room: int, bounds: limits.Bounds) -> Iterator[tuple[int, list[str]]]:
    sheet.reset_dimensions()  # what a sheet says of its own size may be wrong by a million rows
    width = 0
    for number, values in enumerate(sheet.iter_rows(max_col=limits.COLUMNS, values_only=True), start=1):
        if number > limits.ROWS:
            raise UnreadableError(f"expected at most {limits.ROWS:,} rows, got more.", f"sheet {sheet.title!r}")
        if values.count(None) == len(values):
            continue
        cells = [_text(value) for value in values]
        while cells and not cells[-1].strip():
            cells.pop()
        if not cells:
            continue
        width = width or len(cells)
        cells += [""] * (width - len(cells))
        room -= sum(map(len, cells))
        if room < 0:
            reason = f"expected at most {bounds.characters:,} characters, got more. Divide the workbook."
            raise UnreadableError(reason, f"sheet {sheet.title!r}, row {number}")
        yield number, cells


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat()
    return str(value)
