"""Where entries come from and since when: told of every entry, kept by every snapshot that does not change it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import HashEncoder, fill, scorer_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatbot.curation import Item
from knowledge_base import fit, snapshots
from knowledge_base.editing import Editor
from knowledge_base.edits import Edit, version
from knowledge_base.encoder import EncoderFolder
from knowledge_base.entry import Entry
from knowledge_base.ingest import main as ingest_main
from knowledge_base.manifest import MANIFEST, seal, sha256_of
from knowledge_base.origins import Before, Origin, origins_of, read_origins, write_origins

COST = Entry("cost", "What does delivery cost?", "4.90 euro.")
BACK = Entry("back", "Can I return it?", "Within 30 days.")
EARLIER, TODAY = "2026-01-31", datetime.now(UTC).date().isoformat()


@given(
    st.dictionaries(
        st.text(max_size=9), st.builds(Origin, st.text(max_size=9), st.sampled_from(["", TODAY])), max_size=5
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_again(tmp_path: Path, origins: dict[str, Origin]) -> None:
    write_origins(tmp_path / "origins.json", origins)
    assert read_origins(tmp_path / "origins.json") == origins


def test_only_a_change_gives_an_entry_another_day() -> None:
    held = {"cost": Origin("faq.csv", EARLIER), "back": Origin("faq.csv", EARLIER)}
    before = Before({"cost": COST, "back": BACK}, held, "2026-02-01")
    changed = Entry("back", BACK.question, "Within 60 days.")
    new = Entry("new", "Anything else?", "No.")
    assert origins_of([COST, changed, new], {"back": "new.csv"}, before, TODAY) == {
        "cost": Origin("faq.csv", EARLIER),
        "back": Origin("new.csv", TODAY),
        "new": Origin("", TODAY),
    }


def test_where_nothing_was_kept_an_unchanged_entry_has_the_day_of_its_snapshot() -> None:
    assert origins_of([COST], {}, Before({"cost": COST}, {}, EARLIER), TODAY) == {"cost": Origin("", EARLIER)}


@pytest.fixture
def ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write files of entries, ingest them, return the home."""
    encoder = HashEncoder()
    found = EncoderFolder(encoder.id, Path(), encoder.sha256)
    monkeypatch.setattr("knowledge_base.ingest.locate_encoder", lambda _name: found)
    monkeypatch.setattr("knowledge_base.ingest.load_encoder", lambda _name: encoder)

    def run(**files: list[Entry]) -> Path:
        paths = []
        for name, entries in files.items():
            paths.append(tmp_path / f"{name}.jsonl")
            paths[-1].write_text("".join(json.dumps(entry.to_json()) + "\n" for entry in entries), encoding="utf-8")
        assert ingest_main([*map(str, paths), "--out", str(tmp_path / "home")]) == 0
        return tmp_path / "home"

    return run


def origins(home: Path) -> dict[str, Origin]:
    return dict(snapshots.read_current(home).origins)


def since(home: Path, day: str) -> None:
    """Make the current snapshot one of another day."""
    snapshot, index = snapshots.open_current(home)
    aged = {entry_id: Origin(origin.source, day) for entry_id, origin in snapshot.origins.items()}
    facts = {"encoder": snapshot.manifest["encoder"], "parent": snapshot.id}
    snapshots.write(home, list(snapshot.entries.values()), snapshot.rows, index, facts, None, None, aged)


def test_an_ingestion_tells_the_file_of_each_entry_and_keeps_what_it_does_not_change(
    ingest: Callable[..., Path],
) -> None:
    home = ingest(faq=[COST], terms=[BACK])
    assert origins(home) == {"cost": Origin("faq.jsonl", TODAY), "back": Origin("terms.jsonl", TODAY)}
    since(home, EARLIER)
    ingest(terms=[Entry("back", BACK.question, "Within 60 days.")])
    assert origins(home) == {"cost": Origin("faq.jsonl", EARLIER), "back": Origin("terms.jsonl", TODAY)}


def test_an_edit_changes_the_day_of_its_entry_alone(ingest: Callable[..., Path]) -> None:
    home = ingest(faq=[COST, BACK])
    since(home, EARLIER)
    Editor(home, HashEncoder()).change("cost", {"answer": "5.90 euro."}, "ada", version(COST, None))
    assert origins(home) == {"cost": Origin("faq.jsonl", TODAY), "back": Origin("faq.jsonl", EARLIER)}


def test_a_fit_of_the_search_changes_no_day(ingest: Callable[..., Path]) -> None:
    home = ingest(faq=[COST, BACK])
    since(home, EARLIER)
    before = snapshots.read_current(home)
    fit._written(home, scorer_of(1.0))
    assert snapshots.read_current(home).id != before.id
    assert origins(home) == before.origins


def test_a_snapshot_without_origins_is_read_too(tmp_path: Path) -> None:
    fill(tmp_path, [COST])
    snapshot, index = snapshots.open_current(tmp_path)
    facts = {"encoder": snapshot.manifest["encoder"], "parent": snapshot.id}
    folder = snapshots.write(tmp_path, list(snapshot.entries.values()), snapshot.rows, index, facts).folder
    (folder / "origins.json").unlink()
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).unlink()
    seal(folder, {name: value for name, value in manifest.items() if name != "files"})
    old = snapshots.read(folder, f"{folder.name[:16]}-{sha256_of(folder / MANIFEST)[:8]}")
    assert old.entries == snapshot.entries
    assert old.origins == {}


def test_an_operator_sees_what_the_entry_says_itself_before_what_was_seen_here() -> None:
    told = Entry("cost", "What?", "That.", source="handbook", updated_at="2025-05-05T10:00:00")
    seen, edit = Origin("faq.csv", EARLIER), Edit(COST, "ada", "2026-03-03T10:00:00", source=COST)
    assert (Item(told, None, seen).source, Item(told, None, seen).changed) == ("handbook", "2025-05-05")
    assert (Item(COST, edit, seen).source, Item(COST, edit, seen).changed) == ("faq.csv", EARLIER)
    assert (Item(COST, edit).source, Item(COST, edit).changed) == ("", "2026-03-03")
    assert (Item(COST).source, Item(COST).changed) == ("", "")
