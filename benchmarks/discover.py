"""How well discovered clusters agree with labels that were hidden, beside plain k-means on the same embeddings.

    python benchmarks/discover.py multidogo.train.jsonl.gz

The messages are those that `python -m finetune.discover` clusters: the first of each conversation that is more than a
pleasantry, found without labels. Measured are those with exactly one label, whatever it is, and of them those whose
label is an intent (not NO_INTENT). k-means (scikit-learn, the best of RESTARTS starts) gets the embeddings of the same
messages and the same number of clusters; its figures are means over SEEDS. Nothing is redacted here. Both numbers of
clusters are measured: the one that the command chooses, and the number of labels. Intervals: 95 % of resampled
conversations, clusterings fixed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from finetune.clusters import clustered, request_points
from finetune.embeddings import Embeddings
from finetune.requests import Request, first_requests
from finetune.transcripts import read_files
from knowledge_base.encoder import load_encoder

SEEDS = (0, 1, 2)
RESTARTS = 3
RESAMPLES = 200
NO_INTENT = frozenset(
    (
        "contentonly",
        "out_of_scope",
        "confirmation",
        "rejection",
        "thankyou",
        "openinggreeting",
        "closinggreeting",
    )
)

Numbers = NDArray[np.int64]
Measure = Callable[[Numbers, Numbers], float]


def main() -> None:
    """Measure all conversations together, then those of each tag."""
    given = _parser().parse_args()
    transcripts = read_files([Path(name) for name in given.files]).transcripts
    requests = [one for one in first_requests(transcripts) if len(_labels(one)) == 1]
    encoded = Embeddings.of(requests, load_encoder())
    tags = sorted({tag for one in requests for tag in one.transcript.tags}) if given.tags else []
    report = {}
    for tag in ["", *tags]:
        chosen = np.array([not tag or tag in one.transcript.tags for one in requests])
        part = [one for one, is_in in zip(requests, chosen, strict=True) if is_in]
        report[tag or "all"] = measured(part, encoded.requests[chosen], encoded.following[chosen])
        print(f"{tag or 'all'} measured", file=sys.stderr, flush=True)
    print(json.dumps(report, indent=1))


def measured(requests: Sequence[Request], vectors: NDArray[Any], following: NDArray[Any]) -> dict[str, Any]:
    """Return the figures of some requests, with the number of clusters chosen and with the number of labels."""
    names = [_labels(request)[0] for request in requests]
    truth = np.unique(names, return_inverse=True)[1]
    with_intent = np.array([name not in NO_INTENT for name in names])
    points = request_points(vectors, following)
    report: dict[str, Any] = {"n": len(names), "labels": len(set(names)), "n_with_intent": int(with_intent.sum())}
    for name, wanted in (("chosen", 0), ("number_of_labels", len(set(names)))):
        ours = clustered(points, 0, wanted).labels
        count = int(ours.max()) + 1
        plain = [KMeans(count, n_init=RESTARTS, random_state=seed).fit_predict(vectors) for seed in SEEDS]
        report[name] = {
            "clusters": count,
            "every_label": _compared(truth, ours, plain),
            "intents": _compared(truth[with_intent], ours[with_intent], [p[with_intent] for p in plain]),
        }
    return report


def accuracy(truth: Numbers, found: Numbers) -> float:
    """Return the share of messages in the cluster that stands for their label, matched one to one at best."""
    table = contingency_matrix(truth, found)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / table.sum())


def _nmi(truth: Numbers, found: Numbers) -> float:
    return float(normalized_mutual_info_score(truth, found))


def _compared(truth: Numbers, ours: Numbers, plain: Sequence[Numbers]) -> dict[str, Any]:
    found = {}
    rng = np.random.default_rng(0)
    samples = [rng.integers(len(truth), size=len(truth)) for _ in range(RESAMPLES)]
    measures: tuple[tuple[str, Measure], ...] = (("nmi", _nmi), ("accuracy", accuracy))
    for name, measure in measures:
        mine, theirs = measure(truth, ours), float(np.mean([measure(truth, one) for one in plain]))
        resampled = [
            (measure(truth[s], ours[s]), np.mean([measure(truth[s], one[s]) for one in plain])) for s in samples
        ]
        low, high = np.quantile([a for a, _ in resampled], (0.025, 0.975))
        worst, best = np.quantile([a / b for a, b in resampled if b], (0.025, 0.975))
        found[name] = {
            "discover": round(mine, 4),
            "interval": [round(float(low), 4), round(float(high), 4)],
            "k_means": round(theirs, 4),
            "ratio": round(mine / theirs, 3) if theirs else None,
            "ratio_interval": [round(float(worst), 3), round(float(best), 3)],
        }
    return found


def _labels(request: Request) -> tuple[str, ...]:
    return request.transcript.messages[request.index].intents


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="labelled transcripts")
    parser.add_argument("--tags", action=argparse.BooleanOptionalAction, default=True, help="each tag on its own too")
    return parser


if __name__ == "__main__":
    main()
