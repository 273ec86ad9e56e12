"""Words of a message beside the likest words of an entry."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder, fill
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from knowledge_base.candidates import HeldOut
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry
from knowledge_base.lexical import LexicalIndex, words
from knowledge_base.scorer import FEATURES
from knowledge_base.search import KnowledgeBase
from knowledge_base.wording import SAMPLE, Wording

WORDS = ("lamp", "lamps", "dim", "return", "refund", "days", "the", "a")
texts_strategy = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), min_size=1, max_size=12)


def vectors_of(asked: Sequence[str]) -> NDArray[np.float32]:
    """Words that begin alike are alike; `a` is unknown."""
    rows = []
    for word in asked:
        row = np.zeros(26, np.float32)
        row[ord(word[0]) - 97] += 2
        row[ord(word[-1]) - 97] += 1
        rows.append(row / np.linalg.norm(row) * (word != "a"))
    return np.array(rows, np.float32).reshape(-1, 26)


def by_hand(texts: Sequence[str], message: str, left_out: Set[str] = frozenset()) -> list[float]:
    """Compute the scores of all texts, the plain way; words that are left out are like themselves only."""
    said = [set(words(text)) for text in texts]
    known = set().union(*said)

    def like(word: str, other: str) -> float:
        if word == other or other in left_out:
            return float(word == other)
        return float(vectors_of([word])[0] @ vectors_of([other])[0])

    def weight(count: int) -> float:
        return math.log(1 + (len(texts) - count + 0.5) / (count + 0.5))

    scores = np.zeros(len(texts))
    for word in dict.fromkeys(words(message)):
        best = np.array([max((like(word, other) for other in own), default=0.0) for own in said]).clip(0)
        rarity = weight(sum(word in own for own in said)) / weight(1)
        scores += rarity * (best - best.mean()) if known else 0
    return [float(score) for score in scores]


@given(texts=texts_strategy, message=st.lists(st.sampled_from((*WORDS, "unheard")), max_size=5).map(" ".join))
def test_scores_are_those_of_comparing_every_word_with_every_other(texts: list[str], message: str) -> None:
    wording = Wording(LexicalIndex.build(texts), vectors_of)
    assert len(texts) <= SAMPLE, "so that every text counts among the usual ones"
    places = np.arange(len(texts))
    assert wording.scores(message, places) == pytest.approx(by_hand(texts, message), abs=1e-5)
    assert wording.scores(message, places[::-1]) == pytest.approx(by_hand(texts, message)[::-1], abs=1e-5)


def test_a_long_message_is_compared_piece_by_piece_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, message = ["lamp days", "lamps return", "refund the lamp", "lamp"], "refunds of lump days returned dimmed"
    places, instead = np.arange(len(texts)), {2: "the days"}
    wording = Wording(LexicalIndex.build(texts), vectors_of)
    whole = wording.scores(message, places, instead)
    monkeypatch.setattr("knowledge_base.wording.AT_ONCE", 2)
    assert wording.scores(message, places, instead) == pytest.approx(whole, abs=1e-5)


def test_scores_stay_the_same_whatever_was_asked_before_and_however_little_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts, asked = (
        ["lamp days", "lamps return", "refund the lamp"],
        ["lump days", "refunds of a lamp", "lamps", "lump the days"],
    )
    places = np.arange(len(texts))
    fresh = [Wording(LexicalIndex.build(texts), vectors_of).scores(message, places) for message in asked]
    for remembered_bytes in (1, 1 << 20):
        monkeypatch.setattr("knowledge_base.wording.REMEMBERED_BYTES", remembered_bytes)
        wording = Wording(LexicalIndex.build(texts), vectors_of)
        for message, scores in zip(asked * 2, fresh * 2, strict=True):
            assert wording.scores(message, places) == pytest.approx(scores, abs=1e-6)


def test_words_that_are_too_many_to_compare_count_where_they_are_said_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["lamp days", "lamps return", "refund the lamp", "lamp"]
    places = np.arange(len(texts))
    for compared, left_out in ((0, set(WORDS)), (1, {*WORDS} - {"lamp"})):
        monkeypatch.setattr("knowledge_base.wording.MOST_COMPARED", compared)
        wording = Wording(LexicalIndex.build(texts), vectors_of)
        for message in ("refunds", "refund", "lump days"):
            assert wording.scores(message, places) == pytest.approx(by_hand(texts, message, left_out), abs=1e-5)


def test_other_words_of_a_text_count_in_place_of_its_own() -> None:
    texts = ["lamp days", "return the lamp", "refund"]
    wording = Wording(LexicalIndex.build(texts), vectors_of)
    plain, changed = (wording.scores("refund lamp", np.array([0, 2]), instead) for instead in (None, {2: "the lamp"}))
    assert changed[1] - changed[0] < plain[1] - plain[0]


def test_a_message_without_words_and_texts_without_words_speak_for_none() -> None:
    wording = Wording(LexicalIndex.build(["lamp", "", "..."]), vectors_of)
    assert wording.scores("?!", np.arange(3)).tolist() == [0, 0, 0]
    assert wording.scores("lamp", np.arange(3)).argmax() == 0
    nothing = Wording(LexicalIndex.build(["", ""]), vectors_of)
    assert nothing.scores("lamp", np.arange(2)).tolist() == [0, 0]
    assert Wording(LexicalIndex.build([]), vectors_of).scores("lamp", np.arange(0)).tolist() == []


def test_a_held_out_alternative_leaves_its_words_out(tmp_path: Path) -> None:
    entries = [Entry("back", "How do returns work?", "Within 30 days.", alternatives=("send stuff home",))]
    entries += [Entry(f"e{i}", f"Question {i}?", f"Answer {i}.") for i in range(5)]
    fill(tmp_path, entries, HashEncoder())
    shop = KnowledgeBase.open(tmp_path, HashEncoder())

    def wording(held_out: HeldOut | None) -> float:
        found = shop.candidates("send stuff home", held_out=held_out)
        return float(found.features[[e.id for e in found.entries].index("back"), FEATURES.index("wording")])

    assert wording(HeldOut("back", 1)) < wording(None)
    assert wording(None) > 2, "each of the three words is of this entry alone"


def test_the_real_encoder_knows_misspelt_and_inflected_words_and_says_so_of_none_it_does_not_know(
    encoder: Encoder,
) -> None:
    vectors = encoder.encode_words(["password", "passwords", "pasword", "rain", "\u2603\u2603"])
    np.testing.assert_allclose(np.linalg.norm(vectors[:4], axis=1), 1, atol=1e-5)
    assert not vectors[4].any()
    like = vectors @ vectors[0]
    assert like[1] > like[3]
    assert like[2] > like[3]
    assert encoder.encode_words([]).shape[0] == 0
