"""Kills of `python -m knowledge_base.ingest` while sources change from run to run."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from steps import STEPS
from victim import Outcome, Plan, Victim

from knowledge_base import snapshots
from knowledge_base.entry import Entry
from knowledge_base.errors import FrontdeskError
from knowledge_base.home import KEPT
from knowledge_base.readers import read_entries

ENTRIES = 300
CHANGED = 40  # entries that differ between two versions of the sources; as many come and as many go
SUBJECTS = ("delivery", "a refund", "the warranty", "spare parts", "an invoice", "a gift card", "installation")
FAULTS = (
    "does_not_verify",
    "neither_old_nor_new",
    "half_snapshots",
    "leftovers",
    "step_not_reached",
    "wrong_one_after_a_step",
    "not_taken_up",
)
Content = Mapping[str, str]  # entry id -> answer


def kill_ingestions(plan: Plan) -> Outcome:
    """Ingest version after version of the sources into one home, killed at random moments.

    Half of the kills fall anywhere in the run, half follow within 3 ms to 2 s on the first sight of a snapshot
    that is being written; a run that ends before its moment is no kill, but leaves a new snapshot in force. After each the snapshot in force must verify and be the one before or the one that was
    being written, whole. In the end the last version is ingested without a kill, beside the same in a new home.

    Then one more kill falls on each step of publishing (`tests/steps.py`), and each of these runs is taken up again.
    """
    home, found = plan.folder / "home", Counter[str]()
    versions = [_write_version(plan.folder, 0)]
    whole_run = _ingest(plan, versions[0], plan.folder / "rehearsal")
    plan.say(f"an ingestion takes {whole_run:.1f} s")
    kills = 0
    before: Content = {}  # no snapshot yet
    for attempt in plan.attempts():
        if kills == plan.kills:
            break
        versions.append(_write_version(plan.folder, attempt + 1))
        delivered = _killed(plan, versions[-1], home, whole_run, found)
        kills += delivered
        before = _look(home, before, _content(versions[-1]), found, killed=delivered)
        plan.say(f"kill {kills} of {plan.kills}: {dict(found)}")
    _ingest(plan, versions[-1], home)
    _ingest(plan, versions[-1], plan.folder / "uninterrupted")
    differences = _differences(home, plan.folder / "uninterrupted")
    found["leftovers"] += len([*(home / "snapshots").glob("*.partial"), *home.glob("*.partial")])
    _kill_each_step(plan, found)
    counts = {"seconds_of_a_run": round(whole_run, 1), "entries": ENTRIES, "steps": len(STEPS)}
    counts |= {
        name: found[name] for name in ("while_writing", "ended_before", "none_in_force", "old_in_force", "new_in_force")
    }
    return Outcome(kills, counts, {**{name: found[name] for name in FAULTS}, "differs_in_the_end": differences})


def _write_version(folder: Path, version: int) -> Path:
    """Write the sources of a version: answers that changed, entries that are new, others that are gone."""
    path = folder / f"faq-{version}.jsonl"
    lines = []
    for number in range(version * CHANGED, version * CHANGED + ENTRIES):
        revision = version if number % 7 == version % 7 else 0
        question = f"What should I know about {SUBJECTS[number % len(SUBJECTS)]}, case {number}?"
        answer = f"Case {number} is settled by customer care; this is revision {revision} of the text."
        lines.append(json.dumps({"id": f"entry-{number}", "question": question, "answer": answer}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


def _content(source: Path) -> Content:
    entries, _ = read_entries([source])
    return _answers(entries)


def _answers(entries: Sequence[Entry]) -> Content:
    return {entry.id: entry.answer for entry in entries}


def _command(source: Path, home: Path) -> list[str]:
    return [sys.executable, "-m", "knowledge_base.ingest", str(source), "--out", str(home), "--prune"]


def _ingest(plan: Plan, source: Path, home: Path) -> float:
    """Ingest without a kill; return the seconds of the process."""
    with Victim(_command(source, home), plan.folder / "ingest.log") as victim:
        if victim.finish():
            raise FrontdeskError(f"the ingestion failed:\n{victim.output()}")
        return victim.seconds


def _killed(plan: Plan, source: Path, home: Path, whole_run: float, found: Counter[str]) -> bool:
    """Ingest with a kill; say whether it was delivered."""

    def writing() -> bool:
        return any((home / "snapshots").glob("*.partial"))

    with Victim(_command(source, home), plan.folder / "killed.log") as victim:
        if plan.moments.random() < 0.5 and victim.reaches(seen=writing):
            victim.reaches(10 ** plan.moments.uniform(-2.5, 0.3))  # writing takes a tenth of a second or many
        else:
            victim.reaches(plan.moments.uniform(0, 1.1 * whole_run))
        delivered = victim.kill()
    found["ended_before"] += not delivered
    found["while_writing"] += delivered and (writing() or (home / "CURRENT.partial").exists())
    return delivered


def _kill_each_step(plan: Plan, found: Counter[str]) -> None:
    """Kill a run where each step begins, look, and take it up; the home is full, so that there is one to remove."""
    home = plan.folder / "steps"
    for version in range(KEPT):
        _ingest(plan, _write_version(plan.folder, version), home)
    before = _content(plan.folder / f"faq-{KEPT - 1}.jsonl")
    for version, (name, step) in enumerate(STEPS.items(), KEPT):
        source = _write_version(plan.folder, version)
        command = [sys.executable, "tests/steps.py", name, *_command(source, home)[2:]]
        with Victim(command, plan.folder / "step.log") as victim:
            found["step_not_reached"] += victim.finish() != -signal.SIGKILL
        new = _content(source)
        found["wrong_one_after_a_step"] += _look(home, before, new, found, killed=False) != (
            new if step.in_force else before
        )
        _ingest(plan, source, home)
        before = _look(home, before, new, found, killed=False)
        found["not_taken_up"] += before != new
        found["leftovers"] += len(list(home.rglob("*.partial")))
        plan.say(f"killed before the step {name!r}: {dict(found)}")


def _look(home: Path, before: Content, new: Content, found: Counter[str], *, killed: bool) -> Content:
    """Verify all that a reader could find, and return what is in force."""
    for folder in set((home / "snapshots").glob("*")) - set((home / "snapshots").glob("*.partial")):
        try:
            snapshots.check(folder)
        except FrontdeskError:
            found["half_snapshots"] += 1
    if not before and not (home / "CURRENT").exists():
        found["none_in_force"] += killed
        return before
    try:
        snapshot, _ = snapshots.open_current(home)
    except FrontdeskError:
        found["does_not_verify"] += 1
        return before
    content = _answers(list(snapshot.entries.values()))
    if killed:
        found["old_in_force"] += content == before
        found["new_in_force"] += content == new
    found["neither_old_nor_new"] += content not in (before, new)
    return content


def _differences(first: Path, second: Path) -> int:
    """Count the ids, rows and vectors in which two homes differ."""
    (one, one_index), (two, two_index) = snapshots.open_current(first), snapshots.open_current(second)
    different = len(set(one.entries.items()) ^ set(two.entries.items())) if one.entries != two.entries else 0
    if different or list(one.rows) != list(two.rows):
        return different or 1
    places = np.arange(len(one.rows))
    near = np.isclose(one_index.vectors(places), two_index.vectors(places), atol=1e-4).all(axis=1)
    return int((~near).sum())
