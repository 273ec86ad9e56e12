"""Calibrations: thresholds hold what they promise on what they were fitted on, and a folder fits only its own parts."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from conftest import WordEncoder, fill
from hypothesis import given
from hypothesis import strategies as st

from chatbot.calibration import FILE, Calibration, Logistic, found_features, log_odds, read_features
from chatbot.errors import CalibrationError
from chatbot.model import Adapter
from chatbot.types import EvidenceReading, Message
from finetune.calibrate import _max_error, fit
from finetune.cases import chat_cases
from finetune.records import Transcript
from finetune.thresholds import foresees_better, threshold, worthwhile
from knowledge_base.entry import Entry, Hit
from knowledge_base.errors import InputError
from knowledge_base.manifest import MANIFEST, seal, sha256_of
from knowledge_base.queries import Query
from knowledge_base.scorer import FEATURES, Scorer
from knowledge_base.search import KnowledgeBase

MADE = Calibration(
    scorer=Scorer((4.0, 2.0, 1.0, *(0.25,) * (len(FEATURES) - 3)), 1.5),
    evidence=Logistic((0.5, 0.25, 0.1), 0.0),
    thresholds={"approved": 0.9, "grounded": None, "step:ask": 0.25},
    max_error=0.05,
    adapter="a" * 64,
    knowledge="k" * 64,
    encoder="e" * 64,
    fitted_on={"questions": 12},
)
rows = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]) | st.floats(0, 1), st.booleans()), max_size=25
)


@pytest.mark.parametrize(
    ("output", "knowledge", "flag", "expected"),
    [
        ("shop/calibrations/new", "elsewhere/knowledge", None, 0.2),
        ("elsewhere/new", "shop/knowledge", None, 0.2),
        ("elsewhere/new", "elsewhere/knowledge", None, 0.05),
        ("shop/calibrations/new", "shop/knowledge", 0.1, 0.1),
    ],
)
def test_how_many_answers_may_be_wrong_is_a_setting_of_the_data_folder_that_a_flag_overrides(
    tmp_path: Path, output: str, knowledge: str, flag: float | None, expected: float
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "frontdesk.yaml").write_text("max_error: 0.2\n", encoding="utf-8")
    given = Namespace(max_error=flag, knowledge=str(tmp_path / knowledge))
    assert _max_error(given, tmp_path / output) == expected


@given(judged=rows, max_error=st.sampled_from([0.01, 0.05, 0.2, 0.5]))
def test_the_threshold_is_the_lowest_score_from_which_few_enough_are_wrong(
    judged: list[tuple[float, bool]], max_error: float
) -> None:
    def holds(least: float) -> bool:
        taken = [right for score, right in judged if score >= least]
        return taken.count(False) <= max_error * len(taken)

    fitting = [score for score, _ in judged if holds(score)]
    assert threshold(judged, max_error) == (min(fitting) if fitting else None)


def test_a_question_back_is_worth_it_from_where_it_helps_more_customers_than_it_bothers() -> None:
    chance = Random(0)  # noqa: S311
    for even in (0.3, 0.6):
        likely = Logistic((1.5,), -1.5 * log_odds(even))
        scores = [chance.random() for _ in range(2000)]
        judged = [(score, chance.random() < likely([log_odds(score)])) for score in scores]
        assert worthwhile(judged) == pytest.approx(even, abs=0.05)


@given(judged=rows)
def test_a_question_back_is_never_worth_it_where_none_helps_and_always_where_all_do(
    judged: list[tuple[float, bool]],
) -> None:
    scores = [score for score, _ in judged]
    assert worthwhile([(score, False) for score in scores]) is None
    assert worthwhile([(score, True) for score in scores]) == (min(scores) if scores else None)
    found = worthwhile(judged)
    assert found is None or 0 <= found <= max(scores)


@pytest.mark.parametrize(("right", "wanted"), [(9, 0.4), (3, None)])
def test_scores_that_say_nothing_offer_all_or_none(right: int, wanted: float | None) -> None:
    judged = [(score, number < right) for score in (0.4, 0.8) for number in range(12)]
    assert worthwhile(judged) == wanted


def save(calibration: Calibration, folder: Path) -> Path:
    folder.mkdir()
    calibration.save(folder)
    seal(folder, {"kind": "calibration"})
    return folder


def test_a_calibration_reads_back_with_its_hash(tmp_path: Path) -> None:
    folder = save(MADE, tmp_path / "c")
    assert Calibration.load(folder) == replace(MADE, sha256=sha256_of(folder / MANIFEST))
    without = save(replace(MADE, evidence=None), tmp_path / "d")
    assert Calibration.load(without).evidence is None
    by_search = replace(MADE, evidence=Logistic((0.5,), 0.25))
    assert Calibration.load(save(by_search, tmp_path / "e")).evidence == by_search.evidence
    assert [one.reads for one in (MADE, replace(MADE, evidence=None), by_search)] == [True, False, False]


def test_a_kind_of_reply_without_a_threshold_is_never_certain_enough() -> None:
    assert MADE.threshold("approved") == 0.9
    assert MADE.threshold("grounded") == math.inf
    assert MADE.threshold("step:never seen") == math.inf


@pytest.mark.parametrize(
    "damage",
    [
        lambda facts: facts.pop("scorer"),
        lambda facts: facts.update(evidence={"weights": [1.0, 1.0], "bias": 0.0}),
        lambda facts: facts.update(scorer={"weights": {"colour": 1}, "nothing": 0}),
        lambda facts: facts.pop("thresholds"),
        lambda facts: facts.update(something=1),
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, damage: Any) -> None:
    save(MADE, tmp_path / "c")
    facts = json.loads((tmp_path / "c" / FILE).read_text(encoding="utf-8"))
    damage(facts)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / FILE).write_text(json.dumps(facts), encoding="utf-8")
    seal(tmp_path / "d", {"kind": "calibration"})
    with pytest.raises(CalibrationError, match=r"Run python -m finetune\.calibrate"):
        Calibration.load(tmp_path / "d")


def test_an_altered_or_missing_calibration_is_refused(tmp_path: Path) -> None:
    folder = save(MADE, tmp_path / "c")
    text = (folder / FILE).read_text(encoding="utf-8")
    (folder / FILE).write_text(text.replace("0.9", "0.1"), encoding="utf-8")
    with pytest.raises(CalibrationError, match="altered"):
        Calibration.load(folder)
    with pytest.raises(CalibrationError, match="found none"):
        Calibration.load(tmp_path / "absent")


@pytest.mark.parametrize(("adapter", "encoder"), [("b" * 64, "e" * 64), ("", "e" * 64), ("a" * 64, "f" * 64)])
def test_a_calibration_of_another_adapter_or_encoder_is_refused(adapter: str, encoder: str) -> None:
    MADE.require("a" * 64, "e" * 64)
    with pytest.raises(CalibrationError, match="was fitted with another"):
        MADE.require(adapter, encoder)


def hits(*scores: float) -> list[Hit]:
    return [Hit(Entry(str(i), "q", "a"), score, score) for i, score in enumerate(scores)]


def test_a_logistic_is_bounded_and_refuses_another_number_of_features() -> None:
    one = Logistic((1e6,), 0.0)
    assert [one([1.0]), one([-1.0]), one([0.0])] == pytest.approx([1, 0, 0.5])
    with pytest.raises(ValueError, match="argument"):
        one([1.0, 2.0])


def test_log_odds_are_bounded_at_certainty() -> None:
    assert log_odds(0.5) == 0
    assert log_odds(1.0) == pytest.approx(math.log((1 - 1e-5) / 1e-5)) == pytest.approx(-log_odds(0.0))


def test_evidence_is_judged_by_the_entry_that_a_reply_would_begin_with() -> None:
    found = [replace(hit, probability=p) for hit, p in zip(hits(0.3, 0.2), (0.6, 0.8), strict=True)]
    second = EvidenceReading({"full": 0.2}, (0.1, 0.9))
    assert read_features(found, second) == pytest.approx([math.log(4), -math.log(4), math.log(9)])
    first = EvidenceReading({"full": 0.2}, (0.5, 0.5))
    assert read_features(found, first) == pytest.approx([math.log(1.5), -math.log(4), 0.0])


def test_without_a_reading_evidence_is_judged_by_the_likeliest_entry() -> None:
    found = [replace(hit, probability=p) for hit, p in zip(hits(0.9, 0.2), (0.8, 0.15), strict=True)]
    assert found_features(found) == pytest.approx([math.log(4)])


@pytest.mark.parametrize(
    ("told", "count", "expected"),
    [("the truth in part", 200, True), ("nothing", 200, False), ("the truth in part", 18, False)],
)
def test_what_the_model_reads_counts_only_where_it_foresees_what_was_not_fitted_on(
    told: str, count: int, expected: bool
) -> None:
    chance = Random(5)  # noqa: S311 (a sample, not a secret)
    right = [number % 2 == 0 for number in range(count)]
    found = [(chance.gauss(ok, 1.0),) for ok in right]
    read = [(*one, chance.gauss(2 * ok if told != "nothing" else 0, 1.0)) for one, ok in zip(found, right, strict=True)]
    assert foresees_better(read, found, right) is expected


# --- fitting on questions, with a real knowledge base ---------------------------------------------------------------

THINGS = (
    "lamp",
    "order",
    "refund",
    "parcel",
    "invoice",
    "account",
    "voucher",
    "warranty",
    "bulb",
    "cable",
    "mirror",
    "chair",
)
ENTRIES = [
    Entry(
        thing, f"{thing} {thing} please?", f"The {thing} is here.", alternatives=(f"about the {thing}", f"my {thing}")
    )
    for thing in THINGS
]


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    home = tmp_path_factory.mktemp("home")
    fill(home, ENTRIES, WordEncoder())
    return KnowledgeBase.open(home, WordEncoder())


def query(name: str, text: str, *relevant: str) -> Query:
    return Query(name, (("user", text),), relevant, ())


def test_fitted_on_questions_few_that_nothing_answers_would_get_an_answer(knowledge: KnowledgeBase) -> None:
    known = [
        query(f"{n}{thing}", f"{words} {thing}", thing)
        for thing in THINGS
        for n, words in enumerate(("my", "the", "a"))
    ]
    unknown = [query(f"u{i}", f"boats and ships, number {i * 71}") for i in range(36)]
    said: list[str] = []
    fitted = fit(knowledge, None, [*known, *unknown], [], 0.05, said.append)
    assert (fitted.knowledge, fitted.adapter, fitted.evidence) == (knowledge.sha256, "", None)
    assert fitted.fitted_on == {"questions": 72, "answerable": 36}
    assert said == ["72 questions, 36 of them answerable"]
    least = fitted.threshold("approved")
    best = {q.id: knowledge.search(q.text, scorer=fitted.scorer)[0] for q in [*known, *unknown]}
    answered = [q for q in [*known, *unknown] if best[q.id].probability >= least]
    wrong = [q for q in answered if best[q.id].entry.id not in (q.relevant or ())]
    assert len(answered) >= 30
    assert len(wrong) <= 0.05 * len(answered)


def test_questions_that_nothing_answers_are_not_enough(knowledge: KnowledgeBase) -> None:
    with pytest.raises(InputError, match="expected some answerable questions"):
        fit(knowledge, None, [query(str(i), f"{i}?") for i in range(5)], [], 0.05, lambda _text: None)


def test_where_every_question_has_an_answer_each_is_asked_once_more_without_it(knowledge: KnowledgeBase) -> None:
    said: list[str] = []
    fitted = fit(knowledge, None, [query(thing, f"a {thing}", thing) for thing in THINGS], [], 0.05, said.append)
    assert fitted.fitted_on == {"questions": 24, "answerable": 12}
    assert "once more with its entries held out" in said[-1]
    best = knowledge.search("a lamp", scorer=fitted.scorer)[0]
    other = knowledge.search("a ship", scorer=fitted.scorer)[0]
    assert best.probability >= fitted.threshold("approved") > other.probability


def test_a_chat_that_names_no_entries_rests_on_those_that_hold_its_facts(tmp_path: Path) -> None:
    fill(
        tmp_path,
        [
            Entry(
                thing,
                f"what about the {thing}?",
                f"The {thing} costs {n}.90 euro.",
            )
            for n, thing in enumerate(THINGS, start=3)
        ],
        WordEncoder(),
    )
    priced = KnowledgeBase.open(tmp_path, WordEncoder())
    chats = [
        Transcript(
            thing,
            (
                Message("user", f"about a {thing}"),
                Message("assistant", f"The {thing} costs {n}.90 euro.", action="answer"),
                Message("user", "and does it make me happy"),
                Message("assistant", "Surely for 777.77 euro.", action="answer"),
            ),
        )
        for n, thing in enumerate(THINGS, start=3)
    ]
    fitted = fit(priced, None, [], chats, 0.05, lambda _text: None)
    assert fitted.fitted_on == {"questions": 24, "answerable": 12}, "what no entry holds is not judged"


def test_what_the_bot_decided_does_not_judge_it(knowledge: KnowledgeBase) -> None:
    said = [
        Message("assistant", "The lamp is here.", author="approved", evidence=("lamp",), action="answer"),
        Message("assistant", "I have no answer.", author="bot", action="decline"),
    ]
    chats = [Transcript(str(i), (Message("user", "a lamp"), reply)) for i, reply in enumerate(said)]
    assert chat_cases(knowledge, chats) == []


def test_the_demo_comes_with_a_calibration_that_fits_its_adapter() -> None:
    shop = Path(__file__).parents[1] / "examples" / "shop"
    adapter = Adapter.open(shop / "adapter")
    Calibration.load(shop / "calibration").require(adapter.sha256, adapter.encoder_sha256)


def test_without_questions_the_entries_ask_their_own_alternatives(knowledge: KnowledgeBase) -> None:
    said: list[str] = []
    fitted = fit(knowledge, None, [], [], 0.05, said.append)
    assert said[0] == "no queries and no chats: the entries' own alternatives are asked"
    assert fitted.fitted_on == {"questions": 36, "answerable": 24}
    best = knowledge.search("the lamp", scorer=fitted.scorer)[0]
    assert best.entry.id == "lamp"
    assert best.probability >= fitted.threshold("approved")


def test_the_share_of_wrong_answers_is_of_all_that_are_given() -> None:
    """A wrong reply from entries costs the same beside approved answers, and is one of more."""
    written = [(0.9, True), (0.8, False), (0.7, True)]
    approved = [(math.inf, True)] * 17
    assert threshold(written, 0.05) == 0.9
    assert threshold([*approved, *written], 0.05) == 0.7
    assert threshold([*approved[:9], *written], 0.05) == 0.9
