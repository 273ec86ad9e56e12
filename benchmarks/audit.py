"""Plant wrong intents in a labelled set and measure how many of them the audit lists.

    python benchmarks/audit.py FILE --per_intent 20 --seeds 3

A share of the messages gets another intent: every other one any other, the rest the intent whose messages are nearest
to those of its own (by the mean vectors). Beside the audit stands the plain list of the messages whose likeliest
intent is not the given one, from the same out-of-sample probabilities. What is listed but was not planted counts as
wrong, although the set itself may hold wrong intents. Each seed also cuts some intents in two at random: pairs that
cannot be told apart. Counts are summed over the seeds; intervals are Wilson's at 95 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.card import wilson
from finetune.mislabelled import Judged, Labelled, judge, labelled, mislabelled, overlaps
from finetune.transcripts import read_files
from knowledge_base.encoder import load_encoder

Array = NDArray[Any]
KINDS = ("any other", "nearest")


def main() -> None:
    """Plant, judge, count and print the counts as JSON."""
    given = _parser().parse_args()
    messages = labelled(read_files([Path(given.file)]).transcripts)
    vectors = load_encoder().encode_queries([message.text for message in messages])
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    began = time.monotonic()
    for seed in range(given.seed, given.seed + given.seeds):
        kept = _sample(messages, given.per_intent, seed)
        sample, own = [messages[i] for i in kept], vectors[kept]
        kinds = _plant(sample, own, given.share, seed)
        _count_planted(judge(sample, own, seed), kinds, counts)
        if given.halved:
            halved = _halve([messages[i] for i in kept], given.halved, seed)
            _count_halved(judge(halved, own, seed), given.halved, counts)
        print(f"seed {seed}: {time.monotonic() - began:.0f} seconds", file=sys.stderr, flush=True)
    result = {name: _share(*of) for name, of in counts.items()}
    print(json.dumps({"messages": len(kept), "planted": int((kinds >= 0).sum()), **result}, indent=2))


def _sample(messages: Sequence[Labelled], per_intent: int, seed: int) -> list[int]:
    """Return the places of so many messages of each intent; of all without a number."""
    taken: dict[str, int] = defaultdict(int)
    kept = []
    for place in np.random.default_rng(seed).permutation(len(messages)):
        intent = messages[place].intents[0]
        taken[intent] += 1
        if not per_intent or taken[intent] <= per_intent:
            kept.append(int(place))
    return sorted(kept)


def _plant(sample: list[Labelled], vectors: Array, share: float, seed: int) -> Array:
    """Give a share of the messages another intent; returns (n,) the place of its kind in KINDS, -1 for the others."""
    random = np.random.default_rng(seed)
    names = sorted({message.intents[0] for message in sample})
    nearest = _nearest(names, sample, vectors)
    kinds = np.full(len(sample), -1)
    for number, place in enumerate(random.permutation(len(sample))[: round(share * len(sample))]):
        intent = sample[place].intents[0]
        others = [name for name in names if name != intent]
        kinds[place] = number % len(KINDS)
        wrong = nearest[intent] if KINDS[kinds[place]] == "nearest" else others[random.integers(len(others))]
        sample[place] = _relabelled(sample[place], wrong)
    return kinds


def _nearest(names: Sequence[str], sample: Sequence[Labelled], vectors: Array) -> dict[str, str]:
    given = np.array([message.intents[0] for message in sample])
    means = np.stack([vectors[given == name].mean(axis=0) for name in names])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    likeness = means @ means.T
    np.fill_diagonal(likeness, -1)
    return {name: names[place] for name, place in zip(names, likeness.argmax(axis=1), strict=True)}


def _halve(sample: Sequence[Labelled], count: int, seed: int) -> list[Labelled]:
    """Cut `count` intents in two at random; the new halves are named with a +."""
    random = np.random.default_rng(seed)
    names = sorted({message.intents[0] for message in sample})
    cut = {names[place] for place in random.permutation(len(names))[:count]}
    return [
        _relabelled(message, f"{message.intents[0]}+")
        if message.intents[0] in cut and random.random() < 1 / 2
        else message
        for message in sample
    ]


def _relabelled(message: Labelled, intent: str) -> Labelled:
    messages = list(message.transcript.messages)
    messages[message.index] = replace(messages[message.index], intents=(intent,))
    return Labelled(replace(message.transcript, messages=tuple(messages)), message.index)


def _count_planted(judged: Judged, kinds: Array, counts: dict[str, list[int]]) -> None:
    assert len(judged.messages) == len(kinds), "an intent has too few messages that differ to be judged"
    listed = mislabelled(judged)
    for name, found in (("audit", listed), ("plain", _plain(judged))):
        is_found = np.isin(np.arange(len(kinds)), found)
        _add(counts[f"{name}: precision"], (kinds >= 0)[is_found])
        _add(counts[f"{name}: recall"], is_found[kinds >= 0])
        for number, kind in enumerate(KINDS):
            _add(counts[f"{name}: recall, {kind}"], is_found[kinds == number])
    _add(counts["audit: precision of the first third"], (kinds >= 0)[listed[: len(listed) // 3]])


def _plain(judged: Judged) -> Array:
    return np.flatnonzero(judged.likeliest != judged.given)


def _count_halved(judged: Judged, halved: int, counts: dict[str, list[int]]) -> None:
    found = [one + "+" == other for one, other in (overlap.labels for overlap in overlaps(judged))]
    counts["halved intents found"][0] += sum(found)
    counts["halved intents found"][1] += halved
    counts["pairs listed that were halved"][0] += sum(found)
    counts["pairs listed that were halved"][1] += len(found)


def _add(count: list[int], hits: Array) -> None:
    count[0] += int(hits.sum())
    count[1] += len(hits)


def _share(hits: int, n: int) -> dict[str, Any]:
    if not n:
        return {"share": None, "of": 0}
    low, high = wilson(hits, n)
    return {"share": round(hits / n, 4), "of": n, "interval": [round(low, 4), round(high, 4)]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="a transcript file of the public set; a message's first intent counts")
    parser.add_argument("--per_intent", type=int, default=0, help="messages an intent; 0 means all")
    parser.add_argument("--seeds", type=int, default=3, help="how often it is done")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--share", type=float, default=0.05, help="of the messages, how many get a wrong intent")
    parser.add_argument("--halved", type=int, default=10, help="intents cut in two; 0 leaves this out")
    return parser


if __name__ == "__main__":
    main()
