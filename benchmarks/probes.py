"""Does the model read? One fact of an entry is changed, the entry is taken away, or nothing is shown at all.

    python benchmarks/probes.py --knowledge HOME --adapter DIR --questions FILE... [--calibration DIR --limit N --json FILE]

Questions with one relevant entry ask for it; where they are fewer than the limit, entries of the knowledge are asked
for by their own question. Two levels: the raw writer (what the model writes from the entries shown, before any gate)
and, with a calibration, the whole bot. Every share stands with its count and Wilson's interval at 95 %.

- altered: the entry with one fact changed stands among those shown. The answer follows if it states the new fact and
  not the old one.
- removed: the knowledge as if the entry did not exist. The old fact must not appear; nothing answers the question.
- closed book: nothing is found. The raw writer then has no entry segment (`DialogueModel.write` without entries).
"""

from __future__ import annotations

import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from batch import Job, write_all
from probe_counts import Case, Written, counted, follows, kinds, lines, share, summary

from chatbot.ask import ask
from chatbot.bot import Bot, Parts
from chatbot.calibration import SEARCHED_ENTRIES
from chatbot.config import load_settings
from chatbot.model import SHOWN_ENTRIES, DialogueModel
from chatbot.parts import find_parts, load_parts
from chatbot.store import Store
from finetune.alterations import Altered, alterations
from knowledge_base.candidates import Candidates, HeldOut
from knowledge_base.command import EXIT_DONE, Parser, progress, run, write_json
from knowledge_base.encoder import EncoderFolder
from knowledge_base.entry import Entry, Hit
from knowledge_base.errors import InputError
from knowledge_base.ingest import ingest
from knowledge_base.queries import Query, read_queries
from knowledge_base.search import KnowledgeBase

ANSWERED = ("approved", "grounded")


class ProbedKnowledge(KnowledgeBase):
    """A knowledge base that can be searched as if an entry, or everything, did not exist."""

    without: HeldOut | None = None
    closed: bool = False

    def candidates(
        self,
        message: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        recent: Sequence[str] = (),
        held_out: HeldOut | None = None,
    ) -> Candidates:
        """Return what may answer, but for what is taken away."""
        return super().candidates(message, history=history, recent=recent, held_out=held_out or self.without)

    def search(self, message: str, **options: Any) -> list[Hit]:
        """Find entries, or nothing where the book is closed."""
        return [] if self.closed else super().search(message, **options)


def main(argv: Sequence[str] | None = None) -> int:
    """Probe and print."""
    given = _parser().parse_args(argv)
    queries = read_queries(*map(Path, given.questions))[0]
    settings = load_settings(Path(given.data_dir) if given.data_dir else None)
    places = find_parts(None, given.knowledge, given.adapter, given.calibration, given.base or settings.base)
    parts = load_parts(places, settings, _say)
    if parts.model is None:
        raise InputError("--adapter: expected an adapter; without one nothing is written. Train one: finetune.lora.")
    cases = list(choose(parts.knowledge.entries, queries, given.limit, given.seed))
    if not cases:
        raise InputError(f"{given.knowledge}: expected public entries with a fact that can be changed, found none.")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "knowledge"
        shutil.copytree(places.knowledge, home)
        knowledge = _changed(home, parts.knowledge, cases)
        original = ProbedKnowledge.open(places.knowledge, parts.knowledge.encoder, parts.knowledge.precedents)
        written: dict[str, dict[str, list[Written]]] = {}
        report: dict[str, Any] = {"cases": len(cases), "kinds": kinds(cases), "seed": given.seed}
        if not given.bot_only:
            written["raw writer"] = raw(parts.model, cases, knowledge, original, given.seed)
            report["raw writer"] = summary(cases, written["raw writer"])
        if parts.calibration is not None:
            bot_parts = (replace(parts, knowledge=knowledge), replace(parts, knowledge=original))
            unanswerable = [query for query in queries if query.relevant == ()]
            written["whole bot"], judged = whole_bot(cases, unanswerable, *bot_parts, settings, Path(folder))
            report["whole bot"] = bot_summary(cases, written["whole bot"], judged)
    for line in lines(report):
        print(line, file=sys.stderr)
    if given.written:
        write_json(given.written, list(told(cases, written)))
    if given.json:
        write_json(given.json, report)
    return EXIT_DONE


def choose(entries: Mapping[str, Entry], queries: Sequence[Query], limit: int, seed: int) -> Iterator[Case]:
    """Yield at most `limit` cases, each with another entry: those of the questions first, then the entries' own.

    Of a question with judged facts the fact asked for is the one changed.
    """
    judged = [query for query in queries if query.relevant and len(query.relevant) == 1]
    own = [entry for entry in entries.values() if entry.approved]
    random.Random(seed).shuffle(own)  # noqa: S311 (a sample, not a secret)
    asked = [*judged, *(_own_question(entry) for entry in own)]
    taken: set[str] = set()
    for query in asked:
        entry = entries.get((query.relevant or ("",))[0])
        if len(taken) == limit:
            return
        if entry is None or entry.id in taken or entry.visibility != "public":
            continue
        found = _alteration(query, entry, seed)
        if found:
            taken.add(entry.id)
            yield Case(query, entry, found.entries[0], found.alteration)


def _own_question(entry: Entry) -> Query:
    known = entry.subject.casefold() in entry.question.casefold()
    text = entry.question if known else f"{entry.subject}: {entry.question}"
    return Query(entry.id, (("user", text),), (entry.id,), ())


def _alteration(query: Query, entry: Entry, seed: int) -> Altered | None:
    """Return the entry with a fact changed that the question asks for, as far as that is known."""
    chance = random.Random(f"{seed}:{query.id}")  # noqa: S311 (a sample, not a secret)
    said = [text for _, text in query.messages]
    found = alterations((entry,), ((1, entry.answer),), said, chance)
    wanted = " ".join(query.facts)
    return next((one for one in found if not wanted or one.alteration.old_in(wanted)), None)


def _changed(home: Path, knowledge: KnowledgeBase, cases: Sequence[Case]) -> ProbedKnowledge:
    """Ingest the changed entries into a home and return its knowledge."""
    entries = {**knowledge.entries, **{case.entry.id: case.altered for case in cases}}
    located = EncoderFolder(knowledge.encoder.id, Path(), knowledge.encoder.sha256)
    ingest(list(entries.values()), home, located, lambda: knowledge.encoder, say=lambda _text: None)
    return ProbedKnowledge.open(home, knowledge.encoder, knowledge.precedents)


def raw(
    model: DialogueModel, cases: Sequence[Case], knowledge: ProbedKnowledge, original: ProbedKnowledge, seed: int
) -> dict[str, list[Written]]:
    """Return what the model writes for every case by probe, before any gate."""
    jobs: dict[str, list[Job]] = {"altered": [], "removed": [], "closed book": []}
    for case in cases:
        chance = random.Random(f"{seed}:{case.query.id}")  # noqa: S311 (a place, not a secret)
        shown = _with_entry(_found(knowledge, case), case.altered, chance)
        original.without = HeldOut(case.entry.id)
        jobs["altered"].append((case.messages, model.shown(shown)))
        jobs["removed"].append((case.messages, model.shown(_found(original, case))))
        jobs["closed book"].append((case.messages, ()))
    original.without = None
    with progress("writing", len(jobs) * len(cases)) as advance:
        return {probe: _write(model, of, advance) for probe, of in jobs.items()}


def _found(knowledge: KnowledgeBase, case: Case) -> tuple[Entry, ...]:
    hits = knowledge.search(case.query.text, history=case.query.history, k=SEARCHED_ENTRIES)
    return tuple(hit.entry for hit in hits)


def _with_entry(found: tuple[Entry, ...], entry: Entry, chance: random.Random) -> tuple[Entry, ...]:
    """Return what is shown with the entry among it: where search put it, or in any place if it missed it."""
    if entry in found[:SHOWN_ENTRIES]:
        return found[:SHOWN_ENTRIES]
    shown = [other for other in found if other != entry][: SHOWN_ENTRIES - 1]
    shown.insert(chance.randint(0, len(shown)), entry)
    return tuple(shown)


def _write(model: DialogueModel, jobs: Sequence[Job], advance: Callable[[int], None]) -> list[Written]:
    written = write_all(model, jobs, advance)
    texts = [re.sub(r"\[\d+\]\s*", "", text).strip() for text, _ in written]
    return [
        Written(text, refused=not text, shown=tuple(shown), support=support)
        for text, (_, support), (_, shown) in zip(texts, written, jobs, strict=True)
    ]


def whole_bot(
    cases: Sequence[Case], unanswerable: Sequence[Query], altered: Parts, original: Parts, settings: Any, folder: Path
) -> tuple[dict[str, list[Written]], list[Written]]:
    """Return the replies as a customer would meet them, with search, policy and gate; last those to `unanswerable`."""
    knowledge: Any = original.knowledge
    with Store.open(folder / "probes.db") as store:
        changed, bot = Bot(store, settings), Bot(store, settings)
        changed.furnish(lambda _tell: altered)
        bot.furnish(lambda _tell: original)
        out = {"altered": [_asked(changed, store, "altered", case.query) for case in cases], "removed": []}
        for case in cases:
            knowledge.without = HeldOut(case.entry.id)
            out["removed"].append(_asked(bot, store, "removed", case.query))
        knowledge.without = None
        judged = [_asked(bot, store, "judged", query) for query in unanswerable]
        knowledge.closed = True
        out["closed book"] = [_asked(bot, store, "closed", case.query) for case in cases]
    return out, judged


def bot_summary(
    cases: Sequence[Case], out: Mapping[str, Sequence[Written]], judged: Sequence[Written]
) -> dict[str, Any]:
    """Return the shares of every probe; what is asked back or declined is not answered."""
    answered = [(case, one) for case, one in zip(cases, out["altered"], strict=True) if not one.refused]
    found = summary(cases, out)
    kept = ("altered: refused", "removed: old fact appears", "removed: refused", "closed book: states a fact")
    return {
        "altered: follows, of those answered": share(answered, follows),
        "altered: old fact stated": share(answered, lambda case, one: case.alteration.old_in(one.text)),
        **{name: found[name] for name in kept},
        "judged unanswerable: not answered": counted(sum(one.refused for one in judged), len(judged)),
    }


def told(cases: Sequence[Case], written: Mapping[str, Mapping[str, Sequence[Written]]]) -> Iterator[dict[str, Any]]:
    """Yield every reply with what it was judged by."""
    for level, probes in written.items():
        for probe, replies in probes.items():
            for case, one in zip(cases, replies, strict=True):
                changed = case.alteration
                fact = {"kind": changed.kind, "old": changed.old, "new": changed.new}
                reply = {"text": one.text, "support": one.support, "shown": [entry.id for entry in one.shown]}
                yield {"level": level, "probe": probe, "question": case.query.text, **fact, **reply}


def _asked(bot: Bot, store: Store, probe: str, query: Query) -> Written:
    """Return the bot's reply; a question back and a refusal are no answers."""
    (answer,) = ask(bot, store, [replace(query, id=f"{probe}-{query.id}")])
    return Written(str(answer["text"]), refused=answer["kind"] not in ANSWERED, support=str(answer["kind"]))


def _say(what: str) -> None:
    print(f"loading {what}", file=sys.stderr, flush=True)


def _parser() -> Parser:
    parser = Parser(prog="python benchmarks/probes.py", description="Probe whether an adapter reads what it is shown.")
    parser.add_argument("--knowledge", required=True, help="a knowledge home; it is copied, not changed")
    parser.add_argument("--adapter", required=True, help="an adapter folder")
    parser.add_argument("--calibration", default="", help="the adapter's calibration; without one the bot is left out")
    parser.add_argument("--questions", nargs="+", default=[], help="questions with their relevant entries (JSON Lines)")
    parser.add_argument("--limit", type=int, default=100, help="so many entries")
    parser.add_argument("--seed", type=int, default=1, help="chooses entries, facts and new values")
    parser.add_argument("--bot_only", action="store_true", help="leave the raw writer out")
    parser.add_argument("--written", default="", metavar="FILE", help="write every reply as JSON")
    parser.add_argument("--base", default="", help="another place of the base model's weights")
    parser.add_argument("--data-dir", default="", help="a data folder whose settings are used")
    parser.add_argument("--json", default="", metavar="FILE", help="write all numbers as JSON; - is standard output")
    return parser


if __name__ == "__main__":
    run(main)
