"""Conversations as trees of token segments, flattened for one pass of the model.

A node sees its ancestors only, and positions count along the path, so what the model computes at a node
is what the server computes for the path that ends there (a test holds the two together). Trees that share
the system text are packed under one root: short messages cost their own tokens only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ROOT = -1


@dataclass(frozen=True, slots=True)
class Node:
    """A segment behind its parent (an index into the tree's nodes, or ROOT for the system text).

    The first `n_written` ids are targets of the next-token loss. `labels` maps a set to the target
    distribution {label index: weight} read at the last id. `key` says what the node stands for. The ids from
    `hideable[0]` up to `hideable[1]`, exclusive, are words that a pass may hide (see `pack`).
    """

    parent: int
    ids: tuple[int, ...]
    n_written: int = 0
    labels: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    key: tuple[int, str] = (0, "")
    hideable: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Tree:
    """The nodes of (a part of) one conversation, parents before children."""

    id: str
    nodes: tuple[Node, ...]

    @property
    def n_tokens(self) -> int:
        """Number of tokens without the system text."""
        return sum(len(node.ids) for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Reading:
    """A place in a pack where labels are read: `position` holds the hidden state, `labels` the targets."""

    position: int
    tree: str
    key: tuple[int, str]
    labels: Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class Pack:
    """Trees flattened under one system text; n is the number of tokens.

    `ids` and `positions` are (n,) int64, `visible` is (n, n) bool: row i may attend to column j.
    `sources` and `targets` are (m,) int64: the state at `sources` is to predict the id in `targets`.
    """

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    visible: NDArray[np.bool_]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    readings: tuple[Reading, ...]


def pack(system: Sequence[int], trees: Sequence[Tree], hidden: float = 0.0, seed: Sequence[int] = (0,)) -> Pack:
    """Flatten trees under one system text.

    With `hidden` each hideable id is hidden from all others with this probability, drawn by `seed` (word dropout,
    Iyyer et al. 2015, "Deep Unordered Composition"); never all that a node has. Positions stay as they are.
    """
    chance = np.random.default_rng(seed)
    n = len(system) + sum(tree.n_tokens for tree in trees)
    ids, positions = np.zeros(n, np.int64), np.zeros(n, np.int64)
    visible = np.zeros((n, n), np.bool_)
    root = len(system)
    ids[:root], positions[:root] = system, np.arange(root)
    visible[:root, :root] = np.tril(np.ones((root, root), np.bool_))
    at = root
    readings: list[Reading] = []
    sources: list[int] = []
    targets: list[int] = []
    drawn: list[NDArray[np.int64]] = []
    for tree in trees:
        ends: list[int] = []  # for each node, the place of its last id
        for node in tree.nodes:
            before = root - 1 if node.parent == ROOT else ends[node.parent]
            size = len(node.ids)
            span = slice(at, at + size)
            ids[span] = node.ids
            positions[span] = positions[before] + 1 + np.arange(size)
            visible[span] = visible[before]
            visible[span, span] = np.tril(np.ones((size, size), np.bool_))
            if hidden:
                drawn.append(at + node.hideable[0] + _drawn(chance, node.hideable[1] - node.hideable[0], hidden))
            for offset in range(node.n_written):
                sources.append(before if offset == 0 else at + offset - 1)
                targets.append(node.ids[offset])
            if node.labels:
                readings.append(Reading(at + size - 1, tree.id, node.key, node.labels))
            at += size
            ends.append(at - 1)
    if drawn:
        gone = np.concatenate(drawn)
        visible[:, gone] = False
        visible[gone, gone] = True  # attention needs something to look at
    return Pack(ids, positions, visible, np.asarray(sources, np.int64), np.asarray(targets, np.int64), tuple(readings))


def _drawn(chance: np.random.Generator, n: int, share: float) -> NDArray[np.int64]:
    """Return which of n places are hidden; none where all would be."""
    places = np.flatnonzero(chance.random(n) < share)
    return places if len(places) < n else places[:0]


def group(trees: Sequence[Tree], pack_tokens: int) -> list[list[Tree]]:
    """Group trees in the given order into packs of about `pack_tokens` tokens; a larger tree stands alone."""
    groups: list[list[Tree]] = []
    used = 0
    for tree in trees:
        if not groups or used + tree.n_tokens > pack_tokens:
            groups.append([])
            used = 0
        groups[-1].append(tree)
        used += tree.n_tokens
    return groups


def path(tree: Tree, index: int) -> list[int]:
    """Return the ids from the tree's first segment down to a node, as the server would send them."""
    node = tree.nodes[index]
    return ([] if node.parent == ROOT else path(tree, node.parent)) + list(node.ids)
