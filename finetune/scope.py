"""What no trained intent covers: the out-of-scope score, and intents that are known by a few examples only.

Both are fitted without a single unknown message: a calibration message is one as soon as its own label is hidden, its
column in both witnesses and its examples. So both exist whether or not the chats hold messages out of scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.labels import OUT_OF_SCOPE, log_softmax, nearness, novelty_features, scope_features
from finetune.thresholds import logistic

Array = NDArray[Any]
EXAMPLES = 8  # of an intent that are kept: with as many the score is as good as with all (docs/decisions.md)
# Examples by which a hidden intent is known while the weights of new intents are fitted: as many as a new one begins with.
SHOWN = 10
LEAST = 10  # fewer messages fit nothing
LEAST_LABELS = 3  # with one hidden two are left, and something to choose


@dataclass(frozen=True, slots=True)
class Kept:
    """Unit vectors that stand for what was asked: (n_examples, dim), and the (n_examples,) index of each one's label."""

    vectors: Array
    labels: Array

    def of(self, targets: Array) -> NDArray[np.bool_]:
        """Return (n, n_examples): which examples share a label with (n, n_labels) targets."""
        return np.asarray(targets[:, self.labels] > 0)


def keep_examples(vectors: Array, targets: Array, labels: Sequence[str], seed: int) -> Kept:
    """Return at most EXAMPLES vectors an intent in scope, from (n, dim) messages with (n, n_labels) targets.

    Where an intent has more messages they are the centres of groups of like ones (k-means), so the adapter stays small.
    No words are kept; a message unlike all others of its intent is a group of its own.
    """
    from sklearn.cluster import KMeans

    kept, owners = [np.zeros((0, vectors.shape[1]))], []
    for place, label in enumerate(labels):
        own = np.unique(vectors[targets[:, place] > 0], axis=0)
        if label == OUT_OF_SCOPE or not len(own):
            continue
        if len(own) > EXAMPLES:
            own = KMeans(EXAMPLES, n_init=2, random_state=seed).fit(own).cluster_centers_
        kept.append(own / np.linalg.norm(own, axis=1, keepdims=True))
        owners += [place] * len(own)
    return Kept(np.concatenate(kept), np.array(owners, int))


def fit_scope(fused: Array, vectors: Array, targets: Array, labels: Sequence[str], kept: Kept) -> tuple[float, ...]:
    """Fit the out-of-scope score; returns the weights of `scope_features`, bias last, or () with too little data.

    Every calibration message stands twice: as it is, and with its own label hidden. Messages labelled out of scope
    count as unknown as they are.

    Args:
        fused: (n, n_labels) log-probabilities of both witnesses.
        vectors: (n, dim) embeddings of the messages.
        targets: (n, n_labels) true labels.
        labels: the names in column order.
        kept: the examples of the training part.
    """
    place = labels.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in labels else None
    outside = targets[:, place] > 0 if place is not None else np.zeros(len(targets), bool)
    inside = ~outside
    if inside.sum() < LEAST or targets.shape[1] < LEAST_LABELS:
        return ()
    hidden = targets[inside]
    features = [
        scope_features(fused, nearness(vectors, kept.vectors), place),
        scope_features(
            _without(fused[inside], hidden), nearness(vectors[inside], kept.vectors, kept.of(hidden)), place
        ),
    ]
    unknown = np.concatenate([outside, np.ones(int(inside.sum()), bool)])
    return _weights(np.concatenate(features), unknown, np.where(unknown, (~unknown).sum() / unknown.sum(), 1.0))


def fit_novelty(
    fused: Array, vectors: Array, targets: Array, kept: Kept, train: tuple[Array, Array], seed: int
) -> tuple[float, ...]:
    """Fit the odds that a message means an intent known by examples; weights of `novelty_features`, bias last.

    A label is hidden and shown by SHOWN training messages only: the message's own label, which is then meant, the
    likeliest other one and any other one, which are not. The last stands for all others and weighs as much as they do.
    Returns () with too little data. `train` is (n, dim) vectors and (n, n_labels) targets; see `fit_scope`.
    """
    n_labels = targets.shape[1]
    trained = [np.flatnonzero(train[1][:, label] > 0) for label in range(n_labels)]
    if len(targets) < LEAST or sum(len(places) > 0 for places in trained) < LEAST_LABELS:
        return ()
    chance = np.random.default_rng(seed)
    rows, meant, weights = [], [], []
    for place in range(len(targets)):
        own = set(np.flatnonzero(targets[place] > 0))
        others = [label for label in np.argsort(-fused[place]) if label not in own and len(trained[label])]
        cases = [(label, True, 1.0) for label in own if len(trained[label])][:1]
        cases += [(others[0], False, 1.0), (chance.choice(others[1:]), False, len(others) - 1.0)] if others[1:] else []
        for label, is_meant, weight in cases:
            shown = chance.permutation(trained[label])[:SHOWN]
            hidden = np.eye(n_labels)[[label]]
            rows.append(
                novelty_features(
                    _without(fused[[place]], hidden),
                    nearness(vectors[[place]], kept.vectors, kept.of(hidden)),
                    nearness(vectors[[place]], train[0][shown]),
                )[0]
            )
            meant.append(is_meant)
            weights.append(weight)
    return _weights(np.array(rows), np.array(meant), np.array(weights)) if len(set(meant)) > 1 else ()


def _without(fused: Array, hidden: Array) -> Array:
    """Return log-probabilities as they are where the labels of `hidden`, (n, n_labels), do not exist."""
    return log_softmax(np.where(hidden > 0, -50.0, fused))


def _weights(features: Array, truth: Array, weights: Array) -> tuple[float, ...]:
    """Return the weights of a fitted logistic regression, bias last."""
    fitted = logistic(features.tolist(), truth.tolist(), weights.tolist())
    return (*fitted.weights, fitted.bias)
