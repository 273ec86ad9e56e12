"""Label rows: what is saved reads back, what does not fit is refused, and the witnesses are weighed as fitted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chatbot.errors import AdapterError
from chatbot.labels import LABELS_FILE, OUT_OF_SCOPE, ROWS_FILE, LabelRows, log_softmax, nearness, scope_features

INTENTS = ("order", OUT_OF_SCOPE, "退货", "hello")


def made(seed: int = 0, scope: tuple[float, ...] = (0.5, -1.0, 2.0, 0.25, -3.0), n_intents: int = 4) -> LabelRows:
    rng = np.random.default_rng(seed)

    def rows(n: int, dimension: int) -> NDArray[np.float32]:
        return rng.standard_normal((n, dimension)).astype(np.float32)

    return LabelRows(
        sets={"intent": INTENTS[:n_intents], "next_step": ("answer", "ask"), "support": ("full", "part", "none")},
        rows={
            "intent": rows(n_intents, 6),
            "next_step": rows(2, 6),
            "support": rows(3, 6),
            "encoder_intent": rows(n_intents, 9),
            "encoder_examples": rows(7, 9),
            "kernel_messages": (rows(5, 9) / 4).astype(np.float16).astype(np.float32),
            "kernel_weights": rows(5, n_intents),
            "train_intent": rows(n_intents, 9),
            "train_bias": rows(n_intents, 1),
            "train_weights": rows(5, n_intents),
        },
        temperature={"intent": 1.5, "next_step": 0.7, "support": 2.0},
        encoder_bias=rng.standard_normal(n_intents).astype(np.float32),
        encoder_sha256="e" * 64,
        encoder_pool={"width": 1.5, "linear": 4.0, "kernel": 0.5},
        fusion={"model": 0.75, "encoder": 1.25},
        fusion_bias=rng.standard_normal(n_intents).astype(np.float32),
        scope=scope,
        novelty=(0.1, -0.2, -0.3, 0.4, 0.5, -1.0),
    )


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    weights = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return np.asarray(weights / weights.sum())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n_intents=st.integers(1, 4), scope=st.booleans())
def test_what_is_saved_reads_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n_intents: int, scope: bool
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    rows = made(seed, (1.0, 2.0, 3.0, 4.0, 5.0) if scope else (), n_intents)
    rows.save(folder)
    again = LabelRows.load(folder)
    assert (again.sets, again.temperature, again.encoder_pool, again.fusion, again.scope, again.novelty) == (
        rows.sets,
        rows.temperature,
        rows.encoder_pool,
        rows.fusion,
        rows.scope,
        rows.novelty,
    )
    assert again.encoder_sha256 == rows.encoder_sha256
    np.testing.assert_array_equal(again.encoder_bias, rows.encoder_bias)
    assert set(again.rows) == set(rows.rows)
    for name, values in rows.rows.items():
        assert again.rows[name].dtype == np.float32
        np.testing.assert_array_equal(again.rows[name], values)


@pytest.mark.parametrize(
    "damage",
    [
        lambda facts: facts["sets"]["intent"].append("one more"),
        lambda facts: facts["sets"].update(extra=["a"]),
        lambda facts: facts.pop("fusion"),
        lambda facts: facts.update(encoder={"sha256": "x", "bias": ["many"]}),
        lambda facts: facts["encoder"]["pool"].pop("width"),
        lambda facts: facts.update(temperature=[1.0]),
    ],
)
def test_labels_that_do_not_fit_their_rows_are_refused(tmp_path: Path, damage: Any) -> None:
    made().save(tmp_path)
    facts = json.loads((tmp_path / LABELS_FILE).read_text(encoding="utf-8"))
    damage(facts)
    (tmp_path / LABELS_FILE).write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(AdapterError, match="Train the adapter again"):
        LabelRows.load(tmp_path)


@pytest.mark.parametrize("name", [ROWS_FILE, LABELS_FILE])
@pytest.mark.parametrize("content", [None, b"", b"\x80\x04K\x01."])
def test_a_missing_or_broken_label_file_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    made().save(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AdapterError, match="cannot be read"):
        LabelRows.load(tmp_path)


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6))
def test_a_message_means_what_both_witnesses_say_weighed_as_fitted(seed: int) -> None:
    rows = made(1)
    rng = np.random.default_rng(seed)
    read = {
        name: np.asarray(log_softmax(rng.standard_normal(n) * 3), np.float32)
        for name, n in (("intent", 4), ("next_step", 2))
    }
    vector = rng.standard_normal(9).astype(np.float32)
    vector /= np.linalg.norm(vector)
    understood = rows.understand(read, vector)
    model = softmax(read["intent"] / 1.5)
    messages = rows.rows["kernel_messages"]
    shares = np.exp(-1.5 * (1 + 1 - 2 * messages @ vector)) @ rows.rows["kernel_weights"]
    kernel = np.log(np.maximum(shares, 0.02)) + 0.02 * shares
    encoder = softmax(4.0 * (rows.rows["encoder_intent"] @ vector + rows.encoder_bias) + 0.5 * kernel)
    both = model**0.75 * encoder**1.25 * np.exp(rows.fusion_bias)
    for found, expected in (
        (understood.intent_model, model),
        (understood.intent_encoder, encoder),
        (understood.intent, both / both.sum()),
    ):
        assert list(found.values()) == sorted(found.values(), reverse=True), "the likeliest label stands first"
        assert [found[name] for name in INTENTS] == pytest.approx(expected, abs=1e-5)
        assert sum(found.values()) == pytest.approx(1)
    assert [understood.next_step[name] for name in ("answer", "ask")] == pytest.approx(
        softmax(read["next_step"] / 0.7), abs=1e-5
    )
    assert understood.out_of_scope is not None
    assert 0 <= understood.out_of_scope <= 1


def test_before_calibration_the_encoder_says_what_it_said_without_the_calibration_part() -> None:
    rows = made(2)
    vectors = rows.rows["kernel_messages"][:3] / np.linalg.norm(rows.rows["kernel_messages"][:3], axis=1, keepdims=True)
    shares = np.exp(-1.5 * (1 + 1 - 2 * vectors @ rows.rows["kernel_messages"].T)) @ rows.rows["train_weights"]
    kernel = np.log(np.maximum(shares, 0.02)) + 0.02 * shares
    line = vectors @ rows.rows["train_intent"].T + rows.rows["train_bias"][:, 0]
    wanted = log_softmax(4.0 * line + 0.5 * kernel)
    np.testing.assert_allclose(rows.before_calibration().encoder_intent(vectors), wanted, atol=1e-4)
    assert not np.allclose(rows.encoder_intent(vectors), wanted, atol=1e-2)
    older = made(2)  # as adapters were kept before
    kept = {name: values for name, values in older.rows.items() if not name.startswith("train_")}
    older = replace(older, rows=kept)
    np.testing.assert_array_equal(older.before_calibration().encoder_intent(vectors), older.encoder_intent(vectors))


@pytest.mark.parametrize("name", ["train_intent", "train_bias", "train_weights", "kernel_weights"])
def test_rows_of_the_encoder_that_do_not_fit_the_intents_are_refused(tmp_path: Path, name: str) -> None:
    rows = made()
    replace(rows, rows={**rows.rows, name: rows.rows[name][:-1]}).save(tmp_path)
    with pytest.raises(AdapterError, match=f"expected {name} of shape"):
        LabelRows.load(tmp_path)


def test_what_was_not_fitted_is_not_claimed() -> None:
    rows = made(scope=())
    logprobs = np.log(np.full(4, 0.25, np.float32))
    assert rows.understand({"intent": logprobs}, np.ones(9, np.float32)).out_of_scope is None
    assert rows.understand({"intent": logprobs}, np.ones(9, np.float32)).next_step == {}
    steps_only = rows.understand({"next_step": np.log(np.array([0.9, 0.1], np.float32))}, np.ones(9, np.float32))
    assert steps_only.intent == {}
    assert next(iter(steps_only.next_step)) == "answer"


def test_support_is_calibrated_with_its_temperature() -> None:
    logprobs = np.log(np.array([0.1, 0.6, 0.3], np.float32))
    support = made().support(logprobs)
    assert list(support) == ["part", "none", "full"]
    assert [support[name] for name in ("full", "part", "none")] == pytest.approx(softmax(logprobs / 2), abs=1e-5)


def test_the_features_of_the_scope_score_are_what_their_names_say() -> None:
    fused = np.log(np.array([[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3]]))
    near = np.array([[0.9, 0.6], [0.2, 0.1]])
    best, nearest, mean, named = scope_features(fused, near, 1).T
    assert best == pytest.approx(np.log([0.7 / 0.3, 0.5]))
    assert nearest == pytest.approx([0.9, 0.2])
    assert mean == pytest.approx([0.6, 0.1])
    assert named == pytest.approx(np.log([0.2 / 0.8, 0.5]))
    assert scope_features(fused, near, None)[:, 3].tolist() == [0.0, 0.0]


def test_the_scope_score_is_the_logistic_function_of_its_weights() -> None:
    rows = made()
    fused = np.log(np.array([[0.7, 0.1, 0.1, 0.1]]))
    vectors = np.eye(9)[[0]]
    near = nearness(vectors, rows.rows["encoder_examples"])
    score = scope_features(fused, near, 1)[0] @ np.array([0.5, -1.0, 2.0, 0.25]) - 3.0
    found = rows.out_of_scope(fused, vectors)
    assert found is not None
    assert found[0] == pytest.approx(1 / (1 + np.exp(-score)))


def test_what_a_new_intent_covers_is_in_scope() -> None:
    rows, vector = made(), np.eye(9, dtype=np.float32)[0]
    read = {"intent": np.log(np.full(4, 0.25, np.float32))}
    before = rows.understand(read, vector)
    after = rows.understand(read, vector, {"new": vector[None]})
    assert before.out_of_scope is not None
    assert after.out_of_scope == pytest.approx(before.out_of_scope * (1 - after.intent["new"]), abs=1e-6)
    assert after.intent["new"] > 0
