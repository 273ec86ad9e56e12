"""The training run: transformers' Trainer over packs, with rows' own learning rate, a time budget and resuming."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import set_seed

from chatbot.labels import log_softmax
from finetune.student import ROWS_PREFIX, Reader, Student, tensors
from finetune.tree import Pack, Tree, group, pack
from finetune.witness import cross_entropy, fit_temperature

COMPLETE = "complete.json"
PLAN = "plan.json"
WEIGHTS = "model.safetensors"


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
            del self._groups[steps * schedule.accumulation :]

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
    packs = Packs(data, schedule)
    steps = max(1, math.ceil(len(packs) / schedule.accumulation))
    steps = min(steps, schedule.max_steps or steps)
    seconds = 0.0
    if schedule.max_minutes:
        seconds = _seconds_a_pack(student, packs, schedule) * schedule.accumulation
        evaluation = _seconds_of_evaluation(data, schedule, seconds)
        budget = schedule.max_minutes * 60 * 0.97 - evaluation * schedule.evaluations
        steps = max(1, min(steps, int(budget / seconds)))
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps({"steps": steps, "seconds_a_step": seconds}))
    return steps, seconds


def _seconds_of_evaluation(data: TrainingData, schedule: Schedule, seconds_a_step: float) -> float:
    """Estimate one evaluation: reading costs about a third of learning."""
    packs = len(group(data.validation, schedule.pack_tokens))
    return packs * seconds_a_step / schedule.accumulation / 2.5


def _seconds_a_pack(student: Student, packs: Packs, schedule: Schedule) -> float:
    """Time forward and backward over some packs, spread over the run; nothing is learnt from them."""
    device = next(student.parameters()).device
    places = np.linspace(0, len(packs) - 1, num=min(7, len(packs))).astype(int)
    times = []
    for place in (places[0], *places):  # the first one warms up
        batch = {k: v.to(device) for k, v in tensors([packs[int(place)]], _sizes(student)).items()}
        began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=schedule.bf16):
            loss = student(**batch)["loss"]
        loss.backward()
        times.append(time.perf_counter() - began)
    student.zero_grad()
    return float(np.mean(times[1:]))


def _sizes(student: Student) -> dict[str, int]:
    return {name: len(rows) for name, rows in student.rows.items()}


def evaluate(student: Student, data: TrainingData, schedule: Schedule) -> dict[str, float]:
    """Return the losses on the validation trees: a set's calibrated cross-entropy and accuracy, and a word's.

    `loss` is their sum. Labels are judged after fitting a temperature, since one is fitted before serving.
    """
    reader = Reader(student, bf16=schedule.bf16)
    sizes = _sizes(student)
    read: dict[str, list[Any]] = {name: [] for name in sizes}
    truth: dict[str, list[Any]] = {name: [] for name in sizes}
    words: list[Any] = []
    for trees in group(data.validation, schedule.pack_tokens):
        flat = pack(data.system, trees)
        logprobs, written = reader.read(flat)
        words.append(written)
        batch = tensors([flat], sizes)
        for name, values in logprobs.items():
            read[name].append(values)
            truth[name].append(batch[f"{name}.targets"].numpy())
    student.train()
    found: dict[str, float] = {}
    for name in sizes:
        if read[name]:
            values, targets = np.concatenate(read[name]), np.concatenate(truth[name])
            temperature = fit_temperature(values, targets)
            found[f"{name}_loss"] = cross_entropy(log_softmax(values / temperature), targets)
            hit = targets[np.arange(len(targets)), values.argmax(-1)] > 0
            found[f"{name}_accuracy"] = float(hit.mean())
    if sum(len(w) for w in words):
        found["written_loss"] = float(-np.concatenate(words).mean())
    return {"loss": sum(value for name, value in found.items() if name.endswith("_loss")), **found}


class PackTrainer(Trainer):  # type: ignore[misc]
    """Trainer whose batches are packs; only places where packs differ from rows are overridden."""

    def __init__(self, student: Student, data: TrainingData, schedule: Schedule, **options: Any) -> None:
        self._data, self._schedule = data, schedule
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
            self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]])
        return self.optimizer

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


class Marker(TrainerCallback):  # type: ignore[misc]
    """Marks each checkpoint complete after its last byte; resuming takes no other."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the mark."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        (folder / COMPLETE).write_text(json.dumps({"step": state.global_step}), encoding="utf-8")


class Deadline(TrainerCallback):  # type: ignore[misc]
    """Ends the run when the time is up, with an evaluation and a checkpoint."""

    def __init__(self, max_minutes: float) -> None:
        self._ends = time.monotonic() + max_minutes * 60 if max_minutes else math.inf

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop when the time is up."""
        if time.monotonic() >= self._ends:
            control.should_training_stop = control.should_evaluate = control.should_save = True


class Progress(TrainerCallback):  # type: ignore[misc]
    """Says how the run goes: step, loss and time left, and what each evaluation found."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
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
            left = (time.monotonic() - self._began) / done * (state.max_steps - state.global_step) / 60
            rate = f"learning rate {logs.get('learning_rate', 0):.1e}"
            step = f"step {state.global_step:,}/{state.max_steps:,}"
            self._say(f"{step}  loss {logs['loss']:.3f}  {rate}  {left:.1f} min left")
        elif "eval_loss" in logs:
            parts = [f"{k[5:].replace('_', ' ')} {v:.3f}" for k, v in logs.items() if k.startswith("eval_")]
            self._say(f"evaluation at step {state.global_step:,}: {', '.join(parts)}")


def last_complete(folder: Path) -> str | None:
    """Return the newest checkpoint whose mark stands, or None."""
    marked = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return str(max(marked, key=lambda path: int(path.name.split("-")[1]))) if marked else None


def remove_others(folder: Path, checkpoint: str | None) -> None:
    """Remove checkpoints that a killed run left half written or half deleted: the Trainer would count them."""
    for path in folder.glob("checkpoint-*"):
        if str(path) != checkpoint:
            shutil.rmtree(path)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one, never an empty one."""
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def train(
    student: Student, data: TrainingData, schedule: Schedule, folder: Path, say: Callable[[str], None]
) -> list[dict[str, float]]:
    """Train in `folder`, resuming from its last complete checkpoint; leaves the best state in the student.

    Returns the log: one mapping a logged step.
    """
    set_seed(schedule.seed)
    resumed = last_complete(folder)
    remove_others(folder, resumed)
    steps, seconds = plan(student, data, schedule, folder)
    if resumed:
        say(f"resuming from {Path(resumed).name}")
    budget = f", about {seconds * steps / 60:.1f} minutes" if seconds else ""
    say(f"training: {steps:,} steps{budget}")
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder.parent / "logs"))
    evaluates = bool(data.validation) and schedule.evaluations > 0
    every = max(1, steps // max(1, schedule.evaluations))
    set_seed(schedule.seed)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=schedule.accumulation,
        lr_scheduler_type="cosine",
        learning_rate=schedule.learning_rate,
        warmup_steps=max(1, round(schedule.warmup * steps)),
        max_grad_norm=schedule.max_grad_norm,
        logging_steps=max(1, min(schedule.logging_steps, steps // 5 or 1)),
        eval_strategy="steps" if evaluates else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=schedule.save_steps or every,
        save_total_limit=2,
        load_best_model_at_end=False,  # the best state is taken over below, checkpoints may be saved more often
        seed=schedule.seed,
        data_seed=schedule.seed,
        bf16=schedule.bf16,
        use_cpu=not torch.cuda.is_available(),
        report_to=[] if schedule.report_to == "none" else [schedule.report_to],
        remove_unused_columns=False,
        disable_tqdm=True,
        enable_jit_checkpoint=True,
    )
    progress = Progress(say)
    best = Best(folder / "best.safetensors")
    trainer = PackTrainer(
        student,
        data,
        schedule,
        args=arguments,
        train_dataset=Packs(data, schedule, steps),
        eval_dataset=list(data.validation) or None,
        data_collator=lambda packs: tensors(packs, data.n_labels),
        callbacks=[Marker(), Deadline(schedule.max_minutes), progress, best],
    )
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=resumed)
    best.restore(student)
    # The Trainer's log is in its checkpoints, so that it holds what was logged before a run was resumed too.
    return [{name: float(value) for name, value in row.items()} for row in trainer.state.log_history]


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


def count_tokens(trees: Sequence[Tree]) -> int:
    """Return the number of tokens of trees without the system text."""
    return sum(tree.n_tokens for tree in trees)
