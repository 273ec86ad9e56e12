"""`python -m knowledge_base.ingest SOURCE... --out HOME`: sources in, a verified snapshot out.

Only what is new is embedded: a text that the snapshot in force holds already keeps its vector.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from knowledge_base import quarantine, snapshots
from knowledge_base.command import (
    EXIT_DONE,
    EXIT_PARTLY_REFUSED,
    Parser,
    report_refusals,
    report_suspicious,
    run,
    write_json,
)
from knowledge_base.duplicates import near_duplicates
from knowledge_base.edits import laid_over
from knowledge_base.encoder import DEFAULT_ENCODER, Encoder, EncoderFolder, load_encoder, locate_encoder
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError, SnapshotError
from knowledge_base.home import check_home, writing
from knowledge_base.publication import Publication
from knowledge_base.readers import Reading, read_sources
from knowledge_base.sources.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Changes:
    """What sources change in a knowledge home; `entries` is all that they say of it from now on."""

    entries: Sequence[Entry]
    added: int
    changed: int
    removed: int
    unchanged: int
    kept: int  # held before, absent from the sources, and not removed

    @property
    def any(self) -> bool:
        """Whether a new snapshot is wanted."""
        return bool(self.added or self.changed or self.removed)


def compare(
    previous: Mapping[str, Entry], sources: Sequence[Entry], *, prune: bool, spared: Collection[str] = ()
) -> Changes:
    """Compare the entries of the sources with those held; without `prune`, and of those `spared`, none is ever removed."""
    given = {entry.id for entry in sources}
    absent = [entry for entry in previous.values() if entry.id not in given]
    stay = [entry for entry in absent if not prune or entry.id in spared]
    held = [previous[entry.id] for entry in sources if entry.id in previous]
    unchanged = sum(previous.get(entry.id) == entry for entry in sources)
    return Changes(
        entries=[*sources, *stay],
        added=len(sources) - len(held),
        changed=len(held) - unchanged,
        removed=len(absent) - len(stay),
        unchanged=unchanged,
        kept=len(stay),
    )


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did (or, as a dry run, would do).

    `edited` counts the entries in which what operators wrote stands before what the sources say; `snapshot` is empty
    where none was written.
    """

    added: int
    changed: int
    removed: int
    unchanged: int
    kept: int
    edited: int
    entries: int
    embedded: int
    encoder: str
    snapshot: str
    dry_run: bool
    seconds: float
    seconds_loading: float
    seconds_embedding: float
    near_duplicates: tuple[tuple[str, str, float], ...]  # the most similar, see `knowledge_base.duplicates`
    near_duplicates_found: int


@dataclass(frozen=True, slots=True)
class _Held:
    """What a home holds before the run; `current` is False where that had to be taken from an older snapshot."""

    snapshot: snapshots.Snapshot | None
    current: bool


def ingest(
    sources: Sequence[Entry],
    home: Path,
    encoder: EncoderFolder,
    load: Callable[[], Encoder],
    *,
    prune: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = print,
    files: Mapping[str, str] | None = None,
    silent: Collection[str] = (),
) -> Report:
    """Bring a knowledge home to what the sources say, as a new snapshot if anything changed.

    Args:
        sources: entries with unique ids.
        home: the knowledge home; made if absent.
        encoder: the encoder as found, so that its weights are known before anything heavy is loaded.
        load: loads that encoder; called only if a text is new.
        prune: remove entries that the sources do not hold.
        dry_run: write nothing.
        say: is given each line that tells what is going on.
        files: the file that each entry was read from, by its id.
        silent: files that gave nothing this time: cut off, perhaps, or no knowledge any more. Their entries are never pruned.

    Raises:
        InputError: the home holds something else, or another ingestion is writing.
    """
    started = time.monotonic()
    check_home(home)
    with nullcontext() if dry_run else writing(home):
        held = _held(home, say)
        before, edits = (held.snapshot.sourced, held.snapshot.edits) if held.snapshot else ({}, {})
        spared = _of_files(held.snapshot, silent)
        for file in sorted(set(spared.values())) if prune else ():
            count = sum(name == file for name in spared.values())
            say(
                f"note: {file} gave entries before and none now; its {count:,} stay. Delete the file if they are to go."
            )
        changes = compare(before, sources, prune=prune, spared=spared)
        entries, edits = laid_over(sources, edits, changes.entries[len(sources) :], before)
        publication = Publication(entries, edits, held.snapshot, encoder, say, files)
        up_to_date = held.current and not changes.any and not publication.new
        published = None if up_to_date or dry_run else publication.write(home, load)
    near = near_duplicates(entries)
    return Report(
        added=changes.added,
        changed=changes.changed,
        removed=changes.removed,
        unchanged=changes.unchanged,
        kept=changes.kept,
        edited=len(edits),
        entries=len(entries),
        embedded=len(publication.new),
        encoder=encoder.id,
        snapshot=published.snapshot.id if published else "",
        dry_run=dry_run,
        seconds=round(time.monotonic() - started, 3),
        seconds_loading=round(published.seconds_loading if published else 0.0, 3),
        seconds_embedding=round(published.seconds_embedding if published else 0.0, 3),
        near_duplicates=near.pairs,
        near_duplicates_found=near.count,
    )


def _of_files(held: snapshots.Snapshot | None, files: Collection[str]) -> dict[str, str]:
    """Return the entries that were read from some files, each with its file."""
    origins = held.origins if held else {}
    return {entry_id: origin.source for entry_id, origin in origins.items() if origin.source in files}


def _held(home: Path, say: Callable[[str], None]) -> _Held:
    try:
        return _Held(snapshots.read_current(home), current=True)
    except SnapshotError as error:
        if not (home / "CURRENT").exists():
            return _Held(snapshots.intact(home), current=False)
        older = snapshots.intact(home)
        source = f"what {older.id} held is used" if older else "ingest your other sources again too"
        say(f"warning: {error} It is replaced; {source}.")
        return _Held(older, current=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Raises:
        InputError: nothing was done.
    """
    arguments = _parser().parse_args(argv)
    say = partial(print, file=sys.stderr) if arguments.json == "-" else print
    home = Path(arguments.out)
    check_home(home)
    ledger = Ledger(home)
    reading = read_sources([Path(source) for source in arguments.sources], lambda text: say(f"note: {text}"), ledger)
    refusals = reading.refusals
    report_refusals(refusals)
    report_suspicious(reading.suspicious)
    if refusals and arguments.strict:
        raise InputError(f"{len(refusals):,} rows were refused and --strict was given: nothing was done. Mend them.")
    if not reading.entries:
        raise InputError(
            f"{', '.join(arguments.sources)}: expected at least one usable row, got none. Nothing was done."
        )
    prune = arguments.prune and not refusals
    if arguments.prune and refusals:
        say("note: nothing is pruned, because a refused row may be an entry that is still wanted")
    located = locate_encoder(arguments.encoder)
    report = ingest(
        reading.entries,
        home,
        located,
        lambda: load_encoder(arguments.encoder),
        prune=prune,
        dry_run=arguments.dry_run,
        say=say,
        files=reading.files,
        silent=reading.silent,
    )
    if not arguments.dry_run:
        ledger.save()
        quarantine.write(home, refusals)
    _print_report(report, reading, say)
    if arguments.json:
        write_json(arguments.json, _json(report, reading))
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def _parser() -> Parser:
    parser = Parser(prog="python -m knowledge_base.ingest", description="Make knowledge searchable.")
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="files or folders: CSV, JSON Lines, XLSX, Markdown, text, HTML, PDF, DOCX, exported articles (JSON)",
    )
    parser.add_argument("--out", required=True, metavar="HOME", help="the knowledge home, made if absent")
    parser.add_argument("--prune", action="store_true", help="remove entries that the sources do not hold")
    parser.add_argument("--dry-run", action="store_true", help="say what would change and write nothing")
    parser.add_argument("--strict", action="store_true", help="do nothing if any row is refused")
    parser.add_argument(
        "--encoder", default=DEFAULT_ENCODER, metavar="NAME", help="pypi:NAME, a folder, or a cached id"
    )
    parser.add_argument("--json", metavar="FILE", help="write the report as JSON; - is standard output")
    return parser


def _print_report(report: Report, reading: Reading, say: Callable[[str], None]) -> None:
    counts = f"added {report.added:,}, changed {report.changed:,}, removed {report.removed:,}, "
    refused = f", refused {len(reading.refusals):,}" if reading.refusals else ""
    say(f"{counts}unchanged {report.unchanged:,}{refused}")
    if report.kept:
        say(f"kept {report.kept:,} entries that the sources do not hold (--prune removes them)")
    if report.edited:
        say(f"{report.edited:,} entries stay as operators left them, whatever the sources say")
    if report.near_duplicates:
        one, other, similarity = report.near_duplicates[0]
        say(
            f"note: pairs of entries that ask nearly the same: {report.near_duplicates_found:,}, "
            f"most alike {one} and {other} ({similarity:.0%}); --json lists them"
        )
    if report.dry_run:
        say(f"dry run: nothing was written; texts to embed: {report.embedded:,}")
    elif report.snapshot:
        say(f"{report.entries:,} entries in {report.snapshot} ({report.seconds:.1f} s)")
    else:
        say("nothing changed")


def _json(report: Report, reading: Reading) -> dict[str, Any]:
    return {
        **asdict(report),
        "drafts": reading.drafts,
        "refused": [refusal.to_json() for refusal in reading.refusals],
        "warnings": [finding.to_json() for finding in reading.suspicious],
    }


if __name__ == "__main__":
    run(main)
