"""What people say beside questions: told from questions by the real encoder and the weights that come with Frontdesk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder, fill
from numpy.typing import NDArray

from knowledge_base.background import Background, everyday_words, lines
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry
from knowledge_base.search import KnowledgeBase

HOTELS = ("Hotel Zephyr", "Lovell Lodge", "Kitava Inn")
ASKED = {
    "pets": ("Are dogs allowed at {}?", "Dogs are welcome."),
    "wifi": ("Does {} have wifi?", "Wifi is free."),
    "park": ("Is there parking at {}?", "There is a garage."),
    "pool": ("Does {} have a pool?", "There is no pool."),
}
SAID = [
    ("user", "i need a hotel"),
    ("assistant", "how about the lovell lodge"),
    ("user", "okay"),
    ("assistant", "good"),
]


@pytest.fixture(scope="module")
def town(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    home = tmp_path_factory.mktemp("town")
    entries = [
        Entry(f"{name.split()[0].lower()}-{topic}", question.format(name), answer, subject=name, category="hotel")
        for name in HOTELS
        for topic, (question, answer) in ASKED.items()
    ]
    fill(home, entries, encoder)
    return KnowledgeBase.open(home, encoder)


def test_no_line_is_empty_or_stands_twice() -> None:
    assert len(lines()) == len(set(lines())) > 100
    assert all(line == line.strip() and words for line, words in zip(lines(), everyday_words(), strict=True))


def test_the_likest_line_of_a_line_is_itself() -> None:
    encoder = HashEncoder()
    background = Background(encoder)
    assert background.nearest(encoder.encode_query(lines()[7])) == pytest.approx(1.0, abs=1e-6)
    assert background.nearest(-encoder.encode_query(lines()[7])) < 1.0


@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("can i bring my dog along", "lovell-pets"),
        ("and uh do they have internet there", "lovell-wifi"),
        ("where would i leave my car", "lovell-park"),
    ],
)
def test_what_asks_something_is_likelier_answered_than_what_only_goes_on(
    town: KnowledgeBase, question: str, right: str
) -> None:
    def something(message: str) -> float:
        return town.scorer.something(town.candidates(message, history=SAID).features)

    beside = [
        "yes please for two nights",
        "no thank you that is all",
        "my name is dana hughes",
        "could i have their phone number",
    ]
    assert something(question) > max(map(something, beside))
    assert town.search(question, history=SAID)[0].entry.id == right


def test_probabilities_of_hits_are_shares_of_that_anything_answers(town: KnowledgeBase) -> None:
    found = town.candidates("is there a pool", history=SAID)
    hits = found.hits(town.scorer, len(found.entries))
    assert sum(hit.probability for hit in hits) == pytest.approx(town.scorer.something(found.features))
    assert np.argmax([hit.probability for hit in hits]) == 0
    assert hits[0].entry.id == "lovell-pool"


def test_the_vectors_that_come_with_frontdesk_are_those_of_the_default_encoder(encoder: Encoder) -> None:
    class Asked(HashEncoder):
        def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
            raise AssertionError("they are kept")

    asked = Asked()
    asked.sha256 = encoder.sha256
    kept = Background(asked)
    vectors = encoder.encode_queries(lines())
    for vector in vectors[::20]:
        assert kept.nearest(vector) == pytest.approx(float((vectors @ vector).max()), abs=2e-3)


def test_a_new_snapshot_is_searched_with_the_lines_as_they_were_embedded(tmp_path: Path) -> None:
    encoder = HashEncoder()
    fill(tmp_path, [Entry("a", "How do I pay?", "By card.")], encoder)
    knowledge = KnowledgeBase.open(tmp_path, encoder)
    fill(tmp_path, [Entry("b", "Where are you?", "In Port Ellery.")], encoder)
    line = lines()[3]
    assert knowledge.refresh()
    features = knowledge.candidates(line).features
    assert features[:, -2] == pytest.approx(1.0, abs=1e-6)
