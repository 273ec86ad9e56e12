"""Fitting the search: the weights become part of the knowledge, stay through ingestions, and few queries fit nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import WordEncoder, fill

from knowledge_base import fit, snapshots
from knowledge_base.entry import Entry
from knowledge_base.errors import FrontdeskError, InputError
from knowledge_base.manifest import MANIFEST, seal, sha256_of
from knowledge_base.search import KnowledgeBase

THINGS = ["lamp", "shade", "cord", "bulb", "plug", "switch", "dimmer", "timer", "sensor", "chain", "hook", "stand"]
ENTRIES = [Entry(thing, f"What about the {thing}?", f"The {thing} is in aisle {n}.") for n, thing in enumerate(THINGS)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    encoder = WordEncoder()  # what is fitted here are weights, not meaning
    monkeypatch.setattr("knowledge_base.encoder.load_encoder", lambda _name: encoder)
    fill(tmp_path / "home", ENTRIES, encoder)
    return tmp_path / "home"


def queries(folder: Path, count: int) -> str:
    rows = [
        {"id": f"{n}", "query": f"{'the ' * (n % 3)}{THINGS[n % 12]} please", "relevant": [THINGS[n % 12]]}
        for n in range(count)
    ]
    rows += [{"id": f"none{n}", "query": f"boat {n}", "relevant": []} for n in range(8)]
    file = folder / "queries.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def test_fitted_weights_become_part_of_the_knowledge_and_stay_through_ingestions(home: Path, tmp_path: Path) -> None:
    serving = KnowledgeBase.open(home, WordEncoder())
    assert serving.scorer == serving.default_scorer
    before = snapshots.current_id(home)
    report = tmp_path / "report.json"
    assert fit.main(["--knowledge", str(home), "--queries", queries(tmp_path, 30), "--json", str(report)]) == 0
    facts = json.loads(report.read_text())
    assert (facts["queries"], facts["answerable"], facts["refused"]) == (38, 30, [])
    assert facts["hit_at_1_on_held_out_fifths"] == 1.0
    assert facts["snapshot"] == snapshots.current_id(home) != before
    assert serving.refresh()
    assert serving.scorer.to_json() == {name: facts[name] for name in ("weights", "nothing", "together", "likeness")}
    assert serving.scorer != serving.default_scorer
    fill(home, [Entry("rope", "And the rope?", "In aisle 99.")], WordEncoder())
    assert snapshots.read_current(home).scorer == serving.scorer
    assert len(snapshots.read_current(home).entries) == len(ENTRIES) + 1


def test_a_query_whose_entry_search_does_not_find_counts_as_a_miss(home: Path, tmp_path: Path) -> None:
    internal = [Entry("staff", "And the wages?", "5,000.", visibility="internal")]
    fill(home, internal, WordEncoder())
    file, report = queries(tmp_path, 30), tmp_path / "report.json"
    with Path(file).open("a", encoding="utf-8") as more:
        more.writelines(f'{{"id": "w{n}", "query": "And the wages? {n}", "relevant": ["staff"]}}\n' for n in range(10))
    assert fit.main(["--knowledge", str(home), "--queries", file, "--json", str(report)]) == 0
    facts = json.loads(report.read_text())
    assert (facts["answerable"], facts["hit_at_1_on_held_out_fifths"]) == (40, 0.75)


def test_queries_that_cannot_be_used_are_listed_with_their_place(home: Path, tmp_path: Path) -> None:
    file, report = queries(tmp_path, 30), tmp_path / "report.json"
    with Path(file).open("a", encoding="utf-8") as more:
        more.write('{"id": "broken"}\n')
    assert fit.main(["--knowledge", str(home), "--queries", file, "--json", str(report)]) == 3
    (refused,) = json.loads(report.read_text())["refused"]
    assert (refused["file"], refused["line"], refused["unit"]) == (file, 39, "line")
    assert "query or messages" in refused["reason"]


def test_a_fitted_search_that_was_altered_is_refused(home: Path, tmp_path: Path) -> None:
    fit.main(["--knowledge", str(home), "--queries", queries(tmp_path, 30)])
    file = home / "snapshots" / snapshots.current_id(home) / snapshots.SCORER
    file.write_text(file.read_text().replace("nothing", "nothinG"))
    with pytest.raises(FrontdeskError):
        KnowledgeBase.open(home, WordEncoder())


def test_too_few_queries_and_a_folder_that_is_no_home_change_nothing(home: Path, tmp_path: Path) -> None:
    before = snapshots.current_id(home)
    with pytest.raises(InputError, match="expected at least 20 queries"):
        fit.main(["--knowledge", str(home), "--queries", queries(tmp_path, 19)])
    with pytest.raises(FrontdeskError, match="without CURRENT"):
        fit.main(["--knowledge", str(tmp_path), "--queries", queries(tmp_path, 30)])
    assert snapshots.current_id(home) == before


def test_weights_of_another_version_are_passed_over_and_nothing_else_of_the_knowledge_is_lost(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert fit.main(["--knowledge", str(home), "--queries", queries(tmp_path, 30)]) == 0
    fitted = snapshots.read_current(home)
    facts = json.loads((fitted.folder / snapshots.SCORER).read_text())
    del facts["together"]
    facts["weights"]["subject_latest"] = 1.0
    (fitted.folder / snapshots.SCORER).write_text(json.dumps(facts))
    manifest = json.loads((fitted.folder / MANIFEST).read_text())
    (fitted.folder / MANIFEST).unlink()
    seal(fitted.folder, {key: value for key, value in manifest.items() if key != "files"})
    sealed = fitted.folder.with_name(f"{fitted.id[:-8]}{sha256_of(fitted.folder / MANIFEST)[:8]}")
    fitted.folder.rename(sealed)
    (home / "CURRENT").write_text(f"{sealed.name}\n")
    serving = KnowledgeBase.open(home, WordEncoder())
    assert serving.scorer == serving.default_scorer
    assert "knowledge_base.fit again" in caplog.text
    assert set(serving.entries) == set(THINGS)
    assert fit.main(["--knowledge", str(home), "--queries", queries(tmp_path, 30)]) == 0
    assert snapshots.read_current(home).scorer is not None
