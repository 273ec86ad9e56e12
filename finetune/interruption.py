"""Ends a run that is told to stop (Ctrl-C, SIGTERM) at the end of its step, with a checkpoint to go on from."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune import processes

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption(TrainerCallback):  # type: ignore[misc]
    """Remembers that a signal came; once is enough, more of them change nothing."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Take the signals; one that came interrupts behind the block, when what was learnt is kept.

        Raises:
            KeyboardInterrupt: a signal came.
        """
        before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.asked:
            raise KeyboardInterrupt

    def _ask(self, *_: object) -> None:
        self.asked = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop with a checkpoint, in every process when one of them was told to."""
        self.asked = any(processes.everyone(self.asked))
        if self.asked:
            control.should_training_stop = control.should_save = True
