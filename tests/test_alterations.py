"""Evidence said otherwise: entry and answer change alike, and what was true of one is not true of the other."""

from __future__ import annotations

import csv
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.facts import facts
from chatbot.gate import passes
from finetune.alterations import NAME, YES_NO, Altered, Pointed, alterations
from finetune.polarity import flipped
from knowledge_base.entry import Entry

FAQ = Path(__file__).parent.parent / "examples" / "shop" / "faq.csv"


def shop() -> list[Entry]:
    with FAQ.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Entry(row["id"], row["question"], row["answer"], tuple(row["alternatives"].split("|")), subject=row["subject"])
        for row in rows
    ]


SHOP = shop()


def alter(*entries: Entry, answer: Pointed | None = None, said: str = "", seed: int = 0) -> list[Altered]:
    """All alterations of entries and an answer, by default the first entry's own."""
    return list(alterations(entries, answer or ((1, entries[0].answer),), (said,), chance(seed)))


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 (variety, not secrecy)


@settings(deadline=None)
@given(entry=st.sampled_from(SHOP), beside=st.sampled_from(SHOP), seed=st.integers(0, 99))
def test_an_altered_answer_passes_the_gate_with_the_altered_entries_only(
    entry: Entry, beside: Entry, seed: int
) -> None:
    answer: Pointed = ((2, entry.answer),)
    for found in alterations((beside, entry), answer, (entry.question,), chance(seed)):
        assert passes(found.answer, found.entries)
        if found.alteration.values:
            assert not passes(found.answer, (beside, entry))
            assert not passes(answer, found.entries)
        (text,) = [text for _, text in found.answer]
        changed = found.entries[1]
        assert found.alteration.new_in(text)
        assert not found.alteration.old_in(text)
        assert found.alteration.old_in(entry.answer)
        assert not found.alteration.new_in(entry.answer)
        assert not any(found.alteration.old_in(said) for said in (changed.question, changed.answer))
        assert found.entries[0] == beside


@settings(deadline=None)
@given(entry=st.sampled_from(SHOP), seed=st.integers(0, 99))
def test_one_fact_changes_and_every_other_stays(entry: Entry, seed: int) -> None:
    for found in alter(entry, seed=seed):
        if not found.alteration.values:
            continue
        old, new = (Counter((f.kind, f.value, f.unit) for f in facts(t)) for t in (entry.answer, found.answer[0][1]))
        gone, come = old - new, new - old
        assert len({value for _, value, _ in gone}) == 1 == len({value for _, value, _ in come})
        assert sum(gone.values()) == sum(come.values())


def test_the_same_seed_alters_alike() -> None:
    for entry in SHOP[:20]:
        assert alter(entry, seed=3) == alter(entry, seed=3)


def test_nearly_every_entry_of_the_shop_can_be_altered_in_several_ways() -> None:
    kinds = Counter(found[0].alteration.kind for found in map(alter, SHOP) if found)
    assert sum(kinds.values()) > 0.9 * len(SHOP)
    assert {"number", "price", YES_NO, NAME} <= set(kinds)


def kinds_of(text: str, question: str = "What about it?") -> set[str]:
    return {found.alteration.kind for seed in range(4) for found in alter(Entry("e", question, text), seed=seed)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("It costs $1,299.", "price"),
        ("Send it back within thirty days.", "number"),
        ("You get 15% off.", "percent"),
        ("Order by December 17.", "date"),
        ("We are closed in February.", "date"),
        ("Closed on Mondays.", "weekday"),
        ("The shop opens at 8 a.m.", "time"),
        ("It is rated IP44.", "code"),
        ("Call 555-0140.", "phone"),
        ("Delivery takes 3天.", "number"),
        ("It comes with Marlow Freight.", NAME),
    ],
)
def test_a_fact_of_every_kind_can_be_altered(text: str, kind: str) -> None:
    assert kinds_of(text) == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "It is made of oak.",
        "See https://shop.example/help/7 for more.",
        "Allow one day for that.",
        "Half a dozen fits.",
        "It is 100% linen.",
    ],
)
def test_what_cannot_be_altered_cleanly_is_not_altered(text: str) -> None:
    assert kinds_of(text) == set()


def test_every_place_that_says_the_fact_changes_and_another_fact_of_the_same_number_does_not() -> None:
    entry = Entry(
        "e", "Are 45 days enough?", "You have 45 days. After 45 days it is 45 inches late.", ("the 45 days thing",)
    )
    found = next(one for one in alter(entry) if one.alteration.values and one.alteration.values[0].unit == "day")
    new = found.alteration.values[1].value if found.alteration.values else ""
    (changed,) = found.entries
    assert changed.question == f"Are {new} days enough?"
    assert changed.answer == f"You have {new} days. After {new} days it is 45 inches late."
    assert changed.alternatives == (f"the {new} days thing",)


def test_a_number_said_in_words_too_changes_in_both_forms() -> None:
    entry = Entry("e", "How long?", "It takes 3 days. Three days is short.")
    words = {"2": "Two", "4": "Four", "5": "Five", "6": "Six", "7": "Seven", "8": "Eight", "9": "Nine"}
    altered = alter(entry)
    assert altered
    for found in altered:
        assert found.alteration.values
        new = found.alteration.values[1].value
        assert found.entries[0].answer == f"It takes {new} days. {words[new]} days is short."


def test_what_was_less_or_more_stays_so() -> None:
    entry = Entry("e", "Is it free?", "Free from $80, so at $89 you pay nothing, and at $40 you do.")
    found = [one.answer[0][1] for seed in range(5) for one in alter(entry, seed=seed)]
    assert found
    for text in found:
        free, paid, due = (float(fact.value) for fact in facts(text))
        assert due < free < paid


def test_what_the_customer_names_is_not_changed() -> None:
    entry = Entry("e", "What does delivery cost?", "It costs $4 by Marlow Freight within 3 days.")
    said = "is it true that marlow freight takes 3 days?"
    assert {found.alteration.old for found in alter(entry, said=said)} == {"$4"}
    assert {found.alteration.old for found in alter(entry)} == {"$4", "Marlow Freight", "3 days"}


def test_only_the_entries_that_the_answer_points_at_change() -> None:
    twins = (Entry("a", "How long for A?", "It takes 3 days."), Entry("b", "How long for B?", "It takes 3 days."))
    altered = alter(*twins, answer=((2, "It takes 3 days."),))
    assert altered
    for found in altered:
        assert found.entries[0] == twins[0]
        assert found.entries[1].answer == found.answer[0][1] != twins[1].answer


@pytest.mark.parametrize(
    ("sentence", "opposite"),
    [
        ("No, pets are not allowed.", "Yes, pets are allowed."),
        ("Yes, you can pay later.", "No, you cannot pay later."),
        ("Pets are not allowed at Hobsons House.", "Pets are allowed at Hobsons House."),
        ("The inn does not offer a spa.", "The inn offers a spa."),
        ("No, we don't deliver to islands.", "Yes, we deliver to islands."),
        ("It has a spa.", "It does not have a spa."),
        ("We accept cash.", "We do not accept cash."),
        ("There are no TVs here.", "There are TVs here."),
        ("It won't fit.", "It will fit."),
        ("It can't be cut.", "It can be cut."),
    ],
)
def test_an_answer_to_a_yes_or_no_question_is_turned(sentence: str, opposite: str) -> None:
    turned = flipped(sentence, "Is that so?")
    assert turned is not None
    assert turned.sentence == opposite


@pytest.mark.parametrize(
    "sentence",
    [
        "Yes.",
        "Yes, if it is undamaged.",
        "No, because charges differ.",
        "Yes, but only on Sundays.",
        "No, it is for guests.",
        "Yes, it is not far.",
        "It costs $5.",
        "We cannot say that it is not so.",
        "WiFi is available and it's free.",
        "There are not any, nor will there be.",
        "They do not have any rooms.",
        "Pets can stay, and they can swim.",
    ],
)
def test_an_answer_with_two_sides_is_not_turned(sentence: str) -> None:
    assert flipped(sentence, "Is that so?") is None


def test_an_answer_to_another_question_is_not_turned() -> None:
    assert flipped("Pets are not allowed.", "What about pets?") is None


def test_what_explained_the_old_answer_is_left_out_of_the_turned_one() -> None:
    entry = Entry("e", "Can I pay later?", "Yes, you can pay later. Choose Pay Later at the till.")
    (found,) = [one for seed in range(9) for one in alter(entry, seed=seed) if one.alteration.kind == YES_NO][:1]
    assert found.entries[0].answer == found.answer[0][1] == "No, you cannot pay later."


def test_a_paraphrase_of_the_entry_is_not_turned() -> None:
    entry = Entry("e", "Can I pay later?", "Yes, you can pay later.")
    assert not alter(entry, answer=((1, "You can pay later."),))
