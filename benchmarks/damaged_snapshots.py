"""Damage the snapshot in force in every way that can be thought of, and see whether any is opened for search.

    python benchmarks/damaged_snapshots.py --damages 500 --seed 1 [--json FILE]

The kinds stand in `tests/damage.py` and take turns. Vectors are random directions: what is looked at needs no model.
Exit code 1 when a damaged snapshot was opened, or refused with anything but `SnapshotError`.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from conftest import HashEncoder, fill
from damage import DAMAGES

from knowledge_base.command import EXIT_DONE, EXIT_FAILED, Parser, run, write_json
from knowledge_base.entry import Entry
from knowledge_base.errors import SnapshotError
from knowledge_base.search import KnowledgeBase

ENTRIES = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign."""
    given = _parser().parse_args(argv)
    began = time.monotonic()
    chance = random.Random(given.seed)  # noqa: S311 (no secret: it has to be repeatable)
    refused, faults = Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        whole, other = (
            _home(Path(folder) / "whole", "ours", ENTRIES),
            _home(Path(folder) / "other", "theirs", ENTRIES + 1),
        )
        for kind in islice(cycle(DAMAGES), given.damages):
            home = Path(folder) / "damaged"
            shutil.copytree(whole, home)
            done = DAMAGES[kind](home, other, chance)
            fault = _opened(home)
            refused[kind] += not fault
            faults += [f"{done}: {fault}"] if fault else []
            shutil.rmtree(home)
    report = {
        "damages": given.damages,
        "seed": given.seed,
        "refused": sum(refused.values()),
        "refused_by_kind": dict(refused),
        "faults": faults,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(given.json, report)
    return EXIT_FAILED if faults else EXIT_DONE


def _home(home: Path, mark: str, count: int) -> Path:
    fill(home, [Entry(id=f"{mark}-{i}", question=f"What of {mark} {i}?", answer=f"Answer {i}.") for i in range(count)])
    KnowledgeBase.open(home, HashEncoder())  # what is whole must open
    return home


def _opened(home: Path) -> str:
    """Return what is wrong: a damaged home was opened, or fell over; empty where it was refused."""
    try:
        hits = KnowledgeBase.open(home, HashEncoder()).search("What of ours 7?")
    except SnapshotError:
        return ""
    except Exception as error:  # noqa: BLE001 (this is what is looked for)
        return f"{type(error).__name__}: {error}"
    return f"opened, and {len(hits)} entries found"


def _parser() -> Parser:
    parser = Parser(prog="python benchmarks/damaged_snapshots.py", description="Damage snapshots and open them.")
    parser.add_argument("--damages", type=int, default=500, help="damages to do")
    parser.add_argument("--seed", type=int, default=1, help="for what is damaged and where")
    parser.add_argument("--json", default="-", metavar="FILE", help="where the findings go; - is standard output")
    return parser


if __name__ == "__main__":
    run(main)
