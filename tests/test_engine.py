"""The engine on a tiny random model: what it holds changes nothing, adapters are merged exactly, writing stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chatbot.engines.transformers import HELD_CACHES, TransformersEngine

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft's own call

VOCABULARY = 400
NEVER = frozenset({-1})
ROWS = {
    "intent": np.random.default_rng(0).standard_normal((5, 32)).astype(np.float32),
    "next_step": np.random.default_rng(1).standard_normal((3, 32)).astype(np.float32),
}


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(tiny_base), dtype=torch.float32, attn_implementation="sdpa").eval()


def logprobs(model: Any, ids: Sequence[int]) -> NDArray[np.float64]:
    """Return the (n, vocabulary) log-probabilities behind each id, without any cache: the oracle."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].double()
    return np.asarray(torch.log_softmax(logits, dim=-1).numpy())


def read(model: Any, ids: Sequence[int], name: str) -> NDArray[np.float64]:
    """Return the label log-probabilities at the last id, without any cache."""
    with torch.inference_mode():
        hidden = model.base_model(input_ids=torch.tensor([list(ids)]), use_cache=False).last_hidden_state[0, -1]
    logits = ROWS[name].astype(np.float64) @ hidden.double().numpy()
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


segments = st.integers(0, 5).flatmap(
    lambda number: st.just([(number * 37 + i * 11) % VOCABULARY for i in range(1 + number)])
)
paths = st.lists(segments, min_size=1, max_size=6).map(lambda parts: [i for part in parts for i in part])
questions = st.lists(st.tuples(st.sampled_from(["read", "score", "stream"]), paths), min_size=1, max_size=14)


@settings(max_examples=40, deadline=None)
@given(asked=questions)
def test_what_an_engine_holds_never_changes_an_answer(model: Any, asked: Sequence[tuple[str, list[int]]]) -> None:
    engine = TransformersEngine(model, ROWS)
    for what, path in asked:
        if what == "read":
            answered = engine.read(path, ["intent", "next_step"])
            for name in ROWS:
                np.testing.assert_allclose(answered[name], read(model, path, name), atol=1e-4)
        elif what == "score" and len(path) > 1:
            n = len(path) // 2
            true = logprobs(model, path)[np.arange(len(path) - n - 1, len(path) - 1), path[-n:]]
            np.testing.assert_allclose(engine.score(path, n), true, atol=1e-4)
        elif what == "stream":
            whole = list(path)
            for token in engine.stream(path, 3, NEVER, Event()):
                true = logprobs(model, whole)[-1]
                assert true[token.id] == pytest.approx(true.max(), abs=1e-4)
                assert token.logprob == pytest.approx(true[token.id], abs=1e-4)
                whole.append(token.id)
            assert len(whole) == len(path) + 3
    assert len(engine._held) <= HELD_CACHES


def test_a_trunk_stays_exact_while_leaves_are_read_written_and_cut_off_again(model: Any) -> None:
    engine = TransformersEngine(model, ROWS)
    trunk = [int(i) for i in np.random.default_rng(2).integers(VOCABULARY, size=60)]
    leaves: list[list[int]] = [[5, 6], [5, 9, 9, 9, 8, 7], [3], list(range(40)), []]
    for turn in range(6):
        for leaf in leaves:
            list(engine.stream(trunk + leaf, 4, NEVER, Event()))
            np.testing.assert_allclose(
                engine.read(trunk + leaf, ["intent"])["intent"], read(model, trunk + leaf, "intent"), atol=1e-4
            )
        trunk = [*trunk, turn, 11, 12] if turn < 4 else trunk[:20] + trunk[35:]  # at last the oldest turns are dropped


def test_a_long_path_is_read_only_where_it_is_new(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TransformersEngine(model, ROWS)
    sizes: list[int] = []
    forward = model.base_model.forward

    def counted(*args: Any, **options: Any) -> Any:
        sizes.append(options["input_ids"].shape[1])
        return forward(*args, **options)

    monkeypatch.setattr(model.base_model, "forward", counted)
    trunk = list(range(100))
    engine.read([*trunk, 7], ["intent"])
    engine.read([*trunk, 9, 9], ["intent"])
    engine.read([*trunk, 9, 9], ["intent"])
    list(engine.stream([*trunk, 9, 9], 3, NEVER, Event()))
    engine.read(list(range(200, 300)), ["intent"])
    engine.read([*trunk, 9, 9, 4], ["intent"])
    assert sizes == [101, 2, 1, 1, 1, 1, 100, 1]


def test_each_set_is_normalised_and_comes_from_one_pass(model: Any) -> None:
    answered = TransformersEngine(model, ROWS).read([1, 2, 3], ["next_step", "intent"])
    assert {name: values.shape for name, values in answered.items()} == {"intent": (5,), "next_step": (3,)}
    for values in answered.values():
        assert values.dtype == np.float32
        assert np.exp(values).sum() == pytest.approx(1, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(path=paths)
def test_what_was_streamed_scores_as_it_was_streamed(model: Any, path: list[int]) -> None:
    engine = TransformersEngine(model, ROWS)
    tokens = list(engine.stream(path, 6, NEVER, Event()))
    again = engine.score([*path, *(token.id for token in tokens)], len(tokens))
    np.testing.assert_allclose(again, [token.logprob for token in tokens], atol=1e-4)


def test_writing_stops_before_a_stop_id_and_at_the_limit(model: Any) -> None:
    engine = TransformersEngine(model, ROWS)
    free = [token.id for token in engine.stream([1, 2, 3], 8, NEVER, Event())]
    assert len(free) == 8
    stop = free[3]
    until = [token.id for token in engine.stream([1, 2, 3], 8, frozenset({stop}), Event())]
    assert until == free[: free.index(stop)]
    assert list(engine.stream([1, 2, 3], 0, NEVER, Event())) == []


def test_writing_stops_when_it_is_cancelled(model: Any) -> None:
    engine = TransformersEngine(model, ROWS)
    cancelled = Event()
    written: Iterator[Any] = engine.stream([1, 2, 3], 50, NEVER, cancelled)
    first = [next(written).id, next(written).id]
    cancelled.set()
    assert list(written) == []
    assert first == [token.id for token in engine.stream([1, 2, 3], 2, NEVER, Event())]
    assert list(engine.stream([1, 2, 3], 50, NEVER, cancelled)) == []


def test_a_reply_given_up_half_way_leaves_the_engine_exact(model: Any) -> None:
    engine = TransformersEngine(model, ROWS)
    written: Any = engine.stream([1, 2, 3, 4, 5], 50, NEVER, Event())
    next(written)
    written.close()
    np.testing.assert_allclose(
        engine.read([1, 2, 3, 4, 9], ["intent"])["intent"], read(model, [1, 2, 3, 4, 9], "intent"), atol=1e-4
    )


def test_a_failing_pass_costs_its_cache_and_nothing_else(model: Any) -> None:
    engine = TransformersEngine(model, ROWS)
    engine.read([1, 2, 3], ["intent"])
    with pytest.raises(IndexError):
        engine.read([1, 2, 10**6], ["intent"])
    np.testing.assert_allclose(
        engine.read([1, 2, 4], ["intent"])["intent"], read(model, [1, 2, 4], "intent"), atol=1e-4
    )


def test_several_visitors_at_once_get_what_each_would_get_alone(model: Any) -> None:
    rng = np.random.default_rng(3)
    trunk = [int(i) for i in rng.integers(VOCABULARY, size=30)]
    visitors = [trunk + [int(i) for i in rng.integers(VOCABULARY, size=5 + number)] for number in range(12)]

    def chat(engine: TransformersEngine, path: list[int]) -> list[int]:
        engine.read(path, ["intent"])
        return [token.id for token in engine.stream(path, 6, NEVER, Event())]

    alone = [chat(TransformersEngine(model, ROWS), path) for path in visitors]
    shared = TransformersEngine(model, ROWS)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda path: chat(shared, path), visitors * 2))
    assert together == alone * 2


@pytest.fixture(scope="module")
def adapter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved PEFT adapter on all linear layers whose both matrices are random."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(5)
    base = AutoModelForCausalLM.from_pretrained(str(tiny_base), dtype=torch.float32)
    peft = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    folder = tmp_path_factory.mktemp("adapter")
    peft.save_pretrained(str(folder))
    return folder


def test_an_adapter_merged_equals_the_adapter_beside_its_base(tiny_base: Path, adapter: Path, model: Any) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(str(tiny_base), dtype=torch.float32)
    beside = PeftModel.from_pretrained(base, str(adapter)).eval()
    merged = TransformersEngine.load(tiny_base, adapter, ROWS)
    changed = 0.0
    rng = np.random.default_rng(6)
    for size in (1, 7, 60):
        path = [int(i) for i in rng.integers(VOCABULARY, size=size)]
        for name in ROWS:
            true = read(beside.get_base_model(), path, name)
            np.testing.assert_allclose(merged.read(path, [name])[name], true, atol=1e-4)
            changed = max(changed, float(np.abs(true - read(model, path, name)).max()))
        true = logprobs(beside, path)[-1]
        for following in (0, 17, VOCABULARY - 1):
            assert merged.score([*path, following], 1)[0] == pytest.approx(true[following], abs=1e-4)
    assert changed > 0.1, "the adapter changes nothing, so this test would show nothing"
