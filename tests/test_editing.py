"""Operators' edits: in force at once, kept by every ingestion, and all or nothing."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder, WordEncoder, fill
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import knowledge_base.home
from knowledge_base import manifest, snapshots
from knowledge_base.editing import Editor
from knowledge_base.edits import Edit, laid_over, lifted, version
from knowledge_base.entry import Entry
from knowledge_base.errors import ChangedError, InputError, InUseError, SnapshotError
from knowledge_base.home import writing
from knowledge_base.search import KnowledgeBase

COST = Entry("cost", "What does delivery cost?", "Delivery costs 4.90 euro.", source="faq.csv", updated_at="2026-01-02")
BACK = Entry("back", "Can I return the lamp?", "Returns are free within 30 days.", ("send it back",), source="faq.csv")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "home", [COST, BACK], WordEncoder())
    return tmp_path / "home"


@pytest.fixture
def encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def editor(home: Path, encoder: WordEncoder) -> Editor:
    return Editor(home, encoder, now=lambda: NOON)


@pytest.fixture
def knowledge(home: Path) -> KnowledgeBase:
    return KnowledgeBase.open(home, WordEncoder())


def found(knowledge: KnowledgeBase, message: str) -> list[str]:
    """Ids of what a customer's message finds now."""
    knowledge.refresh()
    return [hit.entry.id for hit in knowledge.search(message)]


def held(home: Path) -> snapshots.Snapshot:
    return snapshots.read_current(home)


def seen(home: Path, entry_id: str) -> str:
    """What an operator who opens an entry now is shown."""
    snapshot = held(home)
    edit = snapshot.edits.get(entry_id)
    return version(edit.entry if edit else snapshot.entries[entry_id], edit)


def vectors(home: Path) -> dict[str, NDArray[np.float32]]:
    snapshot, index = snapshots.open_current(home)
    rows = index.vectors(np.arange(index.rows))
    return {row.text_sha256: vector for row, vector in zip(snapshot.rows, rows, strict=True)}


def test_an_added_entry_is_found_and_says_whose_it_is(home: Path, editor: Editor, knowledge: KnowledgeBase) -> None:
    added = editor.add({"question": " Is there a warranty on bulbs? ", "answer": "Two years."}, "ada")
    assert (added.question, added.source, added.updated_at) == (
        "Is there a warranty on bulbs?",
        "operators",
        "2026-11-22",
    )
    assert found(knowledge, "Is there a warranty on bulbs?")[0] == added.id
    assert held(home).edits == {added.id: Edit(added, "ada", "2026-11-22T12:00:00+00:00")}


def test_an_edit_puts_the_new_text_in_the_place_of_the_old(
    home: Path, editor: Editor, knowledge: KnowledgeBase
) -> None:
    changed = editor.change("back", {"alternatives": ["give it to you again"]}, "ada", seen(home, "back"))
    assert changed.answer == BACK.answer, "a column that was not given stays"
    assert found(knowledge, "give it to you again")[0] == "back"
    assert knowledge.entries["back"].alternatives == ("give it to you again",)
    texts = {text for entry in held(home).entries.values() for text in entry.searched_texts}
    assert "send it back" not in texts
    assert len(vectors(home)) == len(texts)


def test_only_what_is_new_is_embedded_and_every_other_vector_is_taken_over(
    home: Path, editor: Editor, encoder: WordEncoder
) -> None:
    before = vectors(home)
    changed = editor.change("back", {"question": "May I return a lamp?"}, "ada", seen(home, "back"))
    assert encoder.encoded == ["May I return a lamp?", changed.searched_texts[-1]]
    after = vectors(home)
    assert len(set(before) & set(after)) == 3
    assert all(np.array_equal(before[text], after[text]) for text in set(before) & set(after))
    encoder.encoded.clear()
    editor.change("back", {"visibility": "internal"}, "ada", seen(home, "back"))
    editor.retire("back", "ada", seen(home, "back"))
    assert encoder.encoded == []


def test_a_retired_entry_is_never_found_until_it_is_brought_back(
    home: Path, editor: Editor, knowledge: KnowledgeBase
) -> None:
    editor.retire("cost", "ada", seen(home, "cost"))
    assert "cost" not in found(knowledge, COST.question)
    assert "cost" not in [hit.entry.id for hit in knowledge.search("hm", recent=("cost",))]
    assert "cost" not in knowledge.entries
    fill(home, [COST, BACK], WordEncoder())
    assert "cost" not in found(knowledge, COST.question)
    editor.bring_back("cost", "eve", seen(home, "cost"))
    assert found(knowledge, COST.question)[0] == "cost"
    assert held(home).edits == {}, "nothing is left to lay over the sources"


def test_whether_the_wording_may_be_sent_as_it_stands_is_for_operators_to_say(home: Path, editor: Editor) -> None:
    editor.change("back", {"approved": False}, "ada", seen(home, "back"))
    assert not held(home).entries["back"].approved
    fill(home, [COST, BACK], WordEncoder())
    assert not held(home).entries["back"].approved
    editor.change("back", {"approved": True}, "ada", seen(home, "back"))
    assert held(home).entries["back"].approved


@pytest.mark.parametrize("prune", [False, True])
def test_edits_outlive_an_ingestion_that_changes_removes_and_adds(home: Path, editor: Editor, prune: bool) -> None:
    added = editor.add({"question": "Do you repair?", "answer": "Yes."}, "ada")
    editor.change("back", {"answer": "Returns cost nothing."}, "ada", seen(home, "back"))
    editor.retire("cost", "ada", seen(home, "cost"))
    newer = [replace(COST, answer="Delivery costs 5.90 euro."), Entry("pay", "How do I pay?", "By card.")]
    report = fill(home, newer, WordEncoder(), prune=prune)
    now = held(home)
    assert (report.added, report.changed, report.edited, report.entries) == (1, 1, 3, 3)
    assert set(now.entries) == {"back", "pay", added.id}
    assert now.entries["back"].answer == "Returns cost nothing."
    assert now.edits["back"].source == (None if prune else BACK)
    assert now.edits["cost"].entry.answer == "Delivery costs 5.90 euro.", "a text left alone follows its source"
    assert fill(home, newer, WordEncoder(), prune=prune).snapshot == "", "the same sources again change nothing"


def test_what_the_sources_say_counts_again_once_an_edit_is_taken_back(home: Path, editor: Editor) -> None:
    editor.change("back", {"answer": "Never."}, "ada", seen(home, "back"))
    newer = replace(BACK, answer="Returns are free within 60 days.")
    fill(home, [COST, newer], WordEncoder())
    assert held(home).entries["back"].answer == "Never."
    editor.take_back("back", "ada", seen(home, "back"))
    assert (held(home).entries["back"], held(home).edits) == (newer, {})
    added = editor.add({"question": "Do you repair?", "answer": "Yes."}, "ada")
    with pytest.raises(InputError, match="No source"):
        editor.take_back(added.id, "ada", seen(home, added.id))


def test_who_changes_what_another_has_changed_meanwhile_is_told_and_loses_nothing(home: Path, editor: Editor) -> None:
    opened = seen(home, "back")
    editor.change("back", {"answer": "Ada was first."}, "ada", opened)
    before = snapshots.current_id(home)
    attempts: list[Callable[[], Entry]] = [
        lambda: editor.change("back", {"answer": "Eve was second."}, "eve", opened),
        lambda: editor.retire("back", "eve", opened),
        lambda: editor.bring_back("back", "eve", opened),
        lambda: editor.take_back("back", "eve", opened),
    ]
    for attempt in attempts:
        with pytest.raises(ChangedError, match="ada changed it at 2026-11-22T12:00:00"):
            attempt()
    with pytest.raises(ChangedError, match="not there any more"):
        editor.change("gone", {"answer": "x"}, "eve", opened)
    assert snapshots.current_id(home) == before
    shown = seen(home, "back")
    editor.retire("back", "ada", shown)
    with pytest.raises(ChangedError):
        editor.change("back", {"answer": "Eve did not see that it was retired."}, "eve", shown)


def test_an_edit_during_an_ingestion_or_another_edit_is_refused_and_changes_nothing(home: Path, editor: Editor) -> None:
    before = snapshots.current_id(home)
    with writing(home):
        refused: list[BaseException] = []

        def edit() -> None:
            try:
                editor.add({"question": "Now?", "answer": "No."}, "eve")
            except InUseError as error:
                refused.append(error)

        thread = threading.Thread(target=edit)
        thread.start()
        thread.join(20)
    assert len(refused) == 1
    assert snapshots.current_id(home) == before
    editor.add({"question": "Now?", "answer": "Yes."}, "eve")


def test_of_many_who_add_at_once_each_is_in_force_or_was_told(home: Path) -> None:
    kept, told = [], []

    def add(number: int) -> None:
        try:
            values = {"question": f"Question {number}?", "answer": "Yes."}
            kept.append(Editor(home, WordEncoder()).add(values, f"op{number}").id)
        except InUseError:
            told.append(number)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(kept) + len(told) == 12
    assert kept
    assert set(held(home).entries) == {"cost", "back", *kept}


@pytest.mark.parametrize("step", ["seal", "publish", "verify", "flush"])
def test_a_crash_in_any_step_leaves_the_old_snapshot_in_force(
    home: Path, editor: Editor, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before, entries = snapshots.current_id(home), held(home).entries
    with monkeypatch.context() as broken:
        reached = _breaks_after(getattr(manifest, step), calls=1 if step == "verify" else 0)
        broken.setattr(knowledge_base.home if step == "flush" else snapshots, step, reached)
        with pytest.raises((OSError, SnapshotError), match="the disk is full"):
            editor.change("back", {"answer": "Lost?"}, "ada", seen(home, "back"))
    assert snapshots.current_id(home) == before
    assert KnowledgeBase.open(home, WordEncoder()).entries == entries
    editor.change("back", {"answer": "Not lost."}, "ada", seen(home, "back"))
    assert held(home).entries["back"].answer == "Not lost."


def _breaks_after(step: Callable[..., object], calls: int) -> Callable[..., object]:
    left = [calls]

    def broken(*arguments: object) -> object:
        if not left[0]:
            raise OSError(28, "the disk is full")
        left[0] -= 1
        return step(*arguments)

    return broken


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"question": "", "answer": "x"}, "expected a question"),
        ({"question": "x", "answer": " "}, "expected an answer"),
        ({"question": "x", "answer": "y" * 20_001}, "at most 20,000 characters"),
        ({"question": "x", "answer": "y", "visibility": "all"}, "public or internal"),
        ({"question": "x", "answer": "y", "valid_until": "tomorrow"}, "expected a date"),
        ({"question": COST.question, "answer": COST.answer}, ""),
    ],
)
def test_what_is_no_entry_is_refused_in_words(
    home: Path, editor: Editor, values: dict[str, object], reason: str
) -> None:
    if not reason:
        editor.add(values, "ada")
        reason = "is there already"
    before = snapshots.current_id(home)
    with pytest.raises(InputError, match=reason):
        editor.add(values, "ada")
    assert snapshots.current_id(home) == before


def test_a_change_that_changes_nothing_writes_nothing(home: Path, editor: Editor) -> None:
    before = snapshots.current_id(home)
    editor.change("back", {"answer": f" {BACK.answer}"}, "ada", seen(home, "back"))
    editor.bring_back("back", "ada", seen(home, "back"))
    assert snapshots.current_id(home) == before


def test_the_last_entry_in_force_cannot_be_retired(home: Path, editor: Editor) -> None:
    editor.retire("cost", "ada", seen(home, "cost"))
    with pytest.raises(InputError, match="at least one entry"):
        editor.retire("back", "ada", seen(home, "back"))
    assert set(held(home).entries) == {"back"}


def test_knowledge_of_another_encoder_is_not_edited(home: Path) -> None:
    with pytest.raises(SnapshotError, match="expected knowledge made with the encoder hash, got words"):
        Editor(home, HashEncoder()).add({"question": "x", "answer": "y"}, "ada")


WORDS = st.text("ab é豈|=<", min_size=1, max_size=8).filter(lambda text: text.strip())
STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "change", "retire", "bring_back", "ingest", "prune"]), st.integers(0, 3), WORDS),
    max_size=8,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_whatever_is_done_in_whatever_order_reads_back_and_the_last_word_of_an_operator_holds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]
) -> None:
    home, encoder = tmp_path_factory.mktemp("home"), HashEncoder()
    editor = Editor(home, encoder)
    fill(home, [COST, BACK], encoder)
    last: dict[str, tuple[str, bool]] = {}  # of each entry that an operator touched: answer and whether it is retired
    for step, number, text in steps:
        now = held(home)
        known = [*now.entries, *(i for i in now.edits if i not in now.entries)]
        one = known[number % len(known)]
        edit = now.edits.get(one)
        shown = version(edit.entry if edit else now.entries[one], edit)
        try:
            if step == "add":
                last_one = editor.add({"question": text, "answer": text}, "ada")
                last[last_one.id] = (last_one.answer, False)
            elif step == "change":
                changed = editor.change(one, {"answer": text}, "ada", shown)
                last[one] = (changed.answer, bool(edit and edit.retired))
            elif step == "retire":
                last[one] = (editor.retire(one, "ada", shown).answer, True)
            elif step == "bring_back":
                last[one] = (editor.bring_back(one, "ada", shown).answer, False)
            else:
                fill(home, [COST], encoder, prune=step == "prune")
        except InputError:
            assert held(home).id == now.id
    snapshot = held(home)
    for entry_id, (answer, retired) in last.items():
        if retired:
            assert entry_id not in snapshot.entries
        elif entry_id in snapshot.edits:  # what was brought back unchanged is the sources' again
            assert snapshot.entries[entry_id].answer == answer
        else:
            assert answer in (COST.answer, BACK.answer)
    KnowledgeBase.open(home, encoder)


PLAIN = WORDS.map(lambda text: unicodedata.normalize("NFC", text).strip())
ENTRY = st.builds(Entry, st.sampled_from("abcd"), PLAIN, PLAIN)
EDIT = st.builds(Edit, ENTRY, st.just("ada"), st.just("2026"), st.booleans(), st.none())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sources=st.lists(ENTRY, unique_by=lambda e: e.id), edits=st.lists(EDIT, unique_by=lambda e: e.entry.id))
def test_what_is_laid_over_the_sources_can_be_lifted_again(sources: list[Entry], edits: list[Edit]) -> None:
    said = {entry.id: entry for entry in sources}
    entries, renewed = laid_over(sources, {edit.entry.id: edit for edit in edits})
    assert lifted({entry.id: entry for entry in entries}, renewed) == said
    assert {entry.id for entry in entries} == (set(said) | set(renewed)) - {i for i in renewed if renewed[i].retired}
    assert [Edit.from_json(edit.to_json()) for edit in renewed.values()] == list(renewed.values())


def passages(*answers: str) -> list[Entry]:
    """Passages below one heading, as a document gives them: numbered from above."""
    return [
        Entry(f"note-{n}", "Note", answer, heading="FAQ > Note", approved=False) for n, answer in enumerate(answers)
    ]


def test_an_edit_goes_with_its_passage_when_another_is_put_in_above_it(home: Path, editor: Editor) -> None:
    encoder = WordEncoder()
    fill(home, passages("old offer", "call us"), encoder)
    editor.retire("note-0", "ada", seen(home, "note-0"))
    editor.change("note-1", {"answer": "write to us"}, "ada", seen(home, "note-1"))
    fill(home, passages("new warning", "old offer", "call us"), encoder)
    answers = [entry.answer for entry in held(home).entries.values() if entry.question == "Note"]
    assert sorted(answers) == ["new warning", "write to us"]
    assert {i: (edit.entry.id, edit.retired) for i, edit in held(home).edits.items()} == {
        "note-1": ("note-1", True),
        "note-2": ("note-2", False),
    }
    fill(home, passages("old offer", "call us"), encoder, prune=True)
    assert [entry.answer for entry in held(home).entries.values() if entry.question == "Note"] == ["write to us"]


def test_an_edit_stays_with_its_entry_where_the_text_itself_was_changed(home: Path, editor: Editor) -> None:
    encoder = WordEncoder()
    fill(home, passages("old offer", "call us"), encoder)
    editor.retire("note-0", "ada", seen(home, "note-0"))
    fill(home, passages("better offer", "call us"), encoder)
    assert [entry.answer for entry in held(home).entries.values() if entry.question == "Note"] == ["call us"]


def under(heading: str, *answers: str) -> list[Entry]:
    """Passages of a document below a heading, which is part of their ids."""
    return [
        replace(e, id=f"{heading}-{e.id}", question=heading, heading=heading, source="shop.md")
        for e in passages(*answers)
    ]


def in_force(home: Path) -> dict[str, str]:
    """What the passages say that customers find, by id."""
    return {i: entry.answer for i, entry in held(home).entries.items() if i not in (COST.id, BACK.id)}


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("retired", [False, True])
def test_an_edit_does_not_fall_upon_the_next_passage_where_its_own_is_deleted(
    home: Path, editor: Editor, prune: bool, retired: bool
) -> None:
    encoder = WordEncoder()
    fill(home, passages("old offer", "call us", "visit us"), encoder)
    if retired:
        editor.retire("note-0", "ada", seen(home, "note-0"))
    else:
        editor.change("note-0", {"answer": "new offer"}, "ada", seen(home, "note-0"))
    for _ in range(2):  # the same sources again change nothing
        fill(home, [COST, BACK, *passages("call us", "visit us")], encoder, prune=prune)
        found = in_force(home)
        (own,) = held(home).edits.values()
        assert (found["note-0"], found["note-1"]) == ("call us", "visit us")
        assert (own.entry.id not in found, own.source, own.retired) == (retired, None, retired)
        assert own.entry.answer == ("old offer" if retired else "new offer") == found.get(own.entry.id, "old offer")
    editor.change("note-0", {"answer": "write to us"}, "ada", seen(home, "note-0"))
    fill(home, [COST, BACK, *passages("warning", "call us", "visit us")], encoder, prune=prune)
    answers = set(in_force(home).values())
    assert answers - {"new offer"} == {"warning", "write to us", "visit us"}


def test_an_edit_whose_text_was_pruned_does_not_fall_upon_another_passage_later(home: Path, editor: Editor) -> None:
    encoder = WordEncoder()
    fill(home, passages("old offer", "call us"), encoder)
    editor.retire("note-1", "ada", seen(home, "note-1"))
    fill(home, [COST, BACK, *passages("old offer")], encoder, prune=True)
    fill(home, [COST, BACK, *passages("warning", "old offer")], encoder, prune=True)
    assert list(in_force(home).values()) == ["warning", "old offer"]
    assert [edit.entry.answer for edit in held(home).edits.values()] == ["call us"]


@pytest.mark.parametrize("retired", [False, True])
def test_an_edit_follows_its_text_and_leaves_no_copy_of_it_where_the_last_number_is_kept(
    home: Path, editor: Editor, retired: bool
) -> None:
    encoder = WordEncoder()
    fill(home, passages("old offer", "call us", "visit us"), encoder)
    if retired:
        editor.retire("note-2", "ada", seen(home, "note-2"))
    else:
        editor.change("note-2", {"answer": "write to us"}, "ada", seen(home, "note-2"))
    fill(home, passages("call us", "visit us"), encoder)
    assert in_force(home) == {"note-0": "call us"} | ({} if retired else {"note-1": "write to us"})
    assert fill(home, passages("call us", "visit us"), encoder).snapshot == ""


@pytest.mark.parametrize("prune", [False, True])
def test_a_retired_text_stays_retired_where_its_heading_is_renamed(home: Path, editor: Editor, prune: bool) -> None:
    encoder = WordEncoder()
    fill(home, [*under("Offers", "ten off"), *under("Contact", "call us")], encoder)
    editor.retire("Offers-note-0", "ada", seen(home, "Offers-note-0"))
    editor.change("Contact-note-0", {"answer": "write to us"}, "ada", seen(home, "Contact-note-0"))
    renamed = [COST, BACK, *under("Ways to reach us", "call us"), *under("Summer", "ten off")]
    fill(home, renamed, encoder, prune=prune)
    assert in_force(home) == {"Ways to reach us-note-0": "write to us"}
    assert held(home).entries["Ways to reach us-note-0"].heading == "Ways to reach us"
    assert set(held(home).edits) == {"Ways to reach us-note-0", "Summer-note-0"}


def test_of_passages_with_the_same_words_each_edit_finds_its_own_below_a_renamed_heading(
    home: Path, editor: Editor
) -> None:
    def pets(above: str, *kinds: str) -> list[Entry]:
        asked = [entry for kind in kinds for entry in under(kind, "Yes.")]
        return [COST, BACK, *(replace(e, id=f"{above}-{e.id}", heading=f"{above} > {e.question}") for e in asked)]

    encoder = WordEncoder()
    fill(home, pets("Pets", "Cats", "Dogs", "Birds"), encoder)
    editor.retire("Pets-Dogs-note-0", "ada", seen(home, "Pets-Dogs-note-0"))
    editor.change("Pets-Cats-note-0", {"answer": "Two."}, "ada", seen(home, "Pets-Cats-note-0"))
    fill(home, pets("Animals", "Dogs", "Birds", "Cats"), encoder, prune=True)
    assert in_force(home) == {"Animals-Birds-note-0": "Yes.", "Animals-Cats-note-0": "Two."}


def test_an_edit_stays_where_another_source_says_the_same(home: Path, editor: Editor) -> None:
    editor.retire("cost", "ada", seen(home, "cost"))
    fill(home, [replace(COST, id="price")], WordEncoder())
    assert {"price", "back"} == set(held(home).entries)
    assert held(home).edits["cost"].source == COST
    encoder = WordEncoder()
    fill(home, [replace(e, source="a.md") for e in under("Vegan?", "Yes.")], encoder)
    editor.retire("Vegan?-note-0", "ada", seen(home, "Vegan?-note-0"))
    fill(home, [replace(e, source="b.md") for e in under("Halal?", "Yes.")], encoder)
    fill(home, [replace(e, source="a.md") for e in [*under("Vegan?", "Always."), *under("Kosher?", "Yes.")]], encoder)
    assert set(in_force(home)) == {"price", "Halal?-note-0", "Kosher?-note-0"}


@pytest.mark.parametrize(
    ("values", "now", "wanted"),
    [
        ({"answer": "mended"}, {"visibility": "internal"}, {"answer": "mended", "visibility": "internal"}),
        ({"answer": "mended"}, {"valid_until": "2026-12-31"}, {"answer": "mended", "valid_until": "2026-12-31"}),
        ({"answer": "mended"}, {"answer": "newer", "approved": False}, {"answer": "mended", "approved": False}),
        ({"alternatives": ("x",)}, {"answer": "newer"}, {"alternatives": ("x",), "answer": "newer"}),
        ({"visibility": "public"}, {"visibility": "internal"}, {"visibility": "internal"}),
        (
            {"valid_from": "2027-01-01"},
            {"valid_until": "2026-12-31", "visibility": "internal"},
            {"valid_from": "2027-01-01", "valid_until": "", "visibility": "internal"},
        ),
        (
            {"answer": "a" * 15_000},
            {"alternatives": ("b" * 6_000,), "category": "returns"},
            {"answer": "a" * 15_000, "alternatives": BACK.alternatives, "category": "returns"},
        ),
    ],
)
def test_what_operators_left_alone_follows_the_source_column_by_column(
    home: Path, editor: Editor, values: dict[str, object], now: dict[str, object], wanted: dict[str, object]
) -> None:
    editor.change("back", {**values, "language": "en"}, "ada", seen(home, "back"))
    fill(home, [COST, replace(BACK, **now)], WordEncoder())  # type: ignore[arg-type]
    entry = held(home).entries["back"]
    assert {name: getattr(entry, name) for name in wanted} == wanted
    assert entry.language == "en"
