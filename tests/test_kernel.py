"""The kernel regression of the encoder: held against the plain solution, and against what a line cannot part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import finetune.kernel
from chatbot.labels import kernel, log_softmax
from finetune.kernel import fit_kernel
from finetune.witness import cross_entropy, fit_linear

Array = NDArray[Any]
NONE = (np.zeros((0, 6)), np.zeros((0, 3)))


def unit(vectors: Array) -> Array:
    """Return rows of length one that half precision holds as they are."""
    rows = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float16)
    return rows.astype(np.float64)


def asked(seed: int, n: int = 40) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return unit(rng.standard_normal((n, 6))), np.eye(3)[rng.integers(3, size=n)]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_message_that_came_several_times_counts_as_often(seed: int) -> None:
    vectors, targets = asked(seed)
    places = np.random.default_rng(seed).integers(len(vectors), size=3 * len(vectors))
    fitted, _ = fit_kernel(vectors[places], targets[places], NONE, 0)
    repeated = kernel(vectors[places], vectors[places], fitted.width) + 0.3 * np.eye(len(places))
    weights = np.linalg.solve(repeated, targets[places])  # every row on its own, as if none was like another
    foreseen = kernel(vectors, vectors[places], fitted.width) @ weights
    np.testing.assert_allclose(kernel(vectors, fitted.messages, fitted.width) @ fitted.weights, foreseen, atol=1e-4)
    assert len(fitted.messages) == len(np.unique(places))


def test_it_parts_what_a_line_cannot() -> None:
    rng = np.random.default_rng(0)
    corners = unit(np.array([[1.0, 1, 0.3], [-1, -1, 0.3], [1, -1, 0.3], [-1, 1, 0.3]]))

    def crossed(n: int) -> tuple[Array, Array]:
        places = rng.integers(4, size=n)
        return unit(corners[places] + 0.2 * rng.standard_normal((n, 3))), np.eye(2)[places // 2]

    train, held, (asked_vectors, truth) = crossed(200), crossed(60), crossed(200)
    right = {
        name: float((fitted.logits(asked_vectors).argmax(1) == truth.argmax(1)).mean())
        for name, fitted in (("kernel", fit_kernel(*train, held, 0)[0]), ("line", fit_linear(*train, held)))
    }
    assert right["kernel"] > 0.97
    assert right["line"] < 0.8


def test_width_and_ridge_are_those_that_foresee_held_out_messages_best(monkeypatch: pytest.MonkeyPatch) -> None:
    train, held = asked(1, 60), asked(2, 60)
    chosen, _ = fit_kernel(*train, held, 0)

    def loss(width: float, ridge: float) -> float:
        monkeypatch.setattr(finetune.kernel, "WIDTHS", (width,))
        monkeypatch.setattr(finetune.kernel, "RIDGES", (ridge,))
        logits = fit_kernel(*train, held, 0)[0].logits(held[0])
        return min(cross_entropy(log_softmax(logits / t), held[1]) for t in np.exp(np.linspace(-2, 3, 400)))

    losses = {(width, ridge): loss(width, ridge) for width in (0.5, 1.0, 2.0, 4.0) for ridge in (0.1, 0.3, 1.0)}
    assert chosen.width == min(losses, key=lambda pair: losses[pair])[0]


def test_of_too_many_messages_the_frequent_ones_are_kept_and_the_rest_drawn_by_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finetune.kernel, "LEARNT_FROM", 10)
    vectors, targets = asked(3, 50)
    often = np.concatenate([np.arange(50), [4, 7, 7]])
    first, again, other = (fit_kernel(vectors[often], targets[often], NONE, seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.messages, again.messages)
    assert not np.array_equal(first.messages, other.messages)
    for fitted in (first, other):
        assert len(fitted.messages) == 10
        assert {tuple(row) for row in vectors[[4, 7]]} <= {tuple(row) for row in fitted.messages}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), held=st.integers(0, 60))
def test_the_fit_that_serves_has_learnt_from_the_held_out_messages_and_the_other_has_not(seed: int, held: int) -> None:
    vectors, targets = asked(seed, 90)
    again = np.arange(90) % 70  # some messages came in both parts
    cut = 90 - held
    rows = vectors[again], targets[again]
    parts = (rows[0][:cut], rows[1][:cut]), (rows[0][cut:], rows[1][cut:])
    before, after = fit_kernel(*parts[0], parts[1], 0)
    exact = vectors[:5]

    def foreseen(part: tuple[Array, Array], ridge: float) -> Array:
        gram = kernel(part[0], part[0], before.width) + ridge * np.eye(len(part[0]))
        return np.asarray(kernel(exact, part[0], before.width) @ np.linalg.solve(gram, part[1]))

    for fitted, part in ((before, parts[0]), (after, rows)):
        shares = kernel(exact, fitted.messages, fitted.width) @ fitted.weights
        assert any(np.allclose(shares, foreseen(part, ridge), atol=1e-4) for ridge in (0.1, 0.3, 1.0))


def test_without_messages_it_says_nothing() -> None:
    fitted, _ = fit_kernel(*NONE, NONE, 0)
    logits = fitted.logits(asked(5)[0])
    assert logits.shape == (40, 3)
    assert np.ptp(logits) == 0
