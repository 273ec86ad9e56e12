"""Which entries share a query's words, the rare ones above all: BM25 over everything that an entry says."""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The usual values; Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond".
K1, B = 1.2, 0.75
_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")  # kana and Chinese characters


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared: without case and width; unspaced scripts in pairs of characters."""
    found = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        start = 0
        for run in _UNSPACED.finditer(word):
            found += [word[start : run.start()], *_pairs(run[0])]
            start = run.end()
        found.append(word[start:])
    return [word for word in found if word]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


class LexicalIndex:
    """BM25 over the texts of a snapshot's entries; never changed after it is built.

    Scores are divided by the weight of a word that stands in one text only, so that they mean the same in small
    and large collections: a score of 2 is worth two such words.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from bm25s import BM25

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it tells of every index it builds
        split = [words(text) for text in texts]
        self._count = len(split)
        self._mean_length = sum(map(len, split)) / max(1, self._count)
        self._in_texts = Counter(word for found in split for word in set(found))
        self._index = BM25(k1=K1, b=B, method="lucene")
        if self._in_texts:
            self._index.index(split, show_progress=False)

    def scores(self, query: str) -> NDArray[np.float32]:
        """Return the score of every text, (n,)."""
        import numpy as np

        known = [word for word in dict.fromkeys(words(query)) if word in self._in_texts]
        if not known:
            return np.zeros(self._count, np.float32)
        return np.asarray(self._index.get_scores(known) / np.float32(self._weight(1)), np.float32)

    def score(self, query: str, text: str) -> float:
        """Return the score that a text would have in place of one of the indexed texts."""
        said = words(text)
        often = Counter(said)
        room = K1 * (1 - B + B * len(said) / max(self._mean_length, 1e-9))
        known = [word for word in dict.fromkeys(words(query)) if often[word] and word in self._in_texts]
        total = sum(self._weight(self._in_texts[word]) * often[word] / (often[word] + room) for word in known)
        return total / self._weight(1)

    def _weight(self, in_texts: int) -> float:
        """Return the inverse document frequency of a word, as Lucene computes it."""
        return math.log(1 + (self._count - in_texts + 0.5) / (in_texts + 0.5))
