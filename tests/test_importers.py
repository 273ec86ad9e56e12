"""Exports of other systems: what is read of them, what is left out, and that nothing in them makes reading fail."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from chatbot.types import Message
from finetune import documents, lora, workbook
from finetune.importers import IMPORTERS, importer_of
from finetune.importers.mail import words
from finetune.importers.rasa_text import unmarked
from finetune.records import Transcript
from finetune.transcripts import Reading, read_files
from knowledge_base.sources.limits import Bounds

SHAPES = Path(__file__).parent / "importers"
FILES = (
    "zendesk.json",
    "intercom.json",
    "chatwoot.json",
    "freshdesk.json",
    "rasa.yml",
    "sharegpt.json",
    "openai.jsonl",
    "alpaca.json",
    "chatml.txt",
    "flat.jsonl",
)
NAMES = {file: importer.NAME for file in FILES for importer in IMPORTERS if importer.__name__.endswith(Path(file).stem)}  # type: ignore[attr-defined]
MUTATIONS = 500
Said = tuple[str, str | None, str]
"""Role, author and words of a message."""


def read_data(folder: Path, data: bytes | str, name: str) -> Reading:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_files([path])


def said(transcripts: Sequence[Transcript]) -> list[list[Said]]:
    return [[(m.role, m.author, m.content) for m in transcript.messages] for transcript in transcripts]


def expected(file: str) -> list[Transcript]:
    return read_files([SHAPES / f"{Path(file).stem}.expected.jsonl"]).transcripts


@pytest.mark.parametrize("file", FILES)
def test_an_export_gives_the_conversations_that_a_person_would_read_in_it(file: str) -> None:
    reading = read_files([SHAPES / file])

    assert reading.refusals == []
    assert reading.formats == {str(SHAPES / file): NAMES[file]}
    wanted = expected(file)
    assert len(wanted) >= 5
    assert [(t.id, t.messages, t.tags) for t in reading.transcripts] == [(t.id, t.messages, t.tags) for t in wanted]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", ["export.json", "export.txt", "export.jsonl.gz", "export.yml"])
def test_an_export_is_recognised_by_its_content_whatever_its_name(tmp_path: Path, file: str, name: str) -> None:
    data = (SHAPES / file).read_bytes()
    if name.startswith("export.jsonl") and file in ("rasa.yml", "chatml.txt"):
        pytest.skip("JSON Lines are read line by line: neither YAML nor ChatML is one")

    reading = read_data(tmp_path, gzip.compress(data) if name.endswith(".gz") else data, name)

    assert said(reading.transcripts) == said(expected(file))


@pytest.mark.parametrize(
    "further", [{"role": "tool", "content": "{}"}, {"role": "assistant", "content": "x", "weight": 1}]
)
def test_messages_of_our_own_form_keep_their_labels_beside_those_of_openai(tmp_path: Path, further: object) -> None:
    messages = [
        {"role": "customer", "content": "hi", "intent": ["greet", "chat"]},
        further,
        {"role": "assistant", "content": "SECRET", "note": True},
        {"role": "assistant", "content": "I am a bot", "author": "bot", "action": "answer"},
        {"role": "agent", "content": "I am not", "author": "human", "evidence": ["a"]},
    ]

    reading = read_data(tmp_path, json.dumps({"id": "x", "messages": messages}), "chats.json")

    assert set(reading.formats.values()) == {"OpenAI messages"}
    first, *_, bot, person = reading.transcripts[0].messages
    assert first == Message("user", "hi", intents=("greet", "chat"))
    assert bot == Message("assistant", "I am a bot", author="bot", action="answer")
    assert person == Message("assistant", "I am not", author="human", evidence=("a",))
    assert "SECRET" not in str(reading.transcripts)
    assert "private note left out" in reading.warnings[0] + reading.warnings[-1]


def test_a_conversation_with_a_tool_keeps_its_language_its_tags_and_the_places_of_its_messages(tmp_path: Path) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "where is it?"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "{}"},
        {"role": "assistant", "content": "SECRET", "note": True},
        {"role": "assistant", "content": " "},
        {"role": "assistant", "content": "It left."},
    ]
    row = {"id": "c1", "messages": messages, "language": "en", "tags": ["orders"]}

    (transcript,) = read_data(tmp_path, json.dumps(row), "chats.jsonl").transcripts

    assert (transcript.id, transcript.language, transcript.tags) == ("openai-c1", "en", ("orders",))
    assert [(transcript.position(n), m.content) for n, m in enumerate(transcript.messages)] == [
        (1, "where is it?"),
        (6, "It left."),
    ]


def test_what_an_export_leaves_out_counts_among_the_places_of_messages(tmp_path: Path) -> None:
    turns = [("system", "Be brief."), ("human", "hi"), ("gpt", ""), ("human", "where is it?")]
    chat = {"conversations": [{"from": name, "value": text} for name, text in turns]}
    ticket = zendesk(1, [("user", None, "Where?"), ("assistant", "human", "Here.")])
    comments = sorted(ticket["comments"], key=lambda comment: str(comment["created_at"]))

    first = read_data(tmp_path, json.dumps([chat]), "chat.json").transcripts[0]
    second = read_data(tmp_path, json.dumps({**ticket, "comments": comments}), "ticket.json").transcripts[0]

    assert [first.position(index) for index in range(2)] == [1, 3]
    assert [second.position(index) for index in range(2)] == [1, 2], "a private comment stands before both"


def test_a_note_among_the_turns_of_sharegpt_is_private(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "SECRET", "note": True}]

    reading = read_data(tmp_path, json.dumps([{"conversations": turns}]), "chats.json")

    assert said(reading.transcripts) == [[("user", None, "hi")]]


def test_a_message_that_a_later_event_of_chatwoot_deletes_is_not_used(tmp_path: Path) -> None:
    def event(name: str, identity: int, content: str, **more: object) -> dict[str, object]:
        fixed = {
            "event": name,
            "id": identity,
            "message_type": "incoming",
            "private": False,
            "created_at": 1 + identity,
        }
        return {**fixed, "content": content, "conversation": {"id": 7}, **more}

    events = [
        event("message_created", 1, "where is it?"),
        event("message_created", 2, "my password is 1234"),
        event("message_updated", 1, "where is it?"),
        event("message_updated", 2, "This message was deleted", content_attributes={"deleted": True}),
    ]

    reading = read_data(tmp_path, "\n".join(map(json.dumps, events)), "log.jsonl")

    assert said(reading.transcripts) == [[("user", None, "where is it?")]]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ([{"event": "message_updated", "content": "where is order 4711?"}], "where is order 4711?"),
        ([{"event": "message_created", "content": "whre is order 4711?"}], "whre is order 471?"),
        ([{"content": "where is it?", "updated_at": 9}, {"content": "wher?", "updated_at": 8}], "where is it?"),
        ([{"event": "message_updated", "content": "older", "updated_at": 4}], "whre is order 471?"),
        ([{"event": "message_updated", "content": "later", "updated_at": "soon"}], "later"),
        (
            [
                {"event": "message_updated", "content": "gone", "content_attributes": {"deleted": True}},
                {"event": "message_updated", "content": "where?", "updated_at": 9},
            ],
            None,
        ),
    ],
)
def test_a_message_of_chatwoot_is_read_as_it_was_last_edited(
    tmp_path: Path, changes: list[dict[str, Any]], wanted: str | None
) -> None:
    fixed = {"message_type": "incoming", "private": False, "created_at": 1, "conversation": {"id": 7}}
    first = {**fixed, "event": "message_created", "id": 1, "content": "whre is order 471?", "updated_at": 5}
    last = {**fixed, "event": "message_created", "id": 2, "content": "hello?"}
    events = [first, last, *({**fixed, "id": 1, **change} for change in changes)]

    reading = read_data(tmp_path, "\n".join(map(json.dumps, events)), "log.jsonl")

    assert said(reading.transcripts) == [[("user", None, text) for text in (wanted, "hello?") if text]]


COMMENTS = [{"author_id": 5, "public": True, "body": "Where?"}, {"author_id": 8, "public": True, "body": "Here."}]
BARE = {"id": 3, "requester_id": 5, "comments": COMMENTS}


@pytest.mark.parametrize(
    "form",
    [
        {"results": [BARE], "count": 1},
        {"ticket": BARE, "users": []},
        {"ticket": {"id": 3, "requester_id": 5}, "comments": COMMENTS},
        {"comments": COMMENTS, "users": [{"id": 5, "role": "end-user"}, {"id": 8, "role": "agent"}]},
        {
            "conversations": [
                {"messages": [{"role": "user", "content": "Where?"}, {"role": "agent", "content": "Here."}]}
            ]
        },
        {
            "id": "a",
            "conversations": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}],
        },
        [{"id": "a", "items": [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "Here."}]}],
        [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}],
        [[{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}]],
        {"prompt": [{"role": "user", "content": "Where?"}], "completion": [{"role": "assistant", "content": "Here."}]},
    ],
)
def test_a_conversation_is_found_in_the_wrappings_that_exports_have(tmp_path: Path, form: object) -> None:
    reading = read_data(tmp_path, json.dumps(form), "export.json")

    assert reading.refusals == []
    assert [[(role, text) for role, _, text in chat] for chat in said(reading.transcripts)] == [
        [("user", "Where?"), ("assistant", "Here.")]
    ]


def test_an_event_of_chatwoot_that_does_not_say_where_it_belongs_is_of_its_page(tmp_path: Path) -> None:
    said_first = {"id": 1, "content": "Where?", "message_type": 0, "private": False, "conversation_id": 9}
    event = {"id": 2, "content": "It was resolved", "message_type": 2, "private": False}

    reading = read_data(tmp_path, json.dumps({"meta": {}, "payload": [said_first, event]}), "page.json")

    assert reading.refusals == []
    assert [(t.id, len(t.messages)) for t in reading.transcripts] == [("chatwoot-9", 1)]


def test_a_customer_who_writes_a_mark_of_chatml_does_not_make_a_table_chatml(tmp_path: Path) -> None:
    table = "conversation_id,role,text\na,customer,what is <|im_start|>?\na,agent,nothing\n"

    reading = read_data(tmp_path, table, "chats.txt")

    assert reading.refusals == []
    assert [len(transcript.messages) for transcript in reading.transcripts] == [2]


def test_what_is_left_out_is_counted_with_its_reason() -> None:
    warnings = "\n".join(read_files([SHAPES / file for file in FILES]).warnings)

    assert "private note left out (6 times)" in warnings
    assert "deleted or redacted message left out (3 times)" in warnings
    for reason in ("event left out", "deleted ticket left out", "ticket that is deleted or spam left out"):
        assert reason in warnings


@pytest.mark.parametrize("file", FILES[:4])
def test_no_word_of_a_private_note_is_read(file: str) -> None:
    read = " ".join(content for chat in said(read_files([SHAPES / file]).transcripts) for _, _, content in chat)

    for secret in ("angry", "VIP", "second return", "called twice", "check with the carrier first", "Call from"):
        assert secret not in read


# Conversations as they are said, and in the form of each export.

ASKED = ("Where is order {n}?", "Can I return item {n}?", "Is lamp {n} in stock?", "Why was I charged {n} euro?")
TOLD = ("Order {n} has left.", "Yes, {n} can go back.", "There are {n} of it.", "That is the price of {n}.")


def chats(count: int = 24) -> list[list[Said]]:
    """Conversations of two to seven messages, some of several customer's messages in a row, some with a bot."""
    chance = random.Random(7)  # noqa: S311
    made = []
    for number in range(count):
        chat: list[Said] = [("user", None, ASKED[number % 4].format(n=100 + number))]
        for turn in range(chance.randrange(1, 7)):
            speaker = chance.choice(("user", "human", "bot"))
            text = (ASKED if speaker == "user" else TOLD)[chance.randrange(4)].format(n=1000 * number + turn)
            chat.append(("user", None, text) if speaker == "user" else ("assistant", speaker, text))
        made.append(chat)
    return made


def shuffled(number: int, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return random.Random(number).sample(items, len(items))  # noqa: S311


def zendesk(number: int, chat: list[Said]) -> dict[str, Any]:
    comments = [
        {
            "author_id": {None: 5, "human": 8, "bot": -1}[author],
            "public": True,
            "created_at": f"2026-02-01T10:00:{index:02}Z",
            "html_body": f"<div><p>{text}</p><blockquote>earlier</blockquote></div>",
        }
        for index, (_, author, text) in enumerate(chat)
    ]
    note = {"author_id": 8, "public": False, "created_at": "2026-02-01T09:00:00Z", "body": "secret"}
    return {"id": number, "requester_id": 5, "comments": shuffled(number, [*comments, note])}


def freshdesk(number: int, chat: list[Said]) -> dict[str, Any]:
    conversations = [
        {
            "body": f"<div>{text}</div>",
            "incoming": role == "user",
            "private": False,
            "auto_response": author == "bot",
            "created_at": f"2026-02-01T10:00:{index:02}Z",
        }
        for index, (role, author, text) in enumerate(chat[1:])
    ]
    note = {"body": "secret", "incoming": False, "private": True, "created_at": "2026-02-01T10:00:00Z"}
    return {
        "id": number,
        "source": 1,
        "description": f"<p>{chat[0][2]}</p>",
        "conversations": shuffled(number, [*conversations, note]),
    }


def intercom(number: int, chat: list[Said]) -> dict[str, Any]:
    kinds = {None: "user", "human": "admin", "bot": "bot"}
    parts = [
        {"part_type": "comment", "body": f"<p>{text}</p>", "created_at": 1770000000 + i, "author": {"type": kinds[a]}}
        for i, (_, a, text) in enumerate(chat[1:])
    ]
    note = {"part_type": "note", "body": "<p>secret</p>", "created_at": 1770000000, "author": {"type": "admin"}}
    return {
        "type": "conversation",
        "id": str(number),
        "source": {"body": f"<p>{chat[0][2]}</p>", "author": {"type": "user"}, "delivered_as": "customer_initiated"},
        "conversation_parts": {"conversation_parts": shuffled(number, [*parts, note])},
    }


def chatwoot(number: int, chat: list[Said]) -> dict[str, Any]:
    senders = {None: {"type": "contact"}, "human": {"type": "user"}, "bot": {"type": "agent_bot"}}
    messages = [
        {
            "id": 100 * number + index,
            "content": text,
            "message_type": 0 if role == "user" else 1,
            "private": False,
            "created_at": 1770000000 + index,
            "conversation_id": number,
            "sender": senders[author],
        }
        for index, (role, author, text) in enumerate(chat)
    ]
    note = {**messages[0], "id": 100 * number + 99, "content": "secret", "message_type": 1, "private": True}
    return {"id": number, "messages": shuffled(number, [*messages, note])}


def sharegpt(number: int, chat: list[Said]) -> dict[str, Any]:
    names = {None: "human", "human": "gpt", "bot": "bot"}
    return {"id": number, "conversations": [{"from": names[author], "value": text} for _, author, text in chat]}


def openai(number: int, chat: list[Said]) -> dict[str, Any]:
    messages = [
        {"role": role, "content": [{"type": "text", "text": text}], **({"weight": 0} if author == "bot" else {})}
        for role, author, text in chat
    ]
    return {"id": number, "messages": [{"role": "developer", "content": "secret"}, *messages]}


FORMS: dict[str, Callable[[int, list[Said]], dict[str, Any]]] = {
    "Zendesk": zendesk,
    "Freshdesk": freshdesk,
    "Intercom": intercom,
    "Chatwoot": chatwoot,
    "ShareGPT": sharegpt,
    "OpenAI messages": openai,
}
PAGES = {"Zendesk": "tickets", "Freshdesk": "tickets", "Intercom": "conversations", "Chatwoot": "payload"}


def stated(name: str, conversation: list[Said]) -> list[Said]:
    """Forms for training do not say who wrote a reply, but for a bot."""
    if name in ("ShareGPT", "OpenAI messages"):
        return [(role, None if author == "human" else author, text) for role, author, text in conversation]
    return conversation


@pytest.mark.parametrize("form", ["array", "lines", "page", "indented", "utf-16", "one line"])
@pytest.mark.parametrize("name", FORMS)
def test_what_was_said_comes_back_in_its_order_with_its_authors(tmp_path: Path, name: str, form: str) -> None:
    made = chats()
    rows = [FORMS[name](number, chat) for number, chat in enumerate(made, 1)]
    if form == "page" and name not in PAGES:
        pytest.skip("this form has no pages")
    data = {
        "array": lambda: json.dumps(rows).encode(),
        "lines": lambda: b"\n".join(json.dumps(row).encode() for row in rows),
        "page": lambda: json.dumps({PAGES[name]: rows, "count": 24}).encode(),
        "indented": lambda: b"\xef\xbb\xbf" + json.dumps(rows, indent=1).encode(),
        "utf-16": lambda: json.dumps(rows, ensure_ascii=False).encode("utf-16"),
        "one line": lambda: json.dumps(rows).encode(),
    }[form]()

    reading = read_data(tmp_path, data, "x.jsonl" if form in ("lines", "one line", "indented") else "x.json")

    assert reading.refusals == []
    assert said(reading.transcripts) == [stated(name, chat) for chat in made]
    assert "secret" not in str(reading.transcripts)


def test_a_log_of_webhooks_is_put_together_by_conversation(tmp_path: Path) -> None:
    made = chats()
    events = [
        {**message, "event": "message_created", "conversation": {"id": message.pop("conversation_id")}}
        for number, chat in enumerate(made, 1)
        for message in chatwoot(number, chat)["messages"]
    ]
    lines = [json.dumps(event) for event in shuffled(3, events)]

    reading = read_data(tmp_path, "\n".join([*lines, lines[0]]), "log.jsonl")

    assert sorted(said(reading.transcripts)) == sorted(made)
    assert any("message that stands there twice used once" in warning for warning in reading.warnings)


@pytest.mark.parametrize("count", [24])
def test_alpaca_and_chatml_come_back_too(tmp_path: Path, count: int) -> None:
    pairs = [(ASKED[n % 4].format(n=n), TOLD[n % 4].format(n=n)) for n in range(count)]
    wanted: list[list[Said]] = [[("user", None, asked), ("assistant", None, told)] for asked, told in pairs]
    alpaca = [{"instruction": asked, "input": "", "output": told} for asked, told in pairs]
    chatml = "\n".join(
        f"<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{told}<|im_end|>"
        for asked, told in pairs
    )

    assert said(read_data(tmp_path, json.dumps(alpaca), "a.json").transcripts) == wanted
    assert said(read_data(tmp_path, chatml, "c.txt").transcripts) == wanted
    texts = "\n".join(json.dumps({"text": part}) for part in re.split(r"\n(?=<\|im_start\|>system)", chatml))
    assert said(read_data(tmp_path, texts, "t.jsonl").transcripts) == wanted


def test_files_of_a_rasa_project_are_joined(tmp_path: Path) -> None:
    project = yaml.safe_load((SHAPES / "rasa.yml").read_text("utf-8"))
    paths = []
    for key in ("stories", "rules", "responses", "nlu"):
        paths.append(tmp_path / f"{key}.yml")
        part = {"version": "3.1", key: project[key]}
        paths[-1].write_text(yaml.safe_dump(part, allow_unicode=True, sort_keys=False), "utf-8")

    reading = read_files(paths)

    assert reading.refusals == []
    assert sorted(map(str, said(reading.transcripts))) == sorted(map(str, said(expected("rasa.yml"))))
    assert set(reading.formats.values()) == {"Rasa"}


def test_a_story_without_examples_of_its_intent_is_refused(tmp_path: Path) -> None:
    text = "stories:\n- story: lost\n  steps:\n  - intent: nowhere\n  - action: utter_x\n"

    (refusal,) = read_data(tmp_path, text, "stories.yml").refusals

    assert str(refusal) == (
        f'{tmp_path}/stories.yml, record 1: story "lost": expected examples of the intent "nowhere" in the nlu '
        "files given, got none"
    )


def test_rasa_intents_of_twenty_examples_are_read_with_their_entities(tmp_path: Path) -> None:
    lines = "".join(f"    - is [lamp {n}](item) the one for [{n} euro](price)?\n" for n in range(24))

    reading = read_data(tmp_path, f"nlu:\n- intent: price\n  examples: |\n{lines}", "nlu.yml")

    assert [t.messages[0].content for t in reading.transcripts] == [
        f"is lamp {n} the one for {n} euro?" for n in range(24)
    ]
    entities = reading.transcripts[3].messages[0].entities
    assert [(e.type, e.value, e.start, e.end) for e in entities] == [
        ("item", "lamp 3", 3, 9),
        ("price", "3 euro", 22, 28),
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Yes.\n\nOn Mon, Jan 5, 2026 at 9:00 AM Ann <a@x.example> wrote:\n> what?\n> really?", "Yes."),
        ("Yes.\n\nOn Mon, Jan 5, 2026 at 9:00 AM Ann\n<a@x.example> wrote:\n> what?", "Yes."),
        ("On Mon Ann wrote:\n> Does it fit?\n\nIt does.", "It does."),
        ("> Does it fit?\nIt does.\n> And that?\nThat too.", "It does.\nThat too."),
        ("Yes.\n-----Original Message-----\nFrom: Ann\nwhat?", "Yes."),
        ("Ja.\n\nVon: Ann\nGesendet: Montag\nAn: Tom\n\nwas?", "Ja."),
        ("Oui.\n\nLe lun. 5 janv. 2026 à 09:00, Ann <a@x.example> a écrit :\n> quoi ?", "Oui."),
        ("Yes.\n________________________________\nFrom: Ann\nSent: Monday", "Yes."),
        ("Yes.\n-- \nAnn\nAcme", "Yes."),
        ("Yes.\nSent from my iPad", "Yes."),
        ("Yes.\n\nGet Outlook for Android", "Yes."),
        ("Yes.\n\nKind regards,\n\nAnn Smith\nAcme Ltd\n12 Mill Lane", "Yes."),
        ("Dear Ms Smith,\n\nyes.\n\nThanks,\nAnn", "yes."),
        ("Yes.\n\nThis e-mail and any attachments are confidential and intended solely for you.", "Yes."),
        ("您好，\n订单在哪里？\n发自我的iPhone", "订单在哪里？"),
        ("##- Please type your reply above this line -##\nold", ""),
        ("Hello!", "Hello!"),
        ("Thanks!", "Thanks!"),
        ("From: the shop in Leeds I want it sent", "From: the shop in Leeds I want it sent"),
        ("Hi, where is my order?\nIt is late.", "Hi, where is my order?\nIt is late."),
        ("Best\nregards the price, what is it?", "Best\nregards the price, what is it?"),
        ("It wrote:\n404", "It wrote:\n404"),
        ("Hello {{customer.name}},\nyour code is {code}.", "your code is {code}."),
        ("a < b and b > c", "a < b and b > c"),
        ("hi where is my order 4711\nthanks", "hi where is my order 4711\nthanks"),
        ("Hello I need a refund for it\nits number is 4711", "Hello I need a refund for it\nits number is 4711"),
        ("Hi Anna, your parcel left today\nIt is in Leeds.", "Hi Anna, your parcel left today\nIt is in Leeds."),
        ("HELLO WHERE IS IT\nanswer", "HELLO WHERE IS IT\nanswer"),
        ("hi anna,\nit left.", "it left."),
        ("Hello\nit left.", "it left."),
        ("Dear Support Team,\nit is late.", "it is late."),
        ("Sehr geehrte Damen und Herren,\nes ist da.", "es ist da."),
        ("尊敬的客户，您的包裹已寄出\n谢谢等待", "尊敬的客户，您的包裹已寄出\n谢谢等待"),
        ("尊敬的客户：\n您的包裹已寄出", "您的包裹已寄出"),
        (
            "A flight:\nFrom: London\nTo: Rome\nDate: 3 May\nHow much?",
            "A flight:\nFrom: London\nTo: Rome\nDate: 3 May\nHow much?",
        ),
        ("Yes.\nFrom: Ann <a@x.example>\nTo: Tom\nwhat?", "Yes."),
        (
            "Von: Berlin\nAn: Rom\nDatum: 03.05.2026\nWas kostet es?",
            "Von: Berlin\nAn: Rom\nDatum: 03.05.2026\nWas kostet es?",
        ),
        ("Ja.\nVon: Ann\nDatum: 03.05.2026, 10:15\nwas?", "Ja."),
        ("Open it.\n\n---\n\nThen close it.", "Open it.\n\n---\n\nThen close it."),
        ("Where is it?\nThanks,\nAnn van der Berg", "Where is it?"),
        ("Where is it?\nThank you\nOrder 4711", "Where is it?\nThank you\nOrder 4711"),
        ("Where is it?\nThank you\nRefund me please", "Where is it?\nThank you\nRefund me please"),
        ("It came.\nKind regards\nAnna\n\nPS: no, cancel 4711 instead.", "It came.\n\nPS: no, cancel 4711 instead."),
        ("It came.\n\nThanks,\nAnna\nP.S. is it new?", "It came.\n\nP.S. is it new?"),
        (
            "It came.\nBest regards\nAnna\nAcme Ltd.\n\nI forgot to say that it is broken.",
            "It came.\n\nI forgot to say that it is broken.",
        ),
        (
            "On Monday your agent wrote:\nrefund granted. Where is it?",
            "On Monday your agent wrote:\nrefund granted. Where is it?",
        ),
        (
            "It is late.\nOn Monday your agent wrote:\nrefund granted.",
            "It is late.\nOn Monday your agent wrote:\nrefund granted.",
        ),
        (
            "On Monday at 9:15 you wrote:\nrefund granted. Where is it?",
            "On Monday at 9:15 you wrote:\nrefund granted. Where is it?",
        ),
        ("Yes.\nOn Monday Ann wrote:\n\n> what?", "Yes."),
        ("Yes.\nOn 5 Jan 2026 at 9 am Ann wrote:\nwhat?", "Yes."),
        ("Oui.\nLe 5 janv. 2026 à 09h00, Ann a écrit :\nquoi ?", "Oui."),
        ("可以。\n在2026年1月5日上午10点，客服写道：\n什么？", "可以。"),
    ],
)
def test_of_a_mail_only_what_its_writer_said_remains(text: str, wanted: str) -> None:
    assert words(text) == wanted


@pytest.mark.parametrize(
    ("markup", "wanted"),
    [
        ("<p>one<br>two</p><p>three</p>", "one\ntwo\n\nthree"),
        ("<div>one</div><div>two <b>three</b></div>", "one\ntwo three"),
        ("one &amp; two &lt;3", "one & two <3"),
        ("<p>yes</p><blockquote>no</blockquote><p>too</p>", "yes\n\ntoo"),
        ("<p>yes</p><p>On Monday Ann wrote:</p><blockquote>no</blockquote>", "yes"),
        ('<p>yes</p><div class="gmail_signature">Ann</div>', "yes"),
        ('<p>yes</p><div id="divRplyFwdMsg">From</div><p>no</p>', "yes"),
        ("<style>p {}</style><script>1</script><p>yes</p><!-- no -->", "yes"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<p>cut <b>off", "cut off"),
        ("</p></div>closed</span>", "closed"),
        ("<p>" * 5000 + "deep", "deep"),
        ("<b>" * 5000 + "deep", "deep"),
        ('<p>see <a href="https://x.example">our page</a></p>', "see our page"),
    ],
)
def test_html_becomes_text_a_block_a_line(markup: str, wanted: str) -> None:
    assert words(markup, is_html=True) == wanted


def test_a_ready_made_reply_trains_writing_once(tmp_path: Path) -> None:
    macro = (
        "Thank you for your patience. Parcel {n} is delayed by the weather and will reach you within five working days."
    )
    rows = [zendesk(n, [("user", None, f"Where is {n}?"), ("assistant", "human", macro.format(n=n))]) for n in range(9)]
    rows += [zendesk(50 + n, [("user", None, f"{n} came"), ("assistant", "human", "Great to hear!")]) for n in range(9)]

    reading = read_data(tmp_path, json.dumps(rows), "x.json")

    authors = [transcript.messages[1].author for transcript in reading.transcripts]
    assert authors == ["human", *["approved"] * 8, *["human"] * 9]
    assert any("ready-made reply, used for writing once (8 times)" in warning for warning in reading.warnings)


def book(*sheets: tuple[str, list[list[Any]]]) -> bytes:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets:
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    target = io.BytesIO()
    made.save(target)
    return target.getvalue()


TURNS = [["conversation_id", "role", "text", "time"]] + [
    [n // 2, ("customer", "agent")[n % 2], f"line {n}\nand more", f"2026-01-01 10:00:{n:02}"] for n in range(48)
]


@pytest.mark.parametrize("name", ["chats.xlsx", "chats.xlsx.gz", "chats.txt"])
def test_a_workbook_has_the_columns_of_csv(tmp_path: Path, name: str) -> None:
    data = book(("About", [["A shop"]]), ("Chats", [["Our chats"], *TURNS]))

    reading = read_data(tmp_path, gzip.compress(data) if name.endswith(".gz") else data, name)

    assert reading.refusals == []
    assert len(reading.transcripts) == 24
    assert reading.transcripts[3].id == "3"
    assert [m.content for m in reading.transcripts[3].messages] == ["line 6\nand more", "line 7\nand more"]
    assert [warning.partition(": ")[2] for warning in reading.warnings] == ['further sheets not read: "About"']


def test_a_wrong_row_of_a_workbook_is_refused_with_its_number(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["question", "answer"],
        ["Where?", "Here."],
        [None, "No question."],
        ["What?", 5.0, "too much"],
    ]

    reading = read_data(tmp_path, book(("FAQ", rows)), "faq.xlsx")

    assert said(reading.transcripts) == [[("user", None, "Where?"), ("assistant", "human", "Here.")]]
    assert {refusal.line: str(refusal).partition(": ")[0] for refusal in reading.refusals} == {
        3: f"{tmp_path}/faq.xlsx, row 3",
        4: f"{tmp_path}/faq.xlsx, row 4",
    }


def test_what_is_wrong_with_a_sheet_is_said_with_its_place(tmp_path: Path) -> None:
    twice = book(("About", [["A shop"]]), ("FAQ", [["Our FAQ"], ["question", "answer", "Answer"], ["a", "b", "c"]]))
    late = repacked(
        book(("Chats", TURNS)),
        lambda name, content: content.replace(b'<row r="40"', b'<row r="4000000"') if "sheet1" in name else content,
    )

    found = [read_data(tmp_path, data, "x.xlsx").refusals for data in (twice, late)]

    assert [[str(refusal) for refusal in refusals] for refusals in found] == [
        [f"{tmp_path}/x.xlsx, sheet 'FAQ', row 2: expected every column once, got answer twice"],
        [f"{tmp_path}/x.xlsx, sheet 'Chats': expected at most 1,048,576 rows, got more."],
    ]


def repacked(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target.getvalue()


@pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/workbook.xml"])
def test_entities_in_a_workbook_are_not_expanded(tmp_path: Path, part: str) -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "boom" * 10}">' for n in range(9))

    def bomb(name: str, content: bytes) -> bytes:
        if name != part:
            return content
        body = content.decode().partition("?>")[2] if content.startswith(b"<?xml") else content.decode()
        return f"<!DOCTYPE x [{entities}]>{body}".replace(">line 0", ">&a8;").replace("Chats", "&a8;").encode()

    reading = read_data(tmp_path, repacked(book(("Chats", TURNS)), bomb), "x.xlsx")

    assert reading.transcripts == []
    assert [refusal.place for refusal in reading.refusals] == [part]


def test_what_would_unpack_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "BOUNDS", Bounds(unpacked_bytes=1_000_000))
    monkeypatch.setattr(documents, "MAX_BYTES", 100_000)
    large = book(("Chats", [[f"{n}{'x' * 30_000}"] for n in range(80)]))

    (archive,) = read_data(tmp_path, large, "x.xlsx").refusals
    (packed,) = read_data(tmp_path, gzip.compress(b" " * 200_000), "x.json.gz").refusals

    assert archive.reason == "expected at most 1 MB unpacked, got 2 MB."
    assert packed.reason == "expected at most 100,000 bytes, got more; JSON Lines may have any size"


LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (LAUGHS, "x.yml", "expected YAML with at most 64 aliases, got more"),
        ("nlu: " + "[" * 5000, "x.yml", "expected YAML nested at most 40 deep, got deeper"),
        ("nlu: {a: 1", "x.yml", "expected YAML, got: "),
        ("nlu: {[a]: 1}", "x.yml", "expected YAML, got"),
        ("nlu: \x01", "x.yml", "expected YAML, got"),
        ("nlu: !!python/object/apply:os.system ['true']", "x.yml", "expected conversations in a form"),
        (
            "pipeline:\n- name: x\n",
            "config.yml",
            'expected conversations in a form that data-formats.md names, got the keys "pipeline"',
        ),
        ("[" * 100_000, "x.json", "expected a JSON document, got one nested too deeply"),
        ('{"tickets": [', "x.json", "expected a JSON document, got: Expecting value at column"),
        (
            '{"id": ' + "9" * 5000 + "}",
            "x.json",
            "expected a JSON document, got one nested too deeply or with too long",
        ),
        ('{"faq": 1}', "x.json", 'expected conversations in a form that data-formats.md names, got the keys "faq"'),
        ("[]", "x.json", "expected conversations in a form that data-formats.md names, got an empty list"),
        ("5", "x.json", "expected conversations"),
        ("", "x.json", "expected a JSON document, got"),
        ("hello", "x.txt", "expected ChatML, JSON, Rasa's YAML or a table"),
        ("hello", "x.xlsx", "expected XLSX, got one that cannot be read"),
        ("PK\x03\x04", "x.json", "expected XLSX, got one that cannot be read"),
        ("<|im_start|>wizard\nhi<|im_end|>", "x.txt", "expected role user, assistant or system behind <|im_start|>"),
    ],
)
def test_what_is_no_export_is_refused_with_what_was_expected(tmp_path: Path, text: str, name: str, reason: str) -> None:
    reading = read_data(tmp_path, text, name)

    assert reading.transcripts == []
    assert next(refusal.reason for refusal in reading.refusals).startswith(reason)


TICKET = zendesk(1, [("user", None, "Where?"), ("assistant", "human", "Here.")])


@pytest.mark.parametrize(
    ("ticket", "reason"),
    [
        ({**TICKET, "requester_id": None}, 'expected "requester_id", which tells who the customer is, got nothing'),
        ({**TICKET, "comments": ["hi"]}, 'expected a comment object, got "hi"'),
        (
            {**TICKET, "comments": [{**TICKET["comments"][0], "public": True, "html_body": 5}]},
            'expected "html_body" to be',
        ),
        (
            {**TICKET, "comments": [{"author_id": 5, "public": True, "body": "a", "created_at": "noon"}]},
            "expected a time",
        ),
        (
            {**TICKET, "comments": [{"author_id": 5, "public": True, "body": "a", "created_at": 1e999}]},
            "expected a time",
        ),
        (
            {**TICKET, "comments": [{"author_id": 5, "public": True, "body": "a", "created_at": True}]},
            "expected a time",
        ),
        ({**TICKET, "comments": [{"public": True, "body": "a"}]}, 'expected "author_id" in every comment, got nothing'),
        ({**TICKET, "tags": 5}, 'expected "tags" to be a string or a list of strings, got 5'),
        ({**TICKET, "comments": []}, "expected at least one message of a customer, got none"),
    ],
)
def test_a_record_that_cannot_be_used_is_refused_by_its_number_and_the_others_are_used(
    tmp_path: Path, ticket: dict[str, Any], reason: str
) -> None:
    good = {**TICKET, "id": 2}

    reading = read_data(tmp_path, json.dumps([good, ticket]), "x.json")

    assert [transcript.id for transcript in reading.transcripts] == ["zendesk-2"]
    (refusal,) = reading.refusals
    assert (refusal.line, refusal.unit) == (2, "record")
    assert refusal.reason.startswith(reason)


def test_texts_lose_what_no_text_holds(tmp_path: Path) -> None:
    row = sharegpt(1, [("user", None, "nul\x00 \ud83d half\x1b and\u00a0space\r\nline"), ("assistant", None, "ok")])

    reading = read_data(tmp_path, json.dumps([row]), "x.json")

    assert reading.transcripts[0].messages[0].content == "nul ? half and space\nline"


def test_long_texts_made_to_be_slow_are_read_in_time() -> None:
    for part in (
        "On ",
        "> ",
        "--\n",
        "-----",
        "<p>",
        "<div class=",
        "[a](",
        "Dear {{",
        "From: a\n",
        "Kind regards\n",
        "On Monday Ann wrote:\n",
        "On Monday Ann wrote:\n\n\n",
        "a b c ",
        "&lt;",
    ):
        words(part * 30_000)
        words(part * 30_000, is_html=True)
        unmarked(part * 30_000)


def test_our_own_transcripts_are_nobodys_export(tmp_path: Path) -> None:
    row = {"id": "a", "messages": [{"role": "user", "content": "<b>hi</b>\n-- \nme"}, {"role": "gpt", "content": "yo"}]}

    assert importer_of(row) is None
    for data, name in (
        (json.dumps(row), "x.jsonl"),
        (json.dumps([row]), "x.json"),
        (json.dumps([row], indent=1), "x.jsonl"),
    ):
        reading = read_data(tmp_path, data, name)
        assert reading.transcripts[0].messages == (Message("user", "<b>hi</b>\n-- \nme"), Message("assistant", "yo"))
        assert list(reading.formats.values()) == ["Frontdesk transcripts"]


# Damage: nothing in a file makes reading fail.

WRONG: tuple[Any, ...] = (
    None, True, False, 0, -1, 5, 10**400, 1e308, float("inf"), float("nan"), "", "x", "\ud800", "\x00", "<p>", "{{", [], {},
    ["x"], [[]], {"x": 1}, [{"id": 1}], "9" * 400, "2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:59", "[x](y){",
)  # fmt: skip


def deep(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value] if depth % 2 else {"comments": value}
    return value


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a value."""
    found, open_values = [], [value]
    while open_values:
        container = open_values.pop()
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key, inner in items:
            found.append((container, key))
            if isinstance(inner, dict | list):
                open_values.append(inner)
    return found


def rewritten(value: Any, chance: random.Random) -> Any:
    """Change a value in one to three places: wrong types, keys that are gone, items that stand there twice."""
    for _ in range(chance.randrange(1, 4)):
        known = places(value)
        if not known:
            break
        container, key = chance.choice(known)
        action = chance.randrange(4)
        if action == 0:
            del container[key]
        elif action == 1 and isinstance(container, list):
            container.append(container[key])
        elif action == 2:
            container[key] = deep(chance.choice((3, 50, 300)))
        else:
            container[key] = chance.choice(WRONG)
    return value


def broken(data: bytes, chance: random.Random) -> bytes:
    """Damage bytes: cut, flip, repeat, or give one key the name of another."""
    action = chance.randrange(5)
    at = chance.randrange(len(data))
    if action == 0:
        return data[:at]
    if action == 1:
        return data[at:]
    if action == 2:
        flipped = bytearray(data)
        for _ in range(chance.randrange(1, 20)):
            flipped[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(flipped)
    if action == 3:
        return data[:at] + data[max(0, at - chance.randrange(1, 200)) :]
    names = sorted(set(re.findall(rb'"[a-z_]+":', data))) or sorted(set(re.findall(rb"[a-z_|<>]+", data)))
    return data.replace(chance.choice(names), chance.choice(names), chance.randrange(1, 4))


def mutated(file: str, number: int) -> bytes:
    chance = random.Random(f"{file}:{number}")  # noqa: S311
    data = (SHAPES / file).read_bytes()
    if number % 2 or file == "chatml.txt":
        return broken(data, chance)
    if file.endswith(".yml"):
        # JSON is YAML too; behind a comment nobody takes it for JSON.
        return b"# changed\n" + json.dumps(rewritten(yaml.safe_load(data), chance)).encode()
    if file.endswith(".jsonl"):
        rows = rewritten([json.loads(line) for line in data.splitlines()], chance)
        return "\n".join(json.dumps(row) for row in rows).encode()
    return json.dumps(rewritten(json.loads(data), chance)).encode()


def check(reading: Reading) -> None:
    assert reading.transcripts or reading.refusals or reading.warnings
    for refusal in reading.refusals:
        assert "expected" in refusal.reason
        assert "got" in refusal.reason
        str(refusal).encode()
    for transcript in reading.transcripts:
        assert any(message.role == "user" and message.content.strip() for message in transcript.messages)
        json.dumps(
            [transcript.id, transcript.tags, [m.content for m in transcript.messages]], ensure_ascii=False
        ).encode()
    assert len({transcript.id for transcript in reading.transcripts}) == len(reading.transcripts)
    " ".join(reading.warnings).encode()


@pytest.mark.parametrize("file", FILES)
def test_no_damage_to_an_export_makes_reading_fail(tmp_path: Path, file: str) -> None:
    for number in range(MUTATIONS):
        check(read_data(tmp_path, mutated(file, number), file))


def test_no_damage_to_a_workbook_makes_reading_fail(tmp_path: Path) -> None:
    whole = book(("Chats", TURNS[:9]))
    for number in range(MUTATIONS):
        chance = random.Random(number)  # noqa: S311
        inside = chance.choice(("xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml", "[Content_Types].xml"))
        data = (
            broken(whole, chance)
            if number % 2
            else repacked(whole, lambda name, content: broken(content, chance) if name == inside else content)  # noqa: B023
        )
        check(read_data(tmp_path, data, "x.xlsx"))


# The dry run.


@pytest.mark.parametrize("flag", ["--dry-run", "--dry_run"])
def test_a_dry_run_says_what_would_be_used_of_each_file_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    monkeypatch.chdir(tmp_path)
    files = [str(SHAPES / "zendesk.json"), str(SHAPES / "rasa.yml")]

    code = lora.main(["--dataset", *files, flag, "--no-redact", "--json", "-"])

    assert code == 0
    assert list(tmp_path.iterdir()) == []
    out, err = capsys.readouterr()
    report = json.loads(out)
    ticket, story = report["files"]
    assert (ticket["format"], ticket["conversations"], ticket["messages"], ticket["replies"]) == ("Zendesk", 5, 16, 7)
    assert ticket["not_used"]["written by a bot, or ready-made"] == 1
    assert (story["format"], story["labelled"], story["steps"]) == ("Rasa", 12, 6)
    assert story["not_used"]["the name of a step, without words"] == 3
    for file in report["files"]:
        assert file["used"] + sum(file["not_used"].values()) == file["replies"]
        assert min(file["not_used"].values()) >= 0
        assert f"{file['file']}: {file['format']}\n" in err
    assert "private note left out" in err


def test_a_dry_run_with_refusals_ends_with_three(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps([TICKET, {**TICKET, "id": 2, "requester_id": None}]), "utf-8")

    assert lora.main(["--dataset", str(path), "--dry-run", "--no-redact"]) == 3

    err = capsys.readouterr().err
    assert f'{path}, record 2: expected "requester_id"' in err
    assert "1 of 1 replies would train writing" in err
