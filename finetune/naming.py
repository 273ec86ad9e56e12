"""Names of clusters from the words that are typical of them, and examples from their middle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.clusters import Clusters
from finetune.redaction import PLACEHOLDERS
from finetune.split import normalised

EXAMPLES = 8
TYPICAL_WORDS = 6
_NAME_WORDS = 3
_WORD = re.compile(r"[^\W\d_]{2,}")
_REPLACED = re.compile("|".join(map(re.escape, PLACEHOLDERS.values())))


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposed intent. `cluster` counts from 1, the largest first; `places` are its requests, most central first."""

    cluster: int
    name: str
    words: tuple[str, ...]
    examples: tuple[str, ...]
    places: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many requests it holds."""
        return len(self.places)


def proposals(texts: Sequence[str], clusters: Clusters) -> list[Proposal]:
    """Return one proposal a cluster, the largest first; `texts` are the requests that were clustered."""
    members = [tuple(int(place) for place in clusters.members(label)) for label in range(clusters.count)]
    words = typical_words([[texts[place] for place in places] for places in members])
    taken: set[str] = set()
    found = []
    for number, (places, typical) in enumerate(zip(members, words, strict=True), 1):
        examples = distinct(texts[place] for place in places)[:EXAMPLES]
        name = _free(_name(typical, examples[0]) or f"cluster_{number}", taken)
        taken.add(name)
        found.append(Proposal(number, name, typical, tuple(examples), places))
    return found


def typical_words(groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return for each group of texts the words that are frequent in it and rare in the others, most typical first.

    A word counts once a text. The weight is class-based tf-idf: the share of a word in its group times log(1 + words a
    group / times of the word), as in Grootendorst 2022, "BERTopic: Neural topic modeling with a class-based TF-IDF procedure". Numbers, stop words
    of English and what stands for personal data are no words.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    joined = [[word for text in group for word in _words(text)] for group in groups]
    counter = CountVectorizer(analyzer=lambda words: words)
    try:
        counts = counter.fit_transform(joined).toarray().astype(np.float64)
    except ValueError:  # nothing but stop words
        return [() for _ in groups]
    names = counter.get_feature_names_out()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    weights = shares * np.log1p(counts.sum() / len(groups) / counts.sum(axis=0))
    best = np.argsort(-weights.round(12), axis=1, kind="stable")[:, :TYPICAL_WORDS]
    return [tuple(str(names[i]) for i in row if weights[group, i] > 0) for group, row in enumerate(best)]


def _words(text: str) -> list[str]:
    """Return the words of a text, each once."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return sorted(set(_WORD.findall(_REPLACED.sub(" ", text).casefold())) - ENGLISH_STOP_WORDS)


def distinct(texts: Iterable[str]) -> list[str]:
    """Return the texts without those that differ from an earlier one in case, punctuation and numbers only."""
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(normalised(text), text)
    return list(found.values())


def _name(words: Sequence[str], example: str) -> str:
    """Return the most typical words, in the order in which the most central request says them."""
    said = re.findall(r"[^\W\d_]+", example.casefold())
    named = words[:_NAME_WORDS]
    return "_".join(sorted(named, key=lambda word: said.index(word) if word in said else len(said)))


def _free(name: str, taken: set[str]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
