"""How much speaks for an entry, and for none: fitted weights of what search knows of each candidate.

The probability that a candidate answers is that of a choice between all candidates and nothing (McFadden 1974,
"Conditional Logit Analysis of Qualitative Choice Behavior"), so the probabilities of all hits and of nothing sum to 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEATURES = (
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
    "subject_latest",  # how far its subject is what was last spoken of before, by either side
    "subject_ever",  # how far its subject was ever named before
    "category",  # the same three of its category
    "category_latest",
    "category_ever",
    "asks",  # the highest "question" of all candidates: how much like a question the message is
    "named",  # the highest of all subjects: how sure it is what is spoken of
)
OF_ALL = ("asks", "named")  # the same for all candidates: they weigh between any entry and nothing
DEFAULTS = Path(__file__).with_name("scorer.json")
# How firmly a fit holds to the weights it starts from: a standard deviation of one, in units in which a feature has a
# standard deviation of one. With a few dozen queries the start matters, with some hundred it hardly does.
PRIOR_PRECISION = 1.0
FURTHEST = 10.0  # nats: odds of 20,000 to 1


@dataclass(frozen=True, slots=True)
class Scorer:
    """Weights of `FEATURES`, and what speaks for nothing."""

    weights: tuple[float, ...]
    nothing: float

    def utilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n,) for (n, len(FEATURES)): what speaks for each candidate, against nothing."""
        import numpy as np

        return np.asarray(np.asarray(features, np.float64) @ np.asarray(self.weights) - self.nothing)

    def contributions(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n, len(FEATURES)): what each feature adds to a candidate's utility."""
        import numpy as np

        return np.asarray(np.asarray(features, np.float64) * np.asarray(self.weights))

    def probabilities(self, utilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,): the probability that each candidate answers; what is left to 1 is that of nothing."""
        import numpy as np

        highest = max(0.0, float(utilities.max(initial=0.0)))
        odds = np.exp(utilities - highest)
        return np.asarray(odds / (odds.sum() + np.exp(-highest)))

    def to_json(self) -> dict[str, Any]:
        """Return the weights by their names."""
        return {"weights": dict(zip(FEATURES, self.weights, strict=True)), "nothing": self.nothing}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Scorer:
        """Read what `to_json` gave; a feature that was not known when the weights were fitted weighs nothing.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        weights = facts["weights"]
        if not weights or not set(weights) <= set(FEATURES):
            raise ValueError(f"expected weights of {', '.join(FEATURES)}, got {', '.join(weights)}")
        return cls(tuple(float(weights.get(name, 0.0)) for name in FEATURES), float(facts["nothing"]))


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
    weights = zip(*(one.weights for one in fits), strict=True)
    return Scorer(
        tuple(sum(share * w for share, w in zip(shares, of_one, strict=True)) for of_one in weights),
        sum(share * one.nothing for share, one in zip(shares, fits, strict=True)),
    )


def _between(value: float, low: float, high: float) -> float:
    """Return how far a value is on the way from `low`, 0, to `high`, 1."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def fit(cases: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], start: Scorer) -> Scorer:
    """Return the weights that make the right choices likeliest, given that they lie near `start`.

    Args:
        cases: for each query the (n, len(FEATURES)) features of its candidates, and which of them (n,) answer it;
            none means that nothing does.
        start: the weights that are kept where the cases say little.
    """
    import numpy as np
    from scipy.optimize import minimize

    choices = _Choices.of(cases)
    spread = np.concatenate([features for features, _ in cases]).astype(np.float64).std(axis=0)
    scale = np.append(np.where(spread > 1e-6, spread, 1.0), 1.0)
    scaled = choices.features / scale
    begun = np.append(np.asarray(start.weights), start.nothing) * scale

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, excess = choices.loss(scaled @ values)
        away = values - begun
        return total + PRIOR_PRECISION / 2 * float(away @ away), scaled.T @ excess + PRIOR_PRECISION * away

    bounds = [(None, None) if name in OF_ALL else (0.0, None) for name in FEATURES] + [(None, None)]
    found = minimize(loss, begun, jac=True, method="L-BFGS-B", bounds=bounds).x / scale
    return Scorer(tuple(float(w) for w in found[:-1]), float(found[-1]))


def fit_nothing(cases: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], scorer: Scorer) -> Scorer:
    """Return the weights as they are, with what speaks for nothing as makes the right choices likeliest, see `fit`."""
    from scipy.optimize import minimize_scalar

    near = (scorer.nothing - FURTHEST, scorer.nothing + FURTHEST)
    found = minimize_scalar(lambda nothing: mean_loss(cases, replace(scorer, nothing=nothing)), bounds=near)
    return replace(scorer, nothing=float(found.x)) if cases else scorer


def mean_loss(cases: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], scorer: Scorer) -> float:
    """Return the mean cross-entropy in nats of the right choices, see `fit`; 0 without cases."""
    import numpy as np

    if not cases:
        return 0.0
    choices = _Choices.of(cases)
    return choices.loss(choices.features @ np.append(scorer.weights, scorer.nothing))[0] / len(cases)


@dataclass(frozen=True, slots=True)
class _Choices:
    """All that is chosen between in n cases, one row each, in each case last nothing.

    `features` is (rows, len(FEATURES) + 1), the last column -1 for what is weighed against nothing, 0 for nothing itself;
    `right` (rows,) is what answers; case i begins at row `starts[i]`, and row j belongs to case `case[j]`.
    """

    features: NDArray[np.float64]
    right: NDArray[np.bool_]
    starts: NDArray[np.int64]
    case: NDArray[np.int64]

    @classmethod
    def of(cls, cases: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> _Choices:
        import numpy as np

        counts = np.array([len(right) + 1 for _, right in cases], np.int64)
        ends = np.cumsum(counts)
        features = np.zeros((ends[-1], len(FEATURES) + 1))
        entries = np.ones(ends[-1], np.bool_)
        entries[ends - 1] = False
        features[entries, :-1] = np.concatenate([of_case for of_case, _ in cases])
        features[entries, -1] = -1.0
        right = np.concatenate([np.append(of_case, not of_case.any()) for _, of_case in cases])
        return cls(features, right, ends - counts, np.repeat(np.arange(len(counts)), counts))

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
