from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chatbot.types import Entity, Message
from finetune.transcripts import Transcript, read_files
from knowledge_base.command import Refusal

Result = tuple[list[Transcript], list[Refusal], list[str]]
ASK: dict[str, Any] = {"role": "user", "content": "where is my order 4711?"}


def read_bytes(folder: Path, data: bytes, name: str = "chats.jsonl") -> Result:
    path = folder / name
    path.write_bytes(data)
    reading = read_files([path])
    return reading.transcripts, reading.refusals, reading.warnings


def read_rows(folder: Path, *rows: object, name: str = "chats.jsonl") -> Result:
    return read_bytes(folder, b"\n".join(json.dumps(row).encode() for row in rows) + b"\n", name)


def only(result: Result) -> Transcript:
    transcripts, refusals, _ = result
    assert not refusals
    (transcript,) = transcripts
    return transcript


def reason(result: Result) -> str:
    transcripts, refusals, _ = result
    assert not transcripts
    (refusal,) = refusals
    return str(refusal.reason)


def test_the_conversation_of_the_design_is_read_with_all_its_labels(tmp_path: Path) -> None:
    entity = {"type": "order_id", "value": "4711", "start": 18, "end": 22}
    answer = {"content": "It left our warehouse.", "author": "human", "action": "answer", "evidence": ["faq-12"]}
    row = {
        "id": "c-17",
        "messages": [{**ASK, "intent": "track_order", "entities": [entity]}, {"role": "assistant", **answer}],
        "language": "en",
        "tags": ["orders"],
    }

    transcript = only(read_rows(tmp_path, row))

    assert transcript == Transcript(
        "c-17",
        (
            Message(
                "user",
                "where is my order 4711?",
                intents=("track_order",),
                entities=(Entity("order_id", "4711", 18, 22),),
            ),
            Message("assistant", "It left our warehouse.", author="human", action="answer", evidence=("faq-12",)),
        ),
        "en",
        ("orders",),
        f"{tmp_path}/chats.jsonl:1",
    )


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *((name, "user") for name in ("user", "customer", "human", "visitor", "client", " Customer ")),
        *((name, "assistant") for name in ("assistant", "agent", "gpt", "bot", "support", "operator", "BOT")),
    ],
)
def test_roles_have_other_names(tmp_path: Path, name: str, role: str) -> None:
    transcript = only(read_rows(tmp_path, {"messages": [ASK, {"role": name, "content": "yes"}]}))

    assert transcript.messages[1].role == role
    assert transcript.messages[1].author == ("bot" if name.lower() == "bot" else None)


def test_system_messages_notes_and_empty_messages_are_left_out_and_the_places_of_the_others_are_known(
    tmp_path: Path,
) -> None:
    messages = [
        {"role": "system", "content": "You are a bot"},
        ASK,
        {"role": "agent", "content": "she is angry", "note": True},
        {"role": "internal", "content": "private", "note": "yes"},
        {"role": "agent", "content": " \n"},
        {"role": "agent", "content": "It left.", "note": False},
    ]

    result = read_rows(tmp_path, {"messages": messages})

    transcript = only(result)
    assert [message.content for message in transcript.messages] == [ASK["content"], "It left."]
    assert [transcript.position(index) for index in (0, 1)] == [1, 5]
    assert result[2] == [f"{tmp_path}/chats.jsonl:1: message without words left out"]


def test_an_intent_is_a_string_or_a_list_of_strings(tmp_path: Path) -> None:
    messages = [{**ASK, "intent": intent} for intent in ("a", ["a", "b", "a"], [], None, "")]

    transcript = only(read_rows(tmp_path, {"messages": messages}))

    assert [message.intents for message in transcript.messages] == [("a",), ("a", "b"), (), (), ()]


@pytest.mark.parametrize(
    "entity",
    [
        {"type": "order_id", "value": "4711", "start": 17, "end": 21},
        {"type": "order_id", "value": "4711", "start": 18, "end": 99},
        {"type": "order_id", "value": "4711", "start": -5, "end": -1},
        {"type": "order_id", "value": "4711", "start": True, "end": 22},
        {"type": "order_id", "value": "4711"},
        "4711",
    ],
)
def test_an_entity_whose_span_does_not_hold_its_value_is_left_out_and_the_conversation_is_not(
    tmp_path: Path, entity: object
) -> None:
    result = read_rows(tmp_path, {"messages": [{**ASK, "entities": [entity]}]})

    assert only(result).messages[0].entities == ()
    assert result[2] == [f"{tmp_path}/chats.jsonl:1: entity left out, because its span does not hold its value"]


def test_spans_count_code_points(tmp_path: Path) -> None:
    entity = {"type": "order_id", "value": "4711", "start": 2, "end": 6}

    transcript = only(read_rows(tmp_path, {"messages": [{"role": "user", "content": "📦 4711", "entities": [entity]}]}))

    assert transcript.messages[0].entities == (Entity("order_id", "4711", 2, 6),)


def test_an_unknown_key_is_warned_of_once_with_its_first_place_and_count(tmp_path: Path) -> None:
    rows = [{"id": str(n), "rating": 5, "messages": [{**ASK, "author": "human", "mood": 1}]} for n in range(3)]

    transcripts, refusals, warnings = read_rows(tmp_path, *rows)

    assert len(transcripts) == 3
    assert not refusals
    assert warnings == [
        f'{tmp_path}/chats.jsonl:1: unknown key "rating" ignored (3 times)',
        f'{tmp_path}/chats.jsonl:1: unknown key "author" of customers\' messages ignored (3 times)',
        f'{tmp_path}/chats.jsonl:1: unknown key "mood" of customers\' messages ignored (3 times)',
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([], "expected a conversation object, got an empty list"),
        ({"topic": "a", "answer": "b"}, 'expected "messages", a list of messages, got the keys "topic, answer"'),
        ({"messages": []}, 'expected "messages" to be a list of messages, got an empty list'),
        ({"messages": "hi"}, 'expected "messages" to be a list of messages, got "hi"'),
        ({"messages": ["hi"]}, 'message 1: expected a message object, got "hi"'),
        ({"messages": [{"role": "agent", "content": "hi"}]}, "expected at least one message of a customer, got none"),
        ({"messages": [{"role": "user", "content": ""}]}, "expected at least one message of a customer, got none"),
        (
            {"messages": [ASK, {"role": "wizard", "content": "hi"}]},
            'message 2: expected role user or assistant (or customer, agent, bot, ...), got "wizard"',
        ),
        ({"messages": [{"role": "user"}]}, 'message 1: expected "content" to be a string, got nothing'),
        ({"messages": [{"role": "user", "content": 5}]}, 'message 1: expected "content" to be a string, got 5'),
        (
            {"messages": [{**ASK, "intent": {"a": 1}}]},
            'message 1: expected "intent" to be a string or a list of strings, got an object',
        ),
        (
            {"messages": [ASK, {"role": "agent", "content": "hi", "author": "Ann"}]},
            'message 2: expected author human, bot or approved, got "ann"',
        ),
        ({"id": 1.5, "messages": [ASK]}, 'expected "id" to be a string, got 1.5'),
    ],
)
def test_what_is_not_a_conversation_is_refused_with_what_was_expected(
    tmp_path: Path, row: object, expected: str
) -> None:
    assert reason(read_rows(tmp_path, row)) == expected


def test_a_refusal_names_file_and_line_and_the_other_lines_are_used(tmp_path: Path) -> None:
    good = json.dumps({"messages": [ASK]}).encode()

    transcripts, refusals, _ = read_bytes(tmp_path, b'\n{"messages": \n\xff\n' + good + b"\n")

    assert [refusal.line for refusal in refusals] == [2, 3]
    assert {refusal.file for refusal in refusals} == {f"{tmp_path}/chats.jsonl"}
    assert refusals[1].reason == "expected UTF-8, got byte 0xff at byte 1"
    assert transcripts[0].source == f"{tmp_path}/chats.jsonl:4"


def test_a_conversation_without_an_id_gets_the_hash_of_its_content(tmp_path: Path) -> None:
    transcripts, _, _ = read_rows(
        tmp_path, {"messages": [ASK]}, {"messages": [{**ASK, "intent": "a"}]}, {"id": 7, "messages": [ASK]}
    )

    assert len({transcript.id for transcript in transcripts}) == 3
    assert transcripts[2].id == "7"
    assert only(read_rows(tmp_path, {"messages": [ASK]})).id == transcripts[0].id


def test_an_id_with_other_content_is_refused_with_the_place_of_the_first(tmp_path: Path) -> None:
    rows = [{"id": "a", "messages": [ASK]}, {"id": "a", "messages": [{**ASK, "content": "hello"}]}]

    transcripts, refusals, _ = read_rows(tmp_path, *rows)

    assert [transcript.source for transcript in transcripts] == [f"{tmp_path}/chats.jsonl:1"]
    expected = f'expected a new id, got "a", which stands with other content at {tmp_path}/chats.jsonl:1'
    assert refusals == [Refusal(f"{tmp_path}/chats.jsonl", 2, expected)]


def test_the_same_conversation_again_is_used_once_and_said(tmp_path: Path) -> None:
    result = read_rows(tmp_path, {"id": "a", "messages": [ASK]}, {"id": "a", "messages": [ASK]})

    assert only(result).id == "a"
    assert result[2] == [f"{tmp_path}/chats.jsonl:2: conversation with the id and content of an earlier one used once"]


def test_gzip_is_told_by_the_content_and_a_cut_file_keeps_what_was_whole(tmp_path: Path) -> None:
    rows = [json.dumps({"id": str(n), "messages": [{**ASK, "content": f"{n * 7919 % 10007} {n}"}]}) for n in range(500)]
    packed = gzip.compress("\n".join(rows).encode())

    assert len(read_bytes(tmp_path, packed, "chats.jsonl.gz")[0]) == 500
    assert len(read_bytes(tmp_path, "\n".join(rows).encode(), "plain.jsonl.gz")[0]) == 500
    transcripts, refusals, _ = read_bytes(tmp_path, packed[: len(packed) // 2], "cut.jsonl.gz")
    assert 0 < len(transcripts) < 500
    assert refusals[-1].reason == "expected whole gzip data, got a damaged or cut file; the rest is not read"


def test_half_a_surrogate_pair_becomes_a_question_mark(tmp_path: Path) -> None:
    line = rb'{"messages": [{"role": "user", "content": "broken \ud83d emoji \ud83d\ude00"}]}'

    assert only(read_bytes(tmp_path, line)).messages[0].content == "broken ? emoji 😀"


@pytest.mark.parametrize("name", ["chats.doc", "chats", "chats.jsonl.bz2"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str) -> None:
    expected = f'expected a .jsonl, .json, .csv, .tsv, .xlsx, .yml, .yaml or .txt file, gzipped or not, got "{name}"'
    assert reason(read_bytes(tmp_path, b"hello", name)) == expected


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()

    refusals = read_files([tmp_path / "none.jsonl", tmp_path / "folder.csv"]).refusals

    assert [refusal.reason for refusal in refusals] == [
        "expected a file that can be read, got: No such file or directory",
        "expected a file that can be read, got: Is a directory",
    ]


def test_a_table_of_questions_makes_conversations_of_two_messages(tmp_path: Path) -> None:
    text = 'Question,Answer,Intent\nWhere?,"In the\nshop, always",where|shop\n"Why\nso?",,why\n'

    transcripts, refusals, warnings = read_bytes(tmp_path, text.encode(), "faq.csv")

    assert (refusals, warnings) == ([], [])
    assert [transcript.messages for transcript in transcripts] == [
        (
            Message("user", "Where?", intents=("where", "shop")),
            Message("assistant", "In the\nshop, always", author="human"),
        ),
        (Message("user", "Why\nso?", intents=("why",)),),
    ]
    assert [transcript.source.rpartition(":")[2] for transcript in transcripts] == ["2", "4"]


def test_a_table_of_turns_is_grouped_by_id_and_ordered_by_time(tmp_path: Path) -> None:
    text = (
        "conversation_id;role;text;time;mood\n"
        "a;agent;second;2026-01-01 10:00:05;x\n"
        "b;customer;other;;x\n"
        "a;customer;first;2026-01-01T10:00:00;x\n"
        "b;bot;reply;;x\n"
    )

    transcripts, refusals, warnings = read_bytes(tmp_path, text.encode(), "turns.csv")

    assert not refusals
    assert [(t.id, [m.content for m in t.messages]) for t in transcripts] == [
        ("a", ["first", "second"]),
        ("b", ["other", "reply"]),
    ]
    assert [transcripts[0].messages[1].author, transcripts[1].messages[1].author] == [None, "bot"]
    assert warnings == [f'{tmp_path}/turns.csv:1: unknown column "mood" ignored']


def test_a_table_of_turns_may_mark_notes_and_carry_labels(tmp_path: Path) -> None:
    text = (
        "conversation_id,role,text,note,author,intent,action,evidence\n"
        "a,customer,where?,,Ann,track|order,,\n"
        "a,agent,a known fraudster,true,human,,,\n"
        "a,agent,I am a bot,no,Chatbot,,answer,\n"
        "a,agent,it left,0,Tom,,answer,e1|e2\n"
    )

    transcripts, refusals, warnings = read_bytes(tmp_path, text.encode(), "turns.csv")

    assert not refusals
    assert transcripts[0].messages == (
        Message("user", "where?", intents=("track", "order")),
        Message("assistant", "I am a bot", author="bot", action="answer"),
        Message("assistant", "it left", action="answer", evidence=("e1", "e2")),
    )
    assert warnings == [f"{tmp_path}/turns.csv:3: private note left out"]


@pytest.mark.parametrize("column", ["private", "internal", "is_private", "is_internal"])
@pytest.mark.parametrize(
    ("cell", "is_private"), [("1", True), ("TRUE", True), ("yes", True), ("False", False), ("", False)]
)
def test_what_a_table_calls_private_is_never_read(tmp_path: Path, column: str, cell: str, is_private: bool) -> None:
    text = f"conversation_id,role,text,{column}\na,customer,hi,\na,agent,words,{cell}\n"

    (transcript,), _, _ = read_bytes(tmp_path, text.encode(), "turns.csv")

    assert [message.content for message in transcript.messages] == (["hi"] if is_private else ["hi", "words"])


@pytest.mark.parametrize(
    "header",
    [
        "Conversation ID,Role,Text,Time",
        "chat_id,speaker,message,timestamp",
        "Ticket-ID,Sender,Body,Created At",
        "session_id,sender_type,content,date",
        "dialogue_id,from,utterance,sent_at",
    ],
)
def test_a_table_of_turns_may_call_its_columns_as_exports_do(tmp_path: Path, header: str) -> None:
    rows = "a,Agent,It left.,2026-01-01 10:00:05\na,Customer,Where?,2026-01-01 10:00:00\na,Chatbot,Hi,2026-01-01 10:00:09\n"

    (transcript,), refusals, _ = read_bytes(tmp_path, f"{header}\n{rows}".encode(), "turns.csv")

    assert not refusals
    assert transcript.id == "a"
    assert [(m.role, m.content, m.author) for m in transcript.messages] == [
        ("user", "Where?", None),
        ("assistant", "It left.", None),
        ("assistant", "Hi", "bot"),
    ]


@pytest.mark.parametrize(
    ("header", "row", "answered"),
    [
        ("text,label", "Where is it?,track", False),
        ("text,category", "Where is it?,track", False),
        ("utterance,intent", "Where is it?,track", False),
        ("flags,instruction,category,intent,response", "B,Where is it?,ORDER,track,It left.", True),
        ("Customer Message,Agent Response,Intent", "Where is it?,It left.,track", True),
    ],
)
def test_a_table_of_questions_may_call_its_columns_as_data_sets_do(
    tmp_path: Path, header: str, row: str, answered: bool
) -> None:
    (transcript,), refusals, _ = read_bytes(tmp_path, f"{header}\n{row}\n".encode(), "questions.csv")

    assert not refusals
    question, *replies = transcript.messages
    assert question == Message("user", "Where is it?", intents=("track",))
    assert [reply.content for reply in replies] == (["It left."] if answered else [])


def test_a_column_that_is_called_otherwise_is_told_and_the_name_used_here_goes_first(tmp_path: Path) -> None:
    text = "conversation_id,role,text,message\na,customer,where?,x-4711\n"
    (transcript,), _, warnings = read_bytes(tmp_path, text.encode(), "a.csv")
    _, _, others = read_bytes(tmp_path, b"chat_id,Speaker,text\na,customer,where?\n", "b.csv")

    assert transcript.messages[0].content == "where?"
    assert warnings == [f'{tmp_path}/a.csv:1: unknown column "message" ignored']
    assert others == [
        f'{tmp_path}/b.csv:1: column "chat_id" read as "conversation_id"',
        f'{tmp_path}/b.csv:1: column "Speaker" read as "role"',
    ]


@pytest.mark.parametrize(("cell", "is_public"), [("true", True), ("Yes", True), ("false", False), ("", False)])
def test_what_a_table_does_not_call_public_is_never_read(tmp_path: Path, cell: str, is_public: bool) -> None:
    text = f"conversation_id,role,text,public\na,customer,hi,true\na,agent,words,{cell}\n"

    (transcript,), _, _ = read_bytes(tmp_path, text.encode(), "turns.csv")

    assert [message.content for message in transcript.messages] == (["hi", "words"] if is_public else ["hi"])


@pytest.mark.parametrize("header", ["question,answer", "question,intent", "text,label", "instruction,output"])
@pytest.mark.parametrize(
    ("column", "cell", "is_private"),
    [
        ("Private", "true", True),
        ("is_internal", "yes", True),
        ("note", "do not show", True),
        ("private", "no", False),
        ("public", "false", True),
        ("is_public", "", True),
        ("public", "yes", False),
    ],
)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_private_row_of_questions_is_never_used_and_said(
    tmp_path: Path, header: str, column: str, cell: str, is_private: bool, form: str
) -> None:
    shown = "yes" if "public" in column else ""
    table = [["where?", "here", shown], ["who pays?", "we do", cell]]
    names = [*header.split(","), column.lower() if form == "json" else column]
    data = "\n".join(",".join(row) for row in (names, *table))
    if form == "json":
        data = json.dumps([dict(zip(names, row, strict=True)) for row in table])

    transcripts, refusals, warnings = read_bytes(tmp_path, data.encode(), f"faq.{form}")

    assert not refusals
    assert [t.messages[0].content for t in transcripts] == ["where?", *([] if is_private else ["who pays?"])]
    private = [warning for warning in warnings if "private" in warning.lower().partition(": ")[2]]
    place = {"csv": 3, "json": 2}[form]
    assert private == ([f"{tmp_path}/faq.{form}:{place}: private note left out"] if is_private else [])


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.json", "other.json"])
def test_a_table_of_instructions_and_inputs_keeps_what_the_customer_wrote(tmp_path: Path, name: str) -> None:
    table = [
        {"instruction": "Answer the customer.", "input": "Where is it?", "output": "It left."},
        {"instruction": "Answer the customer.", "input": "Can I return it?", "output": "Yes."},
        {"instruction": "What does this cost?", "input": "the green lamp", "output": "9 euro."},
        {"instruction": "Are you open?", "input": "", "output": "We are."},
    ]
    if name == "other.json":  # which no form of JSON but a table knows
        table = [{("reply" if key == "output" else key): text for key, text in row.items()} for row in table]
    lines = [",".join(table[0]), *(",".join(row.values()) for row in table)]
    data = "\n".join(lines) if name.endswith(".csv") else json.dumps(table)

    transcripts, refusals, warnings = read_bytes(tmp_path, data.encode(), name)

    assert not refusals
    assert [[message.content for message in transcript.messages] for transcript in transcripts] == [
        ["Where is it?", "It left."],
        ["Can I return it?", "Yes."],
        ["What does this cost?\nthe green lamp", "9 euro."],
        ["Are you open?", "We are."],
    ]
    assert not any("unknown" in warning for warning in warnings)


def test_the_kind_of_a_sender_goes_before_the_name(tmp_path: Path) -> None:
    data = b"ticket_id,sender,sender_type,body\n7,Ann Lee,customer,where?\n7,Tom,agent,here\n"

    transcript = only(read_bytes(tmp_path, data, "turns.csv"))

    assert [message.role for message in transcript.messages] == ["user", "assistant"]


def test_labels_that_are_given_later_do_not_change_the_id_of_a_conversation(tmp_path: Path) -> None:
    (before,), _, _ = read_bytes(tmp_path, b"question,answer\nwhere?,here\n", "a.csv")
    (after,), _, _ = read_bytes(tmp_path, b"question,answer,intent\nwhere?,here,place\n", "b.csv")

    assert before.id == after.id
    assert after.messages[0].intents == ("place",)


def test_a_wrong_row_of_turns_refuses_its_conversation_at_its_own_line(tmp_path: Path) -> None:
    text = (
        "conversation_id,role,text,time\n"
        "a,customer,one,2026-01-01\n"
        "b,customer,two,2026-01-01\n"
        "a,wizard,three,2025-12-31\n"
        "c,customer,four,2026-01-01\n"
        "c,agent,five,yesterday\n"
        ",customer,six,2026-01-01\n"
        "d,customer,seven\n"
    )

    transcripts, refusals, _ = read_bytes(tmp_path, text.encode(), "turns.csv")

    assert [transcript.id for transcript in transcripts] == ["b"]
    assert {refusal.line: refusal.reason.split(",")[0] for refusal in refusals} == {
        4: "message 1: expected role user or assistant (or customer",
        6: "expected a time such as 2026-01-31 09:30:00 or seconds since 1970 in every row of a conversation",
        7: "expected a conversation_id",
        8: "expected 4 cells",
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("question", "encoding"),
    [
        ("Où est ma commande déjà payée ?", "cp1252"),
        ("我的订单什么时候到？我已经等了很久", "gb18030"),
        ("我的订单什么时候到？", "utf-16"),
        ("Where is my order?", "utf-16-le"),
        ("我的订单什么时候到？", "utf-8"),
        ("Où est ma commande ?", "utf-8-sig"),
    ],
)
def test_tables_are_read_in_the_encoding_and_with_the_delimiter_they_have(
    tmp_path: Path, delimiter: str, question: str, encoding: str
) -> None:
    text = f'question{delimiter}answer\r\n"{question}"{delimiter}OK\r\n'

    result = read_bytes(tmp_path, text.encode(encoding), "faq.csv")

    assert only(result).messages[0].content == question
    assert bool(result[2]) == (not encoding.startswith("utf")), "an encoding that is a guess is named"


GERMAN = "Wo bleibt die grüne Lampe für das Büro, die ich über Köln bestellt habe?"
CHINESE = "我的订单什么时候到？我已经等了很久"


@pytest.mark.parametrize("form", ["json", "indented", "csv", "csv with its mark"])
def test_text_in_utf_8_with_a_damaged_byte_stays_utf_8_and_the_damage_is_told(tmp_path: Path, form: str) -> None:
    rows = [{"id": str(n), "messages": [{"role": "user", "content": f"{n}: {GERMAN}"}]} for n in range(3)]
    table = "question,answer\n" + "".join(f'"{n}: {GERMAN}",ja\n' for n in range(3))
    name, text = {
        "json": ("chats.json", json.dumps(rows, ensure_ascii=False)),
        "indented": ("chats.jsonl", json.dumps(rows, ensure_ascii=False, indent=1)),
        "csv": ("chats.csv", table),
        "csv with its mark": ("chats.csv", "\ufeff" + table),
    }[form]
    damaged = text.encode().replace("ü".encode(), b"\xfc", 1)

    transcripts, refusals, warnings = read_bytes(tmp_path, damaged, name)

    words = [transcript.messages[0].content for transcript in transcripts]
    assert not refusals
    assert words == [f"0: {GERMAN}".replace("ü", "\ufffd", 1), f"1: {GERMAN}", f"2: {GERMAN}"]
    assert [warning for warning in warnings if "UTF-8" in warning] == [
        f"{tmp_path}/{name}: bytes that are no UTF-8: \ufffd stands for them"
    ]


@pytest.mark.parametrize("name", ["chats.json", "chats.csv", "chats.txt"])
@pytest.mark.parametrize(("words", "encoding"), [(GERMAN, "cp1252"), (CHINESE, "gb18030")])
def test_an_encoding_that_is_a_guess_is_told_whatever_the_form(
    tmp_path: Path, name: str, words: str, encoding: str
) -> None:
    table = f'question,answer\n"{words}",OK\n'
    text = table if name != "chats.json" else json.dumps([{"question": words, "answer": "OK"}], ensure_ascii=False)

    result = read_bytes(tmp_path, text.encode(encoding), name)

    assert only(result).messages[0].content == words
    (warning,) = result[2]
    assert warning.startswith(f"{tmp_path}/{name}: not UTF-8: read as ")


def test_text_with_the_mark_of_utf_8_is_utf_8_however_damaged(tmp_path: Path) -> None:
    result = read_bytes(tmp_path, b"\xef\xbb\xbfquestion,answer\nwhere\x92s it?,it\x92s here\n", "faq.csv")

    assert [message.content for message in only(result).messages] == ["where\ufffds it?", "it\ufffds here"]


@pytest.mark.parametrize(
    ("words", "encoding"),
    [("Where is my order?", "utf-8"), (GERMAN, "utf-8"), (GERMAN, "cp1252"), (CHINESE, "utf-8")],
)
def test_a_stray_zero_makes_no_utf_16_of_a_table(tmp_path: Path, words: str, encoding: str) -> None:
    data = f'question,answer\n"{words}",OK\n"{words} 2",\0OK\n'.encode(encoding)

    transcripts, refusals, _ = read_bytes(tmp_path, data, "faq.csv")

    assert not refusals
    assert [transcript.messages[0].content for transcript in transcripts] == [words, f"{words} 2"]


@pytest.mark.parametrize("words", ["Where is my order?", GERMAN, CHINESE * 4])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_without_its_mark(tmp_path: Path, words: str, encoding: str) -> None:
    text = "question,answer\n" + "".join(f'"{words} {n}",好\n' for n in range(40))

    transcripts, refusals, warnings = read_bytes(tmp_path, text.encode(encoding), "faq.csv")

    assert (refusals, warnings) == ([], [])
    assert [transcript.messages[0].content for transcript in transcripts] == [f"{words} {n}" for n in range(40)]


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (
            "",
            1,
            "expected a header with the columns conversation_id,role,text or question,answer or question,intent, got an empty file",
        ),
        (
            "a,b\nx,y\n",
            1,
            "expected a header with the columns conversation_id,role,text or question,answer or question,intent, got a, b",
        ),
        ("question,answer,answer\nx,y,z\n", 1, "expected every column once, got answer twice"),
        ('question,answer\nx,"y"z\n', 2, "expected quotes inside a quoted cell to be doubled"),
        ('question,answer\nx,"y\nz\n', 2, "expected a closing quote, got the end of the file at line 3"),
        ("question,answer\n,y\n", 2, "expected at least one message of a customer, got none"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path: Path, text: str, line: int, expected: str) -> None:
    transcripts, refusals, _ = read_bytes(tmp_path, text.encode(), "faq.csv")

    assert not transcripts
    assert [refusal.line for refusal in refusals] == [line]
    assert refusals[0].reason.startswith(expected)


def _mutations(text: bytes) -> st.SearchStrategy[bytes]:
    position = st.integers(0, len(text))
    return st.builds(
        lambda at, gone, new: text[:at] + new + text[at + gone :], position, position, st.binary(max_size=8)
    )


LINE = json.dumps({"id": "a", "messages": [{**ASK, "intent": "b"}, {"role": "bot", "content": "é"}]}).encode()
TABLE = b'conversation_id,role,text,time\na,customer,"hi\nyou",2026-01-01\na,agent,yes,5\n'
FILES = st.one_of(
    st.binary(max_size=200),
    _mutations(LINE),
    _mutations(gzip.compress(LINE, mtime=0)),
    _mutations(TABLE),
    _mutations(TABLE.replace(b"hi", "你好，订单".encode("gb18030"))),
    _mutations("question;answer\nÜber;ja\n".encode("utf-16")),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(data=b"[" * 100_000, name="x.jsonl")
@example(data=b'{"id": ' + b"9" * 5_000 + b"}", name="x.jsonl")
@example(data=b'{"messages": [{"role": "user", "content": "x", "\\ud800": 1}], "id": "\\udfff"}', name="x.jsonl")
@example(data=b"\xff\xfe\x00", name="x.csv")
@example(data=b"\x1f\x8b", name="x.csv")
@given(data=FILES, name=st.sampled_from(["x.jsonl", "x.csv", "x.tsv", "x.jsonl.gz"]))
def test_no_bytes_make_reading_fail(tmp_path: Path, data: bytes, name: str) -> None:
    transcripts, refusals, warnings = read_bytes(tmp_path, data, name)

    for refusal in refusals:
        assert refusal.reason.count("expected") >= 1
        assert "got" in refusal.reason
        str(refusal).encode()
    for transcript in transcripts:
        assert transcript.id
        assert any(message.role == "user" and message.content.strip() for message in transcript.messages)
        transcript.customer_words.encode()
    " ".join(warnings).encode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "messages", "role", "content", "intent", "entities", "start", "note", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    row=VALUES
    | st.fixed_dictionaries(
        {"messages": st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": VALUES, "intent": VALUES}))}
    )
)
def test_any_json_value_is_a_conversation_or_refused(tmp_path: Path, row: object) -> None:
    transcripts, refusals, _ = read_rows(tmp_path, row)

    assert len(transcripts) + len(refusals) == 1
