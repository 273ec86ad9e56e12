"""The training run: transformers' Trainer over packs, with rows' own learning rate, a time budget and resuming."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import set_seed

from chatbot.labels import log_softmax
from finetune import processes
from finetune.checkpoints import WEIGHTS, Best, Marker, Stand, last_complete, remove_others
from finetune.clock import Clock, Milestones, Now
from finetune.interruption import Interruption
from finetune.plan import Packs, Schedule, TrainingData, number_of_steps
from finetune.student import ROWS_PREFIX, Reader, Student, tensors
from finetune.tree import group, pack
from finetune.witness import cross_entropy, fit_temperature
from knowledge_base.errors import FrontdeskError

Array = NDArray[Any]
WRITTEN = "written"


def evaluate(student: Student, data: TrainingData, schedule: Schedule) -> dict[str, float]:
    """Return the losses on the validation trees: a set's calibrated cross-entropy and accuracy, and a word's.

    `loss` is their sum. Labels are judged after fitting a temperature, since one is fitted before serving.
    """
    read = [one for part in processes.everyone(_read(student, data, schedule)) for one in part]
    found: dict[str, float] = {}
    for name in student.n_labels:
        rows = [(values, targets) for read_set, values, targets in read if read_set == name]
        if rows:
            values, targets = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
            temperature = fit_temperature(values, targets)
            found[f"{name}_loss"] = cross_entropy(log_softmax(values / temperature), targets)
            hit = targets[np.arange(len(targets)), values.argmax(-1)] > 0
            found[f"{name}_accuracy"] = float(hit.mean())
    words = [values for name, values, _ in read if name == WRITTEN and len(values)]
    if words:
        found["written_loss"] = float(-np.concatenate(words).mean())
    return {"loss": sum(value for name, value in found.items() if name.endswith("_loss")), **found}


def _read(student: Student, data: TrainingData, schedule: Schedule) -> list[tuple[str, Array, Array]]:
    """Return what this process reads of the validation trees, its share of the packs.

    It is a list of (set, (n, n_labels) log-probabilities, targets of the same shape), and of (WRITTEN, (n_words,)
    log-probabilities, ids).
    """
    reader = Reader(student, bf16=schedule.bf16)
    found: list[tuple[str, Array, Array]] = []
    for trees in group(data.validation, schedule.pack_tokens)[processes.rank() :: processes.number()]:
        flat = pack(data.system, trees)
        logprobs, words = reader.read(flat)
        batch = tensors([flat], student.n_labels)
        found += [(name, values, batch[f"{name}.targets"].numpy()) for name, values in logprobs.items()]
        found.append((WRITTEN, words, flat.targets))
    student.train()
    return found


class PackTrainer(Trainer):  # type: ignore[misc]
    """Trainer whose batches are packs; only places where packs differ from rows are overridden."""

    def __init__(self, student: Student, data: TrainingData, schedule: Schedule, clock: Clock, **options: Any) -> None:
        self._data, self._schedule, self._clock = data, schedule, clock
        super().__init__(model=student, **options)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Give label rows their own learning rate."""
        if self.optimizer is None:  # type: ignore[has-type]
            trained = [(n, p) for n, p in (model or self.model).named_parameters() if p.requires_grad]
            rows = [p for n, p in trained if ROWS_PREFIX in n]
            adapter = [p for n, p in trained if ROWS_PREFIX not in n]
            decay = self._schedule.weight_decay
            groups = [
                {"params": adapter, "lr": self._schedule.learning_rate, "weight_decay": decay},
                {"params": rows, "lr": self._schedule.label_learning_rate, "weight_decay": decay},
            ]
            self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], fused=True)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Let the learning rate follow the steps or the clock, whichever is further on.

        A machine that gets busy after the steps were planned would else end the run at a high rate.
        """
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        scheduler.lr_lambdas = [self._by_the_clock(factor, num_training_steps) for factor in scheduler.lr_lambdas]
        return scheduler

    def _by_the_clock(self, factor: Callable[[float], float], steps: int) -> Callable[[int], float]:
        return lambda step: factor(max(step, self._clock.share * steps))

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return torch.utils.data.SequentialSampler(train_dataset or self.train_dataset)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Evaluate on the validation trees as a whole: temperatures need all of them at once."""
        metrics = {f"eval_{name}": value for name, value in evaluate(self.model, self._data, self._schedule).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)  # type: ignore[has-type]
        return metrics

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load what is trained; a checkpoint holds nothing else, and the student has the base already."""
        from safetensors.torch import load_file

        (model or self.model).load_state_dict(load_file(Path(resume_from_checkpoint) / WEIGHTS), strict=False)


class Progress(TrainerCallback):  # type: ignore[misc]
    """Says how the run goes: step, loss and time left, and what each evaluation found."""

    def __init__(self, say: Callable[[str], None], clock: Clock) -> None:
        self._say, self._clock = say, clock
        self._began, self._first = time.monotonic(), 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Remember where this process began."""
        self._began, self._first = time.monotonic(), state.global_step

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        """Print a line a log."""
        logs = dict(logs or {})
        if "loss" in logs:
            done = max(1, state.global_step - self._first)
            left = (time.monotonic() - self._began) / done * (state.max_steps - state.global_step)
            left = min(left, self._clock.seconds_left) / 60
            rate = f"learning rate {logs.get('learning_rate', 0):.1e}"
            step = f"step {state.global_step:,}/{state.max_steps:,}"
            self._say(f"{step}  loss {logs['loss']:.3f}  {rate}  {left:.1f} min left")
        elif "eval_loss" in logs:
            parts = [f"{k[5:].replace('_', ' ')} {v:.3f}" for k, v in logs.items() if k.startswith("eval_")]
            self._say(f"evaluation at step {state.global_step:,}: {', '.join(parts)}")


def train(
    student: Student,
    data: TrainingData,
    schedule: Schedule,
    folder: Path,
    say: Callable[[str], None],
    now: Now = time.monotonic,
) -> list[dict[str, float]]:
    """Train in `folder`, resuming from its last complete checkpoint; leaves the best state in the student.

    Returns the log: one mapping a logged step.

    Raises:
        KeyboardInterrupt: a signal told the run to stop; a checkpoint of its last step is there.
    """
    set_seed(schedule.seed)
    resumed = processes.everyone(last_complete(folder))[0]
    if processes.rank() == 0:
        remove_others(folder, resumed)
    steps = number_of_steps(data, schedule)
    stand = Stand.of(resumed)
    if resumed:
        say(f"resuming from {Path(resumed).name}")
    budget = f" or {schedule.max_minutes:g} minutes, whichever ends first" if schedule.max_minutes else ""
    say(f"training: {steps:,} steps{budget}")
    clock = Clock(schedule.max_minutes, stand.seconds, now)
    arguments = _arguments(schedule, steps, folder)
    arguments._n_gpu = min(1, arguments.n_gpu)  # else the Trainer would cut a pack in pieces, one for each GPU
    if clock.share >= 1:  # a process before this one had used up the time: nothing is left to learn
        steps = arguments.max_steps = stand.step
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder.parent / "logs"))
    set_seed(schedule.seed)
    best, interruption = Best(folder / "best.safetensors"), Interruption()
    trainer = PackTrainer(
        student,
        data,
        schedule,
        clock,
        args=arguments,
        train_dataset=Packs(data, schedule, steps),
        eval_dataset=list(data.validation) or None,
        data_collator=lambda packs: tensors(packs, data.n_labels),
        callbacks=[
            clock,
            Milestones(clock, schedule.evaluations, evaluates=bool(data.validation)),
            interruption,
            Progress(say, clock),
            best,
        ],
    )
    trainer.add_callback(Marker(trainer, clock, stand))
    trainer.remove_callback(PrinterCallback)
    with interruption.awaited():
        trainer.train(resume_from_checkpoint=resumed)
    best.restore(student)
    if not all(bool(torch.isfinite(value).all()) for value in student.state_dict().values()):
        raise FrontdeskError("training: expected finite weights, got some beyond all bounds. Lower --learning_rate.")
    # The Trainer's log is in its checkpoints, so that it holds what was logged before a run was resumed too.
    history = [{name: float(value) for name, value in row.items()} for row in trainer.state.log_history]
    return [{name: value for name, value in row.items() if math.isfinite(value)} for row in history]


def _arguments(schedule: Schedule, steps: int, folder: Path) -> TrainingArguments:
    """Return what the Trainer is told; a batch is one pack. `Milestones` says when to evaluate and to save."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=schedule.accumulation,
        lr_scheduler_type="cosine",
        learning_rate=schedule.learning_rate,
        warmup_steps=max(1, round(schedule.warmup * steps)),
        max_grad_norm=schedule.max_grad_norm,
        logging_steps=max(1, min(schedule.logging_steps, steps // 5 or 1)),
        eval_strategy="no",
        save_strategy="steps",
        save_steps=schedule.save_steps or steps,
        save_total_limit=2,
        load_best_model_at_end=False,  # `Best` takes the best state over, checkpoints may be saved more often
        seed=schedule.seed,
        data_seed=schedule.seed,
        bf16=schedule.bf16,
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=True,  # a pack need not have labels of every set
        report_to=[] if schedule.report_to == "none" else [schedule.report_to],
        remove_unused_columns=False,
        disable_tqdm=True,
    )
