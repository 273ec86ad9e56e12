"""Fine-tune the base with LoRA on transcripts: `python -m finetune.lora --dataset FILE... --output_dir DIR`.

Everything is read and checked before work begins; the adapter is built in `DIR.partial` and gets its name
when it is complete. One adapter learns the labels (intent, next step, support) and the reply together.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.arguments import LAST, LoraArguments, parse
from finetune.transcripts import read_transcripts
from knowledge_base.command import (
    EXIT_DONE,
    EXIT_PARTLY_REFUSED,
    Refusal,
    run,
    write_json,
)
from knowledge_base.errors import InputError
from knowledge_base.manifest import publish, seal, sha256_of

if TYPE_CHECKING:
    from chatbot.engines.bases import Base
    from chatbot.labels import LabelRows
    from chatbot.prompt import Renderer
    from finetune.data import Labels, Lesson
    from finetune.records import Transcript
    from finetune.split import Split
    from knowledge_base.encoder import Encoder
    from knowledge_base.search import KnowledgeBase

RUN_FILE = "run.json"


@dataclass(frozen=True, slots=True)
class Material:
    """What a run learns from: checked, redacted, split, and decided for every reply."""

    transcripts: tuple[Transcript, ...]
    split: Split
    lessons: dict[str, Lesson]
    labels: Labels
    replies: Counter[str]
    redacted: Counter[str]

    def part(self, name: str) -> list[Lesson]:
        """Return the lessons of a part."""
        return [self.lessons[i] for i in getattr(self.split, name)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module."""
    arguments = parse(argv)
    say = _say
    began = time.monotonic()
    _check_output(arguments)
    files = [Path(name) for name in arguments.dataset]
    transcripts, refusals = _read(arguments, files, say)
    encoder, knowledge, base = _models(arguments, say)
    material = prepare(arguments, transcripts, knowledge, say)
    metrics = train_adapter(arguments, material, base, encoder, files, say)
    report = {
        "output_dir": arguments.output_dir,
        "conversations": len(transcripts),
        "refused": [asdict(refusal) for refusal in refusals],
        "replies": dict(material.replies),
        "redacted": dict(material.redacted),
        "metrics": metrics,
        "seconds": round(time.monotonic() - began, 1),
    }
    if arguments.json:
        write_json(arguments.json, report)
    say(f"the adapter is in {arguments.output_dir} ({(time.monotonic() - began) / 60:.1f} minutes)")
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _check_output(arguments: LoraArguments) -> None:
    output, partial = Path(arguments.output_dir), arguments.partial()
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise InputError(f"--output_dir {output}: expected an absent or empty folder, got one in use. Choose another.")
    resuming = bool(arguments.resume_from_checkpoint)
    if partial.exists() and any(partial.iterdir()) and not resuming:
        raise InputError(
            f"{partial}: an unfinished run is there. Go on with --resume_from_checkpoint, or delete the folder."
        )
    if resuming and not partial.exists():
        raise InputError(f"--resume_from_checkpoint: expected an unfinished run in {partial}, found none.")
    if resuming and arguments.resume_from_checkpoint not in (LAST, str(partial)):
        raise InputError(f"--resume_from_checkpoint: only the run in {partial} can go on. Give the flag no value.")


def _read(arguments: LoraArguments, files: Sequence[Path], say: Any) -> tuple[list[Transcript], list[Refusal]]:
    """Read and check all files and say what was found."""
    from finetune.survey import survey

    transcripts, refusals, warnings = read_transcripts(files)
    for line in survey(transcripts, refusals, warnings).lines():
        say(line)
    if not transcripts:
        raise InputError(f"{arguments.dataset[0]}: expected conversations, got no usable row. See the reasons above.")
    if refusals and arguments.strict:
        raise InputError(f"--strict: {len(refusals):,} rows were refused. Correct them, or leave out --strict.")
    return transcripts, refusals


def _models(arguments: LoraArguments, say: Any) -> tuple[Encoder, KnowledgeBase | None, Base]:
    """Find and check the models before any work; what is missing ends the run here."""
    from chatbot.engines.bases import find_base

    base = find_base(arguments.model_name_or_path, arguments.base)
    say(f"base {base.id} ({base.sha256[:12]})")
    from knowledge_base.encoder import load_encoder

    encoder = load_encoder(arguments.encoder)
    if not arguments.knowledge:
        return encoder, None, base
    from knowledge_base.search import KnowledgeBase

    knowledge = KnowledgeBase.open(Path(arguments.knowledge), encoder)
    say(f"knowledge {knowledge.snapshot_id}: {len(knowledge.entries):,} entries")
    return encoder, knowledge, base


def prepare(
    arguments: LoraArguments, transcripts: Sequence[Transcript], knowledge: KnowledgeBase | None, say: Any
) -> Material:
    """Redact and split the transcripts, and decide for every reply whether it trains writing."""
    from finetune.data import Labels, lessons
    from finetune.split import split

    redacted: Counter[str] = Counter()
    if arguments.redact:
        transcripts, redacted = _redacted(transcripts, knowledge)
        say("redacted: " + (", ".join(f"{n:,} {kind}" for kind, n in sorted(redacted.items())) or "nothing"))
    parts = split(transcripts, arguments.seed, (arguments.split[0], arguments.split[1], arguments.split[2]))
    say(
        f"parts: {len(parts.train):,} train, {len(parts.calibration):,} calibration, {len(parts.test):,} test "
        f"({parts.groups:,} groups of near-duplicates kept whole)"
    )
    for warning in parts.warnings:
        say(f"warning: {warning}")
    taught, replies = lessons(
        transcripts, knowledge, unsupported_too=arguments.train_unsupported_replies, seed=arguments.seed
    )
    _say_replies(replies, arguments, say)
    by_id = {lesson.transcript.id: lesson for lesson in taught}
    train_ids = set(parts.train)
    labels = Labels.of([transcript for transcript in transcripts if transcript.id in train_ids])
    return Material(tuple(transcripts), parts, by_id, labels, replies, redacted)


def _redacted(
    transcripts: Sequence[Transcript], knowledge: KnowledgeBase | None
) -> tuple[list[Transcript], Counter[str]]:
    from finetune.redaction import Redactor, company_details

    entries = knowledge.entries.values() if knowledge else []
    redactor = Redactor(keep=company_details(entry.answer for entry in entries))
    return [redactor.redact(transcript) for transcript in transcripts], Counter(redactor.counts)


def _say_replies(replies: Counter[str], arguments: LoraArguments, say: Any) -> None:
    for reason, count in replies.most_common():
        if reason == "state facts that no entry holds":
            used = "used all the same" if arguments.train_unsupported_replies else "not used for writing"
            say(f"{count:,} replies state facts that no entry holds: {used}")
        elif reason == "written by a bot":
            say(f"{count:,} replies were written by a bot: not used for writing")
        else:
            say(f"{count:,} replies {reason}: used for writing")


def train_adapter(
    arguments: LoraArguments, material: Material, base: Base, encoder: Encoder, files: Sequence[Path], say: Any
) -> dict[str, Any]:
    """Train, fit the second witness, measure on the test part and publish the adapter; returns the metrics."""
    import torch

    from chatbot.engines.tokenizer import BaseTokenizer, turn_marks
    from chatbot.prompt import Renderer
    from finetune.data import trees, variants
    from finetune.student import Student, has_fast_bfloat16, load_base
    from finetune.training import Schedule, TrainingData, count_tokens, train

    torch.manual_seed(arguments.seed)
    bf16 = has_fast_bfloat16() if arguments.bf16.lower() == "auto" else arguments.bf16.lower() == "true"
    renderer = Renderer(BaseTokenizer(base.folder), turn_marks(base.folder))
    grown = {
        name: tuple(
            tree
            for lesson in material.part(name)
            for tree in trees(lesson, renderer, material.labels, arguments.max_length)
        )
        for name in ("train", "calibration", "test")
    }
    shared = [variants(lesson, arguments.evidence_every) for lesson in material.part("train")]
    rounds = tuple(
        tuple(tree for lesson in turned for tree in trees(lesson, renderer, material.labels, arguments.max_length))
        for turned in zip(*shared, strict=True)
    )
    if not grown["train"]:
        raise InputError("--dataset: expected labels or replies to learn from, found none that can be used.")
    n_labels = {name: len(labels) for name, labels in material.labels.sets.items()}
    say(f"{count_tokens(rounds[0]):,} tokens a pass, bfloat16 {'on' if bf16 else 'off'}")
    student = Student(_peft(load_base(base.folder, bf16=bf16), arguments), n_labels)
    validation = _sample(grown["calibration"], count_tokens(rounds[0]) // 5)
    data = TrainingData(tuple(renderer.system), rounds, validation, n_labels)
    partial = arguments.partial()
    partial.mkdir(parents=True, exist_ok=True)
    _remember(partial, arguments, files)
    schedule = Schedule(
        passes=arguments.num_train_epochs,
        max_steps=arguments.max_steps,
        max_minutes=arguments.max_minutes,
        learning_rate=arguments.learning_rate,
        label_learning_rate=arguments.label_learning_rate,
        weight_decay=arguments.weight_decay,
        warmup=arguments.warmup_ratio,
        pack_tokens=arguments.pack_tokens,
        accumulation=arguments.gradient_accumulation_steps,
        evaluations=arguments.evaluations,
        logging_steps=arguments.logging_steps,
        save_steps=arguments.save_steps,
        seed=arguments.seed,
        bf16=bf16,
        report_to=arguments.report_to,
        max_grad_norm=arguments.max_grad_norm,
    )
    history = train(student, data, schedule, partial / "work", say)
    rows, metrics = _witnesses(material, student, renderer, grown, encoder, arguments, bf16=bf16)
    for name, value in metrics.items():
        say(f"{name}: {json.dumps(value)}")
    adapter = _empty(partial / "adapter")
    _save(adapter, student, rows, base)
    _write_card(adapter / "README.md", base, material, metrics)
    _write_run(adapter, arguments, material, base, encoder, files, metrics, history)
    _plot_losses(adapter / "loss.png", history)
    if (partial / "logs").is_dir():
        shutil.copytree(partial / "logs", adapter / "logs")
    seal(adapter, {"kind": "adapter", "base": {"id": base.id, "sha256": base.sha256}})
    output = Path(arguments.output_dir)
    if output.is_dir():
        output.rmdir()
    publish(adapter, output)
    shutil.rmtree(partial)  # only now: until the adapter has its name, a killed run goes on from its checkpoints
    return metrics


def _empty(folder: Path) -> Path:
    """Make a folder anew, without what a run that was killed while saving left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _peft(model: Any, arguments: LoraArguments) -> Any:
    from peft import LoraConfig, get_peft_model

    names = arguments.lora_target_modules
    config = LoraConfig(
        r=arguments.lora_r,
        lora_alpha=arguments.lora_alpha,
        lora_dropout=arguments.lora_dropout,
        target_modules=names[0] if len(names) == 1 else list(names),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise InputError(f"--lora_target_modules {' '.join(names)}: {error}") from error


def _sample(trees: Sequence[Any], max_tokens: int) -> tuple[Any, ...]:
    """Return an even sample of trees up to a number of tokens: evaluating must stay cheap beside training."""
    total = sum(tree.n_tokens for tree in trees)
    every = max(1, -(-total // max(1, max_tokens)))
    return tuple(trees[::every])


def _remember(partial: Path, arguments: LoraArguments, files: Sequence[Path]) -> None:
    """Keep what a run was started with, and refuse to go on with anything else."""
    ignored = ("resume_from_checkpoint", "json", "config")
    facts = {k: v for k, v in asdict(arguments).items() if k not in ignored}
    facts["dataset_sha256"] = [sha256_of(file) for file in files]
    from finetune.training import write_whole

    kept = partial / "arguments.json"
    text = json.dumps(facts, sort_keys=True)
    if not kept.exists():
        write_whole(kept, text)
        return
    before = json.loads(kept.read_text(encoding="utf-8"))
    changed = [name for name, value in json.loads(text).items() if before.get(name) != value]
    if changed:
        raise InputError(
            f"--resume_from_checkpoint: the run in {partial} was started with another --{changed[0]} "
            f"({before.get(changed[0])}). Give the same flags and data."
        )


def _witnesses(
    material: Material,
    student: Any,
    renderer: Renderer,
    grown: dict[str, tuple[Any, ...]],
    encoder: Encoder,
    arguments: LoraArguments,
    *,
    bf16: bool,
) -> tuple[LabelRows, dict[str, Any]]:
    from finetune.fusion import fit_rows, measure
    from finetune.reading import read_trees
    from finetune.student import Reader

    reader = Reader(student, bf16=bf16)
    read = {
        name: read_trees(reader, renderer.system, grown[name], 2 * arguments.pack_tokens)
        for name in ("calibration", "test")
    }
    values = {name: parameter.detach().float().cpu().numpy() for name, parameter in student.rows.items()}
    rows = fit_rows(material, read["calibration"], values, encoder)
    return rows, measure(material, read["test"], rows, encoder)


def _save(folder: Path, student: Any, rows: LabelRows, base: Base) -> None:
    """Write the adapter as PEFT does, in bfloat16, naming the base by its id, and the label files."""
    import torch

    adapter = {
        name: value.to(torch.bfloat16) if value.is_floating_point() else value
        for name, value in student.model.state_dict().items()
    }
    student.model.peft_config["default"].base_model_name_or_path = base.id
    # Left to itself, PEFT would look the base up on the hub, to learn whether its vocabulary grew; it never does.
    student.model.save_pretrained(str(folder), state_dict=adapter, save_embedding_layers=False)
    rows.save(folder)


def _write_run(
    folder: Path,
    arguments: LoraArguments,
    material: Material,
    base: Base,
    encoder: Encoder,
    files: Sequence[Path],
    metrics: dict[str, Any],
    history: Sequence[dict[str, float]],
) -> None:
    from importlib.metadata import version

    paths = ("output_dir", "knowledge", "base", "config", "json", "resume_from_checkpoint")
    given = {name: value for name, value in asdict(arguments).items() if name not in paths}
    facts = {
        "arguments": {**given, "dataset": [file.name for file in files]},
        "seed": arguments.seed,
        "base": {"id": base.id, "sha256": base.sha256},
        "tokenizer_sha256": sha256_of(base.folder / "tokenizer.json"),
        "encoder": {"id": encoder.id, "sha256": encoder.sha256},
        "data": [{"file": file.name, "sha256": sha256_of(file)} for file in files],
        "parts": {name: list(getattr(material.split, name)) for name in ("train", "calibration", "test")},
        "replies": dict(material.replies),
        "redacted": dict(material.redacted),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "sentence-transformers")},
        "metrics": metrics,
        "history": list(history),
    }
    (folder / RUN_FILE).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write_card(path: Path, base: Base, material: Material, metrics: dict[str, Any]) -> None:
    """Write a short card in place of PEFT's empty form."""
    parts = {name: len(getattr(material.split, name)) for name in ("train", "calibration", "test")}
    lines = [
        "---",
        "library_name: peft",
        "tags: [lora, customer-service]",
        "---",
        "# A Frontdesk adapter",
        "",
        f"LoRA adapter with label rows for `{base.id}` (weights {base.sha256[:12]}), made by `python -m finetune.lora`.",
        "It serves with Frontdesk, which checks every file against `manifest.json`.",
        "",
        f"- conversations: {', '.join(f'{n:,} {name}' for name, n in parts.items())}",
        *(f"- labels, {name}: {len(labels)}" for name, labels in material.labels.sets.items()),
        *(f"- {name}, test part: {json.dumps(value)}" for name, value in metrics.items()),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _plot_losses(path: Path, history: Sequence[dict[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for key, label in (("loss", "training"), ("eval_loss", "evaluation")):
        points = [(row["step"], row[key]) for row in history if key in row]
        if points:
            axes.plot(*zip(*points, strict=True), marker="." if key == "eval_loss" else "", label=label)
    axes.set(xlabel="step", ylabel="loss (nats)", title="Training")
    if axes.has_data():
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


if __name__ == "__main__":
    run(main)
