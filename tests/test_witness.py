"""The second witness, the temperatures and the weights of both: each fit is held against brute force or its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chatbot.labels import log_softmax
from finetune.witness import (
    PENALTIES,
    cross_entropy,
    fit_fusion,
    fit_linear,
    fit_temperature,
)

Array = NDArray[Any]


def data(seed: int, n: int = 60, n_labels: int = 4, dimension: int = 6, noise: float = 0.7) -> tuple[Array, Array]:
    """Return unit vectors around a centre a label, and their one-hot targets."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((n_labels, dimension))
    labels = np.concatenate([np.arange(n_labels), rng.integers(n_labels, size=n - n_labels)])
    vectors = centres[labels] + noise * rng.standard_normal((n, dimension))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.eye(n_labels)[labels]


def noisy(seed: int, n: int = 80, n_labels: int = 4, sharpness: float = 2.0) -> tuple[Array, Array, Array]:
    """Return the log-probabilities of two witnesses that know something each, and the truth."""
    rng = np.random.default_rng(seed)
    targets = np.eye(n_labels)[rng.integers(n_labels, size=n)]

    def witness(strength: float) -> Array:
        return log_softmax(sharpness * (strength * targets + rng.standard_normal((n, n_labels))))

    return witness(1.5), witness(0.8), targets


def test_cross_entropy_is_the_mean_over_rows_of_the_weighted_log_probability() -> None:
    logprobs = np.log(np.array([[0.5, 0.5], [0.1, 0.9]]))
    targets = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert cross_entropy(logprobs, targets) == pytest.approx(-(np.log(0.5) + 0.5 * np.log(0.1) + 0.5 * np.log(0.9)) / 2)
    assert cross_entropy(np.zeros((0, 2)), np.zeros((0, 2))) == 0.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), sharpness=st.floats(0.5, 6))
def test_no_other_temperature_is_better(seed: int, sharpness: float) -> None:
    logprobs, _, targets = noisy(seed, sharpness=sharpness)
    found = cross_entropy(log_softmax(logprobs / fit_temperature(logprobs, targets)), targets)
    others = [cross_entropy(log_softmax(logprobs / np.exp(t)), targets) for t in np.linspace(-2, 3, 300)]
    assert found <= min(others) + 1e-6


def test_an_overconfident_witness_is_cooled_and_a_timid_one_heated() -> None:
    logprobs, _, targets = noisy(3)
    right = fit_temperature(logprobs, targets)
    assert fit_temperature(log_softmax(3 * logprobs), targets) == pytest.approx(3 * right, rel=1e-3)
    assert fit_temperature(log_softmax(logprobs / 2), targets) == pytest.approx(right / 2, rel=1e-3)
    assert fit_temperature(np.zeros((0, 4)), np.zeros((0, 4))) == 1.0


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000))
def test_no_other_weights_of_the_witnesses_are_better(seed: int) -> None:
    model, encoder, targets = noisy(seed)

    def loss(one: float, other: float) -> float:
        return cross_entropy(log_softmax(one * model + other * encoder + fitted.bias), targets)

    fitted = fit_fusion(model, encoder, targets)
    best = min(loss(a, b) for a in np.linspace(0, 5, 41) for b in np.linspace(0, 5, 41))
    found = loss(fitted.weights["model"], fitted.weights["encoder"])
    assert found <= best + 1e-5
    for name, step in (("model", (1e-4, 0.0)), ("encoder", (0.0, 1e-4))):
        slope = (loss(fitted.weights["model"] + step[0], fitted.weights["encoder"] + step[1]) - loss(
            fitted.weights["model"] - step[0], fitted.weights["encoder"] - step[1])) / 2e-4  # fmt: skip
        assert abs(slope) < 2e-3 or fitted.weights[name] <= 1e-9, "not at the minimum"
    assert found <= min(loss(1, 0), loss(0, 1), loss(0.5, 0.5)), "the two together are no worse than one alone"


def test_a_label_that_both_witnesses_underrate_gains_by_its_bias() -> None:
    model, encoder, targets = noisy(4, n=600)
    held_back = np.array([3.0, 0.0, 0.0, 0.0])
    fitted = fit_fusion(log_softmax(model - held_back), log_softmax(encoder - held_back), targets)
    assert fitted.bias[0] - fitted.bias[1:].max() > 1.0


def test_where_the_witnesses_are_fair_to_all_labels_the_biases_stay_near_nought() -> None:
    model, encoder, targets = noisy(6, n=600)
    assert np.abs(fit_fusion(model, encoder, targets).bias).max() < 0.3


def test_a_witness_that_knows_nothing_gets_no_weight_and_without_data_both_are_equal() -> None:
    model, _, targets = noisy(5, n=400)
    nothing = log_softmax(np.random.default_rng(0).standard_normal(model.shape))
    fitted = fit_fusion(model, nothing, targets)
    assert fitted.weights["encoder"] < 0.15 < fitted.weights["model"]
    without = fit_fusion(model[:0], nothing[:0], targets[:0])
    assert without.weights == {"model": 0.5, "encoder": 0.5}
    assert not without.bias.any()


def objective_slopes(vectors: Array, targets: Array, rows: Array, bias: Array, penalty: float) -> Array:
    """Return the gradient of the penalised log-loss of a multinomial regression: zero at its minimum."""
    errors = np.exp(log_softmax(vectors @ rows.T + bias)) * targets.sum(axis=1, keepdims=True) - targets
    return np.concatenate([(errors.T @ vectors + rows / penalty).ravel(), errors.sum(axis=0)])


@pytest.mark.parametrize("shared", [False, True], ids=["one label a message", "some with two labels"])
def test_the_encoder_witness_is_at_the_minimum_of_a_penalised_regression(shared: bool) -> None:
    vectors, targets = data(0)
    if shared:
        targets[::7] = (targets[::7] + np.roll(targets[::7], 1, axis=1)) / 2
    found = fit_linear(vectors, targets, data(1))
    slopes = [
        np.abs(objective_slopes(vectors, targets, found.rows, found.bias, penalty)).max() for penalty in PENALTIES
    ]
    assert min(slopes) < 0.02, slopes


@pytest.mark.parametrize("seed", range(3))
def test_the_penalty_is_the_one_that_the_held_out_messages_like_best(seed: int) -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, targets = data(seed, noise=1.5)
    held_out = data(seed + 50, noise=1.5)
    found = fit_linear(vectors, targets, held_out)
    loss = cross_entropy(log_softmax(found.logits(held_out[0])), held_out[1])
    for penalty in PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=500).fit(vectors, targets.argmax(axis=1))
        assert loss <= cross_entropy(np.log(model.predict_proba(held_out[0])), held_out[1]) + 1e-4


def test_two_labels_are_judged_as_a_binary_regression_would() -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, targets = data(0, n_labels=2)
    found = fit_linear(vectors, targets, None)
    model = LogisticRegression(C=PENALTIES[0], max_iter=500).fit(vectors, targets.argmax(axis=1))
    np.testing.assert_allclose(np.exp(log_softmax(found.logits(vectors))), model.predict_proba(vectors), atol=1e-3)


def test_a_label_without_a_training_message_never_wins() -> None:
    vectors, targets = data(0)
    wider = np.concatenate([targets, np.zeros((len(targets), 1))], axis=1)
    held = data(1)
    found = fit_linear(vectors, wider, (held[0], np.concatenate([held[1], np.zeros((len(held[1]), 1))], axis=1)))
    probabilities = np.exp(log_softmax(found.logits(held[0])))
    assert found.rows.shape == (5, 6)
    assert probabilities[:, 4].max() < 1e-6


def test_with_one_label_only_that_one_is_certain() -> None:
    vectors, _ = data(0)
    targets = np.zeros((len(vectors), 3))
    targets[:, 1] = 1
    found = fit_linear(vectors, targets, (vectors, targets))
    assert np.exp(log_softmax(found.logits(vectors)))[:, 1].min() > 0.999
