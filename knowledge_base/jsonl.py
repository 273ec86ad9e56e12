"""JSON Lines, plain or gzipped, one object a line, read line by line with what is wrong said by line."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from knowledge_base.command import Refusal
from knowledge_base.errors import InputError

SUFFIXES = (".jsonl", ".jsonl.gz")
LONGEST_LINE = 4 * 1024 * 1024  # bytes; a gzip bomb of one endless line ends here


def read_objects(path: Path, most_bytes: int | None = None) -> Iterator[tuple[int, dict[str, Any]] | Refusal]:
    """Yield (1-based line number, object) for each line, or a `Refusal`; blank lines are passed over.

    Args:
        path: the file.
        most_bytes: the length, unpacked, behind which the rest of the file is refused.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be read, got: {error.strerror}. Check the path.") from error
    with raw:
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        number = size = 0
        try:
            for number, line, length in _lines(file, most_bytes):
                size += length
                if most_bytes is not None and size > most_bytes:
                    yield Refusal(
                        str(path), number, f"expected at most {most_bytes:,} bytes, got more. Divide the file"
                    )
                    return
                if line.strip() or len(line) > LONGEST_LINE:
                    yield _object(path, number, line)
        except (OSError, EOFError, zlib.error) as error:
            yield Refusal(str(path), number + 1, f"the file cannot be read from here on ({error})")


def _lines(file: IO[bytes], most_bytes: int | None) -> Iterator[tuple[int, bytes, int]]:
    """Yield numbered lines, each cut off behind `LONGEST_LINE`, with their whole length; one behind `most_bytes` ends all."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        length, rest = len(line), line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n") and (most_bytes is None or length <= most_bytes):
            rest = file.readline(LONGEST_LINE + 1)
            length += len(rest)
        yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line, length


def _object(path: Path, number: int, line: bytes) -> tuple[int, dict[str, Any]] | Refusal:
    def refused(reason: str) -> Refusal:
        return Refusal(str(path), number, reason)

    if len(line) > LONGEST_LINE:
        return refused(f"expected a line of at most {LONGEST_LINE:,} bytes, got a longer one")
    if b"\0" in line:
        return refused("expected text, got a NUL byte. Is the file saved as UTF-8?")
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return refused(
            f"expected UTF-8, got byte 0x{line[error.start]:02x} at {error.start + 1}. Save the file as UTF-8"
        )
    except json.JSONDecodeError as error:
        return refused(f"expected one JSON object, got no JSON: {error.msg} at character {error.pos + 1}")
    except (RecursionError, ValueError):
        return refused("expected one JSON object, got JSON nested too deep or a number too long")
    if not isinstance(value, dict):
        return refused(f"expected one JSON object, got {type(value).__name__}")
    return number, value
