"""Messages whose intent is likely wrong, and intents that could be one: confident learning over the other messages.

Every message gets the probabilities of a regression that has seen neither its conversation nor a near-duplicate of
it. Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels" (Journal
of Artificial Intelligence Research 70), as the authors' library cleanlab computes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.labels import log_softmax
from finetune.records import Transcript
from finetune.split import folds
from finetune.witness import fit_linear

Array = NDArray[Any]
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Labelled:
    """A customer's message that has an intent, at `index` of its conversation."""

    transcript: Transcript
    index: int

    @property
    def text(self) -> str:
        """The customer's words."""
        return self.transcript.messages[self.index].content

    @property
    def intents(self) -> tuple[str, ...]:
        """The intents that it is labelled with."""
        return self.transcript.messages[self.index].intents


@dataclass(frozen=True, slots=True)
class Judged:
    """What the other messages say of n messages.

    `labels` are the intents that can be judged, sorted. `probabilities` is (n, n_labels), out of sample. `given` is
    (n,): the place of each message's intent in `labels`; of several, the likeliest.
    """

    messages: tuple[Labelled, ...]
    labels: tuple[str, ...]
    probabilities: Array
    given: Array

    @property
    def likeliest(self) -> Array:
        """The (n,) places of the likeliest intents."""
        return np.asarray(self.probabilities.argmax(axis=1))


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two intents and their messages; of `mixed` of these the other intent is estimated to be the right one."""

    labels: tuple[str, str]
    messages: int
    mixed: int


def labelled(transcripts: Sequence[Transcript]) -> list[Labelled]:
    """Return the customers' messages that have an intent."""
    return [
        Labelled(transcript, index)
        for transcript in transcripts
        for index, message in enumerate(transcript.messages)
        if message.role == "user" and message.intents
    ]


def judge(
    messages: Sequence[Labelled], vectors: Array, seed: int, advance: Callable[[int], None] = lambda _count: None
) -> Judged:
    """Return what the other messages say of each message.

    An intent can be judged if messages of it stand in two folds: else none is left to learn it from while its own
    are judged. A message with an intent that cannot be judged is left out.

    Args:
        messages: with the vectors of their words, (n, dim).
        vectors: see `messages`.
        seed: another seed deals the conversations into other folds.
        advance: told after each fold how many messages it held.
    """
    fold = _folds(messages, seed)
    labels = _judgeable(messages, fold)
    targets = _targets(messages, labels)
    taught = np.asarray(targets.any(axis=1))
    probabilities = np.zeros_like(targets)
    if len(labels) > 1:
        penalty = _penalty(vectors, targets, taught, fold)
        for number in range(FOLDS):
            held, rest = fold == number, (fold != number) & taught
            witness = fit_linear(vectors[rest], targets[rest], None, penalties=(penalty,))
            probabilities[held] = np.exp(log_softmax(witness.logits(vectors[held])))
            advance(int(held.sum()))
    kept = [place for place, message in enumerate(messages) if labels.issuperset(message.intents) and len(labels) > 1]
    own = np.where(targets[kept] > 0, probabilities[kept], -1.0)
    given = own.argmax(axis=1) if labels else np.zeros(0, int)
    return Judged(tuple(messages[place] for place in kept), tuple(sorted(labels)), probabilities[kept], given)


def mislabelled(judged: Judged) -> list[int]:
    """Return the places of the messages that likely have a wrong intent, most suspicious first.

    Confident learning estimates how many are wrong; they are taken where the given intent is least likely. Of a
    message with several intents the likeliest is looked at: it is wrong only if none of them is plausible.
    """
    from cleanlab.filter import find_label_issues

    order = find_label_issues(
        judged.given,
        judged.probabilities,
        filter_by="low_self_confidence",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    return [int(place) for place in order if judged.likeliest[place] != judged.given[place]]


def overlaps(judged: Judged) -> list[Overlap]:
    """Return the pairs of intents that are mixed up both ways, in more messages than either has to itself."""
    from cleanlab.count import compute_confident_joint

    joint = compute_confident_joint(judged.given, judged.probabilities)
    found = []
    for one, other in np.argwhere(np.triu((joint > 0) & (joint.T > 0), k=1)):
        mixed = int(joint[one, other] + joint[other, one])
        if mixed > max(joint[one, one], joint[other, other]):
            messages = int(np.isin(judged.given, (one, other)).sum())
            found.append(Overlap((judged.labels[one], judged.labels[other]), messages, mixed))
    return sorted(found, key=lambda overlap: (-overlap.mixed / overlap.messages, overlap.labels))


def _folds(messages: Sequence[Labelled], seed: int) -> Array:
    """Return the (n,) fold of each message."""
    transcripts = {message.transcript.id: message.transcript for message in messages}
    fold = {i: number for number, ids in enumerate(folds(list(transcripts.values()), seed, FOLDS)) for i in ids}
    return np.array([fold[message.transcript.id] for message in messages], int)


def _judgeable(messages: Sequence[Labelled], fold: Array) -> set[str]:
    seen: dict[str, set[int]] = defaultdict(set)
    for message, number in zip(messages, fold, strict=True):
        for intent in message.intents:
            seen[intent].add(int(number))
    return {intent for intent, numbers in seen.items() if len(numbers) > 1}


def _targets(messages: Sequence[Labelled], labels: set[str]) -> Array:
    """Return the (n, n_labels) target distributions: even over a message's intents, zero for those not judged."""
    place = {label: number for number, label in enumerate(sorted(labels))}
    targets = np.zeros((len(messages), len(labels)))
    for row, message in zip(targets, messages, strict=True):
        own = [place[intent] for intent in message.intents if intent in place]
        row[own] = 1 / max(len(own), 1)
    return targets


def _penalty(vectors: Array, targets: Array, taught: Array, fold: Array) -> float:
    """Return the regularisation that the first fold likes best; a choice for each would take five times as long."""
    held, rest = (fold == 0) & taught, (fold != 0) & taught
    return fit_linear(vectors[rest], targets[rest], (vectors[held], targets[held])).penalty
