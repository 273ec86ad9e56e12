"""Folders that are published whole: every file named with its sha256 and size, checked before it is parsed.

A folder is built aside as `NAME.partial` in the same file system, sealed with `manifest.json`, flushed to
disk and renamed. What a reader finds under the final name is therefore complete, or altered and refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowledge_base.errors import InputError

MANIFEST = "manifest.json"


def sha256_of(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `manifest.json` over all files of `folder` with `facts` beside them, and flush everything."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        files[path.relative_to(folder).as_posix()] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        flush(path)
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({**facts, "files": files}, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    flush(manifest)
    flush(folder)


def publish(partial: Path, final: Path) -> None:
    """Rename a sealed folder to its name, which must be absent or an empty folder.

    Raises:
        InputError: `final` holds something.
    """
    try:
        partial.rename(final)
    except OSError as error:
        raise InputError(f"{final}: expected an absent or empty folder, got one in use. Choose another.") from error
    flush(final.parent)


def verify(folder: Path, what: str, error: type[InputError] = InputError) -> dict[str, Any]:
    """Return the manifest of `folder` after checking every file against it, before any file is parsed.

    Raises:
        InputError (or the class given): the manifest or a file is missing, altered or additional.
    """
    path = folder / MANIFEST
    for other in folder.rglob("*"):
        if other.is_symlink() or not (other.is_file() or other.is_dir()):
            raise error(f"{other}: expected a file of its own, got a link or a device. Build the {what} again.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): (str(row["sha256"]), int(row["bytes"])) for name, row in manifest["files"].items()}
    except FileNotFoundError:
        raise error(f"{folder}: expected {what} with a {MANIFEST}, found none. Check the path.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise error(f"{path}: the manifest cannot be read. Build the {what} again.") from cause
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}
    if present != set(files):
        odd = sorted(present ^ set(files))[0]
        state = "is missing" if odd in files else "does not belong there"
        raise error(f"{folder / odd}: the file {state} according to {MANIFEST}. Build the {what} again.")
    for name, (sha256, size) in files.items():
        file = folder / name
        if file.stat().st_size != size or sha256_of(file) != sha256:
            raise error(f"{file}: the file was altered after the {what} was built. Build the {what} again.")
    return dict(manifest)
