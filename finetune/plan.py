"""What a run of training learns from, and in which order."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from torch.utils.data import Dataset

from finetune import processes
from finetune.tree import Pack, Tree, group, pack


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
    word_dropout: float = 0.0
    max_grad_norm: float = 1.0


class Packs(Dataset[Pack]):
    """The packs of a run in training order: every pass groups the trees anew, by seed.

    With `steps` they end with the last step, so that a run that resumes from its end does not go on.
    """

    def __init__(self, data: TrainingData, schedule: Schedule, steps: int = 0) -> None:
        self._system, self._schedule = data.system, schedule
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
        schedule = self._schedule
        return pack(self._system, self._groups[index], schedule.word_dropout, (schedule.seed, index))


def number_of_steps(data: TrainingData, schedule: Schedule) -> int:
    """Return how many optimizer steps all passes take, at most `max_steps`; the clock may end the run before."""
    steps = max(1, math.ceil(len(Packs(data, schedule)) / packs_a_step(schedule)))
    return min(steps, schedule.max_steps or steps)


def packs_a_step(schedule: Schedule) -> int:
    """Return how many packs an optimizer step learns from, in all processes together."""
    return schedule.accumulation * processes.number()


def count_tokens(trees: Sequence[Tree]) -> int:
    """Return the number of tokens of trees without the system text."""
    return sum(tree.n_tokens for tree in trees)
