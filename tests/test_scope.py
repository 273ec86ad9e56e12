"""What no trained intent covers: unknown messages score higher, and a new intent works from its first examples on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chatbot.labels import OUT_OF_SCOPE, LabelRows, log_softmax, nearness, scope_features
from finetune.scope import EXAMPLES, fit_novelty, fit_scope, keep_examples

Array = NDArray[Any]
LABELS = ("a", "b", "c", "d", "e")
N, DIMENSION = len(LABELS), 16


def centres() -> Array:
    """Return unit vectors: five intents that are trained, and three that are not."""
    found = np.random.default_rng(7).standard_normal((8, DIMENSION))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def asked(seed: int, labels: Array, noise: float = 0.12) -> Array:
    """Return (n, DIMENSION) unit vectors of messages around the centres of their labels."""
    vectors = centres()[labels] + noise * np.random.default_rng(seed).standard_normal((len(labels), DIMENSION))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def judged(vectors: Array) -> Array:
    """Return what a witness says that compares a message with the centres of the trained labels."""
    return np.asarray(log_softmax(12 * vectors @ centres()[:N].T))


def trained(seed: int = 0, n: int = 150) -> tuple[Array, Array]:
    labels = np.random.default_rng(seed).integers(N, size=n)
    return asked(seed + 1, labels), np.eye(N)[labels]


def auroc(scores: Array, positive: Array) -> float:
    ranks = scores[positive][:, None] - scores[~positive][None, :]
    return float(((ranks > 0) + 0.5 * (ranks == 0)).mean())


def fitted() -> LabelRows:
    train, held = trained(0), trained(10)
    kept = keep_examples(*train, LABELS, 0)
    fused = judged(held[0])
    return LabelRows(
        sets={"intent": LABELS},
        rows={"encoder_examples": kept.vectors.astype(np.float32)},
        temperature={},
        encoder_bias=np.zeros(N, np.float32),
        encoder_sha256="e" * 64,
        encoder_pool={},
        fusion={"model": 0.5, "encoder": 0.5},
        fusion_bias=np.zeros(N, np.float32),
        scope=fit_scope(fused, *held, LABELS, kept),
        novelty=fit_novelty(fused, *held, kept, train, 0),
    )


def test_nearness_is_the_cosine_with_the_nearest_example_and_the_mean_of_the_nearest_five() -> None:
    vectors, examples = asked(1, np.arange(3)), asked(2, np.arange(8))
    cosines = vectors @ examples.T
    for row, (nearest, mean) in zip(cosines, nearness(vectors, examples), strict=True):
        assert nearest == pytest.approx(max(row))
        assert mean == pytest.approx(np.mean(sorted(row)[-5:]))
    hidden = np.zeros((3, 8), bool)
    hidden[np.arange(3), cosines.argmax(axis=1)] = True
    assert (nearness(vectors, examples, hidden)[:, 0] < nearness(vectors, examples)[:, 0]).all()
    assert nearness(vectors, examples[:0]).tolist() == [[0, 0]] * 3


def test_few_examples_of_an_intent_are_kept_and_none_of_what_is_out_of_scope() -> None:
    vectors, targets = trained()
    kept = keep_examples(vectors, targets, (*LABELS[:-1], OUT_OF_SCOPE), 0)
    assert [int((kept.labels == label).sum()) for label in range(N)] == [EXAMPLES] * (N - 1) + [0]
    assert np.linalg.norm(kept.vectors, axis=1) == pytest.approx(1)
    owners = targets @ np.eye(N)[kept.labels].T > 0
    assert np.where(owners, vectors @ kept.vectors.T, -1).max(axis=1)[targets[:, -1] == 0].min() > 0.7


def test_an_intent_with_few_messages_keeps_them_all_and_one_without_any_keeps_none() -> None:
    vectors, targets = asked(0, np.array([0, 0, 0, 1])), np.eye(N)[[0, 0, 0, 1]]
    kept = keep_examples(vectors, targets, LABELS, 0)
    assert kept.labels.tolist() == [0, 0, 0, 1]
    assert kept.of(np.eye(N)[[0, 4]]).tolist() == [[True, True, True, False], [False] * 4]


def test_messages_of_no_known_intent_score_higher_without_one_having_been_seen_in_training() -> None:
    rows = fitted()
    vectors = asked(20, np.arange(200) % 8)
    scores = rows.out_of_scope(judged(vectors), vectors)
    assert scores is not None
    assert auroc(scores, np.arange(200) % 8 >= N) > 0.95


def test_messages_labelled_out_of_scope_count_as_unknown() -> None:
    labels = (*LABELS[:-1], OUT_OF_SCOPE)
    train, held, new = trained(0), trained(10), trained(20)
    kept = keep_examples(*train, labels, 0)
    weights = np.array(fit_scope(judged(held[0]), *held, labels, kept))
    features = scope_features(judged(new[0]), nearness(new[0], kept.vectors), N - 1)
    assert auroc(features @ weights[:-1] + weights[-1], new[1][:, -1] > 0) > 0.95


def test_a_new_intent_is_recognised_by_five_examples_and_the_trained_ones_still_are() -> None:
    rows = fitted()
    asks = np.arange(240) % 6  # 5 is the new intent
    vectors = asked(30, asks)
    names, both = rows.with_new(judged(vectors), vectors, {"new": asked(31, np.full(5, 5))})
    assert names == (*LABELS, "new")
    assert np.exp(both).sum(axis=1) == pytest.approx(1)
    right = both.argmax(axis=1) == asks
    assert right[asks == 5].mean() > 0.9
    assert right[asks < 5].mean() > 0.9


def test_examples_of_a_trained_intent_make_it_likelier_where_they_are_near() -> None:
    rows = fitted()
    vectors = asked(40, np.zeros(20, int), noise=0.5)
    before = judged(vectors)
    names, after = rows.with_new(before, vectors, {"a": vectors})
    assert names == LABELS
    assert (after[:, 0] > before[:, 0]).all()


def test_without_examples_nothing_changes() -> None:
    rows, vectors = fitted(), asked(50, np.arange(5))
    names, both = rows.with_new(judged(vectors), vectors, {})
    assert names == LABELS
    assert both.tolist() == judged(vectors).tolist()


def test_with_too_little_to_fit_there_is_neither_score_nor_new_intent() -> None:
    vectors, targets = trained(n=9)
    kept = keep_examples(vectors, targets, LABELS, 0)
    assert fit_scope(judged(vectors), vectors, targets, LABELS, kept) == ()
    assert fit_novelty(judged(vectors), vectors, targets, kept, (vectors, targets), 0) == ()
    assert fit_scope(judged(vectors)[:, :2], vectors, targets[:, :2], LABELS[:2], kept) == ()
