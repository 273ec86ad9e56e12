"""The bot: a turn from the customer's message to the stored reply, with a real store, knowledge and dialogue model."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from conftest import WordEncoder, fill, scorer_of
from scripted_model import ScriptedEngine, scripted_model

from chatbot.bot import Bot, Parts
from chatbot.calibration import Calibration, Logistic
from chatbot.config import Intent, Limits, Settings
from chatbot.errors import BusyError, ModelError, NotFoundError, TurnError
from chatbot.model import DialogueModel
from chatbot.phrases import PHRASES
from chatbot.store import Store
from chatbot.types import Message, Reply, TurnRequest
from knowledge_base.entry import Entry
from knowledge_base.search import KnowledgeBase

COST = Entry("cost", "What does delivery cost?", "Delivery costs 4.90 euro.")
TIME = Entry("time", "How long does a parcel travel?", "A parcel travels 3 days. It is tracked.", approved=False)
BACK = Entry("back", "Can I return the lamp?", "Returns are free within 30 days.")
CONTACT = "Write to help@shop.example."
SETTINGS = Settings(contact=CONTACT, company="Lumen", limits=Limits(turn_seconds=20))
FITTED = Calibration(
    scorer=scorer_of(20.0, question=20.0, whole=20.0),  # from a cosine of a half on, an entry rather answers than not
    evidence=Logistic((0.0, 1.0, 0.0), 0.0),
    thresholds={"approved": 0.9, "grounded": 0.8, "ask": 0.01, "step:chat": 0.8, "out_of_scope": 0.9},
    max_error=0.05,
    adapter="a" * 64,
    knowledge="",
    encoder="",
    sha256="c" * 64,
)


@dataclass
class Shop:
    """A bot with its parts at hand."""

    bot: Bot
    store: Store
    engine: ScriptedEngine
    model: DialogueModel
    home: Path
    count: int = 0

    def ask(self, content: str, conversation: str | None = None, **options: Any) -> list[Reply]:
        """Send a message as a visitor and take the whole reply."""
        return list(self.bot.reply(self.request(content, conversation, **options), Event()))

    def request(self, content: str, conversation: str | None = None, **options: Any) -> TurnRequest:
        self.count += 1
        values = {"visitor_id": "ada", "client_message_id": f"m{self.count}", **options}
        return TurnRequest(conversation_id=conversation, content=content, **values)

    def said(self, conversation: str, visitor: str = "ada") -> list[tuple[str, str, str]]:
        """What the store shows of a conversation: role, text, status."""
        return [(m.role, m.content, m.status) for m in self.store.conversation(conversation, visitor)]

    def conversation(self) -> str:
        """The conversation that was last written in."""
        return self.store.conversations("ada")[0].id


@pytest.fixture
def make_shop(tiny_base: Path, tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    stores: list[Store] = []

    def make(
        settings: Settings = SETTINGS,
        *,
        model: bool = True,
        calibration: Calibration | None = FITTED,
        furnish: bool = True,
    ) -> Shop:
        home = tmp_path / "knowledge"
        if not home.exists():
            fill(home, [COST, TIME, BACK], WordEncoder())
        store = Store.open(tmp_path / "frontdesk.db")
        stores.append(store)
        dialogue, engine = scripted_model(tiny_base)
        bot = Bot(store, settings)
        shop = Shop(bot, store, engine, dialogue, home)
        if furnish:
            knowledge = KnowledgeBase.open(home, WordEncoder())
            bot.furnish(lambda _tell: Parts(knowledge, dialogue if model else None, calibration))
        return shop

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop()


def supported(shop: Shop, text: str) -> None:
    """Let the model find that the entries support an answer, and write it."""
    shop.engine.probabilities = {"support": {"full": 0.95}}
    shop.engine.text = text


def test_an_approved_entry_answers_and_the_reply_is_stored_before_it_is_done(shop: Shop) -> None:
    *growing, last = shop.ask("what does delivery cost")
    assert all(not reply.done for reply in growing)
    assert (last.text, last.kind, last.reason, last.done) == (COST.answer, "approved", "entry_answers", True)
    assert [citation.entry_id for citation in last.citations] == ["cost"]
    stored = shop.store.conversation(shop.conversation(), "ada")[-1]
    assert (stored.id, stored.content, stored.status, stored.author) == (
        last.message_id,
        COST.answer,
        "done",
        "approved",
    )


def test_a_passage_is_answered_by_what_the_model_writes_from_it(shop: Shop) -> None:
    supported(shop, "[1] A parcel travels 3 days.")
    last = shop.ask("how long does a parcel travel")[-1]
    assert (last.text, last.kind, last.reason) == ("A parcel travels 3 days.", "grounded", "evidence_supports")
    supported(shop, "[1] A parcel travels 5 days.")
    last = shop.ask("how long does a parcel travel")[-1]
    assert (last.text, last.kind, last.reason) == (TIME.answer, "grounded", "evidence_quoted")
    decision = shop.store.turns(shop.conversation())[-1].decision
    assert decision is not None
    assert decision.reason == "evidence_quoted"


def test_small_talk_asking_back_and_declining(shop: Shop) -> None:
    shop.engine.probabilities = {"next_step": {"chat": 0.95}}
    shop.engine.text = "Hello! How can I help?"
    assert [(r.kind, r.text) for r in shop.ask("hi")][-1] == ("chat", "Hello! How can I help?")
    shop.engine.probabilities = {"support": {"none": 0.95}}
    asked = shop.ask("delivery of the lamp")[-1]
    assert asked.kind == "ask"
    assert [option.entry_id for option in asked.options] == ["cost", "back", ""]
    declined = shop.ask("boats")[-1]
    assert (declined.kind, declined.reason, declined.contact) == ("decline", "nothing_fits", CONTACT)


NEVER = replace(FITTED, thresholds={**FITTED.thresholds, "approved": 1.1, "grounded": 1.1})


@pytest.mark.parametrize("pick", ["Can I return the lamp?", "can i return the lamp", "The second one, please."])
def test_a_reading_that_is_picked_is_answered_however_unsure_search_is(
    make_shop: Callable[..., Shop], pick: str
) -> None:
    shop = make_shop(calibration=NEVER)
    asked = shop.ask("delivery of the lamp")[-1]
    assert [option.entry_id for option in asked.options] == ["cost", "back", ""]
    answered = shop.ask(pick, shop.conversation())[-1]
    assert (answered.text, answered.kind, answered.reason) == (BACK.answer, "approved", "reading_picked")
    assert [citation.entry_id for citation in answered.citations] == ["back"]
    assert shop.store.unanswered(9) == []
    again = shop.ask("The second one, please.", shop.conversation())[-1]
    assert again.kind in ("ask", "decline")  # the last reply offered nothing


def test_a_passage_that_is_picked_is_quoted_without_the_model(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(calibration=NEVER)
    asked = shop.ask("how long for the parcel to travel to me")[-1]
    shop.engine.text = "[1] A parcel travels 5 days."
    picked = next(option for option in asked.options if option.entry_id == "time")
    quoted = shop.ask(picked.value, shop.conversation())[-1]
    assert (quoted.text, quoted.kind, quoted.reason) == (TIME.answer, "grounded", "reading_picked")


@pytest.mark.parametrize("pick", ["None of these", "neither"])
def test_who_means_none_of_the_readings_gets_the_contact_and_asked_in_vain(
    make_shop: Callable[..., Shop], pick: str
) -> None:
    shop = make_shop(calibration=NEVER)
    shop.ask("delivery of the lamp")
    declined = shop.ask(pick, shop.conversation())[-1]
    assert (declined.kind, declined.reason, declined.contact) == ("decline", "none_picked", CONTACT)
    assert [question.content for question in shop.store.unanswered(9)] == ["delivery of the lamp"]


@pytest.mark.parametrize("pick", [BACK.question, "the second one"])
def test_a_picked_entry_that_is_gone_meanwhile_is_no_answer(make_shop: Callable[..., Shop], pick: str) -> None:
    shop = make_shop(calibration=NEVER)
    shop.ask("delivery of the lamp")
    fill(shop.home, [COST, TIME], WordEncoder(), prune=True)
    assert shop.ask(pick, shop.conversation())[-1].reason != "reading_picked"
    assert [question.content for question in shop.store.unanswered(9)] == ["delivery of the lamp"]


def test_a_reply_that_is_there_at_once_is_whole_however_late_it_comes(
    make_shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(SETTINGS.model_copy(update={"limits": Limits(turn_seconds=1)}))
    read = shop.engine.read

    def slowly(ids: Sequence[int], sets: Sequence[str]) -> Any:
        time.sleep(1.1)
        return read(ids, sets)

    monkeypatch.setattr(shop.engine, "read", slowly)
    assert shop.ask("what does delivery cost")[-1].kind == "approved"
    assert [status for _, _, status in shop.said(shop.conversation())][-1] == "done"


def test_without_an_adapter_and_a_calibration_it_answers_what_stands_in_the_knowledge(
    make_shop: Callable[..., Shop],
) -> None:
    shop = make_shop(model=False, calibration=None)
    assert shop.ask(COST.question)[-1].text == COST.answer
    assert shop.ask("delivery")[-1].kind == "ask"
    assert shop.engine.paths == []


def test_the_same_message_id_twice_is_one_message_with_one_reply(shop: Shop) -> None:
    first = shop.ask("what does delivery cost", client_message_id="same")[-1]
    work = len(shop.engine.paths)
    again = shop.ask("what does delivery cost", client_message_id="same")
    assert again == [first]
    assert len(shop.engine.paths) == work, "nothing was read again"
    assert len(shop.said(shop.conversation())) == 2


def test_a_retry_writes_a_new_reply_in_the_place_of_the_old_one(shop: Shop) -> None:
    supported(shop, "[1] A parcel travels 3 days.")
    request = shop.request("how long does a parcel travel")
    first = list(shop.bot.reply(request, Event()))[-1]
    supported(shop, "[1] It is tracked.")
    second = list(shop.bot.reply(replace(request, retry=True), Event()))[-1]
    assert (second.text, second.message_id != first.message_id) == ("It is tracked.", True)
    assert shop.said(shop.conversation()) == [
        ("user", request.content, "done"), ("assistant", "It is tracked.", "done"),
    ]  # fmt: skip
    assert [turn.superseded for turn in shop.store.turns(shop.conversation())] == [True, False]
    without = shop.model.renderer.understanding([Message("user", request.content)])
    assert shop.engine.paths.count(without) == 2, "the old reply is not part of what the new one answers"


def test_a_part_that_fails_gives_a_refusal_with_the_contact_and_a_failed_turn(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(number: int) -> None:
        if number == 12:
            raise RuntimeError("secret detail")

    supported(shop, "[1] A parcel travels 3 days. [1] It is tracked.")
    shop.engine.on_token = breaks
    last = shop.ask("how long does a parcel travel")[-1]
    assert (last.kind, last.reason, last.contact, last.done) == ("decline", "model_failed", CONTACT, True)
    assert last.text == PHRASES["en"]["model_failed"]
    assert shop.said(shop.conversation())[-1][2] == "failed"
    assert "secret detail" in caplog.text
    shop.engine.on_token = lambda _number: None
    assert shop.ask("what does delivery cost", shop.conversation())[-1].text == COST.answer, "the next turn works"


def test_a_failed_turn_is_answered_anew_when_the_same_message_comes_again(shop: Shop) -> None:
    def breaks(_number: int) -> None:
        raise RuntimeError("no")

    supported(shop, "[1] A parcel travels 3 days.")
    shop.engine.on_token = breaks
    request = shop.request("how long does a parcel travel")
    assert list(shop.bot.reply(request, Event()))[-1].reason == "model_failed"
    shop.engine.on_token = lambda _number: None
    assert list(shop.bot.reply(request, Event()))[-1].text == "A parcel travels 3 days."
    assert len(shop.said(shop.conversation())) == 2


def test_a_page_that_goes_away_keeps_what_was_shown(shop: Shop) -> None:
    supported(shop, "[1] A parcel travels 3 days. [1] It is tracked.")
    replies: Any = shop.bot.reply(shop.request("how long does a parcel travel"), Event())
    assert next(replies).text == "A parcel travels 3 days."
    assert shop.said(shop.conversation())[-1] == ("assistant", "A parcel travels 3 days.", "generating")
    replies.close()
    assert shop.said(shop.conversation())[-1] == ("assistant", "A parcel travels 3 days.", "interrupted")
    assert shop.ask("what does delivery cost", shop.conversation())[-1].text == COST.answer


def test_a_stopped_turn_keeps_its_whole_sentences_and_is_marked_as_interrupted(shop: Shop) -> None:
    supported(shop, "[1] A parcel travels 3 days. [1] It is tracked and so on.")
    cancelled = Event()
    shop.engine.on_token = lambda number: cancelled.set() if number == shop.engine.n_tokens - 4 else None
    last = list(shop.bot.reply(shop.request("how long does a parcel travel"), cancelled))[-1]
    assert (last.text, last.done) == ("A parcel travels 3 days.", True)
    assert shop.said(shop.conversation())[-1][1:] == ("A parcel travels 3 days.", "interrupted")


def test_an_answer_that_was_there_at_once_is_whole_also_where_the_turn_was_stopped(shop: Shop) -> None:
    cancelled = Event()
    cancelled.set()
    last = list(shop.bot.reply(shop.request("what does delivery cost"), cancelled))[-1]
    assert last.text == COST.answer
    assert shop.said(shop.conversation())[-1][1:] == (COST.answer, "done")


def test_another_visitors_conversation_is_refused_before_any_work(shop: Shop) -> None:
    shop.ask("what does delivery cost")
    conversation, work = shop.conversation(), len(shop.engine.paths)
    with pytest.raises(NotFoundError):
        shop.ask("what did she ask?", conversation, visitor_id="eve")
    with pytest.raises(NotFoundError):
        shop.ask("hello", "no-such-conversation")
    assert len(shop.engine.paths) == work
    assert len(shop.said(conversation)) == 2


def test_two_turns_at_once_in_one_conversation_are_refused_and_others_are_not(shop: Shop) -> None:
    supported(shop, "[1] A parcel travels 3 days. [1] It is tracked.")
    running = shop.bot.reply(shop.request("how long does a parcel travel"), Event())
    next(running)
    second = shop.request("what does delivery cost", shop.conversation())
    with pytest.raises(BusyError, match="still being answered"):
        list(shop.bot.reply(second, Event()))
    assert shop.ask("what does delivery cost", visitor_id="bob")[-1].text == COST.answer
    list(running)
    assert list(shop.bot.reply(second, Event()))[-1].text == COST.answer, "the refused message can be sent again"


def test_what_was_said_before_comes_from_the_store_and_survives_a_restart(make_shop: Callable[..., Shop]) -> None:
    first = make_shop()
    first.ask("what does delivery cost")
    conversation = first.conversation()
    again = make_shop()
    supported(again, "[1] Returns are free within 30 days.")
    again.ask("and back?", conversation, client_message_id="after the restart")
    said = [Message("user", "what does delivery cost"), Message("assistant", COST.answer), Message("user", "and back?")]
    assert again.engine.paths[0] == again.model.renderer.understanding(said)
    (_, turn) = again.store.turns(conversation)
    ids = " ".join(str(i) for i in again.model.renderer.understanding(said))
    assert turn.trace["prompt_sha256"] == hashlib.sha256(ids.encode()).hexdigest()


def test_a_late_message_does_not_see_what_was_said_after_it(shop: Shop) -> None:
    shop.ask("what does delivery cost", client_message_id="first")
    conversation = shop.conversation()
    shop.ask("thanks", conversation)
    shop.engine.paths.clear()
    shop.ask("what does delivery cost", conversation, client_message_id="first", retry=True)
    assert shop.engine.paths[0] == shop.model.renderer.understanding([Message("user", "what does delivery cost")])


def test_an_entry_cited_in_the_last_turns_is_a_candidate_again(shop: Shop) -> None:
    shop.ask("what does delivery cost")
    shop.ask("hm", shop.conversation())
    trace = shop.store.turns(shop.conversation())[-1].trace
    assert "cost" in [hit["id"] for hit in trace["hits"]]


def test_a_new_snapshot_of_the_knowledge_is_picked_up_by_the_next_turn(shop: Shop) -> None:
    assert shop.ask("what does delivery cost")[-1].text == COST.answer
    fill(shop.home, [replace(COST, answer="Delivery costs 5.90 euro.")], WordEncoder())
    assert shop.ask("what does delivery cost")[-1].text == "Delivery costs 5.90 euro."
    first, second = (shop.store.turns(row.id)[0].trace["knowledge"] for row in shop.store.conversations("ada"))
    assert first != second


def test_an_entry_that_is_removed_during_a_turn_still_answers_it(shop: Shop) -> None:
    knowledge: KnowledgeBase = shop.bot._parts.knowledge  # type: ignore[union-attr]
    search = knowledge.search

    def searched_and_removed(*args: Any, **options: Any) -> Any:
        hits = search(*args, **options)
        fill(shop.home, [BACK], WordEncoder(), prune=True)
        assert knowledge.refresh()
        return hits

    knowledge.search = searched_and_removed  # type: ignore[method-assign]
    last = shop.ask("what does delivery cost")[-1]
    assert (last.kind, last.text) == ("approved", COST.answer)


def test_a_turn_is_traced_so_that_it_can_be_replayed_and_explained(shop: Shop) -> None:
    supported(shop, "[1] A parcel travels 3 days.")
    shop.engine.probabilities["intent"] = {"order": 0.9}
    shop.ask("how long does a parcel travel")
    (turn,) = shop.store.turns(shop.conversation())
    assert turn.decision is not None
    assert (turn.decision.kind, turn.decision.reason, turn.status) == ("grounded", "evidence_supports", "done")
    assert turn.trace["adapter"] == "a" * 64
    assert turn.trace["calibration"] == "c" * 64
    assert turn.trace["knowledge"].startswith("20")
    assert turn.trace["hits"][0]["id"] == "time"
    assert turn.trace["support"]["full"] == pytest.approx(0.95, abs=1e-3)
    assert {"read", "find", "decide", "write", "first_text"} <= set(turn.seconds)
    assert all(value >= 0 for value in turn.seconds.values())
    intents = {
        label.label: label.probability for label in turn.labels if (label.set, label.witness) == ("intent", "both")
    }
    assert max(intents, key=lambda name: intents[name]) == "order"


def test_where_only_one_entry_may_answer_an_intent_no_other_does(make_shop: Callable[..., Shop]) -> None:
    only = Settings(contact=CONTACT, intents={"order": Intent(strict=True, entry="back")})
    shop = make_shop(only)
    shop.engine.probabilities = {"intent": {"order": 0.97}}
    assert shop.ask("what does delivery cost")[-1].kind != "approved"
    assert shop.ask("can I return the lamp")[-1].text == BACK.answer
    shop.engine.probabilities = {"intent": {"hello": 0.97}}
    assert shop.ask("what does delivery cost")[-1].text == COST.answer


def test_writing_stops_in_the_middle_when_the_time_of_a_turn_is_up(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(SETTINGS.model_copy(update={"limits": Limits(turn_seconds=1.5)}))
    supported(shop, "[1] A parcel travels 3 days. [1] It is" + " very" * 1000)
    shop.engine.on_token = lambda number: time.sleep(0.05 if number > 12 else 0)
    began = time.monotonic()
    last = shop.ask("how long does a parcel travel")[-1]
    assert last.done
    assert last.text == "A parcel travels 3 days."
    assert shop.said(shop.conversation())[-1] == ("assistant", "A parcel travels 3 days.", "interrupted")
    assert time.monotonic() - began < 20


# --- while the parts load -------------------------------------------------------------------------------------------


def test_a_message_that_comes_while_the_parts_load_is_kept_and_answered_when_they_are_there(
    make_shop: Callable[..., Shop],
) -> None:
    shop = make_shop(furnish=False)
    assert not shop.bot.ready
    assert dict(shop.bot.entries) == {}
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.extend(shop.ask("what does delivery cost")))
    asking.start()
    deadline = time.monotonic() + 5
    while not shop.store.conversations("ada") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert shop.said(shop.conversation()) == [("user", "what does delivery cost", "done")]
    knowledge = KnowledgeBase.open(shop.home, WordEncoder())

    def load(tell: Callable[[str], None]) -> Parts:
        tell("the knowledge")
        assert shop.bot.loading == "the knowledge"
        return Parts(knowledge, shop.model, FITTED)

    shop.bot.furnish(load)
    asking.join(10)
    assert shop.bot.ready
    assert replies[-1].text == COST.answer
    assert set(shop.bot.entries) == {"cost", "time", "back"}


@pytest.mark.parametrize("stopped", [False, True])
def test_waiting_for_the_parts_ends_with_the_time_of_a_turn_or_when_it_is_stopped(
    make_shop: Callable[..., Shop], stopped: bool
) -> None:
    seconds = 60 if stopped else 0.2
    shop = make_shop(SETTINGS.model_copy(update={"limits": Limits(turn_seconds=seconds)}), furnish=False)
    cancelled = Event()
    if stopped:
        cancelled.set()
    with pytest.raises(BusyError, match="still starting"):
        list(shop.bot.reply(shop.request("hello"), cancelled))


def test_parts_that_cannot_be_loaded_are_told_with_the_contact(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(furnish=False)

    def fails(_tell: Callable[[str], None]) -> Parts:
        raise ModelError("The base model is not installed.")

    with pytest.raises(ModelError):
        shop.bot.furnish(fails)
    with pytest.raises(TurnError, match=r"help@shop\.example"):
        shop.ask("hello")
    assert not shop.bot.ready


def test_many_visitors_at_once_each_get_their_own_answer(shop: Shop) -> None:
    questions: Sequence[tuple[str, str]] = [
        ("what does delivery cost", COST.answer),
        ("can i return the lamp", BACK.answer),
    ]
    found: dict[str, str] = {}

    def chat(number: int) -> None:
        question, _ = questions[number % 2]
        request = TurnRequest(f"v{number}", None, question, f"c{number}")
        found[f"v{number}"] = list(shop.bot.reply(request, Event()))[-1].text

    threads = [threading.Thread(target=chat, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    expected: Mapping[str, str] = {f"v{number}": questions[number % 2][1] for number in range(8)}
    assert found == expected
