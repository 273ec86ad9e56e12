"""Pictures of an evaluation: which intents are taken for which, and whether probabilities mean what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.evaluate import BINS

SHOWN_LABELS = 40


def draw(folder: Path, names: Sequence[str], truth: Sequence[str], logprobs: NDArray[Any]) -> list[Path]:
    """Draw `confusion.png` and `reliability.png` into a folder and return their paths.

    `truth` holds one label a message, `logprobs` is (n, n_labels).
    """
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    predicted = [names[i] for i in logprobs.argmax(axis=-1)]
    confidence = np.exp(logprobs.max(axis=-1))
    right = np.array([p == t for p, t in zip(predicted, truth, strict=True)])
    return [
        _confusion(folder / "confusion.png", truth, predicted),
        _reliability(folder / "reliability.png", confidence, right),
    ]


def _confusion(path: Path, truth: Sequence[str], predicted: Sequence[str]) -> Path:
    """Draw the labels that take part in most errors, so that 150 intents can still be read."""
    from matplotlib import pyplot

    errors = Counter[str]()
    for t, p in zip(truth, predicted, strict=True):
        errors.update([t, p] if t != p else [])
    everything = sorted(set(truth) | set(predicted))
    shown = everything if len(everything) <= SHOWN_LABELS else sorted(n for n, _ in errors.most_common(SHOWN_LABELS))
    place = {name: i for i, name in enumerate(shown)}
    counts = np.zeros((len(shown), len(shown)))
    for t, p in zip(truth, predicted, strict=True):
        if t in place and p in place:
            counts[place[t], place[p]] += 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 3 + 0.22 * len(shown)
    figure, axes = pyplot.subplots(figsize=(size, size))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(shown)), shown, rotation=90, fontsize=7)
    axes.set_yticks(range(len(shown)), shown, fontsize=7)
    axes.set(xlabel="predicted", ylabel="true", title="Share of each intent's messages")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def _reliability(path: Path, confidence: NDArray[Any], right: NDArray[Any]) -> Path:
    from matplotlib import pyplot

    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    figure, (upper, lower) = pyplot.subplots(2, 1, figsize=(5, 6), height_ratios=(3, 1), sharex=True)
    upper.plot([0, 1], [0, 1], color="grey", linewidth=1, label="perfect")
    used = [b for b in range(BINS) if (bins == b).any()]
    upper.plot(
        [confidence[bins == b].mean() for b in used],
        [right[bins == b].mean() for b in used],
        marker="o",
        label="measured",
    )
    upper.set(ylabel="share that is right", title="Do probabilities mean what they say?", ylim=(0, 1.02))
    upper.legend()
    lower.hist(confidence, bins=np.linspace(0, 1, 11))
    lower.set(xlabel="probability of the predicted intent", ylabel="messages")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
