"""What the knowledge itself teaches: its questions held out as if they were not there, and none that measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import WordEncoder, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.types import Message
from finetune.questions import READ_QUESTIONS, knowledge_lessons
from finetune.records import Transcript
from knowledge_base.candidates import Candidates, HeldOut
from knowledge_base.entry import Entry
from knowledge_base.search import KnowledgeBase

ENTRIES = [
    Entry("price", "What does it cost?", "It costs 4.90 euro.", alternatives=("the price", "how much"), intent="price"),
    Entry("time", "How long does it take?", "It takes 3 days.", alternatives=("when does it come",), intent="time"),
    Entry("back", "Can I send it back?", "Within 30 days.", alternatives=("return it", "I regret it", "undo it")),
    Entry("care", "How is it cleaned?", "With a dry cloth.", approved=False, intent="care"),
    Entry("staff", "What do we earn?", "5,000 euro.", alternatives=("wages",), visibility="internal", intent="pay"),
]


def opened(home: Path, entries: list[Entry]) -> KnowledgeBase:
    fill(home, entries, WordEncoder())
    return KnowledgeBase.open(home, WordEncoder())


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    return opened(tmp_path_factory.mktemp("home"), ENTRIES)


def close_to(found: Candidates, wanted: Candidates) -> bool:
    """Meaning is the same; words nearly, because the held-out words still count in how rare a word is."""
    ids = [entry.id for entry in wanted.entries]
    features = {entry.id: row for entry, row in zip(found.entries, found.features, strict=True)}
    assert set(features) == set(ids)
    rows = np.array([features[i] for i in ids])
    np.testing.assert_allclose(rows[:, :2], wanted.features[:, :2], atol=1e-6)
    np.testing.assert_allclose(rows[:, 2], wanted.features[:, 2], atol=0.2)
    return True


FILLERS = [Entry(f"f{i}", f"Where is room {i}?", f"On floor {i % 7}, left of {i + 40}.") for i in range(60)]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    return opened(tmp_path_factory.mktemp("large"), [*ENTRIES, *FILLERS])


@pytest.mark.parametrize(("entry_id", "number"), [("price", 1), ("price", 2), ("time", 1), ("back", 2)])
def test_what_is_found_without_a_question_is_what_a_knowledge_base_without_it_finds(
    tmp_path: Path, large: KnowledgeBase, entry_id: str, number: int
) -> None:
    entry = large.entries[entry_id]
    asked = entry.alternatives[number - 1]
    left = replace(entry, alternatives=tuple(a for a in entry.alternatives if a != asked))
    without = opened(tmp_path, [*(left if e.id == entry_id else e for e in ENTRIES), *FILLERS])
    assert close_to(large.candidates(asked, held_out=HeldOut(entry_id, number)), without.candidates(asked))


def test_what_is_found_without_an_entry_is_what_a_knowledge_base_without_it_finds(
    tmp_path: Path, large: KnowledgeBase
) -> None:
    asked = ENTRIES[1].question
    without = opened(tmp_path, [*(e for e in ENTRIES if e.id != "time"), *FILLERS])
    assert close_to(large.candidates(asked, held_out=HeldOut("time")), without.candidates(asked))


def test_questions_teach_the_intent_of_their_entry_and_some_teach_reading(knowledge: KnowledgeBase) -> None:
    lessons = {lesson.transcript.id: lesson for lesson in knowledge_lessons(knowledge, [], 100)}
    said = {lesson.transcript.messages[0].content: lesson for lesson in lessons.values()}
    assert said["What does it cost?"].transcript.messages[0].intents == ("price",)
    assert said["how much"].transcript.messages[0].intents == ("price",)
    assert "What do we earn?" not in said, "customers must not see it"
    assert "wages" not in said
    assert "How is it cleaned?" not in said, "a heading is no customer's question"
    assert "Can I send it back?" not in said, "it has no intent, and its own row would always be found"
    reading = [lesson for lesson in lessons.values() if lesson.turns[0].evidence]
    back = [lesson for lesson in reading if lesson.transcript.id.startswith("knowledge:back:")]
    assert len(back) == READ_QUESTIONS < len(ENTRIES[2].alternatives)
    for lesson in reading:
        shown = lesson.turns[0].evidence[0]
        ((number, sentence),) = shown.sentences
        assert shown.support == "full"
        assert sentence == shown.entries[number - 1].answer == lesson.transcript.messages[1].content
    assert not any(turn.writes for lesson in lessons.values() for turn in lesson.turns)


def test_a_question_that_measures_is_not_learnt(knowledge: KnowledgeBase) -> None:
    measured = [Transcript("c", (Message("user", "How much?!"), Message("assistant", "4.90"), Message("user", "bye")))]
    said = {lesson.transcript.messages[0].content for lesson in knowledge_lessons(knowledge, measured, 100)}
    assert "how much" not in said
    assert "the price" in said


@settings(deadline=None, max_examples=20)
@given(most=st.integers(1, 9), seed=st.integers(0, 5))
def test_so_many_questions_are_taken_and_the_same_ones_by_the_same_seed(
    knowledge: KnowledgeBase, most: int, seed: int
) -> None:
    taken = knowledge_lessons(knowledge, [], most, seed)
    assert len(taken) <= most
    assert taken == knowledge_lessons(knowledge, [], most, seed)
