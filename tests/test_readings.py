"""Readings offered as buttons: what stands on them, and what picks one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.config import Intent, Settings
from chatbot.readings import NONE, offered, picked
from chatbot.types import Option
from knowledge_base.entry import Entry

PETS = [Entry(name, "Are pets allowed?", "Yes.", subject=name) for name in ("Harbour Inn", "Hill House")]
OFFERED = offered(PETS, Settings())


def test_entries_that_ask_the_same_are_told_apart_by_their_subject() -> None:
    assert [option.label for option in OFFERED] == [
        "Are pets allowed? (Harbour Inn)",
        "Are pets allowed? (Hill House)",
        "None of these",
    ]
    named = Entry("a", "Does Harbour Inn allow pets?", "Yes.", subject="Harbour Inn")
    assert named.title == named.question


def test_parts_of_one_passage_are_told_apart_by_how_they_begin() -> None:
    parts = [Entry(str(n), "manual", f"Part {n} is about this.", approved=False) for n in (1, 2)]
    buttons = offered(parts, Settings())
    assert [option.label for option in buttons[:2]] == [
        "1. manual: Part 1 is about this.",
        "2. manual: Part 2 is about this.",
    ]
    assert [picked(buttons, option.value) for option in buttons] == ["1", "2", NONE]


@pytest.mark.parametrize("titles", [("Do you support C++?", "Do you support C#?"), ("???", "How much?"), ("A", "A+")])
def test_buttons_that_differ_in_signs_alone_pick_their_own(titles: tuple[str, str]) -> None:
    buttons = offered([Entry(title, title, "Yes.") for title in titles], Settings())
    assert [picked(buttons, option.value) for option in buttons] == [*titles, NONE]


def test_words_that_mean_two_readings_pick_neither() -> None:
    readings = [Option("Plan A", "Plan A", "a"), Option("Plan A+", "Plan A+", "b")]
    assert [picked(readings, said) for said in ("plan a", "Plan A", "Plan A+")] == [None, "a", "b"]


def test_the_title_of_an_intent_stands_on_the_button_of_the_entry_it_is_set_to() -> None:
    settings = Settings(languages=["en"], intents={"stay": Intent(title={"en": "Pets"}, entry="Harbour Inn")})
    assert [option.label for option in offered(PETS, settings)][:2] == ["Pets", "Are pets allowed? (Hill House)"]


def test_a_passage_is_offered_with_the_headings_above_it() -> None:
    passage = Entry("p", "Before you start", "Unplug it.", heading="Lamps > Before you start", approved=False)
    assert offered([passage], Settings())[0] == Option("Lamps > Before you start", "Lamps > Before you start", "p")


@pytest.mark.parametrize(
    ("message", "entry_id"),
    {
        OFFERED[0].value: "Harbour Inn",
        "are pets allowed (hill house)": "Hill House",
        "1": "Harbour Inn",
        "2.": "Hill House",
        "the first one": "Harbour Inn",
        "I mean the second, please": "Hill House",
        "第二个": "Hill House",
        "１": "Harbour Inn",
        "None of these": NONE,
        "no, neither of them": NONE,
        "都不是": NONE,
    }.items(),
)
def test_a_reading_is_picked_by_its_words_or_its_place(message: str, entry_id: str) -> None:
    assert picked(OFFERED, message) == entry_id


@pytest.mark.parametrize(
    "message", ["", "?", "Are pets allowed?", "the first floor", "2 dogs", "yes", "no pets then", "first of all, hello"]
)
def test_another_message_picks_nothing(message: str) -> None:
    assert picked(OFFERED, message) is None


def test_places_are_those_of_the_buttons_and_none_where_nothing_was_offered() -> None:
    assert picked(OFFERED[:1], "the second one") is None
    assert picked((), "the first one") is None
    assert picked((), "no") is None


@given(
    st.lists(st.text(min_size=1, max_size=30).filter(lambda text: any(map(str.isalnum, text))), max_size=2, unique=True)
)
def test_every_button_picks_its_own_entry(questions: list[str]) -> None:
    entries = [Entry(f"e{i}", question, "Yes.", subject=f"Place {i}") for i, question in enumerate(questions)]
    buttons = offered(entries, Settings())
    assert [picked(buttons, option.value) for option in buttons] == [*(entry.id for entry in entries), NONE]


def test_buttons_kept_before_they_named_their_entry_pick_nothing() -> None:
    assert picked([Option("Delivery", "What does delivery cost?")], "What does delivery cost?") is None
