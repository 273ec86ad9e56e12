"""The store: what it keeps reads back, to whom it belongs, and what it refuses."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import OperationalError

from chatbot.errors import InputError, NotFoundError, StoreError
from chatbot.store import ConversationFilter, Store, StoredMessage
from chatbot.store.sqlite import connect, driver
from chatbot.store.tables import Table
from chatbot.types import Citation, Decision, Kind, Option, Reply, TurnRequest, Understanding

sqlite = driver()
CITATION = Citation(1, "faq-12", "Shipping", "Parcels leave within a day.", "https://shop.example/shipping")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "frontdesk.db"
    Store.open(path).close()
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_database, tmp_path / "frontdesk.db"))


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    with Store.open(database) as store:
        yield store


def rows(database: Path, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Read the file with plain SQL, past the code under test.

    Through the same library, though: a second SQLite in one process would drop the locks of the first.
    """
    with closing(sqlite.connect(database)) as connection:
        found: list[tuple[Any, ...]] = connection.execute(query, parameters).fetchall()
    return found


def files_with(text: str, folder: Path) -> list[str]:
    """Search the raw files from another process: closing a file drops this process's locks on it."""
    found = subprocess.run(["grep", "-rlaF", text, str(folder)], check=False, capture_output=True, text=True)
    assert found.returncode in (0, 1)
    return found.stdout.splitlines()


def change(database: Path, query: str, *parameters: object) -> None:
    with closing(sqlite.connect(database)) as connection, connection:
        connection.execute(query, parameters)


def say(
    store: Store, content: str, *, visitor: str = "ann", conversation: str | None = None, client_id: str = ""
) -> StoredMessage:
    return store.add_message(TurnRequest(visitor, conversation, content, client_id))


def answer(
    store: Store,
    message: StoredMessage,
    text: str = "It left this morning.",
    *,
    kind: Kind = "grounded",
    probability: float | None = 0.9,
    intent: str = "track_order",
    citations: tuple[Citation, ...] = (),
) -> StoredMessage:
    return store.finish_turn(
        store.begin_turn(message.id),
        Reply(text, kind, "evidence_supports", citations),
        decision=Decision(kind, "evidence_supports", ("faq-12",), probability),
        understanding=Understanding(intent={intent: 0.8, "refund": 0.2}),
        trace={"seconds": {"read": 0.25}},
    )


def test_a_message_is_in_the_file_when_the_call_returns(store: Store, database: Path) -> None:
    message = say(store, "where is my order 4711? 📦", client_id="c1")
    kept = rows(database, "SELECT id, conversation_id, seq, role, content, visitor_id, client_message_id FROM messages")
    assert kept == [(message.id, message.conversation_id, 1, "user", "where is my order 4711? 📦", "ann", "c1")]
    assert abs(datetime.now(UTC) - message.created_at) < timedelta(minutes=1)


def test_a_finished_turn_is_in_the_file_with_decision_labels_and_trace(store: Store, database: Path) -> None:
    message = say(store, "where is it?")
    reply = answer(store, message, "It left. [1]", citations=(CITATION,))
    turn = rows(database, "SELECT message_id, reply_id, status, kind, reason, probability, intent FROM turns")
    assert turn == [(message.id, reply.id, "done", "grounded", "evidence_supports", 0.9, "track_order")]
    assert rows(database, "SELECT trace FROM turns") == [('{"seconds": {"read": 0.25}}',)]
    labels = rows(database, "SELECT set_name, witness, label, probability FROM labels ORDER BY id")
    assert labels == [("intent", "both", "track_order", 0.8), ("intent", "both", "refund", 0.2)]
    assert rows(database, "SELECT json_extract(citations, '$[0].entry_id') FROM messages WHERE id = ?", reply.id) == [
        ("faq-12",)
    ]


def test_a_reply_reads_back_with_everything_it_showed(store: Store) -> None:
    message = say(store, "hm")
    shown = Reply("Which one?", "ask", "unclear", (CITATION,), (Option("Track", "Where is it?"),), "Call 555-0100.")
    turn = store.begin_turn(message.id)
    kept = store.finish_turn(turn, shown, decision=None, understanding=None, trace={})
    assert (kept.content, kept.kind, kept.reason, kept.contact) == ("Which one?", "ask", "unclear", "Call 555-0100.")
    assert (kept.citations, kept.options) == ((CITATION,), (Option("Track", "Where is it?"),))
    assert (kept.role, kept.author, kept.status, kept.reply_to) == ("assistant", "bot", "done", message.id)
    assert store.conversation(message.conversation_id, "ann") == [message, kept]
    assert store.reply_to(message.id) == kept


def test_an_approved_answer_has_approved_as_its_author(store: Store) -> None:
    assert answer(store, say(store, "hours?"), kind="approved").author == "approved"


def test_the_same_client_message_id_is_one_message_even_without_a_conversation(store: Store, database: Path) -> None:
    first = say(store, "hello", client_id="c1")
    assert say(store, "hello", client_id="c1") == first
    assert rows(database, "SELECT count(*) FROM conversations") == [(1,)]
    assert say(store, "hello", visitor="ben", client_id="c1").id != first.id


def test_messages_without_a_client_message_id_are_all_kept(store: Store) -> None:
    assert say(store, "hello").id != say(store, "hello").id


def at_once(count: int, work: Callable[[int], StoredMessage]) -> list[StoredMessage]:
    barrier = threading.Barrier(count)

    def start(number: int) -> StoredMessage:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(start, range(count)))


def test_eight_threads_with_one_client_message_id_store_one_row(store: Store, database: Path) -> None:
    for attempt in range(5):
        got = at_once(8, lambda _, attempt=attempt: say(store, "hello", client_id=f"c{attempt}"))  # type: ignore[misc]
        assert len({message.id for message in got}) == 1
    assert rows(database, "SELECT count(*), count(DISTINCT conversation_id) FROM messages") == [(5, 5)]


def test_eight_threads_in_one_conversation_get_eight_places(store: Store) -> None:
    conversation = say(store, "hello").conversation_id
    got = at_once(8, lambda number: say(store, f"message {number}", conversation=conversation))
    assert sorted(message.seq for message in got) == list(range(2, 10))
    assert [m.seq for m in store.conversation(conversation, "ann")] == list(range(1, 10))


def test_whole_turns_in_eight_threads_do_not_disturb_each_other(store: Store) -> None:
    def chat(number: int) -> StoredMessage:
        message = say(store, f"question {number}", visitor=f"visitor-{number}")
        reply = answer(store, message, f"answer {number}")
        store.rate(reply.id, f"visitor-{number}", "up")
        return reply

    for number, reply in enumerate(at_once(8, chat)):
        shown = store.conversation(reply.conversation_id, f"visitor-{number}")
        assert [m.content for m in shown] == [f"question {number}", f"answer {number}"]
        assert shown[1].rating == "up"


def test_another_visitor_neither_reads_writes_nor_rates(store: Store) -> None:
    message = say(store, "my card ends in 1234")
    reply = answer(store, message)
    with pytest.raises(NotFoundError):
        store.conversation(message.conversation_id, "ben")
    with pytest.raises(NotFoundError):
        say(store, "hello", visitor="ben", conversation=message.conversation_id)
    with pytest.raises(NotFoundError):
        store.rate(reply.id, "ben", "down")
    assert store.conversations("ben") == []
    assert store.conversation(message.conversation_id, "ann") == [message, reply]


def test_a_foreign_and_a_missing_conversation_are_refused_in_the_same_words(store: Store) -> None:
    theirs = say(store, "hello").conversation_id
    sentences = []
    for conversation in (theirs, "0" * len(theirs)):
        with pytest.raises(NotFoundError) as caught:
            store.conversation(conversation, "ben")
        sentences.append(str(caught.value).replace(conversation, "ID"))
    assert sentences[0] == sentences[1]


def test_conversations_are_listed_by_their_last_message_with_a_title(store: Store) -> None:
    first = say(store, "  the first\nquestion " + "x" * 100)
    second = say(store, "the second")
    assert [c.title for c in store.conversations("ann")] == ["the second", ("the first question " + "x" * 100)[:60]]
    say(store, "and again", conversation=first.conversation_id)
    assert [c.id for c in store.conversations("ann")] == [first.conversation_id, second.conversation_id]
    assert [c.id for c in store.conversations("ann", limit=1)] == [first.conversation_id]


def test_a_retry_takes_the_place_of_the_reply_that_it_replaces(store: Store) -> None:
    first = say(store, "one")
    old = answer(store, first, "old")
    second = say(store, "two", conversation=first.conversation_id)
    last = answer(store, second, "last")
    new = answer(store, first, "new")
    assert store.conversation(first.conversation_id, "ann") == [first, new, second, last]
    assert new.seq == old.seq
    assert store.reply_to(first.id) == new
    assert [(t.reply.content, t.superseded) for t in store.turns(first.conversation_id)] == [
        ("old", True),
        ("new", False),
        ("last", False),
    ]


def test_a_retry_while_a_turn_runs_interrupts_it(store: Store) -> None:
    message = say(store, "one")
    running = store.begin_turn(message.id)
    store.save_partial(running, "half")
    answer(store, message, "new")
    assert [(t.status, t.superseded) for t in store.turns(message.conversation_id)] == [
        ("interrupted", True),
        ("done", False),
    ]


def test_partial_text_is_shown_until_the_turn_ends_and_never_after(store: Store) -> None:
    message = say(store, "one")
    turn = store.begin_turn(message.id)
    store.save_partial(turn, "It le")
    assert [(m.content, m.status) for m in store.conversation(message.conversation_id, "ann")][1:] == [
        ("It le", "generating")
    ]
    store.finish_turn(turn, Reply("It left."), decision=None, understanding=None, trace={}, status="interrupted")
    store.save_partial(turn, "late")
    assert [(m.content, m.status) for m in store.conversation(message.conversation_id, "ann")][1:] == [
        ("It left.", "interrupted")
    ]


def test_turns_and_ratings_need_a_message_of_the_right_side(store: Store) -> None:
    message = say(store, "one")
    reply = answer(store, message)
    for wrong in (reply.id, "nowhere"):
        with pytest.raises(NotFoundError):
            store.begin_turn(wrong)
    for wrong in (message.id, "nowhere"):
        with pytest.raises(NotFoundError):
            store.rate(wrong, "ann", "up")
    with pytest.raises(NotFoundError):
        store.save_partial("nowhere", "text")
    with pytest.raises(NotFoundError):
        store.turns("nowhere")


def test_a_rating_can_be_changed_and_taken_back(store: Store) -> None:
    reply = answer(store, say(store, "one"))
    store.rate(reply.id, "ann", "down", "not my parcel")
    store.rate(reply.id, "ann", "up")
    (turn,) = store.turns(reply.conversation_id)
    assert (turn.rating, turn.comment, turn.reply.rating) == ("up", "", "up")
    store.rate(reply.id, "ann", None)
    assert store.turns(reply.conversation_id)[0].rating is None


def test_an_operator_sees_decision_labels_and_timings_of_a_turn(store: Store) -> None:
    message = say(store, "where is it?")
    likely = {f"intent-{number}": 2.0**-number for number in range(1, 20)}
    understanding = Understanding(likely, likely, {"track_order": 1.0}, {"answer": 0.75, "ask": 0.25}, 0.125)
    decision = Decision("decline", "nothing_fits", ("faq-1", "faq-2"), 0.5)
    store.finish_turn(
        store.begin_turn(message.id),
        Reply("I do not know.", "decline", "nothing_fits"),
        decision=decision,
        understanding=understanding,
        trace={"seed": 7, "seconds": {"read": 0.5}},
    )
    (turn,) = store.turns(message.conversation_id)
    assert turn.decision == decision
    assert turn.trace == {"seed": 7, "seconds": {"read": 0.5}}
    assert turn.seconds == {"read": 0.5}
    assert turn.finished_at is not None
    assert turn.finished_at >= turn.started_at
    labels = {(x.set, x.witness, x.label): x.probability for x in turn.labels}
    assert labels["intent", "both", "intent-1"] == 0.5
    assert labels["intent", "encoder", "track_order"] == 1.0
    assert labels["next_step", "model", "ask"] == 0.25
    assert labels["out_of_scope", "both", "out_of_scope"] == 0.125


def test_what_was_shown_goes_before_what_was_decided(store: Store) -> None:
    turn = store.begin_turn(say(store, "one").id)
    quoted = Reply("Parcels leave within a day.", "grounded", "evidence_quoted")
    decided = Decision("grounded", "evidence_supports", ("faq-12",), 0.9)
    assert store.finish_turn(turn, quoted, decision=decided, understanding=None, trace={}).reason == "evidence_quoted"


def test_odd_values_in_trace_and_probabilities_lose_no_reply(store: Store) -> None:
    message = say(store, "one")
    trace = {
        "nan": float("nan"),
        "float32": np.float32(0.5),
        "row": np.arange(3),
        "citation": (CITATION,),
        "path": Path("x"),
        1: None,
    }
    odd = Understanding({"a": np.float32(0.5), "b": float("nan")}, out_of_scope=float("nan"))  # type: ignore[dict-item]
    decision = Decision("chat", "small_talk", (), np.float32(0.5))  # type: ignore[arg-type]
    turn = store.begin_turn(message.id)
    store.finish_turn(turn, Reply("Hello!"), decision=decision, understanding=odd, trace=trace)  # type: ignore[arg-type]
    (kept,) = store.turns(message.conversation_id)
    assert kept.trace["nan"] is None
    assert kept.trace["float32"] == 0.5
    assert kept.trace["row"] == [0, 1, 2]
    assert kept.trace["citation"][0]["entry_id"] == "faq-12"
    assert kept.trace["1"] is None
    assert [(x.label, x.probability) for x in kept.labels] == [("a", 0.5)]
    assert kept.decision == Decision("chat", "small_talk", (), 0.5)


@pytest.mark.parametrize(
    "content", ["half \ud83d a pair", "nul \x00 inside", "\u202eright to left", "'; DROP TABLE messages"]
)
def test_any_text_is_kept_and_what_is_returned_is_what_is_kept(store: Store, content: str) -> None:
    message = say(store, content, client_id=content)
    assert message.content == content.replace("\ud83d", "\ufffd")
    assert store.conversation(message.conversation_id, "ann") == [message]
    assert say(store, content, client_id=content) == message
    store.finish_turn(store.begin_turn(message.id), Reply(content, citations=(replace(CITATION, text=content),)),
                      decision=None, understanding=None, trace={"text": content})  # fmt: skip
    assert store.turns(message.conversation_id)[0].trace == {"text": message.content}


def test_recovery_keeps_the_partial_text_of_turns_that_were_cut_off(database: Path) -> None:
    with Store.open(database) as store:
        message = say(store, "one")
        store.save_partial(store.begin_turn(message.id), "It le")
        finished = answer(store, say(store, "two"))
    with Store.open(database) as store:
        assert store.recover() == 1
        reply = store.reply_to(message.id)
        assert reply is not None
        assert (reply.content, reply.status) == ("It le", "interrupted")
        assert store.reply_to(finished.reply_to or "") == finished
        assert store.recover() == 0


def test_search_finds_by_text_rating_kind_intent_probability_and_time(store: Store) -> None:
    asked = say(store, "Wann kommt die STRASSE 100% Lampe?", visitor="ann")
    store.rate(answer(store, asked, probability=0.9).id, "ann", "down")
    declined = say(store, "do you sell cars", visitor="ben")
    answer(store, declined, "Sorry.", kind="decline", probability=0.2, intent="out_of_scope")

    def found(**wanted: Any) -> list[str]:
        return [row.visitor_id for row in store.search(ConversationFilter(**wanted))]

    assert found() == ["ben", "ann"]
    assert found(text="straße") == ["ann"]
    assert found(text="0% l") == ["ann"]
    assert found(text="_") == []
    assert found(text="sorry") == ["ben"]
    assert found(text="BEN") == ["ben"]
    assert found(rating="down") == ["ann"]
    assert found(rating="up") == []
    assert found(kind="decline") == ["ben"]
    assert found(intent="track_order") == ["ann"]
    assert found(max_probability=0.5) == ["ben"]
    assert found(max_probability=0.9) == ["ben", "ann"]
    assert found(rating="down", kind="decline") == []
    assert found(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert found(until=asked.created_at) == []
    assert found(until=declined.created_at) == ["ann"]
    assert found(since=declined.created_at) == ["ben"]
    assert [row.visitor_id for row in store.search(ConversationFilter(), limit=1, offset=1)] == ["ann"]


def test_a_found_conversation_says_what_an_operator_sorts_by(store: Store) -> None:
    first = say(store, "one")
    answer(store, first, "superseded", probability=0.01)
    store.rate(answer(store, first, "shown", probability=0.4).id, "ann", "down")
    second = say(store, "two", conversation=first.conversation_id)
    store.rate(answer(store, second, kind="approved", intent="hours", probability=0.99).id, "ann", "up")
    (row,) = store.search(ConversationFilter())
    assert (row.messages, row.rated_up, row.rated_down, row.lowest_probability) == (4, 1, 1, 0.4)
    assert (row.last_kind, row.last_intent, row.title) == ("approved", "hours", "one")


def test_conditions_on_a_reply_must_hold_for_the_same_shown_reply(store: Store) -> None:
    first = say(store, "one")
    answer(store, first, kind="decline", probability=0.1)
    answer(store, first, kind="approved", probability=0.9)
    assert store.search(ConversationFilter(kind="decline")) == []
    second = say(store, "two", conversation=first.conversation_id)
    answer(store, second, kind="ask", probability=0.3)
    assert store.search(ConversationFilter(kind="approved", max_probability=0.5)) == []
    assert len(store.search(ConversationFilter(kind="ask", max_probability=0.5))) == 1


def test_passwords_are_verified_and_never_stand_in_the_file(store: Store, database: Path) -> None:
    store.add_user("ann", "correct horse battery")
    user = store.verify_user("ann", "correct horse battery")
    assert user is not None
    assert (user.name, user.role) == ("ann", "operator")
    assert store.verify_user("ann", "correct horse") is None
    assert store.verify_user("ben", "correct horse battery") is None
    (stored,) = rows(database, "SELECT password_hash FROM users")
    assert stored[0].startswith("$argon2id$")
    assert files_with("correct horse", database.parent) == []


def test_a_user_is_added_once_with_a_real_password_and_can_be_removed(store: Store) -> None:
    store.add_user("ann", "long enough")
    for name, password in (("ann", "another one"), ("ben", "short"), (" ", "long enough")):
        with pytest.raises(InputError):
            store.add_user(name, password)
    assert [user.name for user in store.users()] == ["ann"]
    store.remove_user("ann")
    assert store.users() == []
    assert store.verify_user("ann", "long enough") is None
    with pytest.raises(NotFoundError):
        store.remove_user("ann")


def test_an_export_holds_what_was_shown_and_what_a_person_confirmed(store: Store, database: Path) -> None:
    first = say(store, "where is it?")
    answer(store, first, "superseded")
    reply = answer(store, first, "It left. Press [1] for more.", citations=(CITATION,))
    store.rate(reply.id, "ann", "down")
    cut_off = say(store, "and then?", conversation=first.conversation_id)
    store.save_partial(store.begin_turn(cut_off.id), "half of")
    turn = rows(database, "SELECT id FROM turns WHERE reply_id = ?", reply.id)[0][0]
    change(database, "INSERT INTO labels (turn_id, set_name, witness, label, probability) "
           "VALUES (?, 'intent', 'person', 'track_order', 1.0)", turn)  # fmt: skip
    approved = answer(store, say(store, "hours?", visitor="ben"), "From 9 to 17.", kind="approved")
    assert list(store.export()) == [
        {
            "id": first.conversation_id,
            "messages": [
                {"role": "user", "content": "where is it?", "intent": ["track_order"]},
                {
                    "role": "assistant",
                    "content": "It left. Press [1] for more.",
                    "author": "bot",
                    "action": "answer",
                    "evidence": ["faq-12"],
                    "ai_generated": True,
                },
                {"role": "user", "content": "and then?"},
            ],
            "tags": ["rated_down"],
        },
        {
            "id": approved.conversation_id,
            "messages": [
                {"role": "user", "content": "hours?"},
                {"role": "assistant", "content": "From 9 to 17.", "author": "approved", "action": "answer"},
            ],
        },
    ]


def test_erasing_a_visitor_leaves_no_trace_of_them_and_all_of_the_others(store: Store, database: Path) -> None:
    secret = "kryptonite-4711"
    other = answer(store, say(store, "I am still here", visitor="ben"))
    for number in range(30):
        message = say(store, f"{secret} question {number} " + "x" * number * 50)
        turn = store.begin_turn(message.id)
        store.save_partial(turn, f"{secret} part")
        reply = store.finish_turn(turn, Reply(f"{secret} reply", citations=(replace(CITATION, text=secret),)),
                                  decision=Decision("chat", "small_talk"), understanding=Understanding({secret: 1.0}),
                                  trace={"prompt": secret})  # fmt: skip
        store.rate(reply.id, "ann", "down", secret)
    assert files_with(secret, database.parent) != []
    counts = store.erase("ann")
    assert counts == {"ratings": 30, "labels": 30, "turns": 30, "messages": 60, "conversations": 30}
    assert files_with(secret, database.parent) == []
    assert [m.content for m in store.conversation(other.conversation_id, "ben")] == ["I am still here", other.content]
    assert store.erase("ann") == dict.fromkeys(counts, 0)


def test_a_reader_that_keeps_old_pages_alive_is_told_by_erase(database: Path) -> None:
    with Store.open(database) as store:
        say(store, "secret")
        with closing(sqlite.connect(database, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM messages").fetchone()
            with pytest.raises(StoreError, match="run the command again"):
                store.erase("ann")
        store.erase("ann")


def test_the_migrations_make_the_tables_that_the_code_reads(database: Path) -> None:
    engine = connect(database, access="read")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()


def test_an_empty_file_and_no_file_become_a_database_with_facts_about_itself(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    for path in (empty, tmp_path / "50% new ?#.db"):
        with Store.open(path) as store:
            say(store, "hello")
        assert rows(path, "SELECT version_num FROM alembic_version") == [("0001",)]
        assert rows(path, "SELECT key FROM meta") == [("created_at",)]
        assert rows(path, "PRAGMA journal_mode") == [("wal",)]


def test_an_existing_database_opens_again_with_its_rows(database: Path) -> None:
    with Store.open(database) as store:
        message = say(store, "hello")
    with Store.open(database) as store:
        assert store.conversation(message.conversation_id, "ann") == [message]
    with Store.open(database, read_only=True) as store:
        assert store.conversation(message.conversation_id, "ann") == [message]


def test_a_store_for_reading_only_changes_nothing(database: Path, tmp_path: Path) -> None:
    with Store.open(database, read_only=True) as store, pytest.raises(StoreError, match="reading only"):
        say(store, "hello")
    with pytest.raises(StoreError, match="found none"):
        Store.open(tmp_path / "missing.db", read_only=True)
    assert not (tmp_path / "missing.db").exists()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Path, read_only: bool) -> None:
    change(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="9999, which a newer Frontdesk wrote"):
        Store.open(database, read_only=read_only)
    assert rows(database, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_damaged_file_is_refused(database: Path) -> None:
    with Store.open(database) as store:
        for number in range(50):
            say(store, f"message {number} " + "x" * 2000)
    content = bytearray(database.read_bytes())
    content[4096 * 3 : 4096 * 30] = b"\xa5" * 4096 * 27
    database.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(database)


@pytest.mark.parametrize("content", [b"not a database at all " * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "frontdesk.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(path)
    assert path.read_bytes() == content


def test_another_applications_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "frontdesk.db"
    change(path, "CREATE TABLE recipes (name)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another application"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_missing_folder_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"python -m chatbot\.init"):
        Store.open(tmp_path / "nowhere" / "frontdesk.db")


def test_the_writer_flushes_every_commit_and_a_reader_cannot_write(database: Path) -> None:
    writer, reader = connect(database, access="write"), connect(database, access="read")
    expected = {"synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "journal_mode": "wal", "trusted_schema": 0}
    with writer.connect() as connection:
        assert {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in expected} == expected
    with reader.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.exec_driver_sql("DELETE FROM messages")
    writer.dispose()
    reader.dispose()


def test_a_reader_sees_the_last_commit_while_a_write_is_under_way(database: Path) -> None:
    with Store.open(database) as store:
        message = say(store, "hello")
        with closing(sqlite.connect(database, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM messages")
            assert store.conversation(message.conversation_id, "ann") == [message]
            writer.execute("ROLLBACK")
