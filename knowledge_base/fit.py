"""Fit how a knowledge base is searched: `python -m knowledge_base.fit --knowledge HOME --queries FILE...`.

The weights of the search are fitted again on judged queries, near those that come with Frontdesk, and become part of a
new snapshot; later ingestions keep them. Each query is also ranked by weights fitted without its fifth of the queries:
that tells what the fit is worth on queries that it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base import snapshots
from knowledge_base.candidates import Candidates
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
from knowledge_base.home import writing
from knowledge_base.queries import Query, read_queries
from knowledge_base.scorer import FEATURES, Scorer, fit
from knowledge_base.search import KnowledgeBase

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDS = 5
LEAST = 20  # fewer answerable queries cannot be cut into fifths that mean anything


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Raises:
        InputError: nothing was done.
    """
    given = _parser().parse_args(argv)
    home = Path(given.knowledge)
    read, refusals = read_queries(*map(Path, given.queries))
    queries = [query for query in read if query.relevant is not None]
    report_refusals(refusals)
    snapshot = snapshots.read_current(home)
    asked = [any(i in snapshot.entries for i in query.relevant or ()) for query in queries]
    answerable = sum(asked)
    if answerable < LEAST:
        raise InputError(
            f"--queries: expected at least {LEAST} queries that entries of {home} answer, got {answerable:,}. Judge more."
        )
    knowledge = KnowledgeBase.open(home, load_encoder_of(snapshot.encoder_id, given.encoder))
    cases = _cases(knowledge, queries)
    start = knowledge.default_scorer
    before = _hit_at_1([knowledge.scorer] * FOLDS, cases, asked)
    after = _hit_at_1(_without_each_fold(cases, start), cases, asked)
    scorer = fit(cases, start)
    report = {
        "queries": len(cases),
        "answerable": answerable,
        "hit_at_1_before": before,
        "hit_at_1_on_held_out_fifths": after,
        **scorer.to_json(),
        "snapshot": _written(home, scorer),
        "refused": [refusal.to_json() for refusal in refusals],
    }
    if given.json != "-":
        print(f"hit@1 on {answerable:,} answerable queries: {before:.3f} before, {after:.3f} on held-out fifths")
        weights = {
            **dict(zip(FEATURES, scorer.weights, strict=True)),
            "together": scorer.together,
            "likeness": scorer.likeness,
        }
        print(", ".join(f"{feature} {weight:.2f}" for feature, weight in weights.items()))
        print(f"searched so from {report['snapshot']} on")
    if given.json:
        write_json(given.json, report)
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def _cases(knowledge: KnowledgeBase, queries: Sequence[Query]) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    cases = []
    with progress("searching", len(queries)) as advance:
        for query in queries:
            found: Candidates = knowledge.candidates(query.text, history=query.history)
            cases.append((found.features, found.answering(frozenset(query.relevant or ()))))
            advance(1)
    return cases


def _without_each_fold(cases: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], start: Scorer) -> list[Scorer]:
    """Return for each fifth the weights that were fitted without it; query i is in fifth i % FOLDS."""
    return [fit([c for i, c in enumerate(cases) if i % FOLDS != fold], start) for fold in range(FOLDS)]


def _hit_at_1(
    scorers: Sequence[Scorer], cases: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]], asked: Sequence[bool]
) -> float:
    """Return the share of the `asked` queries whose first hit answers, each ranked by the scorer of its fifth."""
    first = [
        bool(right.any() and right[scorers[i % FOLDS].utilities(features).argmax()])
        for i, (features, right) in enumerate(cases)
        if asked[i]
    ]
    return sum(first) / max(1, len(first))


def _written(home: Path, scorer: Scorer) -> str:
    """Write what the home holds now with these weights as a new snapshot; return its id."""
    with writing(home):
        held, index = snapshots.open_current(home)
        facts = {"encoder": held.manifest["encoder"], "parent": held.id}
        entries, origins = list(held.entries.values()), held.origins
        return snapshots.write(home, entries, held.rows, index, facts, scorer, held.edits, origins).id


def _parser() -> Parser:
    parser = Parser(prog="python -m knowledge_base.fit", description="Fit how a knowledge base is searched.")
    parser.add_argument("--knowledge", required=True, metavar="HOME", help="a knowledge home")
    parser.add_argument("--queries", required=True, nargs="+", metavar="FILE", help="judged queries, JSON Lines")
    parser.add_argument("--json", default="", metavar="FILE", help="write the report as JSON; - is standard output")
    parser.add_argument("--encoder", default="", metavar="NAME", help="default: the one the knowledge was made with")
    return parser


if __name__ == "__main__":
    run(main)
