"""What each pass shows: every evidence once a showing, most of it with one fact changed, and silence where none answers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.gate import passes
from chatbot.types import Message
from finetune.data import Evidence, Lesson, Turn
from finetune.passes import AS_IT_STANDS_EVERY, summary, variants
from finetune.records import Transcript
from knowledge_base.entry import Entry

PRICE = Entry("price", "What does the lamp cost?", "The lamp costs 189 euro.")
TIME = Entry("time", "How long does it take?", "It takes 3 to 5 days.")
PLAIN = Entry("plain", "What is it made of?", "It is made of oak.")


def shown(*turns: Turn, name: str = "c") -> Lesson:
    return Lesson(Transcript(name, tuple(Message("user", f"message {turn.message}") for turn in turns)), list(turns))


def answered(entry: Entry, message: int = 0) -> Turn:
    others = tuple(other for other in (PRICE, TIME, PLAIN) if other != entry)
    full = Evidence((entry, *others), "full", ((1, entry.answer),))
    return Turn(message, evidence=(full, Evidence(others, "none")))


@settings(deadline=None)
@given(evidenced=st.lists(st.booleans(), min_size=1, max_size=9), number=st.integers(1, 5), showings=st.integers(1, 3))
def test_a_showing_shows_each_evidence_once_and_teaches_the_rest_every_time(
    evidenced: list[bool], number: int, showings: int
) -> None:
    turns = [Turn(i, i == 0, answered(PLAIN).evidence if on else ()) for i, on in enumerate(evidenced)]
    lesson = shown(*turns)
    made = variants(lesson, number, showings)
    assert len(made) == number * showings
    for variant in made:
        assert variant.transcript is lesson.transcript
        assert [(turn.message, turn.writes) for turn in variant.turns] == [
            (turn.message, turn.writes) for turn in turns
        ]
    for showing in range(showings):
        part = made[showing * number : (showing + 1) * number]
        for place, turn in enumerate(turns):
            assert [variant.turns[place].evidence for variant in part if variant.turns[place].evidence] == (
                [turn.evidence] if turn.evidence else []
            )
        shares = [sum(bool(turn.evidence) for turn in variant.turns) for variant in part]
        assert max(shares) - min(shares) <= 1, "the evidence is spread evenly"


def evidence_of(lesson: Lesson, showings: int, seed: int = 0) -> list[Evidence]:
    return [e for variant in variants(lesson, 1, showings, seed) for turn in variant.turns for e in turn.evidence]


def test_every_showing_but_one_in_three_has_another_fact_changed_in_entry_and_answer() -> None:
    full = [e for e in evidence_of(shown(answered(PRICE)), 3 * AS_IT_STANDS_EVERY) if e.support == "full"]
    altered = [e for e in full if e.altered]
    assert (len(full), len(altered)) == (3 * AS_IT_STANDS_EVERY, 3 * (AS_IT_STANDS_EVERY - 1))
    assert {e.altered for e in altered} == {"price"}
    assert len({e.sentences for e in altered}) > 1, "a pass shows another value than the pass before"
    for evidence in altered:
        assert evidence.entries[0].answer == evidence.sentences[0][1] != PRICE.answer
        assert evidence.entries[1:] == (TIME, PLAIN), "what stands beside stays"
        assert passes(evidence.sentences, evidence.entries)


def test_what_answers_only_in_part_or_not_at_all_stays_as_it_is() -> None:
    none = [e for e in evidence_of(shown(answered(PRICE)), 4) if e.support == "none"]
    assert none == [Evidence((TIME, PLAIN), "none")] * 4


def test_the_same_seed_shows_the_same_and_another_seed_something_else() -> None:
    lesson = shown(answered(PRICE), answered(TIME, 1))
    assert evidence_of(lesson, 6) == evidence_of(lesson, 6)
    assert evidence_of(lesson, 6) != evidence_of(lesson, 6, seed=1)


def test_what_the_customer_says_is_not_changed() -> None:
    lesson = Lesson(Transcript("c", (Message("user", "189 euro? Really?"),)), [answered(PRICE)])
    assert not any(e.altered for e in evidence_of(lesson, 6))


def test_turns_that_show_evidence_teach_silence_too() -> None:
    silent, plain = variants(shown(answered(PRICE), Turn(1, writes=True)), 1)[0].turns
    assert silent.silent
    assert not plain.silent


def test_the_rows_are_counted_by_support_and_by_what_was_changed() -> None:
    made = variants(shown(answered(PRICE), answered(PLAIN, 1)), 1, AS_IT_STANDS_EVERY)
    assert summary(made) == (
        "12 rows with evidence: 6 that answer, 2 of them altered (price 2); 0 that answer in part, 6 not at all"
    )
