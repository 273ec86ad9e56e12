"""Entries that ask nearly the same question: one answer of them is likely old, and search can only guess which.

Compared are approved entries about the same subject, and of questions that name the same numbers: the next model of a
lamp is another question. Passages of documents share their heading by nature.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from knowledge_base.entry import Entry
from knowledge_base.lexical import words

# 0.8 is the similarity at which "Deduplicating Training Data Makes Language Models Better" (Lee et al., 2022) calls
# two documents near-duplicates. Three characters a shingle: in short messages a misspelt or an added word then leaves
# most of them as they were, and scripts without spaces need no word boundaries.
NEAR_DUPLICATE_JACCARD = 0.8
SHINGLE_CHARACTERS = 3
LISTED = 100  # pairs in a report
MOST_OF_ONE = 20  # questions that one is found to be like: of a template that many fill, all pairs would be too many
MOST_COMPARED = 50  # questions that one is compared with, for the same reason

Shingles = frozenset[str]


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """`pairs` of ids with the similarity of their questions in [0, 1], most similar first; `count` tells of all found."""

    pairs: tuple[tuple[str, str, float], ...]
    count: int


def near_duplicates(entries: Sequence[Entry]) -> NearDuplicates:
    """Find the entries whose questions are nearly or wholly the same.

    Of questions that are wholly the same each is paired with the first, so that the pairs are not more than the
    entries that could go; of questions that are nearly the same with MOST_OF_ONE of those before it at most.
    """
    alike: dict[tuple[str, tuple[str, ...]], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        subject = entry.subject.casefold()  # that both name it does not make two questions alike
        said = words(entry.question.casefold().replace(subject, " ") if subject else entry.question)
        if entry.approved and said:
            numbers = tuple(sorted(word for word in said if any(map(str.isdigit, word))))
            alike[subject, numbers][" ".join(said)].append(entry.id)
    pairs = [pair for group in alike.values() for pair in _pairs(group)]
    pairs.sort(key=lambda pair: (-pair[2], pair[:2]))
    return NearDuplicates(tuple(pairs[:LISTED]), len(pairs))


def shingles(text: str) -> Shingles:
    """Return all runs of SHINGLE_CHARACTERS characters of a text, or a shorter text as a whole."""
    last = max(1, len(text) - SHINGLE_CHARACTERS + 1)
    return frozenset(text[start : start + SHINGLE_CHARACTERS] for start in range(last))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Return the share of the shingles of both that they have in common, in [0, 1]."""
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _pairs(ids: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, float]]:
    """Yield the pairs among questions, given as their words with the ids of the entries that ask them."""
    for first, *others in ids.values():
        yield from ((first, other, 1.0) for other in others)
    if len(ids) > 1:
        texts = list(ids)
        for one, other, similarity in _near([shingles(text) for text in texts]):
            yield ids[texts[one]][0], ids[texts[other]][0], round(similarity, 3)


def _near(sets: Sequence[Shingles]) -> Iterator[tuple[int, int, float]]:
    """Yield (smaller place, larger place, similarity) that reach NEAR_DUPLICATE_JACCARD, MOST_OF_ONE a larger place.

    Sets that are so similar share one of the rarest shingles of each: with n shingles and a similarity of t, one of the
    n - ceil(t n) + 1 rarest (prefix filtering: Bayardo, Ma and Srikant, 2007). Only those are looked up. What thousands
    share even so is the words of a template: of each shingle the first MOST_COMPARED holders are known, and compared are
    the MOST_COMPARED sets that share most of the rarest.
    """
    frequency = Counter(shingle for one in sets for shingle in one)
    holders: dict[str, list[int]] = defaultdict(list)
    for place, own in enumerate(sets):
        rarest = sorted(own, key=lambda shingle: (frequency[shingle], shingle))
        prefix = rarest[: len(own) - math.ceil(NEAR_DUPLICATE_JACCARD * len(own)) + 1]
        found = 0
        shared = Counter(other for shingle in prefix for other in holders[shingle])
        for other, _count in shared.most_common(MOST_COMPARED):
            similarity = jaccard(own, sets[other])
            if similarity >= NEAR_DUPLICATE_JACCARD:
                yield other, place, similarity
                found += 1
            if found == MOST_OF_ONE:
                break
        for shingle in prefix:
            if len(holders[shingle]) < MOST_COMPARED:
                holders[shingle].append(place)
