"""The second witness and how both are weighed: logistic regression on the encoder, temperatures and fusion.

The encoder's rows are fitted on the training part. Temperatures and fusion weights are fitted on the calibration part,
which trained neither witness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.labels import log_softmax

Array = NDArray[Any]
PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)  # inverse regularisation strengths that are tried; scikit-learn's own first
BIAS_PENALTIES = (np.inf, 1.0, 0.1, 0.01)  # strengths that hold the fusion's biases, the first of them at nought
BIAS_FOLDS = 5


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
    held_out: tuple[Array, Array] | None,
    penalties: Sequence[float] = PENALTIES,
) -> LinearWitness:
    """Fit the encoder witness on (n, dim) vectors and (n, n_labels) target distributions.

    The regularisation is the one of `penalties` with the lowest cross-entropy on the held-out vectors and targets; without
    any, the first.
    A label without a training message gets a bias that never wins.
    """
    from sklearn.linear_model import LogisticRegression

    n_labels = targets.shape[1]
    rows, labels = np.nonzero(targets)
    weight = targets[rows, labels]

    def fitted(penalty: float) -> LinearWitness:
        if len(set(labels)) < 2:
            return _constant(vectors.shape[1], labels, n_labels, penalty)
        model = LogisticRegression(C=penalty, max_iter=500).fit(vectors[rows], labels, sample_weight=weight)
        return _expanded(model, n_labels, penalty)

    if held_out is None or not len(held_out[1]):
        return fitted(penalties[0])
    new, truth = held_out
    return min(map(fitted, penalties), key=lambda witness: cross_entropy(log_softmax(witness.logits(new)), truth))


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


@dataclass(frozen=True, slots=True)
class Fusion:
    """How both witnesses are weighed: `weights` of `model` and `encoder`, `bias` (n_labels,) added to each label."""

    weights: dict[str, float]
    bias: Array


def fit_fusion(model: Array, encoder: Array, targets: Array) -> Fusion:
    """Fit a logarithmic opinion pool on (n, n_labels) log-probabilities; equal weights and no bias without data.

    The biases are held near nought by the penalty with which messages that were left out are foreseen best; without
    any gain there is none. Source of the pool: Heskes 1998, "Selecting weighting factors in logarithmic opinion pools".
    """
    if not len(targets):
        return Fusion({"model": 0.5, "encoder": 0.5}, np.zeros(targets.shape[1]))
    fold = np.arange(len(targets)) % BIAS_FOLDS
    losses = dict.fromkeys(BIAS_PENALTIES, 0.0)
    for penalty in BIAS_PENALTIES:
        for out in (fold == number for number in range(min(BIAS_FOLDS, len(targets)))):
            if out.all():
                continue
            fitted = _pool(model[~out], encoder[~out], targets[~out], penalty)
            losses[penalty] += cross_entropy(_pooled(fitted, model[out], encoder[out]), targets[out]) * out.sum()
    best = min(losses, key=lambda penalty: losses[penalty])
    found = _pool(model, encoder, targets, best)
    return Fusion({"model": float(found[0]), "encoder": float(found[1])}, found[2:])


def fit_pool(first: Array, second: Array, targets: Array) -> Array:
    """Return the weights of two witnesses' (n, n_labels) log-probabilities, 0.5 each without data; see `fit_fusion`."""
    return _pool(first, second, targets, np.inf)[:2] if len(targets) else np.array([0.5, 0.5])


def _pooled(pool: Array, model: Array, encoder: Array) -> Array:
    return log_softmax(pool[0] * model + pool[1] * encoder + pool[2:])


def _pool(model: Array, encoder: Array, targets: Array, penalty: float) -> Array:
    """Return both weights, then the biases, that minimise cross-entropy plus `penalty` times the squared biases."""
    from scipy.optimize import minimize

    n, n_labels = targets.shape

    def loss(pool: Array) -> tuple[float, Array]:
        logprobs = _pooled(pool, model, encoder)
        error = np.exp(logprobs) * targets.sum(axis=1, keepdims=True) - targets
        slopes = [(error * model).sum() / n, (error * encoder).sum() / n]
        biases = error.sum(axis=0) / n + 2 * penalty * pool[2:] if np.isfinite(penalty) else np.zeros(n_labels)
        held = penalty * (pool[2:] ** 2).sum() if np.isfinite(penalty) else 0.0
        return cross_entropy(logprobs, targets) + held, np.concatenate([slopes, biases])

    start = np.concatenate([[0.5, 0.5], np.zeros(n_labels)])
    bounds = [(0, 5), (0, 5), *[(-5, 5)] * n_labels]
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)
