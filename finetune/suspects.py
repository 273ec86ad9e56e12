"""Messages that look mislabelled, as values and as a CSV file that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from knowledge_base.errors import InputError

# What a spreadsheet takes for a formula where a cell begins (OWASP, "CSV Injection"), in both widths. A cell may also
# begin behind a separator that another country's spreadsheet cuts at, so it is looked for there too.
_FORMULA = re.compile(r"(^|[,;|\"])(\s*[=+\-@＝＋－＠])")


@dataclass(frozen=True, slots=True)
class Suspect:
    """A message whose intent is likely wrong.

    `line` is that of its conversation (in a document the number of the record, in a workbook of the row), `message`
    its 0-based index there. `given` are its intents; `probability_given` is that of the likeliest of them.
    """

    file: str
    line: int
    conversation: str
    message: int
    text: str
    given: tuple[str, ...]
    suggested: str
    probability_given: float
    probability_suggested: float


def require_new(path: Path) -> None:
    """Refuse a file that exists: it may hold what a person has noted in it.

    Raises:
        InputError: it exists, or its folder does not.
    """
    if path.exists():
        raise InputError(f"--output {path}: expected a new file, got one that exists. Choose another name.")
    if not path.parent.is_dir():
        raise InputError(f"--output {path}: expected a file in a folder that exists. Make {path.parent} first.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(
            f"--output {path}: expected a folder that can be written to, got no permission. Choose another place."
        )


def write_csv(path: Path, suspects: Iterable[Suspect]) -> None:
    """Write suspects to a new file, a line each, with the names of the fields as columns and intents joined by `|`.

    Raises:
        InputError: the file exists or cannot be written.
    """
    columns = [field.name for field in fields(Suspect)]
    try:
        with path.open("x", encoding="utf-8-sig", newline="") as file:  # the mark tells spreadsheets that it is UTF-8
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(columns)
            writer.writerows([_cell(getattr(suspect, name)) for name in columns] for suspect in suspects)
    except OSError as error:
        raise InputError(
            f"--output {path}: expected a new file, got: {error.strerror}. Choose another name."
        ) from error


def _cell(value: object) -> str:
    """Return a value on one line that no spreadsheet calculates: an apostrophe stands before what would begin a formula."""
    if isinstance(value, float):
        return f"{value:.4f}"
    text = "|".join(value) if isinstance(value, tuple) else str(value)
    return _FORMULA.sub(r"\1'\2", " ".join(text.split()))
