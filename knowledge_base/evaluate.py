"""`python -m knowledge_base.evaluate`: how well the search finds the judged entries.

hit_at_1, hit_at_5   share of queries with a relevant entry at the top, among the best five
dense_hit_at_1       the same without any fit: ranked by the cosine of the nearest text of an entry; of texts as near any counts
above_dense          hit_at_1 above it, with the interval of 10,000 paired bootstrap samples at 95 % (..._low, ..._high)
mrr                  mean of 1 / rank of the first relevant entry (0 where it is not among the best hundred)
no_answer_auroc      how well the probability that something answers tells queries with an answer from those
                     where nothing fits: the chance that one with an answer has more; 0.5 is a coin
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge_base.command import (
    EXIT_DONE,
    EXIT_PARTLY_REFUSED,
    Parser,
    progress,
    report_refusals,
    run,
    write_json,
)
from knowledge_base.encoder import load_encoder_of
from knowledge_base.errors import InputError
from knowledge_base.queries import Query, read_queries
from knowledge_base.scorer import Scorer
from knowledge_base.search import KnowledgeBase
from knowledge_base.snapshots import read_current

DEPTH = 100  # how far down a relevant entry still counts for the reciprocal rank
SAMPLES = 10_000
EQUAL = 1e-5  # cosines of one text differ by less, depending on the place of its row


@dataclass(frozen=True, slots=True)
class _Found:
    """What one query found; `rank` is 1-based, 0 where no relevant entry was among the best; `something` the probability of any."""

    rank: int
    something: float


def evaluate(
    knowledge: KnowledgeBase, queries: Sequence[Query], scorer: Scorer | None = None
) -> dict[str, float | int]:
    """Search every judged query, with other weights if given, and return the figures; one without its data is absent.

    `n` counts the queries with a relevant entry, which the shares and the mean are over.
    """
    judged = [query for query in queries if query.relevant is not None]
    started = time.monotonic()
    found: list[_Found] = []
    with progress("searching", len(judged)) as advance:
        for query in judged:
            found.append(_search(knowledge, query, scorer or knowledge.scorer))
            advance(1)
    seconds = time.monotonic() - started
    answerable = [result for query, result in zip(judged, found, strict=True) if query.relevant]
    unanswerable = [result for query, result in zip(judged, found, strict=True) if not query.relevant]
    figures: dict[str, float | int] = {"n": len(answerable)}
    if answerable:
        figures["hit_at_1"] = sum(result.rank == 1 for result in answerable) / len(answerable)
        figures["hit_at_5"] = sum(1 <= result.rank <= 5 for result in answerable) / len(answerable)
        dense = [rank_alone(knowledge, query) == 1 for query in judged if query.relevant]
        gain = [float((result.rank == 1) - first) for result, first in zip(answerable, dense, strict=True)]
        figures["dense_hit_at_1"] = sum(dense) / len(dense)
        figures["above_dense"] = sum(gain) / len(gain)
        figures["above_dense_low"], figures["above_dense_high"] = paired_interval(gain)
        figures["mrr"] = sum(1 / result.rank for result in answerable if result.rank) / len(answerable)
    if answerable and unanswerable:
        figures["no_answer_auroc"] = auroc(
            [result.something for result in answerable], [result.something for result in unanswerable]
        )
    figures["queries_per_second"] = len(judged) / seconds if seconds else 0.0
    return figures


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the chance that a positive is higher than a negative; ties count half."""
    import numpy as np

    ordered = np.sort(np.asarray(negatives))
    below = np.searchsorted(ordered, positives, side="left").sum()
    ties = np.searchsorted(ordered, positives, side="right").sum() - below
    return float((below + ties / 2) / (len(positives) * len(negatives)))


def rank_alone(knowledge: KnowledgeBase, query: Query) -> int:
    """Return the place of a query's best relevant entry by dense search alone, from 1 on; 0 where none is in the knowledge.

    Dense search alone ranks by the cosine of the message, as it stands, with the nearest text of an entry.
    """
    import numpy as np

    cosines = knowledge.nearness(query.text)
    relevant = np.isin(list(knowledge.entries), list(query.relevant or ()))
    return int((cosines > cosines[relevant].max() + EQUAL).sum()) + 1 if relevant.any() else 0


def paired_interval(gain: Sequence[float]) -> tuple[float, float]:
    """Return the middle 95 % of the means of SAMPLES bootstrap samples of differences, one a query."""
    import numpy as np

    chance, values = np.random.default_rng(0), np.asarray(gain, float)
    means = [values[chance.integers(0, len(values), len(values))].mean() for _ in range(SAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _search(knowledge: KnowledgeBase, query: Query, scorer: Scorer) -> _Found:
    candidates = knowledge.candidates(query.text, history=query.history)
    hits = candidates.hits(scorer, DEPTH)
    relevant = set(query.relevant or ())
    rank = next((place for place, hit in enumerate(hits, 1) if hit.entry.id in relevant), 0)
    return _Found(rank, scorer.something(candidates.features))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Raises:
        InputError: nothing was done.
    """
    arguments = _parser().parse_args(argv)
    home = Path(arguments.knowledge)
    snapshot = read_current(home)
    queries, refusals = read_queries(Path(arguments.queries))
    report_refusals(refusals)
    if not any(query.relevant is not None for query in queries):
        raise InputError(f"{arguments.queries}: expected queries with relevant, got none. Judge some first.")
    _warn_of_unknown(arguments.queries, queries, set(snapshot.entries))
    knowledge = KnowledgeBase.open(home, load_encoder_of(snapshot.encoder_id, arguments.encoder))
    knowledge.search("warm up")  # the first pass allocates and is no measure of the rest
    figures = evaluate(knowledge, queries)
    if arguments.json != "-":
        for key, value in figures.items():
            print(f"{key:20} {value:.4f}" if isinstance(value, float) else f"{key:20} {value:,}")
    if arguments.json:
        write_json(arguments.json, figures)
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def _parser() -> Parser:
    parser = Parser(prog="python -m knowledge_base.evaluate", description="Measure the search on judged queries.")
    parser.add_argument("--knowledge", required=True, metavar="HOME", help="a knowledge home")
    parser.add_argument("--queries", required=True, metavar="FILE", help="judged queries, JSON Lines")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    parser.add_argument("--encoder", metavar="NAME", help="default: the one the knowledge was made with")
    return parser


def _warn_of_unknown(file: str, queries: Sequence[Query], known: set[str]) -> None:
    unknown = sorted({entry_id for query in queries for entry_id in query.relevant or () if entry_id not in known})
    if unknown:
        shown = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        print(f"note: {file}: {len(unknown):,} relevant entries are not in the knowledge: {shown}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
