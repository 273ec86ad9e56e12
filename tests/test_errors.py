"""What commands say to input that they cannot use: where, what was expected, what came, and what to do."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from chatbot.config import load_settings
from knowledge_base.errors import InputError
from knowledge_base.home import writing
from knowledge_base.snapshots import current_id

NEEDED = {
    "finetune.lora": ["--dataset", "{chats}", "--output_dir", "{new}"],
    "finetune.discover": ["--dataset", "{chats}", "--output_dir", "{new}"],
    "finetune.calibrate": ["--knowledge", "{new}", "--output_dir", "{new}"],
    "finetune.audit": ["--dataset", "{chats}", "--json", "{new}"],
    "finetune.evaluate": ["--adapter", "{new}", "--dataset", "{chats}", "--json", "{new}"],
    "chatbot.ask": ["--questions", "{chats}", "--json", "{new}"],
    "knowledge_base.fit": ["--knowledge", "{new}", "--queries", "{chats}"],
    "knowledge_base.evaluate": ["--knowledge", "{new}", "--queries", "{chats}", "--json", "-"],
    "knowledge_base.ingest": ["{new}", "--out", "{file}/home"],
}
WRONG = [
    ("finetune.lora", ["--lora_r", "64"]),
    ("finetune.lora", ["--lora_dropout", "1"]),
    ("finetune.lora", ["--split", "0.5", "0.5", "0.5"]),
    ("finetune.lora", ["--bf16", "perhaps"]),
    ("finetune.lora", ["--report_to", "paper"]),
    ("finetune.lora", ["--seed", "-1"]),
    ("finetune.lora", ["--learning_rate", "0"]),
    ("finetune.lora", ["--max_minutes", "-1"]),
    ("finetune.lora", ["--config", "{file}"]),
    ("finetune.lora", ["--config", "{flags}"]),
    ("finetune.lora", []),
    ("finetune.discover", ["--seed", "-1"]),
    ("finetune.discover", ["--knowledge", "{new}"]),
    ("finetune.discover", []),
    ("finetune.calibrate", ["--max_error", "2"]),
    ("finetune.calibrate", ["--queries", "{chats}"]),
    ("finetune.calibrate", ["--dataset", "{chats}"]),
    ("finetune.calibrate", []),
    ("finetune.audit", []),
    ("finetune.evaluate", ["--examples", "{new}"]),
    ("finetune.evaluate", []),
    ("chatbot.ask", []),
    ("knowledge_base.fit", []),
    ("knowledge_base.evaluate", []),
    ("knowledge_base.ingest", []),
]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Files that no command can use, and a name that nothing has."""
    found = {"chats": tmp_path / "chats.jsonl", "file": tmp_path / "list.yaml", "flags": tmp_path / "flags.yaml"}
    found["chats"].write_text('{"messages": 3}\nnot JSON\n', encoding="utf-8")
    found["file"].write_text("- 1\n- 2\n", encoding="utf-8")
    found["flags"].write_text("learning_rate: fast\n", encoding="utf-8")
    return {**found, "new": tmp_path / "new"}


def says_what_to_do(text: str) -> bool:
    """Say whether a message names what was expected and ends with a sentence, or a command, that helps."""
    return re.fullmatch(r".*[Ee]xpected .+\. [A-Z].+", text) is not None


@pytest.mark.parametrize(("command", "flags"), WRONG, ids=[" ".join([c, *f]) for c, f in WRONG])
def test_wrong_input_is_answered_by_what_was_expected_and_what_to_do(
    command: str, flags: list[str], places: dict[str, Path]
) -> None:
    given = [word.format(**places) for word in [*NEEDED[command], *flags]]
    with pytest.raises(InputError) as caught:
        importlib.import_module(command).main(given)
    assert says_what_to_do(str(caught.value)), str(caught.value)
    assert not places["new"].exists()


def test_settings_that_cannot_be_used_say_what_to_correct(tmp_path: Path) -> None:
    for content in ("- company\n", "company: [\n"):
        (tmp_path / "frontdesk.yaml").write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=r"Correct the (file|line)\.$"):
            load_settings(tmp_path)


def test_a_folder_that_is_no_knowledge_home_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Build it: python -m knowledge_base\.ingest"):
        current_id(tmp_path)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"Choose another place\.$"), writing(tmp_path / "file" / "home"):
        pass
