"""Search learns from what customers asked before: which entry answered points at it again, and at no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder, WordEncoder, fill
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge

from chatbot.types import Message
from finetune.calibrate import fit_weights
from finetune.cases import Case
from finetune.data import lessons
from finetune.precedents import find_precedents
from finetune.records import Transcript
from knowledge_base.candidates import REGRESSION, HeldOut
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry
from knowledge_base.precedents import Precedents
from knowledge_base.regression import LEAST_SHARE, RIDGE, WIDTH
from knowledge_base.scorer import FEATURES, Scorer
from knowledge_base.search import KnowledgeBase

ENTRIES = (
    Entry("cost", "What does delivery cost?", "Delivery costs 4.90 euro.", alternatives=("shipping fee",)),
    Entry("time", "How long does delivery take?", "It takes 3 days."),
    Entry("back", "Can I send it back?", "You can return it within 30 days."),
    Entry("care", "How do I clean it?", "Wipe it with water of 40 degrees."),
)


def asked(encoder: Encoder, *pairs: tuple[str, str]) -> Precedents:
    return Precedents(encoder.encode_queries([text for text, _ in pairs]), [answer for _, answer in pairs])


def knowledge(
    home: Path, encoder: Encoder, *pairs: tuple[str, str], entries: Sequence[Entry] = ENTRIES
) -> KnowledgeBase:
    fill(home, entries, encoder)
    return KnowledgeBase.open(home, encoder, asked(encoder, *pairs) if pairs else None)


def pointed(found: KnowledgeBase, message: str, held_out: HeldOut | None = None) -> dict[str, float]:
    """How far the regression points at each entry that has a part in it."""
    candidates = found.candidates(message, held_out=held_out)
    column = candidates.features[:, FEATURES.index(REGRESSION[0])]
    return {entry.id: float(value) for entry, value in zip(candidates.entries, column, strict=True) if value > 0}


def test_what_was_asked_before_finds_what_answered_it(tmp_path: Path) -> None:
    message = "my dog chewed on the box"
    before = pointed(knowledge(tmp_path / "one", HashEncoder()), message)
    assert max(before, key=lambda name: before[name]) != "back"
    found = pointed(knowledge(tmp_path / "two", HashEncoder(), (message, "back")), message)
    assert max(found, key=lambda name: found[name]) == "back"


def test_the_regression_learns_from_texts_and_precedents_alike(tmp_path: Path) -> None:
    encoder = WordEncoder()
    pairs = (("a dog on the box", "back"), ("the fee of the dog", "cost"), ("box of water", "care"))
    found = knowledge(tmp_path, encoder, *pairs)
    rows = [(text, entry.id) for entry in ENTRIES for text in entry.searched_texts] + list(pairs)
    vectors = encoder.encode_queries([text for text, _ in rows])
    targets = np.array([[float(name == entry.id) for entry in ENTRIES] for _, name in rows])
    regression = KernelRidge(alpha=RIDGE, kernel="rbf", gamma=WIDTH).fit(vectors, targets)
    for message in ("the dog", "what box is it", "water"):
        (shares,) = regression.predict(encoder.encode_queries([message]))
        expected = {entry.id: np.log(share / LEAST_SHARE) for entry, share in zip(ENTRIES, shares, strict=True)}
        assert pointed(found, message) == pytest.approx({n: v for n, v in expected.items() if v > 0}, abs=1e-4)


def test_what_answered_then_and_is_not_to_be_found_now_is_not_found(tmp_path: Path) -> None:
    message = "my dog chewed on the box"
    entries = [replace(entry, visibility="internal") if entry.id == "back" else entry for entry in ENTRIES]
    found = knowledge(tmp_path, HashEncoder(), (message, "back"), (message, "gone"), entries=entries)
    assert {entry.id for entry in found.candidates(message).entries} == {"cost", "time", "care"}


def test_a_precedent_speaks_for_every_entry_that_asks_the_same_of_another_subject(tmp_path: Path) -> None:
    inns = [Entry(name, "Is there parking?", f"Yes, at {name}.", subject=name) for name in ("Ivy", "Oak", "Elm")]
    encoder, message = HashEncoder(), "somewhere to leave the car"
    alone = knowledge(tmp_path / "one", encoder, entries=[*inns, *ENTRIES])
    found = knowledge(tmp_path / "two", encoder, (message, "Oak"), entries=[*inns, *ENTRIES])
    gained = {name: value for name, value in pointed(found, message).items() if name in ("Ivy", "Oak", "Elm")}
    assert set(gained) == {"Ivy", "Oak", "Elm"}
    assert min(gained.values()) > max(pointed(alone, message).values(), default=0.0)


@pytest.mark.parametrize("message", ["the dog", "a box, the dog"])
def test_asked_as_if_for_the_first_time_a_message_has_no_precedent(tmp_path: Path, message: str) -> None:
    encoder, other = WordEncoder(), ("a fee of the dog", "cost")
    found = knowledge(tmp_path / "one", encoder, (message, "back"), other)
    without = knowledge(tmp_path / "two", encoder, other)
    assert pointed(found, message, HeldOut()) == pytest.approx(pointed(without, message), abs=1e-5)
    assert pointed(found, message) != pytest.approx(pointed(without, message), abs=1e-2)


def test_an_entry_that_is_held_out_takes_its_precedents_along(tmp_path: Path) -> None:
    message = "my dog chewed on the box"
    found = knowledge(tmp_path, HashEncoder(), (message, "back"))
    assert "back" not in {entry.id for entry in found.candidates(message, held_out=HeldOut("back")).entries}


@given(answers=st.lists(st.text(max_size=8), max_size=6), seed=st.integers(0, 99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_again(tmp_path: Path, answers: list[str], seed: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((len(answers), 5)).astype(np.float32)
    Precedents(vectors, answers).save(tmp_path / "p.safetensors")
    read = Precedents.load(tmp_path / "p.safetensors")
    assert list(read.answers) == answers
    assert np.array_equal(read.vectors, vectors.astype(np.float16).astype(np.float32))


def test_another_file_is_refused_with_its_name(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "p.safetensors"
    path.write_bytes(b"not this")
    with pytest.raises(ValueError, match=r"p\.safetensors cannot be read"):
        Precedents.load(path)
    save_file({"vectors": np.zeros((3, 2), np.float16)}, path, {"answers": '["a", "b"]'})
    with pytest.raises(ValueError, match="expected a vector for each of the answers"):
        Precedents.load(path)


# --- which messages have an answer ------------------------------------------------------------------------------------


def chat(name: str, text: str, reply: Message) -> Transcript:
    return Transcript(name, (Message("user", text), reply))


def test_a_message_is_answered_by_what_the_reply_names_or_by_what_holds_its_facts(tmp_path: Path) -> None:
    encoder = WordEncoder()
    found = knowledge(tmp_path, encoder)
    chats = [
        chat("a", "is it dear", Message("assistant", "Not at all!", evidence=("cost", "time"))),
        chat("b", "may I return the delivery", Message("assistant", "You can return it within 30 days.")),
        chat("c", "hello", Message("assistant", "Hello, how can I help?")),
        chat("d", "wash it", Message("assistant", "Wipe it.", author="bot", evidence=("care",))),
        chat("e", "is it dear", Message("assistant", "No.", evidence=("cost",))),
    ]
    precedents = find_precedents(lessons(chats, found)[0], encoder, 0)
    assert precedents is not None
    assert list(precedents.answers) == ["cost", "time", "back"]
    expected = encoder.encode_queries(["is it dear", "is it dear", "may I return the delivery"])
    assert np.array_equal(precedents.vectors, expected)
    assert find_precedents(lessons(chats[2:4], found)[0], encoder, 0) is None


def test_of_too_many_messages_some_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.precedents.LEARNT_FROM", 5)
    encoder = HashEncoder()
    chats = [chat(str(i), f"question {i}", Message("assistant", "No.", evidence=("cost",))) for i in range(20)]
    taught = lessons(chats, knowledge(tmp_path, encoder))[0]
    kept, again, other = (find_precedents(taught, encoder, seed) for seed in (1, 1, 2))
    assert kept is not None
    assert again is not None
    assert other is not None
    assert len(kept.answers) == 5
    assert np.array_equal(kept.vectors, again.vectors)
    assert not np.array_equal(kept.vectors, other.vectors)


# --- the weights --------------------------------------------------------------------------------------------------------


WAYS = {"cost": "purse", "time": "clock", "back": "regret", "care": "sponge"}  # no entry has these words
FILLERS = ("please", "now", "friend", "sir", "thanks", "then", "oh", "well")


def weighed(home: Path, judged: Mapping[str, str]) -> tuple[KnowledgeBase, Scorer, str]:
    """Fit on chats in which each entry is asked for by a word that it does not have; `judged` is what decides."""
    pairs = [(f"{word} {filler}", name) for name, word in WAYS.items() for filler in FILLERS]
    found = knowledge(home, WordEncoder(), *pairs)
    chats = [chat(text, text, Message("assistant", "So.", evidence=(name,), action="answer")) for text, name in pairs]
    cases = [Case((), found.candidates(text), frozenset([name])) for text, name in judged.items()]
    said: list[str] = []
    return found, fit_weights(found, chats, cases, said.append), "".join(said)


def test_where_past_chats_tell_more_than_the_texts_the_weights_follow_them(tmp_path: Path) -> None:
    found, fitted, said = weighed(tmp_path, {f"{word} madam": name for name, word in WAYS.items()})
    assert "32 turns" in said
    assert "is kept" in said
    for name, word in WAYS.items():
        before, after = found.search(f"{word} madam"), found.search(f"{word} madam", scorer=fitted)
        assert after[0].entry.id == name
        assert after[0].probability > next((hit.probability for hit in before if hit.entry.id == name), 0.0)


def test_weights_that_foresee_the_questions_worse_are_not_kept(tmp_path: Path) -> None:
    names = list(WAYS)
    other = {f"{WAYS[name]} madam": names[place - 1] for place, name in enumerate(names)}
    found, fitted, said = weighed(tmp_path, other)
    assert fitted == found.scorer
    assert "not kept" in said


def test_without_chats_that_entries_answer_the_weights_are_those_of_the_knowledge(tmp_path: Path) -> None:
    found = knowledge(tmp_path, WordEncoder())
    chats = [chat("a", "wash it", Message("assistant", "I cannot say.", action="decline"))]
    assert fit_weights(found, chats, [], lambda _text: None) == found.scorer
    assert fit_weights(found, [], [], lambda _text: None) == found.scorer
