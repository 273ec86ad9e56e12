"""Kills of `python -m finetune.lora`, each followed by `--resume_from_checkpoint` until the run ends."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from tiny_base import save_tiny_base
from victim import ROOT, Outcome, Plan, Victim

from knowledge_base.errors import FrontdeskError
from knowledge_base.manifest import verify

CONVERSATIONS = 30
STEPS, SAVE_STEPS = 12, 2
TOLERANCE = 1e-3  # in nats
TINY = "tiny"
EXAMPLES = ROOT / "examples" / "shop" / "conversations.jsonl"


def kill_trainings(plan: Plan, base: str) -> Outcome:
    """Train one adapter after the other, killed at random moments and resumed, until the kills are used up.

    Some kills fall anywhere in the run, some within 0.4 s of a checkpoint's first sight, some while the adapter is
    written. After each OUTPUT_DIR is absent or verifies. Every finished run must have the losses and
    weights of a run that nobody interrupted.
    """
    data = plan.folder / "conversations.jsonl"
    with EXAMPLES.open(encoding="utf-8") as lines:
        data.write_text("".join(islice(lines, CONVERSATIONS)), encoding="utf-8")
    if base == TINY:
        base = str(plan.folder / "tiny-base")
        save_tiny_base(Path(base))
    trainings = _Trainings(plan, data, base)
    trainings.uninterrupted()
    trainings.killed()
    found = trainings.found
    counts = {"seconds_of_a_run": round(trainings.seconds, 1), "steps": STEPS, "base": Path(base).name}
    names = ("runs", "resumed", "resumed_at_the_start", "at_a_checkpoint", "while_writing_the_adapter", "anywhere")
    counts |= {name: found[name] for name in names}
    counts |= {"largest_loss_difference": trainings.loss_difference}
    counts |= {"largest_weight_difference": trainings.weight_difference, "loss": trainings.loss}
    faults = ("half_adapters", "half_checkpoint_resumed", "could_not_resume", "different_loss", "different_history")
    return Outcome(found["kills"], counts, {name: found[name] for name in faults})


class _Trainings:
    """Runs of the same training, and what was found in them."""

    def __init__(self, plan: Plan, data: Path, base: str) -> None:
        self._plan, self._data, self._base = plan, data, base
        self.found: Counter[str] = Counter()
        self.seconds = 0.0
        self.loss = 0.0
        self.loss_difference = 0.0
        self.weight_difference = 0.0
        self._truth = plan.folder / "uninterrupted"

    def uninterrupted(self) -> None:
        """Train without a kill: what the others are held to."""
        with Victim(self._command(self._truth, resume=False), self._plan.folder / "train.log") as victim:
            if code := victim.finish():
                raise FrontdeskError(f"the training failed with exit code {code}:\n{victim.output()}")
            self.seconds = victim.seconds
        self.loss = list(_losses(self._truth).values())[-1]
        self._plan.say(f"a training takes {self.seconds:.1f} s and ends with a loss of {self.loss:.4f}")

    def killed(self) -> None:
        """Train with kills until all are delivered and the run that the last one hit has ended."""
        output, resume, hit = self._plan.folder / "adapter-0", False, False
        while self.found["kills"] < self._plan.kills or hit:
            if self._attempt(output, resume=resume, to_the_end=self.found["kills"] == self._plan.kills):
                resume, hit = output.with_name(f"{output.name}.partial").exists(), True
                continue
            self.found["runs"] += 1
            self._compare(output)
            shutil.rmtree(output, ignore_errors=True)
            output, resume, hit = self._plan.folder / f"adapter-{self.found['runs']}", False, False
            if self.found["runs"] > self._plan.kills + 4:  # the kills come too late again and again
                return

    def _attempt(self, output: Path, *, resume: bool, to_the_end: bool) -> bool:
        """Run or resume the training; return whether it has to go on."""
        work = output.with_name(f"{output.name}.partial") / "work"
        expected = _last_complete(work)
        with Victim(self._command(output, resume=resume), self._plan.folder / "killed.log") as victim:
            moment = "" if to_the_end else self._wait(victim, work)
            killed = False if to_the_end else victim.kill()
            code = victim.finish()
            said = victim.output()
        if resume:
            self._resumed(said, expected)
        if killed:
            self.found["kills"] += 1
            self.found[moment] += 1
            self._plan.say(f"kill {self.found['kills']} of {self._plan.kills} ({moment}): {dict(self.found)}")
        elif code and not resume:
            raise FrontdeskError(f"the training failed with exit code {code}:\n{said}")
        elif code:
            self.found["could_not_resume"] += 1
            self._plan.say(said)
            shutil.rmtree(work.parent, ignore_errors=True)
            return True
        if output.exists():
            self.found["half_adapters"] += not _verifies(output)
        return not output.exists()

    def _wait(self, victim: Victim, work: Path) -> str:
        """Wait for a moment of one of three sorts, and return which."""
        moments, drawn = self._plan.moments, self._plan.moments.random()
        before = set(work.glob("checkpoint-*"))
        wanted = moments.randint(1, 3)
        if drawn < 0.4 and victim.reaches(seen=lambda: len(_fresh(work, before)) >= wanted):
            victim.reaches(moments.uniform(0, 0.4))
            return "at_a_checkpoint"
        if 0.4 <= drawn < 0.6 and victim.reaches(seen=(work.parent / "adapter" / "adapter_config.json").exists):
            victim.reaches(moments.uniform(0, 0.6))
            return "while_writing_the_adapter"
        victim.reaches(moments.uniform(0, self.seconds))
        return "anywhere"

    def _resumed(self, said: str, expected: int | None) -> None:
        """Check from which checkpoint the run went on: the last that was marked before, or none."""
        self.found["resumed"] += 1
        if "training: " not in said:  # killed before it came so far
            return
        taken = "resuming from checkpoint-"
        step = int(said.split(taken)[1].split()[0]) if taken in said else None
        self.found["resumed_at_the_start"] += step is None
        self.found["half_checkpoint_resumed"] += step != expected

    def _compare(self, output: Path) -> None:
        """Compare a finished run with the one that nobody interrupted."""
        truth, losses = _losses(self._truth), _losses(output)
        common = truth.keys() & losses.keys()
        self.found["different_history"] += truth.keys() != losses.keys()
        difference = max((abs(truth[key] - losses[key]) for key in common), default=float("inf"))
        self.loss_difference = max(self.loss_difference, difference)
        self.found["different_loss"] += difference > TOLERANCE
        self.weight_difference = max(self.weight_difference, _weight_difference(self._truth, output))
        self._plan.say(f"a killed run ended: losses differ by {difference:.2e} at most")

    def _command(self, output: Path, *, resume: bool) -> list[str]:
        numbers = {"max_steps": STEPS, "save_steps": SAVE_STEPS, "logging_steps": 1, "evaluations": 3}
        flags = {"dataset": self._data, "output_dir": output, "model_name_or_path": self._base, **numbers}
        given = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "finetune.lora", *given, "--report_to", "none"]
        return [*command, "--resume_from_checkpoint"] if resume else command


def _fresh(work: Path, before: set[Path]) -> set[Path]:
    return set(work.glob("checkpoint-*")) - before


def _last_complete(work: Path) -> int | None:
    """Return the step of the newest checkpoint that is marked complete."""
    return max((int(mark.parent.name.split("-")[1]) for mark in work.glob("checkpoint-*/complete.json")), default=None)


def _verifies(output: Path) -> bool:
    try:
        verify(output, "adapter")
    except FrontdeskError:
        return False
    return True


def _losses(adapter: Path) -> dict[tuple[str, int], float]:
    """Return {(name, step): loss} of a run, in the order of its steps; training and evaluation."""
    history: list[dict[str, Any]] = json.loads((adapter / "run.json").read_text(encoding="utf-8"))["history"]
    rows = sorted(history, key=lambda row: row["step"])
    return {(name, int(row["step"])): row[name] for name in ("eval_loss", "loss") for row in rows if name in row}


def _weight_difference(first: Path, second: Path) -> float:
    """Return the largest difference between two weights of the same name."""
    from safetensors.torch import load_file

    largest = 0.0
    for name in ("adapter_model.safetensors", "labels.safetensors"):
        one, two = load_file(first / name), load_file(second / name)
        if one.keys() != two.keys():
            return float("inf")
        largest = max([largest, *(float(np.abs((one[k] - two[k]).float().numpy()).max()) for k in one)])
    return largest
