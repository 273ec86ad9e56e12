from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import stdev

import pytest
from conftest import HashEncoder, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_base.command import EXIT_DONE, EXIT_PARTLY_REFUSED
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError, SnapshotError
from knowledge_base.evaluate import auroc, evaluate, main, paired_interval
from knowledge_base.queries import Query, read_queries
from knowledge_base.search import KnowledgeBase

# With alternatives: of entries without any the weights ask that a whole entry is near, which hashes in place of meaning are not.
ENTRIES = [Entry(f"e{i}", f"Question {i}?", "yes", alternatives=(f"Other words {i}",)) for i in range(200)]


def query(text: str, relevant: Sequence[str] | None) -> Query:
    return Query(text, (("user", text),), None if relevant is None else tuple(relevant), ())


@pytest.fixture
def knowledge(tmp_path: Path) -> KnowledgeBase:
    fill(tmp_path / "home", ENTRIES)
    return KnowledgeBase.open(tmp_path / "home", HashEncoder())


def test_figures_are_those_counted_by_hand(knowledge: KnowledgeBase) -> None:
    third = knowledge.search("Question 7?", k=3)[2].entry.id
    last = knowledge.search("Question 8?", k=200)[-1].entry.id
    figures = evaluate(
        knowledge,
        [
            query("Question 1?", ["e1"]),
            query("Question 7?", ["gone", third]),
            query("Question 8?", [last]),
            query("nothing fits this", []),
            query("not judged", None),
        ],
    )
    assert figures.pop("queries_per_second") > 0
    assert figures == {
        "n": 3,
        "hit_at_1": pytest.approx(1 / 3),
        "hit_at_5": pytest.approx(2 / 3),
        "mrr": pytest.approx((1 + 1 / 3 + 0) / 3),
        "no_answer_auroc": 1.0,
        "dense_hit_at_1": pytest.approx(1 / 3),
        "above_dense": 0.0,
        "above_dense_low": 0.0,
        "above_dense_high": 0.0,
    }


def test_figures_without_their_data_are_absent(knowledge: KnowledgeBase) -> None:
    assert set(evaluate(knowledge, [query("Question 1?", ["e1"])])) == {
        "n", "hit_at_1", "hit_at_5", "mrr", "queries_per_second", "dense_hit_at_1", "above_dense", "above_dense_low",
        "above_dense_high",
    }  # fmt: skip
    assert set(evaluate(knowledge, [query("nothing", [])])) == {"n", "queries_per_second"}


def test_the_nearest_text_alone_is_the_witness_that_the_search_is_measured_by(tmp_path: Path) -> None:
    """Of two entries with the same question dense search finds both first; the search goes by what else is said."""
    same = [Entry(id=f"h{i}", question="Are pets allowed?", answer=f"House {i}.", subject=f"Hotel {i}") for i in "AB"]
    fill(tmp_path / "home", [*ENTRIES, *same])
    knowledge = KnowledgeBase.open(tmp_path / "home", HashEncoder())
    asked = [Query(i, (("user", f"Hotel {i}"), ("user", "Are pets allowed?")), (f"h{i}",), ()) for i in "AB"]
    figures = evaluate(knowledge, [*asked, query("Question 1?", ["e2"])])
    assert figures["dense_hit_at_1"] == pytest.approx(2 / 3)
    assert figures["above_dense"] == pytest.approx(figures["hit_at_1"] - 2 / 3)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=20, max_size=60))
def test_a_paired_interval_is_that_of_the_mean(gain: list[float]) -> None:
    low, high = paired_interval(gain)
    mean, error = sum(gain) / len(gain), stdev(gain) / math.sqrt(len(gain))
    assert low == pytest.approx(mean - 1.96 * error, abs=0.25 * error + 0.05)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.25 * error + 0.05)


SCORES = st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_the_auroc_is_the_share_of_pairs_in_order(positives: list[float], negatives: list[float]) -> None:
    pairs = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positives for n in negatives]
    assert auroc(positives, negatives) == pytest.approx(sum(pairs) / len(pairs))


def test_queries_are_read_from_text_and_from_conversations(tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    rows = [
        {"id": "a", "query": " where is it? ", "relevant": ["e1"], "facts": ["two days"]},
        {"id": "b", "query": "hello"},
        {
            "id": 3,
            "relevant": [],
            "messages": [
                {"role": "system", "content": ""},
                {"role": "customer", "content": "a lamp"},
                {"role": "bot", "content": "which one?"},
                {"role": "human", "content": "the blue one"},
                {"role": "agent", "content": "here"},
            ],
        },
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    queries, refusals = read_queries(file)
    assert refusals == []
    assert [(q.id, q.text, q.history, q.relevant, q.facts) for q in queries] == [
        ("a", "where is it?", (), ("e1",), ("two days",)),
        ("b", "hello", (), None, ()),
        ("3", "the blue one", (("user", "a lamp"), ("assistant", "which one?")), (), ()),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "x"}, "expected query or messages, got neither"),
        ({"query": "a", "messages": []}, "expected query or messages, got both"),
        ({"query": ""}, "query: expected text, got nothing"),
        ({"query": ["a"]}, "query: expected text"),
        ({"query": "a", "relevant": "e1"}, "relevant: expected a list of texts"),
        ({"query": "a", "relevant": [None]}, "relevant: expected text"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "messages: expected a message of the customer"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "messages: expected the role user or assistant"),
        ({"query": "half \ud83d"}, "query: expected text, got half a character"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages: expected the role user or assistant"),
        ({"messages": ["a"]}, "messages: expected objects"),
        ({"id": "first", "query": "again"}, "the id 'first' stands in line 1 already"),
    ],
)
def test_a_wrong_query_is_refused_with_its_line(tmp_path: Path, row: object, reason: str) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text(json.dumps({"id": "first", "query": "a"}) + "\n" + json.dumps(row) + "\n")
    queries, refusals = read_queries(file)
    assert [q.id for q in queries] == ["first"]
    assert (refusals[0].line, refusals[0].reason.startswith(reason)) == (2, True)


def test_the_command_writes_figures_refuses_rows_and_names_unknown_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], knowledge: KnowledgeBase
) -> None:
    monkeypatch.setattr("knowledge_base.encoder.load_encoder", lambda _name: HashEncoder())
    file = tmp_path / "queries.jsonl"
    good = '{"query": "Question 1?", "relevant": ["e1", "e999"]}\n'
    arguments = ["--knowledge", str(tmp_path / "home"), "--queries", str(file)]
    file.write_text(good)
    assert main([*arguments, "--json", str(tmp_path / "figures.json")]) == EXIT_DONE
    captured = capsys.readouterr()
    assert "1 relevant entries are not in the knowledge: e999" in captured.err
    assert "hit_at_1" in captured.out
    assert json.loads((tmp_path / "figures.json").read_text())["hit_at_1"] == 1.0
    file.write_text(good + "no json\n")
    assert main([*arguments, "--json", "-"]) == EXIT_PARTLY_REFUSED
    captured = capsys.readouterr()
    assert json.loads(captured.out)["n"] == 1
    assert f"refused: {file}:2:" in captured.err


def test_without_judged_queries_or_knowledge_nothing_is_done(tmp_path: Path, knowledge: KnowledgeBase) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text('{"query": "a"}\n')
    with pytest.raises(InputError, match="expected queries with relevant, got none"):
        main(["--knowledge", str(tmp_path / "home"), "--queries", str(file)])
    with pytest.raises(SnapshotError, match="expected a knowledge home"):
        main(["--knowledge", str(tmp_path / "absent"), "--queries", str(file)])
    with pytest.raises(InputError, match="expected a file that can be read"):
        main(["--knowledge", str(tmp_path / "home"), "--queries", str(tmp_path / "absent")])
