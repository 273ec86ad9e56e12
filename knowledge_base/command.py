"""What every command of Frontdesk shares: flags, exit codes, refusals, JSON output and progress.

Exit codes: 0 all input used; 1 failed while working; 2 nothing was done; 3 done, but some input was
refused and is listed; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from knowledge_base.errors import FrontdeskError, InputError

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_NOTHING_DONE = 2
EXIT_PARTLY_REFUSED = 3
EXIT_INTERRUPTED = 130

Unit = Literal["line", "record", "row"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a place in the input. `line` is 1-based; None means the whole file, or that it has no lines.

    `unit` says what `line` counts: in a JSON document records have numbers, in a workbook rows. `place` is where else
    it is, in words: "page 3", "sheet 'FAQ'".
    """

    file: str
    line: int | None
    reason: str
    unit: Unit = "line"
    place: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"

    @property
    def where(self) -> str:
        """The file and the place in it: "faq.csv:4", "faq.xlsx, sheet 'FAQ', row 4"."""
        if self.unit == "line" and self.line is not None and not self.place:
            return f"{self.file}:{self.line}"
        return ", ".join(part for part in (self.file, self.place_in_file) if part)

    @property
    def place_in_file(self) -> str:
        """The place in words ("line 4", "sheet 'FAQ', row 4"), empty for the whole file."""
        number = "" if self.line is None else f"{self.unit} {self.line}"
        return ", ".join(part for part in (self.place, number) if part)

    def to_json(self) -> dict[str, Any]:
        """Return it as the JSON object of reports, `place` only where there is one."""
        return {key: value for key, value in asdict(self).items() if key != "place" or value}


@dataclass(frozen=True, slots=True)
class Refusal(Finding):
    """One piece of input that was not used, and why."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, raised as `InputError` (exit code 2)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse a report that could not be written before the work instead of after it."""
        given = super().parse_args(args, namespace)
        for name in ("json", "answers", "predictions"):
            target = getattr(given, name, None)
            if target and target != "-":
                _require_writable(f"--{name}", Path(target))
        return given

    def error(self, message: str) -> NoReturn:
        """Raise the usage error instead of printing it and leaving."""
        raise InputError(f"{self.prog}: {message}. See {self.prog} --help.")


def _require_writable(flag: str, target: Path) -> None:
    if target.is_dir():
        raise InputError(f"{flag} {target}: expected a file, got a folder. Name a file in it.")
    if not target.parent.is_dir():
        raise InputError(f"{flag} {target}: expected a file in a folder that exists. Make {target.parent} first.")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise InputError(
            f"{flag} {target}: expected a file that can be written, got no permission. Choose another place."
        )


def run(main: Callable[[Sequence[str] | None], int]) -> NoReturn:
    """Run a command's `main` and leave the process with its exit code; a user never sees a traceback."""
    # Read when numpy loads. Its products are small here, and its threads spin on the cores that PyTorch is to compute on.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = main(None)
    except FrontdeskError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        code = EXIT_FAILED
    except Exception as error:  # noqa: BLE001 (the edge: the stack goes to a file, the user gets a sentence)
        with tempfile.NamedTemporaryFile("w", prefix="frontdesk-", suffix=".log", delete=False) as log:
            traceback.print_exc(file=log)
        print(f"error: {type(error).__name__}: {error}. The details are in {log.name}.", file=sys.stderr)
        code = EXIT_FAILED
    sys.stdout.flush()
    raise SystemExit(code)


def write_json(target: str, payload: object) -> None:
    """Write `payload` as JSON to a file, or to standard output when `target` is `-`.

    Raises:
        InputError: the file cannot be written.
    """
    text = json.dumps(payload, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"--json {target}: expected a file that can be written, got: {error.strerror}. Choose another place."
        ) from error


def write_lines(flag: str, target: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows as JSON Lines to the file that a flag names.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        with Path(target).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    except OSError as error:
        raise InputError(
            f"{flag} {target}: expected a file that can be written, got: {error.strerror}. Choose another place."
        ) from error


def say(text: str) -> None:
    """Tell the user how things go, at once, on standard error."""
    print(text, file=sys.stderr, flush=True)


def report_refusals(refusals: Sequence[Refusal], shown: int = 20) -> None:
    """List refused input on standard error, the first `shown` in full."""
    _list("refused", refusals, shown)


def report_suspicious(found: Sequence[Finding], shown: int = 20) -> None:
    """List used input that looks wrong on standard error, the first `shown` in full."""
    _list("warning", found, shown)


def _list(word: str, found: Sequence[Finding], shown: int) -> None:
    for finding in found[:shown]:
        print(f"{word}: {finding}", file=sys.stderr)
    if len(found) > shown:
        print(f"{word}: {len(found) - shown:,} more", file=sys.stderr)


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal (nothing elsewhere); yields `advance(count)`."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda count: bar.advance(task, count)
