"""XLSX by openpyxl: each visible sheet as rows of text, to be read as CSV is."""

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


def sheets(data: bytes) -> list[Sheet]:
    """Read the visible sheets of a workbook; of formulas the value that was last seen.

    Raises:
        UnreadableError: it is not one, damaged or too large.
    """
    archive.check(data, "XLSX", "xl/workbook.xml")
    import openpyxl

    found: list[Sheet] = []
    room = limits.CHARACTERS
    with damage_of("XLSX"):
        # The file is bytes in memory, so that nothing is left open where this breaks off.
        book = openpyxl.load_workbook(BytesIO(data), read_only=True, data_only=True)
        for sheet in book.worksheets:
            if sheet.sheet_state == "visible":
                with damage_of("XLSX", f"sheet {sheet.title!r}"):
                    rows = list(_rows(sheet, room))
                room -= sum(len(cell) for _number, cells in rows for cell in cells)
                found.append(Sheet(str(sheet.title), rows))
    if not any(sheet.rows for sheet in found):
        raise UnreadableError("expected columns question, answer; got an empty workbook.")
    return found


def _rows(sheet: Any, room: int) -> Iterator[tuple[int, list[str]]]:
    sheet.reset_dimensions()  # what a sheet says of its own size may be wrong by a million rows
    width = 0
    for number, values in enumerate(sheet.iter_rows(max_col=limits.COLUMNS, values_only=True), start=1):
        cells = [_text(value) for value in values]
        while cells and not cells[-1].strip():
            cells.pop()
        if not cells:
            continue
        width = width or len(cells)
        cells += [""] * (width - len(cells))
        room -= sum(map(len, cells))
        if room < 0:
            reason = f"expected at most {limits.CHARACTERS:,} characters, got more. Divide the workbook."
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
