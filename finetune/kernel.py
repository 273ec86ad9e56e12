"""Kernel regression on the encoder: what an intent's messages say together, beside the line that parts them.

Kernel ridge regression of the labels (Saunders, Gammerman and Vovk 1998) foresees a share of each intent; it was
right more often than logistic regression on every set that was tried (docs/decisions.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.labels import kernel, kernel_logits, log_softmax
from finetune.witness import cross_entropy, fit_temperature

Array = NDArray[Any]
WIDTHS, RIDGES = (0.5, 1.0, 2.0, 4.0), (0.1, 0.3, 1.0)  # that are tried
LEARNT_FROM = 12_000  # different messages at most: memory grows with their square, 1.2 GB a matrix
TRIED_ON = 4_000  # messages by which width and ridge are chosen


@dataclass(frozen=True, slots=True)
class KernelWitness:
    """A fitted kernel regression: `messages` (n, dim) unit vectors, `weights` (n, n_labels), and the kernel's `width`."""

    messages: NDArray[np.float32]
    weights: NDArray[np.float32]
    width: float

    def logits(self, vectors: Array) -> Array:
        """Return (n, n_labels) logits for (n, dim) unit vectors."""
        return kernel_logits(kernel(vectors, self.messages, self.width) @ self.weights)


def fit_kernel(
    vectors: Array, targets: Array, held_out: tuple[Array, Array], seed: int
) -> tuple[KernelWitness, KernelWitness]:
    """Fit the shares of (n, n_labels) target distributions on (n, dim) unit vectors.

    Width and ridge are those with the lowest cross-entropy on the held-out vectors and targets, after a temperature;
    without any, the middle ones. Beyond LEARNT_FROM different messages the most frequent are learnt from, and of
    those that came once some by `seed`.

    Returns:
        The fit without the held-out vectors, and then the fit with them. Both have the same messages; what came among
        the held-out ones only weighs nothing in the first.
    """
    halves = np.asarray(np.concatenate([vectors, held_out[0]]), np.float16)  # as they are kept
    unique, inverse, counts = np.unique(halves, axis=0, return_inverse=True, return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(counts)), -counts))[:LEARNT_FROM]
    messages = unique[order].astype(np.float32)
    train, every = (
        _sums(inverse.ravel()[: len(rows)], rows, len(unique))[order]
        for rows in (targets, np.concatenate([targets, held_out[1]]))
    )
    known = train.any(axis=1)
    best: tuple[float, float, float] | None = None
    for width, ridge in product(WIDTHS, RIDGES) if len(held_out[1]) else ((1.0, 0.3),):
        some = messages[known][:TRIED_ON]
        tried = KernelWitness(some, _solved(some, train[known][:TRIED_ON], width, ridge), width)
        logits = tried.logits(held_out[0])
        loss = cross_entropy(log_softmax(logits / fit_temperature(logits, held_out[1])), held_out[1])
        if best is None or loss < best[0]:
            best = (loss, width, ridge)
    if best is None:
        raise AssertionError("nothing is tried")
    _, width, ridge = best
    weights = np.zeros(train.shape, np.float32)
    weights[known] = _solved(messages[known], train[known], width, ridge)
    return KernelWitness(messages, weights, width), KernelWitness(
        messages, _solved(messages, every, width, ridge), width
    )


def _sums(places: Array, targets: Array, n: int) -> Array:
    sums = np.zeros((n, targets.shape[1]))
    np.add.at(sums, places, targets)
    return sums


def _solved(messages: NDArray[np.float32], sums: Array, width: float, ridge: float) -> NDArray[np.float32]:
    """Solve (K + ridge / counts) weights = sums / counts; a message that came n times counts n times.

    `sums`, (n, n_labels), are the summed targets of each message; each target sums to 1.
    """
    from scipy.linalg import cho_factor, cho_solve

    if not len(messages):
        return np.zeros(sums.shape, np.float32)
    counts = sums.sum(axis=1)
    exact = messages.astype(np.float64)
    gram = kernel(exact, exact, width)
    gram[np.diag_indices(len(gram))] += ridge / counts
    weights = cho_solve(
        cho_factor(gram, overwrite_a=True, check_finite=False), sums / counts[:, None], check_finite=False
    )
    return np.asarray(weights, np.float32)
