"""Fit the weights of search that come with Frontdesk, and write `knowledge_base/scorer.json` and `background.safetensors`.

    python benchmarks/default_scorer.py --knowledge HOME --queries FILE... --dataset FILE... --dialogues HOME FILE
    python benchmarks/default_scorer.py --knowledge HOME --two_cosines FILE...

Three fits are written. The cases of the first are judged queries, and the turns of chats whose replies name the entries they
rest on or were declined; those of the second are the same over the same entries without their alternatives; those of the
third are dialogues (`judged/places_fit.jsonl`) over a knowledge of which every entry has a subject. The same cases in five
parts, each scored by weights fitted on the other four, say how good the weights are beside those of meaning alone. The second
command fits and writes nothing: it says how well judged queries are ranked without any fit, by the mean of the two cosines;
`knowledge_base.evaluate` says the same of the fitted weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.cases import Case, chat_cases, query_cases
from finetune.transcripts import read_files
from knowledge_base.background import write_vectors
from knowledge_base.candidates import MEANING, REGRESSION
from knowledge_base.encoder import EncoderFolder, load_encoder
from knowledge_base.ingest import ingest
from knowledge_base.queries import Query, read_queries
from knowledge_base.scorer import DEFAULTS, FEATURES, Scorer, fit
from knowledge_base.search import KnowledgeBase

Array = NDArray[Any]
FOLDS = 5
START = Scorer((0.0,) * len(FEATURES), 0.0, together=0.0)
WORDS = ("words", "wording", "context_words", "recent")
TWO_COSINES = Scorer(tuple(0.5 * (name in MEANING[:2]) for name in FEATURES), 0.0)


def main() -> None:
    """Fit, measure, write."""
    given = _parser().parse_args()
    encoder = load_encoder()
    if not given.two_cosines:
        write_vectors(encoder)
    knowledge = KnowledgeBase.open(Path(given.knowledge), encoder)
    if given.two_cosines:
        _without_a_fit(query_cases(knowledge, _queries(given.two_cosines)))
        return
    queries = _queries(given.queries)
    chats = read_files([Path(name) for name in given.dataset]).transcripts
    home, file = given.dialogues
    places = KnowledgeBase.open(Path(home), knowledge.encoder)
    dialogues = query_cases(places, _queries([file]))
    without_subjects, ours = (*MEANING, *REGRESSION, *WORDS), (*given.queries, *given.dataset)
    with tempfile.TemporaryDirectory() as folder:
        plain = _without_alternatives(knowledge, Path(folder))
        both = [[*query_cases(one, queries), *chat_cases(one, chats)] for one in (knowledge, plain)]
    facts = {
        "with_alternatives": _fitted("with alternatives", knowledge, both[0], ours, without_subjects),
        "without_alternatives": _fitted("without alternatives", plain, both[1], ours, without_subjects),
        "with_subjects": _fitted("with subjects", places, dialogues, (file,), FEATURES),
    }
    DEFAULTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _fitted(
    title: str, knowledge: KnowledgeBase, cases: Sequence[Case], files: Sequence[str], known: Sequence[str]
) -> dict[str, Any]:
    print(f"{title}: {len(cases)} cases, {sum(bool(case.relevant) for case in cases)} of them answerable")
    for name, features in (
        ("meaning alone", MEANING),
        ("with all near texts", (*MEANING, *REGRESSION)),
        ("all", known),
    ):
        print(f"{name:19} hit@1 {_crossed(cases, features):.3f}")
    scorer = fit(_with_only(cases, known), START)
    entries = knowledge.entries.values()
    return {
        "fitted_on": [Path(name).name for name in files],
        "command": "python benchmarks/default_scorer.py --knowledge HOME --queries FILE --dataset FILE --dialogues HOME FILE",
        "cases": len(cases),
        "with_subject": round(sum(bool(entry.subject) for entry in entries) / len(entries), 4),
        "with_alternatives": round(sum(bool(entry.alternatives) for entry in entries) / len(entries), 4),
        **scorer.to_json(),
    }


def _without_alternatives(knowledge: KnowledgeBase, home: Path) -> KnowledgeBase:
    entries = [replace(entry, alternatives=()) for entry in knowledge.entries.values()]
    encoder = knowledge.encoder
    ingest(entries, home, EncoderFolder(encoder.id, Path(), encoder.sha256), lambda: encoder, say=lambda _text: None)
    return KnowledgeBase.open(home, encoder)


def _queries(names: Sequence[str]) -> list[Query]:
    return read_queries(*map(Path, names))[0]


def _without_a_fit(cases: Sequence[Case]) -> None:
    """Print hit@1 and hit@5 of the answerable cases, ranked by the mean of the two cosines."""
    answerable = [replace(c, hits=tuple(c.candidates.hits(TWO_COSINES, 5))) for c in cases if c.relevant]
    for count in (1, 5):
        right = sum(case.right(count) for case in answerable)
        print(f"mean of two cosines: hit@{count} {right / len(answerable):.3f} ({right} of {len(answerable)})")


def _with_only(cases: Sequence[Case], known: Sequence[str]) -> list[tuple[Array, Array]]:
    """Return the features of the candidates, those that are not `known` as 0, and which candidates answer."""
    masked = []
    columns = [FEATURES.index(feature) for feature in known]
    for case in cases:
        features = np.zeros_like(case.candidates.features)
        features[:, columns] = case.candidates.features[:, columns]
        masked.append((features, case.candidates.answering(case.relevant)))
    return masked


def _crossed(cases: Sequence[Case], known: Sequence[str]) -> float:
    """Return hit@1 of answerable cases, each ranked by weights fitted without its part, with some features only."""
    masked = _with_only(cases, known)
    order = np.random.default_rng(0).permutation(len(cases))
    right = 0
    for fold in range(FOLDS):
        held = set(order[fold::FOLDS].tolist())
        scorer = fit([case for i, case in enumerate(masked) if i not in held], START)
        for features, answering in (masked[i] for i in held):
            right += bool(answering.any() and answering[scorer.utilities(features).argmax()])
    return right / sum(bool(case.relevant) for case in cases)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knowledge", required=True, help="a knowledge home")
    parser.add_argument("--queries", nargs="+", default=[], help="judged queries (JSON Lines)")
    parser.add_argument("--dataset", nargs="+", default=[], help="transcripts")
    parser.add_argument(
        "--dialogues", nargs=2, default=[], metavar=("HOME", "FILE"), help="another knowledge and queries over it"
    )
    parser.add_argument(
        "--two_cosines", nargs="+", default=[], help="judged queries to rank without a fit; nothing else"
    )
    return parser


if __name__ == "__main__":
    main()
