"""What a run of training keeps to go on from after a stop: checkpoints that are marked when whole, and the best state."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finetune import processes
from finetune.clock import Clock
from finetune.student import Student
from finetune.unfinished import write_whole

COMPLETE = "complete.json"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a run had come at a checkpoint.

    `seconds` is the time that it took; `loss` is the sum of the steps' losses since step `logged`, the last one of
    which the log tells.
    """

    step: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    logged: int = 0

    @classmethod
    def of(cls, checkpoint: str | None) -> Stand:
        """Read the mark of a checkpoint; without one the run stands at its beginning."""
        if checkpoint is None:
            return cls()
        return cls(**json.loads((Path(checkpoint) / COMPLETE).read_text(encoding="utf-8")))


class Marker(TrainerCallback):  # type: ignore[misc]
    """Marks each checkpoint complete after its last byte; resuming takes no other.

    The mark also holds what the Trainer would forget: the losses that it has not logged yet.
    """

    def __init__(self, trainer: Trainer, clock: Clock, resumed: Stand) -> None:
        self._trainer, self._clock, self._resumed = trainer, clock, resumed

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Give the Trainer back the losses that were not logged before the stop."""
        self._trainer._tr_loss += self._resumed.loss
        self._trainer._globalstep_last_logged = self._resumed.logged

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the mark, when every process has written its part."""
        losses = processes.everyone(float(self._trainer._tr_loss))
        loss, logged = sum(losses) / len(losses), self._trainer._globalstep_last_logged
        if processes.rank() == 0:
            stand = Stand(state.global_step, self._clock.seconds, loss, logged)
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_whole(folder / COMPLETE, json.dumps(asdict(stand)))
        processes.everyone(None)  # nobody ends, and ends the others by it, before the mark stands


class Best(TrainerCallback):  # type: ignore[misc]
    """Keeps the best evaluated state beside the checkpoints."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._score = path.with_suffix(".json")

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any, **kept: Any
    ) -> None:
        """Keep the state if its loss is the lowest so far."""
        from safetensors.torch import save_file

        loss = float(metrics["eval_loss"])
        if processes.rank() or not math.isfinite(loss):
            return
        if self._score.exists() and json.loads(self._score.read_text(encoding="utf-8"))["loss"] <= loss:
            return
        aside = self._path.with_suffix(".new")
        save_file({name: value.contiguous() for name, value in kept["model"].state_dict().items()}, aside)
        aside.replace(self._path)
        write_whole(self._score, json.dumps({"loss": loss, "step": state.global_step}))

    def restore(self, student: Student) -> None:
        """Load the best state into the student; the last one stands where nothing was evaluated."""
        from safetensors.torch import load_file

        if self._path.exists():
            student.load_state_dict(load_file(self._path), strict=False)


def last_complete(folder: Path) -> str | None:
    """Return the newest checkpoint whose mark stands, or None."""
    marked = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return str(max(marked, key=lambda path: int(path.name.split("-")[1]))) if marked else None


def remove_others(folder: Path, checkpoint: str | None) -> None:
    """Remove checkpoints that a killed run left half written or half deleted: the Trainer would count them."""
    for path in folder.glob("checkpoint-*"):
        if str(path) != checkpoint:
            shutil.rmtree(path)
