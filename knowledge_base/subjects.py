"""Which subjects a conversation is about: names found as they are typed, misspelt or heard.

A word is compared by its letters and by how it sounds, in runs of up to three words ("key tava" is Kitava). How much
speaks for a name is the share of its words that are in a message times what they weigh, each by how rare it is: "hotel"
says little, "Kitava" nearly everything.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from knowledge_base.entry import says_something
from knowledge_base.lexical import WORD, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

LONGEST_RUN = 3  # words of a message that may be one word of a name
FULL_WEIGHT = 2.0  # words that stand in one text only: a name found with as many cannot be meant more clearly
SHARPNESS = 4  # how fast a likeness counts for less: words share letters by chance, and half alike is hardly alike
REMEMBERED_BYTES = 1 << 26  # of how like runs are: most of what customers write are the same few thousand
BYTES_OF_ARRAY = 256  # beside its numbers, with its key
FADING = 0.2  # of what was said of names, where one is clearly named after it
CLEARLY, ALIKE = 0.5, 0.6  # a name is left out of a message that mentions it so clearly, the words so like its own
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
        said: for each text of the collection its words, for how rare a word is; those of every name among them.
        vocabulary: holds the words of the names, and may hold others.
        everyday: for each line of everyday speech its words; what is frequent there is rare nowhere.
    """

    def __init__(
        self,
        names: Sequence[str],
        said: Collection[Set[str]],
        vocabulary: Vocabulary,
        everyday: Collection[Set[str]] = (),
    ) -> None:
        import numpy as np

        in_texts = Counter(word for of_text in said for word in of_text)
        self.names = tuple(names)
        self._vocabulary = vocabulary
        self._words = [tuple(dict.fromkeys(words(name))) for name in names]
        in_lines = Counter(word for of_line in everyday for word in of_line)
        self._rare = rare = {word: math.log(1 + len(said) / in_texts[word]) for name in names for word in words(name)}
        rare.update((w, min(rare[w], math.log(1 + len(everyday) / in_lines[w]))) for w in rare.keys() & in_lines.keys())
        self._owned = _weights(self._words, rare, vocabulary.places)
        whole = np.asarray(self._owned.sum(axis=1), np.float32).ravel()
        self._whole = np.where(whole > 0, whole, np.float32(1.0))  # a name without letters is never found
        self._full = np.float32(FULL_WEIGHT * math.log(1 + len(said)))
        self._mentions = lru_cache(maxsize=REMEMBERED_MESSAGES)(self._compute_mentions)

    def mentions(self, message: str) -> NDArray[np.float32]:
        """Return how much speaks for each name in a message, (n,), from 0 to 1; read-only."""
        return self._mentions(message)

    def without(self, message: str) -> str:
        """Return a message with "it" for the name that it most clearly mentions; as it is where none is clear.

        So "uh is there parking at key tava hotel" asks what "Is there parking at it?" does, whatever it is called.
        """
        mentions = self.mentions(message)
        if mentions.max(initial=0.0) < CLEARLY:
            return message
        spans = [found.span() for found in WORD.finditer(message)]
        written = ["".join(words(message[start:end])) for start, end in spans]
        weight_of = [0.0] * len(spans)  # what each word of the message says of the name
        for word in self._words[int(mentions.argmax())]:
            for first, last in self._vocabulary.runs_like(written, word, ALIKE):
                for place in range(first, last):
                    weight_of[place] = max(weight_of[place], self._rare[word])
        start, end = _heaviest(weight_of)
        if not end:  # names of scripts without spaces are found by pairs of characters, which no run is
            return message
        if start and written[start - 1] == "the":
            start -= 1
        left = f"{message[: spans[start][0]]}it{message[spans[end - 1][1] :]}"
        return left if says_something(left) else message

    def _compute_mentions(self, message: str) -> NDArray[np.float32]:
        import numpy as np

        weight = self._owned @ self._vocabulary.likeness(message) ** SHARPNESS
        found = np.asarray(np.minimum(1.0, weight / self._whole * weight / self._full), np.float32)
        found.flags.writeable = False
        return found


def spoken_of_before(mentions: Iterable[NDArray[np.float32]], count: int) -> NDArray[np.float32]:
    """Return (count,): how much each of the names was spoken of, the root of the sum of its mentions, oldest first.

    A message that clearly names something takes FADING of what was said before it, of whatever name.
    """
    import numpy as np

    total = np.zeros(count, np.float32)
    for found in mentions:
        total = total * (1 - FADING * found.max(initial=0.0)) + found
    return np.asarray(np.sqrt(total), np.float32)


def _heaviest(weights: Sequence[float]) -> tuple[int, int]:
    """Return where the run of weights above 0 with the highest sum begins and ends; one 0 in a row does not end it."""
    best, begin, total, end = (0.0, 0, 0), 0, 0.0, -2
    for place, weight in enumerate(weights):
        if not weight:
            continue
        if place > end + 1:
            begin, total = place, 0.0
        total, end = total + weight, place + 1
        best = max(best, (total, begin, end), key=lambda run: run[0])
    return best[1], best[2]


def _runs(found: Sequence[str]) -> list[str]:
    """Return every run of one to LONGEST_RUN words as one word."""
    runs = ("".join(found[i : i + n]) for n in range(1, LONGEST_RUN + 1) for i in range(len(found) - n + 1))
    return list(dict.fromkeys(runs))


class Vocabulary:
    """Words that are looked for in messages: alike is what shares pairs and triples of characters, as a cosine.

    `places` says where each word stands.
    """

    def __init__(self, names: Iterable[str]) -> None:
        import numpy as np

        known = sorted({word for name in names for word in words(name)})
        self.places = {word: place for place, word in enumerate(known)}
        holders: dict[str, list[int]] = defaultdict(list)
        lengths = np.zeros(len(known), np.float32)
        for word, grams in enumerate(map(_grams, known)):
            lengths[word] = math.sqrt(len(grams))
            for gram in grams:
                holders[gram].append(word)
        self._holders = {gram: np.array(of_gram, np.int32) for gram, of_gram in holders.items()}
        self._lengths = lengths
        remembered = REMEMBERED_BYTES // (BYTES_OF_ARRAY + 4 * len(known))
        self._alike = lru_cache(maxsize=remembered)(self._compute_alike)
        self._likeness = lru_cache(maxsize=4)(self._compute_likeness)  # several collections of names ask for the same

    def likeness(self, message: str) -> NDArray[np.float32]:
        """Return for each word, (n,), how alike the nearest run of words of a message is; read-only."""
        return self._likeness(message)

    def runs_like(self, found: Sequence[str], word: str, least: float) -> list[tuple[int, int]]:
        """Return where runs of a message's words begin and end that are at least so like a word, none within another."""
        place, runs = self.places[word], []
        for length in range(1, LONGEST_RUN + 1):
            for first in range(len(found) - length + 1):
                alike = self._alike("".join(found[first : first + length]))
                if len(alike) > 1 and alike[place] >= least:
                    runs.append((float(alike[place]), first, first + length))
        kept: list[tuple[int, int]] = []
        for _, first, last in sorted(runs, key=lambda run: -run[0]):
            if all(last <= begin or end <= first for begin, end in kept):
                kept.append((first, last))
        return kept

    def _compute_likeness(self, message: str) -> NDArray[np.float32]:
        import numpy as np

        nearest = np.zeros(len(self._lengths), np.float32)
        for run in _runs(words(message)) if self._holders else ():
            np.maximum(nearest, self._alike(run), out=nearest)
        nearest.flags.writeable = False
        return nearest

    def _compute_alike(self, run: str) -> NDArray[np.float32]:
        """Return for each word, (n,), its cosine with a run of words."""
        import numpy as np

        grams = _grams(run)
        held = [self._holders[gram] for gram in grams if gram in self._holders]
        if not held:
            return np.zeros(1, np.float32)  # for every word
        shared = np.bincount(np.concatenate(held), minlength=len(self._lengths))
        return np.asarray(shared / (self._lengths * math.sqrt(len(grams))), np.float32)


def _grams(word: str) -> frozenset[str]:
    """Return the pairs and triples of characters of a word, as it is written and as it sounds."""
    heard = word
    for pattern, letters in _SOUNDS:
        heard = pattern.sub(letters, heard)
    return frozenset(chain(_pieces(f"<{word}>"), map("~".__add__, _pieces(f"<{heard}>"))))


def _pieces(text: str) -> Iterator[str]:
    pairs = list(map(str.__add__, text, text[1:]))
    return chain(pairs, map(str.__add__, pairs, text[2:]))


def _weights(names: Sequence[Iterable[str]], rare: Mapping[str, float], places: Mapping[str, int]) -> csr_matrix:
    """Return for each name what its words weigh, at their places in the vocabulary."""
    import numpy as np
    from scipy.sparse import csr_matrix

    found = [list(of_name) for of_name in names]
    ends = np.cumsum([0, *map(len, found)])
    flat = [word for of_name in found for word in of_name]
    weights = np.array([rare[word] for word in flat], np.float32)
    columns = np.array([places[word] for word in flat], np.int64)
    return csr_matrix((weights, columns, ends), shape=(len(found), len(places)))
