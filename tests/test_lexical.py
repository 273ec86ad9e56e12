"""Lexical search: BM25 against the formula, and words as people write them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_base.lexical import K1, B, LexicalIndex, words

texts = st.lists(
    st.lists(st.sampled_from(["red", "green", "blue", "lamp", "shade", "cord"]), max_size=9).map(" ".join), max_size=8
)


def by_formula(collection: list[str], query: str) -> list[float]:
    """BM25 as Lucene computes it, over the weight of a word that stands in one text."""
    split = [text.split() for text in collection]
    mean = sum(map(len, split)) / max(1, len(split))

    def weight(count: int) -> float:
        return math.log(1 + (len(split) - count + 0.5) / (count + 0.5))

    scores = []
    for said in split:
        often = Counter(said)
        total = 0.0
        for word in set(query.split()):
            if often[word]:
                room = K1 * (1 - B + B * len(said) / mean)
                total += weight(sum(word in other for other in split)) * often[word] / (often[word] + room)
        scores.append(total / weight(1))
    return scores


@settings(deadline=None)
@given(collection=texts, query=st.sampled_from(["red lamp", "blue", "red red cord", "table", ""]))
def test_scores_are_those_of_the_formula(collection: list[str], query: str) -> None:
    index = LexicalIndex.build(collection)
    wanted = by_formula(collection, query)
    np.testing.assert_allclose(index.scores(query), wanted, atol=1e-5)
    assert [index.score(query, text) for text in collection] == pytest.approx(wanted, abs=1e-5)


def test_a_rare_word_counts_the_same_in_a_small_and_a_large_collection() -> None:
    small, large = (LexicalIndex.build(["red lamp"] + ["green shade"] * n) for n in (20, 2000))
    assert small.scores("red")[0] == pytest.approx(large.scores("red")[0], rel=0.05)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Where's my PARCEL?", ["where", "s", "my", "parcel"]),
        ("WM-104233", ["wm", "104233"]),
        ("ﬀ Ｆｕｌｌ", ["ff", "full"]),
        ("我的订单在哪里", ["我的", "的订", "订单", "单在", "在哪", "哪里"]),
        ("买Ember灯", ["买", "ember", "灯"]),
        ("snake_case", ["snake", "case"]),
        ("रिफंड कैसे मिलेगा?", ["रिफंड", "कैसे", "मिलेगा"]),
        ("คืนเงิน 50", ["คื", "ืน", "นเ", "เง", "งิ", "ิน", "50"]),
        ("cafe\u0301", ["café"]),
        ("?! …", []),
    ],
)
def test_words_are_compared_without_case_and_width_and_chinese_in_pairs(text: str, found: list[str]) -> None:
    assert words(text) == found
