"""What the present catalogue does not cover: how probable it is, by the search's own weights, that an entry answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.naming import Proposal
from knowledge_base.search import KnowledgeBase

SEARCHED = 40  # requests of a cluster at most, evenly from its middle to its edge


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well the catalogue answers a cluster: `probability` is the mean that any entry answers.

    `nearest` counts how often each entry was the likeliest, the most frequent first.
    """

    probability: float
    nearest: tuple[tuple[str, int], ...]

    @property
    def is_covered(self) -> bool:
        """Say whether it is likelier that an entry answers than that none does."""
        return self.probability > 1 - self.probability

    def unanswered(self, size: int) -> float:
        """Return how many of `size` requests are expected to find nothing."""
        return size * (1 - self.probability)


def coverage(
    texts: Sequence[str], proposals: Sequence[Proposal], knowledge: KnowledgeBase, advance: Callable[[int], None]
) -> list[Coverage]:
    """Search a sample of each cluster's requests; `advance(1)` is called a cluster."""
    found = []
    for proposal in proposals:
        chosen = np.unique(np.linspace(0, proposal.size - 1, min(SEARCHED, proposal.size)).round().astype(int))
        found.append(_searched([texts[proposal.places[place]] for place in chosen], knowledge))
        advance(1)
    return found


def coverage_lines(proposals: Sequence[Proposal], covered: Sequence[Coverage]) -> list[str]:
    """Return a Markdown table of the clusters, those first in which most requests are expected to find nothing."""
    rows = sorted(
        zip(proposals, covered, strict=True), key=lambda row: (-row[1].unanswered(row[0].size), row[0].cluster)
    )
    lines = [
        "# What the FAQ does not cover",
        "",
        "Answered: the mean probability, by the search's own weights, that any entry answers a request. Unanswered: how",
        "many requests are expected to find nothing. A gap is a cluster in which that is likelier than an answer.",
        "",
        "| Intent | Requests | Answered | Unanswered | Gap | Nearest entry | Example |",
        "|---|---|---|---|---|---|---|",
    ]
    for proposal, one in rows:
        cells = (
            proposal.name,
            f"{proposal.size:,}",
            f"{one.probability:.2f}",
            f"{one.unanswered(proposal.size):.0f}",
            "" if one.is_covered else "yes",
            one.nearest[0][0] if one.nearest else "",
            proposal.examples[0],
        )
        lines.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
    return lines


def _searched(texts: Sequence[str], knowledge: KnowledgeBase) -> Coverage:
    probabilities, nearest = [], dict[str, int]()
    for text in texts:
        candidates = knowledge.candidates(text)
        hits = candidates.hits(knowledge.scorer, 1)
        probabilities.append(knowledge.scorer.something(candidates.features))
        if hits:
            nearest[hits[0].entry.id] = nearest.get(hits[0].entry.id, 0) + 1
    ranked = tuple(sorted(nearest.items(), key=lambda item: (-item[1], item[0])))
    return Coverage(float(np.mean(probabilities)), ranked)
