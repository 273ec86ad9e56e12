"""The files of an adapter's folder: weights, label rows, the record of the run and the curve of the losses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.redaction import kept_id
from finetune.split import PARTS
from knowledge_base.manifest import sha256_of

if TYPE_CHECKING:
    from chatbot.engines.bases import Base
    from chatbot.labels import LabelRows
    from finetune.arguments import LoraArguments
    from finetune.material import Material
    from finetune.records import Transcript
    from knowledge_base.encoder import Encoder

RUN_FILE = "run.json"


def read_run(folder: Path) -> dict[str, Any]:
    """Return the record of an adapter's training, as `write_run` wrote it."""
    run: dict[str, Any] = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    return run


def of_part(transcripts: Sequence[Transcript], run: Mapping[str, Any], part: str) -> list[Transcript]:
    """Return the conversations of a part of the training: train, calibration or test."""
    wanted = set(run["parts"][part])
    return [transcript for transcript in transcripts if kept_id(transcript.id) in wanted]


def save_weights(folder: Path, student: Any, rows: LabelRows, base: Base) -> None:
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


def write_run(
    folder: Path,
    arguments: LoraArguments,
    material: Material,
    base: Base,
    encoder: Encoder,
    files: Sequence[Path],
    metrics: dict[str, Any],
    history: Sequence[dict[str, float]],
) -> None:
    """Write `run.json`: what was run on what, by which versions, and what came out; no customers' words, no paths."""
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
        "parts": {name: [kept_id(one) for one in getattr(material.split, name)] for name in PARTS},
        "questions_of_the_knowledge": len(material.questions),
        "replies": dict(material.replies),
        "redacted": dict(material.redacted),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "sentence-transformers")},
        "metrics": metrics,
        "history": list(history),
    }
    (folder / RUN_FILE).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def plot_losses(path: Path, history: Sequence[dict[str, float]]) -> None:
    """Draw the losses of training and evaluation over the steps."""
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


def copy_logs(logs: Path, folder: Path) -> None:
    """Copy TensorBoard's event files, whose names hold the machine's name, under names that don't."""
    for number, file in enumerate(sorted(path for path in logs.rglob("*tfevents*") if path.is_file())):
        (folder / "logs").mkdir(exist_ok=True)
        shutil.copyfile(file, folder / "logs" / f"events.out.tfevents.{number}")
