"""The second witness and how both are weighed: logistic regression on the encoder, fusion, out-of-scope score.

The encoder's rows are fitted on the training part. Temperatures, fusion weights and the out-of-scope score
are fitted on the calibration part, which trained neither witness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.labels import OUT_OF_SCOPE, log_softmax, scope_features

Array = NDArray[Any]
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)  # inverse regularisation strengths that are tried


@dataclass(frozen=True, slots=True)
class LinearWitness:
    """Logistic regression on sentence embeddings: `rows` (n_labels, dim), `bias` (n_labels,).

    `penalty` is the inverse regularisation strength that it was fitted with.
    """

    rows: Array
    bias: Array
    penalty: float

    def logits(self, vectors: Array) -> Array:
        """Return (n, n_labels) logits for (n, dim) vectors."""
        return np.asarray(vectors @ self.rows.T + self.bias)


def fit_linear(
    vectors: Array,
    targets: Array,
    held_out: tuple[Array, Array],
    weights: Array | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> LinearWitness:
    """Fit the encoder witness on (n, dim) vectors and (n, n_labels) target distributions.

    The regularisation is the one of `penalties` with the lowest cross-entropy on the held-out vectors and targets.
    A label without a training message gets a bias that never wins.
    """
    from sklearn.linear_model import LogisticRegression

    n_labels = targets.shape[1]
    rows, labels = np.nonzero(targets)
    weight = targets[rows, labels] * (1.0 if weights is None else weights[rows])
    best: tuple[float, LinearWitness] | None = None
    for penalty in penalties:
        witness = _constant(vectors.shape[1], labels, n_labels, penalty)
        if len(set(labels)) > 1:
            model = LogisticRegression(C=penalty, max_iter=500).fit(vectors[rows], labels, sample_weight=weight)
            witness = _expanded(model, n_labels, penalty)
        loss = cross_entropy(log_softmax(witness.logits(held_out[0])), held_out[1]) if len(held_out[1]) else 0.0
        if best is None or loss < best[0]:
            best = (loss, witness)
        if not len(held_out[1]) and penalty >= 10:
            break
    if best is None:
        raise AssertionError("penalties is empty")
    return best[1]


def _constant(dimension: int, labels: Array, n_labels: int, penalty: float) -> LinearWitness:
    bias = np.full(n_labels, -30.0)
    bias[list(set(labels))] = 0.0
    return LinearWitness(np.zeros((n_labels, dimension)), bias, penalty)


def _expanded(model: Any, n_labels: int, penalty: float) -> LinearWitness:
    """Return the rows of a fitted regression for all labels, those that it has not seen included."""
    rows, bias = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(model.classes_) == 2:
        rows, bias = np.concatenate([-rows, rows]) / 2, np.concatenate([-bias, bias]) / 2
    all_rows, all_bias = np.zeros((n_labels, rows.shape[1])), np.full(n_labels, -30.0)
    all_rows[model.classes_], all_bias[model.classes_] = rows, bias
    return LinearWitness(all_rows, all_bias, penalty)


def cross_entropy(logprobs: Array, targets: Array) -> float:
    """Return the mean cross-entropy in nats of (n, n_labels) log-probabilities against target distributions."""
    return float(-(targets * np.maximum(logprobs, -50)).sum() / max(len(targets), 1))


def fit_temperature(logprobs: Array, targets: Array) -> float:
    """Return the temperature that minimises the cross-entropy (Guo et al. 2017, arXiv 1706.04599); 1 without data."""
    from scipy.optimize import minimize_scalar

    if not len(targets):
        return 1.0
    found = minimize_scalar(
        lambda log_t: cross_entropy(log_softmax(logprobs / np.exp(log_t)), targets), bounds=(-2, 3), method="bounded"
    )
    return float(np.exp(found.x))


def fit_fusion(model: Array, encoder: Array, targets: Array) -> dict[str, float]:
    """Return the weights of a logarithmic opinion pool that minimise the cross-entropy; equal ones without data.

    Source: Heskes 1998, "Selecting weighting factors in logarithmic opinion pools".
    """
    from scipy.optimize import minimize

    if not len(targets):
        return {"model": 0.5, "encoder": 0.5}

    def loss(weights: Array) -> float:
        return cross_entropy(log_softmax(weights[0] * model + weights[1] * encoder), targets)

    found = minimize(loss, np.array([0.5, 0.5]), method="L-BFGS-B", bounds=[(0, 5), (0, 5)])
    return {"model": float(found.x[0]), "encoder": float(found.x[1])}


def fit_scope(fused: Array, encoder_logits: Array, targets: Array, labels: Sequence[str]) -> tuple[float, ...]:
    """Fit the out-of-scope score; it exists without any out-of-scope training row.

    Every calibration message stands twice: as it is, and as if its own label did not exist (its column is
    masked in both witnesses), which is what an unknown intent looks like. Messages labelled out of scope
    count as unknown as they are. Returns the weights of `scope_features`, bias last; () without data.
    """
    from sklearn.linear_model import LogisticRegression

    place = labels.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in labels else None
    outside = targets[:, place] > 0 if place is not None else np.zeros(len(targets), bool)
    inside = ~outside
    if inside.sum() < 10 or targets.shape[1] < 3:
        return ()
    masked = np.where(targets[inside] > 0, -50.0, fused[inside])
    hidden = np.where(targets[inside] > 0, encoder_logits[inside].min() - 5.0, encoder_logits[inside])
    features = [
        scope_features(fused, encoder_logits, place),
        scope_features(log_softmax(masked), hidden, place),
    ]
    known = np.concatenate([outside, np.ones(int(inside.sum()), bool)])
    model = LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced").fit(np.concatenate(features), known)
    return (*(float(w) for w in model.coef_[0]), float(model.intercept_[0]))
