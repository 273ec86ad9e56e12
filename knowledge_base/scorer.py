"""How much speaks for an entry, and for none: fitted weights of what search knows of each candidate and of the message.

The choice is nested (McFadden 1978, "Modelling the Choice of Residential Location"): whether any entry answers, and if one
does, which. What makes a message a question is not what makes an entry its answer, so each has weights of its own. The
probabilities of all candidates and of nothing sum to 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Case = tuple[
        NDArray[np.float32], NDArray[np.bool_]
    ]  # the features of a query's candidates, and which of them answer

OF_ENTRY = (  # of a candidate: they weigh between the entries
    "question",  # cosine of the nearest question or alternative, it and the message each without a subject
    "whole",  # cosine of the whole entry
    "question_in_context",  # the same two with the customer's message before in front of the message
    "whole_in_context",
    "regression",  # how far all texts near the message point at it together, as a logarithm
    "regression_in_context",
    "words",  # BM25 of the message
    "wording",  # how much of the message it says, each word by the likest one, see `knowledge_base.wording`
    "context_words",  # BM25 of the customer's message before it
    "recent",  # 1 where the entry was cited in one of the last two replies
    "subject",  # how far its subject is named in the message
    "subject_before",  # how much its subject was spoken of before, by either side
    "category",  # the same two of its category
    "category_before",
)
OF_MESSAGE = (  # the same for all candidates: they weigh between any entry and nothing
    "background",  # its cosine with the likest of what people say that asks nothing, see `knowledge_base.background`
    "length",  # the logarithm of 1 + its words
)
FEATURES = (*OF_ENTRY, *OF_MESSAGE)
DEFAULTS = Path(__file__).with_name("scorer.json")
# How firmly a fit holds to the weights it starts from: a standard deviation of one, in units in which a feature has a
# standard deviation of one. With a few dozen queries the start matters, with some hundred it hardly does.
PRIOR_PRECISION = 1.0
# What an answered case counts as one that nothing answers, asked without the entries that do: so a fit learns to tell a question
# that is like others, but not answered, from one that is.
WITHOUT_ANSWER = 0.5
FURTHEST = 10.0  # nats: odds of 20,000 to 1


@dataclass(frozen=True, slots=True)
class Scorer:
    """Weights of `FEATURES`, what speaks for nothing, and how much what speaks for entries says that one answers.

    With u the utilities of the candidates, q their feature "question", p their shares of the choice (exp(u), summing to 1) and m
    what the message adds, the log-odds that any of them answers are
    together * log(sum(exp(u))) + likeness * sum(p * q) + m - nothing.
    """

    weights: tuple[float, ...]
    nothing: float
    together: float = 1.0
    likeness: float = 0.0

    def utilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n,) for (n, len(FEATURES)): what speaks for each candidate, against the others."""
        import numpy as np

        of_entry = len(OF_ENTRY)
        return np.asarray(np.asarray(features[:, :of_entry], np.float64) @ np.asarray(self.weights[:of_entry]))

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n, len(OF_ENTRY)): each feature of a candidate times its weight."""
        import numpy as np

        of_entry = len(OF_ENTRY)
        return np.asarray(np.asarray(features[:, :of_entry], np.float64) * np.asarray(self.weights[:of_entry]))

    def something(self, features: NDArray[np.float32]) -> float:
        """Return the probability that any of the candidates answers; 0 where there are none."""
        return self._something(features, self.utilities(features))

    def _something(self, features: NDArray[np.float32], utilities: NDArray[np.float64]) -> float:
        return _logistic(float(_of_message(features, utilities) @ self._of_any)) if len(features) else 0.0

    def reasons(self, features: NDArray[np.float32]) -> dict[str, float]:
        """Return what adds to the log-odds that any of the candidates answers, by its name; nothing where there are none."""
        if not len(features):
            return {}
        added = (_of_message(features, self.utilities(features)) * self._of_any).tolist()
        return dict(zip(("together", "likeness", *OF_MESSAGE, "nothing"), added, strict=True))

    @property
    def _of_any(self) -> NDArray[np.float64]:
        """The weights of `_of_message`."""
        import numpy as np

        return np.array([self.together, self.likeness, *self.weights[len(OF_ENTRY) :], self.nothing])

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n,): the probability that each candidate answers; what is left to 1 is that of nothing."""
        import numpy as np

        utilities = self.utilities(features)
        return np.asarray(np.exp(utilities - _log_sum(utilities)) * self._something(features, utilities))

    def to_json(self) -> dict[str, Any]:
        """Return the weights by their names."""
        weights = dict(zip(FEATURES, self.weights, strict=True))
        return {"weights": weights, "nothing": self.nothing, "together": self.together, "likeness": self.likeness}

    @staticmethod
    def weighs_the_same(facts: Mapping[str, Any]) -> bool:
        """Say whether what `to_json` gave weighs what this version does, and not the features of another."""
        return set(facts["weights"]) <= set(FEATURES) and {"nothing", "together", "likeness"} <= set(facts)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Scorer:
        """Read what `to_json` gave; a feature that was not known when the weights were fitted weighs nothing.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        weights = facts["weights"]
        if not weights or not set(weights) <= set(FEATURES):
            raise ValueError(f"expected weights of {', '.join(FEATURES)}, got {', '.join(weights)}")
        known = tuple(float(weights.get(name, 0.0)) for name in FEATURES)
        return cls(known, float(facts["nothing"]), float(facts["together"]), float(facts["likeness"]))


@cache
def default_scorer(with_subject: float, with_alternatives: float) -> Scorer:
    """Return the weights that come with Frontdesk; `scorer.json` names what they were fitted on, and how.

    Three were fitted: for entries that all have a subject, where many say the same of different subjects; and for entries that
    mostly have none, with alternatives and without any. What lies between the knowledge that they were fitted on gets weights
    between theirs. `with_subject` and `with_alternatives` are the shares of the entries that have some.
    """
    facts = json.loads(DEFAULTS.read_text(encoding="utf-8"))
    named, plain, bare = (facts[name] for name in ("with_subjects", "with_alternatives", "without_alternatives"))
    subjects = _between(with_subject, plain["with_subject"], named["with_subject"])
    alternatives = _between(with_alternatives, bare["with_alternatives"], plain["with_alternatives"])
    shares = (subjects, (1 - subjects) * alternatives, (1 - subjects) * (1 - alternatives))
    fits = [Scorer.from_json(one) for one in (named, plain, bare)]
    weights = zip(*((*one.weights, one.nothing, one.together, one.likeness) for one in fits), strict=True)
    *mixed, nothing, together, likeness = (
        sum(share * w for share, w in zip(shares, of_one, strict=True)) for of_one in weights
    )
    return Scorer(tuple(mixed), nothing, together, likeness)


def _between(value: float, low: float, high: float) -> float:
    """Return how far a value is on the way from `low`, 0, to `high`, 1."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def fit(cases: Sequence[Case], start: Scorer) -> Scorer:
    """Return the weights that make the right choices likeliest, given that they lie near `start`.

    Which entry answers is fitted first, then whether any does (sequential estimation; Train 2009, "Discrete Choice Methods with
    Simulation", 4.2.4): with the answered cases once more without their answers, see WITHOUT_ANSWER. What speaks for nothing is
    then fitted to how often nothing answers the cases themselves, where some are answered and some are not.

    Args:
        cases: for each query the (n, len(FEATURES)) features of its candidates, and which of them (n,) answer it;
            none means that nothing does.
        start: the weights that are kept where the cases say little.
    """
    import numpy as np

    found = [case for case in cases if len(case[1])]
    answered = [case for case in found if case[1].any()]
    if not found:
        return start
    between = np.asarray(start.weights[: len(OF_ENTRY)])
    if answered:
        choices = _Choices.of(answered)
        between = _nearest_best(choices.features, between, [(0.0, None)] * len(OF_ENTRY), choices.loss)
    fitted = replace(start, weights=(*between.tolist(), *start.weights[len(OF_ENTRY) :]))
    without = [(features[~right], right[~right]) for features, right in answered if not right.all()]
    rows = np.stack([_of_message(features, fitted.utilities(features)) for features, _ in (*found, *without)])
    any_right = np.array([right.any() for _, right in (*found, *without)])
    counts = np.repeat([1.0, WITHOUT_ANSWER], [len(found), len(without)])

    def loss(odds: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        unlikely = np.logaddexp(0.0, np.where(any_right, -odds, odds))
        return float(counts @ unlikely), counts * (1 / (1 + np.exp(-odds)) - any_right)

    # What speaks for an entry, and what is like its question, never speaks for nothing, what asks nothing never against it.
    bounds = [(0.0, None), (0.0, None), (None, 0.0), (None, None), (None, None)]
    together, likeness, *of_message, nothing = _nearest_best(rows, start._of_any, bounds, loss).tolist()
    both = Scorer((*between.tolist(), *of_message), nothing, together, likeness)
    return fit_nothing(cases, both) if 0 < len(answered) < len(found) else both


def fit_nothing(cases: Sequence[Case], scorer: Scorer) -> Scorer:
    """Return the weights as they are, with what speaks for nothing as makes the right choices likeliest, see `fit`.

    It lies near what it is, as firmly as all weights do.
    """
    from scipy.optimize import minimize_scalar

    def loss(nothing: float) -> float:
        away = nothing - scorer.nothing
        return len(cases) * mean_loss(cases, replace(scorer, nothing=nothing)) + PRIOR_PRECISION / 2 * away**2

    near = (scorer.nothing - FURTHEST, scorer.nothing + FURTHEST)
    return replace(scorer, nothing=float(minimize_scalar(loss, bounds=near).x)) if cases else scorer


def mean_loss(cases: Sequence[Case], scorer: Scorer) -> float:
    """Return the mean cross-entropy in nats of the right choices, see `fit`; 0 without cases."""
    losses = [_loss(features, right, scorer) for features, right in cases if len(right)]
    return sum(losses) / max(1, len(cases))  # without candidates nothing is certain, and right


def _loss(features: NDArray[np.float32], right: NDArray[np.bool_], scorer: Scorer) -> float:
    import numpy as np

    utilities = scorer.utilities(features)
    odds = float(_of_message(features, utilities) @ scorer._of_any)
    if not right.any():
        return float(np.logaddexp(0.0, odds))
    return float(np.logaddexp(0.0, -odds)) + _log_sum(utilities) - _log_sum(utilities[right])


def _of_message(features: NDArray[np.float32], utilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what says whether any answers: all utilities, likeness to the likeliest, the features of the message, and -1."""
    import numpy as np

    together = _log_sum(utilities)
    like = float(np.exp(utilities - together) @ features[:, FEATURES.index("question")])
    return np.array([together, like, *features[0, len(OF_ENTRY) :].tolist(), -1.0])


def _log_sum(utilities: NDArray[np.float64]) -> float:
    """Return the logarithm of the sum of the exponentials."""
    import numpy as np

    highest = float(utilities.max(initial=-np.inf))
    return highest + math.log(float(np.exp(utilities - highest).sum())) if len(utilities) else -math.inf


def _logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-max(-500.0, min(500.0, odds))))


def _nearest_best(
    features: NDArray[np.float64],
    start: NDArray[np.float64],
    bounds: Sequence[tuple[float | None, float | None]],
    loss: Any,
) -> NDArray[np.float64]:
    """Return the weights (k,) of features (rows, k) with the least loss, given that they lie near `start`.

    `loss` gives for the weighed sums (rows,) the sum of losses and its slope by them.
    """
    import numpy as np
    from scipy.optimize import minimize

    spread = features.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    scaled, begun = features / scale, start * scale

    def penalised(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = loss(scaled @ values)
        away = values - begun
        return total + PRIOR_PRECISION / 2 * float(away @ away), scaled.T @ slope + PRIOR_PRECISION * away

    return np.asarray(minimize(penalised, begun, jac=True, method="L-BFGS-B", bounds=bounds).x / scale)


@dataclass(frozen=True, slots=True)
class _Choices:
    """All candidates of n cases, one row each: `features` (rows, len(OF_ENTRY)), and which of them (rows,) are right.

    Case i begins at row `starts[i]`, and row j belongs to case `case[j]`; in each at least one is right.
    """

    features: NDArray[np.float64]
    right: NDArray[np.bool_]
    starts: NDArray[np.int64]
    case: NDArray[np.int64]

    @classmethod
    def of(cls, cases: Sequence[Case]) -> _Choices:
        import numpy as np

        counts = np.array([len(right) for _, right in cases], np.int64)
        features = np.concatenate([features[:, : len(OF_ENTRY)] for features, _ in cases]).astype(np.float64)
        right = np.concatenate([right for _, right in cases])
        return cls(features, right, np.cumsum(counts) - counts, np.repeat(np.arange(len(counts)), counts))

    def loss(self, utilities: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the cross-entropy in nats of the right choices, summed, and its slope by the utilities (rows,)."""
        import numpy as np

        highest = np.maximum.reduceat(utilities, self.starts)[self.case]
        highest_right = np.maximum.reduceat(np.where(self.right, utilities, -np.inf), self.starts)[self.case]
        odds = np.exp(utilities - highest)
        odds_right = np.where(self.right, np.exp(np.minimum(utilities - highest_right, 0.0)), 0.0)
        total, total_right = (np.add.reduceat(each, self.starts) for each in (odds, odds_right))
        loss = np.log(total) + highest[self.starts] - np.log(total_right) - highest_right[self.starts]
        return float(loss.sum()), odds / total[self.case] - odds_right / total_right[self.case]
