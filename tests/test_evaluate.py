"""Measures of an adapter: paired differences and calibration errors, against plain reckoning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.evaluate import calibration_error, paired_gain


@pytest.mark.parametrize(("n", "ours", "theirs", "together"), [(400, 0.9, 0.85, 0.7), (150, 0.6, 0.6, 0.3)])
def test_the_interval_of_a_paired_difference_is_that_of_drawing_the_messages_again(
    n: int, ours: float, theirs: float, together: float
) -> None:
    chance = np.random.default_rng(1)
    shared = chance.random(n)
    first = np.where(chance.random(n) < together, shared, chance.random(n)) < ours
    second = np.where(chance.random(n) < together, shared, chance.random(n)) < theirs
    gain = paired_gain(first, second)
    assert gain["difference"] == pytest.approx(first.mean() - second.mean())
    drawn = chance.integers(0, n, (4000, n))
    low, high = np.quantile(first[drawn].mean(axis=1) - second[drawn].mean(axis=1), [0.025, 0.975])
    assert gain["interval"] == pytest.approx([low, high], abs=0.012)


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_the_same_answers_differ_by_nothing(right: list[bool]) -> None:
    gain = paired_gain(np.array(right), np.array(right))
    assert gain["difference"] == 0
    low, high = gain["interval"]
    assert low == pytest.approx(-high)


def test_the_calibration_error_is_how_far_confidence_is_from_being_right() -> None:
    confidence = np.repeat([0.95, 0.55], 100)
    right = np.concatenate([np.arange(100) < 95, np.arange(100) < 25])
    assert calibration_error(confidence, right) == pytest.approx(0.5 * 0.0 + 0.5 * 0.30)
    assert calibration_error(np.ones(10), np.ones(10, bool)) == 0
