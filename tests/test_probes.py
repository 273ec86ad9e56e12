"""The probes of reading: what is asked, what is counted, and that writing together is writing one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import probes
import pytest
from batch import write_all
from conftest import WordEncoder, fill
from probe_counts import Case, Written, counted, follows, invents, lines, remembered, summary
from probes import ProbedKnowledge, choose
from scripted_model import SETS, scripted_model

from chatbot.engines.transformers import TransformersEngine
from chatbot.model import DialogueModel
from chatbot.types import Message
from knowledge_base.candidates import HeldOut
from knowledge_base.entry import Entry
from knowledge_base.queries import Query

PRICE = Entry("price", "What does the lamp cost?", "The lamp costs 189 euro and lasts 7 years.")
TIME = Entry("time", "How long does delivery take?", "Delivery takes 3 days.")
OAK = Entry("oak", "What is it made of?", "It is made of oak.")
STAFF = Entry("staff", "What do we earn?", "We earn 21 euro.", visibility="internal")
ENTRIES = {entry.id: entry for entry in (PRICE, TIME, OAK, STAFF)}


def query(name: str, text: str, *relevant: str, facts: tuple[str, ...] = ()) -> Query:
    return Query(name, (("user", text),), relevant, facts)


@pytest.fixture
def model(tiny_base: Path) -> DialogueModel:
    """A model with random weights that really writes, and random rows that really read."""
    made, _ = scripted_model(tiny_base)
    random = np.random.default_rng(1)
    rows = {name: random.standard_normal((len(labels), 32)).astype(np.float32) for name, labels in SETS.items()}
    labels = replace(made.labels, rows={**made.labels.rows, **rows})
    engine = TransformersEngine.load(tiny_base, None, rows)
    return DialogueModel(made.renderer, engine, labels, WordEncoder(), "a" * 64)


@pytest.fixture
def knowledge(tmp_path: Path) -> ProbedKnowledge:
    fill(tmp_path / "home", list(ENTRIES.values()), WordEncoder())
    return ProbedKnowledge.open(tmp_path / "home", WordEncoder())


def test_replies_written_together_are_those_written_one_after_the_other(model: DialogueModel) -> None:
    jobs: list[tuple[Sequence[Message], Sequence[Entry]]] = [
        ((Message("user", "how long " * n),), entries)
        for n, entries in ((1, (PRICE,)), (9, (TIME, OAK)), (2, ()), (30, (OAK,)), (4, ()))
    ]
    told: list[int] = []
    found = write_all(model, jobs, told.append)
    for (messages, entries), (text, support) in zip(jobs, found, strict=True):
        assert text == "".join(model.write(messages, entries, Event()))
        likeliest = next(iter(model.read_evidence(messages, entries).support)) if entries else ""
        assert support == likeliest
    assert sum(told) == len(jobs)


def test_a_case_changes_the_fact_that_the_question_asks_for() -> None:
    for seed in range(5):
        (case,) = choose(ENTRIES, [query("q", "how long does it last", "price", facts=("7 years",))], 1, seed)
        assert (case.entry, case.alteration.old) == (PRICE, "7 years")
        assert case.alteration.new_in(case.altered.answer)


def test_each_case_asks_for_another_public_entry_that_can_be_changed() -> None:
    asked = [query("a", "when?", "time"), query("b", "how soon?", "time"), query("c", "wages?", "staff")]
    unusable = [query("d", "both?", "time", "price"), query("e", "none?"), query("f", "gone?", "gone")]
    cases = list(choose(ENTRIES, [*asked, *unusable], 9, 0))
    assert [case.query.id for case in cases] == ["a", "price"], "then the entries' own questions"
    assert [case.query.id for case in choose(ENTRIES, asked, 1, 0)] == ["a"]


def test_an_entry_whose_question_does_not_name_its_subject_is_asked_for_with_it() -> None:
    entries = {name: Entry(name, f"Is {name} open?", "It opens at 9 a.m.", subject="Mill") for name in ("Mill", "it")}
    assert {case.query.text for case in choose(entries, [], 2, 0)} == {"Is Mill open?", "Mill: Is it open?"}


def case() -> Case:
    (made,) = choose(ENTRIES, [query("q", "how long does it last", "price", facts=("7 years",))], 1, 0)
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It lasts {new}.", True),
        ("It lasts 7 years.", False),
        ("It lasts {new}, not 7 years.", False),
        ("I cannot say.", False),
    ],
)
def test_an_answer_follows_if_it_states_the_new_fact_and_not_the_old_one(text: str, expected: bool) -> None:
    one = case()
    assert follows(one, Written(text.format(new=one.alteration.new), refused=False)) is expected


def test_a_fact_is_remembered_if_no_entry_that_is_shown_holds_it() -> None:
    out = Written("Seven years: 7 years.", refused=False, shown=(TIME,))
    assert remembered(case(), out)
    held = Entry("x", "And this one?", "7 years too.")
    assert not remembered(case(), Written(out.text, refused=False, shown=(TIME, held)))
    assert not remembered(case(), Written("3 days.", refused=False, shown=(TIME,)))


def test_a_closed_book_invents_what_nobody_said() -> None:
    one = Case(query("q", "is it 7 years?", "price"), PRICE, PRICE, case().alteration)
    assert invents(one, Written("It is 9 years.", refused=False))
    assert not invents(one, Written("It is 7 years.", refused=False))
    assert not invents(one, Written("Which lamp do you mean?", refused=False))
    assert not invents(one, Written("", refused=True))


def test_a_share_stands_with_its_count_and_wilsons_interval() -> None:
    assert counted(8, 10) == {"n": 10, "found": 8, "share": 0.8, "interval": [0.4902, 0.9433]}
    assert counted(0, 0) == {"n": 0, "found": 0, "share": None, "interval": None}


def test_the_summary_counts_every_probe() -> None:
    one = case()
    new, old = f"It lasts {one.alteration.new}.", "It lasts 7 years."
    written = {
        "altered": [Written(new, refused=False, support="full"), Written(old, refused=False, support="none")],
        "removed": [Written(old, refused=False, shown=(TIME,), support="part"), Written("", refused=True)],
        "closed book": [Written("It is 4 euro.", refused=False), Written("", refused=True)],
    }
    found = summary([one, one], written)
    assert {name: row["found"] for name, row in found.items()} == {
        "altered: follows": 1,
        "altered: old fact stated": 1,
        "altered: refused": 0,
        "altered: support none": 1,
        "removed: old fact appears": 1,
        "removed: it stands in no entry shown": 1,
        "removed: refused": 1,
        "removed: support none": 0,
        "closed book: states a fact": 1,
        "closed book: states the old fact": 0,
        "closed book: refused": 1,
    }
    assert {row["n"] for row in found.values()} == {2}
    report = {"cases": 2, "kinds": {"number": 2}, "raw writer": found}
    shown = list(lines(report))
    assert len(shown) == 1 + len(found)
    assert "1 of    2" in shown[1]


def test_of_the_bots_replies_only_answers_can_follow() -> None:
    one = case()
    new = f"It lasts {one.alteration.new}."
    out = {
        "altered": [Written(new, refused=False), Written(f"Do you mean this? {new}", refused=True)],
        "removed": [Written("Which lamp?", refused=True)] * 2,
        "closed book": [Written("I do not know.", refused=True)] * 2,
    }
    found = probes.bot_summary([one, one], out, [Written("3 days.", refused=False), Written("No.", refused=True)])
    assert {name: (row["found"], row["n"]) for name, row in found.items()} == {
        "altered: follows, of those answered": (1, 1),
        "altered: old fact stated": (0, 1),
        "altered: refused": (1, 2),
        "removed: old fact appears": (0, 2),
        "removed: refused": (2, 2),
        "closed book: states a fact": (0, 2),
        "judged unanswerable: not answered": (1, 2),
    }


def test_the_raw_writer_is_shown_the_changed_entry_or_everything_but_the_entry(
    model: DialogueModel, knowledge: ProbedKnowledge, tmp_path: Path
) -> None:
    cases = list(choose(knowledge.entries, [], 9, 0))
    assert {one.entry for one in cases} == {PRICE, TIME}
    fill(tmp_path / "changed", [*(one.altered for one in cases), OAK], WordEncoder())
    written = probes.raw(model, cases, ProbedKnowledge.open(tmp_path / "changed", WordEncoder()), knowledge, 0)
    assert {name: len(rows) for name, rows in written.items()} == {"altered": 2, "removed": 2, "closed book": 2}
    for number, one in enumerate(cases):
        assert one.altered in written["altered"][number].shown
        assert one.entry.id not in {entry.id for entry in written["removed"][number].shown}
        assert written["removed"][number].shown
        assert written["closed book"][number].shown == ()
    assert knowledge.without is None
    rows = list(probes.told(cases, {"raw writer": written}))
    assert [row["text"] for row in rows] == [one.text for replies in written.values() for one in replies]
    assert {str(row["old"]) for row in rows} == {one.alteration.old for one in cases}


def test_knowledge_can_be_searched_as_if_an_entry_or_everything_did_not_exist(knowledge: ProbedKnowledge) -> None:
    def ids() -> set[str]:
        return {hit.entry.id for hit in knowledge.search(TIME.question)}

    assert "time" in ids()
    knowledge.without = HeldOut("time")
    assert "time" not in ids() != set()
    knowledge.closed = True
    assert ids() == set()
