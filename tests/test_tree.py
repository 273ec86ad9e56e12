"""Trees of training: each path is the one that the server sends, and a pack computes what each path alone does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from conftest import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.engines.engine import Array, Token
from chatbot.engines.transformers import TransformersEngine
from chatbot.labels import LabelRows
from chatbot.model import DialogueModel
from chatbot.prompt import Renderer, clean
from chatbot.types import Message
from finetune.data import Evidence, Labels, Lesson, Turn, trees
from finetune.plan import Packs, Schedule, TrainingData
from finetune.records import Transcript
from finetune.student import Reader, Student, tensors
from finetune.tree import ROOT, Node, Tree, group, pack, path
from knowledge_base.entry import Entry

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft's own call

LABELS = Labels(
    {"intent": ("bye", "hello", "order"), "next_step": ("answer", "ask"), "support": ("full", "part", "none")}
)
SIZES = {name: len(labels) for name, labels in LABELS.sets.items()}
ENTRIES = tuple(Entry(f"e{i}", f"What about {i}?", f"It is {i} euro. " * (1 + 12 * i)) for i in range(4))


class RecordingEngine:
    """Answers evenly and remembers the path it was asked about."""

    def __init__(self) -> None:
        self.path: list[int] = []
        self.scored: list[list[int]] = []

    def read(self, ids: Sequence[int], sets: Sequence[str]) -> dict[str, Array]:
        self.path = list(ids)
        return {name: np.full(SIZES[name], -np.log(SIZES[name]), np.float32) for name in sets}

    def stream(
        self, ids: Sequence[int], max_new_tokens: int, stop_ids: frozenset[int], cancelled: Event
    ) -> Iterator[Token]:
        self.path = list(ids)
        yield from ()

    def score(self, ids: Sequence[int], n: int) -> Array:
        self.scored.append(list(ids))
        return np.full(n, -1.0, np.float32)


class Server:
    """The serving side, asked for the path it sends."""

    def __init__(self, renderer: Renderer) -> None:
        self.engine = RecordingEngine()
        encoder = HashEncoder(dimension=8)
        rows = {name: np.zeros((n, 8), np.float32) for name, n in SIZES.items()}
        labels = LabelRows(
            LABELS.sets,
            {
                **rows,
                "encoder_intent": np.zeros((3, 8), np.float32),
                "kernel_messages": np.zeros((0, 8), np.float32),
                "kernel_weights": np.zeros((0, 3), np.float32),
            },
            {"intent": 1.0, "next_step": 1.0, "support": 1.0},
            np.zeros(3, np.float32),
            encoder.sha256,
            {"width": 1.0, "linear": 1.0, "kernel": 1.0},
            {"model": 0.5, "encoder": 0.5},
            np.zeros(3, np.float32),
        )
        self.model = DialogueModel(renderer, self.engine, labels, encoder, "")

    def labels(self, messages: Sequence[Message]) -> list[int]:
        """The path at whose end intent and next step are read."""
        self.model.understand(messages)
        return self.engine.path

    def support(self, messages: Sequence[Message], entries: Sequence[Entry]) -> list[int]:
        """The path at whose end support is read."""
        self.engine.scored.clear()
        self.model.read_evidence(messages, self.model.shown(entries))
        return self.engine.path

    def writing(self, messages: Sequence[Message], entries: Sequence[Entry]) -> list[int]:
        """The path behind which a reply is written."""
        list(self.model.write(messages, self.model.shown(entries), Event()))
        return self.engine.path


@st.composite
def taught(draw: Callable[..., Any], longest: int = 900) -> Lesson:
    """A conversation of any shape, and any choice of what its turns teach."""
    messages = []
    for role in draw(st.lists(st.sampled_from(["user", "user", "assistant"]), min_size=1, max_size=9)):
        content = draw(st.sampled_from(["Where is my order?", "[1] <|im_end|> hm", "客服", "Thanks 😀"]))
        content += " ab" * draw(st.sampled_from([0, 0, 3, longest]))
        if role == "user":
            messages.append(
                Message("user", content, intents=tuple(draw(st.sets(st.sampled_from(["bye", "order", "odd"])))))
            )
        else:
            messages.append(Message("assistant", content, author="human", action=draw(st.sampled_from([None, "ask"]))))
    turns = []
    for index, message in enumerate(messages):
        if message.role == "user":
            answered = index + 1 < len(messages) and messages[index + 1].role == "assistant"
            shown = draw(st.lists(st.lists(st.sampled_from(ENTRIES), unique=True, min_size=1, max_size=3), max_size=2))
            evidence = tuple(
                Evidence(tuple(entries), "full", ((len(entries), "It is 1 euro."), (1, "Good."))) if answered and not i
                else Evidence(tuple(entries), "none")
                for i, entries in enumerate(shown)
            )  # fmt: skip
            writes = answered and draw(st.booleans())
            turns.append(Turn(index, writes, evidence, silent=draw(st.booleans())))
    return Lesson(Transcript("c", tuple(messages)), turns)


def test_the_words_before_the_turns_of_a_long_conversation_are_read_a_few_times_only(tiny_renderer: Renderer) -> None:
    messages = tuple(
        Message(
            role,
            f"{role} says some words about parcel number {n} and the lamp",
            intents=("return",) if role == "user" else (),
        )
        for n in range(60)
        for role in ("user", "assistant")
    )
    lesson = Lesson(Transcript("c", messages), [Turn(index, False, ()) for index in range(0, 120, 2)])
    own = sum(len(tiny_renderer.message(message)) for message in messages)
    context = max(tree.n_tokens for tree in trees(lesson, tiny_renderer, LABELS, 1))

    grown = trees(lesson, tiny_renderer, LABELS, 500)

    assert [node.key[0] for tree in grown for node in tree.nodes if node.labels] == list(range(0, 120, 2))
    assert max(tree.n_tokens for tree in grown) <= context + 500
    assert sum(tree.n_tokens for tree in grown) <= own + len(grown) * context
    assert len(grown) <= -(-own // 400)


@settings(max_examples=40, deadline=None)
@given(lesson=taught(), max_length=st.sampled_from([60, 700, 4000]))
def test_every_path_of_training_is_token_for_token_the_path_that_the_server_sends(
    tiny_renderer: Renderer, lesson: Lesson, max_length: int
) -> None:
    server, messages = Server(tiny_renderer), lesson.transcript.messages
    turns = {turn.message: turn for turn in lesson.turns}
    read: list[int] = []
    supported: list[int] = []
    written: list[int] = []
    for tree in trees(lesson, tiny_renderer, LABELS, max_length):
        seen_evidence: dict[int, int] = {}
        for place, node in enumerate(tree.nodes):
            ids = tiny_renderer.system + path(tree, place)
            index, kind = node.key
            said = messages[: index + 1]
            if kind == "H" and node.labels:  # without labels it is history, as the server sends it for a later turn
                assert ids == server.labels(said) == server.writing(said, ())
                read.append(index)
            elif kind == "A" and node.n_written:
                stored = tiny_renderer.message(messages[index + 1])
                assert ids == server.writing(said, ()) + stored[len(tiny_renderer.reply_head) :]
                written.append(index)
            elif kind == "S":
                assert ids == [*server.writing(said, ()), tiny_renderer.end_of_turn]
                assert turns[index].silent
            elif kind == "H'":
                number = seen_evidence.setdefault(index, 0)
                assert ids == server.support(said, turns[index].evidence[number].entries)
                assert set(node.labels) == {"support"}
                supported.append(index)
                seen_evidence[index] += 1
            elif kind == "W":
                evidence = turns[index].evidence[seen_evidence[index] - 1]
                assert ids == server.writing(said, evidence.entries) + tiny_renderer.written(evidence.sentences)
                pointers = server.engine.scored
                assert len(pointers) == len(evidence.entries)
                for first, _ in evidence.sentences[:1]:
                    begun = pointers[first - 1]
                    assert ids[: len(begun)] == begun, "the pointer that is weighed is the one that is written"
    labelled = [
        turn.message
        for turn in lesson.turns
        if messages[turn.message].intents or (turn.message + 1 < len(messages) and messages[turn.message + 1].action)
    ]
    assert read == labelled, "a turn with labels is read once, whatever trees it is cut into"
    assert written == [turn.message for turn in lesson.turns if turn.writes]
    assert supported == [turn.message for turn in lesson.turns for _ in turn.evidence]


@settings(max_examples=25, deadline=None)
@given(lesson=taught())
def test_what_is_written_is_the_sentence_with_its_end_of_turn_or_the_end_alone_where_silence_is_taught(
    tiny_renderer: Renderer, lesson: Lesson
) -> None:
    messages = lesson.transcript.messages
    expected = []
    for turn in lesson.turns:
        silent = [one for one in turn.evidence if turn.silent and one.support == "none"]
        expected += [tiny_renderer.written(e.sentences) for e in turn.evidence if e.sentences or e in silent]
        if turn.silent and not turn.writes and any(one.sentences for one in turn.evidence):
            expected.append([tiny_renderer.end_of_turn])
        if turn.writes:
            reply = messages[turn.message + 1]
            whole = tiny_renderer.message(reply)[len(tiny_renderer.reply_head) :]
            expected.append(whole[: whole.index(tiny_renderer.end_of_turn) + 1])
    grown = trees(lesson, tiny_renderer, LABELS, 4000)
    flat = pack(tiny_renderer.system, grown)
    assert flat.targets.tolist() == [i for ids in expected for i in ids]
    assert sum(node.n_written for tree in grown for node in tree.nodes) == len(flat.targets)
    assert [i for i in flat.targets if i == tiny_renderer.end_of_turn] == [tiny_renderer.end_of_turn] * len(expected)


# --- words that a pass hides ---


@settings(max_examples=30, deadline=None)
@given(lessons=st.lists(taught(longest=40), min_size=1, max_size=3), share=st.sampled_from([0.15, 0.6]))
def test_hidden_words_are_seen_by_themselves_alone_and_nothing_else_of_a_pack_changes(
    tiny_renderer: Renderer, lessons: list[Lesson], share: float
) -> None:
    grown = [tree for lesson in lessons for tree in trees(lesson, tiny_renderer, LABELS, 300)]
    plain, hiding = pack(tiny_renderer.system, grown), pack(tiny_renderer.system, grown, share, (7, 1))
    for name in ("ids", "positions", "sources", "targets"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(hiding, name))
    assert plain.readings == hiding.readings
    gone = np.asarray((plain.visible & ~hiding.visible).any(axis=0))
    np.testing.assert_array_equal(hiding.visible, plain.visible & (~gone | np.eye(len(gone), dtype=bool)))
    for tree, place, span in node_places(tiny_renderer.system, grown):
        first, last = tree.nodes[place].hideable
        assert not gone[span][:first].any()
        assert not gone[span][last:].any()
        assert last == first or not gone[span][first:last].all(), "a message never loses all its words"
    again = pack(tiny_renderer.system, grown, share, (7, 1))
    np.testing.assert_array_equal(again.visible, hiding.visible)


def test_about_the_share_of_words_that_was_asked_for_is_hidden_and_other_words_each_pass(
    tiny_renderer: Renderer,
) -> None:
    messages = (Message("user", "where is my order " * 40, intents=("order",)),)
    grown = trees(Lesson(Transcript("c", messages), [Turn(0, False, ())]), tiny_renderer, LABELS, 2000)
    plain = pack(tiny_renderer.system, grown).visible
    passes = [pack(tiny_renderer.system, grown, 0.15, (0, step)).visible for step in range(8)]
    gone = [np.asarray((plain & ~visible).any(axis=0)) for visible in passes]
    n_words = grown[0].nodes[0].hideable[1] - grown[0].nodes[0].hideable[0]
    assert 0.10 < float(np.mean([row.sum() for row in gone])) / n_words < 0.20
    assert len({tuple(row) for row in gone}) == len(gone)


@settings(max_examples=40, deadline=None)
@given(lesson=taught())
def test_only_words_of_messages_behind_which_nothing_is_shown_or_written_may_be_hidden(
    tiny_renderer: Renderer, lesson: Lesson
) -> None:
    messages = lesson.transcript.messages
    reading = {turn.message for turn in lesson.turns if not turn.evidence and not turn.writes}
    for tree in trees(lesson, tiny_renderer, LABELS, 4000):
        for node in tree.nodes:
            first, last = node.hideable
            if last > first:
                held = [i for i in reading if tiny_renderer.message(messages[i]) == list(node.ids)]
                assert held
                said = tiny_renderer.text(node.ids[first:last])
                assert clean(messages[held[0]].content).startswith(said), "no mark is hidden"


# --- what a pack computes -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def student(tiny_base: Path) -> Student:
    """A student whose adapter and label rows are random."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(str(tiny_base), dtype=torch.float32, attn_implementation="sdpa")
    peft = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    made = Student(peft, SIZES)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.2)
    return made.eval()


def states(student: Student, ids: Sequence[int]) -> torch.Tensor:
    """The final hidden states of one path alone, in the plain causal way."""
    body = student.model.get_base_model().base_model
    with torch.no_grad():
        return body(input_ids=torch.tensor([list(ids)]), use_cache=False).last_hidden_state[0]  # type: ignore[no-any-return]


def node_places(system: Sequence[int], grown: Sequence[Tree]) -> Iterator[tuple[Tree, int, slice]]:
    """Yield (tree, node, where its ids stand in the pack)."""
    at = len(system)
    for tree in grown:
        for place, node in enumerate(tree.nodes):
            yield tree, place, slice(at, at + len(node.ids))
            at += len(node.ids)


@settings(max_examples=6, deadline=None)
@given(lessons=st.lists(taught(longest=40), min_size=1, max_size=3))
def test_the_states_of_a_pack_are_those_of_each_path_alone(
    tiny_renderer: Renderer, student: Student, lessons: list[Lesson]
) -> None:
    grown = [tree for lesson in lessons for tree in trees(lesson, tiny_renderer, LABELS, 300)]
    flat = pack(tiny_renderer.system, grown)
    with torch.inference_mode():
        packed = student.hidden(tensors([flat], SIZES))
    for tree, place, span in node_places(tiny_renderer.system, grown):
        ids = tiny_renderer.system + path(tree, place)
        alone = states(student, ids)[len(ids) - (span.stop - span.start) :]
        torch.testing.assert_close(packed[span], alone, atol=1e-4, rtol=1e-4)


def test_layers_with_a_sliding_window_see_in_a_pack_what_they_see_alone(tiny_renderer: Renderer) -> None:
    """And what the serving engine sees when it reads a path in pieces."""
    from peft import LoraConfig, get_peft_model
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(2)
    config = Gemma3TextConfig(
        vocab_size=600, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, head_dim=8,
        num_key_value_heads=1, sliding_window=16, layer_types=["sliding_attention", "full_attention"],
        initializer_range=0.25,
    )  # fmt: skip
    base = Gemma3ForCausalLM(config).eval()
    engine = TransformersEngine(base, {})
    peft = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    gemma = Student(peft, SIZES).eval()  # its adapter is new and changes nothing yet
    messages = tuple(
        Message("user" if i % 2 == 0 else "assistant", f"{i} words go here, and more words", intents=("hello",))
        for i in range(5)
    )
    lesson = Lesson(Transcript("c", messages), [Turn(0, True, (Evidence(ENTRIES[:2], "part"),)), Turn(2, True, ())])
    grown = [*trees(lesson, tiny_renderer, LABELS, 2000), *trees(lesson, tiny_renderer, LABELS, 2000)]
    with torch.inference_mode():
        packed = gemma.hidden(tensors([pack(tiny_renderer.system, grown)], SIZES))
    for tree, place, span in node_places(tiny_renderer.system, grown):
        ids = tiny_renderer.system + path(tree, place)
        assert len(ids) > config.sliding_window
        size = span.stop - span.start
        torch.testing.assert_close(packed[span], states(gemma, ids)[-size:], atol=1e-4, rtol=1e-4)
        alone = TransformersEngine(base, {})
        np.testing.assert_allclose(engine.score(ids, size), alone.score(ids, size), atol=1e-4)


def test_the_label_rows_stand_where_the_base_stands() -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    base = LlamaForCausalLM(LlamaConfig(vocab_size=20, **sizes)).to("meta")  # any device that is not the default one
    made = Student(get_peft_model(base, LoraConfig(target_modules="all-linear")), SIZES)
    assert {rows.device.type for rows in made.rows.values()} == {"meta"}


@settings(max_examples=6, deadline=None)
@given(lessons=st.lists(taught(longest=40), min_size=1, max_size=3))
def test_the_loss_covers_the_labels_and_the_written_words_and_nothing_else(
    tiny_renderer: Renderer, student: Student, lessons: list[Lesson]
) -> None:
    grown = [tree for lesson in lessons for tree in trees(lesson, tiny_renderer, LABELS, 300)]
    if not grown:
        return
    labels: dict[str, list[float]] = {}
    words: list[float] = []
    head = student.model.get_base_model().get_output_embeddings()
    for tree in grown:
        for place, node in enumerate(tree.nodes):
            ids = tiny_renderer.system + path(tree, place)
            hidden = states(student, ids)
            for name, target in node.labels.items():
                logprobs = torch.log_softmax(hidden[-1] @ student.rows[name].T, dim=-1)
                labels.setdefault(name, []).append(-sum(w * float(logprobs[i].detach()) for i, w in target.items()))
            logprobs = torch.log_softmax(head(hidden), dim=-1)
            start = len(ids) - len(node.ids)
            words += [-float(logprobs[start + i - 1, node.ids[i]]) for i in range(node.n_written)]
    expected = sum(float(np.mean(losses)) for losses in labels.values()) + (float(np.mean(words)) if words else 0.0)
    with torch.no_grad():
        found = student(**tensors([pack(tiny_renderer.system, grown)], SIZES))
    assert float(found["loss"]) == pytest.approx(expected, abs=1e-4, rel=1e-4)


def test_smoothed_labels_are_learnt_and_true_ones_are_judged(tiny_renderer: Renderer, student: Student) -> None:
    messages = (Message("user", "Hello", intents=("hello",)),)
    grown = trees(Lesson(Transcript("c", messages), [Turn(0, False, ())]), tiny_renderer, LABELS, 300)
    flat = pack(tiny_renderer.system, grown)
    read, _ = Reader(student, bf16=False).read(flat)
    (target,) = (label for label in grown[0].nodes[1].labels["intent"])
    smoothing = Student(student.model, SIZES, label_smoothing=0.3)
    smoothing.rows = student.rows
    with torch.no_grad():
        loss = float(smoothing(**tensors([flat], SIZES))["loss"])
    assert loss == pytest.approx(-0.7 * read["intent"][0, target] - 0.3 * read["intent"][0].mean(), abs=1e-4)


def test_reading_a_pack_gives_the_labels_and_words_of_each_path(tiny_renderer: Renderer, student: Student) -> None:
    messages = (Message("user", "Hello", intents=("hello",)), Message("assistant", "Hi!", author="human", action="ask"))
    lesson = Lesson(Transcript("c", messages), [Turn(0, writes=True, evidence=(Evidence(ENTRIES[:2], "part"),))])
    flat = pack(tiny_renderer.system, trees(lesson, tiny_renderer, LABELS, 300))
    read, words = Reader(student, bf16=False).read(flat)
    assert {name: values.shape for name, values in read.items()} == {
        "intent": (1, 3),
        "next_step": (1, 2),
        "support": (1, 3),
    }
    at_head = states(student, tiny_renderer.understanding(messages[:1]))[-1]
    at_evidence = states(student, tiny_renderer.evidence(messages[:1], ENTRIES[:2]))[-1]
    for name, state in (("intent", at_head), ("next_step", at_head), ("support", at_evidence)):
        alone = torch.log_softmax(state @ student.rows[name].T, dim=-1).detach().numpy()
        np.testing.assert_allclose(read[name][0], alone, atol=1e-4)
    assert len(words) == len(flat.targets)
    assert (words < 0).all()


def test_training_changes_the_adapter_and_the_rows_and_never_the_base(student: Student) -> None:
    trained = {name for name, parameter in student.named_parameters() if parameter.requires_grad}
    assert trained == set(student.state_dict())
    assert all("lora_" in name or name.startswith("rows.") for name in trained)
    assert {f"rows.{name}" for name in SIZES} < trained


# --- packs and passes -----------------------------------------------------------------------------------------------


def tree_of(name: str, size: int) -> Tree:
    return Tree(name, (Node(ROOT, tuple(range(size)), labels={"intent": {0: 1.0}}),))


@given(sizes=st.lists(st.integers(1, 50), max_size=20), limit=st.integers(1, 60))
def test_packs_hold_all_trees_in_order_within_the_limit(sizes: list[int], limit: int) -> None:
    given_trees = [tree_of(str(i), size) for i, size in enumerate(sizes)]
    groups = group(given_trees, limit)
    assert [tree for one in groups for tree in one] == given_trees
    for one, following in zip(groups, [*groups[1:], []], strict=False):
        used = sum(tree.n_tokens for tree in one)
        assert used <= limit or len(one) == 1
        assert not following or used + following[0].n_tokens > limit


def schedule(**changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "passes": 2.0, "max_steps": 0, "max_minutes": 0.0, "learning_rate": 1e-3, "label_learning_rate": 3e-3,
        "weight_decay": 0.0, "warmup": 0.1, "pack_tokens": 40, "accumulation": 1, "evaluations": 2, "logging_steps": 1,
        "save_steps": 0, "seed": 0, "bf16": False, "report_to": "none",
    }  # fmt: skip
    return Schedule(**{**values, **changes})


@pytest.mark.parametrize(("passes", "expected"), [(1.0, [1, 0]), (2.0, [1, 1]), (3.0, [2, 1]), (4.0, [2, 2])])
def test_passes_take_the_variants_in_turn_each_whole_and_in_another_order(passes: float, expected: list[int]) -> None:
    variants = tuple(tuple(tree_of(f"{variant}{i}", 10 + i) for i in range(8)) for variant in "ab")
    data = TrainingData((1, 2), variants, (), {"intent": 1})
    packs = Packs(data, schedule(passes=passes))
    seen = [reading.tree for number in range(len(packs)) for reading in packs[number].readings]
    for variant, count in zip("ab", expected, strict=True):
        assert all(seen.count(f"{variant}{i}") == count for i in range(8))
    again = Packs(data, schedule(passes=passes))
    assert [reading.tree for number in range(len(again)) for reading in again[number].readings] == seen
    other = Packs(data, schedule(passes=passes, seed=1))
    assert [reading.tree for number in range(len(other)) for reading in other[number].readings] != seen


def test_half_a_pass_takes_half_of_the_packs() -> None:
    data = TrainingData((1,), (tuple(tree_of(str(i), 30) for i in range(10)),), (), {"intent": 1})
    assert len(Packs(data, schedule(passes=0.5))) == 5
    assert len(Packs(data, schedule(passes=1.5))) == 15
