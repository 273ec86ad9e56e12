"""The command `python -m knowledge_base.snapshots`: what a home holds, going back, checking."""

from __future__ import annotations

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HashEncoder, fill
from damage import DAMAGES, edit_manifest
from filelock import FileLock

from knowledge_base.command import EXIT_DONE, EXIT_FAILED, EXIT_NOTHING_DONE
from knowledge_base.encoder import EncoderFolder
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError
from knowledge_base.home import names
from knowledge_base.index import VectorIndex
from knowledge_base.search import KnowledgeBase
from knowledge_base.snapshots import current_id, intact, main


def shelf(answer: str, count: int = 3) -> list[Entry]:
    return [Entry(id=f"e{i}", question=f"Question {i}?", answer=answer) for i in range(count)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for answer, count in (("first", 3), ("second", 4), ("third", 2)):
        fill(tmp_path / "home", shelf(answer, count), prune=True)
    return tmp_path / "home"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder without a model, found under its name as an installed one is."""
    made = HashEncoder()
    folder = EncoderFolder(made.id, Path(), made.sha256)
    monkeypatch.setattr("knowledge_base.history.locate_encoder", lambda name: {"hash": folder}[name])


def told(home: Path, action: str, *flags: str, code: int = EXIT_DONE) -> Any:
    target = home.with_name(f"{home.name}.report.json")
    assert main([action, "--knowledge", str(home), "--json", str(target), *flags]) == code
    return json.loads(target.read_text())


def test_the_history_says_what_each_snapshot_changed_newest_first(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = names(home)
    found = told(home, "history")["snapshots"]
    assert [row["id"] for row in found] == [third, second, first]
    assert [row["current"] for row in found] == [True, False, False]
    assert [row["parent"] for row in found] == [second, first, None]
    assert [row["entries"] for row in found] == [2, 4, 3]
    assert found[0]["changes"] == {"added": 0, "changed": 2, "removed": 2}
    assert found[1]["changes"] == {"added": 1, "changed": 3, "removed": 0}
    assert (found[0]["encoder"], found[0]["created"][:4]) == ("hash", third[:4])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"* {third}  2 entries (added 0, changed 2, removed 2)")
    assert lines[2].endswith("parent none")


def test_the_history_names_a_damaged_snapshot_and_lists_the_others(home: Path) -> None:
    (home / "snapshots" / names(home)[1] / "manifest.json").write_text("{}")
    found = told(home, "history")["snapshots"]
    assert [bool(row["problem"]) for row in found] == [False, True, False]


def test_rolling_back_puts_the_parent_in_force_and_a_running_bot_follows(home: Path) -> None:
    serving = KnowledgeBase.open(home, HashEncoder())
    first, second, third = names(home)
    assert told(home, "rollback") == {"from": third, "to": second, "entries": 4}
    assert serving.refresh()
    assert {hit.entry.answer for hit in serving.search("Question 1?")} == {"second"}
    assert told(home, "rollback") == {"from": second, "to": first, "entries": 3}
    assert told(home, "rollback", "--to", third)["to"] == third
    assert serving.refresh()
    assert {hit.entry.answer for hit in serving.search("Question 1?")} == {"third"}


def test_an_ingestion_after_a_rollback_builds_on_what_is_in_force_and_keeps_it(home: Path) -> None:
    first, _second, third = names(home)
    told(home, "rollback", "--to", first)
    report = fill(home, [Entry(id="new", question="New?", answer="yes")])
    assert (report.added, report.kept, report.entries) == (1, 3, 4)
    assert set(names(home)) == {first, third, report.snapshot}  # the parent, and the newest beside it
    assert told(home, "rollback")["to"] == first
    assert fill(home, shelf("third", 2), prune=True).changed == 2


def test_a_damaged_snapshot_is_not_rolled_back_to(home: Path) -> None:
    _first, second, third = names(home)
    (home / "snapshots" / second / "index.faiss").write_bytes(b"")
    with pytest.raises(InputError, match=r"index\.faiss: the file was altered") as caught:
        main(["rollback", "--knowledge", str(home)])
    assert caught.value.exit_code == EXIT_NOTHING_DONE
    assert current_id(home) == third


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["rollback", "--to", "20260101T000000Z-00000000"], "expected one of its snapshots"),
        (["rollback", "--to", "../other"], "expected one of its snapshots"),
        (["verify", "--id", "20260101T000000Z-00000000"], "expected one of its snapshots"),
        (["verify", "--id", "x", "--all"], "not allowed with argument"),
        (["rollback"], "has no parent that is still held"),
    ],
)
def test_what_is_not_there_does_nothing(tmp_path: Path, flags: list[str], message: str) -> None:
    fill(tmp_path, shelf("only"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=message) as caught:
        main([*flags, "--knowledge", str(tmp_path)])
    assert caught.value.exit_code == EXIT_NOTHING_DONE
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("action", ["history", "rollback", "verify"])
def test_a_folder_that_is_no_home_is_left_as_it_is(tmp_path: Path, action: str) -> None:
    with pytest.raises(InputError, match="expected a knowledge home"):
        main([action, "--knowledge", str(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_the_one_in_force_and_a_home_that_is_being_written_are_left_alone(home: Path) -> None:
    with pytest.raises(InputError, match="is in force already"):
        main(["rollback", "--knowledge", str(home), "--to", current_id(home)])
    with FileLock(home / "ingest.lock"), pytest.raises(InputError, match="another ingestion"):
        main(["rollback", "--knowledge", str(home)])


@pytest.mark.parametrize("content", ["garbage", None])
def test_a_damaged_current_is_mended_by_naming_a_snapshot(home: Path, content: str | None) -> None:
    second = names(home)[1]
    (home / "CURRENT").unlink()
    if content:
        (home / "CURRENT").write_text(content)
    assert not any(row["current"] for row in told(home, "history")["snapshots"])
    with pytest.raises(InputError, match="--to ID"):
        main(["rollback", "--knowledge", str(home)])
    assert told(home, "rollback", "--to", second)["from"] is None
    assert current_id(home) == second


def test_whole_snapshots_verify_and_a_damaged_one_is_named(
    home: Path, installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = names(home)
    assert told(home, "verify") == {"snapshots": [{"id": third, "whole": True, "problem": ""}]}
    (home / "snapshots" / first / "rows.json").write_text("[]")
    found = told(home, "verify", "--all", code=EXIT_FAILED)["snapshots"]
    assert [(row["id"], row["whole"]) for row in found] == [(third, True), (second, True), (first, False)]
    assert f"{first}/rows.json: the file was altered" in found[2]["problem"]
    assert told(home, "verify", "--id", second)["snapshots"][0]["whole"]
    assert f"{first}  error: " in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["rows of others", "vectors of others", "words of others", "entries of others"])
def test_parts_that_do_not_belong_together_do_not_verify(
    home: Path, tmp_path: Path, installed: None, kind: str
) -> None:
    fill(tmp_path / "other", shelf("other", 9))
    DAMAGES[kind](home, tmp_path / "other", random.Random(0))  # noqa: S311
    assert told(home, "verify", code=EXIT_FAILED)["snapshots"][0]["problem"]


def test_vectors_that_are_no_directions_do_not_verify(home: Path, installed: None) -> None:
    folder = home / "snapshots" / current_id(home)
    index = VectorIndex.read(folder / "index.faiss")
    VectorIndex.build(2 * index.vectors(np.arange(index.rows))).write(folder / "index.faiss")
    edit_manifest(home, {})
    assert "vectors of length 1" in told(home, "verify", code=EXIT_FAILED)["snapshots"][0]["problem"]


def test_another_encoder_is_named(home: Path, installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    other = HashEncoder("other")
    monkeypatch.setattr("knowledge_base.history.locate_encoder", lambda name: EncoderFolder(name, Path(), other.sha256))
    problem = told(home, "verify", "--encoder", "other", code=EXIT_FAILED)["snapshots"][0]["problem"]
    assert "expected knowledge made with the encoder other" in problem
    assert "got hash" in problem


def test_an_encoder_that_is_not_installed_is_named(home: Path) -> None:
    assert "hash" in told(home, "verify", code=EXIT_FAILED)["snapshots"][0]["problem"]


def test_what_is_internal_or_over_never_comes_back_also_after_a_rollback(tmp_path: Path) -> None:
    today = date(2026, 11, 22)
    hidden = [
        Entry(id="over", question="Question 1?", answer="first", valid_until="2026-11-21"),
        Entry(id="not yet", question="Question 1?", answer="first", valid_from="2026-11-23"),
        Entry(id="internal", question="Question 1?", answer="first", visibility="internal"),
    ]
    fill(tmp_path, [*shelf("first"), *hidden])
    fill(tmp_path, [Entry(id=entry.id, question="Question 1?", answer="shown") for entry in hidden])
    serving = KnowledgeBase.open(tmp_path, HashEncoder(), today=lambda: today)
    recent = [entry.id for entry in hidden]
    assert {hit.entry.id for hit in serving.search("Question 1?", recent=recent, k=9)} == {"e0", "e1", "e2", *recent}
    told(tmp_path, "rollback")
    assert serving.refresh()
    assert {hit.entry.id for hit in serving.search("Question 1?", recent=recent, k=9)} == {"e0", "e1", "e2"}


def test_what_was_rolled_back_repairs_a_damaged_snapshot_only_where_nothing_older_is_whole(home: Path) -> None:
    first, second, third = names(home)
    told(home, "rollback")
    (home / "snapshots" / second / "index.faiss").write_bytes(b"x")
    assert getattr(intact(home), "id", None) == first
    (home / "snapshots" / first / "index.faiss").write_bytes(b"x")
    assert getattr(intact(home), "id", None) == third
    told(home, "rollback", "--to", third)
    (home / "snapshots" / third / "index.faiss").write_bytes(b"x")
    assert intact(home) is None
