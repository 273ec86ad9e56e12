"""Intents, FAQ drafts and gaps from chats without labels, and the labels that come of the edited file."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import WordEncoder, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.types import Entity, Message
from finetune import discover
from finetune.clusters import UNRELATED, clustered, request_points
from finetune.drafts import drafts
from finetune.intents_file import _quoted, read_intents
from finetune.labelled import labelled, to_json
from finetune.naming import Proposal, distinct, typical_words
from finetune.records import Transcript, read_record
from finetune.requests import Request, first_requests, is_pleasantry
from finetune.transcripts import read_files
from knowledge_base.command import EXIT_DONE, EXIT_PARTLY_REFUSED
from knowledge_base.duplicates import jaccard
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError
from knowledge_base.ingest import main as ingest

ROOT = Path(__file__).parent.parent
SHOP = ROOT / "examples" / "shop" / "conversations.jsonl"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of presidio's own imports
]

PARCEL = "Parcels arrive within three working days, and you can follow yours under My orders."
LAMPS = ("amber", "blue", "copper", "dark", "elegant", "frosted", "green", "heavy")


def chats() -> Iterator[dict[str, Any]]:
    """Where a parcel is, how to send back a lamp, and opening hours, eight chats each, most of them after a greeting."""
    wants = (
        ("where is my parcel with the {} lamp", PARCEL, "human"),
        ("return {} lamp money back please refund", "Sure, send it back to us and we return what you paid.", "bot"),
        ("when does the shop open on sunday {}", "Hello {{name}}, we open at ten on every day but sunday.", "human"),
    )
    for number, (asked, answered, author) in enumerate(want for want in wants for _ in LAMPS):
        yield {
            "id": f"c{number:02}",
            "messages": [
                {"role": "user", "content": "Hi there!", "intent": "greet"},
                {"role": "assistant", "content": "Hello, how can I help?", "author": "bot"},
                {"role": "assistant", "content": "angry customer, mind the tone", "note": True},
                {"role": "user", "content": asked.format(LAMPS[number % 8])},
                {"role": "assistant", "content": answered, "author": author},
                {"role": "user", "content": f"write to {LAMPS[number % 8]}@customer.example"},
            ],
        }


@pytest.fixture(autouse=True)
def word_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge_base.encoder.load_encoder", lambda _name="": WordEncoder())


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in chats()), encoding="utf-8")
    return file


@pytest.fixture
def output(tmp_path: Path, dataset: Path) -> Path:
    """What the command makes of the chats."""
    folder = tmp_path / "found"
    assert discover.main(["--dataset", str(dataset), "--output_dir", str(folder), "--intents", "3"]) == EXIT_DONE
    return folder


def blocks(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((folder / "intents.yaml").read_text("utf-8"))["intents"]
    return found


def edited(folder: Path, changed: list[dict[str, Any]]) -> Path:
    path = folder / "intents.yaml"
    path.write_text(yaml.safe_dump({"intents": changed}), encoding="utf-8")
    return path


def asked(*texts: str, answer: str = "", author: Any = "human", identity: str = "c") -> Transcript:
    replies = (Message("assistant", answer, author),) if answer else ()
    return Transcript(identity, (*(Message("user", text) for text in texts), *replies))


@pytest.mark.parametrize(
    "text",
    [
        "Hi",
        "hello robin",
        "good morning sir",
        "ok thanks!",
        "Hallo",
        "你好",
        "yes please",
        "how are you",
        "thanks so much",
        "good evening robin",
        "good moring robin",
        "Hi robin, how are you?",
        "Hello, are you there?",
        "你好，王先生",
        "Good day?",
    ],
)
def test_greetings_and_courtesies_are_no_requests(text: str) -> None:
    assert is_pleasantry(text)


@pytest.mark.parametrize(
    "text",
    [
        "hi where is my order",
        "refund",
        "4711",
        "???",
        "thanks, cancel it",
        "good lamp shade",
        "how much",
        "你好，我的订单什么时候发货？",
        "你好，我要退货",
        "Hi, refund?",
        "evening delivery?",
        "morning flight",
        "Day pass",
        "Morgen Lieferung",
    ],
)
def test_what_asks_or_tells_something_is_a_request(text: str) -> None:
    assert not is_pleasantry(text)


def test_the_first_request_is_what_follows_the_greeting() -> None:
    transcript = Transcript(
        "c", (Message("user", "hello"), Message("assistant", "Hi!", "bot"), Message("user", "where is it"), Message("user", "?"))
    )  # fmt: skip
    (request,) = first_requests([transcript, asked("hi", "ok thanks")])
    assert (request.text, request.index, request.following) == ("where is it", 2, ("?",))


@pytest.mark.parametrize(
    ("said", "request_text"),
    [
        (["hello", "Hi, refund", "thanks"], "Hi, refund"),
        (["hello robin", "where is it"], "where is it"),
        (["你好，退款", "谢谢"], "你好，退款"),
        (["Hi", "good morning", "ok thanks"], None),
    ],
)
def test_a_greeting_with_one_word_more_is_the_request_where_nothing_else_is(
    said: list[str], request_text: str | None
) -> None:
    assert [request.text for request in first_requests([asked(*said)])] == [request_text] * (request_text is not None)


def test_a_step_without_words_is_neither_an_answer_nor_said() -> None:
    step = Message("assistant", "action_check_order", action="action_check_order")
    reply = Message("assistant", "It left.", "human", action="utter_left")
    (request,) = first_requests([Transcript("c", (Message("user", "where is it"), step, reply))])
    assert (request.following, request.answer) == (("It left.",), "It left.")
    (request,) = first_requests([Transcript("c", (Message("user", "where is it"), step))])
    assert (request.following, request.answer) == ((), "")


def test_what_bots_say_tells_nothing_of_a_request() -> None:
    (request,) = first_requests([asked("where is it", answer="It left.", author="bot")])
    assert (request.following, request.answer) == ((), "")
    (request,) = first_requests([asked("where is it", answer="It left.")])
    assert (request.following, request.answer) == (("It left.",), "It left.")


def test_labels_are_not_looked_at(tmp_path: Path, dataset: Path, output: Path) -> None:
    rows = [json.loads(line) for line in dataset.read_text("utf-8").splitlines()]
    for number, row in enumerate(rows):
        row["messages"][3]["intent"] = f"label{number % 5}"
    other = tmp_path / "labelled.jsonl"
    other.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    discover.main(["--dataset", str(other), "--output_dir", str(tmp_path / "again"), "--intents", "3"])
    assert (tmp_path / "again" / "intents.yaml").read_bytes() == (output / "intents.yaml").read_bytes()


def test_requests_that_want_the_same_become_one_intent_with_examples_and_size(output: Path) -> None:
    found = blocks(output)
    assert [(block["requests"], block["keep"]) for block in found] == [(8, True)] * 3
    assert {frozenset({"parcel"}), frozenset({"return", "refund"}), frozenset({"shop", "sunday"})} == {
        frozenset(block["words"]) & {"parcel", "return", "refund", "shop", "sunday"} for block in found
    }
    assert len({block["name"] for block in found}) == 3
    for block in found:
        assert len(block["examples"]) == 8
        assert len({example.split()[0] for example in block["examples"]}) == 1


def test_the_number_of_intents_is_found_where_none_is_given() -> None:
    rng = np.random.default_rng(0)
    directions = np.eye(30)[:6]
    points = np.repeat(directions, [200, 60, 40, 20, 20, 20], axis=0) + 0.05 * rng.standard_normal((360, 30))
    found = clustered(points / np.linalg.norm(points, axis=1, keepdims=True), 0)
    assert found.count == 6
    assert np.bincount(found.labels).tolist() == [200, 60, 40, 20, 20, 20]
    assert UNRELATED < 1


def test_a_piece_that_is_too_small_joins_its_nearest_cluster() -> None:
    points = np.repeat(np.eye(4)[:3], [10, 10, 1], axis=0)
    points[20] = [0.0, 0.6, 0.8, 0.0]
    found = clustered(points, 0, n_clusters=3, smallest=2)
    assert found.count == 2
    assert found.labels[20] == found.labels[10] != found.labels[0]


def test_more_requests_than_the_tree_holds_are_assigned_to_the_nearest_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.clusters.LINKED", 30)
    points = np.repeat(np.eye(3), 40, axis=0)
    assert np.bincount(clustered(points, 5).labels).tolist() == [40, 40, 40]


def test_the_smallest_cluster_is_of_all_requests_where_the_tree_holds_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.clusters.LINKED", 40)
    points = np.repeat(np.eye(3), [200, 150, 50], axis=0)
    assert np.bincount(clustered(points, 5, n_clusters=3, smallest=30).labels).tolist() == [200, 150, 50]
    assert clustered(points, 5, n_clusters=3, smallest=100).count == 2


def test_points_of_requests_use_what_follows_where_there_is_any() -> None:
    rng = np.random.default_rng(1)
    requests, following = rng.standard_normal((12, 8)), rng.standard_normal((12, 8))
    following[3] = 0
    alone, both = request_points(requests, np.zeros_like(following)), request_points(requests, following)
    assert np.allclose(np.linalg.norm(both, axis=1), 1)
    assert np.allclose(both[3, : alone.shape[1]], alone[3])
    assert not both[3, alone.shape[1] :].any()


def test_typical_words_are_frequent_here_and_rare_elsewhere() -> None:
    here, there = typical_words([["my lamp parcel", "the parcel 17 <phone>"], ["my lamp is broken", "lamp broken"]])
    assert here[0] == "parcel"
    assert there[0] == "broken"
    assert not {"phone", "17", "my", "the"} & {*here, *there}
    assert typical_words([["is it"], ["and you"]]) == [(), ()]


def test_examples_that_differ_in_numbers_only_stand_once() -> None:
    assert distinct(["order 17?", "Order 18", "where"]) == ["order 17?", "where"]


def test_two_runs_give_the_same_bytes(tmp_path: Path, dataset: Path, output: Path) -> None:
    again = tmp_path / "again"
    discover.main(["--dataset", str(dataset), "--output_dir", str(again), "--intents", "3"])
    assert {file.name for file in again.iterdir()} == {"intents.yaml", "requests.jsonl", "faq_drafts.jsonl", "map.png"}
    for file in again.iterdir():
        assert file.read_bytes() == (output / file.name).read_bytes(), file.name


def test_the_map_is_a_picture(output: Path) -> None:
    assert (output / "map.png").read_bytes().startswith(b"\x89PNG")


def test_personal_data_private_notes_and_bots_words_reach_no_output(tmp_path: Path, dataset: Path) -> None:
    rows = [json.loads(line) for line in dataset.read_text("utf-8").splitlines()]
    for row in rows:
        row["messages"][3]["content"] += " mail ann.smith@private.example"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = tmp_path / "report.json"
    folder = tmp_path / "found"
    discover.main(["--dataset", str(dataset), "--output_dir", str(folder), "--json", str(report)])
    written = "".join(file.read_text("utf-8") for file in (*folder.glob("*.[jy]*"), report))
    assert "<email>" in written
    assert "private.example" not in written
    assert "angry customer" not in written
    assert "what you paid" not in written
    assert json.loads(report.read_text("utf-8"))["redacted"]["email"] >= 24


def test_what_people_answered_again_and_again_is_drafted_for_the_faq(output: Path, tmp_path: Path) -> None:
    (row,) = [json.loads(line) for line in (output / "faq_drafts.jsonl").read_text("utf-8").splitlines()]
    assert (row["answer"], row["approved"]) == (PARCEL, False)
    assert "parcel" in row["question"]
    assert len(row["alternatives"]) == 7
    report = tmp_path / "ingest.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("knowledge_base.ingest.load_encoder", lambda _name="": WordEncoder(), raising=False)
        code = ingest(
            [str(output / "faq_drafts.jsonl"), "--out", str(tmp_path / "home"), "--dry-run", "--json", str(report)]
        )
    assert code == EXIT_DONE


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (["Dear {{name}}, we will look into it for you."] * 2, "holds a placeholder that is not filled"),
        (["Please write to <email> and we will help you."] * 2, "holds personal data"),
        (["Your order 17 left our house on monday.", "Your order 23 left our house on monday."], "its numbers change from customer to customer"),
        (["Opens at ten."] * 2, "stands in the catalogue"),
    ],
)  # fmt: skip
def test_an_answer_that_fits_one_customer_only_is_not_drafted_but_counted(answers: list[str], reason: str) -> None:
    requests = first_requests([asked(f"where is it {n}", answer=answer) for n, answer in enumerate(answers)])
    found = drafts(requests, [Proposal(1, "x", (), (), (0, 1))], [Entry("a", "Hours?", "opens at ten")])
    assert found.entries == ()
    assert found.left_out == {reason: 1}


def test_an_answer_that_differs_from_the_catalogue_in_a_number_is_drafted() -> None:
    requests = first_requests([asked(f"how long {n}", answer="Delivery takes 7 days.") for n in "ab"])
    found = drafts(requests, [Proposal(1, "x", (), (), (0, 1))], [Entry("a", "How long?", "Delivery takes 3 days.")])
    assert [entry.answer for entry in found.entries] == ["Delivery takes 7 days."]


def test_a_link_in_an_answer_is_no_placeholder() -> None:
    answer = "Please see [our page](https://shop.example/returns) for it."
    requests = first_requests([asked(f"how to return {n}", answer=answer) for n in "ab"])
    assert [entry.answer for entry in drafts(requests, [Proposal(1, "x", (), (), (0, 1))]).entries] == [answer]


def test_a_question_with_personal_data_stands_in_no_draft() -> None:
    texts = ("reset it for <email>", "reset my password", "reset it, <phone>", "reset the password please")
    requests = first_requests([asked(text, answer="Click on Forgot password.") for text in texts])
    (entry,) = drafts(requests, [Proposal(1, "x", (), (), (0, 1, 2, 3))]).entries
    assert (entry.question, entry.alternatives) == ("reset my password", ("reset the password please",))
    found = drafts(requests, [Proposal(1, "x", (), (), (0, 2))])
    assert (found.entries, found.left_out) == ((), {"its questions hold personal data": 1})


def test_answers_are_compared_with_those_that_share_much_only(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[float] = []

    def counted(one: frozenset[str], other: frozenset[str]) -> float:
        compared.append(jaccard(one, other))
        return compared[-1]

    monkeypatch.setattr("finetune.split.jaccard", counted)
    rng = np.random.default_rng(0)
    answers = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 60)) for _ in range(300)]
    answers += [f"{answer} x" for answer in answers]
    requests = first_requests([asked("where is it", answer=answer) for answer in answers])
    assert len(drafts(requests, [Proposal(1, "x", (), (), tuple(range(600)))]).entries) == 300
    assert 300 <= len(compared) < 600


def test_an_answer_given_once_or_by_a_bot_is_no_draft() -> None:
    once = first_requests([asked("where is it", answer="It left."), asked("how much", answer="Ten euro or so.")])
    by_bot = first_requests([asked("where is it", answer="It left.", author="bot") for _ in range(3)])
    assert drafts(once, [Proposal(1, "x", (), (), (0, 1))]).entries == ()
    assert drafts(by_bot, [Proposal(1, "x", (), (), (0, 1, 2))]).entries == ()


def test_nearly_equal_answers_give_one_draft_with_the_most_frequent_wording() -> None:
    answers = ("You can return lamps within thirty days.", "You can return lamps within thirty days!",
               "You can return the lamps within thirty days", "You can return lamps within thirty days.")  # fmt: skip
    requests = first_requests([asked(f"return lamp {'abcd'[n]}", answer=answer) for n, answer in enumerate(answers)])
    (entry,) = drafts(requests, [Proposal(1, "return", (), (), (2, 0, 1, 3))]).entries
    assert (entry.question, entry.answer, len(entry.alternatives)) == ("return lamp c", answers[0], 3)


def test_what_the_catalogue_does_not_cover_is_told(tmp_path: Path, dataset: Path) -> None:
    home = tmp_path / "home"
    entries = [
        Entry(
            "p",
            "where is my parcel with the lamp",
            PARCEL,
            tuple(f"where is my parcel with the {x} lamp" for x in LAMPS),
        )
    ]
    fill(home, entries, WordEncoder())
    folder, report = tmp_path / "found", tmp_path / "report.json"
    flags = ["--dataset", str(dataset), "--output_dir", str(folder), "--intents", "3", "--json", str(report)]
    assert discover.main([*flags, "--knowledge", str(home)]) == EXIT_DONE
    found = json.loads(report.read_text("utf-8"))["intents"]
    answered = {"parcel" in intent["words"]: intent["answered"] for intent in found}
    assert answered[True] > max(intent["answered"] for intent in found if "parcel" not in intent["words"])
    rows = [line for line in (folder / "coverage.md").read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 3
    assert "parcel" in rows[-1], "what is covered best stands last"
    assert "answered: " in (folder / "intents.yaml").read_text("utf-8")
    assert (folder / "faq_drafts.jsonl").read_text("utf-8") == "", "the answer stands in the catalogue already"


def test_the_edited_file_labels_the_chats(tmp_path: Path, dataset: Path, output: Path) -> None:
    first, second, third = blocks(output)
    first["name"] = second["name"] = "my own name"
    third["keep"] = False
    target = tmp_path / "labelled.jsonl.gz"
    flags = ["--dataset", str(dataset), "--output", str(target), "--json", str(tmp_path / "report.json")]
    assert discover.main(["--apply", str(edited(output, [first, second, third])), *flags]) == EXIT_DONE
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (report["labelled"], report["dropped"], report["intents"]) == (16, 8, {"my own name": 16})
    reading = read_files([target])
    read, refusals, warnings = reading.transcripts, reading.refusals, reading.warnings
    assert (refusals, warnings) == ([], [])
    assert sum(message.intents == ("my own name",) for one in read for message in one.messages) == 16
    assert all(one.messages[0].intents == ("greet",) for one in read), "labels that were there stay"
    assert b"customer.example" not in gzip.decompress(target.read_bytes())


def test_chats_that_are_named_by_an_address_or_a_number_are_found_again_without_it(tmp_path: Path) -> None:
    named = [chat | {"id": f"+4917{n:08}", "tags": [f"from ann{n}@customer.example"]} for n, chat in enumerate(chats())]
    dataset, folder, target = tmp_path / "chats.jsonl", tmp_path / "found", tmp_path / "labelled.jsonl"
    dataset.write_text("".join(json.dumps(chat) + "\n" for chat in named), encoding="utf-8")
    discover.main(["--dataset", str(dataset), "--output_dir", str(folder), "--intents", "3"])
    discover.main(["--apply", str(folder / "intents.yaml"), "--dataset", str(dataset), "--output", str(target)])
    labelled = read_files([target]).transcripts
    assert sum(bool(message.intents) for one in labelled for message in one.messages[1:]) == len(named)
    assert {tag for one in labelled for tag in one.tags} == {"from <email>"}
    for path in (folder / "requests.jsonl", target):
        assert "4917" not in path.read_text("utf-8")


words = st.text("abc XY,é你\n", min_size=1).filter(str.strip)
messages = st.one_of(
    st.builds(lambda text, labels: Message("user", text, intents=tuple(dict.fromkeys(labels))), words, st.lists(st.sampled_from("pq"), max_size=2)),
    st.builds(
        lambda text, author, action, evidence: Message("assistant", text, author, action=action, evidence=tuple(dict.fromkeys(evidence))),
        words, st.sampled_from([None, "human", "bot", "approved"]), st.sampled_from([None, "ask"]), st.lists(st.sampled_from("pq"), max_size=2),
    ),
    st.builds(lambda text: Message("user", "x" + text, entities=(Entity("t", "x", 0, 1),)), words),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    said=st.lists(messages, min_size=1, max_size=5),
    kept=st.dictionaries(st.integers(0, 5), st.sampled_from(["", "new intent"])),
)
def test_labelling_changes_nothing_but_intents_and_what_is_written_is_read_back(
    said: list[Message], kept: dict[int, str]
) -> None:
    before = Transcript("c", (*said, Message("user", "end")), "en", ("tag",))
    (after,), counts = labelled([before], {("c", index): intent for index, intent in kept.items()})
    assert (after.id, after.language, after.tags, len(after.messages)) == ("c", "en", ("tag",), len(before.messages))
    for index, (one, other) in enumerate(zip(before.messages, after.messages, strict=True)):
        intents = other.intents
        assert replace(one, intents=()) == replace(other, intents=())
        is_free = one.role == "user" and not one.intents
        assert intents == ((kept[index],) if is_free and kept.get(index) else one.intents)
    assert counts["labelled"] == sum(
        a.intents != b.intents for a, b in zip(before.messages, after.messages, strict=True)
    )
    again = read_record(json.loads(json.dumps(to_json(after))), "", lambda note: pytest.fail(note))
    assert again.messages == after.messages


def test_a_message_keeps_its_place_where_notes_were_left_out(output: Path) -> None:
    rows = [json.loads(line) for line in (output / "requests.jsonl").read_text("utf-8").splitlines()]
    assert {row["message"] for row in rows} == {3}, "the index counts the note before it"
    assert set(rows[0]) == {"id", "message", "cluster"}, "no customer's words"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("intents: [", r"intents\.yaml:\d+: expected YAML"),
        ("names: []", "expected a list of intents"),
        ("intents: [{name: a}]", "expected cluster, a number"),
        ("intents: [{name: a, cluster: 1}, {name: b, cluster: 1}]", "each cluster once"),
        ("intents: [{name: a, cluster: 99}]", "cluster 99"),
        ("intents: [{name: '', cluster: 1}]", "expected a name"),
        ("intents: [{name: a, cluster: 1, keep: maybe}]", "expected true or false"),
        ("intents: [a]", "expected name, keep and cluster"),
    ],
)
def test_a_slip_in_the_edited_file_is_told_in_a_sentence(output: Path, content: str, said: str) -> None:
    (output / "intents.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_intents(output / "intents.yaml")


@given(st.text())
def test_a_text_is_quoted_so_that_yaml_reads_it_and_a_person_too(text: str) -> None:
    quoted = _quoted(text)
    assert yaml.safe_load(quoted) == text
    assert quoted.isprintable()
    assert [char for char in text if char.isprintable() and char not in quoted] == []


def test_what_cannot_be_seen_is_escaped_and_nothing_else() -> None:
    assert _quoted("你好\u00a0世界\n😀\U000e0001") == '"你好\\u00A0世界\\n😀\\U000E0001"'


def test_a_block_that_was_deleted_is_dropped(output: Path) -> None:
    kept = read_intents(edited(output, blocks(output)[:1]))
    assert sorted(map(bool, kept.values())) == [False] * 16 + [True] * 8


def test_other_chats_than_those_of_the_file_are_refused(tmp_path: Path, output: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "x", "messages": [{"role": "user", "content": "where"}]}\n', encoding="utf-8")
    with pytest.raises(InputError, match="Are these the chats"):
        discover.main(
            ["--apply", str(output / "intents.yaml"), "--dataset", str(other), "--output", str(tmp_path / "l.jsonl")]
        )
    assert not (tmp_path / "l.jsonl").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "expected --output_dir DIR, or --apply"),
        (["--output_dir", "x", "--apply", "y", "--output", "z.jsonl"], "expected --output_dir DIR, or --apply"),
        (["--apply", "y"], "with --output"),
        (["--apply", "y", "--output", "z.csv"], r"ends in \.jsonl"),
        (["--output_dir", "x", "--intents", "1"], "--intents: expected 2 or more"),
        (["--output_dir", "x", "--seed", "-1"], "--seed: expected 0 or more"),
    ],
)
def test_flags_that_cannot_work_are_refused(flags: list[str], said: str, dataset: Path) -> None:
    with pytest.raises(InputError, match=said):
        discover.main(["--dataset", str(dataset), *flags])


def test_a_folder_in_use_is_refused_and_left_alone(dataset: Path, output: Path) -> None:
    before = {file.name: file.read_bytes() for file in output.iterdir()}
    with pytest.raises(InputError, match="Choose another"):
        discover.main(["--dataset", str(dataset), "--output_dir", str(output)])
    assert {file.name: file.read_bytes() for file in output.iterdir()} == before


def test_a_row_that_cannot_be_used_is_listed_and_the_rest_is_used(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.write_text(dataset.read_text("utf-8") + "{broken\n", encoding="utf-8")
    flags = ["--dataset", str(dataset), "--output_dir", str(tmp_path / "found")]
    assert discover.main(flags) == EXIT_PARTLY_REFUSED
    assert f"refused: {dataset}:25: " in capsys.readouterr().err
    with pytest.raises(InputError, match="--strict: 1 rows"):
        discover.main(["--dataset", str(dataset), "--output_dir", str(tmp_path / "strict"), "--strict"])
    assert not (tmp_path / "strict").exists()


def test_chats_without_two_requests_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    rows = ({"messages": [{"role": "user", "content": text}]} for text in ("hello", "where is it", "hi"))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(InputError, match="at least two different first requests"):
        discover.main(["--dataset", str(file), "--output_dir", str(tmp_path / "found")])
    assert [path.name for path in tmp_path.iterdir()] == ["chats.jsonl"]


def test_two_requests_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    rows = ({"messages": [{"role": "user", "content": text}]} for text in ("parcel late", "lamp broken"))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert discover.main(["--dataset", str(file), "--output_dir", str(tmp_path / "found")]) == EXIT_DONE
    assert sum(block["requests"] for block in blocks(tmp_path / "found")) == 2


def test_a_missing_knowledge_home_is_told_before_anything_is_loaded(tmp_path: Path, dataset: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "finetune.discover",
        "--dataset",
        str(dataset),
        "--output_dir",
        str(tmp_path / "x"),
    ]
    ended = subprocess.run(
        [*command, "--knowledge", str(tmp_path / "none")],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ}, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "x").exists()


def test_the_demo_shops_chats_give_intents_drafts_and_labels(tmp_path: Path) -> None:
    folder, target = tmp_path / "found", tmp_path / "labelled.jsonl"
    assert discover.main(["--dataset", str(SHOP), "--output_dir", str(folder)]) == EXIT_DONE
    found = blocks(folder)
    assert sum(block["requests"] for block in found) == len(SHOP.read_text("utf-8").splitlines())
    assert len(found) > 10
    bare = tmp_path / "bare.jsonl"
    rows = [json.loads(line) for line in SHOP.read_text("utf-8").splitlines()]
    for row in rows:
        for message in row["messages"]:
            message.pop("intent", None)
    bare.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    discover.main(["--apply", str(folder / "intents.yaml"), "--dataset", str(bare), "--output", str(target)])
    names = {
        intent for one in read_files([target]).transcripts for message in one.messages for intent in message.intents
    }
    assert names == {block["name"] for block in found}
    assert list(folder.parent.glob("*.partial")) == []


def test_requests_know_their_place() -> None:
    transcript = Transcript("c", (Message("user", "where is it"),), positions=(2,))
    assert Request(transcript, 0).place == ("c", 2)
