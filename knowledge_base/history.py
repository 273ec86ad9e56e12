"""`python -m knowledge_base.snapshots history|rollback|verify`: what a knowledge home holds, and which of it serves."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from knowledge_base import snapshots
from knowledge_base.command import EXIT_DONE, EXIT_FAILED, Parser, write_json
from knowledge_base.encoder import locate_encoder
from knowledge_base.errors import FrontdeskError, InputError, SnapshotError
from knowledge_base.home import make_current, names, writing
from knowledge_base.manifest import MANIFEST, sha256_of


@dataclass(frozen=True, slots=True)
class Version:
    """A snapshot as its manifest describes it; nothing but `id` and `current` where `problem` says why it cannot.

    `changes` counts what was added, changed and removed against the parent; None where entries did not change but
    the weights of the search.
    """

    id: str
    current: bool
    created: str = ""
    entries: int = 0
    encoder: str = ""
    parent: str | None = None
    changes: dict[str, int] | None = None
    problem: str = ""


def history(home: Path) -> list[Version]:
    """Describe the finished snapshots of a home from their manifests, newest first; other files are not looked at.

    Raises:
        SnapshotError: there is none.
    """
    held = names(home)
    if not held:
        snapshots.current_id(home)  # raises where there is no home; an emptied one has none to describe
        raise SnapshotError(f"{home}: expected at least one snapshot, got none. Ingest again.")
    current = _current(home)
    return [_version(home, name, current=name == current) for name in reversed(held)]


def roll_back(home: Path, to: str = "") -> snapshots.Snapshot:
    """Put an earlier snapshot in force after checking all of it; a running bot follows at its next message.

    Args:
        home: the knowledge home.
        to: the snapshot; default is the parent of the one in force.

    Raises:
        InputError: there is no such snapshot, none before the one in force, or the home is being written.
        SnapshotError: the snapshot is damaged; the one in force stays.
    """
    _require(home, to)
    with writing(home):
        current = _current(home)
        target = to or _parent(home, current)
        if target == current:
            raise InputError(f"{home}: {target} is in force already. Nothing was done.")
        snapshot = snapshots.check(_folder(home, target))
        make_current(home, target)
    return snapshot


def verify(home: Path, name: str, encoder: str = "") -> snapshots.Snapshot:
    """Check every file of a snapshot by its hash, that its parts belong together, and its encoder.

    Args:
        home: the knowledge home.
        name: the snapshot.
        encoder: the one it is to be searched with; default is the one of that name that made it.

    Raises:
        SnapshotError: it is damaged, or was made with another encoder.
        EncoderError: the encoder is not installed, or altered.
    """
    snapshot = snapshots.check(_folder(home, name))
    located = locate_encoder(encoder or snapshot.encoder_id)
    snapshot.require_encoder(located.id, located.sha256)
    return snapshot


def _folder(home: Path, name: str) -> Path:
    return home / "snapshots" / name


def _current(home: Path) -> str:
    """Return the id of the snapshot in force; empty where CURRENT is damaged or absent, which rolling back mends."""
    try:
        return snapshots.current_id(home)
    except SnapshotError as error:
        print(f"warning: {error}", file=sys.stderr)
        return ""


def _require(home: Path, name: str) -> None:
    """Refuse what is no home, and a name that is none of its snapshots."""
    held = names(home)
    if not held:
        snapshots.current_id(home)
    if name and name not in held:
        raise InputError(f"{home}: expected one of its snapshots ({', '.join(held)}), got {name!r}. Nothing was done.")


def _parent(home: Path, current: str) -> str:
    """Return the parent of the snapshot in force, which must still be held."""
    parent = _version(home, current, current=True).parent if current else None
    if parent not in names(home):
        reason = f"{current} has no parent that is still held" if current else "it is not known which one was in force"
        raise InputError(f"{home}: {reason}. Name a snapshot: --to ID (the history lists them).")
    return str(parent)


def _version(home: Path, name: str, *, current: bool) -> Version:
    path = _folder(home, name) / MANIFEST
    try:
        if not name.endswith(sha256_of(path)[:8]):
            return Version(name, current, problem="its manifest was altered")
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return Version(
            id=name,
            current=current,
            created=manifest["created"],
            entries=manifest["counts"]["entries"],
            encoder=manifest["encoder"]["id"],
            parent=manifest.get("parent"),
            changes=manifest.get("changes"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Version(name, current, problem=f"its manifest cannot be read ({type(error).__name__})")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 1 where a snapshot does not verify.

    Raises:
        InputError: nothing was done.
    """
    given = _parser().parse_args(argv)
    say = partial(print, file=sys.stderr) if given.json == "-" else print
    commands = {"history": _show_history, "rollback": _show_rollback, "verify": _show_verified}
    report, code = commands[given.action](Path(given.knowledge), given, say)
    if given.json:
        write_json(given.json, report)
    return code


def _show_history(home: Path, _given: Namespace, say: Callable[[str], None]) -> tuple[Any, int]:
    versions = history(home)
    for version in versions:
        say(f"{'*' if version.current else ' '} {version.id}  {version.problem or _in_words(version)}")
    return {"snapshots": [asdict(version) for version in versions]}, EXIT_DONE


def _in_words(version: Version) -> str:
    counts = version.changes
    changes = ", ".join(f"{key} {counts[key]:,}" for key in counts) if counts else "fitted"
    return f"{version.entries:,} entries ({changes})  {version.encoder}  parent {version.parent or 'none'}"


def _show_rollback(home: Path, given: Namespace, say: Callable[[str], None]) -> tuple[Any, int]:
    before = _current(home)
    snapshot = roll_back(home, given.to)
    say(
        f"{snapshot.id} with {len(snapshot.entries):,} entries is in force"
        + (f", instead of {before}" if before else "")
    )
    return {"from": before or None, "to": snapshot.id, "entries": len(snapshot.entries)}, EXIT_DONE


def _show_verified(home: Path, given: Namespace, say: Callable[[str], None]) -> tuple[Any, int]:
    _require(home, given.id)
    rows, problems = [], 0
    for name in reversed(names(home)) if given.all else [given.id or snapshots.current_id(home)]:
        try:
            snapshot = verify(home, name, given.encoder)
            problem, said = "", f"whole, {len(snapshot.entries):,} entries, encoder {snapshot.encoder_id}"
        except FrontdeskError as error:
            problem, said = str(error), f"error: {error}"
        problems += bool(problem)
        say(f"{name}  {said}")
        rows.append({"id": name, "whole": not problem, "problem": problem})
    return {"snapshots": rows}, EXIT_FAILED if problems else EXIT_DONE


def _parser() -> Parser:
    parser = Parser(
        prog="python -m knowledge_base.snapshots",
        description="List the snapshots of a knowledge home, go back to an earlier one, or check them.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="history|rollback|verify")
    listed = actions.add_parser("history", help="list the snapshots that are held, newest first")
    back = actions.add_parser("rollback", help="put an earlier snapshot in force")
    back.add_argument("--to", default="", metavar="ID", help="the snapshot; default: the parent of the one in force")
    checked = actions.add_parser("verify", help="check a snapshot's files and parts; exit code 1 where one is damaged")
    which = checked.add_mutually_exclusive_group()
    which.add_argument("--id", default="", metavar="ID", help="the snapshot; default: the one in force")
    which.add_argument("--all", action="store_true", help="check every snapshot that is held")
    checked.add_argument(
        "--encoder", default="", metavar="NAME", help="what it is searched with; default: the one it was made with"
    )
    for action in (listed, back, checked):
        action.add_argument("--knowledge", required=True, metavar="HOME", help="a knowledge home")
        action.add_argument("--json", default="", metavar="FILE", help="write the report as JSON; - is standard output")
    return parser
