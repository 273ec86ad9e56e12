"""Which facts stand in a source, and which do not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.facts import facts, unsupported_facts
from chatbot.quantities import canonical

# Pairs of what is said and what is known.
SUPPORTED = [
    ("30 days", "Returns are accepted within 30 days."),
    ("thirty days", "You have 30 days."),
    ("30 days", "thirty days"),
    ("a 30-day return period", "within 30 days"),
    ("two weeks", "It takes 2 weeks."),
    ("twenty-one days", "21 days"),
    ("one hundred and twenty items", "120 items"),
    ("a dozen eggs", "12 eggs"),
    ("within a week", "in 1 week"),
    ("one week", "takes a week"),
    ("half an hour", "0.5 hours"),
    ("1.5 hours", "one and a half hours"),
    ("2½ hours", "2.5 hours"),
    ("30", "30 days"),
    ("30 days", "Return period (days): 30"),
    ("3 days", "3 to 5 days"),
    ("from three to five days", "3-5 days"),
    ("4 nights", "2, 3 or 4 nights"),
    ("2 nights", "2, 3 or 4 nights"),
    ("5 business days", "5 working days"),
    ("5 full business days", "5 business days"),
    ("30 calendar days", "30 days"),
    ("€5", "5 euros"),
    ("€5", "5 EUR"),
    ("EUR 5", "5 €"),
    ("5.00 euro", "€5"),
    ("€ 19.90", "19,90 EUR"),
    ("EUR 19.9", "€19.90"),
    ("$5", "5 dollars"),
    ("$5", "US$5"),
    ("£5", "5 pounds"),
    ("€10", "€5-10"),
    ("$1,204.50", "1204.5 USD"),
    ("1.204,50 €", "€1,204.50"),
    ("1\u202f204 people", "1,204 people"),
    ("5 million euros", "€5,000,000"),
    ("$5k", "$5,000"),
    ("€5 per night", "5 EUR/night"),
    ("€5 a night", "5 euros per night"),
    ("€5", "€5 per night"),
    ("GBP 50 per night", "GBP 50 per person, per night"),
    ("€5 per day", "Parking costs 5 EUR. The price is per day."),
    ("50 %", "50%"),
    ("fifty percent", "50 %"),
    ("5 per cent", "5%"),
    ("-5 °C", "−5 degrees Celsius"),
    ("5kg", "5 kilograms"),
    ("10 x 20 cm", "10×20cm"),
    ("2 suitcases", "2 large suitcases"),
    ("2 bedrooms", "a 2-bedroom flat"),
    ("the 2nd floor", "on the second floor"),
    ("the second floor", "2nd floor"),
    ("12 March 2026", "2026-03-12"),
    ("March 12th, 2026", "12.03.2026"),
    ("12th of March", "on 12 March 2026"),
    ("the third of March", "3 March"),
    ("12 March", "12-14 March"),
    ("14 March", "12 to 14 March 2026"),
    ("in March", "12 March 2026"),
    ("March 2026", "12 March 2026"),
    ("2026", "12 March 2026"),
    ("on the 12th", "12 March"),
    ("13/03/2026", "13 March 2026"),
    ("05/06/2026", "5/6/2026"),
    ("on Mondays", "Mon-Fri"),
    ("Sunday", "Sat & Sun"),
    ("9 am", "09:00"),
    ("9:00 a.m.", "9am"),
    ("nine o'clock", "9:00"),
    ("3 pm", "15:00"),
    ("from 3 to 5 pm", "3:00 pm - 5:00 pm"),
    ("3 pm", "3-5 pm"),
    ("9 am", "9 to 5 pm"),
    ("noon", "12 pm"),
    ("midnight", "12 am"),
    ("open until 9", "open until 9 pm"),
    ("9 in the morning", "9 am"),
    ("https://example.com/returns", "See www.example.com/returns/."),
    ("Example.COM", "http://example.com"),
    ("Help@Example.com", "help@example.com"),
    ("+49 30 1234567", "0049 (30) 123-4567"),
    ("+49 (0)30 1234567", "+49 30 123 4567"),
    ("555-1234567", "(555) 123 4567"),
    ("0301234567", "030 1234567"),
    ("030 1234567", "0301234567"),
    ("save20", "SAVE20"),
    ("{{ website  name }}", "{{Website Name}}"),
    ("３０ ｄａｙｓ", "30 days"),
    ("**30** days", "30 days"),
    ("30\u00a0days", "30 days"),
    ("2 times a day", "twice a day"),
    ("2026年3月12日", "12 March 2026"),
    ("下午3点", "15:00"),
    ("三天", "3天"),
    ("5元", "¥5"),
    ("三个工作日", "3 business days"),
    ("百分之五", "5%"),
    ("星期一", "周一"),
]

NOT_SUPPORTED = [
    ("30 days", "31 days"),
    ("30 days", "30 euros"),
    ("30 days", "30 weeks"),
    ("30 days", "30 customers a day"),
    ("30 days", "130 days"),
    ("30 days", "300 days"),
    ("30 days", "3.0 days, 0 nights"),
    ("30 days", "thirteen days"),
    ("30 days", "30 business days"),
    ("30 business days", "30 days"),
    ("24 hours", "1 day"),
    ("two weeks", "2 months"),
    ("within a week", "within a month"),
    ("4 days", "3 to 5 days"),
    ("half an hour", "1 hour"),
    ("1.5 hours", "15 hours"),
    ("5 shops", "5 customers"),
    ("€5", "$5"),
    ("€5", "5 pounds"),
    ("€5", "5 %"),
    ("€5", "5"),
    ("5 kg", "£5"),
    ("€19.90", "€19.09"),
    ("€19.90", "€1,990"),
    ("€19", "€19.90"),
    ("$12,000", "$1,200"),
    ("€2.500", "€2,500"),
    ("€5 per week", "€5 per night"),
    ("GBP 50 per week", "GBP 50 per person, per night"),
    ("€5 per person", "€5"),
    ("5 %", "50 %"),
    ("5 °C", "-5 °C"),
    ("5 kg", "5 lbs"),
    ("5 cm", "5 km"),
    ("10 GB", "10 MB"),
    ("2nd floor", "3rd floor"),
    ("2nd floor", "2 floors"),
    ("5 million", "5 thousand"),
    ("12 March", "March"),
    ("12 March 2026", "12 March"),
    ("12 March 2026", "12 March 2025"),
    ("12 March", "12 May"),
    ("12 March", "the 12th, and in March"),
    ("05/06/2026", "6/5/2026"),
    ("05/06/2026", "5 June 2026"),
    ("12 people", "12 March"),
    ("Monday", "Tuesday"),
    ("Wednesday", "Mon-Fri"),
    ("3 pm", "3 am"),
    ("3 pm", "3:00"),
    ("9 am", "9:30 am"),
    ("9 hours", "9 am"),
    ("9 am", "9 hours"),
    ("noon", "midnight"),
    ("12 pm", "12 am"),
    ("17 am", "5 pm"),
    ("example.com", "example.org"),
    ("example.com/refunds", "example.com/returns"),
    ("example.com/returns", "example.com"),
    ("shop.example.com", "example.com"),
    ("help@example.com", "sales@example.com"),
    ("help@example.com", "example.com"),
    ("+49 30 1234567", "+49 30 1234568"),
    ("+49 30 1234567", "+1 30 1234567"),
    ("030 1234567", "30 1234567"),
    ("0180 items", "180 items"),
    ("ABC-123", "ABC-124"),
    ("ABC-123", "ABD-123"),
    ("SAVE20", "20 %"),
    ("call {{Phone Number}}", "call 030 1234567"),
    ("{{Phone Number}}", "{{Website Name}}"),
    ("[Customer Support]", "Customer Support"),
    ("24/7", "24 hours, 7 days"),
    ("3天", "3周"),
    ("5元", "5欧元"),
    ("下午3点", "上午3点"),
    ("3月12日", "3月13日"),
    ("2 days", "1. Pay\n2. Wait some days"),
]


@pytest.mark.parametrize(("said", "known"), SUPPORTED)
def test_a_fact_that_stands_in_the_source_in_other_words_is_supported(said: str, known: str) -> None:
    assert facts(said)
    assert unsupported_facts(said, [known]) == ()


@pytest.mark.parametrize(("said", "known"), NOT_SUPPORTED)
def test_another_fact_is_not_supported(said: str, known: str) -> None:
    assert unsupported_facts(said, [known])


@pytest.mark.parametrize(
    "text",
    [
        "This one is fine.",
        "One of our team will help you, one way or another.",
        "Just one moment, please.",
        "Have a nice day!",
        "You may march on.",
        "You may or may not like it.",
        "First, open the app. Second, sign in.",
        "Thanks a lot, e.g. for waiting.",
        "1. Open the app\n2. Sign in",
        "Your order.It ships soon.",
        "Could you tell me a bit more?",
        "I am sorry, the sun was in my eyes and I sat down.",
        "快一点好吗？",
    ],
)
def test_talk_without_a_quantity_has_no_facts(text: str) -> None:
    assert facts(text) == ()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("4711", "number"),
        ("€ 5", "price"),
        ("5 %", "percent"),
        ("3rd", "ordinal"),
        ("12 May", "date"),
        ("Friday", "weekday"),
        ("17:30", "time"),
        ("www.example.com", "link"),
        ("@example_shop", "link"),
        ("a.b@example.com", "email"),
        ("+1 800 555 0100", "phone"),
        ("WH-1000XM4", "code"),
        ("{{Name}}", "placeholder"),
        ("______", "placeholder"),
    ],
)
def test_each_kind_of_fact_is_read_as_one_fact_of_its_kind(text: str, kind: str) -> None:
    assert [(fact.kind, fact.text) for fact in facts(f"So: {text}, they said.")] == [(kind, text)]


def test_facts_come_in_the_order_of_the_text() -> None:
    found = facts("Write to a@b.com by 5 May, pay €5 for 2 days and call 030 1234567 at 9 am.")
    assert [fact.kind for fact in found] == ["email", "date", "price", "number", "phone", "time"]


def test_two_sources_together_hold_what_each_holds() -> None:
    assert unsupported_facts("30 days for €5", ["30 days", "€5"]) == ()
    assert [fact.text for fact in unsupported_facts("30 days for €6", ["30 days", "€5"])] == ["€6"]


def test_without_a_source_every_fact_is_unsupported() -> None:
    assert unsupported_facts("30 days", []) == facts("30 days")


def test_no_digit_of_a_long_number_is_lost() -> None:
    long = "9" * 400
    assert unsupported_facts(long, [long]) == ()
    assert unsupported_facts(long[:-1] + "8", [long])


@given(st.integers(0, 10**12), st.integers(0, 999))
def test_a_number_is_the_same_however_it_is_grouped(whole: int, thousandths: int) -> None:
    plain = f"{whole}.{thousandths:03}"
    if whole >= 1000:
        english = f"{whole:,}.{thousandths:03}"
        continental = english.translate(str.maketrans(",.", ".,"))
        assert canonical(english) == canonical(continental) == canonical(plain)
    assert float(canonical(plain)) == float(plain)


_SNIPPETS = st.sampled_from(
    ["30 days", "€5", "$1,204.50", "12 March 2026", "9 am", "9:30", "a@b.com", "www.x.com/y", "+49 30 1234567", "ABC-1",
     "{{Name}}", "one", "two", "half", " ", ".", ",", "-", "–", "\n", "(", ")", "per night", "to", "and", "May", "Mon",
     "x", "%", "三天", "元", "3月", "下午", "点", "½", "/", "5", "0", "#", "*", "[1]", "{{", "°", "\x00", "٣", "²"]
)  # fmt: skip
_TEXTS = st.one_of(
    st.text(max_size=80), st.lists(_SNIPPETS, max_size=14).map("".join), st.lists(_SNIPPETS).map(" ".join)
)


@given(_TEXTS)
def test_any_text_has_facts_that_stand_in_it_and_supports_itself(text: str) -> None:
    found = facts(text)
    assert all(fact.text in text and fact.value is not None for fact in found)
    assert unsupported_facts(text, [text]) == ()


@given(_TEXTS, st.integers(0, 9))
def test_a_digit_behind_any_text_is_a_fact_that_the_text_does_not_hold(text: str, digit: int) -> None:
    said = f"{text}\nThe secret is seven7{digit}7777777 of course."
    assert unsupported_facts(said, [text.replace("7777777", "")])


@pytest.mark.parametrize(
    "unit", ["1", "1 ", "1.", "a.", "a1-", "{{", "one hundred ", "( 1", "10 to ", "1,", "@a", "May 1 ", "9-"]
)
def test_long_hostile_texts_take_no_long_time(unit: str) -> None:
    text = unit * (4000 // len(unit))
    start = time.perf_counter()
    facts(text)
    assert time.perf_counter() - start < 2
