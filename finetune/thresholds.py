"""From which score on something is done: thresholds and curves fitted on judged rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chatbot.calibration import Logistic, log_odds
from knowledge_base.scorer import FURTHEST

FLATTEST = 0.01  # a slope by log-odds below which scores say nothing


def threshold(judged: Sequence[tuple[float, bool]], max_error: float) -> float | None:
    """Return the lowest score from which on at most `max_error` of the rows are wrong; None if there is none."""
    ordered = sorted(judged, key=lambda row: -row[0])
    best, wrong = None, 0
    for place, (score, right) in enumerate(ordered, start=1):
        wrong += not right
        last_of_score = place == len(ordered) or ordered[place][0] < score
        if last_of_score and wrong <= max_error * place:
            best = score
    return best


def worthwhile(judged: Sequence[tuple[float, bool]]) -> float | None:
    """Return the score from which on a row is likelier right than wrong; None if no row is.

    For a question back: an offer of two entries, none of which answers, costs what a useful offer gains. The score is where
    a logistic regression on the log-odds of the scores crosses one half: all rows place it, not the few beside it.
    """
    scores, labels = [score for score, _ in judged], [right for _, right in judged]
    if all(labels) or not any(labels):
        return min(scores) if scores and labels[0] else None
    curve = logistic([[log_odds(score)] for score in scores], labels)
    if curve.weights[0] < FLATTEST:
        return min(scores) if 2 * sum(labels) > len(labels) else None
    crossing = 1 / (1 + math.exp(min(FURTHEST, curve.bias / curve.weights[0])))
    return crossing if crossing <= max(scores) else None


def logistic(
    features: Sequence[Sequence[float]], labels: Sequence[bool], weights: Sequence[float] | None = None
) -> Logistic:
    """Fit a logistic regression on rows that may be weighed; its own weights are on the features' scale.

    The features are standardised first, so that scikit-learn's usual regularisation (C = 1) means the same for each.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(np.asarray(features))
    model = LogisticRegression(C=1.0, max_iter=1000)
    model.fit(scaler.transform(np.asarray(features)), labels, sample_weight=weights)
    unscaled = model.coef_[0] / scaler.scale_
    return Logistic(tuple(float(w) for w in unscaled), float(model.intercept_[0] - (unscaled * scaler.mean_).sum()))
