"""Fit the weights of search that come with Frontdesk, and write `knowledge_base/scorer.json`.

    python benchmarks/default_scorer.py --knowledge HOME --queries FILE... --dataset FILE...

The cases are judged queries and the turns of chats whose replies name the entries they rest on or were declined. The
same cases in five parts, each scored by weights fitted on the other four, say how good the weights are beside those of
meaning alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finetune.calibrate import Case, chat_cases, query_cases
from finetune.transcripts import read_transcripts
from knowledge_base.encoder import load_encoder
from knowledge_base.queries import read_queries
from knowledge_base.scorer import DEFAULTS, FEATURES, Scorer, fit
from knowledge_base.search import KnowledgeBase

FOLDS = 5
START = Scorer((0.0,) * len(FEATURES), 0.0)


def main() -> None:
    """Fit, measure, write."""
    given = _parser().parse_args()
    knowledge = KnowledgeBase.open(Path(given.knowledge), load_encoder())
    queries = [query for name in given.queries for query in read_queries(Path(name))[0]]
    chats = read_transcripts([Path(name) for name in given.dataset])[0]
    cases = [*query_cases(knowledge, queries), *chat_cases(knowledge, chats)]
    print(f"{len(cases)} cases, {sum(bool(case.relevant) for case in cases)} of them answerable")
    for name, columns in (("meaning alone", (0, 1)), ("with words", (0, 1, 2)), ("all", range(len(FEATURES)))):
        print(f"{name:14} hit@1 {_crossed(cases, columns):.3f}")
    scorer = fit([(case.candidates.features, case.candidates.answering(case.relevant)) for case in cases], START)
    facts = {
        "fitted_on": [Path(name).name for name in (*given.queries, *given.dataset)],
        "command": "python benchmarks/default_scorer.py --knowledge HOME --queries FILE --dataset FILE",
        "cases": len(cases),
        **scorer.to_json(),
    }
    DEFAULTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


def _crossed(cases: Sequence[Case], columns: Sequence[int]) -> float:
    """Return hit@1 of answerable cases, each ranked by weights fitted without its part, with some features only."""
    masked = []
    for case in cases:
        features = np.zeros_like(case.candidates.features)
        features[:, columns] = case.candidates.features[:, columns]
        masked.append((features, case.candidates.answering(case.relevant)))
    order = np.random.default_rng(0).permutation(len(cases))
    right = 0
    for fold in range(FOLDS):
        held = set(order[fold::FOLDS].tolist())
        scorer = fit([row for i, row in enumerate(masked) if i not in held], START)
        for i in held:
            if cases[i].relevant and len(masked[i][0]):
                right += bool(masked[i][1][scorer.utilities(masked[i][0]).argmax()])
    return right / sum(bool(case.relevant) for case in cases)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knowledge", required=True, help="a knowledge home")
    parser.add_argument("--queries", nargs="+", default=[], help="judged queries (JSON Lines)")
    parser.add_argument("--dataset", nargs="+", default=[], help="transcripts")
    return parser


if __name__ == "__main__":
    main()
