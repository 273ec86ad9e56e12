"""Subjects of a conversation: names as they are typed, misspelt or heard, and which of them is spoken of now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HashEncoder, WordEncoder, fill
from dialogues import Generator

from knowledge_base.candidates import Candidates
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry
from knowledge_base.lexical import words
from knowledge_base.scorer import FEATURES
from knowledge_base.search import KnowledgeBase
from knowledge_base.subjects import Names, Vocabulary, spoken_of_before

HOTELS = ["Kitava Hotel", "Hotel Zephyr", "Lovell Lodge", "Marigold Guest House", "The Grand Hotel"]
TABLES = ["Pizza Bologna", "Souvla - Marina", "Little Gem", "The Golden Wok"]
ASKED = ["Are dogs allowed?", "Is there parking at {}?", "Does {} have wifi?", "When does {} open?"]
ENTRIES = [
    Entry(f"{kind}/{name}/{number}", asked.format(name), "Yes.", category=kind, subject=name)
    for kind, names in (("hotel", HOTELS), ("restaurant", TABLES))
    for name in names
    for number, asked in enumerate(ASKED)
]


@pytest.fixture(scope="module")
def names() -> Names:
    called = [*HOTELS, *TABLES]
    said = [set(words(f"{name} are dogs allowed is there parking in the hotel or restaurant")) for name in called]
    return Names(called, said, Vocabulary(called))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    home = tmp_path_factory.mktemp("town")
    fill(home, ENTRIES, HashEncoder())
    return KnowledgeBase.open(home, HashEncoder())


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("I want to stay at the Hotel Zephyr", "Hotel Zephyr"),
        ("uh is there a hotel zefir", "Hotel Zephyr"),
        ("key tava sounds good", "Kitava Hotel"),
        ("what about level lodge", "Lovell Lodge"),
        ("the mary gold guesthouse please", "Marigold Guest House"),
        ("a table at soo vla", "Souvla - Marina"),
        ("little jem", "Little Gem"),
        ("Pizza Bolonga", "Pizza Bologna"),
    ],
)
def test_a_name_is_found_as_it_is_typed_misspelt_or_heard(names: Names, said: str, meant: str) -> None:
    assert names.names[int(names.mentions(said).argmax())] == meant


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Is there parking at the Hotel Zephyr?", "Is there parking at it?"),
        ("is there wifi at mary gold guest uh house please", "is there wifi at it please"),
        ("wifi at lovel lodge please", "wifi at it please"),
        ("Kitava Hotel: are dogs allowed?", "it: are dogs allowed?"),
        ("Does Souvla - Marina have wifi?", "Does it have wifi?"),
        ("Hotel Zephyr", "Hotel Zephyr"),
        ("is there parking at the hotel", "is there parking at the hotel"),
        ("a room for two people on tuesday", "a room for two people on tuesday"),
        ("", ""),
    ],
)
def test_a_message_is_left_without_the_name_that_it_clearly_mentions(names: Names, said: str, left: str) -> None:
    assert names.without(said) == left


def test_a_name_without_spaces_between_its_words_stays_in_the_message() -> None:
    names = Names(["台灯晨星"], [set(words("台灯晨星"))], Vocabulary(["台灯晨星"]))
    assert names.without("台灯晨星可以调光吗") == "台灯晨星可以调光吗"


def test_a_question_that_names_its_subject_is_likely_answered_by_its_entry(tmp_path: Path, encoder: Encoder) -> None:
    fill(tmp_path, ENTRIES, encoder)
    knowledge = KnowledgeBase.open(tmp_path, encoder)
    for entry in ENTRIES:
        asked = entry.question if entry.subject in entry.question else f"{entry.subject}: {entry.question}"
        best = knowledge.search(asked)[0]
        assert best.entry == entry
        assert best.probability > 0.5


def test_a_word_that_many_names_share_says_less_than_a_rare_one(names: Names) -> None:
    common, rare = names.mentions("the hotel please").max(), names.mentions("the zephyr please").max()
    assert 0 <= common < rare <= 1


def test_a_name_without_letters_is_never_found_and_spoils_no_other() -> None:
    called = ["Kitava Hotel", "***"]
    names = Names(called, [set(words(name)) for name in called], Vocabulary(called))
    kitava, stars = names.mentions("is there parking at kitava hotel ***")
    assert kitava > 0.5
    assert stars == 0


def test_how_like_words_are_is_the_same_whatever_was_asked_before_and_however_little_is_remembered(
    names: Names, monkeypatch: Any
) -> None:
    message = " ".join(f"word{number} and key tava hotell" for number in range(40))
    whole = names.mentions(message)
    said = [set(words(f"{name} are dogs allowed is there parking in the hotel or restaurant")) for name in names.names]
    monkeypatch.setattr("knowledge_base.subjects.REMEMBERED_BYTES", 100)
    forgetful = Names(names.names, said, Vocabulary(names.names))
    for other in ("key", "tava hotell", "is the marigold open", "key tava"):
        forgetful.mentions(other)
    np.testing.assert_array_equal(whole, forgetful.mentions(message))
    assert names.names[int(whole.argmax())] == "Kitava Hotel"


def test_of_what_was_named_once_the_last_is_spoken_of_most_and_fades_only_as_others_are_named(names: Names) -> None:
    said = ["a room at hotel zephyr", "or rather the marigold guest house", "for two people", "on tuesday please"]
    held = [spoken_of_before(map(names.mentions, said[: count + 1]), len(names.names)) for count in range(len(said))]
    spoken_of = [names.names[int(found.argmax())] for found in held]
    assert spoken_of == ["Hotel Zephyr", *["Marigold Guest House"] * 3]
    place = names.names.index("Hotel Zephyr")
    assert held[1][place] < held[0][place]
    assert held[3][place] == pytest.approx(held[1][place], abs=0.05), "nothing was named since"


def column(found: Candidates, name: str) -> dict[str, float]:
    """Return the highest value of a feature of each subject."""
    values: dict[str, float] = {}
    for entry, value in zip(found.entries, found.features[:, FEATURES.index(name)], strict=True):
        values[entry.subject] = max(float(value), values.get(entry.subject, 0.0))
    return values


def test_all_entries_of_what_the_assistant_offered_are_candidates_with_their_subject(town: KnowledgeBase) -> None:
    history = [("user", "i need a place to stay"), ("assistant", "how about the lovel lodge"), ("user", "yes please")]
    found = town.candidates("do they allow dogs", history=history)
    assert {e.id for e in ENTRIES if e.subject == "Lovell Lodge"} <= {e.id for e in found.entries}
    spoken_of = column(found, "subject_before")
    assert max(spoken_of, key=lambda name: spoken_of[name]) == "Lovell Lodge"
    assert max(column(found, "subject").values()) < spoken_of["Lovell Lodge"]


def test_the_hotel_is_a_place_of_that_category(town: KnowledgeBase) -> None:
    found = town.candidates("does the hotel have wifi")
    of = column(found, "category")
    assert min(of[name] for name in HOTELS) > max(of[name] for name in TABLES)


def test_without_subjects_nothing_speaks_for_one(tmp_path: Path) -> None:
    fill(tmp_path, [Entry("a", "How do I pay?", "By card.", category="payment")], HashEncoder())
    found = KnowledgeBase.open(tmp_path, HashEncoder()).candidates("payment", history=[("user", "payment")])
    assert not found.features[:, FEATURES.index("subject") : FEATURES.index("background")].any()


def test_questions_are_embedded_without_their_subject() -> None:
    entry = Entry("a", "Is parking free at the Hotel Zephyr?", "Yes.", ("hotel zephyr",), subject="Hotel Zephyr")
    assert entry.searched_texts[:2] == ("Is parking free at it?", "hotel zephyr")
    assert "Hotel Zephyr" in entry.searched_texts[2]


def test_a_subject_of_thousands_of_entries_brings_those_that_share_words_with_the_message(tmp_path: Path) -> None:
    entries = [Entry(f"e{n}", f"What of part{n}?", f"Part{n} is made.", subject="Kitava Hotel") for n in range(700)]
    fill(tmp_path / "home", entries, WordEncoder())
    knowledge = KnowledgeBase.open(tmp_path / "home", WordEncoder())
    found = knowledge.candidates("part699 at the kitava hotel")
    assert "e699" in [entry.id for entry in found.entries]
    assert len(found.entries) < 700


def test_a_reranking_has_the_last_word(town: KnowledgeBase) -> None:
    hits = town.search("do they allow dogs", k=7)
    assert town.search("do they allow dogs", k=7, rerank=lambda found: found[::-1]) == hits[::-1]


def test_dialogues_are_the_same_for_a_seed_and_their_parts_ask_about_other_places() -> None:
    made = [
        [Generator(ENTRIES, part, seed).query(n) for n in range(3)]
        for part, seed in (("fit", 1), ("fit", 1), ("fit", 2), ("measure", 1))
    ]
    assert made[0] == made[1]
    assert made[0] != made[2]
    of = {entry.id: entry.subject for entry in ENTRIES}
    asked = {}
    for part in ("fit", "measure"):
        rows = [Generator(ENTRIES, part, seed).query(0) for seed in range(40)]
        assert {row["messages"][-1]["role"] for row in rows} == {"user"}  # type: ignore[index]
        asked[part] = {of[i] for row in rows for i in row["relevant"]}  # type: ignore[attr-defined]
        assert asked[part]
    assert not asked["fit"] & asked["measure"]


def test_generated_first_messages_name_a_place_that_their_answer_is_about() -> None:
    names = Names([*HOTELS, *TABLES], [set(words(name)) for name in (*HOTELS, *TABLES)], Vocabulary([*HOTELS, *TABLES]))
    of = {entry.id: entry.subject for entry in ENTRIES}
    rows: list[Any] = [Generator(ENTRIES, "fit", seed).first_query(0) for seed in range(60)]
    assert {len(row["messages"]) for row in rows} == {1}
    asked = [(row["messages"][0]["content"], of[row["relevant"][0]]) for row in rows if row["relevant"]]
    right = [names.names[int(names.mentions(text).argmax())] == subject for text, subject in asked]
    assert len(asked) > 10
    assert sum(right) > 0.8 * len(right)  # some are misheard beyond what can be told


def test_fading_of_nothing_is_nothing() -> None:
    np.testing.assert_array_equal(spoken_of_before([], 3), np.zeros(3))
    np.testing.assert_array_equal(spoken_of_before([np.zeros(3, np.float32)], 3), np.zeros(3))
    assert spoken_of_before([np.zeros(0, np.float32)], 0).shape == (0,)


def test_what_was_spoken_of_again_and_again_is_meant_rather_than_what_was_named_once_since(names: Names) -> None:
    said = [
        "is hotel zephyr nice",
        "hotel zephyr has a pool",
        "then hotel zephyr please",
        "and the marigold guest house",
    ]
    held = spoken_of_before(map(names.mentions, said), len(names.names))
    assert names.names[int(held.argmax())] == "Hotel Zephyr"


def test_a_name_made_of_everyday_words_is_less_surely_meant() -> None:
    called = ["Good Hotel", "Kitava Hotel"]
    said = [set(words(name)) for name in called]
    plain, everyday = (
        Names(called, said, Vocabulary(called), lines) for lines in ((), [set(words("that sounds good")), {"good"}])
    )
    assert plain.mentions("good hotel")[0] > everyday.mentions("good hotel")[0]
    assert plain.mentions("good")[0] > everyday.mentions("good")[0]
    assert plain.mentions("kitava hotel")[1] == everyday.mentions("kitava hotel")[1]


def test_much_talk_of_others_hides_no_name_that_was_just_said_and_misheard(tmp_path: Path) -> None:
    said_often = [f"{name} Hotel" for name in ("Amber", "Birch", "Cedar", "Dahlia", "Elder", "Fern", "Garnet", "Hazel")]
    called = [*said_often, *(f"{name} Hotel" for name in ("Iris", "Jasper", "Kestrel", "Linden", "Pemberton"))]
    entries = [Entry(f"{n}", f"Is there a garage {n}?", "Yes.", subject=called[n % 12]) for n in range(240)]
    entries.append(Entry("last", "Any zebras?", "None.", subject="Pemberton Hotel"))
    fill(tmp_path / "home", entries, WordEncoder())
    knowledge = KnowledgeBase.open(tmp_path / "home", WordEncoder())
    history = [(role, f"the {name} or the jasper hotel") for name in 4 * called[:12] for role in ("user", "assistant")]
    found = knowledge.candidates("garage at pembertan", history=history)
    assert "last" in [entry.id for entry in found.entries], "neither its words nor its meaning find it"
