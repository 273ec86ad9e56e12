"""The renderer: no content makes a control token, the conversation keeps its form, and long ones lose their beginning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.engines.bases import Base
from chatbot.engines.tokenizer import BaseTokenizer
from chatbot.prompt import KNOWLEDGE_TOKENS, MAX_ENTRIES, Marks, Renderer, clean
from chatbot.types import Message, Role
from knowledge_base.entry import Entry

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u202e\U000e0041"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.fixture(scope="session", params=["tiny", "default"])
def rendering(request: pytest.FixtureRequest) -> tuple[Renderer, BaseTokenizer]:
    """A renderer with its tokenizer: that of the random base and that of the real one."""
    if request.param == "tiny":
        return request.getfixturevalue("tiny_renderer"), BaseTokenizer(request.getfixturevalue("tiny_base"))
    base: Base = request.getfixturevalue("default_base")
    return request.getfixturevalue("default_renderer"), BaseTokenizer(base.folder)


PLACES: dict[str, Callable[[str, str, str], str]] = {
    "alone": lambda token, _before, _after: token,
    "at the start": lambda token, _before, after: f"{token}{after}",
    "at the end": lambda token, before, _after: f"{before}{token}",
    "in the middle": lambda token, before, after: f"{before}{token}{after}",
    "split by invisible characters": lambda token, before, after: (
        before + "".join(f"{sign}{ZERO_WIDTH[i % len(ZERO_WIDTH)]}" for i, sign in enumerate(token)) + after
    ),
}
KINDS: dict[str, Callable[[Renderer, str], list[list[int]]]] = {
    "message": lambda r, text: [r.message(Message("user", text)), r.message(Message("assistant", text))],
    "entry": lambda r, text: [r.knowledge([Entry("1", text, "Yes."), Entry("2", "Title", text)])],
    "written sentence": lambda r, text: [r.written([(1, text), (2, text)]), r.written([(None, text)])],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_content_produces_a_control_token(rendering: tuple[Renderer, BaseTokenizer], kind: str, place: str) -> None:
    renderer, tokenizer = rendering

    def control(text: str) -> list[list[int]]:
        return [[i for i in ids if i in tokenizer.added_ids] for ids in KINDS[kind](renderer, text)]

    frames = control("harmless")

    @settings(max_examples=15, deadline=None)
    @given(TEXTS, TEXTS)
    def holds(before: str, after: str) -> None:
        for token in tokenizer.added_texts:
            assert control(PLACES[place](token, before, after)) == frames, token

    holds()


def test_no_system_text_produces_a_control_token(tiny_base: object, rendering: tuple[Renderer, BaseTokenizer]) -> None:
    _, tokenizer = rendering
    frames = [i for i in Renderer(tokenizer, Marks(), "harmless").system if i in tokenizer.added_ids]
    for token in tokenizer.added_texts:
        hostile = Renderer(tokenizer, Marks(), f"Be {token} kind").system
        assert [i for i in hostile if i in tokenizer.added_ids] == frames


@settings(max_examples=200)
@given(st.text(max_size=60))
def test_cleaning_twice_is_cleaning_once_and_leaves_nothing_invisible(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not set(once) & set(ZERO_WIDTH)
    assert once == once.strip()
    assert once.encode("utf-8").decode("utf-8") == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see [1] and [ 23 ]", "see (1) and (23)"),
        ("[\u200b1\u200b]", "(1)"),
        ("[１]", "(１)"),
        ("a [link] stays", "a [link] stays"),
        ("  two\r\nlines\rhere \n", "two\nlines\nhere"),
        ("Cafe\u0301", "Café"),
    ],
)
def test_content_is_cleaned(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_a_pointer_in_content_never_has_the_ids_of_a_pointer(rendering: tuple[Renderer, BaseTokenizer]) -> None:
    renderer, tokenizer = rendering
    pointer = tokenizer.frame("[1] ")
    assert renderer.written([(1, "Yes.")])[: len(pointer)] == pointer
    assert renderer.written([(None, "[1] Yes.")])[: len(pointer)] != pointer
    assert "[1]" not in renderer.text(renderer.message(Message("user", "say [1] now")))


def test_a_path_reads_as_the_form_of_a_turn(rendering: tuple[Renderer, BaseTokenizer]) -> None:
    renderer, tokenizer = rendering
    whole = tokenizer.frame  # our own marks and harmless words

    def turn(role: str, content: str) -> list[int]:
        return whole(f"<|im_start|>{role}\n") + tokenizer.content(content) + whole("<|im_end|>\n")

    messages = [Message("user", "Hello"), Message("assistant", "Hi!"), Message("user", "Bye"), Message("user", "now")]
    said = [i for m in messages for i in turn(m.role, m.content)]
    trunk = renderer.system + said
    assert renderer.trunk(messages) == trunk
    assert renderer.understanding(messages) == trunk + whole("<|im_start|>assistant\n")
    entries = [Entry("a", "Returns?", "Free."), Entry("b", "Hours?", "Nine to five.")]
    knowledge = whole("<|im_start|>knowledge\n")
    for number, entry in enumerate(entries, start=1):
        knowledge += whole(f"[{number}] ") + tokenizer.content(entry.question) + whole("\n")
        knowledge += tokenizer.content(entry.answer) + whole("\n")
    knowledge += whole("<|im_end|>\n")
    assert renderer.evidence(messages, entries) == trunk + knowledge + whole("<|im_start|>assistant\n")
    written = (
        whole("[2] ") + tokenizer.content("Free.") + whole(" [1] ") + tokenizer.content("Yes.") + whole("<|im_end|>")
    )
    assert renderer.written([(2, "Free."), (1, "Yes.")]) == written


def test_a_reply_without_evidence_has_the_same_tokens_written_and_in_the_trunk(tiny_renderer: Renderer) -> None:
    text = "Which order\nis it?"
    stored = tiny_renderer.message(Message("assistant", text))
    written = tiny_renderer.reply_head + tiny_renderer.written([(None, text)])
    assert stored[: len(written)] == written


def test_the_system_text_is_at_most_48_tokens_and_the_same_for_every_conversation(tiny_base: object) -> None:
    tokenizer = BaseTokenizer(tiny_base)  # type: ignore[arg-type]
    long = Renderer(tokenizer, Marks(), "word " * 200)
    short = Renderer(tokenizer, Marks(), "")
    assert len(long.system) - len(short.system) == 48


conversations = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.integers(1, 1500)), min_size=1, max_size=14
)


@settings(max_examples=40, deadline=None)
@given(rows=conversations)
def test_a_long_conversation_loses_its_older_half_at_once_and_keeps_the_last_message(
    tiny_renderer: Renderer, rows: Sequence[tuple[Role, int]]
) -> None:
    messages = [Message(role, "ab " * count) for role, count in rows]
    segments = [tiny_renderer.message(message) for message in messages]
    firsts = tiny_renderer.firsts(segments)
    for last, first in enumerate(firsts):
        kept = [i for segment in segments[first : last + 1] for i in segment]
        trunk = tiny_renderer.trunk(messages[: last + 1])
        assert trunk == tiny_renderer.system + kept
        assert len(trunk) <= tiny_renderer.trunk_tokens or first == last
        before = firsts[last - 1] if last else 0
        assert first in (before, last) or first - before >= (last - before) // 2
        if first > before:
            fits = len(tiny_renderer.system) + sum(len(segment) for segment in segments[before : last + 1])
            assert fits > tiny_renderer.trunk_tokens, "turns were dropped though they fitted"


def test_the_path_of_a_turn_never_exceeds_the_context(tiny_renderer: Renderer) -> None:
    messages = [Message("user", "ab " * 20000)] * 7
    entries = [Entry(str(i), "Question", "word " * 5000) for i in range(MAX_ENTRIES)]
    path = tiny_renderer.evidence(messages, tiny_renderer.fitting(entries))
    assert len(path) <= 4096 - 256 + len(tiny_renderer.reply_head)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 400), min_size=1, max_size=8))
def test_entries_that_fit_stand_whole_in_the_knowledge_segment(tiny_renderer: Renderer, sizes: Sequence[int]) -> None:
    entries = [Entry(str(i), f"Title {i}", "xy " * size + "end.") for i, size in enumerate(sizes)]
    fitting = tiny_renderer.fitting(entries)
    assert fitting == tuple(entries[: len(fitting)])
    assert 1 <= len(fitting) <= MAX_ENTRIES
    ids = tiny_renderer.knowledge(fitting)
    assert len(ids) <= KNOWLEDGE_TOKENS
    shown = tiny_renderer.text(ids)
    if len(fitting) > 1:
        assert shown.count("end.") == len(fitting)
    if len(fitting) < min(len(entries), MAX_ENTRIES):
        more = sum(len(tiny_renderer.knowledge([entry])) for entry in entries[: len(fitting) + 1])
        assert more > KNOWLEDGE_TOKENS, "an entry was left out though it fitted"


def test_the_first_entry_is_cut_when_it_alone_is_too_long(tiny_renderer: Renderer) -> None:
    entry = Entry("1", "Title", "xy " * 3000)
    assert tiny_renderer.fitting([entry]) == (entry,)
    ids = tiny_renderer.knowledge([entry])
    close = tiny_renderer.message(Message("user", ""))[-2:]
    assert len(ids) == KNOWLEDGE_TOKENS
    assert ids[-2:] == close
