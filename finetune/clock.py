"""The time that a run may take: the learning rate and the evaluations follow it, and it ends the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune import processes

Now = Callable[[], float]


class Clock(TrainerCallback):  # type: ignore[misc]
    """Counts the time that a run takes and ends it when that is used up, with an evaluation and a checkpoint.

    `used` seconds were taken before by processes of the same run. Without a limit (`max_minutes` 0) the share stays 0.
    It is read once a step, so that all who ask within a step are told the same, in every process.
    """

    def __init__(self, max_minutes: float, used: float = 0.0, now: Now = time.monotonic) -> None:
        self._now = now
        self._began = now() - used
        self._limit = max_minutes * 60
        self.seconds = used

    @property
    def share(self) -> float:
        """How much of the time is used, from 0; 1 and more mean all of it."""
        return self.seconds / self._limit if self._limit else 0.0

    @property
    def seconds_left(self) -> float:
        """How much time is left; infinite without a limit."""
        return max(0.0, self._limit - self.seconds) if self._limit else float("inf")

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Read the clock, just before the learning rate of the next step is set."""
        self.seconds = max(processes.everyone(self._now() - self._began))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop when the time is up."""
        if self.share >= 1:
            control.should_training_stop = control.should_evaluate = control.should_save = True


class Milestones(TrainerCallback):  # type: ignore[misc]
    """Evaluates and saves a `number` of times, spread evenly over the steps or the time, whichever is further on."""

    def __init__(self, clock: Clock, number: int, *, evaluates: bool) -> None:
        self._clock, self._number, self._evaluates = clock, max(1, number), evaluates and number > 0
        self._passed = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Remember what was passed before this process."""
        self._passed = self._reached(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for an evaluation and a checkpoint at each milestone."""
        reached = self._reached(state)
        if reached > self._passed:
            self._passed = reached
            control.should_save = True
            control.should_evaluate = control.should_evaluate or self._evaluates

    def _reached(self, state: TrainerState) -> int:
        return int(max(state.global_step / state.max_steps, min(1.0, self._clock.share)) * self._number)
