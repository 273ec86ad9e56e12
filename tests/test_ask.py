"""The command that puts a file of questions through the whole bot: what it asks, what it writes and how it judges."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import WordEncoder, fill, scorer_of

from chatbot import ask
from chatbot.bot import Bot, Parts
from chatbot.calibration import Calibration
from chatbot.config import Settings
from chatbot.store import Store
from chatbot.types import KINDS
from knowledge_base.command import EXIT_DONE, EXIT_PARTLY_REFUSED
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError
from knowledge_base.manifest import seal
from knowledge_base.queries import Query
from knowledge_base.search import KnowledgeBase

COST = Entry("cost", "What does delivery cost?", "Delivery costs 4.90 euro.")
BACK = Entry("back", "Can I return the lamp?", "Returns are free within 30 days.")
FITTED = Calibration(
    scorer_of(20.0, question=20.0, whole=20.0),
    None,
    {"approved": 0.9, "ask": 0.01},
    0.05,
    "",
    "",
    WordEncoder().sha256,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "home", [COST, BACK], WordEncoder())
    return tmp_path / "home"


@pytest.fixture
def parts(home: Path) -> Parts:
    return Parts(KnowledgeBase.open(home, WordEncoder()), None, FITTED)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "questions.db") as store:
        yield store


def question(text: str, relevant: tuple[str, ...] | None = (), facts: tuple[str, ...] = (), name: str = "") -> Query:
    return Query(name or text, (("user", text),), relevant, facts)


def test_each_question_runs_as_a_customers_message_would(parts: Parts, store: Store) -> None:
    bot = Bot(store, Settings(contact="help@shop.example"))
    bot.furnish(lambda _tell: parts)
    before = (("user", "what does delivery cost"), ("assistant", "4.90 euro."), ("user", "what does delivery cost"))
    queries = [question("what does delivery cost"), Query("multi", before, ("cost",), ()), question("boats and ships")]
    first, second, third = ask.ask(bot, store, queries)
    assert (first["kind"], first["reason"], first["citations"]) == ("approved", "entry_answers", ["cost"])
    assert first["text"] == COST.answer
    assert first["hits"][0][0] == "cost"
    assert first["probability"] == first["hits"][0][1]
    assert {"find", "decide", "write", "first_text"} <= set(first["seconds"])
    assert second["kind"] == "approved"
    (row,) = store.conversations("ask-multi")
    assert [m.content for m in store.conversation(row.id, "ask-multi")] == [*(text for _, text in before), COST.answer]
    assert third["kind"] == "decline"
    assert [one["offered"] for one in (first, second, third)] == [[], [], []]
    assert set(first) == {"id", "kind", "reason", "text", "citations", "offered", "hits", "probability", "seconds"}


def answer(
    kind: str, text: str, *citations: str, seconds: float = 1.0, offered: tuple[str, ...] = (), hits: str = ""
) -> dict[str, Any]:
    return {
        "kind": kind, "text": text, "citations": list(citations), "offered": list(offered),
        "hits": [[name, 0.1] for name in hits.split()], "seconds": {"read": seconds, "write": 1, "first_text": 9},
    }  # fmt: skip


JUDGED: dict[str, tuple[Query, dict[str, Any], Mapping[str, int]]] = {
    "right": (question("a", ("cost",), ("4.90",)), answer("approved", COST.answer, "cost"), {"right": 1}),
    "a fact is missing": (question("a", ("cost",), ("9.50",)), answer("approved", COST.answer, "cost"), {"wrong": 1}),
    "another entry": (question("a", ("back",)), answer("approved", COST.answer, "cost"), {"wrong": 1}),
    "facts in another case": (
        question("a", ("cost",), ("DELIVERY",)),
        answer("grounded", COST.answer, "cost"),
        {"right": 1},
    ),
    "refused": (question("a", ("cost",)), answer("decline", "No."), {"refused_answerable": 1}),
    "asked back": (question("a", ("cost",)), answer("ask", "Which?"), {"refused_answerable": 1}),
    "asked back with the answer among the choices": (
        question("a", ("cost",)),
        answer("ask", "Which?", offered=("back", "cost"), hits="back cost"),
        {"refused_answerable": 1, "offered": 1, "hit_at_5": 1},
    ),
    "asked back with others": (
        question("a", ("cost",)),
        answer("ask", "Which?", offered=("back", "time"), hits="back time a b c cost"),
        {"refused_answerable": 1},
    ),
    "found first": (
        question("a", ("cost",)),
        answer("approved", "So.", "cost", hits="cost back"),
        {"right": 1, "hit_at_1": 1, "hit_at_5": 1},
    ),
    "found where nothing answers": (question("a"), answer("ask", "Which?", offered=("cost",), hits="cost"), {}),
    "answered what nothing answers": (
        question("a"),
        answer("approved", COST.answer, "cost"),
        {"answered_unanswerable": 1},
    ),
    "rightly declined": (question("a"), answer("decline", "No."), {}),
    "not judged": (question("a", None), answer("approved", COST.answer, "cost"), {}),
    "a source that does not exist": (
        question("a", None),
        answer("grounded", "Yes.", "nothing"),
        {"invented_citations": 1},
    ),
    "a fact of its own": (
        question("a", None),
        answer("grounded", "It costs 9.90 euro.", "cost"),
        {"unsupported_facts": 1},
    ),
}
COUNTS = (
    "right", "wrong", "refused_answerable", "offered", "hit_at_1", "hit_at_5", "answered_unanswerable",
    "invented_citations", "unsupported_facts",
)  # fmt: skip


@pytest.mark.parametrize("case", JUDGED.values(), ids=JUDGED)
def test_answers_are_judged(parts: Parts, case: tuple[Query, dict[str, Any], Mapping[str, int]]) -> None:
    query, given, expected = case
    report = ask.judge([query], [given], parts)
    assert {name: report[name] for name in COUNTS} == {**dict.fromkeys(COUNTS, 0), **expected}
    assert report["n"] == 1
    assert report["kinds"] == {kind: int(kind == given["kind"]) for kind in KINDS}


def test_times_are_those_of_the_whole_turn(parts: Parts) -> None:
    answers = [answer("decline", "No.", seconds=seconds) for seconds in range(20)]
    report = ask.judge([question("a", None)] * 20, answers, parts)
    assert (report["seconds_p50"], report["seconds_p95"]) == (10.0, 19.0)
    assert ask.judge([], [], parts)["seconds_p95"] == 0.0


@pytest.fixture
def word_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge_base.encoder.load_encoder", lambda _name: WordEncoder())


def write_questions(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.usefixtures("word_encoder")
def test_the_command_writes_a_report_and_the_answers(home: Path, tmp_path: Path) -> None:
    calibration = tmp_path / "calibration"
    calibration.mkdir()
    FITTED.save(calibration)
    seal(calibration, {"kind": "calibration"})
    questions = write_questions(
        tmp_path / "q.jsonl",
        {"id": "1", "query": "What does delivery cost?", "relevant": ["cost"], "facts": ["4.90"]},
        {"id": "2", "query": "boats and ships", "relevant": []},
    )
    report, answers = tmp_path / "report.json", tmp_path / "answers.jsonl"
    command = [
        "--questions",
        str(questions),
        "--json",
        str(report),
        "--answers",
        str(answers),
        "--knowledge",
        str(home),
    ]
    assert ask.main([*command, "--calibration", str(calibration)]) == EXIT_DONE
    found = json.loads(report.read_text(encoding="utf-8"))
    assert {name: found[name] for name in COUNTS} == {
        **dict.fromkeys(COUNTS, 0),
        "right": 1,
        "hit_at_1": 1,
        "hit_at_5": 1,
    }
    rows = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], row["kind"]) for row in rows] == [("1", "approved"), ("2", "decline")]


@pytest.mark.usefixtures("word_encoder")
def test_questions_that_cannot_be_read_are_refused_and_the_others_asked(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = write_questions(tmp_path / "q.jsonl", {"query": COST.question}, {"id": "no query"})
    command = ["--questions", str(questions), "--json", "-", "--knowledge", str(home)]
    assert ask.main(command) == EXIT_PARTLY_REFUSED
    printed = capsys.readouterr()
    assert json.loads(printed.out)["n"] == 1
    assert "q.jsonl:2" in printed.err


def test_a_file_without_a_usable_question_or_without_knowledge_is_refused(tmp_path: Path, home: Path) -> None:
    empty = write_questions(tmp_path / "empty.jsonl")
    questions = write_questions(tmp_path / "q.jsonl", {"query": "hello"})
    with pytest.raises(InputError, match="no usable row"):
        ask.main(["--questions", str(empty), "--json", "-", "--knowledge", str(home)])
    with pytest.raises(InputError, match="expected a knowledge home"):
        ask.main(["--questions", str(questions), "--json", "-", "--knowledge", str(tmp_path / "absent")])
    with pytest.raises(InputError, match="--adapter"):
        ask.main(["--questions", str(questions), "--json", "-", "--knowledge", str(home), "--adapter", "absent"])
