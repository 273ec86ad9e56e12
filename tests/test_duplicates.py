"""Entries that ask nearly the same question."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_base import duplicates
from knowledge_base.duplicates import (
    LISTED,
    MOST_COMPARED,
    MOST_OF_ONE,
    NEAR_DUPLICATE_JACCARD,
    Shingles,
    jaccard,
    near_duplicates,
    shingles,
)
from knowledge_base.encoder import locate_encoder
from knowledge_base.entry import Entry
from knowledge_base.ingest import main

LONG = "How long does a delivery to the islands take?"


def ask(entry_id: str, question: str, **more: object) -> Entry:
    return Entry(**{"id": entry_id, "question": question, "answer": f"Answer {entry_id}.", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        (ask("a", LONG), ask("b", "how long does a delivery to the islands take"), 1.0),
        (ask("a", LONG), ask("b", LONG.replace("long", "lomg")), 0.86),
        (ask("a", LONG, subject="Ferry"), ask("b", LONG, subject="FERRY"), 1.0),
        (ask("a", LONG), ask("b", "How do I return a lamp?"), None),
        (ask("a", LONG, subject="Ferry"), ask("b", LONG, subject="Parcel"), None),
        (
            ask("a", "What does the lamp Ember 12 cost today?"),
            ask("b", "What does the lamp Ember 13 cost today?"),
            None,
        ),
        (ask("a", LONG, approved=False), ask("b", LONG, approved=False), None),
        (
            ask("a", "Is Plaj Scandinavian Bar good for kids?", subject="Plaj Scandinavian Bar"),
            ask("b", "Is Plaj Scandinavian Bar good for groups?", subject="Plaj Scandinavian Bar"),
            None,
        ),
        (ask("a", "?!"), ask("b", "?!"), None),
        (ask("a", "我的订单现在在哪里可以查到呢"), ask("b", "我的订单现在在哪里可以查到呢?"), 1.0),
    ],
)
def test_questions_are_near_by_their_words_subject_and_numbers(one: Entry, other: Entry, near: float | None) -> None:
    found = near_duplicates([one, other])
    wanted = () if near is None else (("a", "b", pytest.approx(near, abs=0.02)),)
    assert (found.pairs, found.count) == (wanted, len(wanted))


words = st.lists(
    st.sampled_from(["lamp", "shade", "order", "ordre", "where", "is", "my", "return"]), min_size=1, max_size=7
)


@settings(deadline=None)
@given(texts=st.lists(words.map(" ".join), max_size=12, unique=True))
def test_no_pair_is_missed(texts: list[str]) -> None:
    by_hand = {
        (one, other)
        for one, other in combinations(texts, 2)
        if jaccard(shingles(one), shingles(other)) >= NEAR_DUPLICATE_JACCARD
    }
    found = near_duplicates([ask(text, text) for text in texts])
    assert {pair[:2] for pair in found.pairs} == by_hand


def test_of_a_template_that_hundreds_fill_not_all_pairs_are_compared() -> None:
    towns = [f"town{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
    found = near_duplicates([ask(town, f"{LONG} and to {town} as well") for town in towns])
    assert found.count <= MOST_OF_ONE * len(towns)
    assert {other for _, other, _ in found.pairs} <= set(towns)
    assert len(found.pairs) == LISTED


def test_of_a_template_without_pairs_few_are_compared_and_a_slip_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    syllables = [one + other for one in "bdgklmnrst" for other in "aeiou"]
    towns = ["".join(row) for row in np.random.default_rng(5).choice(syllables, (400, 5)).tolist()]
    towns.append(towns[300][:-1])
    compared = []

    def counted(one: Shingles, other: Shingles) -> float:
        compared.append(jaccard(one, other))
        return compared[-1]

    monkeypatch.setattr(duplicates, "jaccard", counted)
    found = near_duplicates([ask(town, f"{LONG} And how long does one take to those in {town}?") for town in towns])
    assert (towns[300], towns[-1]) in {pair[:2] for pair in found.pairs}
    assert len(compared) <= MOST_COMPARED * len(towns)


def test_a_thousand_of_the_same_are_counted_and_not_all_listed() -> None:
    found = near_duplicates([ask(f"e{i:04}", LONG) for i in range(1000)])
    assert (len(found.pairs), found.count) == (LISTED, 999)
    assert found.pairs[0] == ("e0000", "e0001", 1.0)


def test_the_ingestion_tells_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = HashEncoder()
    encoder.id, encoder.sha256 = locate_encoder().id, locate_encoder().sha256
    monkeypatch.setattr("knowledge_base.ingest.load_encoder", lambda _name: encoder)
    (tmp_path / "faq.csv").write_text(f"id,question,answer\nold,{LONG},Two days.\nnew,{LONG.lower()},Three days.\n")
    arguments = [str(tmp_path / "faq.csv"), "--out", str(tmp_path / "home"), "--json", str(tmp_path / "report.json")]
    for _ in range(2):  # also where nothing changed
        main(arguments)
        report = json.loads((tmp_path / "report.json").read_text())
        assert (report["near_duplicates"], report["near_duplicates_found"]) == ([["old", "new", 1.0]], 1)
        assert "pairs of entries that ask nearly the same: 1, most alike old and new (100%)" in capsys.readouterr().out
