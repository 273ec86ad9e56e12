"""Which subjects a conversation is about: names found as they are typed, misspelt or heard.

A word is compared by its letters and by how it sounds, in runs of up to three words ("key tava" is Kitava). How much
speaks for a name is the share of its words that are in a message times what they weigh, each by how rare it is: "hotel"
says little, "Kitava" nearly everything.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from knowledge_base.lexical import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

LONGEST_RUN = 3  # words of a message that may be one word of a name
FULL_WEIGHT = 2.0  # words that stand in one text only: a name found with as many cannot be meant more clearly
SHARPNESS = 4  # how fast a likeness counts for less: words share letters by chance, and half alike is hardly alike
REMEMBERED_MESSAGES = 512  # a conversation is searched again at each of its turns
# Letters that are heard alike, in English, the vowels as one: recognised speech confuses these above all.
_SOUNDS = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("ph", "f"),
        ("wr", "r"),
        ("[ck]n", "n"),
        ("[sc]h", "x"),
        ("c(?=[eiy])", "s"),
        ("ck|q|c", "k"),
        ("z", "s"),
        ("gh|h", ""),
        ("w|v", "v"),
        ("[aeiouy]+", "a"),
        (r"(.)\1+", r"\1"),
    )
)


class Names:
    """A collection of names; never changed after it is built.

    Args:
        names: what may be named.
        texts: what is said about each, for how rare a word is; it should hold the name.
    """

    def __init__(self, names: Sequence[str], texts: Sequence[str]) -> None:
        import numpy as np

        in_texts = Counter(word for text in texts for word in set(words(text)))
        self.names = tuple(names)
        self._words = [list(dict.fromkeys(words(name))) for name in names]
        vocabulary = sorted({word for found in self._words for word in found})
        places = {word: place for place, word in enumerate(vocabulary)}
        rare = np.array([math.log(1 + len(texts) / in_texts[word]) for word in vocabulary], np.float32)
        self._pieces = _pieces_of(vocabulary)
        self._known = _matrix([_grams(word) for word in vocabulary], self._pieces)
        self._owned = _weights([[places[word] for word in found] for found in self._words], rare)
        self._whole = np.asarray(self._owned.sum(axis=1), np.float32).ravel()
        self._full = np.float32(FULL_WEIGHT * math.log(1 + len(texts)))
        self._mentions = lru_cache(maxsize=REMEMBERED_MESSAGES)(self._compute_mentions)

    def mentions(self, message: str) -> NDArray[np.float32]:
        """Return how much speaks for each name in a message, (n,), from 0 to 1; read-only."""
        return self._mentions(message)

    def _compute_mentions(self, message: str) -> NDArray[np.float32]:
        import numpy as np

        runs = _runs(words(message))
        if not runs or not self.names:
            return np.zeros(len(self.names), np.float32)
        alike = _matrix([_grams(run) for run in runs], self._pieces) @ self._known.T
        nearest = np.asarray(alike.max(axis=0).todense(), np.float32).ravel()
        weight = self._owned @ nearest**SHARPNESS
        found = np.asarray(np.minimum(1.0, weight / self._whole * weight / self._full), np.float32)
        found.flags.writeable = False
        return found


def latest(mentions: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return (n,): how far each name is what was last spoken of; a mention fades as others are clearly named after it."""
    import numpy as np

    held = np.zeros_like(mentions[0]) if mentions else np.zeros(0, np.float32)
    for found in mentions:
        held = np.maximum(found, held * (1 - found.max(initial=0.0) ** 2))
    return np.asarray(held, np.float32)


def _runs(found: Sequence[str]) -> list[str]:
    """Return every run of one to LONGEST_RUN words as one word."""
    runs = ("".join(found[i : i + n]) for n in range(1, LONGEST_RUN + 1) for i in range(len(found) - n + 1))
    return list(dict.fromkeys(runs))


@lru_cache(maxsize=1 << 14)
def _grams(word: str) -> frozenset[str]:
    """Return the pairs and triples of characters of a word, as it is written and as it sounds."""
    sound = word
    for pattern, letters in _SOUNDS:
        sound = pattern.sub(letters, sound)
    return frozenset(
        f"{kind}{text[i : i + n]}"
        for kind, text in (("w", f"<{word}>"), ("s", f"<{sound}>"))
        for n in (2, 3)
        for i in range(len(text) - n + 1)
    )


def _pieces_of(vocabulary: Sequence[str]) -> dict[str, int]:
    return {gram: place for place, gram in enumerate(sorted({gram for word in vocabulary for gram in _grams(word)}))}


def _matrix(rows: Sequence[frozenset[str]], pieces: Mapping[str, int]) -> csr_matrix:
    """Return unit rows, so that a product is a cosine; what is in no name counts for the length alone."""
    import numpy as np
    from scipy.sparse import csr_matrix

    columns = [[pieces[gram] for gram in row if gram in pieces] for row in rows]
    ends = np.cumsum([0, *(len(row) for row in columns)])
    values = [1 / math.sqrt(len(row)) for row, kept in zip(rows, columns, strict=True) for _ in kept]
    flat = np.array([column for row in columns for column in row], np.int64)
    return csr_matrix((np.array(values, np.float32), flat, ends), shape=(len(rows), len(pieces)))


def _weights(rows: Sequence[Sequence[int]], rare: NDArray[np.float32]) -> csr_matrix:
    """Return for each name what its words weigh."""
    import numpy as np
    from scipy.sparse import csr_matrix

    ends = np.cumsum([0, *(len(row) for row in rows)])
    flat = np.array([column for row in rows for column in row], np.int64)
    return csr_matrix((rare[flat], flat, ends), shape=(len(rows), len(rare)))
