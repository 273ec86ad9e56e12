"""The scorer: probabilities of a choice between all candidates and nothing, fitted where there is something to fit on."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from knowledge_base.candidates import MEANING, REGRESSION
from knowledge_base.scorer import DEFAULTS, FEATURES, OF_ENTRY, Scorer, default_scorer, fit, mean_loss

Case = tuple[NDArray[np.float32], NDArray[np.bool_]]
START = Scorer((0.0,) * len(FEATURES), 0.0, together=0.0)
TRUE = Scorer((6.0, 2.0, 1.0, 0.5, 1.5, *(0.0,) * (len(OF_ENTRY) - 5), -3.0, 1.0), 2.0, 0.5, 2.0)


def drawn(count: int, seed: int, scorer: Scorer = TRUE) -> list[Case]:
    """Queries whose right entry is drawn with the probabilities of a scorer."""
    chance = np.random.default_rng(seed)
    cases = []
    for _ in range(count):
        n = int(chance.integers(1, 9))
        features = chance.random((n, len(FEATURES))).astype(np.float32)
        features[:, len(OF_ENTRY) :] = features[:1, len(OF_ENTRY) :]  # of the message
        probabilities = scorer.probabilities(features)
        chosen = chance.choice(n + 1, p=np.append(probabilities, max(0.0, 1 - probabilities.sum())))
        cases.append((features, np.arange(n) == chosen))
    return cases


@given(st.lists(st.floats(-40, 40), max_size=8), st.floats(-40, 40), st.floats(0, 2), st.floats(0, 2), st.floats(0, 1))
def test_probabilities_of_candidates_and_of_nothing_sum_to_one(
    values: list[float], nothing: float, together: float, likeness: float, background: float
) -> None:
    weights = dict.fromkeys(FEATURES, 0.0) | {"question": 1.0, "background": -5.0}
    scorer = Scorer(tuple(weights.values()), nothing, together, likeness)
    features = np.zeros((len(values), len(FEATURES)), np.float32)
    features[:, 0], features[:, FEATURES.index("background")] = values, background
    probabilities = scorer.probabilities(features)
    assert probabilities.sum() == pytest.approx(scorer.something(features), abs=1e-9)
    assert 0 <= scorer.something(features) <= 1
    order = np.argsort(scorer.utilities(features))
    assert all(probabilities[a] <= probabilities[b] for a, b in pairwise(order))
    if values:
        speaks = np.asarray(values, np.float32).astype(float)
        all_together = np.logaddexp.reduce(speaks)
        like = float(np.exp(speaks - all_together) @ speaks)  # the feature is the utility here
        odds = together * all_together + likeness * like - 5 * float(np.float32(background)) - nothing
        assert sum(scorer.reasons(features).values()) == pytest.approx(odds, abs=1e-4)
        assert scorer.something(features) == pytest.approx(1 / (1 + np.exp(-np.clip(odds, -500, 500))), abs=1e-6)
    else:
        assert (scorer.something(features), scorer.reasons(features)) == (0.0, {})


def test_one_weight_together_is_a_choice_between_all_candidates_and_nothing() -> None:
    scorer = Scorer(tuple(2.0 if name == "question" else 0.0 for name in FEATURES), 1.0)
    features = np.zeros((3, len(FEATURES)), np.float32)
    features[:, 0] = [1.0, 0.5, -1.0]
    odds = np.exp(2.0 * features[:, 0] - 1.0)
    np.testing.assert_allclose(scorer.probabilities(features), odds / (1 + odds.sum()), rtol=1e-6)


def test_a_fit_finds_the_weights_that_the_choices_were_drawn_with() -> None:
    fitted = fit(drawn(8000, 1), START)
    np.testing.assert_allclose(fitted.weights[: len(OF_ENTRY)], TRUE.weights[: len(OF_ENTRY)], atol=0.6)
    assert fitted.together > 0
    assert fitted.weights[FEATURES.index("background")] < 0 < fitted.weights[FEATURES.index("length")]


def test_the_loss_is_the_mean_of_what_the_right_choices_were_unlikely() -> None:
    cases = drawn(50, 7)
    unlikely = [
        -np.log(TRUE.probabilities(features)[right].sum() if right.any() else 1 - TRUE.something(features))
        for features, right in cases
    ]
    assert mean_loss(cases, TRUE) == pytest.approx(np.mean(unlikely))
    assert mean_loss([], TRUE) == 0.0
    empty = (np.zeros((0, len(FEATURES)), np.float32), np.zeros(0, np.bool_))
    assert mean_loss([*cases, empty], TRUE) == pytest.approx(np.sum(unlikely) / 51), "no candidate: nothing is certain"
    assert fit([empty], TRUE) == TRUE


def test_a_fit_is_calibrated_on_queries_it_has_not_seen() -> None:
    fitted = fit(drawn(2000, 2), START)
    pairs = [
        (p, hit)
        for features, right in drawn(2000, 3)
        for p, hit in zip(fitted.probabilities(features), right, strict=True)
    ]
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.0)):
        inside = [(p, hit) for p, hit in pairs if low <= p < high]
        assert len(inside) > 100
        assert np.mean([p for p, _ in inside]) == pytest.approx(np.mean([hit for _, hit in inside]), abs=0.04)


def test_few_queries_hardly_move_the_weights_and_none_not_at_all() -> None:
    moved = [np.abs(np.subtract(fit(drawn(n, 4), START).weights, START.weights)).max() for n in (1, 2000)]
    assert moved[0] < moved[1] / 2
    unlike = [(features * 0, right) for features, right in drawn(5, 5)]
    assert fit(unlike, TRUE).weights == pytest.approx(TRUE.weights)


def test_a_question_whose_answers_are_taken_away_is_less_likely_answered() -> None:
    """All questions are alike and clearly questions; only how near the chosen entry's own question is tells them apart."""
    chance = np.random.default_rng(8)
    cases = []
    for _ in range(400):
        features = chance.random((6, len(FEATURES))).astype(np.float32) * 0.5
        features[:, len(OF_ENTRY) :] = 0.0
        features[0, :2] = 0.9 + 0.1 * chance.random(2)
        cases.append((features, np.arange(6) == 0))
    fitted = fit([*cases, *((features * 0, right & False) for features, right in cases[:100])], START)
    whole, without = ([fitted.something(features[row:]) for features, _ in cases] for row in (0, 1))
    assert np.mean(np.array(whole) > np.array(without)) > 0.95


def test_where_every_query_has_an_answer_a_fit_still_knows_what_none_looks_like() -> None:
    answered = [case for case in drawn(400, 9) if case[1].any() and not case[1].all()]
    fitted = fit(answered, START)
    without = np.mean([fitted.something(features[~right]) for features, right in answered])
    assert without < 0.8, "a third of what the fit saw was asked without its answer"
    assert without < np.mean([fitted.something(features) for features, _ in answered])


def test_several_entries_may_answer() -> None:
    features = np.zeros((3, len(FEATURES)), np.float32)
    features[:, 0] = [1.0, 1.0, 0.0]
    fitted = fit([(features, np.array([True, True, False]))] * 50, START)
    probabilities = fitted.probabilities(features)
    assert probabilities[0] == pytest.approx(probabilities[1])
    assert probabilities[:2].sum() > 0.9


def test_weights_are_kept_by_their_names() -> None:
    facts = json.loads(json.dumps(TRUE.to_json()))
    assert Scorer.from_json(facts) == TRUE
    facts["weights"]["colour"] = 1.0
    with pytest.raises(ValueError, match="colour"):
        Scorer.from_json(facts)


def test_weights_from_before_a_feature_was_known_give_it_none() -> None:
    facts = TRUE.to_json()
    del facts["weights"]["question"]
    assert Scorer.from_json(facts) == replace(TRUE, weights=(0.0, *TRUE.weights[1:]))
    with pytest.raises(ValueError, match="expected weights of"):
        Scorer.from_json({"weights": {}, "nothing": 1.0, "together": 1.0, "likeness": 0.0})


def test_no_fit_holds_against_an_entry_what_speaks_for_it() -> None:
    weights = dict(zip(FEATURES, TRUE.weights, strict=True))
    misleading = Scorer(tuple((weights | {"question": -5.0, "background": 5.0}).values()), 1.0, 0.5, -5.0)
    fitted = fit(drawn(2000, 6, misleading), START)
    found = dict(zip(FEATURES, fitted.weights, strict=True))
    assert min(found[name] for name in OF_ENTRY) == found["question"] == 0.0
    assert (fitted.likeness, found["background"]) == (0.0, 0.0), "nor what asks nothing for one"
    unlikely = Scorer(TRUE.weights, 1.0, -1.0)
    assert fit(drawn(2000, 6, unlikely), START).together == 0.0


@pytest.mark.parametrize(("with_subject", "with_alternatives"), [(0.0, 0.0), (0.0, 1.0), (0.3, 0.8), (1.0, 0.0)])
def test_what_comes_with_frontdesk_prefers_the_entry_for_which_more_speaks(
    with_subject: float, with_alternatives: float
) -> None:
    scorer = default_scorer(with_subject, with_alternatives)
    weights = dict(zip(FEATURES, scorer.weights, strict=True))
    assert min(*(weights[name] for name in OF_ENTRY), scorer.together, scorer.likeness) >= 0
    assert weights["background"] <= 0
    assert all(sum(weights[name] for name in group) > 0 for group in (MEANING, REGRESSION))


def test_a_knowledge_like_one_that_was_fitted_on_gets_its_weights_and_one_in_between_gets_some_in_between() -> None:
    facts = json.loads(DEFAULTS.read_text(encoding="utf-8"))
    for fitted in facts.values():
        default = default_scorer(fitted["with_subject"], fitted["with_alternatives"])
        np.testing.assert_allclose(default.weights, Scorer.from_json(fitted).weights)
        known = ("nothing", "together", "likeness")
        assert [getattr(default, name) for name in known] == pytest.approx([fitted[name] for name in known])
    some, none = facts["with_alternatives"]["with_alternatives"], 0.0
    ends = [default_scorer(0.0, share) for share in (some, none)]
    assert ends[0] != ends[1]
    between = default_scorer(0.0, some / 2)
    np.testing.assert_allclose(between.weights, np.add(ends[0].weights, ends[1].weights) / 2)
    assert default_scorer(0.0, 1.0) == ends[0], "more than was ever fitted on"
    assert default_scorer(1.0, 0.0) == default_scorer(1.0, 1.0), "with subjects alternatives do not matter"
