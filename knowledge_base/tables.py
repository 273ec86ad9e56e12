"""Rows of entries from tables: CSV files and sheets of workbooks, with the names of the keys as their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge_base.command import Refusal, Unit
from knowledge_base.entry import COLUMNS
from knowledge_base.sources import text

NEEDED = ("question", "answer")
DELIMITERS = (",", ";", "\t")  # the comma first; spreadsheets save the semicolon where the comma is in numbers
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
ERROR = re.compile(r"#(N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!|SPILL!|CALC!|FIELD!|BUSY!|BLOCKED!|CONNECT!|UNKNOWN!)")
RETURN = re.compile(r"_x000D_\n?")  # how Excel writes a carriage return
Item = tuple[int, dict[str, object]] | Refusal


@dataclass(frozen=True, slots=True)
class Cells:
    """One row of a table with the number of the line on which it begins, or its own; `cells` is the reason where it cannot be read."""

    line: int
    cells: list[str] | str


def read_csv(path: Path) -> Iterator[Item]:
    """Yield (1-based line, row) for each row of a CSV file, or a `Refusal`; every row has all columns as keys.

    Columns are separated by commas, semicolons or tabs. A file that is wholly in an older encoding is read in it; single bytes that are not UTF-8 refuse their row.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as raw:
        if raw.read(2) in text.UTF16_MARKS:
            yield Refusal(str(path), None, "expected UTF-8, got UTF-16. Save the file as CSV UTF-8.")
            return
    encoding = text.encoding_of(path) or "utf-8-sig"
    # Bytes that do not fit become lone surrogates, which refuse their own row and no other.
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        delimiter = _delimiter(next((line for line in file if line.strip()), ""))
        file.seek(0)
        yield from _rows(str(path), csv_cells(file, delimiter))


def read_sheet(path: Path, name: str, rows: Sequence[tuple[int, list[str]]]) -> Iterator[Item]:
    """Yield (number, row) for each row of a sheet, or a `Refusal`, as `read_csv` does."""
    table = (Cells(number, [RETURN.sub("\n", cell) for cell in cells]) for number, cells in rows)
    yield from _rows(str(path), table, "row", f"sheet {name!r}")


def has_columns(rows: Sequence[tuple[int, list[str]]]) -> bool:
    """Say whether the first row of a sheet names the columns that an entry needs."""
    return bool(rows) and set(NEEDED) <= {cell.strip().lower() for cell in rows[0][1]}


def _rows(file: str, table: Iterator[Cells], unit: Unit = "line", place: str = "") -> Iterator[Item]:
    def refused(line: int | None, reason: str) -> Refusal:
        return Refusal(file, line, reason, unit, place)

    header = next(table, None)
    if header is None:
        yield refused(None, "expected columns question, answer; got an empty file.")
        return
    columns = _columns(header)
    if isinstance(columns, str):
        yield refused(header.line, columns)
        return
    for row in table:
        if isinstance(row.cells, str):
            yield refused(row.line, row.cells)
        elif len(row.cells) != len(columns):
            remedy = "Give every column a name." if place else "Put cells that hold the delimiter in quotes."
            yield refused(row.line, f"expected {len(columns)} cells, got {len(row.cells)}. {remedy}")
        else:
            values = _values(dict(zip(columns, row.cells, strict=True)))
            yield refused(row.line, values) if isinstance(values, str) else (row.line, values)


def _delimiter(header: str) -> str:
    """Return what separates the columns that an entry needs; the comma where nothing does."""
    for delimiter in DELIMITERS:
        names = {name.strip().strip('"').lower() for name in header.split(delimiter)}
        if set(NEEDED) <= names:
            return delimiter
    return DELIMITERS[0]


def _columns(header: Cells) -> list[str] | str:
    """Return the names of the columns, or why they cannot be used."""
    names = [name.strip().lower() for name in header.cells] if isinstance(header.cells, list) else []
    if set(NEEDED) - set(names):
        got = ", ".join(names) if names else str(header.cells)
        remedy = (
            "Rename the column."
            if len(names) >= len(NEEDED)
            else "Separate the columns with commas, semicolons or tabs."
        )
        return f"expected columns question, answer; got {got[:200]}. {remedy}"
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return f"expected every column once, got {twice!r} twice. Remove one."
    return names


def _values(cells: dict[str, str]) -> dict[str, object] | str:
    """Return a row of the file format, None for what is not given, or why it cannot be one."""
    for key, cell in cells.items():
        if key in COLUMNS and ERROR.fullmatch(cell.strip()):
            return f"{key}: expected a value, got {cell.strip()}, which a formula gave. Mend the formula."
    values: dict[str, object] = {key: cell if cell.strip() else None for key, cell in cells.items()}
    if values.get("alternatives") is not None:
        values["alternatives"] = cells["alternatives"].split("|")
    if values.get("approved") is not None:
        word = cells["approved"].strip().lower()
        if word not in WORDS:
            return f"approved: expected true or false, got {word[:40]!r}."
        values["approved"] = WORDS[word]
    return values


def csv_cells(lines: Iterable[str], delimiter: str = ",") -> Iterator[Cells]:
    """Yield the rows of CSV that hold anything; `lines` have to keep their ends, which may stand inside of cells."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Cells(first, _csv_reason(str(error), first, reader.line_num))
            continue
        if any(cell.strip() for cell in cells):
            yield Cells(first, cells)


def _csv_reason(message: str, first: int, last: int) -> str:
    if "unexpected end of data" in message:
        expected, got = "a closing quote", f"the end of the file at line {last}"
    elif "field larger" in message:
        expected, got = f"a cell of at most {csv.field_size_limit():,} characters", "a longer one"
    else:
        expected, got = "quotes inside a quoted cell to be doubled", message
    lost = f" (lines {first} to {last} are not used)" if last > first else ""
    return f"expected {expected}, got {got}{lost}. Check the quotes."
