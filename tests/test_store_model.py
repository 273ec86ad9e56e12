"""Random calls to the store read back equal to a plain model of it in memory."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chatbot.errors import NotFoundError
from chatbot.store import Store
from chatbot.types import Decision, Kind, Reply, TurnRequest

VISITORS = st.sampled_from(["ann", "ben"])
CLIENT_IDS = st.sampled_from(["", "c1", "c2", "c3"])
WORDS = st.text(max_size=30)
_KINDS: list[Kind] = ["approved", "grounded", "ask"]
KINDS = st.sampled_from(_KINDS)
RATINGS = st.sampled_from(["up", "down", None])


@dataclass
class Slot:
    """A place in a conversation: a customer's message, or the reply that is shown there."""

    id: str
    content: str
    status: str = "done"
    reply_to: str | None = None
    turn_id: str | None = None
    rating: str | None = None


@dataclass
class Chat:
    visitor: str
    slots: list[Slot] = field(default_factory=list)


class StoreBesideModel(RuleBasedStateMachine):
    """The same calls go to a store on disk and to lists in memory."""

    template: Path
    messages = Bundle("messages")
    turns = Bundle("turns")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Path(shutil.copy(self.template, Path(self.folder.name) / "frontdesk.db"))
        self.store = Store.open(self.database)
        self.chats: dict[str, Chat] = {}
        self.by_client_id: dict[tuple[str, str], str] = {}
        self.touched: list[str] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def find(self, message_id: str) -> tuple[str, Chat, Slot]:
        return next(
            (key, chat, slot) for key, chat in self.chats.items() for slot in chat.slots if slot.id == message_id
        )

    def running(self) -> list[Slot]:
        return [slot for chat in self.chats.values() for slot in chat.slots if slot.status == "generating"]

    def touch(self, conversation: str) -> None:
        self.touched = [key for key in self.touched if key != conversation] + [conversation]

    @initialize(target=messages)
    def begin(self) -> str:
        return self.keep("ann", None, "hello", "")

    @rule(target=messages, visitor=VISITORS, client_id=CLIENT_IDS, content=WORDS)
    def open_conversation(self, visitor: str, client_id: str, content: str) -> str:
        return self.keep(visitor, None, content, client_id)

    @rule(target=messages, visitor=VISITORS, earlier=messages, client_id=CLIENT_IDS, content=WORDS)
    def go_on(self, visitor: str, earlier: str, client_id: str, content: str) -> object:
        conversation, chat, _ = self.find(earlier)
        known = client_id and (visitor, client_id) in self.by_client_id
        if chat.visitor == visitor or known:
            return self.keep(visitor, conversation, content, client_id)
        with pytest.raises(NotFoundError):
            self.store.add_message(TurnRequest(visitor, conversation, content, client_id))
        return multiple()

    def keep(self, visitor: str, conversation: str | None, content: str, client_id: str) -> str:
        kept = self.store.add_message(TurnRequest(visitor, conversation, content, client_id))
        if client_id and (visitor, client_id) in self.by_client_id:
            assert kept.id == self.by_client_id[visitor, client_id]
            return kept.id
        if conversation is None:
            assert kept.conversation_id not in self.chats
            self.chats[kept.conversation_id] = Chat(visitor)
        else:
            assert kept.conversation_id == conversation
        self.chats[kept.conversation_id].slots.append(Slot(kept.id, content))
        self.touch(kept.conversation_id)
        if client_id:
            self.by_client_id[visitor, client_id] = kept.id
        return kept.id

    @rule(target=turns, message=messages)
    def begin_turn(self, message: str) -> str:
        _, chat, _ = self.find(message)
        turn_id = self.store.begin_turn(message)
        reply = self.store.reply_to(message)
        assert reply is not None
        new = Slot(reply.id, "", "generating", message, turn_id)
        places = [place for place, slot in enumerate(chat.slots) if slot.reply_to == message]
        if places:
            chat.slots[places[0]] = new
        else:
            chat.slots.append(new)
        return turn_id

    def shown(self, turn_id: str) -> Slot | None:
        slots = (slot for chat in self.chats.values() for slot in chat.slots)
        return next((slot for slot in slots if slot.turn_id == turn_id), None)

    @rule(turn=turns, text=WORDS)
    def save_partial(self, turn: str, text: str) -> None:
        self.store.save_partial(turn, text)
        slot = self.shown(turn)
        if slot is not None and slot.status == "generating":
            slot.content = text

    @rule(turn=turns, text=WORDS, kind=KINDS, status=st.sampled_from(["done", "interrupted", "failed"]))
    def finish(self, turn: str, text: str, kind: Kind, status: str) -> None:
        decision = Decision(kind, "entry_answers", ("e",), 0.5)
        kept = self.store.finish_turn(
            turn, Reply(text, kind), decision=decision, understanding=None, trace={}, status=status  # type: ignore[arg-type]
        )  # fmt: skip
        self.touch(kept.conversation_id)
        slot = self.shown(turn)
        if slot is not None:
            slot.content, slot.status = text, status

    @rule(message=messages, visitor=VISITORS, value=RATINGS, comment=WORDS)
    def rate(self, message: str, visitor: str, value: str | None, comment: str) -> None:
        _, chat, _ = self.find(message)
        slot = next((slot for slot in chat.slots if slot.reply_to == message), None)
        rated = slot.id if slot else message
        if slot is None or chat.visitor != visitor:
            with pytest.raises(NotFoundError):
                self.store.rate(rated, visitor, value, comment)  # type: ignore[arg-type]
            return
        self.store.rate(rated, visitor, value, comment)  # type: ignore[arg-type]
        slot.rating = value

    @precondition(lambda self: self.chats)
    @rule()
    def start_again(self) -> None:
        self.store.close()
        self.store = Store.open(self.database)
        assert self.store.recover() == len(self.running())
        for slot in self.running():
            slot.status = "interrupted"

    @invariant()
    def everything_reads_back(self) -> None:
        for key, chat in self.chats.items():
            kept = self.store.conversation(key, chat.visitor)
            assert [Slot(m.id, m.content, m.status, m.reply_to, rating=m.rating) for m in kept] == [
                Slot(s.id, s.content, s.status, s.reply_to, rating=s.rating) for s in chat.slots
            ]
            assert [m.seq for m in kept] == sorted({m.seq for m in kept})
            with pytest.raises(NotFoundError):
                self.store.conversation(key, "ben" if chat.visitor == "ann" else "ann")
        for visitor in ("ann", "ben"):
            theirs = [key for key in reversed(self.touched) if self.chats[key].visitor == visitor]
            assert [c.id for c in self.store.conversations(visitor, limit=1000)] == theirs


def test_random_calls_read_back_as_the_model_says(tmp_path: Path) -> None:
    StoreBesideModel.template = tmp_path / "template.db"
    Store.open(StoreBesideModel.template).close()
    health = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        StoreBesideModel,
        settings=settings(max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=health),
    )
