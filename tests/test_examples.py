"""Labelled messages added since the training: read from the data folder, and again when they change."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from chatbot.examples import Examples


def write(folder: Path, name: str, *said: tuple[str, Any]) -> Path:
    lines = [{"messages": [{"role": "user", "content": text, "intent": intent}]} for text, intent in said]
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_examples_are_vectors_by_intent_and_an_equal_message_counts_once(tmp_path: Path, encoder: Any) -> None:
    write(tmp_path, "new.jsonl", ("Can I pay by invoice?", "invoice"), ("Can I pay by invoice?", "invoice"))
    write(tmp_path, "more.jsonl", ("Send it as a gift", ["gift", "delivery"]))
    found = Examples(tmp_path, encoder).vectors()
    assert {name: len(vectors) for name, vectors in found.items()} == {"invoice": 1, "gift": 1, "delivery": 1}
    assert found["invoice"][0] == pytest.approx(encoder.encode_query("Can I pay by invoice?"), abs=1e-6)


def test_a_file_that_is_added_changed_or_removed_counts_from_the_next_message_on(tmp_path: Path, encoder: Any) -> None:
    examples = Examples(tmp_path, encoder)
    assert examples.vectors() == {}
    path = write(tmp_path, "new.jsonl", ("Can I pay by invoice?", "invoice"))
    assert list(examples.vectors()) == ["invoice"]
    write(tmp_path, "new.jsonl", ("Can I pay by invoice?", "billing"))
    os.utime(path, (1, 1))
    assert list(examples.vectors()) == ["billing"]
    path.unlink()
    assert examples.vectors() == {}


@pytest.mark.parametrize(
    "line",
    ["no JSON", "[]", '{"messages": 3}', '{"messages": [3, {"role": "user"}]}', '{"messages": [{"role": "user", "content": "x", "intent": 7}]}',
     '{"messages": [{"role": "assistant", "content": "x", "intent": "said by the bot"}]}'],
)  # fmt: skip
def test_a_row_that_is_no_labelled_message_is_left_out_and_the_rest_is_used(
    tmp_path: Path, encoder: Any, line: str
) -> None:
    path = write(tmp_path, "new.jsonl", ("Can I pay by invoice?", "invoice"))
    path.write_text(line + "\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert list(Examples(tmp_path, encoder).vectors()) == ["invoice"]


def test_without_a_folder_there_are_none(tmp_path: Path, encoder: Any) -> None:
    assert Examples(None, encoder).vectors() == {}
    assert Examples(tmp_path / "absent", encoder).vectors() == {}
