"""Care of the knowledge: the search with its reasons, the entries with their states, and what was asked in vain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Event

import pytest
from conftest import WordEncoder, fill
from demo_shop import SETTINGS

from chatbot.bot import Bot, Parts
from chatbot.calibration import Calibration
from chatbot.curation import Curation, _same_from
from chatbot.errors import NotLoadedError
from chatbot.store import Store
from chatbot.store.sqlite import driver
from chatbot.types import Reply, TurnRequest
from knowledge_base.entry import Entry
from knowledge_base.scorer import FEATURES, OF_ENTRY, Scorer, default_scorer
from knowledge_base.search import KnowledgeBase

COST = Entry("cost", "What does delivery cost?", "Delivery costs 4.90 euro.")
BACK = Entry("back", "Can I return the lamp?", "Returns are free within 30 days.", approved=False)
OLD = Entry("old", "Is there a summer sale?", "Yes, in July.", valid_until="2026-07-31")
OURS = Entry("ours", "What do we pay?", "A secret.", visibility="internal")
FITTED = Calibration(
    scorer=Scorer(
        (20.0, 20.0, *(0.0,) * (len(FEATURES) - 2)), 20.0
    ),  # from a cosine of a half on, an entry rather answers than not
    evidence=None,
    thresholds={"approved": 0.9, "ask": 0.01, "out_of_scope": 0.9},
    max_error=0.05,
    adapter="",
    knowledge="",
    encoder="",
    sha256="c" * 64,
)


@dataclass
class Shop:
    """A bot without a model, and those who keep its knowledge."""

    bot: Bot
    store: Store
    curation: Curation
    knowledge: KnowledgeBase
    count: int = 0

    def ask(self, content: str, conversation: str | None = None) -> Reply:
        self.count += 1
        request = TurnRequest("visitor", conversation, content, f"m{self.count}")
        return list(self.bot.reply(request, Event()))[-1]


@pytest.fixture
def make_shop(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    store = Store.open(tmp_path / "frontdesk.db")

    def make(calibration: Calibration | None = FITTED) -> Shop:
        fill(tmp_path / "home", [COST, BACK, OLD, OURS], WordEncoder())
        knowledge = KnowledgeBase.open(tmp_path / "home", WordEncoder(), today=lambda: date(2026, 11, 22))
        bot = Bot(store, SETTINGS)
        bot.furnish(lambda _tell: Parts(knowledge, None, calibration))
        return Shop(bot, store, Curation(lambda: bot.parts, store), knowledge)

    yield make
    store.close()


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop()


@pytest.mark.parametrize("calibration", [FITTED, None])
@pytest.mark.parametrize("context", ["", "I bought a lamp"])
def test_the_search_is_the_bots_and_its_reasons_add_up(
    make_shop: Callable[..., Shop], calibration: Calibration | None, context: str
) -> None:
    shop = make_shop(calibration)
    scorer = calibration.scorer if calibration else shop.knowledge.scorer
    findings = shop.curation.search("What does it cost to return the lamp?", context)
    history = [("user", context)] if context else []
    found = shop.knowledge.search("What does it cost to return the lamp?", history=history, scorer=scorer)
    assert [one.hit for one in findings.found] == found
    assert {hit.entry.id for hit in found} == {"cost", "back"}
    for one in findings.found:
        assert set(one.values) == set(one.contributions) == set(OF_ENTRY)
        assert sum(one.contributions.values()) == pytest.approx(one.hit.score)
        weights = dict(zip(FEATURES, scorer.weights, strict=True))
        for name in OF_ENTRY:
            assert one.contributions[name] == pytest.approx(one.values[name] * weights[name])
    assert 1 / (1 + math.exp(sum(findings.reasons.values()))) == pytest.approx(findings.nothing)
    assert findings.nothing + sum(hit.probability for hit in found) == pytest.approx(1.0)


def test_entries_are_listed_with_their_states_also_those_that_nobody_finds(shop: Shop) -> None:
    items = shop.curation.items()
    editor = shop.curation.editor()
    editor.retire("cost", "ada", COST.sha256)
    items = shop.curation.items()
    today = date(2026, 11, 22)
    assert {entry_id: list(item.states(today)) for entry_id, item in items.items()} == {
        "cost": ["retired", "edited here"],
        "back": ["in force", "not approved"],
        "old": ["not in force"],
        "ours": ["in force", "internal"],
    }
    assert items["cost"].entry == COST


def test_what_was_asked_in_vain_stands_together_most_frequent_first_until_an_entry_answers(shop: Shop) -> None:
    shop.ask("Do you sell gift cards?")
    shop.ask("Where is your store in Hamburg?")
    shop.ask("do you sell gift cards")
    shop.ask("What does delivery cost?")
    gaps = shop.curation.gaps()
    assert [[question.content for question in gap.questions] for gap in gaps] == [
        ["do you sell gift cards", "Do you sell gift cards?"],
        ["Where is your store in Hamburg?"],
    ]
    assert gaps[0].questions[0].asked_at > gaps[0].questions[1].asked_at
    assert gaps[0].nearest is not None
    shop.curation.editor().add({"question": "Do you sell gift cards?", "answer": "Yes."}, "ada")
    assert [gap.questions[0].content for gap in shop.curation.gaps()] == ["Where is your store in Hamburg?"]
    assert shop.ask("do you sell gift cards").text == "Yes."


def test_a_question_back_counts_unless_one_of_its_readings_was_picked(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(None)
    asked = shop.ask("return or cost?")
    assert asked.kind == "ask"
    assert [gap.questions[0].content for gap in shop.curation.gaps()] == ["return or cost?"]
    picked = next(option.value for option in asked.options if option.value == COST.question)
    shop.ask(picked, shop.store.conversations("visitor")[0].id)
    assert shop.curation.gaps() == []


def test_what_a_person_answered_in_the_chat_is_the_draft_of_the_entry(shop: Shop, tmp_path: Path) -> None:
    shop.ask("Do you sell gift cards?")
    assert shop.curation.gaps()[0].answer == ""
    conversation = shop.store.conversations("visitor")[0].id
    with closing(driver().connect(tmp_path / "frontdesk.db")) as database:
        database.execute(
            "INSERT INTO messages (id, conversation_id, visitor_id, seq, role, author, content, superseded, citations, "
            "options, contact, created_at) VALUES ('p', ?, 'visitor', 3, 'assistant', 'human', 'Yes, from 10 euro on.', "
            "0, '[]', '[]', '', '2026-11-22 12:00:00.000000')",
            (conversation,),
        )
        database.commit()
    assert shop.curation.gaps()[0].answer == "Yes, from 10 euro on."


def test_while_the_knowledge_is_loaded_there_is_none_to_keep(tmp_path: Path) -> None:
    with Store.open(tmp_path / "frontdesk.db") as store:
        curation = Curation(lambda: None, store)
        assert not curation.ready
        assert curation.items() == {}
        for act in (curation.editor, curation.gaps, lambda: curation.search("x")):
            with pytest.raises(NotLoadedError):
                act()


@pytest.mark.parametrize(("with_subject", "with_alternatives"), [(0.3, 0.8), (0.0, 0.0), (1.0, 0.0), (0.65, 0.4)])
@pytest.mark.parametrize("usual", [0.05, 0.15, 0.25])
def test_questions_are_the_same_from_well_above_what_any_two_texts_have_in_common(
    with_subject: float, with_alternatives: float, usual: float
) -> None:
    same = _same_from(default_scorer(with_subject, with_alternatives), usual)
    assert usual + 0.1 < same < 0.8
