"""A map of the clusters: requests that want the same lie together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finetune.clusters import Array, Clusters
from finetune.naming import Proposal

SHOWN_REQUESTS = 2_000
SHOWN_NAMES = 25
_PERPLEXITY = 30  # scikit-learn's default; fewer requests have fewer neighbours


def draw_map(path: Path, clusters: Clusters, proposals: Sequence[Proposal], seed: int) -> None:
    """Draw an even sample of the requests in two dimensions, coloured by cluster, with the names of the largest."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    n = len(clusters.labels)
    shown = np.unique(np.linspace(0, n - 1, min(n, SHOWN_REQUESTS)).astype(int))
    spots, labels = flat(clusters.points[shown], seed), clusters.labels[shown]
    colours = pyplot.get_cmap("tab20")
    figure, axes = pyplot.subplots(figsize=(11, 8))
    axes.scatter(spots[:, 0], spots[:, 1], s=7, c=[colours(label % colours.N) for label in labels], linewidths=0)
    for proposal in proposals[:SHOWN_NAMES]:
        own = spots[labels == proposal.cluster - 1]
        if len(own):
            middle = np.median(own, axis=0)
            text = f"{proposal.name} ({proposal.size:,})"
            axes.annotate(text, middle, fontsize=7, ha="center", bbox={"fc": "white", "alpha": 0.7, "lw": 0, "pad": 1})
    sample = "" if len(shown) == n else f", {len(shown):,} of them shown"
    axes.set(title=f"{n:,} first requests in {clusters.count} clusters{sample}", xticks=[], yticks=[])
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def flat(points: Array, seed: int) -> Array:
    """Return (n, 2): t-SNE of the points (van der Maaten and Hinton 2008)."""
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(points) - 1) / 3)
    placed = TSNE(perplexity=perplexity, metric="cosine", init="random", random_state=seed).fit_transform(points)
    return np.asarray(placed, np.float64)
