"""Train, calibration and test parts: whole conversations, and near-duplicates of one another in the same part.

Near-duplicates are conversations whose customers' words share most of their character shingles. Groups are the
connected sets of near-duplicates; labels are spread over the parts as evenly as the groups allow.
"""

from __future__ import annotations

import hashlib
import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finetune.records import Transcript
from knowledge_base.duplicates import NEAR_DUPLICATE_JACCARD, jaccard, shingles

# 42 bands of 6 hashes miss a pair at that similarity with a probability of (1 - 0.8**6)**42 = 3e-6; what they propose
# is compared exactly.
_BANDS, _ROWS = 42, 6
_SKETCH_ERROR = 0.1  # four standard errors of an estimate from 252 hashes at that similarity
TELLING_BYTES = 16  # of a message that is a request: "where is my order", six Chinese characters
COMPARED_WITH = 50  # of a group: thousands of mails of one form would be compared each with each
_ANY = ""  # the label that every conversation has

PARTS = ("train", "calibration", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """The ids of the conversations of each part, sorted; `groups` counts the groups that were kept whole."""

    train: tuple[str, ...]
    calibration: tuple[str, ...]
    test: tuple[str, ...]
    groups: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Group:
    ids: tuple[str, ...]
    labels: Counter[str]
    order: bytes


def split(transcripts: Sequence[Transcript], seed: int, shares: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """Split conversations into train, calibration and test parts.

    The same conversations, seed and shares give the same parts in whatever order they come. Every label occurs in
    the train part, so rare ones occur only there.

    Args:
        transcripts: the conversations; ids are unique.
        seed: another seed gives other parts.
        shares: the wanted shares of train, calibration and test; they are reached as far as groups allow.
    """
    groups = [_group(members, seed) for members in near_duplicate_groups(transcripts)]
    parts = _Parts(groups, shares)
    parts.assign()
    parts.cover_labels()
    parts.fill_empty()
    train, calibration, test = (tuple(sorted(one for group in part for one in group.ids)) for part in parts.parts)
    return Split(train, calibration, test, len(groups), tuple(_warnings(parts, shares)))


def folds(transcripts: Sequence[Transcript], seed: int, count: int) -> list[tuple[str, ...]]:
    """Deal conversations into `count` parts of like size and labels, near-duplicates in the same part.

    Args:
        transcripts: the conversations; ids are unique.
        seed: another seed gives other parts.
        count: how many parts; some are empty if there are fewer groups of near-duplicates.

    Returns:
        The sorted ids of each part.
    """
    parts = _Parts([_group(members, seed) for members in near_duplicate_groups(transcripts)], [1 / count] * count)
    parts.assign()
    return [tuple(sorted(one for group in part for one in group.ids)) for part in parts.parts]


def near_duplicate_groups(transcripts: Sequence[Transcript]) -> list[list[Transcript]]:
    """Return the conversations in groups: near-duplicates of near-duplicates are in the same group.

    So is a conversation that is but one message with those that hold this message, unless it is too short to tell
    requests apart (the stories of a Rasa project are made of its examples). One that is like no other is a group of its own.
    """
    by_words: dict[str, list[Transcript]] = defaultdict(list)
    for transcript in transcripts:
        by_words[normalised(transcript.customer_words)].append(transcript)
    texts = sorted(by_words)
    connected = _connected([shingles(text) for text in texts])
    number = {text: index for index, text in enumerate(texts)}
    for text, transcript in ((text, one) for text, same in by_words.items() for one in same):
        for message in transcript.messages:
            said = normalised(message.content) if message.role == "user" else ""
            if said in number and len(said.encode()) >= TELLING_BYTES:
                connected.join(number[text], number[said])
    leaders = [connected.leader(index) for index in range(len(texts))]
    groups: dict[int, list[Transcript]] = defaultdict(list)
    for index, text in enumerate(texts):
        groups[leaders[index]] += by_words[text]
    return list(groups.values())


def normalised(words: str) -> str:
    """Return words without what does not tell requests apart: case, width, punctuation, spacing and which number."""
    folded = re.sub(r"\d+", "0", unicodedata.normalize("NFKC", words).casefold())
    return " ".join(re.findall(r"\w+", folded)) or folded.strip()


def _connected(sets: Sequence[frozenset[str]]) -> _Groups:
    """Return which sets of shingles are connected by near-duplicates.

    What an index of MinHash sketches proposes is compared exactly, but for what is connected already and for what the
    sketches say is clearly less alike.
    """
    import numpy as np
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
    empty = MinHash(num_perm=_BANDS * _ROWS)
    sketches = np.zeros((len(sets), _BANDS * _ROWS), np.uint32)
    groups = _Groups(len(sets))
    for number, shingled in enumerate(sets):
        sketch = empty.copy()
        sketch.update_batch(shingle.encode() for shingle in shingled)
        sketches[number] = sketch.hashvalues
        proposed = np.array(sorted(index.query(sketch)), int)
        alike = (sketches[proposed] == sketches[number]).mean(axis=1) >= NEAR_DUPLICATE_JACCARD - _SKETCH_ERROR
        for other in proposed[alike].tolist():
            if groups.leader(other) == groups.leader(number):
                continue
            if jaccard(shingled, sets[other]) >= NEAR_DUPLICATE_JACCARD:
                groups.join(number, other)
        if groups.admits(number):
            index.insert(number, sketch, check_duplication=False)
    return groups


class _Groups:
    """Which of n items are connected; each group is led by its smallest item."""

    def __init__(self, n: int) -> None:
        self._leaders = list(range(n))
        self._compared = [0] * n

    def leader(self, item: int) -> int:
        """Return the smallest item of the group of an item."""
        while self._leaders[item] != item:
            self._leaders[item] = self._leaders[self._leaders[item]]
            item = self._leaders[item]
        return item

    def join(self, one: int, other: int) -> None:
        """Connect two groups."""
        first, second = sorted((self.leader(one), self.leader(other)))
        if first == second:
            return
        self._leaders[second] = first
        self._compared[first] += self._compared[second]

    def admits(self, item: int) -> bool:
        """Say whether an item is one of the first of its group, which others are compared with."""
        group = self.leader(item)
        self._compared[group] += 1
        return self._compared[group] <= COMPARED_WITH


def _group(members: Sequence[Transcript], seed: int) -> _Group:
    ids = tuple(sorted(transcript.id for transcript in members))
    labels = Counter(label for transcript in members for label in _labels(transcript))
    return _Group(ids, labels, hashlib.sha256(f"{seed}\0{ids[0]}".encode()).digest())


def _labels(transcript: Transcript) -> set[str]:
    intents = {f"intent {name}" for message in transcript.messages for name in message.intents}
    return intents | {f"action {message.action}" for message in transcript.messages if message.action}


class _Parts:
    """The parts while they fill.

    Labels are dealt from the rarest on, each group to the part that lacks most of the label (iterative
    stratification: Sechidis, Tsoumakas and Vlahavas, 2011), large groups first.
    """

    def __init__(self, groups: Sequence[_Group], shares: Sequence[float]) -> None:
        self.parts: list[list[_Group]] = [[] for _ in shares]
        self._open = [number for number, share in enumerate(shares) if share > 0]
        self._groups = sorted(groups, key=_largest_first)
        totals = Counter[str]()
        for group in groups:
            totals.update(group.labels)
            totals[_ANY] += len(group.ids)
        self._lacking = [{label: share * count for label, count in totals.items()} for share in shares]

    def assign(self) -> None:
        """Deal all groups out."""
        waiting = {group.ids[0] for group in self._groups}
        with_label: dict[str, list[_Group]] = defaultdict(list)
        for group in self._groups:
            for label in group.labels or (_ANY,):
                with_label[label].append(group)
        left = {label: len(groups) for label, groups in with_label.items()}
        rarest = [(count, label) for label, count in left.items()]
        heapq.heapify(rarest)
        while rarest:
            count, label = heapq.heappop(rarest)
            if count != left[label]:
                continue  # an entry of before the label became rarer
            for group in with_label[label]:
                if group.ids[0] not in waiting:
                    continue
                waiting.remove(group.ids[0])
                self._put(group, label)
                for own in group.labels:
                    left[own] -= 1
                    if own != label:
                        heapq.heappush(rarest, (left[own], own))

    def cover_labels(self) -> None:
        """Bring every label into the train part."""
        train = self.parts[0]
        known = {label for group in train for label in group.labels}
        for part in self.parts[1:]:
            for group in sorted(part, key=_largest_first, reverse=True):
                if not known.issuperset(group.labels):
                    part.remove(group)
                    train.append(group)
                    known.update(group.labels)

    def fill_empty(self) -> None:
        """Give every part with a share a group, if one can be spared that leaves every label in the train part."""
        for number in self._open:
            if self.parts[number]:
                continue
            donor = max((part for part in self.parts), key=len)
            holders = Counter(label for group in self.parts[0] for label in group.labels)
            spare = [
                group
                for group in sorted(donor, key=_largest_first, reverse=True)
                if len(donor) > 1 and (donor is not self.parts[0] or all(holders[label] > 1 for label in group.labels))
            ]
            if spare:
                donor.remove(spare[0])
                self.parts[number].append(spare[0])

    def _put(self, group: _Group, label: str) -> None:
        number = max(self._open, key=lambda part: (self._lacking[part][label], self._lacking[part][_ANY], -part))
        self.parts[number].append(group)
        self._lacking[number][_ANY] -= len(group.ids)
        for own, count in group.labels.items():
            self._lacking[number][own] -= count


def _largest_first(group: _Group) -> tuple[int, bytes]:
    return -len(group.ids), group.order


def _warnings(parts: _Parts, shares: Sequence[float]) -> Iterable[str]:
    sizes = [len(group.ids) for part in parts.parts for group in part]
    if sizes and len(sizes) > 1 and max(sizes) > sum(sizes) / 2:
        yield (
            f"{max(sizes):,} of {sum(sizes):,} conversations are near-duplicates of one another and stay in one part: "
            "the parts cannot have the sizes asked for"
        )
    for name, part, share in zip(PARTS, parts.parts, shares, strict=True):
        if share > 0 and not part:
            yield f"the {name} part is empty: there are too few conversations that differ"
