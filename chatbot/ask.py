"""Put a file of questions through the whole bot: `python -m chatbot.ask --questions FILE --json FILE`.

Every question runs as a customer's message would, with a store of its own that is thrown away.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from chatbot.facts import unsupported_facts
from chatbot.gate import shown_texts
from chatbot.types import KINDS, Decision, Reply, TurnRequest
from knowledge_base.command import (
    EXIT_DONE,
    EXIT_PARTLY_REFUSED,
    Parser,
    progress,
    report_refusals,
    run,
    write_json,
    write_lines,
)
from knowledge_base.errors import InputError
from knowledge_base.queries import Query, read_queries

if TYPE_CHECKING:
    from chatbot.bot import Bot, Parts
    from chatbot.store import Store


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see the module."""
    given = _parser().parse_args(argv)
    queries, refusals = read_queries(Path(given.questions))
    report_refusals(refusals)
    if not queries:
        raise InputError(f"{given.questions}: expected questions, got no usable row. See the reasons above.")
    from chatbot.bot import Bot
    from chatbot.config import load_settings
    from chatbot.parts import find_parts, load_parts
    from chatbot.store import Store

    data_dir = Path(given.data_dir) if given.data_dir else None
    settings = load_settings(data_dir)
    places = find_parts(data_dir, given.knowledge, given.adapter, given.calibration, given.base or settings.base)
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "questions.db") as store:
        bot = Bot(store, settings)
        loaded: list[Parts] = []

        def load(tell: Any) -> Parts:
            loaded.append(load_parts(places, settings, tell))
            return loaded[0]

        bot.furnish(load)
        answers = ask(bot, store, queries)
        report = judge(queries, answers, loaded[0])
    if given.answers:
        write_lines("--answers", given.answers, answers)
    write_json(given.json, report)
    return EXIT_PARTLY_REFUSED if refusals else EXIT_DONE


def ask(bot: Bot, store: Store, queries: Sequence[Query]) -> list[dict[str, Any]]:
    """Return one answer a question, in the form of the command's `--answers` lines."""
    answers = []
    with progress("asking", len(queries)) as advance:
        for query in queries:
            answers.append(_answer(bot, store, query))
            advance(1)
    return answers


def judge(queries: Sequence[Query], answers: Sequence[dict[str, Any]], parts: Parts) -> dict[str, Any]:
    """Count what was right and wrong.

    Right: approved or grounded, a relevant entry cited, every fact present. An unanswerable question is one
    whose `relevant` is empty; a question that nobody judged counts in none of these. Of the answerable ones that were
    refused, those count as `offered` that were asked back with a relevant entry among the choices; `hit_at_1` and
    `hit_at_5` say for how many search, as it serves, had one at the top and among the best five.
    """
    known = parts.knowledge.entries
    counts: Counter[str] = Counter(dict.fromkeys(("right", "wrong", "refused_answerable"), 0))
    counts.update({"answered_unanswerable": 0, "invented_citations": 0, "unsupported_facts": 0})
    counts.update({"offered": 0, "hit_at_1": 0, "hit_at_5": 0})
    for query, answer in zip(queries, answers, strict=True):
        answered = answer["kind"] in ("approved", "grounded")
        cited = [known[i] for i in answer["citations"] if i in known]
        counts["invented_citations"] += len(answer["citations"]) - len(cited)
        if answered:
            texts = [text for entry in cited for text in shown_texts(entry)]
            counts["unsupported_facts"] += len(unsupported_facts(answer["text"], texts))
        if query.relevant is None:
            continue
        if not query.relevant:
            counts["answered_unanswerable"] += answered
            continue
        relevant, found = set(query.relevant), [entry_id for entry_id, _ in answer["hits"]]
        counts["hit_at_1"] += bool(relevant & set(found[:1]))
        counts["hit_at_5"] += bool(relevant & set(found[:5]))
        if not answered:
            counts["refused_answerable"] += 1
            counts["offered"] += bool(relevant & set(answer["offered"]))
        else:
            right = bool(relevant & set(answer["citations"]))
            right = right and all(fact.casefold() in answer["text"].casefold() for fact in query.facts)
            counts["right" if right else "wrong"] += 1
    kinds = Counter(str(answer["kind"]) for answer in answers)
    totals = sorted(sum(v for k, v in a["seconds"].items() if k != "first_text") for a in answers)
    return {
        "n": len(answers),
        "kinds": {kind: kinds[kind] for kind in KINDS},
        **counts,
        "seconds_p50": _quantile(totals, 0.50),
        "seconds_p95": _quantile(totals, 0.95),
    }


def _answer(bot: Bot, store: Store, query: Query) -> dict[str, Any]:
    """Replay the conversation before the question into the store, then ask."""
    visitor, conversation = f"ask-{query.id}", None
    said = list(query.messages[:-1])
    for number, (role, content) in enumerate(said):
        if role != "user":
            continue
        request = TurnRequest(visitor, conversation, content, f"{visitor}-{number}")
        message = store.add_message(request)
        conversation = message.conversation_id
        if number + 1 < len(said) and said[number + 1][0] == "assistant":
            turn, reply = store.begin_turn(message.id), Reply(said[number + 1][1])
            store.finish_turn(turn, reply, decision=Decision("chat", "small_talk"), understanding=None, trace={})
    request = TurnRequest(visitor, conversation, query.text, f"{visitor}-question")
    last = Reply("")
    for reply in bot.reply(request, Event()):
        last = reply
    message = store.add_message(request)
    record = next(turn for turn in store.turns(message.conversation_id) if turn.message.id == message.id)
    return {
        "id": query.id,
        "kind": last.kind,
        "reason": last.reason,
        "text": last.text,
        "citations": [citation.entry_id for citation in last.citations],
        "offered": list(record.decision.entry_ids) if record.decision and last.kind == "ask" else [],
        "hits": [[hit["id"], hit["probability"]] for hit in record.trace.get("hits", [])],
        "probability": record.decision.probability if record.decision else None,
        "seconds": dict(record.trace.get("seconds", {})),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed; 0 without values."""
    if not ordered:
        return 0.0
    place = max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)
    return round(ordered[min(place, len(ordered) - 1)], 4)


def _parser() -> Parser:
    parser = Parser(prog="python -m chatbot.ask", description="Put a file of questions through the whole bot.")
    parser.add_argument("--questions", required=True, help="questions with relevant entries and facts (JSON Lines)")
    parser.add_argument("--json", required=True, help="the report; - is standard output")
    parser.add_argument("--answers", default="", help="one line an answer (JSON Lines)")
    parser.add_argument("--data-dir", default="", help="a data folder with settings, knowledge, adapter, calibration")
    parser.add_argument("--knowledge", default="", help="a knowledge home")
    parser.add_argument("--adapter", default="", help="an adapter folder; without one: approved answers only")
    parser.add_argument("--calibration", default="", help="a calibration folder")
    parser.add_argument("--base", default="", help="another place of the base model's weights")
    parser.add_argument("--seed", type=int, default=0, help="seed of sampled writing; writing is greedy at present")
    return parser


if __name__ == "__main__":
    run(main)
