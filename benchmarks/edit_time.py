"""How long it takes from an operator's edit until the search of a running app finds it.

    python benchmarks/edit_time.py --knowledge HOME [--edits N]

The knowledge home is copied first. `publish` writes, verifies and names the new snapshot; `take_up` opens it, which the
first search after it waits for; then the new entry must be found by its own question.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from machine import processor

from knowledge_base.command import EXIT_DONE, EXIT_FAILED, Parser, run
from knowledge_base.editing import Editor
from knowledge_base.encoder import load_encoder_of
from knowledge_base.search import KnowledgeBase
from knowledge_base.snapshots import read_current

QUESTION = "Do you repair gramophones from the workshop numbered {}?"


def main(argv: Sequence[str] | None = None) -> int:
    """Edit, measure and print."""
    given = _parser().parse_args(argv)
    encoder = load_encoder_of(read_current(Path(given.knowledge)).encoder_id, None)
    publishing, taking_up, missed = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        shutil.copytree(given.knowledge, home)
        knowledge, editor = KnowledgeBase.open(home, encoder), Editor(home, encoder)
        knowledge.search("warm up")
        for number in range(given.edits):
            question = QUESTION.format(number)
            began = time.perf_counter()
            entry = editor.add({"question": question, "answer": f"Yes, in house {number}."}, "benchmark")
            published = time.perf_counter()
            knowledge.refresh()
            taken_up = time.perf_counter()
            missed += knowledge.search(question)[0].entry.id != entry.id
            publishing.append(published - began)
            taking_up.append(taken_up - published)
            print(f"edit {number + 1} of {given.edits}", file=sys.stderr, flush=True)
        report = {
            "entries": len(knowledge.entries),
            "edits": given.edits,
            "seconds_publish_median": round(statistics.median(publishing), 2),
            "seconds_take_up_median": round(statistics.median(taking_up), 2),
            "seconds_in_all_slowest": round(max(map(sum, zip(publishing, taking_up, strict=True))), 2),
            "not_found_first": missed,
            "processor": processor(),
        }
    print(json.dumps(report, indent=2))
    return EXIT_FAILED if missed else EXIT_DONE


def _parser() -> Parser:
    parser = Parser(prog="python benchmarks/edit_time.py", description="Measure how soon an edit is live.")
    parser.add_argument("--knowledge", required=True, metavar="HOME", help="a knowledge home")
    parser.add_argument("--edits", type=int, default=5, metavar="N", help="how many entries to add")
    return parser


if __name__ == "__main__":
    run(main)
