"""Ingest damaged and hostile files of every kind beside good ones, and look at what came of each.

    python benchmarks/bad_files.py --files 1000 --seed 1 [--json FILE]

First come the fixed kinds of `tests/specimens.py`, each of which has to be refused with its own reason, then files that
were good before a seeded accident: cut, flipped, overwritten, repeated, shuffled, nested, also inside of archives.
They are read in batches, each with good files of every kind behind them, as an ingestion reads a folder.

Exit code 1 when something was found: an exception, a fixed kind that was not refused with its reason, a file of which
nothing is said, or a good file that was not read.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from specimens import bad_files, generated, good_files

from knowledge_base.command import EXIT_DONE, EXIT_FAILED, Parser, run, write_json
from knowledge_base.readers import read_sources

BATCH = 40
TWICE = ("faq.xlsx", "rows.jsonl")  # they hold the same rows as the CSV file, and would be refused for that


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    given = _parser().parse_args(argv)
    began = time.monotonic()
    fixed = bad_files()
    files = {name: data for name, (data, _words) in fixed.items()}
    files.update(generated(max(0, given.files - len(files)), given.seed))
    counts, faults = Counter[str](), []
    names = list(files)
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(names), BATCH):
            part = {name: files[name] for name in names[start : start + BATCH]}
            faults += _read(Path(folder) / str(start), part, {n: fixed[n][1] for n in part if n in fixed}, counts)
            print(f"{start + len(part)} of {len(names)} files, {len(faults)} faults", file=sys.stderr, flush=True)
    report = {
        "files": len(names),
        "fixed": len(fixed),
        "seed": given.seed,
        "counts": dict(counts),
        "faults": faults,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(given.json, report)
    return EXIT_FAILED if faults else EXIT_DONE


def _read(folder: Path, files: Mapping[str, bytes], words: Mapping[str, str], counts: Counter[str]) -> list[str]:
    """Read a batch with good files behind it; returns what is wrong with the result."""
    good = {f"good-{name}": data for name, data in good_files().items() if name not in TWICE}
    folder.mkdir()
    paths = []
    for name, data in {**files, **good}.items():
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    try:
        notes: list[str] = []
        reading = read_sources(paths, notes.append)
    except Exception as error:  # noqa: BLE001 (this is what is looked for)
        return [f"{sorted(files)[0]} and after: {type(error).__name__}: {error}"]
    reasons: dict[str, list[str]] = {}
    for refusal in reading.refusals:
        reasons.setdefault(Path(refusal.file).name, []).append(refusal.reason)
    used = {Path(re.split(":|, ", place)[0]).name for place in reading.places.values()}
    for name in files:
        counts["refused" if name in reasons else "read" if name in used else "empty"] += 1
        for mark in ("not done after", "crashed", "memory", "nested too deep", "its reader failed"):
            counts[mark] += any(mark in reason for reason in reasons.get(name, []))
    said = " ".join(notes)
    silent = [name for name in files if name not in reasons and name not in used and name not in said]
    faults = [f"{name}: nothing was said of it" for name in silent]
    faults += [
        f"{name}: {reasons.get(name)}"
        for name, word in words.items()
        if word not in " ".join(reasons.get(name, [])) or name not in reasons
    ]
    # An accident may leave a row of a good table as it was; the good file's own row is then one too many.
    lost = [name for name in good if name not in used and not any("already" in r for r in reasons.get(name, []))]
    return faults + [f"{name} was not read beside {sorted(files)[0]} and others" for name in lost]


def _parser() -> Parser:
    parser = Parser(prog="python benchmarks/bad_files.py", description="Ingest damaged and hostile files.")
    parser.add_argument("--files", type=int, default=1000, metavar="N", help="how many, the fixed kinds among them")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="draws the accidents")
    parser.add_argument("--json", default="-", metavar="FILE", help="write the report as JSON; - is standard output")
    return parser


if __name__ == "__main__":
    run(main)
