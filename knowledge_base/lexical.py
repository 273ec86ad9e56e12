"""Which entries share a query's words, the rare ones above all: BM25 over everything that an entry says."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base.errors import SnapshotError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The usual values; Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond".
K1, B = 1.2, 0.75
FREQUENT = 16  # a word that more than one text in so many holds is frequent; few are
# Marks are a part of a word, the vowels of Hindi and Thai among them; what Python calls \w has letters and digits only.
_MARKS = "".join(chr(code) for code in range(0x300, 0x20F1) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
WORD = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
# Written without spaces: kana, Chinese characters, Thai, Lao, Burmese and Khmer.
_UNSPACED = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+"
)


def words(text: str) -> list[str]:
    """Return the words of a text as they are compared: without case and width; unspaced scripts in pairs of characters."""
    found = []
    for word in WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        start = 0
        for run in _UNSPACED.finditer(word):
            found += [word[start : run.start()], *_pairs(run[0])]
            start = run.end()
        found.append(word[start:])
    return [word for word in found if word]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


@dataclass(frozen=True, slots=True)
class LexicalIndex:
    """BM25 over the texts of a snapshot's entries: for each word the texts that hold it, and what it weighs in them.

    Scores are divided by the weight of a word that stands in one text only, so that they mean the same in small
    and large collections: a score of 2 is worth two such words.

    `words` says which word has which number; `places[starts[w]:starts[w + 1]]` (int32) are the texts that hold word w
    and `weights` (float32) beside them its part of their scores. `mean_length` is in words. `texts_sha256` names the
    texts.
    """

    words: Mapping[str, int]
    starts: NDArray[np.int64]
    places: NDArray[np.int32]
    weights: NDArray[np.float32]
    count: int
    mean_length: float
    texts_sha256: str
    _frequent: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def build(cls, texts: Sequence[str]) -> LexicalIndex:
        """Index texts."""
        import numpy as np

        split = [words(text) for text in texts]
        mean_length = sum(map(len, split)) / max(1, len(split))
        if not any(split):  # the library takes no collection without words
            nothing = (np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
            return cls({}, *nothing, len(split), mean_length, texts_sha256(texts))
        from bm25s import BM25

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it tells of every index it builds
        index = BM25(k1=K1, b=B, method="lucene")
        index.index(split, create_empty_token=False, show_progress=False)
        starts, places, weights = (index.scores[name] for name in ("indptr", "indices", "data"))
        return cls(dict(index.vocab_dict), starts, places, weights, len(split), mean_length, texts_sha256(texts))

    @classmethod
    def read(cls, path: Path, expected_sha256: str) -> LexicalIndex:
        """Read an index from a file that was verified before.

        Args:
            path: the file.
            expected_sha256: names the texts, see `texts_sha256`.

        Raises:
            SnapshotError: the file holds none, or one of other texts.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(path.read_bytes())
            facts = json.loads(arrays["facts"].tobytes())
            found = {word: number for number, word in enumerate(facts["words"])}
            own = (int(facts["count"]), float(facts["mean_length"]), str(facts["texts_sha256"]))
            index = cls(found, arrays["starts"], arrays["places"], arrays["weights"], *own)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise SnapshotError(
                f"{path}: expected a lexical index, got a file that cannot be read. Ingest again."
            ) from error
        if index.texts_sha256 != expected_sha256:
            raise SnapshotError(
                f"{path}: expected the words of the snapshot's entries, got those of others. Ingest again."
            )
        return index

    def write(self, path: Path) -> None:
        """Write the index to a file."""
        import numpy as np
        from safetensors.numpy import save

        facts = {
            "words": sorted(self.words, key=self.words.__getitem__),
            "count": self.count,
            "mean_length": self.mean_length,
            "texts_sha256": self.texts_sha256,
        }
        said = np.frombuffer(json.dumps(facts, ensure_ascii=False).encode(), np.uint8)
        path.write_bytes(save({"starts": self.starts, "places": self.places, "weights": self.weights, "facts": said}))

    def scores(self, query: str) -> NDArray[np.float32]:
        """Return the score of every text, (n,)."""
        import numpy as np

        scores = np.zeros(self.count, np.float32)
        for number in self._known(query).values():
            holds = slice(self.starts[number], self.starts[number + 1])
            if FREQUENT * (holds.stop - holds.start) > self.count:
                scores += self._of_every_text(number)
            else:
                scores[self.places[holds]] += self.weights[holds]  # a text holds a word once or not at all
        scores /= np.float32(self._weight(1))
        return scores

    def _of_every_text(self, number: int) -> NDArray[np.float32]:
        """Return what a word weighs in every text, (n,): many values are added faster in order than by place."""
        import numpy as np

        if number not in self._frequent:
            holds = slice(self.starts[number], self.starts[number + 1])
            weights = np.zeros(self.count, np.float32)
            weights[self.places[holds]] = self.weights[holds]
            self._frequent[number] = weights
        return self._frequent[number]

    def score(self, query: str, text: str) -> float:
        """Return the score that a text would have in place of one of the indexed texts."""
        said = words(text)
        often = Counter(said)
        room = K1 * (1 - B + B * len(said) / max(self.mean_length, 1e-9))
        total = sum(
            self._weight(int(self.starts[number + 1] - self.starts[number])) * often[word] / (often[word] + room)
            for word, number in self._known(query).items()
        )
        return total / self._weight(1)

    def rarity(self, word: str) -> float:
        """Return how much a word tells, as a share of what one tells that stands in one text only."""
        number = self.words.get(word)
        return self._weight(0 if number is None else int(self.starts[number + 1] - self.starts[number])) / self._weight(
            1
        )

    def _known(self, query: str) -> dict[str, int]:
        """Return the numbers of the words of a query that are indexed."""
        return {word: self.words[word] for word in words(query) if word in self.words}

    def _weight(self, in_texts: int) -> float:
        """Return the inverse document frequency of a word, as Lucene computes it."""
        return math.log(1 + (self.count - in_texts + 0.5) / (in_texts + 0.5))


def texts_sha256(texts: Sequence[str]) -> str:
    """Return a hash of texts in their order."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
