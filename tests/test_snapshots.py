from __future__ import annotations

import json
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder, fill
from damage import DAMAGES, edit_manifest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge_base import snapshots
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError, SnapshotError
from knowledge_base.lexical import LexicalIndex
from knowledge_base.search import KnowledgeBase

FILES = ["entries.jsonl", "index.faiss", "lexical.safetensors", "manifest.json", "origins.json", "rows.json"]
ENTRIES = [Entry(id=f"e{i}", question=f"Question {i}?", answer=f"Answer {i}, 50 €.") for i in range(20)]


def entries(count: int, mark: str = "") -> list[Entry]:
    return [Entry(id=f"e{i}", question=f"Question {i}{mark}?", answer="yes") for i in range(count)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "home", ENTRIES)
    return tmp_path / "home"


def folder_of(home: Path) -> Path:
    return home / "snapshots" / snapshots.current_id(home)


def test_a_snapshot_reads_back_as_it_was_written(home: Path) -> None:
    snapshot, index = snapshots.open_current(home)
    assert list(snapshot.entries.values()) == ENTRIES
    assert [row.entry_id for row in snapshot.rows] == [entry.id for entry in ENTRIES for _ in entry.searched_texts]
    assert index.rows == 40
    assert snapshot.manifest["counts"] == {"entries": 20, "rows": 40}
    assert snapshot.encoder_id == "hash"
    assert sorted(path.name for path in snapshot.folder.iterdir()) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_any_file_is_refused(home: Path, name: str) -> None:
    file = folder_of(home) / name
    whole = file.read_bytes()
    for position in {0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 2, len(whole) - 1}:
        damaged = bytearray(whole)
        damaged[position] ^= 0x04
        file.write_bytes(damaged)
        with pytest.raises(SnapshotError):
            snapshots.open_current(home)
    file.write_bytes(whole)
    snapshots.open_current(home)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), byte=st.binary(min_size=1, max_size=1))
def test_any_other_byte_anywhere_is_refused(home: Path, name: str, place: float, byte: bytes) -> None:
    file = folder_of(home) / name
    whole = file.read_bytes()
    at = int(place * len(whole))
    try:
        file.write_bytes(whole[:at] + byte + whole[at + 1 :])
        if byte == whole[at : at + 1]:
            snapshots.open_current(home)
        else:
            with pytest.raises(SnapshotError):
                snapshots.open_current(home)
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_or_missing_file_is_refused(home: Path, name: str) -> None:
    file = folder_of(home) / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SnapshotError):
        snapshots.open_current(home)
    file.unlink()
    with pytest.raises(SnapshotError):
        snapshots.open_current(home)


def test_a_file_that_does_not_belong_is_refused(home: Path) -> None:
    (folder_of(home) / "docstore.pkl").write_bytes(b"x")
    with pytest.raises(SnapshotError, match=r"docstore\.pkl: the file does not belong there"):
        snapshots.open_current(home)


def test_a_manifest_that_was_written_anew_over_altered_files_is_refused(home: Path) -> None:
    from knowledge_base.manifest import seal

    folder = folder_of(home)
    manifest = json.loads((folder / "manifest.json").read_text())
    lines = (folder / "entries.jsonl").read_text()
    (folder / "entries.jsonl").write_text(lines.replace("50 €", "10 €"))
    del manifest["files"]
    seal(folder, manifest)
    with pytest.raises(SnapshotError, match=r"manifest\.json: the file was altered"):
        snapshots.open_current(home)


@pytest.fixture(scope="module")
def two_homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    whole, other = tmp_path_factory.mktemp("homes") / "whole", tmp_path_factory.mktemp("homes") / "other"
    fill(whole, ENTRIES)
    fill(other, entries(30, " of others"))
    return whole, other


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", DAMAGES)
def test_no_damage_reaches_the_search(tmp_path: Path, two_homes: tuple[Path, Path], kind: str, seed: int) -> None:
    home, other = tmp_path / "home", two_homes[1]
    shutil.copytree(two_homes[0], home)
    assert KnowledgeBase.open(home, HashEncoder()).search("Question 3?")
    done = DAMAGES[kind](home, other, random.Random(seed))  # noqa: S311
    with pytest.raises(SnapshotError):
        pytest.fail(f"{done}: found {KnowledgeBase.open(home, HashEncoder()).search('Question 3?')}")


def test_a_snapshot_of_an_earlier_format_says_what_to_do(home: Path) -> None:
    edit_manifest(home, {"format": 1})
    with pytest.raises(SnapshotError, match=r"expected format 2, got 1\. Ingest again\."):
        snapshots.open_current(home)
    fill(home, ENTRIES)
    assert len(snapshots.open_current(home)[0].entries) == 20


def test_entries_without_a_word_are_kept_and_found_by_meaning(tmp_path: Path) -> None:
    fill(tmp_path, [Entry(id="marks", question="?!", answer="…")])
    assert [hit.entry.id for hit in KnowledgeBase.open(tmp_path, HashEncoder()).search("what")] == ["marks"]


def test_words_survive_the_way_through_the_disk_unchanged(home: Path) -> None:
    wanted = LexicalIndex.build(["\n".join(entry.searched_texts) for entry in ENTRIES])
    read = snapshots.read_current(home).read_lexical()
    for query in ("Question 3?", "answer 17 50", "none such"):
        np.testing.assert_array_equal(read.scores(query), wanted.scores(query))
        assert read.score(query, "Answer 17, or 3") == wanted.score(query, "Answer 17, or 3")


@pytest.mark.parametrize("content", ["", "../../etc", "20261122T000000Z-00000000\n", "\xff"])
def test_a_damaged_current_is_refused(home: Path, content: str) -> None:
    (home / "CURRENT").write_text(content, encoding="latin-1")
    with pytest.raises(SnapshotError):
        snapshots.open_current(home)


def test_a_folder_without_knowledge_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"python -m knowledge_base\.ingest"):
        snapshots.read_current(tmp_path)


def test_the_last_three_snapshots_are_kept(home: Path) -> None:
    ids = [fill(home, entries(5, f" {i}")).snapshot for i in range(5)]
    assert {path.name for path in (home / "snapshots").iterdir()} == set(ids[-3:])
    assert snapshots.read_current(home).manifest["parent"] == ids[-2]


def test_what_a_killed_run_left_is_removed_by_the_next(home: Path) -> None:
    leftover = home / "snapshots" / "20250101T000000Z.partial"
    leftover.mkdir()
    (leftover / "entries.jsonl").write_text("half")
    (home / "CURRENT.partial").write_text("half")
    snapshots.open_current(home)
    fill(home, entries(3))
    assert not leftover.exists()
    assert not (home / "CURRENT.partial").exists()


def test_a_run_that_fails_while_writing_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(snapshots, "seal", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(home, entries(3))
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_only_one_ingestion_writes_at_a_time(home: Path) -> None:
    with FileLock(home / "ingest.lock"), pytest.raises(InputError, match="another ingestion"):
        fill(home, entries(3))


def test_a_damaged_snapshot_is_replaced_and_what_an_older_one_held_is_kept(home: Path) -> None:
    fill(home, [Entry(id="new", question="New?", answer="yes")])
    damaged = folder_of(home) / "index.faiss"
    damaged.write_bytes(damaged.read_bytes()[:-4])
    encoder = HashEncoder()
    report = fill(home, [Entry(id="newer", question="Newer?", answer="yes")], encoder)
    assert (report.added, report.kept, sorted(encoder.encoded)) == (1, 20, ["Newer?", "Newer?\nyes"])
    assert len(snapshots.open_current(home)[0].entries) == 21


def test_a_reader_meets_whole_snapshots_only_while_they_are_replaced(home: Path) -> None:
    done = threading.Event()
    failures: list[BaseException] = []
    opened: set[str] = set()

    def read() -> None:
        while not done.is_set():
            try:
                snapshot, index = snapshots.open_current(home)
                assert index.rows == 2 * len(snapshot.entries)
                opened.add(snapshot.id)
            except BaseException as error:  # noqa: BLE001 (whatever it is, the test shows it)
                failures.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(25):
        fill(home, entries(4 + i, f" {i}"), prune=True)
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(opened) > 1


@pytest.mark.parametrize(
    "make",
    [
        lambda home: home.write_text("a file"),
        lambda home: (home.mkdir(), (home / "thesis.tex").write_text("x")),
        lambda home: ((home / "snapshots").mkdir(parents=True), (home / "snapshots" / "holiday.jpg").write_text("x")),
    ],
)
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, make: Callable[[Path], object]) -> None:
    home = tmp_path / "home"
    make(home)
    with pytest.raises(InputError, match="Choose another --out"):
        fill(home, entries(3))


def test_vectors_survive_the_way_through_the_disk_unchanged(home: Path) -> None:
    snapshot, index = snapshots.open_current(home)
    wanted = HashEncoder().encode([text for entry in snapshot.entries.values() for text in entry.searched_texts])
    np.testing.assert_array_equal(index.vectors(np.arange(40)), wanted)
