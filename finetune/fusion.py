"""Both witnesses on labelled conversations: fitting the label rows on one part, measuring on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chatbot.labels import LabelRows, log_softmax
from finetune.data import human_action, reply_to
from finetune.kernel import fit_kernel
from finetune.reading import EVIDENCE_HEAD, ReadTrees
from finetune.scope import fit_novelty, fit_scope, keep_examples
from finetune.witness import fit_fusion, fit_linear, fit_pool, fit_temperature

if TYPE_CHECKING:
    from finetune.data import Labels, Lesson
    from finetune.kernel import KernelWitness
    from finetune.material import Material
    from finetune.witness import LinearWitness
    from knowledge_base.encoder import Encoder

Array = NDArray[Any]
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Messages with targets of one set: `targets` is (n, n_labels); rows that know no label are left out."""

    places: tuple[Place, ...]
    texts: tuple[str, ...]
    targets: Array


def labelled(lessons: Sequence[Lesson], labels: Labels, name: str) -> Labelled:
    """Collect the customers' messages that carry a known label of a set (`intent` or `next_step`)."""
    places, texts, rows = [], [], []
    for lesson in lessons:
        messages = lesson.transcript.messages
        for index, message in enumerate(messages):
            if message.role != "user":
                continue
            action = human_action(reply_to(messages, index))
            given = message.intents if name == "intent" else ((action,) if action else ())
            target = labels.target(name, given) if name in labels.sets else {}
            if target:
                row = np.zeros(len(labels.sets[name]))
                for label, weight in target.items():
                    row[label] = weight
                places.append((lesson.transcript.id, index))
                texts.append(message.content)
                rows.append(row)
    width = len(labels.sets.get(name, ()))
    return Labelled(tuple(places), tuple(texts), np.array(rows).reshape(len(rows), width))


def fit_rows(material: Material, read: ReadTrees, rows: Mapping[str, Array], encoder: Encoder, seed: int) -> LabelRows:
    """Fit the encoder witness on the training part, and temperatures, fusion, scope and novelty on the calibration part.

    Then the encoder witness is fitted once more, with what was chosen, on both parts: that one serves. The one before
    is kept for thresholds, which are fitted on the calibration part.
    """
    sets = dict(material.labels.sets)
    temperature = {name: _temperature(material, read, name) for name in sets}
    if "intent" not in sets:
        none = np.zeros(0, np.float32)
        return LabelRows(sets, _float32(rows), temperature, none, encoder.sha256, {}, {}, none)
    train = labelled(material.part("train"), material.labels, "intent")
    held = labelled(material.part("calibration"), material.labels, "intent")
    vectors, held_vectors = encoder.encode_queries(train.texts), encoder.encode_queries(held.texts)
    linear = fit_linear(vectors, train.targets, (held_vectors, held.targets))
    kernel, kernel_of_both = fit_kernel(vectors, train.targets, (held_vectors, held.targets), seed)
    both = np.concatenate([vectors, held_vectors]), np.concatenate([train.targets, held.targets])
    linear_of_both = fit_linear(*both, None, penalties=(linear.penalty,))
    pool, encoder_logprobs = _pooled(linear, kernel, held_vectors, held.targets)
    model = _matched(read.rows("intent"), held.places, len(sets["intent"]))
    model = log_softmax(model / temperature["intent"])
    fusion = fit_fusion(model, encoder_logprobs, held.targets)
    fused = log_softmax(fusion.weights["model"] * model + fusion.weights["encoder"] * encoder_logprobs + fusion.bias)
    kept = keep_examples(vectors, train.targets, sets["intent"], seed)
    return LabelRows(
        sets,
        _float32(
            {
                **rows,
                "encoder_intent": linear_of_both.rows,
                "encoder_examples": kept.vectors,
                "kernel_messages": kernel.messages,
                "kernel_weights": kernel_of_both.weights,
                "train_intent": linear.rows,
                "train_bias": linear.bias[:, None],
                "train_weights": kernel.weights,
            }
        ),
        temperature,
        np.asarray(linear_of_both.bias, np.float32),
        encoder.sha256,
        {"width": kernel.width, **pool},
        fusion.weights,
        np.asarray(fusion.bias, np.float32),
        fit_scope(fused, held_vectors, held.targets, sets["intent"], kept),
        fit_novelty(fused, held_vectors, held.targets, kept, (vectors, train.targets), seed),
    )


def _pooled(
    linear: LinearWitness, kernel: KernelWitness, vectors: Array, targets: Array
) -> tuple[dict[str, float], Array]:
    """Weigh the encoder's two regressions; returns their weights and the log-probabilities of both together."""
    logits = {"linear": linear.logits(vectors), "kernel": kernel.logits(vectors)}
    calm = {name: fit_temperature(values, targets) for name, values in logits.items()}
    first, second = (log_softmax(values / calm[name]) for name, values in logits.items())
    weights = fit_pool(first, second, targets)
    pool = {name: float(weight / calm[name]) for name, weight in zip(logits, weights, strict=True)}
    return pool, log_softmax(pool["linear"] * logits["linear"] + pool["kernel"] * logits["kernel"])


def measure(material: Material, read: ReadTrees, rows: LabelRows, encoder: Encoder) -> dict[str, Any]:
    """Return accuracies on the test part: intent by model, encoder and both; next step; n of each."""
    found: dict[str, Any] = {}
    if "intent" in rows.sets:
        held = labelled(material.part("test"), material.labels, "intent")
        if held.places:
            model = rows.model_intent(_matched(read.rows("intent"), held.places, len(rows.sets["intent"])))
            encoded = rows.encoder_intent(encoder.encode_queries(held.texts))
            found["intent"] = {
                "n": len(held.places),
                "both": _accuracy(rows.fused(model, encoded), held.targets),
                "model": _accuracy(model, held.targets),
                "encoder": _accuracy(encoded, held.targets),
            }
    if "next_step" in rows.sets:
        held = labelled(material.part("test"), material.labels, "next_step")
        if held.places:
            steps = _matched(read.rows("next_step"), held.places, len(rows.sets["next_step"]))
            most_frequent = float(held.targets.mean(axis=0).max())
            accuracy = _accuracy(steps, held.targets)
            found["next_step"] = {"n": len(held.places), "accuracy": accuracy, "most_frequent": most_frequent}
    if len(read.words):
        found["reply"] = {"words": len(read.words), "perplexity": float(np.exp(-read.words.mean()))}
    return found


def _temperature(material: Material, read: ReadTrees, name: str) -> float:
    if name == "support":
        pairs = list(read.rows("support", EVIDENCE_HEAD).items())
        truth = _support_truth(material)
        kept = [(row, truth[place]) for place, row in pairs if place in truth]
        if not kept:
            return 1.0
        targets = np.eye(3)[[label for _, label in kept]]
        return fit_temperature(np.array([row for row, _ in kept]), targets)
    held = labelled(material.part("calibration"), material.labels, name)
    if not held.places:
        return 1.0
    return fit_temperature(_matched(read.rows(name), held.places, len(material.labels.sets[name])), held.targets)


def _support_truth(material: Material) -> dict[Place, int]:
    """Return the support label of turns with just one evidence; with several the place would be ambiguous."""
    index = material.labels.index["support"]
    return {
        (lesson.transcript.id, turn.message): index[turn.evidence[0].support]
        for lesson in material.part("calibration")
        for turn in lesson.turns
        if len(turn.evidence) == 1
    }


def _matched(read: Mapping[Place, Array], places: Sequence[Place], width: int) -> Array:
    """Return (n, width) log-probabilities in the order of places."""
    return np.array([read[place] for place in places], np.float64).reshape(len(places), width)


def _accuracy(logits: Array, targets: Array) -> float:
    """Return the share of rows whose likeliest label is among the true ones."""
    return float((targets[np.arange(len(targets)), logits.argmax(axis=-1)] > 0).mean()) if len(targets) else 0.0


def _float32(rows: Mapping[str, Array]) -> dict[str, NDArray[np.float32]]:
    return {name: np.asarray(values, np.float32) for name, values in rows.items()}
