from __future__ import annotations

import logging
import threading
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HashEncoder, fill, scorer_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge

from knowledge_base import search, snapshots
from knowledge_base.encoder import Encoder
from knowledge_base.entry import Entry
from knowledge_base.errors import SnapshotError
from knowledge_base.lexical import LexicalIndex
from knowledge_base.regression import LEAST_SHARE, REGRESSED, RIDGE, WIDTH, foreseen
from knowledge_base.scorer import FEATURES
from knowledge_base.search import KnowledgeBase
from knowledge_base.wording import Wording

TODAY = date(2026, 6, 15)


def many(count: int) -> list[Entry]:
    """Entries with one to four rows each, some hidden."""
    return [
        Entry(
            id=f"e{i}",
            question=f"Question {i}?",
            answer=f"Answer {i}.",
            alternatives=tuple(f"Other words {i} {j}" for j in range(i % 4)),
            subject="lamp" if i % 5 == 0 else "",
            visibility="internal" if i % 7 == 3 else "public",
            valid_until="2026-06-14" if i % 11 == 5 and i % 13 != 8 else "",
            valid_from="2026-06-16T09:00:00" if i % 13 == 8 else "",
        )
        for i in range(count)
    ]


def knowledge(home: Path, entries: list[Entry], encoder: Encoder | None = None) -> KnowledgeBase:
    encoder = encoder or HashEncoder()
    fill(home, entries, encoder)
    return KnowledgeBase.open(home, encoder, today=lambda: TODAY)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    return knowledge(tmp_path_factory.mktemp("home"), many(120))


WEIGHTS = {
    "question": 3.0, "whole": 2.0, "question_in_context": 1.5, "whole_in_context": 1.0, "regression": 0.8,
    "regression_in_context": 0.6, "words": 1.0, "context_words": 0.5, "recent": 0.7, "wording": 0.4,
}  # fmt: skip
SCORER = scorer_of(1.0, **WEIGHTS)


def by_hand(entries: list[Entry], message: str, context: str, recent: list[str]) -> dict[str, dict[str, float]]:
    """Compute what speaks for every entry that may be shown, the plain way."""
    encoder = HashEncoder()
    asked = [message, f"{context}\n{message}" if context else message]
    queries = np.stack([encoder.encode_query(text) for text in asked])
    lexical = LexicalIndex.build(["\n".join(entry.searched_texts) for entry in entries])
    shown = [entry for entry in entries if entry.visibility == "public" and entry.is_valid_on(TODAY)]
    rows = [encoder.encode(entry.searched_texts) for entry in shown]
    owners = np.repeat(np.arange(len(shown)), [len(own) for own in rows])
    nearest = np.argsort(-np.concatenate(rows) @ queries.mean(axis=0), kind="stable")[:REGRESSED]
    targets = np.eye(len(shown))[owners[nearest]]
    regression = KernelRidge(alpha=RIDGE, kernel="rbf", gamma=WIDTH).fit(np.concatenate(rows)[nearest], targets)
    shares = np.log(np.maximum(regression.predict(queries), LEAST_SHARE) / LEAST_SHARE)
    wording = Wording(lexical, encoder.encode_words).scores(
        message, np.array([entries.index(entry) for entry in shown])
    )
    features = {}
    for number, (entry, own) in enumerate(zip(shown, rows, strict=True)):
        cosines = own @ queries.T  # the last row is the whole entry
        words = [float(lexical.scores(text)[entries.index(entry)]) if text else 0.0 for text in (message, context)]
        values = (
            cosines[:-1, 0].max(), cosines[-1, 0], cosines[:-1, 1].max(), cosines[-1, 1], *shares[:, number], *words,
            entry.id in recent, wording[number],
        )  # fmt: skip
        features[entry.id] = {name: float(value) for name, value in zip(WEIGHTS, values, strict=True)}
    return features


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    message=st.sampled_from(["hello", "Question 8?", "Other words 3 1", "where"]),
    context=st.sampled_from(["", "before that", "Answer 17"]),
    recent=st.lists(st.sampled_from(["e1", "e3", "e5", "e8", "e119", "gone"]), max_size=3),
    k=st.integers(1, 130),
)
def test_hits_are_those_of_scoring_every_entry_by_hand(
    shelf: KnowledgeBase, message: str, context: str, recent: list[str], k: int
) -> None:
    features = by_hand(many(120), message, context, recent)
    utilities = {i: sum(WEIGHTS[name] * row[name] for name in row) for i, row in features.items()}
    ranked = sorted(utilities, key=lambda entry_id: -utilities[entry_id])
    wanted = {*ranked[:k], *(entry_id for entry_id in recent if entry_id in utilities)}
    history = [("user", context), ("assistant", "yes")] if context else []
    hits = shelf.search(message, history=history, recent=recent, k=k, scorer=SCORER)
    assert {hit.entry.id for hit in hits} == wanted
    np.testing.assert_allclose([hit.score for hit in hits], [utilities[hit.entry.id] for hit in hits], atol=1e-4)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    odds = np.exp(list(utilities.values()))
    probabilities = [np.exp(hit.score) / (odds.sum() + np.exp(SCORER.nothing)) for hit in hits]
    np.testing.assert_allclose([hit.probability for hit in hits], probabilities, atol=1e-4)


def test_a_question_that_stands_under_several_subjects_speaks_for_each_of_them_as_if_it_stood_alone(
    tmp_path: Path,
) -> None:
    same = [Entry(id=f"h{i}", question="Are pets allowed?", answer=f"House {i}.", subject=f"Hotel {i}") for i in (1, 2)]
    found = []
    for name, entries in (("both", [*many(20), *same]), ("one", [*many(20), same[0]])):
        shop = knowledge(tmp_path / name, entries)
        candidates = shop.candidates("Are pets allowed?")
        at = [entry.id for entry in candidates.entries].index("h1")
        found.append(candidates.features[at, FEATURES.index("regression")])
        if name == "both":
            other = [entry.id for entry in candidates.entries].index("h2")
            assert candidates.features[other, FEATURES.index("regression")] == pytest.approx(found[0], abs=0.1)
    assert found[0] == pytest.approx(found[1], abs=0.1)
    assert found[0] > 3, "the text itself foresees its entry with most of a share"


def test_many_near_texts_of_one_entry_say_more_than_a_nearer_one_of_another() -> None:
    """Three ways to ask at some distance against one a little nearer: the regression sees what the nearest text does not."""
    chance = np.random.default_rng(3)
    asked = np.eye(1, 40, dtype=np.float32)
    away = chance.normal(size=(4, 40))
    away[:, 0] = 0
    away, _ = np.linalg.qr(away.T)
    cosines = np.array([[0.70, 0.66, 0.66, 0.66]], np.float32)
    texts = (cosines.T * asked + np.sqrt(1 - cosines.T**2) * away.T).astype(np.float32)
    weights = foreseen(cosines, np.arange(4), lambda places: texts[places])[0]
    assert weights[1:].sum() > weights[0] > 0


def test_hidden_and_expired_entries_are_known_but_never_found(shelf: KnowledgeBase) -> None:
    entries = many(120)
    hidden = {entry.id for entry in entries if entry.visibility == "internal" or not entry.is_valid_on(TODAY)}
    assert len(hidden) > 20
    found = {hit.entry.id for hit in shelf.search("anything", recent=sorted(hidden), k=200)}
    assert found == set(shelf.entries) - hidden
    for entry in entries:
        if entry.id in hidden:
            assert entry.id not in {hit.entry.id for hit in shelf.search(entry.searched_texts[0], recent=[entry.id])}


def test_an_entry_appears_and_expires_with_the_day(tmp_path: Path) -> None:
    days = [date(2026, 1, 1)]
    sale = Entry(id="sale", question="Sale?", answer="yes", valid_from="2026-01-02", valid_until="2026-01-03")
    fill(tmp_path, [sale])
    shop = KnowledgeBase.open(tmp_path, HashEncoder(), today=lambda: days[0])
    seen = []
    for day in range(1, 5):
        days[0] = date(2026, 1, day)
        seen.append(len(shop.search("Sale?")))
    assert seen == [0, 1, 1, 0]


@pytest.mark.parametrize("message", ["", "  \n"])
def test_an_empty_message_finds_nothing(shelf: KnowledgeBase, message: str) -> None:
    assert shelf.search(message) == []


def test_a_message_is_found_in_either_form_of_unicode(tmp_path: Path) -> None:
    shop = knowledge(tmp_path, [Entry(id="c", question="Café?", answer="yes"), *many(20)])
    composed, decomposed = shop.search("Caf\u00e9?")[0], shop.search("Cafe\u0301? ")[0]
    assert composed.entry.id == "c"
    assert decomposed.score == pytest.approx(composed.score, abs=1e-5)


def test_knowledge_of_another_encoder_is_refused_by_name(tmp_path: Path) -> None:
    fill(tmp_path, many(3), HashEncoder("one"))
    with pytest.raises(SnapshotError, match=r"expected knowledge made with the encoder two .*, got one"):
        KnowledgeBase.open(tmp_path, HashEncoder("two"))


def test_a_new_snapshot_is_taken_up_and_the_old_one_left(tmp_path: Path) -> None:
    shop = knowledge(tmp_path, many(3))
    first = (shop.snapshot_id, shop.sha256)
    assert shop.refresh() is False
    fill(tmp_path, [Entry(id="new", question="Brand new?", answer="yes")])
    assert "new" not in {hit.entry.id for hit in shop.search("Brand new?")}
    assert shop.refresh() is True
    assert shop.search("Brand new?")[0].entry.id == "new"
    assert shop.snapshot_id == snapshots.current_id(tmp_path)
    assert shop.snapshot_id.endswith(shop.sha256[:8])
    assert first != (shop.snapshot_id, shop.sha256)


def test_a_bad_new_snapshot_keeps_the_old_one_and_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop = knowledge(tmp_path, many(3))
    before = shop.snapshot_id
    bad = fill(tmp_path, many(4)).snapshot
    file = tmp_path / "snapshots" / bad / "index.faiss"
    file.write_bytes(file.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert [shop.refresh() for _ in range(3)] == [False] * 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert shop.snapshot_id == before
    assert shop.search("Question 1?")[0].entry.id == "e1"
    fill(tmp_path, many(5))
    assert shop.refresh() is True
    assert len(shop.entries) == 5


def test_a_current_that_vanishes_keeps_the_old_snapshot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shop = knowledge(tmp_path, many(3))
    name = (tmp_path / "CURRENT").read_text()
    (tmp_path / "CURRENT").unlink()
    with caplog.at_level(logging.WARNING):
        assert [shop.refresh(), shop.refresh()] == [False, False]
    assert len(caplog.records) == 1
    assert shop.search("Question 0?")
    (tmp_path / "CURRENT").write_text(name)
    assert shop.refresh() is False


def test_searches_go_on_while_snapshots_change(tmp_path: Path) -> None:
    shop = knowledge(tmp_path, [Entry(id="stays", question="Stays?", answer="yes")])
    done = threading.Event()
    failures: list[str] = []
    searches = [0]

    def ask() -> None:
        while not done.is_set():
            try:
                hits = shop.search("Stays?", recent=["e1"], k=3)
            except Exception as error:  # noqa: BLE001 (whatever it is, the test shows it)
                failures.append(repr(error))
                return
            if hits[0].entry.id != "stays" or not hits[0].probability > 0:
                failures.append(repr(hits[0]))
            searches[0] += 1
            shop.refresh()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for count in range(1, 15):
        fill(tmp_path, [Entry(id=f"e{i}", question=f"{count} {i}?", answer="x") for i in range(count)])
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert searches[0] > 14
    shop.refresh()
    assert len(shop.entries) == 15


def test_who_asks_while_another_thread_reads_new_knowledge_is_answered_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = knowledge(tmp_path, many(3))
    fill(tmp_path, [Entry(id="new", question="Brand new?", answer="yes")])
    found: list[str] = []
    read = search._open

    def ask() -> None:
        shop.refresh()
        found.append(shop.search("Brand new?")[0].entry.id)

    other = threading.Thread(target=ask)

    def read_while_another_asks(*arguments: Any) -> Any:
        other.start()
        other.join(0.3)  # it waits for what is read here, and would be done by then if it did not
        return read(*arguments)

    monkeypatch.setattr(search, "_open", read_while_another_asks)
    assert shop.refresh() is True
    other.join()
    assert found == ["new"]


def test_a_long_context_does_not_push_the_message_out(tmp_path: Path) -> None:
    shop = knowledge(tmp_path, many(3))
    seen: list[str] = []
    plain = HashEncoder().encode_query

    class Listening(HashEncoder):
        def encode_query(self, text: str) -> NDArray[np.float32]:
            seen.append(text)
            return plain(text)

    KnowledgeBase.open(tmp_path, Listening()).search("and now?", history=[("user", "long " * 1000)])
    assert shop.snapshot_id
    assert [len(text) < 600 and text.endswith("and now?") for text in seen] == [True, True]


def test_the_real_encoder_finds_the_meaning_and_uses_the_context(tmp_path: Path, encoder: Encoder) -> None:
    shop = knowledge(
        tmp_path,
        [
            Entry(id="return", question="How do I send an item back?", answer="Use the label in the box."),
            Entry(id="pay", question="Which payment methods do you accept?", answer="Card and invoice."),
            Entry(id="lamp", question="What is the warranty?", answer="Five years.", subject="Desk lamp"),
            Entry(id="chair", question="What is the warranty?", answer="Two years.", subject="Office chair"),
            Entry(id="guide", question="Overview", answer="Descale the kettle monthly.", heading="Care > Overview"),
        ],
        encoder,
    )
    assert shop.search("I want to return my order")[0].entry.id == "return"
    assert shop.search("can I pay with visa?")[0].entry.id == "pay"
    assert shop.search("removing limescale from a kettle")[0].entry.id == "guide"
    assert (
        shop.search("how long is it guaranteed?", history=[("user", "I bought an office chair")])[0].entry.id == "chair"
    )
    assert shop.search("how long is it guaranteed?", history=[("user", "I bought a desk lamp")])[0].entry.id == "lamp"
