"""What a trained student reads off many conversations at once: label log-probabilities and words' losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.student import Reader
from finetune.tree import Tree, group, pack

HEAD, EVIDENCE_HEAD = "H", "H'"
PACK_TOKENS = 512  # read together; nothing is learnt, so twice what training packs


@dataclass(frozen=True, slots=True)
class ReadLabels:
    """The log-probabilities of all sets that were read behind one message; `message` is its index.

    `kind` is HEAD (intent, next step) or EVIDENCE_HEAD (support).
    """

    conversation: str
    message: int
    kind: str
    logprobs: dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class ReadTrees:
    """All labels that were read, and the (n_words,) log-probabilities of all written words."""

    labels: tuple[ReadLabels, ...]
    words: NDArray[np.float32]

    def rows(self, name: str, kind: str = HEAD) -> dict[tuple[str, int], NDArray[Any]]:
        """Return {(conversation, message index): (n_labels,) log-probabilities} of one set."""
        return {
            (read.conversation, read.message): read.logprobs[name]
            for read in self.labels
            if read.kind == kind and name in read.logprobs
        }


def read_trees(
    reader: Reader,
    system: Sequence[int],
    trees: Sequence[Tree],
    pack_tokens: int,
    advance: Callable[[int], None] = lambda _count: None,
) -> ReadTrees:
    """Read trees in packs; `advance` is told how many were read."""
    labels: list[ReadLabels] = []
    words: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    for trees_together in group(trees, pack_tokens):
        flat = pack(system, trees_together)
        logprobs, written = reader.read(flat)
        words.append(written)
        seen = dict.fromkeys(logprobs, 0)
        for reading in flat.readings:
            read = {}
            for name in reading.labels:
                read[name] = logprobs[name][seen[name]]
                seen[name] += 1
            labels.append(ReadLabels(reading.tree, *reading.key, read))
        advance(len(trees_together))
    return ReadTrees(tuple(labels), np.concatenate(words))
