"""Fine-tune the base with LoRA on transcripts: `python -m finetune.lora --dataset FILE... --output_dir DIR`.

Everything is read and checked before work begins; the adapter is built in `DIR.partial` and gets its name
when it is complete. One adapter learns the labels (intent, next step, support) and the reply together.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import signal
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune import adapter_folder, processes, unfinished
from finetune.arguments import LoraArguments, parse
from finetune.inputs import load_knowledge, require_chats
from finetune.material import prepare
from finetune.output_folder import named
from finetune.split import PARTS
from finetune.transcripts import UNRECOGNISED, Reading, read_files
from knowledge_base.command import (
    EXIT_DONE,
    EXIT_PARTLY_REFUSED,
    run,
    say,
    write_json,
)
from knowledge_base.errors import InputError
from knowledge_base.manifest import publish, seal

if TYPE_CHECKING:
    from chatbot.engines.bases import Base
    from chatbot.labels import LabelRows
    from chatbot.prompt import Renderer
    from finetune.data import Labels, Lesson
    from finetune.material import Material
    from finetune.plan import Schedule
    from finetune.tree import Tree
    from knowledge_base.encoder import Encoder
    from knowledge_base.search import KnowledgeBase

# How often each evidence is made ready, with other facts altered each time; longer runs take them in turn again.
MOST_SHOWINGS = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module. SIGTERM is taken as Ctrl-C is."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _main(parse(argv))
    finally:
        signal.signal(signal.SIGTERM, before)


def _main(arguments: LoraArguments) -> int:
    tell = say if processes.rank() == 0 else lambda _text: None
    began = time.monotonic()
    files = [Path(name) for name in arguments.dataset]
    if arguments.dry_run:
        return _dry_run(arguments, files, tell)
    unfinished.check_output(arguments)
    reading = _read(arguments, files, tell)
    transcripts, refusals = reading.transcripts, reading.refusals
    files = [file for file in files if reading.formats[str(file)] != UNRECOGNISED]  # what cannot be read has no hash
    base = _base(arguments, tell)
    encoder, knowledge = _knowledge(arguments, tell)
    material = prepare(arguments, transcripts, knowledge, tell)
    try:
        metrics = train_adapter(arguments, material, base, encoder, files, tell)
    except KeyboardInterrupt:
        if processes.rank():
            return EXIT_DONE  # anything else, and torchrun would end the first process before it has spoken
        raise KeyboardInterrupt(unfinished.how_to_go_on(arguments)) from None
    report = {
        "output_dir": arguments.output_dir,
        "conversations": len(transcripts),
        "refused": [refusal.to_json() for refusal in refusals],
        "replies": dict(material.replies),
        "redacted": dict(material.redacted),
        "metrics": metrics,
        "seconds": round(time.monotonic() - began, 1),
    }
    if arguments.json:
        write_json(arguments.json, report)
    tell(f"the adapter is in {arguments.output_dir} ({(time.monotonic() - began) / 60:.1f} minutes)")
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def _dry_run(arguments: LoraArguments, files: Sequence[Path], say: Any) -> int:
    """Say what a run would learn from. Nothing is made but the report that `--json` asks for."""
    from finetune.preview import preview

    reading = _read(arguments, files, say)
    knowledge = _knowledge(arguments, say)[1] if arguments.knowledge else None
    found = preview(reading, knowledge, arguments)
    for file in found:
        for line in file.lines():
            say(line)
    if arguments.json:
        write_json(
            arguments.json,
            {"files": [asdict(file) for file in found], "refused": [refusal.to_json() for refusal in reading.refusals]},
        )
    return EXIT_PARTLY_REFUSED if reading.refusals else EXIT_DONE


def _read(arguments: LoraArguments, files: Sequence[Path], say: Any) -> Reading:
    """Read and check all files and say what was found."""
    from finetune.survey import survey

    reading = read_files(files)
    transcripts, refusals = reading.transcripts, reading.refusals
    for line in survey(transcripts, refusals, reading.warnings).lines():
        say(line)
    require_chats(reading, arguments.dataset, strict=arguments.strict)
    return reading


def _base(arguments: LoraArguments, say: Any) -> Base:
    """Find and check the base before any work; a missing one ends the run here."""
    from chatbot.engines.bases import find_base

    base = find_base(arguments.model_name_or_path, arguments.base)
    say(f"base {base.id} ({base.sha256[:12]})")
    return base


def _knowledge(arguments: LoraArguments, say: Any) -> tuple[Encoder, KnowledgeBase | None]:
    encoder, knowledge = load_knowledge(arguments.knowledge, arguments.encoder)
    if knowledge:
        say(f"knowledge {knowledge.snapshot_id}: {len(knowledge.entries):,} entries")
    return encoder, knowledge


def train_adapter(
    arguments: LoraArguments, material: Material, base: Base, encoder: Encoder, files: Sequence[Path], say: Any
) -> dict[str, Any]:
    """Train, fit the second witness, measure on the test part and publish the adapter; returns the metrics."""
    import torch

    from chatbot.engines.tokenizer import BaseTokenizer, turn_marks
    from chatbot.model import PRECEDENTS_FILE
    from chatbot.prompt import Renderer
    from finetune.card import write_card
    from finetune.passes import summary, variants
    from finetune.plan import TrainingData, count_tokens
    from finetune.precedents import find_precedents
    from finetune.student import Student, has_fast_bfloat16, load_base
    from finetune.training import train

    processes.join()
    torch.manual_seed(arguments.seed)
    bf16 = has_fast_bfloat16() if arguments.bf16.lower() == "auto" else arguments.bf16.lower() == "true"
    renderer = Renderer(BaseTokenizer(base.folder), turn_marks(base.folder))
    grow = partial(_grown, renderer=renderer, labels=material.labels, max_length=arguments.max_length)
    grown = {name: grow(material.part(name)) for name in PARTS}
    showings = min(MOST_SHOWINGS, math.ceil(arguments.num_train_epochs / arguments.evidence_every))
    shared = [variants(each, arguments.evidence_every, showings, arguments.seed) for each in material.part("train")]
    say(f"in all passes: {summary(lesson for variant in shared for lesson in variant)}")
    rounds = tuple(grow(turned) for turned in zip(*shared, strict=True))
    if not grown["train"]:
        raise InputError(
            "--dataset: expected labels or replies to learn from, found none that can be used. Label messages, or see with --dry_run why."
        )
    n_labels = {name: len(labels) for name, labels in material.labels.sets.items()}
    say(f"{count_tokens(rounds[0]):,} tokens a pass, bfloat16 {'on' if bf16 else 'off'}")
    student = Student(_peft(load_base(base.folder, bf16=bf16), arguments), n_labels, arguments.label_smoothing_factor)
    validation = _sample(grown["calibration"], count_tokens(rounds[0]) // 5)
    data = TrainingData(tuple(renderer.system), rounds, validation, n_labels)
    taught = repr((material.labels.sets, material.part("train"))).encode()
    models = {"base": base.sha256, "encoder": encoder.sha256, "lessons": hashlib.sha256(taught).hexdigest()}
    if len(set(map(str, processes.everyone(models)))) > 1:
        raise InputError("the processes read different data, knowledge or models. Give all of them the same.")
    unfinished.remember(arguments, files, models)
    unfinished_folder = arguments.partial()
    history = train(student, data, _schedule(arguments, bf16=bf16), unfinished_folder / "work", say)
    processes.leave()
    rows, metrics = _witnesses(material, student, renderer, grown, encoder, arguments, bf16=bf16)
    for name, value in metrics.items():
        say(f"{name}: {json.dumps(value)}")
    adapter = _empty(unfinished_folder / "adapter")
    adapter_folder.save_weights(adapter, student, rows, base)
    precedents = find_precedents(material.part("train"), encoder, arguments.seed)
    if precedents:
        say(f"search learns from {len(precedents.answers):,} messages that entries answered")
        precedents.save(adapter / PRECEDENTS_FILE)
    write_card(adapter / "README.md", arguments, material, base, files, metrics, history)
    adapter_folder.write_run(adapter, arguments, material, base, encoder, files, metrics, history)
    adapter_folder.plot_losses(adapter / "loss.png", history)
    adapter_folder.copy_logs(unfinished_folder / "logs", adapter)
    seal(adapter, {"kind": "adapter", "base": {"id": base.id, "sha256": base.sha256}})
    _publish(adapter, named(arguments.output_dir))
    # Only now: until the adapter has its name, a killed run goes on from its checkpoints.
    shutil.rmtree(unfinished_folder)
    return metrics


def _grown(lessons: Sequence[Lesson], renderer: Renderer, labels: Labels, max_length: int) -> tuple[Tree, ...]:
    from finetune.data import trees

    return tuple(tree for lesson in lessons for tree in trees(lesson, renderer, labels, max_length))


def _schedule(arguments: LoraArguments, *, bf16: bool) -> Schedule:
    from finetune.plan import Schedule

    return Schedule(
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
        word_dropout=arguments.word_dropout,
        max_grad_norm=arguments.max_grad_norm,
    )


def _publish(adapter: Path, output: Path) -> None:
    """Give the adapter its name; an empty folder of that name gives way."""
    if output.is_dir():
        output.rmdir()
    publish(adapter, output)


def _empty(folder: Path) -> Path:
    """Make a folder anew, without what a run that was killed while saving left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _peft(model: Any, arguments: LoraArguments) -> Any:
    from peft import LoraConfig, get_peft_model

    names = arguments.lora_target_modules
    # A single name is a module's, as several are; PEFT would take it for a pattern of whole paths.
    pattern = len(names) == 1 and not names[0].replace(".", "").isidentifier()
    config = LoraConfig(
        r=arguments.lora_r,
        lora_alpha=arguments.lora_alpha,
        lora_dropout=arguments.lora_dropout,
        target_modules=names[0] if pattern else list(names),
        use_rslora=arguments.use_rslora,
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")  # refused below
            adapted = get_peft_model(model, config)
    except ValueError as error:
        raise InputError(f"--lora_target_modules {' '.join(names)}: {error} Choose other modules.") from error
    if any(hasattr(one, "lora_A") for one in (model.get_input_embeddings(), model.get_output_embeddings())):
        raise InputError(
            f"--lora_target_modules {' '.join(names)}: expected modules between the embeddings and the output matrix, "
            "got one of these. Leave it out."
        )
    return adapted


def _sample(trees: Sequence[Any], max_tokens: int) -> tuple[Any, ...]:
    """Return an even sample of trees up to a number of tokens: evaluating must stay cheap beside training."""
    total = sum(tree.n_tokens for tree in trees)
    every = max(1, -(-total // max(1, max_tokens)))
    return tuple(trees[::every])


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
    rows = fit_rows(material, read["calibration"], values, encoder, arguments.seed)
    return rows, measure(material, read["test"], rows, encoder)


if __name__ == "__main__":
    run(main)
