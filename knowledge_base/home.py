"""A knowledge home as those see it who change it: what belongs in it, its one writer, which snapshots it keeps.

What is in it stands in `knowledge_base.snapshots`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from knowledge_base.errors import InputError, InUseError
from knowledge_base.manifest import flush

KEPT = 3
NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
NOTES = ("sources.json", "quarantine.jsonl")
OURS = {"CURRENT", "CURRENT.partial", "snapshots", "ingest.lock", *NOTES, *(f"{name}.partial" for name in NOTES)}


def check_home(home: Path) -> None:
    """Check that `home` is a knowledge home, an empty folder or absent.

    Raises:
        InputError: it holds something else.
    """
    if not home.exists():
        return
    if not home.is_dir():
        raise InputError(f"{home}: expected a folder for the knowledge, got a file. Choose another --out.")
    names = {path.name for path in home.iterdir()}
    snapshots = {path.name for path in (home / "snapshots").glob("*")}
    foreign = (names - OURS) | {name for name in snapshots if not (NAME.fullmatch(name) or name.endswith(".partial"))}
    if foreign and not (home / "CURRENT").is_file():
        raise InputError(
            f"{home}: expected an empty folder or a knowledge home, got one that holds {sorted(foreign)[0]!r}. "
            "Choose another --out."
        )


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Hold the home as its only writer; what a killed writer left half done is removed first.

    Raises:
        InUseError: an ingestion or an edit is being written.
        InputError: the folder cannot be written.
    """
    try:
        (home / "snapshots").mkdir(parents=True, exist_ok=True)
        with FileLock(home / "ingest.lock", timeout=0):
            for leftover in [*(home / "snapshots").glob("*.partial"), home / "CURRENT.partial"]:
                remove(leftover)
            yield
    except Timeout:
        raise InUseError(f"{home}: another ingestion is writing here, or an edit. Wait until it is done.") from None
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InputError(
            f"{home}: expected a folder that can be written, got: {error.strerror}. Choose another place."
        ) from error


def make_current(home: Path, name: str) -> None:
    """Put a finished snapshot in force, in one step; call it inside `writing`."""
    partial = home / "CURRENT.partial"
    partial.write_text(f"{name}\n", encoding="ascii")
    flush(partial)
    partial.replace(home / "CURRENT")
    flush(home)


def names(home: Path) -> list[str]:
    """Return the names of all finished snapshots, oldest first (they begin with their time, in seconds)."""
    found = [path for path in (home / "snapshots").glob("*") if NAME.fullmatch(path.name)]
    return [path.name for path in sorted(found, key=lambda path: (path.name[:16], path.stat().st_mtime_ns))]


def remove_old(home: Path, needed: Collection[str]) -> None:
    """Remove all snapshots but the `needed` ones and the newest beside them, KEPT in all."""
    held = names(home)
    others = [name for name in held if name not in needed]
    for name in others[: max(0, len(held) - KEPT)]:
        # Renamed first, so that a kill in the middle leaves no half snapshot under a snapshot's name.
        folder = home / "snapshots" / name
        doomed = folder.with_name(f"{name}.partial")
        folder.rename(doomed)
        remove(doomed)


def remove(path: Path) -> None:
    """Remove a file or a folder, or as much of it as can be removed."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
