"""Fit the thresholds on held-out chats and queries: `python -m finetune.calibrate --knowledge HOME --output_dir DIR`.

Chats are those of the adapter's calibration part (or, of files it has not seen, all); which entries answer a
customer is what the person's reply names or rests on. Where no question is known to have no answer, each is asked
once more with its entries held out. Without queries and chats, the entries' own alternatives are asked: each is
held out of the index and must find its entry, and each entry is held out whole as a question that nothing answers.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatbot.calibration import SEARCHED_ENTRIES, Calibration, found_features, pointed, read_features
from chatbot.config import SETTINGS_FILE, load_settings
from finetune.adapter_folder import of_part, read_run
from finetune.cases import Case, chat_cases, own_cases, query_cases, with_unanswerable
from finetune.inputs import load_knowledge, read_chats
from finetune.output_folder import output_folder
from finetune.redaction import kept_id
from finetune.thresholds import foresees_better, logistic, threshold, worthwhile
from knowledge_base import scorer as weights
from knowledge_base.candidates import HeldOut
from knowledge_base.command import (
    EXIT_DONE,
    EXIT_PARTLY_REFUSED,
    Parser,
    progress,
    report_refusals,
    run,
    say,
    write_json,
)
from knowledge_base.encoder import DEFAULT_ENCODER
from knowledge_base.entry import Hit
from knowledge_base.errors import InputError
from knowledge_base.manifest import publish, seal
from knowledge_base.queries import Query, read_queries

if TYPE_CHECKING:
    from chatbot.model import DialogueModel
    from finetune.records import Transcript
    from knowledge_base.search import KnowledgeBase

MAX_READ = 1000  # questions whose entries the model reads, some a second
MAX_FITTED = 1000  # chats by whose turns search is weighed, each searched for in some hundredths of a second


@dataclass(frozen=True, slots=True)
class Steps:
    """Next steps and scope read off held-out chats: (label, probability, right), (out-of-scope score, truth)."""

    steps: tuple[tuple[str, float, bool], ...]
    scope: tuple[tuple[float, bool], ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module."""
    given = _parser().parse_args(argv)
    output = output_folder(given.output_dir)
    max_error = _max_error(given, output)
    queries, refusals = read_queries(*map(Path, given.queries))
    report_refusals(refusals)
    transcripts: list[Transcript] = []
    if given.dataset:
        reading = read_chats(given.dataset, required=not queries)
        transcripts, refusals = reading.transcripts, [*refusals, *reading.refusals]
    elif given.queries and not queries:
        raise InputError(f"{given.queries[0]}: expected queries, got no usable row. See the reasons above.")
    knowledge, model, encoder_sha256 = _load(given)
    chats = _held_out(transcripts, Path(given.adapter)) if given.adapter else transcripts
    trained = _learnt_from(transcripts, Path(given.adapter), knowledge) if given.adapter else []
    calibration = fit(knowledge, model, queries, chats, max_error, say, trained)
    calibration = replace(calibration, encoder=encoder_sha256)
    _save(calibration, output)
    for name, value in sorted(calibration.thresholds.items()):
        say(f"{name}: {'never' if value is None else f'from {value:.3f}'}")
    if given.json:
        facts = {"thresholds": dict(calibration.thresholds), "fitted_on": dict(calibration.fitted_on)}
        write_json(given.json, {**facts, "refused": [refusal.to_json() for refusal in refusals]})
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def fit(
    knowledge: KnowledgeBase,
    model: DialogueModel | None,
    queries: Sequence[Query],
    chats: Sequence[Transcript],
    max_error: float,
    say: Callable[[str], None],
    trained: Sequence[Transcript] = (),
) -> Calibration:
    """Return the calibration fitted on queries and held-out chats; `trained` are chats that the adapter learnt from.

    Raises:
        InputError: there is no answerable and no unanswerable question to fit on.
    """
    cases = [*query_cases(knowledge, queries), *chat_cases(knowledge, chats)]
    if not cases:
        say("no queries and no chats: the entries' own alternatives are asked")
        cases = own_cases(knowledge)
    answerable = sum(bool(case.relevant) for case in cases)
    say(f"{len(cases):,} questions, {answerable:,} of them answerable")
    if not answerable:
        raise InputError("--queries: expected some answerable questions, got none. Add some with `relevant`.")
    if answerable == len(cases):
        say("none is known to have no answer: each is asked once more with its entries held out")
    cases = with_unanswerable(cases)
    if not any(case.candidates.answering(case.relevant).any() for case in cases):
        raise InputError("--queries: search finds the right entry for none of the questions. Check `relevant`.")
    scorer = fit_weights(knowledge, trained, cases, say)
    draft = Calibration(scorer, None, {}, max_error, model.sha256 if model else "", knowledge.sha256, "")
    cases = [replace(case, hits=tuple(case.candidates.hits(scorer, SEARCHED_ENTRIES))) for case in cases]
    thresholds: dict[str, float | None] = {
        "approved": threshold([(c.hits[0].probability, c.right(1)) for c in cases if c.hits], max_error),
        "ask": worthwhile([(_nearest(c.hits), c.right(2)) for c in cases if c.hits]),
    }
    fitted_on = {"questions": len(cases), "answerable": answerable}
    if model is None:
        return replace(draft, thresholds=thresholds, fitted_on=fitted_on)
    found = read_steps(model, chats)
    for step in sorted({label for label, _, _ in found.steps}):
        thresholds[f"step:{step}"] = threshold([(p, ok) for label, p, ok in found.steps if label == step], max_error)
    thresholds["out_of_scope"] = threshold(found.scope, max_error)
    draft = replace(draft, thresholds=thresholds, fitted_on={**fitted_on, "chat_turns": len(found.steps)})
    return _with_evidence(draft, model, cases, max_error, say)


def fit_weights(
    knowledge: KnowledgeBase, trained: Sequence[Transcript], judged: Sequence[Case], say: Callable[[str], None]
) -> weights.Scorer:
    """Return the weights of search: the knowledge's own, or these fitted on to chats that the adapter learnt from.

    Each of their messages is asked as if it had not been asked before. The fit is kept where it foresees the `judged` cases
    better, which it has not seen. What serves is what the thresholds are fitted with.
    """
    cases = chat_cases(knowledge, trained[:: -(-len(trained) // MAX_FITTED) or 1], HeldOut())
    if not any(case.candidates.answering(case.relevant).any() for case in cases):
        return knowledge.scorer
    say(f"fitting the weights of search on {len(cases):,} turns of the chats that the adapter learnt from")
    fitted = weights.fit([case.judged for case in cases], knowledge.scorer)
    held_out = [case.judged for case in judged]
    # How many questions have no answer differs between chats and questions: that is taken from these for both.
    plain, fitted = (weights.fit_nothing(held_out, one) for one in (knowledge.scorer, fitted))
    before, after = (weights.mean_loss(held_out, one) for one in (plain, fitted))
    kept = "kept" if after < before else "not kept"
    say(f"the fit is {kept}: loss on the held-out questions {after:.3f}, without it {before:.3f}")
    return fitted if after < before else knowledge.scorer


def read_steps(model: DialogueModel, chats: Sequence[Transcript]) -> Steps:
    """Read next step and scope at every customer's message of held-out chats."""
    from finetune.data import human_action, reply_to

    steps: list[tuple[str, float, bool]] = []
    scope: list[tuple[float, bool]] = []
    with progress("reading chats", len(chats)) as advance:
        for chat in chats:
            for index, message in enumerate(chat.messages):
                if message.role != "user":
                    continue
                understood = model.understand(chat.messages[: index + 1])
                action = human_action(reply_to(chat.messages, index))
                if action and understood.next_step:
                    label, probability = next(iter(understood.next_step.items()))
                    steps.append((label, probability, label == action))
                if message.intents and understood.out_of_scope is not None:
                    scope.append((understood.out_of_scope, "out_of_scope" in message.intents))
            advance(1)
    return Steps(tuple(steps), tuple(scope))


def _with_evidence(
    draft: Calibration, model: DialogueModel, cases: Sequence[Case], max_error: float, say: Callable[[str], None]
) -> Calibration:
    """Read the entries found for the questions that no approved entry answers, and fit when a reply would be right.

    It is right when the entry that it would begin with answers: the gate keeps its facts to that entry. What the model reads
    is weighed where it tells more than search does; else no customer waits for it. At most `max_error` of all answers are
    wrong, those from approved entries among them.
    """
    sure = draft.threshold("approved")
    approved = [c for c in cases if c.hits and c.hits[0].entry.approved and _top(c) >= sure]
    open_cases = [c for c in cases if c.hits and not (c.hits[0].entry.approved and _top(c) >= sure)]
    every = -(-len(open_cases) // MAX_READ) or 1
    found: list[tuple[float, ...]] = []
    read: list[tuple[float, ...]] = []
    right: list[bool] = []
    with progress("reading entries", len(open_cases[::every])) as advance:
        for case in open_cases[::every]:
            reading = model.read_evidence(case.messages, model.shown([hit.entry for hit in case.hits]))
            found.append(found_features(case.hits))
            read.append(read_features(case.hits, reading))
            right.append(case.hits[pointed(reading)].entry.id in case.relevant)
            advance(1)
    if len(set(right)) < 2:
        return draft
    reads = foresees_better(read, found, right)
    say(
        f"the model's reading of the entries {'counts' if reads else 'is not shown to tell more than search: it is left out'}"
    )
    features = read if reads else found
    evidence = logistic(features, right)
    scored = [(evidence(row), ok) for row, ok in zip(features, right, strict=True)]
    given = [(math.inf, case.right(1)) for case in approved[::every]]
    grounded = threshold([*given, *scored], max_error)
    thresholds = {**draft.thresholds, "grounded": None if grounded == math.inf else grounded}
    fitted_on = {**draft.fitted_on, "read": len(right), "read_right": sum(right)}
    return replace(draft, evidence=evidence, thresholds=thresholds, fitted_on=fitted_on)


def _top(case: Case) -> float:
    return case.hits[0].probability


def _nearest(hits: Sequence[Hit]) -> float:
    return sum(hit.probability for hit in hits[:2])


def _held_out(transcripts: Sequence[Transcript], adapter: Path) -> list[Transcript]:
    """Return the chats of the adapter's calibration part; of files it has not seen, all."""
    run = read_run(adapter)
    seen = {i for ids in run["parts"].values() for i in ids}
    chosen = of_part(transcripts, run, "calibration")
    return chosen or [transcript for transcript in transcripts if kept_id(transcript.id) not in seen]


def _learnt_from(transcripts: Sequence[Transcript], adapter: Path, knowledge: KnowledgeBase) -> list[Transcript]:
    """Return the chats of the adapter's training part, in the words that it learnt from."""
    from finetune.material import without_personal_data

    run = read_run(adapter)
    chosen = of_part(transcripts, run, "train")
    return without_personal_data(chosen, knowledge)[0] if run["arguments"]["redact"] else chosen


def _load(given: Any) -> tuple[KnowledgeBase, DialogueModel | None, str]:
    from chatbot.model import Adapter, DialogueModel

    adapter = Adapter.open(Path(given.adapter)) if given.adapter else None
    encoder, knowledge = load_knowledge(given.knowledge, given.encoder, adapter)
    if knowledge is None:
        raise InputError(
            "--knowledge: expected a knowledge home, got nothing. Make one: python -m knowledge_base.ingest."
        )
    if adapter is None:
        return knowledge, None, encoder.sha256
    model = DialogueModel.load(adapter, encoder, given.base)
    model.labels = model.labels.before_calibration()
    return knowledge, model, encoder.sha256


def _max_error(given: Any, output: Path) -> float:
    """Return the share of answers that may be wrong: the flag, or the setting of the data folder that is written to."""
    if given.max_error is None:
        near = (output.absolute().parent.parent, Path(given.knowledge).absolute().parent)
        data_dir = next((folder for folder in near if (folder / SETTINGS_FILE).is_file()), None)
        return load_settings(data_dir).max_error
    if not 0 < given.max_error < 1:
        raise InputError(
            f"--max_error: expected a share between 0 and 1, got {given.max_error}. Choose one, such as 0.05."
        )
    return float(given.max_error)


def _save(calibration: Calibration, output: Path) -> None:
    # Named by the process: the folder `NAME.partial` may be somebody's unfinished training.
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    calibration.save(partial)
    names = {"adapter": calibration.adapter, "knowledge": calibration.knowledge, "encoder": calibration.encoder}
    seal(partial, {"kind": "calibration", **names})
    if output.is_dir():
        output.rmdir()
    publish(partial, output)


def _parser() -> Parser:
    parser = Parser(prog="python -m finetune.calibrate", description="Fit the bot's thresholds on held-out data.")
    parser.add_argument("--knowledge", required=True, help="a knowledge home")
    parser.add_argument("--output_dir", required=True, help="the new calibration folder; must be absent or empty")
    parser.add_argument("--adapter", default="", help="an adapter folder; without one: for approved answers only")
    parser.add_argument(
        "--dataset",
        nargs="+",
        default=[],
        help="past chats in any form that finetune.lora reads; held-out ones are used",
    )
    parser.add_argument("--queries", nargs="+", default=[], help="questions with their relevant entries (JSON Lines)")
    parser.add_argument(
        "--max_error",
        type=float,
        help="the share of answers that may be wrong; default: the setting of the data folder that --output_dir or "
        "--knowledge is in, 0.05 where it names none",
    )
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="the sentence encoder")
    parser.add_argument("--base", default="", help="another place of the base model's weights")
    parser.add_argument("--json", default="", help="write a report as JSON to this file, - for standard output")
    return parser


if __name__ == "__main__":
    run(main)
