"""Files that are one document: JSON, YAML and text, decoded into plain values within limits of size and depth."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from finetune.records import RefusedError, parse_line, parse_text
from finetune.tables import FileError, decode

MAX_BYTES = 512 * 2**20
"""What is read of a file that must be held in memory whole, unpacked; a small gzip file can hold a huge one."""

_MAX_YAML_DEPTH = 40
_MAX_YAML_ALIASES = 64  # of a project written by hand; nested, some hundred can stand for billions of values
_MAX_YAML_BYTES = 32 * 2**20


def whole(file: BinaryIO) -> bytes:
    """Return the content of a file.

    Raises:
        FileError: it is too large.
    """
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FileError(f"expected at most {MAX_BYTES:,} bytes, got more; JSON Lines may have any size")
    return data


def read_json(text: str) -> object:
    """Return the value of a JSON document.

    Raises:
        FileError: it is not JSON.
    """
    try:
        return parse_text(text)
    except RefusedError as error:
        line = error.__cause__.lineno if isinstance(error.__cause__, json.JSONDecodeError) else None
        raise FileError(error.reason.replace("a JSON object", "a JSON document", 1), line) from error


def read_yaml(text: str) -> object:
    """Return the value of a YAML document; every scalar is a text, so that an intent may be called `no`.

    Raises:
        FileError: it is not YAML, or it is too large, too deep or has too many aliases.
    """
    import yaml

    if len(text) > _MAX_YAML_BYTES:
        raise FileError(f"expected YAML of at most {_MAX_YAML_BYTES:,} characters, got more")
    # This loader builds texts, lists and mappings only: it knows no tags, so it is safer than the safe one.
    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        _check_yaml(yaml, loader, text)
        made = loader(text)
        try:
            return made.get_single_data()
        finally:
            made.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise FileError(f"expected YAML, got: {problem}", mark.line + 1 if mark else None) from error
    except (ValueError, TypeError, RecursionError) as error:  # a key that is a list, for one
        raise FileError(f"expected YAML, got what cannot be read ({type(error).__name__})") from error


def _check_yaml(yaml: Any, loader: Any, text: str) -> None:
    """Look at the events alone, which takes no memory, before anything is built from them."""
    depth = aliases = 0
    for event in yaml.parse(text, Loader=loader):
        aliases += isinstance(event, yaml.AliasEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1
        if depth > _MAX_YAML_DEPTH:
            raise FileError(f"expected YAML nested at most {_MAX_YAML_DEPTH} deep, got deeper", line)
        if aliases > _MAX_YAML_ALIASES:
            raise FileError(f"expected YAML with at most {_MAX_YAML_ALIASES} aliases, got more", line)


def one_document(first: bytes, file: BinaryIO, is_record: Callable[[object], bool]) -> tuple[object, str] | None:
    """Return the value of a file that is one JSON document, judged by its first line, and the note on its decoding.

    None stands for JSON Lines.

    A list on one line is a document only if `is_record` knows something in it; otherwise it is a wrong line.
    """
    value = json_line(first)
    if isinstance(value, dict) or not first.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"[")):
        return None
    if isinstance(value, list) and not any(is_record(item) for item in value):
        return None
    try:
        file.seek(0)
        text, note = decode(whole(file))
        document = read_json(text)
    except FileError:
        return None
    return (document, note) if isinstance(document, dict | list) else None


def json_line(line: bytes) -> object | None:
    """Return the value of a line of JSON, or None."""
    try:
        return parse_line(line.removeprefix(b"\xef\xbb\xbf"))
    except RefusedError:
        return None


def unpacked(file: BinaryIO) -> BinaryIO:
    """Return the content of a file that is gzipped or not, whatever its name says."""
    start = file.read(2)
    file.seek(0)
    return cast("BinaryIO", gzip.open(file)) if start == b"\x1f\x8b" else file
