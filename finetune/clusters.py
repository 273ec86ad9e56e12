"""Messages that want the same, found without labels: a tree of average linkage, cut where branches are unrelated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

# Fitted on multidogo.dev (docs/decisions.md): directions kept, the power to which a direction's spread is left, the weight
# of what follows a request beside the request itself, and the mean cosine distance from which on two groups of requests
# are two intents (that of two requests drawn at random is 1).
DIRECTIONS = 100
SPREAD_POWER = 0.5
FOLLOWING_WEIGHT = 0.5
UNRELATED = 0.92
SMALLEST_SHARE = 0.005  # of the requests; a smaller piece of the tree joins the cluster that it is nearest to
LINKED = 10_000  # requests in the tree, whose distances take 8 * n * n / 2 bytes; others join the nearest cluster


@dataclass(frozen=True, slots=True)
class Clusters:
    """What belongs together: `labels` (n,) counts from 0, the largest cluster first; `points` is (n, d), unit rows."""

    labels: Labels
    points: Array

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return int(self.labels.max()) + 1

    def members(self, label: int) -> Labels:
        """Return the places of a cluster's points, the most central first."""
        places = np.flatnonzero(self.labels == label)
        nearness = self.points[places] @ self.points[places].mean(axis=0)
        return places[np.argsort(-nearness.round(9), kind="stable")]


def request_points(requests: NDArray[Any], following: NDArray[Any]) -> Array:
    """Return points (n, d), unit rows, in which requests are near that want the same.

    Common directions of the embeddings say what all messages share; they are damped by scaling every direction to the
    square root of its spread.

    Args:
        requests: (n, dimension) embeddings of the requests.
        following: (n, dimension) mean embeddings of what was said behind each, zero where nothing was.
    """
    points = _damped(requests)
    said = np.linalg.norm(following, axis=1) > 0
    if said.any():
        behind = np.zeros((len(points), min(DIRECTIONS, int(said.sum()), following.shape[1])))
        behind[said] = _damped(_unit(following[said]))
        points = np.hstack([points, FOLLOWING_WEIGHT * behind])
    return _unit(points)


def clustered(points: Array, seed: int, n_clusters: int = 0, smallest: int = 0) -> Clusters:
    """Return the clusters of points (n, d), unit rows; n >= 2.

    Args:
        points: what is clustered.
        seed: chooses the points that make the tree where there are more than LINKED.
        n_clusters: how many clusters; 0 leaves it to UNRELATED. There may be fewer.
        smallest: the fewest points of a cluster; 0 means 2 where `n_clusters` is given, else SMALLEST_SHARE of them.
            The tree asks as large a share of the points that make it.
    """
    chosen = np.arange(len(points))
    if len(points) > LINKED:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), LINKED, replace=False))
    if smallest:
        least = max(2, round(smallest * len(chosen) / len(points)))
    else:  # who asks for many gets small ones too
        least = 2 if n_clusters else max(2, math.ceil(SMALLEST_SHARE * len(chosen)))
    tree = _Tree(points[chosen], least)
    pieces = tree.pieces(tree.merges_for(n_clusters) if n_clusters else tree.related_merges())
    centres = _centres(points[chosen], pieces, tree.smallest)
    labels = (points @ centres.T).argmax(axis=1)
    labels[chosen] = _whole(points[chosen], pieces, centres, tree.smallest)
    return Clusters(_by_size(labels), points)


class _Tree:
    """The merges of average linkage over cosine distances, from n single points to one cluster."""

    def __init__(self, points: Array, smallest: int) -> None:
        from scipy.cluster.hierarchy import linkage
        from scipy.spatial.distance import pdist

        self.points = points
        # Cosine distances of unit rows; rounded, so that the order of merges does not hang on the last bits of a sum.
        self.links: Array = linkage((pdist(points, "sqeuclidean") / 2).round(9), "average")
        sizes = np.concatenate([np.ones(len(points)), self.links[:, 3]])
        self.smallest = min(smallest, len(points))
        self.large = self._after_each(sizes >= self.smallest)

    def _after_each(self, counted: NDArray[np.bool_]) -> Labels:
        """Return (n,): how many counted clusters there are after 0, 1, ... n - 1 merges."""
        n = len(self.points)
        left, right = self.links[:, 0].astype(int), self.links[:, 1].astype(int)
        change = counted[n:].astype(int) - counted[left] - counted[right]
        return np.concatenate([[counted[:n].sum()], counted[:n].sum() + np.cumsum(change)]).astype(np.int64)

    def merges_for(self, n_clusters: int) -> int:
        """Return the most merges that leave so many large clusters, or as many as there ever are."""
        return int(np.flatnonzero(self.large >= min(n_clusters, self.large.max())).max())

    def related_merges(self) -> int:
        """Return how many merges join what is nearer than UNRELATED, but no more than leave two large clusters."""
        related = int((self.links[:, 2] <= UNRELATED).sum())
        enough = np.flatnonzero(self.large >= min(2, self.large.max()))
        return int(min(related, enough.max()) if self.large[related] else enough.max())

    def pieces(self, merges: int) -> Labels:
        """Return (n,): the piece that each point is in after so many merges; the numbers mean nothing."""
        n = len(self.points)
        leader = np.arange(n + merges)
        for merge in reversed(range(merges)):
            leader[self.links[merge, :2].astype(int)] = leader[n + merge]
        return np.unique(leader[:n], return_inverse=True)[1].astype(np.int64)


def _centres(points: Array, pieces: Labels, smallest: int) -> Array:
    """Return (k, d) unit mean directions of the large pieces."""
    sizes = np.bincount(pieces)
    return _unit(np.array([points[pieces == piece].mean(axis=0) for piece in np.flatnonzero(sizes >= smallest)]))


def _whole(points: Array, pieces: Labels, centres: Array, smallest: int) -> Labels:
    """Return (n,) the cluster of each point: a large piece is one, a small piece goes as a whole to the nearest."""
    sizes = np.bincount(pieces)
    cluster_of = np.full(len(sizes), -1)
    cluster_of[sizes >= smallest] = np.arange(len(centres))
    for piece in np.flatnonzero(cluster_of < 0):
        cluster_of[piece] = int((centres @ points[pieces == piece].mean(axis=0)).argmax())
    return cluster_of[pieces]


def _by_size(labels: Labels) -> Labels:
    """Return the labels numbered anew, the largest cluster first and equal ones by their first point."""
    names, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    number = {int(names[place]): rank for rank, place in enumerate(order)}
    return np.array([number[int(label)] for label in labels], np.int64)


def _damped(vectors: NDArray[Any]) -> Array:
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(DIRECTIONS, len(spread))
    return _unit(left[:, :kept] * spread[:kept] ** SPREAD_POWER)


def _unit(vectors: NDArray[Any]) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(float).tiny), np.float64)
