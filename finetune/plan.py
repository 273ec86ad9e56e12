"""What a run of training learns from in which order, and how many steps of it fit into its time."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from finetune import processes
from finetune.student import Student, tensors
from finetune.tree import Pack, Tree, group, pack
from finetune.unfinished import write_whole

PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Trees to learn from and to choose the best checkpoint by, all behind the same system text.

    `train` holds variants of the same trees; pass n learns from variant n modulo their number.
    """

    system: tuple[int, ...]
    train: tuple[tuple[Tree, ...], ...]
    validation: tuple[Tree, ...]
    n_labels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The numbers of a run; `max_minutes` 0 means no limit, `max_steps` 0 means all passes."""

    passes: float
    max_steps: int
    max_minutes: float
    learning_rate: float
    label_learning_rate: float
    weight_decay: float
    warmup: float
    pack_tokens: int
    accumulation: int
    evaluations: int
    logging_steps: int
    save_steps: int
    seed: int
    bf16: bool
    report_to: str
    max_grad_norm: float = 1.0


class Packs(Dataset[Pack]):
    """The packs of a run in training order: every pass groups the trees anew, by seed.

    With `steps` they end with the last step, so that a run that resumes from its end does not go on.
    """

    def __init__(self, data: TrainingData, schedule: Schedule, steps: int = 0) -> None:
        self._system = data.system
        self._groups: list[list[Tree]] = []
        for number in range(math.ceil(schedule.passes)):
            order = list(data.train[number % len(data.train)])
            random.Random(schedule.seed * 1000 + number).shuffle(order)  # noqa: S311 (order of rows, not secrecy)
            groups = group(order, schedule.pack_tokens)
            share = min(1.0, schedule.passes - number)
            self._groups += groups[: max(1, round(share * len(groups)))]
        if steps:
            del self._groups[steps * packs_a_step(schedule) :]

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> Pack:
        return pack(self._system, self._groups[index])


def plan(student: Student, data: TrainingData, schedule: Schedule, folder: Path) -> tuple[int, float]:
    """Return the number of steps of this run and the seconds a step takes; both are kept for resuming.

    With a time budget the first packs are timed, and the schedule is planned for as many steps as fit, so
    that the learning rate has come down when the time is up.
    """
    kept = folder / PLAN
    if kept.exists():
        facts = json.loads(kept.read_text(encoding="utf-8"))
        return int(facts["steps"]), float(facts["seconds_a_step"])
    steps, seconds = processes.everyone(_planned(student, data, schedule))[0]
    if processes.rank() == 0:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(kept, json.dumps({"steps": steps, "seconds_a_step": seconds}))
    return steps, seconds


def _planned(student: Student, data: TrainingData, schedule: Schedule) -> tuple[int, float]:
    packs = Packs(data, schedule)
    steps = max(1, math.ceil(len(packs) / packs_a_step(schedule)))
    steps = min(steps, schedule.max_steps or steps)
    if not schedule.max_minutes:
        return steps, 0.0
    seconds = _seconds_a_pack(student, packs, schedule) * schedule.accumulation
    evaluation = _seconds_of_evaluation(data, schedule, seconds)
    budget = schedule.max_minutes * 60 * 0.97 - evaluation * schedule.evaluations
    return max(1, min(steps, int(budget / seconds))), seconds


def packs_a_step(schedule: Schedule) -> int:
    """Return how many packs an optimizer step learns from, in all processes together."""
    return schedule.accumulation * processes.number()


def _seconds_of_evaluation(data: TrainingData, schedule: Schedule, seconds_a_step: float) -> float:
    """Estimate one evaluation: reading costs about a third of learning."""
    packs = len(group(data.validation, schedule.pack_tokens))
    return packs * seconds_a_step / packs_a_step(schedule) / 2.5


def _seconds_a_pack(student: Student, packs: Packs, schedule: Schedule) -> float:
    """Time forward and backward over some packs, spread over the run; nothing is learnt from them."""
    device = next(student.parameters()).device
    places = np.linspace(0, len(packs) - 1, num=min(7, len(packs))).astype(int)
    times = []
    for place in (places[0], *places):  # the first one warms up
        batch = {k: v.to(device) for k, v in tensors([packs[int(place)]], student.n_labels).items()}
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=schedule.bf16):
            loss = student(**batch)["loss"]
        loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # a GPU is told what to do before it has done it
        times.append(time.perf_counter() - began)
    student.zero_grad()
    return float(np.mean(times[1:]))


def count_tokens(trees: Sequence[Tree]) -> int:
    """Return the number of tokens of trees without the system text."""
    return sum(tree.n_tokens for tree in trees)
