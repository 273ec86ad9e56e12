"""What each turn of a transcript teaches: only replies that would pass the gate are learnt, and the rest is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from conftest import HashEncoder, fill

from chatbot.gate import Gate
from chatbot.model import SHOWN_ENTRIES
from chatbot.types import Message
from finetune.data import Evidence, Labels, Turn, human_action, lessons
from finetune.records import Transcript
from knowledge_base.entry import Entry
from knowledge_base.search import KnowledgeBase

COST = Entry("cost", "What does delivery cost?", "Standard delivery costs 4.90 euro. Express costs 9.50 euro.")
TIME = Entry("time", "How long does delivery take?", "Delivery takes 3 days.")
BACK = Entry("back", "Can I send it back?", "You can return it within 30 days.")
LAMP = Entry("lamp", "Which bulb fits?", "The lamp takes an E27 bulb of 11 watt.")
CARE = Entry("care", "How do I clean it?", "Wipe it with water of 40 degrees.")
SECRET = Entry("secret", "What do we pay?", "We pay 2.15 euro.", visibility="internal")
ENTRIES = (COST, TIME, BACK, LAMP, CARE, SECRET)


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    home = tmp_path_factory.mktemp("home")
    fill(home, ENTRIES)
    return KnowledgeBase.open(home, HashEncoder())


def chat(asked: str, reply: str | Message | None, intents: tuple[str, ...] = (), name: str = "c") -> Transcript:
    if reply is None:
        return Transcript(name, (Message("user", asked, intents=intents),))
    answer = reply if isinstance(reply, Message) else Message("assistant", reply)
    return Transcript(name, (Message("user", asked, intents=intents), answer))


def turn(transcript: Transcript, knowledge: KnowledgeBase | None, *, too: bool = False) -> tuple[Turn, Counter[str]]:
    taught, counts = lessons([transcript], knowledge, unsupported_too=too)
    assert taught[0].transcript is transcript
    (only,) = taught[0].turns
    return only, counts


def test_a_reply_grounded_in_the_entry_it_names_is_written_from_it(knowledge: KnowledgeBase) -> None:
    reply = Message("assistant", "Standard delivery costs 4.90 euro.", evidence=("cost",))
    taught, counts = turn(chat("and the price?", reply), knowledge)
    full = taught.evidence[0]
    assert (full.support, len(full.entries)) == ("full", SHOWN_ENTRIES)
    ((number, sentence),) = full.sentences
    assert full.entries[number - 1] == COST
    assert sentence == reply.content
    assert not taught.writes
    assert counts == {"grounded in the entries they name": 1}


def test_a_reply_grounded_in_an_entry_that_search_finds_is_written_from_it(knowledge: KnowledgeBase) -> None:
    taught, counts = turn(chat(COST.question, "Express costs 9.50 euro."), knowledge)
    full = taught.evidence[0]
    found = [hit.entry for hit in knowledge.search(COST.question, k=len(full.entries))]
    assert list(full.entries) == found, "entries stand in the order of search"
    assert full.sentences == ((found.index(COST) + 1, "Express costs 9.50 euro."),)
    assert counts == {"grounded in entries that search finds": 1}


@pytest.mark.parametrize("reply", ["Which order do you mean?", "I am sorry about that.", "You are welcome!"])
def test_a_reply_without_facts_is_learnt_as_it_is(knowledge: KnowledgeBase, reply: str) -> None:
    taught, counts = turn(chat("hello", reply), knowledge)
    assert taught.writes
    assert taught.evidence == ()
    assert counts == {"without facts": 1}


@pytest.mark.parametrize(
    "reply",
    [
        "Delivery costs 7.77 euro.",
        "Your order {{Order Number}} is on its way.",
        "Write to <email> for that.",
        "Call us at 030 901820.",
        "See https://shop.example/returns for that.",
        "We pay 2.15 euro.",
    ],
)
def test_a_reply_whose_facts_stand_in_no_entry_is_history_only(knowledge: KnowledgeBase, reply: str) -> None:
    taught, counts = turn(chat("hello", Message("assistant", reply, evidence=("cost", "secret"))), knowledge)
    assert not taught.writes
    assert not any(evidence.sentences for evidence in taught.evidence)
    assert counts == {"state facts that no entry holds": 1}
    unsupported, _ = turn(chat("hello", reply), knowledge, too=True)
    assert unsupported.writes


def test_without_knowledge_only_replies_without_facts_are_learnt() -> None:
    assert turn(chat("hello", "Hi, how can I help?"), None)[0].writes
    assert not turn(chat("hello", "That costs 5 euro."), None)[0].writes


@pytest.mark.parametrize("author", ["bot", "approved"])
def test_what_the_bot_said_itself_is_never_learnt(knowledge: KnowledgeBase, author: str) -> None:
    reply = Message("assistant", "Which order?", author=author, action="ask")  # type: ignore[arg-type]
    taught, counts = turn(chat("hello", reply), knowledge)
    assert taught == Turn(0)
    assert counts == {"written by a bot": 1}
    assert human_action(reply) is None
    assert "next_step" not in Labels.of([chat("hello", reply)]).sets


def test_what_the_bot_declined_may_still_have_an_answer(knowledge: KnowledgeBase) -> None:
    declined = Message("assistant", "I have no answer.", author="bot", action="decline")
    assert turn(chat("boats?", declined), knowledge)[0] == Turn(0)


@pytest.mark.parametrize("mark", ["<email>", "<phone>", "<card>", "<account>"])
def test_a_reply_with_personal_data_taken_out_is_no_target(knowledge: KnowledgeBase, mark: str) -> None:
    reply = Message("assistant", f"Standard delivery costs 4.90 euro. I wrote to {mark}.", evidence=("cost",))
    taught, counts = turn(chat("and the price?", reply), knowledge)
    assert not any(evidence.sentences for evidence in taught.evidence)
    assert counts == {"state facts that no entry holds": 1}


def test_a_message_that_nobody_answered_teaches_no_writing(knowledge: KnowledgeBase) -> None:
    assert turn(chat(COST.question, None), knowledge) == (Turn(0), {})


@pytest.mark.parametrize(
    "transcript",
    [
        chat("do you sell boats?", "Sorry, no.", ("out_of_scope",)),
        chat("boats?", Message("assistant", "No.", action="decline")),
    ],
    ids=["out of scope", "declined"],
)
def test_what_nothing_answers_is_shown_with_entries_that_do_not_support_it(
    knowledge: KnowledgeBase, transcript: Transcript
) -> None:
    (evidence,) = turn(transcript, knowledge)[0].evidence
    assert (evidence.support, len(evidence.entries), evidence.sentences) == ("none", SHOWN_ENTRIES, ())


def test_a_reply_from_several_entries_cites_each_of_them(knowledge: KnowledgeBase) -> None:
    content = "Standard delivery costs 4.90 euro. Delivery takes 3 days."
    taught, _ = turn(chat("tell me", Message("assistant", content, evidence=("cost", "time", "lamp"))), knowledge)
    full = taught.evidence[0]
    assert [full.entries[number - 1].id for number, _ in full.sentences] == ["cost", "time"]


def test_a_reply_from_more_entries_than_a_turn_is_shown_is_not_learnt(knowledge: KnowledgeBase) -> None:
    used = (COST, TIME, BACK, LAMP)
    content = " ".join(entry.answer for entry in used)
    taught, counts = turn(chat("all", Message("assistant", content, evidence=tuple(e.id for e in used))), knowledge)
    assert not taught.evidence
    assert not taught.writes
    assert counts == {"state facts that no entry holds": 1}


def test_every_written_target_passes_the_gate_with_the_entries_it_is_shown_with(knowledge: KnowledgeBase) -> None:
    entries = [COST, TIME, BACK, LAMP, CARE]
    shown: list[Evidence] = []
    for number in range(12):
        asked, said = entries[number % 5], entries[number * 7 % 5]
        named = ("back", said.id, "time")[number % 3 :]
        reply = Message("assistant", f"Sure. {said.answer} {TIME.answer}", evidence=named)
        shown += turn(chat(asked.question, reply, name=str(number)), knowledge)[0].evidence
    for evidence in shown:
        assert 1 <= len(evidence.entries) <= SHOWN_ENTRIES
        assert len({entry.id for entry in evidence.entries}) == len(evidence.entries)
        assert all(entry.visibility == "public" for entry in evidence.entries)
    written = [evidence for evidence in shown if evidence.sentences]
    assert len(written) == 10
    for evidence in written:
        gate = Gate(evidence.entries)
        passed = gate.feed(" ".join(f"[{n}] {text}" for n, text in evidence.sentences)) + gate.close()
        assert gate.violation is None
        assert [(s.number, s.text) for s in passed] == list(evidence.sentences)


def test_about_one_row_in_five_is_shown_without_what_it_needs(knowledge: KnowledgeBase) -> None:
    replies = [chat(TIME.question, TIME.answer, name=str(i)) for i in range(200)]
    taught, _ = lessons(replies, knowledge)
    rows = [evidence for lesson in taught for evidence in lesson.turns[0].evidence]
    missing = [evidence for evidence in rows if evidence.support != "full"]
    assert len(rows) - len(missing) == len(replies)
    assert 0.15 < len(missing) / len(rows) < 0.25
    assert all(e.support == "none" and TIME not in e.entries and not e.sentences for e in missing)
    again, _ = lessons(replies, knowledge)
    assert [lesson.turns for lesson in again] == [lesson.turns for lesson in taught]


def test_a_turn_with_one_of_two_entries_missing_is_supported_in_part(knowledge: KnowledgeBase) -> None:
    content = f"{TIME.answer} {BACK.answer}"
    replies = [
        chat(TIME.question, Message("assistant", content, evidence=("time", "back")), name=str(i)) for i in range(40)
    ]
    taught, _ = lessons(replies, knowledge)
    part = [e for lesson in taught for e in lesson.turns[0].evidence if e.support != "full"]
    assert part
    for evidence in part:
        assert evidence.support == "part"
        assert TIME in evidence.entries
        assert BACK not in evidence.entries


def messages(*rows: tuple[str, ...]) -> Sequence[Message]:
    return [Message("user", "x", intents=row) for row in rows]


def test_labels_are_sorted_and_a_message_with_several_intents_shares_its_weight() -> None:
    transcript = Transcript(
        "c", (*messages(("b",), ("c", "a")), Message("assistant", "y", author="human", action="ask"))
    )
    labels = Labels.of([transcript])
    assert labels.sets == {"intent": ("a", "b", "c"), "next_step": ("ask",), "support": ("full", "part", "none")}
    assert labels.target("intent", ["c", "a"]) == {2: 0.5, 0: 0.5}
    assert labels.target("intent", ["c", "unknown"]) == {2: 1.0}
    assert labels.target("intent", ["unknown"]) == {}
    assert labels.target("sentiment", ["good"]) == {}


def test_a_set_without_labels_does_not_exist() -> None:
    assert set(Labels.of([chat("hello", "Hi")]).sets) == {"support"}
