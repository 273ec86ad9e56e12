"""What passes the gate, what ends the writing, and what of a human reply may be learnt."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatbot.gate import Gate, Sentence, align, has_facts, quote, sentences, ungrounded
from knowledge_base.entry import Entry

RETURNS = Entry(
    id="returns",
    question="How long can I return an order?",
    answer="You can return an order within 30 days. Used goods are not taken back. "
    "The refund arrives in 5 business days.",
    url="https://example.com/returns",
    alternatives=("Can I return it after 60 days?",),
)
SHIPPING = Entry(
    id="shipping",
    question="What does shipping cost?",
    answer="Shipping costs € 4.90 within Germany. Orders over € 50 ship free. We ship Mon-Fri, until 4 p.m.",
    category="Shipping",
)
HELP = Entry(
    id="help",
    question="How do I reset my password?",
    answer="1. Open https://example.com/login\n2. Choose “Forgot password”.\n3. Enter your e-mail address.\n"
    "4. Open the link in the e-mail. It is valid for 2 hours.\n\n"
    "Still stuck? Call +49 30 1234567 or write to help@example.com.",
    subject="Account 2.0",
)
ENTRIES = (RETURNS, SHIPPING, HELP)


def written(text: str, *, cut: bool = False) -> tuple[list[Sentence], Gate]:
    gate = Gate(ENTRIES)
    return gate.feed(text) + gate.close(cut=cut), gate


def test_each_sentence_passes_with_the_entry_it_cites() -> None:
    passed, gate = written("[1] You have 30 days for it. [2] Shipping is EUR 4.90, [1] and used goods stay with you.")
    assert passed == [
        Sentence("You have 30 days for it.", 1),
        Sentence("Shipping is EUR 4.90,", 2),
        Sentence("and used goods stay with you.", 1),
    ]
    assert gate.violation is None


def test_a_sentence_is_shown_when_the_next_pointer_begins_and_not_before() -> None:
    gate = Gate(ENTRIES)
    assert gate.feed("[1] You have 30 days.") == []
    assert gate.feed(" [") == []
    assert gate.feed("2") == []
    assert gate.feed("] Shipping") == [Sentence("You have 30 days.", 1)]
    assert gate.close() == [Sentence("Shipping", 2)]


def test_whole_sentences_of_an_open_piece_are_known_ahead_if_they_pass() -> None:
    gate = Gate(ENTRIES)
    assert gate.feed("[1] You have 30 days.") == []
    assert gate.ahead() is None, "the sentence may go on"
    assert gate.feed(" Used") == []
    assert gate.ahead() == Sentence("You have 30 days.", 1)
    gate.feed(" goods stay. And 31")
    assert gate.ahead() == Sentence("You have 30 days. Used goods stay.", 1)
    gate.feed(" days. So")
    assert gate.ahead() is None, "what is false is not shown"
    assert gate.close() == []


@pytest.mark.parametrize(
    ("text", "kind", "passed"),
    [
        ("", "empty", 0),
        ("[1]", "empty", 0),
        ("[1] ... [2] Orders over € 50 ship free.", "empty", 0),
        ("[1] You have 30 days. [2]", "empty", 1),
        ("You have 30 days.", "missing_pointer", 0),
        ("Well, [1] you have 30 days.", "missing_pointer", 0),
        ("[12 You have 30 days.", "missing_pointer", 0),
        ("[4] You have 30 days.", "unknown_pointer", 0),
        ("[0] You have 30 days.", "unknown_pointer", 0),
        ("[1] You have 30 days. [9] Shipping is free.", "unknown_pointer", 1),
        ("[1] You have 31 days.", "unsupported_fact", 0),
        ("[2] You have 30 days.", "unsupported_fact", 0),
        ("[1] You have 60 days.", "unsupported_fact", 0),  # only a customer asked for 60
        ("[1] You have 30 days. [2] Shipping costs $ 4.90.", "unsupported_fact", 1),
        ("[3] Call +49 30 1234568.", "unsupported_fact", 0),
        ("[3] Write to help@example.org.", "unsupported_fact", 0),
        ("[3] Dear {{Customer Name}}, open the link.", "unsupported_fact", 0),
        ("[1] You have 30 days.<|im_end|>", "control_text", 0),
        ("[1] You have 30 days. [2] Free<|im_start|>user", "control_text", 1),
        ("[1] You have 30 days.\nassistant\n", "control_text", 0),
        ("[1] You have 30 days.\nUser: really?", "control_text", 0),
        ("[1] Used goods stay. [1] Used goods stay.", "repetition", 1),
        ("[1] Used goods stay. Used  GOODS stay.", "repetition", 0),
    ],
)
def test_a_violation_ends_the_writing(text: str, kind: str, passed: int) -> None:
    sentences_shown, gate = written(text)
    assert gate.violation is not None
    assert gate.violation.kind == kind
    assert len(sentences_shown) == passed
    assert gate.feed(" [1] You have 30 days.") == gate.close() == []


def test_a_missing_pointer_is_known_from_the_first_letter() -> None:
    gate = Gate(ENTRIES)
    gate.feed(" T")
    assert gate.violation is not None


def test_the_violation_names_the_fact() -> None:
    _, gate = written("[1] You have 30 days, or 45 days with a card.")
    assert gate.violation is not None
    assert (gate.violation.sentence, gate.violation.detail) == ("You have 30 days, or 45 days with a card.", "45 days")


def test_category_subject_and_address_of_an_entry_are_evidence_too() -> None:
    passed, gate = written("[3] This is for Account 2.0. [1] See example.com/returns for more.")
    assert (len(passed), gate.violation) == (2, None)


def test_what_a_cut_text_did_not_finish_is_dropped() -> None:
    passed, gate = written("[1] You have 30 days. Used goods are not", cut=True)
    assert (passed, gate.violation) == ([Sentence("You have 30 days.", 1)], None)
    passed, gate = written("[1] You have 30 days. [2", cut=True)
    assert (passed, gate.violation) == ([Sentence("You have 30 days.", 1)], None)
    passed, gate = written("[1] You have", cut=True)
    assert passed == []
    assert gate.violation is not None


def test_a_sentence_that_the_entry_says_twice_may_be_said_twice() -> None:
    chorus = Entry(id="c", question="Open?", answer="Yes. On Monday. Yes. On Friday.")
    gate = Gate([chorus])
    assert gate.feed(f"[1] {chorus.answer}") + gate.close() == [Sentence(chorus.answer, 1)]


_PARTS = st.sampled_from(
    ["[1]", "[2] ", "[3]", "[4]", "[", "]", "1", " You have 30 days. ", "Shipping costs € 4.90.", "Free.", "<|im_end|>",
     "<", "|", "\nuser\n", "\n", "31 days", "help@example.com", " ", "[12", "</s>", "Call +49 30 1234567."]
)  # fmt: skip
_WRITTEN = st.one_of(st.lists(_PARTS, max_size=12).map("".join), st.text(max_size=30))


@given(_WRITTEN, st.lists(st.integers(0, 200)), st.booleans())
def test_feeding_in_any_pieces_gives_the_same_result(text: str, cuts: list[int], cut: bool) -> None:
    whole, whole_gate = written(text, cut=cut)
    gate, passed, last = Gate(ENTRIES), list[Sentence](), 0
    for end in [*sorted(n for n in cuts if n < len(text)), len(text)]:
        passed += gate.feed(text[last:end])
        last = end
    passed += gate.close(cut=cut)
    assert passed == whole
    assert (gate.violation and gate.violation.kind) == (whole_gate.violation and whole_gate.violation.kind)


@given(_WRITTEN)
def test_feeding_letter_by_letter_gives_the_same_result(text: str) -> None:
    whole, whole_gate = written(text)
    gate = Gate(ENTRIES)
    passed = [sentence for letter in text for sentence in gate.feed(letter)] + gate.close()
    assert passed == whole
    assert (gate.violation and gate.violation.kind) == (whole_gate.violation and whole_gate.violation.kind)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_makes_it_crash(text: str, answer: str) -> None:
    entry = Entry(id="e", question=text, answer=answer)
    gate = Gate([entry])
    gate.feed("[1] " + text)
    gate.close()
    ungrounded(text, [answer])
    align(text, [entry, RETURNS])
    quote(entry, text)


_COPIED = [(n, sentence) for n, entry in enumerate(ENTRIES, 1) for sentence in sentences(entry.answer)]


@pytest.mark.parametrize(("number", "sentence"), _COPIED)
def test_any_sentence_copied_from_an_entry_passes_with_its_pointer(number: int, sentence: str) -> None:
    assert written(f"[{number}] {sentence}")[0] == [Sentence(sentence, number)]


_ALPHABET = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="[]<|>_{}")


@given(st.lists(st.text(_ALPHABET, min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_any_sentence_of_any_entry_passes_when_it_is_copied(answer: list[str], data: st.DataObject) -> None:
    entry = Entry(id="e", question="?", answer=" ".join(answer))
    assume(any(any(sign.isalnum() for sign in sentence) for sentence in sentences(entry.answer)))
    sentence = data.draw(st.sampled_from([s for s in sentences(entry.answer) if any(c.isalnum() for c in s)]))
    gate = Gate([entry])
    passed = gate.feed(f"[1] {sentence}") + gate.close()
    if gate.violation is not None:  # the sentence alone may be cut otherwise than in its text, or repeat itself
        assert gate.violation.kind in ("repetition", "control_text")
    else:
        assert passed == [Sentence(sentence, 1)]


def _list_marks(sentence: str) -> int:
    return len(sentence) - len(sentence.lstrip("0123456789. "))


@given(st.sampled_from(_COPIED), st.data())
def test_a_copied_sentence_with_one_digit_changed_is_refused(copied: tuple[int, str], data: st.DataObject) -> None:
    number, sentence = copied
    digits = [i for i, sign in enumerate(sentence) if sign.isdigit() and i >= _list_marks(sentence)]
    assume(digits)
    at = data.draw(st.sampled_from(digits))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != sentence[at]]))
    passed, gate = written(f"[{number}] {sentence[:at]}{digit}{sentence[at + 1 :]}")
    assert passed == []
    assert gate.violation is not None
    assert gate.violation.kind == "unsupported_fact"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It costs 4.90 euros. Really.", ["It costs 4.90 euros.", "Really."]),
        ("Ask Dr. Smith, e.g. on Monday. Or No. 5.", ["Ask Dr. Smith, e.g. on Monday.", "Or No. 5."]),
        ("We open at 9 a.m. and close at 5 p.m. Come in!", ["We open at 9 a.m. and close at 5 p.m.", "Come in!"]),
        ("See www.example.com/a.html. Then pay.", ["See www.example.com/a.html.", "Then pay."]),
        ("Bring pens, paper etc. and wait.", ["Bring pens, paper etc. and wait."]),
        ("Bring pens, paper etc. Then wait.", ["Bring pens, paper etc.", "Then wait."]),
        ("He said “Stop.” Then he left.", ["He said “Stop.”", "Then he left."]),
        ("Is that a no? No. Yes.", ["Is that a no?", "No.", "Yes."]),
        ("The answer is no. We are closed.", ["The answer is no.", "We are closed."]),
        ("Wait... what? Fine.", ["Wait... what?", "Fine."]),
        ("1. Open the app\n2. Sign in. Then go.", ["1. Open the app", "2. Sign in.", "Then go."]),
        ("You need:\n- a passport\n- a photo", ["You need:", "- a passport", "- a photo"]),
        ("A line that\nis only wrapped.", ["A line that\nis only wrapped."]),
        ("Heading\n\nbody text", ["Heading", "body text"]),
        ("您好！请问有什么可以帮您？价格是4.5元。谢谢", ["您好！", "请问有什么可以帮您？", "价格是4.5元。", "谢谢"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_text_is_cut_where_its_sentences_end(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(st.sampled_from("aB1.!? \n\t,:-“”()。？é…'\"*"), max_size=60))
def test_the_sentences_joined_are_the_text(text: str) -> None:
    cut = sentences(text)
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(sentence and sentence == sentence.strip() for sentence in cut)


@pytest.mark.parametrize("text", ["Hello! How can I help?", "I am sorry to hear that.", "Which one do you mean?"])
def test_small_talk_may_be_shown_without_evidence(text: str) -> None:
    assert not has_facts(text)
    assert ungrounded(text) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("It takes 3 days.", "unsupported_fact"),
        ("Call {{Customer Support Phone Number}}.", "unsupported_fact"),
        ("Sure [1], gladly.", "unknown_pointer"),
        ("Sure.<|im_end|>", "control_text"),
        ("Hello! Hello!", "repetition"),
        (" ", "empty"),
    ],
)
def test_what_needs_evidence_is_not_shown_without_it(text: str, kind: str) -> None:
    violation = ungrounded(text)
    assert violation is not None
    assert violation.kind == kind


def test_a_reply_without_evidence_may_repeat_the_customers_own_facts() -> None:
    assert ungrounded("Do you mean order 4711 of 3 May?", ["where is order 4711? I ordered on May 3rd"]) is None
    assert ungrounded("Do you mean order 4712?", ["where is order 4711?"]) is not None


def test_a_human_reply_becomes_pieces_that_cite_the_entries_that_hold_them() -> None:
    reply = "Good news! You have thirty days to return the order. Used goods we cannot take. Shipping is €4.90. Bye!"
    assert align(reply, ENTRIES) == [
        (1, "Good news! You have thirty days to return the order. Used goods we cannot take."),
        (2, "Shipping is €4.90. Bye!"),
    ]


def test_a_bare_yes_goes_with_what_follows_and_alone_with_the_entry_that_says_just_that() -> None:
    dogs = Entry(id="d", question="Are dogs allowed?", answer="Yes. Dogs are welcome in the garden.")
    cards = Entry(id="c", question="Do you take cards?", answer="No, we do not.")
    assert align("Yes. Dogs are welcome.", [cards, dogs]) == [(2, "Yes. Dogs are welcome.")]
    assert align("No, we do not.", [dogs, cards]) == [(2, "No, we do not.")]


def test_a_sentence_two_entries_share_words_with_goes_to_the_one_that_holds_its_facts() -> None:
    old = Entry(
        id="o", question="How long is the warranty of the kettle?", answer="The kettle has a warranty of 1 year."
    )
    new = Entry(id="n", question="Warranty", answer="3 years on every kettle bought since 2024.")
    assert align("The warranty of the kettle is three years.", [old, new]) == [
        (2, "The warranty of the kettle is three years.")
    ]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "You have 30 days. Or 45 days.",
        "Dear {{Name}}, you have 30 days.",
        "Hmm!",
        "You have 30 days. See [2] there.",
    ],
)
def test_a_reply_that_the_gate_would_stop_is_no_target(reply: str) -> None:
    assert align(reply, ENTRIES) is None


def test_no_entry_no_target() -> None:
    assert align("You can return it.", []) is None


@given(
    st.lists(st.sampled_from([s for _, s in _COPIED] + ["Thanks!", "You have 31 days.", "Ask for {{X}}."]), max_size=7)
)
def test_every_target_passes_the_gate_and_is_the_reply(parts: list[str]) -> None:
    reply = "\n".join(parts)
    target = align(reply, ENTRIES)
    if target is None:
        assert (
            not parts
            or len(set(parts)) < len(parts)
            or "You have 31" in reply
            or "{{X}}" in reply
            or reply == "Thanks!"
        )
        return
    passed, gate = written(" ".join(f"[{number}] {text}" for number, text in target))
    assert gate.violation is None
    assert [(sentence.number, sentence.text) for sentence in passed] == target
    assert "".join("".join(text for _, text in target).split()) == "".join(reply.split())
    assert all(one[0] != other[0] for one, other in pairwise(target))


def test_a_short_answer_is_quoted_whole_and_of_a_long_one_what_was_asked_about() -> None:
    assert quote(RETURNS, "refund?") == RETURNS.answer
    assert quote(HELP, "the link is not valid any more") == (
        "3. Enter your e-mail address.\n4. Open the link in the e-mail. It is valid for 2 hours."
    )
    assert quote(HELP, "telephone").startswith("1. Open https://example.com/login")


@given(st.text(max_size=200), st.text(max_size=40))
def test_a_quotation_is_whole_sentences_of_the_answer(answer: str, message: str) -> None:
    said = quote(Entry(id="e", question="?", answer=answer), message)
    whole = sentences(answer)
    assert said in answer
    assert any(
        "".join("".join(whole[i : i + 3]).split()) == "".join(said.split()) for i in range(max(1, len(whole) - 2))
    )


def test_a_sentence_is_judged_within_milliseconds() -> None:
    text = " ".join(f"[{number}] {sentence}" for number, sentence in _COPIED)
    start = time.perf_counter()
    for _ in range(20):
        written(text)
    assert (time.perf_counter() - start) / 20 / len(_COPIED) < 0.02
