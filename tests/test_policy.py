"""The policy: from what was understood, found and fitted to one kind of reply, for every kind and reason built."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.calibration import Calibration, Logistic
from chatbot.policy import decide
from chatbot.types import Decision, EvidenceReading, Understanding
from knowledge_base.entry import Entry, Hit
from knowledge_base.scorer import FEATURES, Scorer

FITTED = Calibration(
    scorer=Scorer((1.0,) * len(FEATURES), 0.0),
    evidence=Logistic((1.0, 1.0, 1.0), 0.0),  # right with probability 0.5 where the log-odds cancel
    thresholds={
        "approved": 0.8,
        "grounded": 0.7,
        "ask": 0.5,
        "out_of_scope": 0.9,
        "step:chat": 0.6,
        "step:ask": 0.6,
        "step:decline": 0.6,
        "step:hand_over": 0.6,
    },
    max_error=0.05,
    adapter="",
    knowledge="",
    encoder="",
)

BY_SEARCH = replace(FITTED, evidence=Logistic((1.0,), 0.0))


def hits(*probabilities: float, approved: bool = True) -> list[Hit]:
    return [Hit(Entry(f"e{i}", f"Q{i}?", f"A{i}.", approved=approved), p, p) for i, p in enumerate(probabilities)]


def steps(**probabilities: float) -> Understanding:
    return Understanding(next_step=probabilities, out_of_scope=0.1)


UNKNOWN = Understanding()
OUTSIDE = Understanding(out_of_scope=0.95)
FULL, NONE = (EvidenceReading({"full": p}, (0.5, 0.5)) for p in (0.9, 0.1))

CASES: dict[str, tuple[Understanding, list[Hit], EvidenceReading | None, tuple[str, str, tuple[str, ...]]]] = {
    "a certain entry answers": (UNKNOWN, hits(0.85, 0.1), None, ("approved", "entry_answers", ("e0",))),
    "just certain enough": (UNKNOWN, hits(0.8), None, ("approved", "entry_answers", ("e0",))),
    "an entry is surer than small talk": (steps(chat=0.7), hits(0.85), FULL, ("approved", "entry_answers", ("e0",))),
    "small talk is surer than an entry": (steps(chat=0.95), hits(0.85), FULL, ("chat", "small_talk", ())),
    "small talk and nothing found": (steps(chat=0.7), [], None, ("chat", "small_talk", ())),
    "unsure small talk is none": (steps(chat=0.5, ask=0.3), [], None, ("decline", "nothing_fits", ())),
    "a person is wanted": (steps(hand_over=0.7), hits(0.5), FULL, ("decline", "person_wanted", ())),
    "a person is wanted but an entry answers": (
        steps(hand_over=0.7),
        hits(0.9),
        FULL,
        ("approved", "entry_answers", ("e0",)),
    ),
    "out of scope": (OUTSIDE, hits(0.5), FULL, ("decline", "out_of_scope", ())),
    "out of scope by its next step": (steps(decline=0.7), hits(0.5), FULL, ("decline", "out_of_scope", ())),
    "out of scope but an entry answers": (OUTSIDE, hits(0.8), None, ("approved", "entry_answers", ("e0",))),
    "the entries support an answer": (UNKNOWN, hits(0.6, 0.5), FULL, ("grounded", "evidence_supports", ("e0", "e1"))),
    "a passage is never sent as it stands": (
        UNKNOWN,
        hits(0.9, approved=False),
        FULL,
        ("grounded", "evidence_supports", ("e0",)),
    ),
    "a passage without a model": (UNKNOWN, hits(0.9, approved=False), None, ("ask", "unclear", ("e0",))),
    "the entries do not support an answer": (UNKNOWN, hits(0.6, 0.2), NONE, ("ask", "unclear", ("e0", "e1"))),
    "the model would ask": (steps(ask=0.8), hits(0.3, 0.2), NONE, ("ask", "unclear", ())),
    "two readings are likely": (UNKNOWN, hits(0.3, 0.25, 0.2), None, ("ask", "unclear", ("e0", "e1"))),
    "one reading is fairly likely": (UNKNOWN, hits(0.6), None, ("ask", "unclear", ("e0",))),
    "nothing fits": (UNKNOWN, hits(0.2, 0.1), NONE, ("decline", "nothing_fits", ())),
    "nothing is found": (UNKNOWN, [], None, ("decline", "nothing_fits", ())),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_turn_gets_the_kind_and_reason_of_the_table(
    case: tuple[Understanding, list[Hit], EvidenceReading | None, tuple[str, str, tuple[str, ...]]],
) -> None:
    understanding, found, support, expected = case
    decision = decide(understanding, found, FITTED, None if support is None else lambda: support)
    assert (decision.kind, decision.reason, decision.entry_ids) == expected
    assert decision.probability is not None


def test_the_table_covers_every_kind_and_reason_that_the_policy_gives() -> None:
    given_kinds = {case[3][:2] for case in CASES.values()}
    assert given_kinds == {
        ("approved", "entry_answers"),
        ("chat", "small_talk"),
        ("decline", "person_wanted"),
        ("decline", "out_of_scope"),
        ("decline", "nothing_fits"),
        ("grounded", "evidence_supports"),
        ("ask", "unclear"),
    }


QUESTION = Entry("e0", "What does  Delivery cost?", "4.90 euro.", alternatives=("shipping price",))


@pytest.mark.parametrize("message", ["What does delivery cost?", "what does delivery cost", " Shipping  Price? "])
def test_an_entry_answers_its_own_question_however_unsure_search_is(message: str) -> None:
    found = [*hits(0.5), Hit(QUESTION, 0.4, 0.4)]
    assert decide(UNKNOWN, found, None, None, message) == Decision("approved", "entry_answers", ("e0",))
    for understood in (UNKNOWN, steps(chat=0.95)):
        decision = decide(understood, found, FITTED, lambda: FULL, message)
        assert decision == Decision("approved", "entry_answers", ("e0",), 0.4)


@pytest.mark.parametrize("calibration", [None, FITTED])
def test_a_question_of_several_entries_or_of_a_subject_that_it_does_not_name_answers_nothing_by_itself(
    calibration: Calibration | None,
) -> None:
    lamp = replace(QUESTION, question="What does the lamp cost?", subject="Lamp")
    other = Hit(replace(QUESTION, id="e9"), 0.2, 0.2)
    twice, unnamed, named = (
        [Hit(QUESTION, 0.4, 0.4), other],
        [Hit(replace(lamp, question="Price?"), 0.4, 0.4)],
        [Hit(lamp, 0.4, 0.4)],
    )
    assert decide(UNKNOWN, twice, calibration, None, "what does delivery cost").kind == "ask"
    assert decide(UNKNOWN, unnamed, calibration, None, "price").kind in ("ask", "decline")
    assert decide(UNKNOWN, named, calibration, None, "what does the lamp cost?").kind == "approved"


def test_without_a_calibration_anything_else_is_asked_back_or_declined() -> None:
    found = [Hit(QUESTION, 0.9, 0.9), *hits(0.99, 0.98)]
    asked = decide(UNKNOWN, found, None, None, "What does delivery cost to France?")
    assert (asked.kind, asked.reason, len(asked.entry_ids)) == ("ask", "unclear", 2)
    assert decide(UNKNOWN, [], None, None, "anything") == Decision("decline", "nothing_fits")
    passage = [Hit(replace(QUESTION, approved=False), 1.0, 1.0)]
    assert decide(UNKNOWN, passage, None, None, QUESTION.question).kind == "ask"


def test_a_kind_that_was_never_certain_enough_is_not_given() -> None:
    never = replace(FITTED, thresholds=dict.fromkeys(FITTED.thresholds))
    sure = Understanding(next_step={"chat": 1.0}, out_of_scope=1.0)
    assert decide(sure, hits(1.0), never, lambda: EvidenceReading({"full": 1.0}, (1.0,))) == Decision(
        "decline", "nothing_fits", (), 0.0
    )


def test_the_entries_are_read_only_where_the_decision_depends_on_it() -> None:
    def asked() -> EvidenceReading:
        raise AssertionError("the entries were read")

    for understanding, found in (
        (UNKNOWN, hits(0.9)),
        (UNKNOWN, []),
        (steps(chat=0.9), hits(0.1)),
        (steps(hand_over=0.9), hits(0.1)),
        (OUTSIDE, hits(0.1)),
    ):
        decide(understanding, found, FITTED, asked)
    decide(UNKNOWN, hits(0.6), replace(FITTED, evidence=None), asked)
    decide(UNKNOWN, hits(0.6), None, asked)
    decide(UNKNOWN, hits(0.6), BY_SEARCH, asked)


@pytest.mark.parametrize(
    ("found", "kind"), [(hits(0.75, approved=False), "grounded"), (hits(0.65, approved=False), "ask")]
)
def test_where_the_reading_tells_nothing_search_alone_says_what_is_written(found: list[Hit], kind: str) -> None:
    assert decide(UNKNOWN, found, BY_SEARCH, lambda: NONE).kind == kind
    assert decide(UNKNOWN, found, BY_SEARCH, None).kind == "ask", "nobody could write it"


@given(
    probabilities=st.lists(st.floats(0, 1), max_size=5),
    chat=st.floats(0, 1),
    outside=st.none() | st.floats(0, 1),
    full=st.floats(0, 1),
    approved=st.booleans(),
)
def test_whatever_is_read_an_answer_rests_on_entries_and_only_a_certain_one(
    probabilities: list[float], chat: float, outside: float | None, full: float, approved: bool
) -> None:
    found = hits(*sorted(probabilities, reverse=True), approved=approved)
    understanding = Understanding(next_step={"chat": chat, "answer": 1 - chat}, out_of_scope=outside)
    reading = EvidenceReading({"full": full}, (0.5, 0.5))
    decision = decide(understanding, found, FITTED, lambda: reading)
    ids = {hit.entry.id for hit in found}
    assert set(decision.entry_ids) <= ids
    if decision.kind == "approved":
        assert approved
        assert (found[0].probability) >= 0.8
    if decision.kind in ("approved", "grounded"):
        assert decision.entry_ids[0] == found[0].entry.id
        assert (decision.probability or 0) >= 0.7
    if decision.kind == "decline":
        assert not decision.entry_ids
