"""What each part of the search adds: weights fitted on some queries with some features only, measured on others.

    python benchmarks/search_parts.py --knowledge HOME --fit FILE... --measure FILE...

Dense alone is the cosine of the message with the nearest text of an entry, without any fit. Shares have Wilson's
interval at 95 %; beside each part stands by how much its hit@1 is above that of dense alone, with the interval of 10,000
paired bootstrap samples of the measured queries.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.card import wilson
from knowledge_base.candidates import CATEGORY, SUBJECT
from knowledge_base.encoder import load_encoder
from knowledge_base.evaluate import auroc, paired_interval, rank_alone
from knowledge_base.queries import read_queries
from knowledge_base.scorer import FEATURES, Scorer, fit
from knowledge_base.search import KnowledgeBase

START = Scorer((0.0,) * len(FEATURES), 0.0, together=0.0)
MEANING = ("question", "whole")
CONTEXT = ("question_in_context", "whole_in_context", "regression_in_context", "context_words", "recent")
PARTS = {  # each with those before it
    "meaning, weighed": MEANING,
    "all near texts together": ("regression",),
    "words": ("words",),
    "words like them": ("wording",),
    "the message before": CONTEXT,
    "subjects": SUBJECT,
    "categories": CATEGORY,
    "what is said beside questions": ("background",),
    "how long the message is": ("length",),
}


@dataclass(frozen=True, slots=True)
class Searched:
    """A judged query: (n, len(FEATURES)) features of its candidates, which of them answer, and whether anything does.

    `alone` is the place of the best right entry by dense search alone, `nearest` the highest cosine with any text.
    """

    features: NDArray[np.float32]
    right: NDArray[np.bool_]
    answerable: bool
    alone: int
    nearest: float

    def only(self, names: Sequence[str]) -> Searched:
        """Return the same with every other feature 0."""
        kept = np.isin(FEATURES, names)
        return replace(self, features=self.features * kept)

    def rank(self, scores: NDArray[np.float64]) -> int:
        """Return the place of the best right candidate, from 1 on; 0 where none is right."""
        return int((scores > scores[self.right].max()).sum()) + 1 if self.right.any() else 0


def main() -> None:
    """Fit, measure, print."""
    given = _parser().parse_args()
    knowledge = KnowledgeBase.open(Path(given.knowledge), load_encoder())
    fitted_on, measured = searched(knowledge, given.fit), searched(knowledge, given.measure)
    for line in table(fitted_on, measured):
        print(line)


def searched(knowledge: KnowledgeBase, files: Sequence[str]) -> list[Searched]:
    """Return the judged queries of some files with their candidates."""
    found = []
    for query in read_queries(*map(Path, files))[0]:
        if query.relevant is not None:
            candidates = knowledge.candidates(query.text, history=query.history)
            right = candidates.answering(frozenset(query.relevant))
            nearest = float(knowledge.nearness(query.text).max())
            alone = rank_alone(knowledge, query)
            found.append(Searched(candidates.features, right, bool(query.relevant), alone, nearest))
    return found


def table(fitted_on: Sequence[Searched], measured: Sequence[Searched]) -> list[str]:
    """Return the lines of a Markdown table: dense alone, then each part with those before it."""
    dense, answered = [case.alone for case in measured], [case.nearest for case in measured]
    lines = ["| part | hit@1 | hit@5 | above dense alone | AUROC |", "|---|---|---|---|---|"]
    lines.append(_line("dense alone", measured, dense, dense, answered))
    names: list[str] = []
    for part, added in PARTS.items():
        names += added
        cases = [case.only(names) for case in fitted_on]
        scorer = fit([(case.features, case.right) for case in cases], START)
        shown = [case.only(names).features for case in measured]
        ranks = [case.rank(scorer.utilities(features)) for case, features in zip(measured, shown, strict=True)]
        something = [scorer.something(features) for features in shown]
        lines.append(_line(part if part in list(PARTS)[:1] else f"+ {part}", measured, ranks, dense, something))
    return lines


def _line(
    part: str, measured: Sequence[Searched], ranks: Sequence[int], dense: Sequence[int], something: Sequence[float]
) -> str:
    asked = [i for i, case in enumerate(measured) if case.answerable]
    first = np.array([ranks[i] == 1 for i in asked], np.float64)
    gain = first - np.array([dense[i] == 1 for i in asked], np.float64)
    low, high = paired_interval(gain.tolist())
    shares = " | ".join(_share(sum(1 <= ranks[i] <= count for i in asked), len(asked)) for count in (1, 5))
    none = [something[i] for i, case in enumerate(measured) if not case.answerable]
    told = f"{auroc([something[i] for i in asked], none):.3f} (n = {len(asked)} and {len(none)})" if none else ""
    return f"| {part} | {shares} | {100 * gain.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f}) | {told} |"


def _share(count: int, of: int) -> str:
    low, high = wilson(count, of)
    return f"{100 * count / of:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knowledge", required=True, help="a knowledge home")
    parser.add_argument("--fit", nargs="+", required=True, help="judged queries to fit on (JSON Lines)")
    parser.add_argument("--measure", nargs="+", required=True, help="judged queries to measure on (JSON Lines)")
    return parser


if __name__ == "__main__":
    main()
