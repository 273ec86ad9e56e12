"""Measure an adapter on labelled transcripts: `python -m finetune.evaluate --adapter DIR --dataset FILE... --json FILE`.

Both witnesses are measured apart and together: the model's label rows, the encoder with logistic regression,
and the two fused with the weights that were fitted on the calibration part.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chatbot.examples import Examples
from chatbot.labels import OUT_OF_SCOPE
from finetune.adapter_folder import of_part, read_run
from finetune.inputs import load_knowledge, read_chats
from finetune.redaction import kept_id
from knowledge_base.command import EXIT_DONE, EXIT_PARTLY_REFUSED, Parser, progress, run, say, write_json, write_lines
from knowledge_base.encoder import DEFAULT_ENCODER
from knowledge_base.errors import InputError

if TYPE_CHECKING:
    from chatbot.labels import LabelRows
    from chatbot.model import Adapter
    from finetune.records import Transcript
    from finetune.tree import Tree
    from knowledge_base.encoder import Encoder
    from knowledge_base.search import KnowledgeBase

Array = NDArray[Any]
BINS = 10


@dataclass(frozen=True, slots=True)
class Message:
    """A labelled message: where it stands and what it is labelled with; unknown labels count as out of scope."""

    transcript: Transcript
    index: int
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Readings:
    """What both witnesses say of n messages: (n, n_labels) log-probabilities, and (n,) out-of-scope scores.

    `both` has `names` as its columns: intents known by examples only stand behind those of the adapter.
    """

    names: tuple[str, ...]
    model: Array
    encoder: Array
    both: Array
    scope: Array | None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module."""
    given = _parser().parse_args(argv)
    began = time.monotonic()
    reading = read_chats(given.dataset)
    if given.examples and not Path(given.examples).is_dir():
        raise InputError(
            f"--examples {given.examples}: expected a folder of JSON Lines files, found none. Check the path."
        )
    transcripts, refusals = reading.transcripts, reading.refusals
    from chatbot.labels import LabelRows
    from chatbot.model import Adapter

    adapter = Adapter.open(Path(given.adapter))
    if given.part == "test":
        transcripts = of_part(transcripts, read_run(adapter.folder), given.part)
        if not transcripts:
            raise InputError(
                f"--part test: expected conversations that {given.adapter} kept for measuring, got none of them in "
                f"{given.dataset[0]}. Give the files that it was trained from."
            )
    rows = LabelRows.load(adapter.folder)
    encoder, knowledge = load_knowledge(given.knowledge, given.encoder, adapter)
    report, predictions, pictures = measure(adapter, rows, encoder, knowledge, transcripts, given)
    report["seconds"] = round(time.monotonic() - began, 2)
    if given.predictions:
        write_lines("--predictions", given.predictions, predictions)
    if given.plots and pictures:
        from finetune.pictures import draw

        for path in draw(Path(given.plots), *pictures):
            say(f"picture: {path}")
    write_json(given.json, report)
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def measure(
    adapter: Adapter,
    rows: LabelRows,
    encoder: Encoder,
    knowledge: KnowledgeBase | None,
    transcripts: Sequence[Transcript],
    given: Any,
) -> tuple[dict[str, Any], list[dict[str, Any]], tuple[Any, ...]]:
    """Return the report, the predictions and what the pictures show; a part without data is absent."""
    from chatbot.engines.bases import find_base, require_weights
    from chatbot.engines.tokenizer import BaseTokenizer, turn_marks
    from chatbot.prompt import Renderer
    from finetune.data import Labels, lessons, trees
    from finetune.reading import PACK_TOKENS, read_trees
    from finetune.student import Reader, Student, has_fast_bfloat16, load_base

    base = find_base(adapter.base_id, given.base)
    require_weights(base, adapter.base_sha256)
    renderer = Renderer(BaseTokenizer(base.folder), turn_marks(base.folder))
    labels = Labels(dict(rows.sets))
    taught, _ = lessons(transcripts, knowledge)
    grown: list[Tree] = [t for lesson in taught for t in trees(lesson, renderer, labels, 1024)]
    bf16 = has_fast_bfloat16()
    student = Student.of_adapter(load_base(base.folder, bf16=bf16), adapter.folder, rows)
    with progress("reading", len(grown)) as advance:
        read = read_trees(Reader(student, bf16=bf16), renderer.system, grown, PACK_TOKENS, advance)
    parts = read_run(adapter.folder)["parts"]
    seen = {*parts["train"], *parts["calibration"]}  # the encoder's witness has learnt from both
    report: dict[str, Any] = {}
    predictions: list[dict[str, Any]] = []
    pictures: tuple[Any, ...] = ()
    added: dict[str, Array] = dict(Examples(Path(given.examples), encoder).vectors()) if given.examples else {}
    messages = _labelled(transcripts, rows, "intent", added)
    if messages and "intent" in rows.sets:
        readings = _both(rows, read.rows("intent"), encoder, messages, added)
        report["intent"], scope = _intent_report(messages, readings, rows, seen)
        report |= {"out_of_scope": scope} if scope else {}
        predictions = _predictions(messages, readings)
        pictures = (readings.names, [min(m.labels) for m in messages], readings.both)
    steps = _labelled(transcripts, rows, "next_step")
    if steps and "next_step" in rows.sets:
        report["next_step"] = _step_report(steps, read.rows("next_step"), rows)
    if len(read.words):
        from finetune.replies import reply_report

        report["reply"] = reply_report(student, adapter, base, renderer, taught, grown, given.replies, bf16=bf16)
    return report, predictions, pictures


def _labelled(
    transcripts: Sequence[Transcript], rows: LabelRows, name: str, added: Iterable[str] = ()
) -> list[Message]:
    from finetune.data import human_action, reply_to

    found = []
    for transcript in transcripts:
        for index, message in enumerate(transcript.messages):
            if message.role != "user":
                continue
            action = human_action(reply_to(transcript.messages, index))
            given = message.intents if name == "intent" else ((action,) if action else ())
            if given:
                trained = {*rows.sets.get(name, ()), *added}
                # An unknown step is no refusal: it keeps its name, and no answer is right.
                known = (label if label in trained or name != "intent" else OUT_OF_SCOPE for label in given)
                found.append(Message(transcript, index, frozenset(known)))
    return found


def _both(
    rows: LabelRows, read: Any, encoder: Encoder, messages: Sequence[Message], added: Mapping[str, Array]
) -> Readings:
    raw = np.array([read[(m.transcript.id, m.index)] for m in messages], np.float64)
    model = rows.model_intent(raw)
    vectors = encoder.encode_queries([m.transcript.messages[m.index].content for m in messages])
    encoded = rows.encoder_intent(vectors)
    fused = rows.fused(model, encoded)
    scope = rows.out_of_scope(fused, vectors)
    names, both = rows.with_new(fused, vectors, added)
    if scope is not None:
        scope = scope * (1 - np.exp(both[:, fused.shape[1] :]).sum(axis=-1))
    return Readings(names, model, encoded, both, scope)


def _intent_report(
    messages: Sequence[Message], readings: Readings, rows: LabelRows, seen: set[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    names = rows.sets["intent"]
    inside = np.array([m.labels != {OUT_OF_SCOPE} for m in messages])
    witnesses = {
        name: _judged(labels, messages, logprobs, inside)
        for name, labels, logprobs in (
            ("both", readings.names, readings.both),
            ("model", names, readings.model),
            ("encoder", names, readings.encoder),
        )
    }
    report = {
        "n": len(messages),
        "n_seen_in_training": sum(kept_id(m.transcript.id) in seen for m in messages),
        **witnesses["both"],
        "model": witnesses["model"],
        "encoder": witnesses["encoder"],
        "gain_over_encoder": paired_gain(
            _right(readings.names, messages, readings.both), _right(names, messages, readings.encoder)
        ),
    }
    scope: dict[str, Any] = {}
    if readings.scope is not None and 0 < inside.sum() < len(inside):
        from knowledge_base.evaluate import auroc

        outside = [float(p) for p in readings.scope[~inside]]
        scope = {"n": len(outside), "auroc": auroc(outside, [float(p) for p in readings.scope[inside]])}
    return report, scope


def _judged(names: Sequence[str], messages: Sequence[Message], logprobs: Array, inside: Array) -> dict[str, float]:
    """Return accuracy (the likeliest label is one of the true ones), macro-F1 and calibration error."""
    from sklearn.metrics import f1_score

    predicted = [names[i] for i in logprobs.argmax(axis=-1)]
    right = _right(names, messages, logprobs)
    # With several true labels, the one that was predicted stands for the message, else the first.
    truth = [p if p in m.labels else min(m.labels) for p, m in zip(predicted, messages, strict=True)]
    return {
        "accuracy": float(right.mean()),
        "macro_f1": float(f1_score(truth, predicted, average="macro", labels=sorted(set(truth)), zero_division=0)),
        "ece": calibration_error(np.exp(logprobs.max(axis=-1)), right),
        "in_scope_accuracy": float(right[inside].mean()) if inside.any() else 0.0,
    }


def _right(names: Sequence[str], messages: Sequence[Message], logprobs: Array) -> NDArray[np.bool_]:
    return np.array([names[i] in m.labels for i, m in zip(logprobs.argmax(axis=-1), messages, strict=True)])


def paired_gain(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> dict[str, Any]:
    """Return by how much accuracy differs on the same messages, with its 95 % interval.

    Source: the Wald interval for a difference of paired proportions, with half a message added to each cell of the
    table (Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions").
    """
    n = len(ours) + 2
    only_ours, only_theirs = (ours & ~theirs).sum() + 0.5, (theirs & ~ours).sum() + 0.5
    middle = (only_ours - only_theirs) / n
    half = 1.959964 * np.sqrt((only_ours + only_theirs) / n - middle**2) / np.sqrt(n)
    return {"difference": float(ours.mean() - theirs.mean()), "interval": [float(middle - half), float(middle + half)]}


def calibration_error(confidence: Array, right: Array) -> float:
    """Return the expected calibration error over ten equal bins.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning".
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    total = 0.0
    for b in range(BINS):
        inside = bins == b
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return float(total)


def _step_report(messages: Sequence[Message], read: Any, rows: LabelRows) -> dict[str, Any]:
    from sklearn.metrics import f1_score

    names = rows.sets["next_step"]
    logprobs = np.array([read[(m.transcript.id, m.index)] for m in messages])
    predicted = [names[i] for i in logprobs.argmax(axis=-1)]
    truth = [min(m.labels) for m in messages]
    right = np.array([p == t for p, t in zip(predicted, truth, strict=True)])
    score = f1_score(truth, predicted, average="macro", labels=sorted(set(truth)), zero_division=0)
    return {"n": len(messages), "accuracy": float(right.mean()), "macro_f1": float(score)}


def _predictions(messages: Sequence[Message], readings: Readings) -> list[dict[str, Any]]:
    names = readings.names
    apart = {name: of.argmax(axis=-1) for name, of in (("model", readings.model), ("encoder", readings.encoder))}
    lines = []
    for place, message in enumerate(messages):
        probabilities = np.exp(readings.both[place])
        order = np.argsort(-probabilities)[:5]
        labels = sorted(message.transcript.messages[message.index].intents)
        lines.append(
            {
                "id": message.transcript.id,
                "message": message.transcript.position(message.index),
                "intent": labels[0] if len(labels) == 1 else labels,
                "predicted": names[order[0]],
                "probability": float(probabilities[order[0]]),
                "out_of_scope": None if readings.scope is None else float(readings.scope[place]),
                "top": [[names[i], float(probabilities[i])] for i in order],
                **{witness: names[likeliest[place]] for witness, likeliest in apart.items()},
            }
        )
    return lines


def _parser() -> Parser:
    parser = Parser(prog="python -m finetune.evaluate", description="Measure an adapter on labelled transcripts.")
    parser.add_argument("--adapter", required=True, help="an adapter folder")
    parser.add_argument(
        "--dataset", nargs="+", required=True, help="labelled chats in any form that finetune.lora reads"
    )
    parser.add_argument(
        "--part",
        choices=("all", "test"),
        default="all",
        help="test: only those conversations that the training kept for measuring",
    )
    parser.add_argument("--knowledge", default="", help="a knowledge home, for replies that rest on entries")
    parser.add_argument("--json", required=True, help="the report; - is standard output")
    parser.add_argument("--predictions", default="", help="one line a labelled message (JSON Lines)")
    parser.add_argument("--plots", default="", help="a folder for the confusion matrix and the reliability diagram")
    parser.add_argument(
        "--examples", default="", help="a folder of labelled messages that were added since the training"
    )
    parser.add_argument("--replies", type=int, default=20, help="how many replies are written to be measured")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="the sentence encoder")
    parser.add_argument("--base", default="", help="another place of the base model's weights")
    return parser


if __name__ == "__main__":
    run(main)
