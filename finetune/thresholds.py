"""From which score on something is done: thresholds and curves fitted on judged rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chatbot.calibration import Logistic, log_odds
from knowledge_base.scorer import FURTHEST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

FOLDS = 10  # as usual
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

    model = _regression().fit(np.asarray(features), labels, logisticregression__sample_weight=weights)
    scaler, fitted = model[0], model[-1]
    unscaled = fitted.coef_[0] / scaler.scale_
    return Logistic(tuple(float(w) for w in unscaled), float(fitted.intercept_[0] - (unscaled * scaler.mean_).sum()))


def foresees_better(
    more: Sequence[Sequence[float]], features: Sequence[Sequence[float]], labels: Sequence[bool]
) -> bool:
    """Say whether `logistic` on `more` features of n rows foresees rows it has not seen better than on `features`.

    Its cross-entropy in cross-validation is to be lower by more than a standard error of the difference: of models that are
    alike the simpler is taken (Breiman et al. 1984, "Classification and Regression Trees", 3.4.3), also where the labels are
    too few to tell.
    """
    if min(sum(labels), len(labels) - sum(labels)) < FOLDS:
        return False
    gained = _unseen_loss(features, labels) - _unseen_loss(more, labels)
    return bool(gained.mean() > gained.std() / math.sqrt(len(gained)))


def _unseen_loss(features: Sequence[Sequence[float]], labels: Sequence[bool]) -> NDArray[np.float64]:
    """Return the cross-entropy in nats of each row, (n,), by a fit on the rows of other folds."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS)
    foreseen = cross_val_predict(_regression(), np.asarray(features), labels, cv=folds, method="predict_proba")
    return np.asarray(-np.log(np.where(labels, foreseen[:, 1], foreseen[:, 0])))


def _regression() -> Pipeline:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
