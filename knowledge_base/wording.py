"""Which entries say what a message says, be it in other words: each word of it beside the likest one of an entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from knowledge_base.lexical import LexicalIndex, words
from knowledge_base.subjects import BYTES_OF_ARRAY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE = 100  # texts, evenly spread, that stand for any text of the collection
MOST_COMPARED = 30_000  # words, the most frequent; what is rarer in a large collection is mostly codes and slips
REMEMBERED_BYTES = 1 << 24  # of how like words are: most of what customers write is the same few hundred
MOST_WORDS = 256  # of a message; an encoder does not read further either
AT_ONCE = 16  # words of a message that are compared together: most messages whole, and long ones in little memory


class Wording:
    """The words of a collection of texts, with their vectors; never changed after it is built.

    A word of a message is worth as much as it is rare, times its cosine with the likest word of a text beyond what the texts
    have in common with it: a word that every text knows something like tells nothing, and one that no text does speaks
    for none. The sum over a message says how much of it a text answers to. So misspelt and inflected words count for
    something, where BM25 sees none. The relaxed word mover's distance, too, moves each word to the likest one (Kusner et al.
    2015, "From Word Embeddings To Document Distances").
    """

    def __init__(self, lexical: LexicalIndex, vectors_of: Callable[[Sequence[str]], NDArray[np.float32]]) -> None:
        """Take the words of an index; `vectors_of` gives n words (n, size) unit vectors, 0 where it knows none."""
        import numpy as np

        self._lexical, self._vectors_of = lexical, vectors_of
        count, texts = len(lexical.words), np.arange(lexical.count)
        in_texts = np.diff(lexical.starts[: count + 1])
        self._compared = np.argsort(-in_texts, kind="stable")[:MOST_COMPARED]
        spelt = sorted(lexical.words, key=lexical.words.__getitem__)
        self._vectors = vectors_of([spelt[number] for number in self._compared])
        # The number `count` is that of no word: like nothing, and said by every text, so that none is empty.
        numbers = np.append(np.repeat(np.arange(count), in_texts), np.full(len(texts), count))
        said_by = np.concatenate([lexical.places, texts])
        self._said = numbers[np.argsort(said_by, kind="stable")].astype(np.int32)
        self._counts = np.bincount(said_by, minlength=len(texts))
        self._starts = np.cumsum(self._counts) - self._counts
        self._remembered: dict[str, NDArray[np.float32]] = {}
        self._most_remembered = REMEMBERED_BYTES // (BYTES_OF_ARRAY + 4 * count)
        self._usual = np.unique(np.linspace(0, len(texts) - 1, SAMPLE).astype(np.int64)) if len(texts) else texts

    def scores(
        self, message: str, places: NDArray[np.int64], instead: Mapping[int, str] | None = None
    ) -> NDArray[np.float32]:
        """Return how far each text at `places` (n,) says what a message says, (n,), in words that one text alone has.

        `instead` are other words of some texts, by their places.
        """
        import numpy as np

        asked = list(dict.fromkeys(words(message)))[:MOST_WORDS]
        if not asked or not len(places) or not self._lexical.words:
            return np.zeros(len(places), np.float32)
        texts = np.concatenate([places, self._usual])
        counts = self._counts[texts]
        begins = np.cumsum(counts) - counts
        said = self._said[np.repeat(self._starts[texts] - begins, counts) + np.arange(counts.sum())]
        scores = np.zeros(len(places), np.float32)
        for start in range(0, len(asked), AT_ONCE):
            some = asked[start : start + AT_ONCE]
            likeness = np.stack(self._likenesses(some), axis=1)
            likest = np.maximum.reduceat(likeness.take(said, axis=0), begins, axis=0)
            for place, text in (instead or {}).items():
                numbers = [self._lexical.words[word] for word in words(text) if word in self._lexical.words]
                likest[texts == place] = likeness[[*numbers, -1]].max(axis=0)
            excess = likest[: len(places)] - likest[len(places) :].mean(axis=0)
            scores += excess @ np.array([self._lexical.rarity(word) for word in some], np.float32)
        return scores

    def _likenesses(self, asked: Sequence[str]) -> list[NDArray[np.float32]]:
        """Return how like each of n words each known one is, n times (words + 1,).

        It is 1 for itself, also where its vector is not kept. New words are compared together, in one pass over the vectors.
        """
        import numpy as np

        found = {word: self._remembered.get(word) for word in asked}
        new = [word for word, likeness in found.items() if likeness is None]
        if new:
            likeness = np.zeros((len(new), len(self._lexical.words) + 1), np.float32)
            likeness[:, self._compared] = (self._vectors @ self._vectors_of(new).T).T
            for place, word in enumerate(new):
                if word in self._lexical.words:
                    likeness[place, self._lexical.words[word]] = 1.0
            if len(self._remembered) > self._most_remembered:
                self._remembered.clear()
            rows = {word: row.copy() for word, row in zip(new, likeness, strict=True)}
            found |= rows
            self._remembered |= rows
        return [likeness for likeness in found.values() if likeness is not None]
