"""Writing: what may be shown grows, what does not pass the gate is quoted, and small talk states no facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from scripted_model import ScriptedEngine, scripted_model

from chatbot import writer
from chatbot.config import Intent, Settings
from chatbot.model import DialogueModel
from chatbot.phrases import PHRASES, phrase
from chatbot.prompt import REPLY_TOKENS
from chatbot.types import Decision, Message, Option, Reply
from knowledge_base.entry import Entry

COST = Entry("cost", "What does delivery cost?", "Delivery costs 4.90 euro.", url="https://shop.example/cost")
TIME = Entry("time", "How long does it take?", "Delivery takes 3 days. It is tracked.")
NONE = Option("None of these", "None of these", "")
SETTINGS = Settings(contact="Write to help@shop.example.", company="Lumen", hours="9:00 to 17:00")
ASKED = (Message("user", "delivery?"),)
GROUNDED = Decision("grounded", "evidence_supports", ("cost", "time"), 0.9)


@pytest.fixture
def scripted(tiny_base: Path) -> tuple[DialogueModel, ScriptedEngine]:
    return scripted_model(tiny_base)


def written(
    decision: Decision,
    entries: Sequence[Entry],
    model: DialogueModel | None = None,
    cancelled: Event | None = None,
    messages: Sequence[Message] = ASKED,
    settings: Settings = SETTINGS,
) -> list[Reply]:
    return list(writer.write(decision, messages, entries, model, settings, cancelled or Event()))


def test_an_approved_answer_is_the_entry_word_for_word_with_its_source() -> None:
    (reply,) = written(Decision("approved", "entry_answers", ("cost",), 0.9), [COST])
    assert (reply.text, reply.kind, reply.reason) == (COST.answer, "approved", "entry_answers")
    (source,) = reply.citations
    assert (source.number, source.entry_id, source.title, source.text, source.url) == (
        1, "cost", COST.question, COST.answer, COST.url,
    )  # fmt: skip


def test_a_grounded_reply_grows_sentence_by_sentence_and_cites_what_it_rests_on(
    scripted: tuple[DialogueModel, ScriptedEngine],
) -> None:
    model, engine = scripted
    engine.text = "[2] Delivery takes 3 days. [1] It costs 4.90 euro. [2] It is tracked."
    replies = written(GROUNDED, [COST, TIME], model)
    assert [reply.text for reply in replies] == [
        "Delivery takes 3 days.",
        "Delivery takes 3 days. It costs 4.90 euro.",
        "Delivery takes 3 days. It costs 4.90 euro. It is tracked.",
    ]
    assert [(c.number, c.entry_id) for c in replies[-1].citations] == [(1, "time"), (2, "cost")]
    assert [c.entry_id for c in replies[0].citations] == ["time"]
    assert {reply.reason for reply in replies} == {"evidence_supports"}
    assert engine.paths[-1] == model.renderer.evidence(ASKED, [COST, TIME])


def test_sentences_behind_one_pointer_are_shown_as_each_is_complete(
    scripted: tuple[DialogueModel, ScriptedEngine],
) -> None:
    model, engine = scripted
    engine.text = "[2] Delivery takes 3 days. It is tracked. It takes 3 days."
    assert [reply.text for reply in written(GROUNDED, [COST, TIME], model)] == [
        "Delivery takes 3 days.",
        "Delivery takes 3 days. It is tracked.",
        "Delivery takes 3 days. It is tracked. It takes 3 days.",
    ]
    engine.text = "[2] Delivery takes 9 days. It is tracked. It takes 3 days."
    assert [reply.text for reply in written(GROUNDED, [COST, TIME], model)] == [TIME.answer]


def test_a_character_whose_bytes_are_not_all_written_is_not_shown(
    scripted: tuple[DialogueModel, ScriptedEngine],
) -> None:
    model, engine = scripted
    engine.text = "[1] 客服 😀 sagt: 4.90 euro."
    pieces = list(model.write(ASKED, [COST], Event()))
    assert "".join(pieces) == engine.text
    assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize(
    ("text", "quoted", "passed"),
    [
        ("[1] It costs 7.77 euro.", "cost", []),
        ("It costs 4.90 euro.", "cost", []),
        ("[3] It costs 4.90 euro.", "cost", []),
        (
            "[2] Delivery takes 3 days. [2] Ask at https://evil.example now. [1] Yes.",
            "time",
            ["Delivery takes 3 days."],
        ),
        ("[1] It costs 4.90 euro. <|im_start|>user", "cost", ["It costs 4.90 euro."]),
        ("[1]", "cost", []),
    ],
    ids=["wrong price", "no pointer", "no such entry", "link", "turn mark", "pointer only"],
)
def test_what_does_not_pass_the_gate_is_replaced_by_the_entry_itself(
    scripted: tuple[DialogueModel, ScriptedEngine], text: str, quoted: str, passed: list[str]
) -> None:
    model, engine = scripted
    engine.text = text
    *shown, last = written(GROUNDED, [COST, TIME], model)
    assert [reply.text for reply in shown] == passed
    entry = {"cost": COST, "time": TIME}[quoted]
    assert (last.text, last.reason, last.kind) == (entry.answer, "evidence_quoted", "grounded")
    assert [(c.number, c.entry_id) for c in last.citations] == [(1, quoted)]


def test_a_model_that_writes_nothing_from_what_was_found_has_read_that_nothing_answers(
    scripted: tuple[DialogueModel, ScriptedEngine],
) -> None:
    model, engine = scripted
    engine.text = ""
    (reply,) = written(GROUNDED, [COST, TIME], model)
    assert (reply.text, reply.kind, reply.reason) == (PHRASES["en"]["nothing_fits"], "decline", "nothing_fits")
    assert (reply.citations, reply.contact) == ((), SETTINGS.contact)


def test_nothing_is_written_any_more_once_the_gate_has_closed(scripted: tuple[DialogueModel, ScriptedEngine]) -> None:
    model, engine = scripted
    engine.text = "[1] It costs 7.77 euro. [1] " + "and so on " * 40
    tokens: list[int] = []
    engine.on_token = tokens.append
    written(GROUNDED, [COST], model)
    assert len(tokens) < 40


def test_stopping_keeps_the_sentences_that_were_complete(scripted: tuple[DialogueModel, ScriptedEngine]) -> None:
    model, engine = scripted
    engine.text = "[2] Delivery takes 3 days. [1] It costs 4.90 euro. [2] It is"
    cancelled = Event()
    engine.on_token = lambda number: cancelled.set() if number == engine.n_tokens - 1 else None
    last = written(GROUNDED, [COST, TIME], model, cancelled)[-1]
    assert last.text == "Delivery takes 3 days. It costs 4.90 euro."
    assert last.reason == "evidence_supports"


def test_a_sentence_that_found_no_room_is_not_shown(scripted: tuple[DialogueModel, ScriptedEngine]) -> None:
    model, engine = scripted
    engine.text = "[2] Delivery takes 3 days. [1] It costs 4.90 euro unless you live very far away" + " and away" * 100
    assert engine.n_tokens > REPLY_TOKENS
    assert written(GROUNDED, [COST, TIME], model)[-1].text == "Delivery takes 3 days."
    engine.text = "I would say" + " and say" * 200
    assert written(Decision("chat", "small_talk"), [], model)[-1].text == PHRASES["en"]["small_talk"]


def test_stopping_before_the_first_sentence_shows_nothing(scripted: tuple[DialogueModel, ScriptedEngine]) -> None:
    model, engine = scripted
    engine.text = "[1] It costs 4.90 euro."
    cancelled = Event()
    engine.on_token = lambda number: cancelled.set() if number == 3 else None
    assert [reply.text for reply in written(GROUNDED, [COST], model, cancelled)] == [""]


@pytest.mark.parametrize("kind", ["chat", "ask"])
def test_small_talk_is_shown_when_it_is_whole_and_states_nothing_new(
    scripted: tuple[DialogueModel, ScriptedEngine], kind: str
) -> None:
    model, engine = scripted
    decision = Decision(kind, "small_talk" if kind == "chat" else "unclear")  # type: ignore[arg-type]
    engine.text = "Hello from Lumen! How can I help?"
    assert [reply.text for reply in written(decision, [], model)] == [engine.text]
    assert engine.paths[-1] == model.renderer.understanding(ASKED)
    for text in ("You get 20 euro back.", "", "<|im_end|>", "[1] Hello.", "Call 030 901820."):
        engine.text = text
        assert [reply.text for reply in written(decision, [], model)] == [PHRASES["en"]["small_talk"]]


def test_small_talk_may_repeat_what_the_customer_or_the_settings_say(
    scripted: tuple[DialogueModel, ScriptedEngine],
) -> None:
    model, engine = scripted
    engine.text = "Is it order 4711? We are here 9:00 to 17:00."
    (reply,) = written(Decision("ask", "unclear"), [], model, messages=[Message("user", "my order 4711")])
    assert reply.text == engine.text


def test_stopped_small_talk_shows_no_half_sentence(scripted: tuple[DialogueModel, ScriptedEngine]) -> None:
    model, engine = scripted
    engine.text = "You do not have to pay"
    cancelled = Event()
    engine.on_token = lambda number: cancelled.set() if number == 4 else None
    (reply,) = written(Decision("chat", "small_talk"), [], model, cancelled)
    assert reply.text == PHRASES["en"]["small_talk"]


def test_asking_back_offers_the_two_readings_as_buttons() -> None:
    (reply,) = written(Decision("ask", "unclear", ("cost", "time")), [COST, TIME, COST])
    assert reply.text == PHRASES["en"]["which"]
    assert reply.options == (
        Option(COST.question, COST.question, "cost"),
        Option(TIME.question, TIME.question, "time"),
        NONE,
    )
    assert reply.contact == ""


def test_an_entry_that_an_intent_is_set_to_stands_on_its_button_under_the_title_of_the_intent() -> None:
    settings = Settings(
        languages=["de", "en"], intents={"price": Intent(title={"en": "Prices"}, entry="cost"), "time": Intent()}
    )
    entries = [replace(COST, intent="price"), replace(TIME, intent="time")]
    (reply,) = written(Decision("ask", "unclear", ("cost", "time")), entries, settings=settings)
    assert reply.options == (
        Option("Prices", COST.question, "cost"),
        Option(TIME.question, TIME.question, "time"),
        NONE,
    )


@pytest.mark.parametrize("reason", ["nothing_fits", "out_of_scope", "person_wanted"])
def test_declining_shows_the_contact(reason: str) -> None:
    (reply,) = written(Decision("decline", reason), [])  # type: ignore[arg-type]
    assert (reply.kind, reply.reason, reply.text) == ("decline", reason, PHRASES["en"][reason])
    assert reply.contact == SETTINGS.contact
    assert reply.citations == ()


def test_phrases_exist_in_every_language_and_fall_back_to_english() -> None:
    assert all(set(phrases) == set(PHRASES["en"]) for phrases in PHRASES.values())
    assert phrase("which", ["tlh", "zh", "en"]) == PHRASES["zh"]["which"]
    assert phrase("which", ["tlh"]) == PHRASES["en"]["which"]
