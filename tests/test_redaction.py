from __future__ import annotations

import re
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.types import Entity, Message
from finetune import recognizers
from finetune.redaction import PLACEHOLDERS, Redactor, company_details
from finetune.transcripts import Transcript


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    return Redactor()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail me at joe.bloggs+x@example.co.uk, thanks", "mail me at <email>, thanks"),
        ("我的邮箱是joe@example.com谢谢", "我的邮箱是<email>谢谢"),
        ("jörg@müller.de!", "<email>!"),
        ("bob@server.local", "<email>"),
        ("my card 4111 1111 1111 1111 exp 12/27", "my card <card> exp 12/27"),
        ("5555-5555-5555-4444", "<card>"),
        ("4111 1111 1111 1111 12/27 123", "<card> 12/27 123"),
        ("40 4111 1111 1111 1111", "40 <card>"),
        ("amex 378282246310005.", "amex <card>."),
        ("银联卡6212345678901232。", "银联卡<card>。"),
        ("4111\u00a01111\u00a01111\u00a01111 please", "<card> please"),
        ("4111.1111.1111.1111", "<card>"),
        ("4111  1111  1111  1111", "<card>"),
        ("4111\u20111111\u20111111\u20111111", "<card>"),
        ("DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000", "<account>"),
        ("IBAN DE89 3704 0044 0532 0130 00 thanks", "IBAN <account> thanks"),
        ("iban de89370400440532013000 please", "iban <account> please"),
        ("BE68 5390 0754 7034 will be used", "<account> will be used"),
        ("call +44 20 7946 0958", "call <phone>"),
        ("call me on 07700 900123", "call me on <phone>"),
        ("(415) 555-2671 or 415-555-2671", "<phone> or <phone>"),
        ("0151 23456789", "<phone>"),
        ("电话是67863584和67862584。", "电话是<phone>和<phone>。"),
        ("那你记一下13910105454。", "那你记一下<phone>。"),
        ("order 4155552671 and my phone is 4155552671", "order 4155552671 and my phone is <phone>"),
    ],
)
def test_personal_data_is_replaced(redactor: Redactor, text: str, expected: str) -> None:
    assert redactor.redact_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order 113542617735902",
        "cancel ordedr 3707955617",
        "invoice #12588 of 01.02.2024",
        "tracking 9400 1000 0000 0000 0000 00",
        "order number 4155552671",
        "4155552671 is my booking",
        "my account number is 9931939443153",
        "card 4111111111111112 fails the check digit",
        "DE00 3704 0044 0532 0130 00 fails its check digits",
        "2024-01-05 10:22",
        "非营业时段2018-02-15至2018-02-18全天",
        "delivered 05/01/2024 for $1,299.00",
        "ticket 20240105",
        "open 10:00-22:00 and 24/7",
        "3:00 PM to 12:00 AM",
        "sku 4006381333931",
        "version 10.0.19045.3803 on 192.168.100.200",
        "6.000.000.000",
        "price@2.50 each, Saturday @ 9 pm",
        "门票100-150元，评分4.5分以上",
        "It is €1 299,00",
        "you owe 4155552671 dollars",
    ],
)
def test_what_only_looks_like_personal_data_stays(redactor: Redactor, text: str) -> None:
    assert redactor.redact_text(text) == text


def test_what_was_asked_for_tells_what_a_bare_number_is(redactor: Redactor) -> None:
    assert redactor.redact_text("4155552671", said_before="What is your order number?") == "4155552671"
    assert redactor.redact_text("4155552671", said_before="And your phone number?") == "<phone>"


def test_placeholders_look_neither_like_an_unfilled_name_nor_like_a_pointer() -> None:
    for placeholder in PLACEHOLDERS.values():
        assert not set(placeholder) & set("{}[]0123456789")


def test_counts_say_how_much_of_each_kind_was_replaced() -> None:
    redactor = Redactor()
    redactor.redact_text("a@b.org, c@d.org, 4111111111111111")

    assert redactor.counts == {"email": 2, "card": 1}


def test_the_companys_own_details_stay() -> None:
    keep = company_details(
        ["Call us on +44 20 7946 0958 or write to Help@shop.example.", "Pay to DE89 3704 0044 0532 0130 00."]
    )
    redactor = Redactor(keep)

    text = "I rang 020 7946 0958, wrote to help@shop.example and paid to DE89370400440532013000"
    assert redactor.redact_text(text) == text
    assert redactor.redact_text("I am joe@shop.example, 020 7946 0959") == "I am <email>, <phone>"


def test_entities_move_with_their_text_and_go_with_what_they_name(redactor: Redactor) -> None:
    content = "I am Joe, joe@example.com, order 4711"
    entities = tuple(
        Entity(kind, value, content.index(value), content.index(value) + len(value))
        for kind, value in [
            ("name", "Joe"),
            ("email", "joe@example.com"),
            ("user", "joe"),
            ("order_id", "4711"),
            ("sentence", "Joe, joe@example.com, order"),
        ]
    )
    transcript = Transcript("a", (Message("user", content, intents=("x",), entities=entities),), "en", ("t",), "f:1")

    redacted = redactor.redact(transcript)

    (message,) = redacted.messages
    assert message.content == "I am Joe, <email>, order 4711"
    assert [(entity.type, entity.value) for entity in message.entities] == [
        ("name", "Joe"),
        ("order_id", "4711"),
        ("sentence", "Joe, <email>, order"),
    ]
    assert all(message.content[e.start : e.end] == e.value for e in message.entities)
    assert (redacted.id, redacted.tags, redacted.source, message.intents) == ("a", ("t",), "f:1", ("x",))


def test_the_message_before_tells_what_a_number_in_a_conversation_is(redactor: Redactor) -> None:
    def said(*contents: str) -> Transcript:
        roles = ("assistant", "user")
        return Transcript("a", tuple(Message(roles[i % 2], text) for i, text in enumerate(contents)))  # type: ignore[arg-type]

    transcript = redactor.redact(said("Order number?", "4155552671", "And your phone?", "4155552671"))

    assert [message.content for message in transcript.messages[1::2]] == ["4155552671", "<phone>"]


def test_redaction_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert Redactor().redact_text("joe@example.com, +44 20 7946 0958") == "<email>, <phone>"


def test_a_list_of_numbers_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def counted(_digits: str) -> bool:
        nonlocal tried
        tried += 1
        return False

    def looked_at(count: int) -> int:
        nonlocal tried
        tried = 0
        groups = recognizers._DIGIT_GROUPS.match(" ".join(["411111111"] * count))
        assert groups is not None
        assert list(recognizers._cards(groups, counted)) == []
        return tried

    monkeypatch.setattr(recognizers, "_ISSUERS", re.compile(r"\d+"))  # whatever is long enough is asked for
    assert looked_at(400) <= 2.1 * looked_at(200)


def test_texts_without_an_at_sign_or_seven_digits_cost_next_to_nothing(redactor: Redactor) -> None:
    began = time.perf_counter()
    for _ in range(20_000):
        redactor.redact_text("Hello, I would like to know where my parcel is, I ordered 2 shoes on May 5, 2026.")

    assert time.perf_counter() - began < 5


SECRETS = ("joe@example.com", "4111 1111 1111 1111", "378282246310005", "DE89370400440532013000")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*SECRETS, "order", "12/27", "123"]) | st.text(max_size=8), max_size=8))
def test_whatever_stands_beside_it_personal_data_with_check_digits_goes(redactor: Redactor, pieces: list[str]) -> None:
    redacted = redactor.redact_text(" ".join(pieces))

    assert not any(secret in redacted for secret in SECRETS)
