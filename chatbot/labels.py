"""Label rows: what the adapter reads off a hidden state, and how the two witnesses of the intent are weighed.

Every label is one row; a set's log-probabilities come from one forward pass. The encoder that searches the
knowledge is the second witness of the intent. Temperatures, fusion weights and the out-of-scope score were
fitted on held-out chats and are kept beside the rows, never in code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.errors import AdapterError
from chatbot.types import Understanding

Array = NDArray[np.float32]
OUT_OF_SCOPE = "out_of_scope"
NEAREST = 5  # examples that a message is compared with
SHARE_FLOOR = 0.02  # the least share of an intent that counts, see `kernel_logits`
ROWS_FILE, LABELS_FILE = "labels.safetensors", "labels.json"


def log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Return log-probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def nearness(vectors: NDArray[Any], examples: NDArray[Any], hidden: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Return the (n, 2) cosines of (n, dim) unit vectors with the nearest example, and the mean with the nearest five.

    `examples` is (n_examples, dim). Where `hidden`, (n, n_examples), is set, an example is as if it did not exist.
    """
    if not len(examples):
        return np.zeros((len(vectors), 2))
    cosines = vectors @ examples.T
    if hidden is not None:
        cosines = np.where(hidden, -1.0, cosines)
    nearest = -np.sort(-cosines, axis=-1)[:, :NEAREST]
    return np.stack([nearest[:, 0], nearest.mean(axis=-1)], axis=-1)


def kernel(vectors: NDArray[Any], examples: NDArray[Any], width: float) -> NDArray[Any]:
    """Return the (n, n_examples) Gaussian kernel exp(-width * squared distance) of unit vectors."""
    return np.asarray(np.exp(2 * width * (np.minimum(vectors @ examples.T, 1.0) - 1.0)))


def kernel_logits(shares: NDArray[Any]) -> NDArray[Any]:
    """Return logits for (..., n_intents) shares that a least-squares fit gives each intent, about 0 to 1.

    Their logarithm, since the fit foresees probabilities; what is under the floor keeps its order only.
    """
    return np.asarray(np.log(np.maximum(shares, SHARE_FLOOR)) + SHARE_FLOOR * shares)


def log_odds(logprobs: NDArray[Any]) -> NDArray[Any]:
    """Return the log-odds of probabilities given as logarithms, at most 13.8 (one in a million) either way."""
    probability = np.exp(logprobs).clip(1e-6, 1 - 1e-6)
    return np.asarray(np.log(probability / (1 - probability)))


def scope_features(fused: NDArray[Any], near: NDArray[Any], out_of_scope: int | None) -> NDArray[Any]:
    """Return the (n, 4) features of the out-of-scope score.

    `fused` is (n, n_labels) log-probabilities, `near` the `nearness` to the examples of labels in scope. The features:
    log-odds of the likeliest label, both cosines, log-odds of the label `out_of_scope` (0 where there is none).
    """
    best = log_odds(fused.max(axis=-1))
    named = np.zeros(len(fused)) if out_of_scope is None else log_odds(fused[:, out_of_scope])
    return np.column_stack([best, near, named])


def novelty_features(fused: NDArray[Any], near: NDArray[Any], near_new: NDArray[Any]) -> NDArray[Any]:
    """Return the (n, 5) features of the odds that an intent known by examples is meant, not a trained one.

    `near` and `near_new` are the `nearness` to the examples of the trained intents and to those of the new one. The
    features: log-odds of the likeliest trained label, both cosines to the trained, both to the new.
    """
    return np.column_stack([log_odds(fused.max(axis=-1)), near, near_new])


@dataclass(frozen=True, slots=True)
class LabelRows:
    """The rows and fitted numbers of one adapter.

    `rows[set]` is (n_labels, hidden size) float32. The encoder's witness is `encoder_intent` (n_intents, encoder
    dimension) with `encoder_bias`, and a kernel regression: `kernel_messages` (n_messages, encoder dimension) unit vectors
    with `kernel_weights` (n_messages, n_intents). `train_intent`, `train_bias` (n_intents, 1) and `train_weights` are the
    same fitted without the chats that the thresholds are fitted on, see `before_calibration`. `encoder_examples` holds unit
    vectors of what was asked in scope, (n_examples, encoder dimension). `sets[set]` names the labels in row order.
    `temperature[set]` divides the model's log-probabilities. `encoder_pool` holds the kernel's width and the weights of
    `linear` and `kernel` logits.
    `fusion` holds the weights of `model` and `encoder`, `fusion_bias` (n_intents,) what is added to each intent; `scope`
    the weights of `scope_features` and `novelty` those of `novelty_features`, bias last.
    """

    sets: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, Array]
    temperature: Mapping[str, float]
    encoder_bias: Array
    encoder_sha256: str
    encoder_pool: Mapping[str, float]
    fusion: Mapping[str, float]
    fusion_bias: Array
    scope: tuple[float, ...] = ()
    novelty: tuple[float, ...] = ()

    def before_calibration(self) -> LabelRows:
        """Return the labels as they were before the encoder's witness learnt from the calibration part too.

        What is fitted on that part must not have learnt from it. Without intents nothing differs.
        """
        if "train_intent" not in self.rows:
            return self
        rows = {**self.rows, "encoder_intent": self.rows["train_intent"], "kernel_weights": self.rows["train_weights"]}
        return replace(self, rows=rows, encoder_bias=self.rows["train_bias"][:, 0])

    def model_intent(self, logprobs: NDArray[Any]) -> NDArray[Any]:
        """Return the model's calibrated log-probabilities from its (..., n_intents) raw ones."""
        return log_softmax(logprobs / self.temperature.get("intent", 1.0))

    def encoder_intent(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Return the encoder's calibrated log-probabilities, (..., n_intents) for (..., dim) unit vectors."""
        linear = vectors @ self.rows["encoder_intent"].T + self.encoder_bias
        shares = kernel(vectors, self.rows["kernel_messages"], self.encoder_pool["width"]) @ self.rows["kernel_weights"]
        return log_softmax(self.encoder_pool["linear"] * linear + self.encoder_pool["kernel"] * kernel_logits(shares))

    def fused(self, model: NDArray[Any], encoder: NDArray[Any]) -> NDArray[Any]:
        """Return the log-probabilities of both witnesses together (a logarithmic opinion pool)."""
        return log_softmax(self.fusion["model"] * model + self.fusion["encoder"] * encoder + self.fusion_bias)

    def out_of_scope(self, fused: NDArray[Any], vectors: NDArray[Any]) -> NDArray[Any] | None:
        """Return the (n,) fitted probabilities that no known intent is meant; None where nothing was fitted.

        `fused` is (n, n_intents) log-probabilities, `vectors` (n, dim) the messages' embeddings.
        """
        if not self.scope:
            return None
        labels = self.sets["intent"]
        place = labels.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in labels else None
        near = nearness(vectors, self.rows["encoder_examples"])
        score = scope_features(fused, near, place) @ np.asarray(self.scope[:-1]) + self.scope[-1]
        return np.asarray(1 / (1 + np.exp(-np.clip(score, -50, 50))))

    def with_new(
        self, fused: NDArray[Any], vectors: NDArray[Any], examples: Mapping[str, Array]
    ) -> tuple[tuple[str, ...], NDArray[Any]]:
        """Return the intents, new ones last, and the (n, all intents) log-probabilities with the new ones among them.

        `examples` holds (n_examples, dim) unit vectors an intent; one that was trained too gains by its examples.
        """
        names = self.sets["intent"]
        if not self.novelty or not examples:
            return names, fused
        near = nearness(vectors, self.rows["encoder_examples"])
        every = (*names, *(name for name in sorted(examples) if name not in names))
        odds = np.zeros((len(fused), len(every)))
        odds[:, : len(names)] = np.exp(fused)
        for name, known in examples.items():
            features = novelty_features(fused, near, nearness(vectors, known))
            odds[:, every.index(name)] += np.exp(features @ np.asarray(self.novelty[:-1]) + self.novelty[-1])
        return every, np.log(odds.clip(1e-30) / odds.sum(axis=-1, keepdims=True))

    def understand(
        self, read: Mapping[str, Array], vector: Array, examples: Mapping[str, Array] | None = None
    ) -> Understanding:
        """Return what a message means from the sets read at it and its (dim,) embedding.

        `examples` are those of new intents, see `with_new`.
        """
        steps = {}
        if "next_step" in read:
            steps = self._named("next_step", log_softmax(read["next_step"] / self.temperature["next_step"]))
        if "intent" not in read:
            return Understanding(next_step=steps)
        model = self.model_intent(read["intent"])
        encoder = self.encoder_intent(vector)
        fused = self.fused(model, encoder)
        scope = self.out_of_scope(fused[None], vector[None])
        names, together = self.with_new(fused[None], vector[None], examples or {})
        intent = _ordered(names, together[0])
        if scope is not None:  # what a new intent covers is in scope
            scope = scope * (1 - sum(intent[name] for name in names[len(fused) :]))
        return Understanding(
            intent=intent,
            intent_model=self._named("intent", model),
            intent_encoder=self._named("intent", encoder),
            next_step=steps,
            out_of_scope=None if scope is None else float(scope[0]),
        )

    def support(self, logprobs: Array) -> dict[str, float]:
        """Return the calibrated probabilities of the support labels."""
        return self._named("support", log_softmax(logprobs / self.temperature["support"]))

    def _named(self, name: str, logprobs: NDArray[Any]) -> dict[str, float]:
        return _ordered(self.sets[name], logprobs)

    def save(self, folder: Path) -> None:
        """Write `labels.safetensors` and `labels.json`."""
        from safetensors.numpy import save_file

        kept = {
            name: np.ascontiguousarray(rows, np.float16 if name == "kernel_messages" else np.float32)
            for name, rows in self.rows.items()
        }
        save_file(kept, folder / ROWS_FILE)
        facts = {
            "sets": {name: list(labels) for name, labels in self.sets.items()},
            "temperature": dict(self.temperature),
            "encoder": {
                "sha256": self.encoder_sha256,
                "bias": [float(b) for b in self.encoder_bias],
                "pool": dict(self.encoder_pool),
            },
            "fusion": {**self.fusion, "bias": [float(b) for b in self.fusion_bias]},
            "out_of_scope": list(self.scope),
            "novelty": list(self.novelty),
        }
        (folder / LABELS_FILE).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> LabelRows:
        """Read the label files of an adapter whose manifest was verified.

        Raises:
            AdapterError: the files do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            facts = json.loads((folder / LABELS_FILE).read_text(encoding="utf-8"))
            rows = {name: np.asarray(values, np.float32) for name, values in load_file(folder / ROWS_FILE).items()}
            sets = {str(name): tuple(str(label) for label in labels) for name, labels in facts["sets"].items()}
            loaded = cls(
                sets=sets,
                rows=rows,
                temperature={str(name): float(value) for name, value in facts["temperature"].items()},
                encoder_bias=np.asarray(facts["encoder"]["bias"], np.float32),
                encoder_sha256=str(facts["encoder"]["sha256"]),
                encoder_pool=_numbers(facts["encoder"]["pool"], ("width", "linear", "kernel")),
                fusion=_numbers(facts["fusion"], ("model", "encoder")),
                fusion_bias=np.asarray(facts["fusion"]["bias"], np.float32),
                scope=tuple(float(value) for value in facts["out_of_scope"]),
                novelty=tuple(float(value) for value in facts["novelty"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise AdapterError(f"{folder}: the labels cannot be read ({error}). Train the adapter again.") from error
        loaded._check(folder)
        return loaded

    def _check(self, folder: Path) -> None:
        wanted: dict[str, Sequence[str]] = {**self.sets}
        if "intent" in self.sets:
            wanted["encoder_intent"] = self.sets["intent"]
            if not {"kernel_messages", "kernel_weights"} <= set(self.rows):
                raise AdapterError(f"{folder}: expected kernel_messages and kernel_weights. Train the adapter again.")
        for name, labels in wanted.items():
            n_rows = len(self.rows.get(name, ()))
            if n_rows != len(labels):
                raise AdapterError(
                    f"{folder}: expected {len(labels)} rows for {name}, got {n_rows}. Train the adapter again."
                )
        if "intent" in self.sets:
            n_intents = len(self.sets["intent"])
            weights, line = (len(self.rows["kernel_messages"]), n_intents), self.rows["encoder_intent"].shape
            shapes = {
                "kernel_weights": weights,
                "train_weights": weights,
                "train_intent": line,
                "train_bias": (n_intents, 1),
            }
            for name, expected in shapes.items():
                found = self.rows[name].shape if name in self.rows else expected
                if found != expected:
                    raise AdapterError(
                        f"{folder}: expected {name} of shape {expected}, got {found}. Train the adapter again."
                    )


def _numbers(facts: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Return the named numbers; an adapter without intents has none of them."""
    return {name: float(facts[name]) for name in names} if facts else {}


def _ordered(names: Sequence[str], logprobs: NDArray[Any]) -> dict[str, float]:
    """Return probabilities by name, the likeliest first."""
    return {names[i]: float(np.exp(logprobs[i])) for i in np.argsort(-logprobs)}
