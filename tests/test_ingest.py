from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder, fill
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from steps import STEPS

from knowledge_base import snapshots
from knowledge_base.command import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NOTHING_DONE, EXIT_PARTLY_REFUSED
from knowledge_base.encoder import EncoderFolder, locate_encoder
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError
from knowledge_base.home import names
from knowledge_base.ingest import ingest, main

FAQ = "id,question,answer\nship,How long is delivery?,Two days.\nback,How do I return it?,In the box.\n"


class Served(HashEncoder):
    """The hash encoder under the name and hash of the default one, so that the command itself runs without a model."""

    def __init__(self) -> None:
        super().__init__()
        located = locate_encoder()
        self.id, self.sha256 = located.id, located.sha256


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    encoder = Served()
    monkeypatch.setattr("knowledge_base.ingest.load_encoder", lambda _name: encoder)
    return encoder


def put(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


def contents(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def vectors_by_entry(home: Path) -> dict[str, NDArray[np.float32]]:
    snapshot, index = snapshots.open_current(home)
    owners = np.array([row.entry_id for row in snapshot.rows])
    return {entry_id: index.vectors(np.flatnonzero(owners == entry_id)) for entry_id in snapshot.entries}


def test_a_first_run_reports_what_was_added_and_where(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    assert main([put(tmp_path / "faq.csv", FAQ), "--out", str(home), "--json", str(tmp_path / "r.json")]) == EXIT_DONE
    out = capsys.readouterr().out
    assert "added 2, changed 0, removed 0, unchanged 0" in out
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["snapshot"] == snapshots.current_id(home)
    assert report["snapshot"] in out
    assert (report["added"], report["embedded"], report["entries"], report["refused"]) == (2, 4, 2, [])


def test_a_second_run_embeds_only_what_is_new(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    faq, home = put(tmp_path / "faq.csv", FAQ), tmp_path / "home"
    main([faq, "--out", str(home)])
    served.encoded.clear()
    put(tmp_path / "faq.csv", FAQ.replace("Two days.", "Three days.") + "pay,How do I pay?,By card.\n")
    capsys.readouterr()
    assert main([faq, "--out", str(home)]) == EXIT_DONE
    assert "added 1, changed 1, removed 0, unchanged 1" in capsys.readouterr().out
    assert sorted(served.encoded) == ["How do I pay?", "How do I pay?\nBy card.", "How long is delivery?\nThree days."]
    assert snapshots.read_current(home).entries["ship"].answer == "Three days."


def test_nothing_changed_writes_nothing_and_loads_nothing_heavy(tmp_path: Path, served: Served) -> None:
    faq, home = put(tmp_path / "faq.csv", FAQ), tmp_path / "home"
    main([faq, "--out", str(home)])
    before = contents(home)
    code = (
        "import sys; from knowledge_base.ingest import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'faiss', 'numpy', 'scipy', 'bm25s', 'safetensors'};"
        "heavy &= set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, faq, "--out", str(home)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "added 0, changed 0, removed 0, unchanged 2\nnothing changed\n"
    assert contents(home) == before


def test_absent_entries_are_kept_until_pruned(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    main([put(tmp_path / "faq.csv", FAQ), "--out", str(home)])
    other = put(tmp_path / "other.csv", "id,question,answer\npay,How do I pay?,By card.\n")
    main([other, "--out", str(home)])
    assert "kept 2 entries" in capsys.readouterr().out
    assert set(snapshots.read_current(home).entries) == {"ship", "back", "pay"}
    served.encoded.clear()
    assert main([other, "--out", str(home), "--prune"]) == EXIT_DONE
    assert "removed 2" in capsys.readouterr().out
    assert set(vectors_by_entry(home)) == {"pay"}
    assert served.encoded == []


def test_nothing_is_pruned_while_rows_are_refused(tmp_path: Path, served: Served) -> None:
    home = tmp_path / "home"
    faq = put(tmp_path / "faq.csv", FAQ)
    main([faq, "--out", str(home)])
    put(tmp_path / "faq.csv", FAQ.replace("In the box.", ""))
    assert main([faq, "--out", str(home), "--prune"]) == EXIT_PARTLY_REFUSED
    assert set(snapshots.read_current(home).entries) == {"ship", "back"}


def test_what_a_file_gave_that_is_cut_off_now_is_not_pruned(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    home, docs = tmp_path / "home", tmp_path / "docs"
    docs.mkdir()
    put(docs / "faq.csv", FAQ)
    put(docs / "care.md", "# Care\n\nWith a dry cloth.\n")
    put(docs / "guide.json", '{"articles": [{"id": 1, "title": "Fees", "body": "<p>None.</p>", "locale": "en"}]}')
    main([str(docs), "--out", str(home)])
    put(docs / "care.md", "")
    put(docs / "guide.json", '{"error": "InvalidEndpoint"}')
    assert main([str(docs), "--out", str(home), "--prune"]) == EXIT_DONE
    said = capsys.readouterr().out
    assert "docs/care.md gave entries before and none now; its 1 stay" in said
    assert "docs/guide.json gave entries before and none now; its 1 stay" in said
    assert {entry.answer for entry in snapshots.read_current(home).entries.values()} >= {"With a dry cloth.", "None."}
    (docs / "care.md").unlink()
    (docs / "guide.json").unlink()
    assert main([str(docs), "--out", str(home), "--prune"]) == EXIT_DONE
    assert set(snapshots.read_current(home).entries) == {"ship", "back"}


def test_a_dry_run_says_what_would_change_and_writes_nothing(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    faq = put(tmp_path / "faq.csv", FAQ)
    assert main([faq, "--out", str(home), "--dry-run"]) == EXIT_DONE
    assert not home.exists()
    main([faq, "--out", str(home)])
    before = contents(home)
    served.encoded.clear()
    put(tmp_path / "faq.csv", FAQ.replace("delivery", "shipping"))
    capsys.readouterr()
    assert main([faq, "--out", str(home), "--dry-run", "--prune"]) == EXIT_DONE
    out = capsys.readouterr().out
    assert "changed 1" in out
    assert "texts to embed: 2" in out
    assert (contents(home), served.encoded) == (before, [])


def test_refused_rows_are_listed_and_the_rest_is_ingested(
    tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    faq = put(tmp_path / "faq.csv", FAQ + "bad,,no question\n")
    assert main([faq, "--out", str(tmp_path / "home"), "--json", "-"]) == EXIT_PARTLY_REFUSED
    captured = capsys.readouterr()
    assert f"refused: {faq}:4: expected a question, got none." in captured.err
    report = json.loads(captured.out)
    assert report["refused"] == [{"file": faq, "line": 4, "reason": "expected a question, got none.", "unit": "line"}]
    assert report["added"] == 2


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        (FAQ + "bad,,no question\n", ["--strict"], "--strict was given: nothing was done"),
        ("question,reply\nA?,a\n", [], "expected at least one usable row, got none"),
        ("", [], "expected at least one usable row, got none"),
        (FAQ, ["--encoder", "pypi:none-such"], "pypi:none-such: expected the wheel"),
        (FAQ, ["--wrong"], "unrecognized arguments: --wrong"),
    ],
)
def test_what_cannot_be_used_does_nothing(tmp_path: Path, content: str, flags: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        main([put(tmp_path / "faq.csv", content), "--out", str(tmp_path / "home"), *flags])
    assert caught.value.exit_code == EXIT_NOTHING_DONE
    assert not (tmp_path / "home").exists()


def test_another_encoder_embeds_everything_again_and_says_so(tmp_path: Path) -> None:
    entries = [Entry(id=str(i), question=f"Question {i}?", answer="yes") for i in range(5)]
    fill(tmp_path, entries, HashEncoder("one"))
    second = HashEncoder("two", dimension=16)
    said: list[str] = []
    located = EncoderFolder("two", Path(), second.sha256)
    report = ingest(entries, tmp_path, located, lambda: second, say=said.append)
    assert (report.unchanged, report.embedded, len(second.encoded)) == (5, 10, 10)
    assert "the encoder changed from one to two: every text is embedded again" in said
    assert snapshots.open_current(tmp_path)[1].dimension == 16


def test_equal_texts_are_embedded_once(tmp_path: Path) -> None:
    encoder = HashEncoder()
    fill(tmp_path, [Entry(id=str(i), question="Same?", answer=f"{i}") for i in range(4)], encoder)
    assert sorted(encoder.encoded) == ["Same?", *(f"Same?\n{i}" for i in range(4))]
    assert snapshots.open_current(tmp_path)[1].rows == 8


SHELVES = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(st.sampled_from(["One?", "Two?", "Three?"]), st.lists(st.sampled_from("xyz"), max_size=2, unique=True)),
    min_size=1,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(SHELVES, min_size=2, max_size=4))
def test_many_small_runs_end_where_one_full_run_does(
    tmp_path_factory: pytest.TempPathFactory, runs: list[dict[str, tuple[str, list[str]]]]
) -> None:
    stepwise, at_once = tmp_path_factory.mktemp("stepwise"), tmp_path_factory.mktemp("at_once")
    shelves = [
        [
            Entry(id=key, question=question, answer="yes", alternatives=tuple(more))
            for key, (question, more) in run.items()
        ]
        for run in runs
    ]
    for shelf in shelves:
        fill(stepwise, shelf, prune=True)
    fill(at_once, shelves[-1])
    assert snapshots.read_current(stepwise).entries == snapshots.read_current(at_once).entries
    left, right = vectors_by_entry(stepwise), vectors_by_entry(at_once)
    assert left.keys() == right.keys()
    for key in left:
        np.testing.assert_allclose(left[key], right[key], atol=1e-5)


WRITER = """
import sys
from pathlib import Path
import bm25s, faiss  # so that the moments of the kills fall into the writing
sys.path.insert(0, "tests")
from conftest import fill
from knowledge_base.entry import Entry
home, count = Path(sys.argv[1]), 0
print("ready", flush=True)
while True:
    count += 1
    entries = [Entry(id=f"e{i}", question=f"Question {i} {count}?", answer=str(count)) for i in range(50)]
    print(fill(home, entries).snapshot, flush=True)
"""


def test_a_killed_ingestion_leaves_a_whole_snapshot_and_is_taken_up(tmp_path: Path) -> None:
    home = tmp_path / "home"
    acknowledged = ""
    for wait in (0.15, 0.22, 0.31, 0.44, 1.5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(home)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(wait)
        writer.kill()
        said = writer.stdout.read().splitlines()
        writer.wait()
        writer.stdout.close()
        acknowledged = said[-1] if said else acknowledged
        if acknowledged:
            snapshot, index = snapshots.open_current(home)
            assert len({entry.answer for entry in snapshot.entries.values()}) == 1
            assert index.rows == 100
            assert snapshot.id >= acknowledged[:16]
    assert acknowledged
    fill(home, [Entry(id="last", question="Last?", answer="yes")], prune=True)
    assert set(snapshots.open_current(home)[0].entries) == {"last"}
    assert not list((home / "snapshots").glob("*.partial"))


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from conftest import fill
from knowledge_base.entry import Entry
from steps import kill_before
kill_before(sys.argv[2])
fill(Path(sys.argv[1]), [Entry(id=f"e{i}", question=f"Question {i}?", answer="after") for i in range(5)], prune=True)
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_leaves_the_old_or_the_new_and_the_next_run_ends_it(tmp_path: Path, step: str) -> None:
    for count in (2, 3, 4):  # as many as are kept, so that the run that is killed has one to remove
        fill(
            tmp_path, [Entry(id=f"e{i}", question=f"Question {i}?", answer="before") for i in range(count)], prune=True
        )
    victim = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), step], capture_output=True, check=False)
    assert victim.returncode == -signal.SIGKILL, victim.stderr
    in_force = snapshots.check(tmp_path / "snapshots" / snapshots.current_id(tmp_path))
    assert {entry.answer for entry in in_force.entries.values()} == {"after" if STEPS[step].in_force else "before"}
    for name in names(tmp_path):
        snapshots.check(tmp_path / "snapshots" / name)
    wanted = [Entry(id=f"e{i}", question=f"Question {i}?", answer="after") for i in range(5)]
    fill(tmp_path, wanted, prune=True)
    fill(tmp_path, wanted[:-1], prune=True)
    assert list(snapshots.open_current(tmp_path)[0].entries.values()) == wanted[:-1]
    assert not list(tmp_path.rglob("*.partial"))
    assert len(names(tmp_path)) == 3


def test_an_interrupt_ends_with_130_and_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fill(home, [Entry(id="old", question="Old?", answer="yes")], Served())
    before = contents(home)
    rows = "".join(f'{{"question": "Question {i}?", "answer": "a{i}"}}\n' for i in range(20_000))
    source = put(tmp_path / "faq.jsonl", rows)
    command = [sys.executable, "-m", "knowledge_base.ingest", source, "--out", str(home)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # What a shell starts in the background ignores SIGINT, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading the encoder\n"
    assert process.stdout.readline() == "texts to embed: 40,000\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (EXIT_INTERRUPTED, "interrupted\n")
    assert contents(home) == before
    assert not list((home / "snapshots").glob("*.partial"))


def test_wrong_input_and_help_answer_within_a_second(tmp_path: Path) -> None:
    for module, arguments, code in [
        ("knowledge_base.ingest", ["--help"], 0),
        ("knowledge_base.ingest", [str(tmp_path / "absent.csv"), "--out", str(tmp_path / "home")], 2),
        ("knowledge_base.evaluate", ["--knowledge", str(tmp_path), "--queries", "absent"], 2),
        ("knowledge_base.snapshots", ["history", "--knowledge", str(tmp_path)], 2),
    ]:
        before = os.times().children_user
        run = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
        assert os.times().children_user - before < 1
        assert run.returncode == code
        assert run.stderr.count("\n") == (1 if code else 0)


def test_the_real_encoder_ingests_documents_and_tables_together(tmp_path: Path) -> None:
    put(tmp_path / "faq.csv", FAQ)
    put(tmp_path / "guide.md", "# Care\n\n## Kettle\n\nDescale it monthly.\n")
    assert main([str(tmp_path), "--out", str(tmp_path / "home")]) == EXIT_DONE
    snapshot, index = snapshots.open_current(tmp_path / "home")
    assert sorted(entry.heading for entry in snapshot.entries.values()) == ["", "", "Care > Kettle"]
    assert (index.rows, index.dimension) == (6, 384)
    assert snapshot.encoder_sha256 == locate_encoder().sha256
