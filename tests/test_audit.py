"""The audit of labels: planted mistakes are found, what cannot be judged is said, and the list harms nobody."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import HashEncoder, WordEncoder

from chatbot.types import Message
from finetune import audit
from finetune.mislabelled import Judged, judge, labelled, mislabelled, overlaps
from finetune.records import Transcript
from finetune.suspects import Suspect, write_csv
from finetune.transcripts import read_files
from knowledge_base.command import EXIT_DONE, EXIT_NOTHING_DONE, EXIT_PARTLY_REFUSED
from knowledge_base.encoder import Encoder
from knowledge_base.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
SHOP = ROOT / "examples" / "shop" / "conversations.jsonl"
CHATS = {
    "track_order": (
        "where is my parcel now",
        "has the parcel left your warehouse",
        "track my parcel please",
        "my parcel did not arrive",
        "when does the parcel arrive",
        "the tracking of my parcel shows nothing",
        "is the parcel still on its way",
        "the courier lost my parcel",
        "parcel number unknown, where is it",
        "which courier brings the parcel",
    ),
    "refund": (
        "I want my money back",
        "refund the money to my card",
        "how long does the refund take",
        "no refund on my account yet",
        "give me a refund for this",
        "where does the refund money go",
        "can I have the money as a voucher",
        "the refund is too small",
        "refund without the box possible",
        "you owe me a refund of money",
    ),
    "password": (
        "I forgot my password",
        "the password link does not work",
        "reset the password of my login",
        "my login says wrong password",
        "change my password please",
        "login locked after wrong password",
        "no mail with the new password",
        "password reset for two logins",
        "is my login password safe",
        "which signs may a password have",
    ),
}


def chats(**changed: Sequence[str]) -> list[Transcript]:
    """Return the chats above, a message each; `changed` gives other intents to messages, by id."""
    return [
        said(f"{intent}-{number}", text, *changed.get(f"{intent}_{number}", (intent,)))
        for intent, texts in CHATS.items()
        for number, text in enumerate(texts)
    ]


def said(identity: str, text: str, *intents: str) -> Transcript:
    return Transcript(identity, (Message("user", text, intents=intents),), source=f"chats.jsonl:{identity[-1]}")


def relabelled(chat: Transcript, intent: str | None) -> Transcript:
    """Return a chat of one message with another intent, or as it is without one."""
    return replace(chat, messages=(replace(chat.messages[0], intents=(intent,)),)) if intent else chat


def demo() -> list[Transcript]:
    """Return the labelled messages of the demo shop's chats, a chat each."""
    found = labelled(read_files([SHOP]).transcripts)
    return [said(f"{message.transcript.id}-{message.index}", message.text, *message.intents) for message in found]


def judged(transcripts: Sequence[Transcript], encoder: Encoder | None = None) -> Judged:
    messages = labelled(transcripts)
    vectors = (encoder or WordEncoder(512)).encode_queries([message.text for message in messages])
    return judge(messages, vectors, 0)


def listed(found: Judged) -> list[str]:
    return [found.messages[place].transcript.id for place in mislabelled(found)]


def write(path: Path, transcripts: Sequence[Transcript]) -> Path:
    lines = [
        {
            "id": t.id,
            "messages": [{"role": m.role, "content": m.content, "intent": list(m.intents)} for m in t.messages],
        }
        for t in transcripts
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def word_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge_base.encoder.load_encoder", lambda _name: WordEncoder(512))


def test_wrong_intents_are_listed_and_right_ones_are_not() -> None:
    assert listed(judged(chats())) == []
    found = judged(chats(track_order_3=("password",), refund_4=("track_order",)))
    assert set(listed(found)) == {"track_order-3", "refund-4"}


def test_the_most_suspicious_message_comes_first() -> None:
    found = judged(chats(track_order_3=("password",), refund_4=("track_order",), password_2=("refund",)))
    places = mislabelled(found)
    own = [float(found.probabilities[place, found.given[place]]) for place in places]
    assert len(own) == 3
    assert own == sorted(own)


def test_a_message_with_several_intents_is_listed_only_if_none_of_them_is_plausible() -> None:
    both = chats(track_order_3=("password", "track_order"), refund_4=("track_order", "password"))
    assert listed(judged(both)) == ["refund-4"]


def test_an_intent_that_nobody_else_can_speak_for_is_not_judged() -> None:
    lonely = said("single-0", "do you sell gift cards", "gift_card")
    twice = [
        said(f"twin-{n}", f"I would like to cancel order number {n}", "cancel") for n in range(2)
    ]  # near-duplicates
    mixed = said("mixed-0", "my parcel and a gift card", "track_order", "gift_card")
    found = judged([*chats(), lonely, *twice])
    assert found.labels == ("password", "refund", "track_order")
    assert {message.transcript.id for message in found.messages} == {chat.id for chat in chats()}
    assert "mixed-0" not in {m.transcript.id for m in judged([*chats(), mixed]).messages}


@pytest.mark.parametrize("texts", [["where is it"], ["where is it", "I want a refund"]])
def test_with_fewer_than_two_intents_that_can_be_judged_nothing_is(texts: list[str]) -> None:
    found = judged([said(f"c-{n}", text, f"intent{n}") for n, text in enumerate(texts)], HashEncoder())
    assert found.messages == ()


def test_a_message_is_judged_by_others_only() -> None:
    # Random directions tell nothing: whoever has seen a message's own label would still be right on most of them.
    guesses = judged(
        [said(f"c-{n}", f"{'abcdefghij'[n // 9]}{n * n * 7919}", "ab"[n % 2]) for n in range(90)], HashEncoder()
    )
    assert len(guesses.messages) > 60
    assert (guesses.likeliest == guesses.given).mean() < 0.7
    np.testing.assert_allclose(guesses.probabilities.sum(axis=1), 1)


def test_near_duplicates_do_not_vouch_for_each_other() -> None:
    texts = (
        "the courier lost parcel 1 of mine today",
        "the courier lost parcel 2 of mine today!",
        "The courier lost parcel 3 of mine today",
    )
    wrong = [said(f"twin-{n}", text, "password") for n, text in enumerate(texts)]
    found = judged([*chats(), *wrong])
    assert {found.labels[place] for place in found.likeliest[-3:]} == {"track_order"}


def test_one_intent_under_two_names_is_found_as_a_pair(encoder: Encoder) -> None:
    shop = demo()
    asked = [chat.id for chat in shop if chat.messages[0].intents == ("product_info",)]
    pairs = overlaps(judged([relabelled(c, "what_is_it") if c.id in asked[::2] else c for c in shop], encoder))
    assert ("product_info", "what_is_it") in [pair.labels for pair in pairs]
    assert [pair.labels for pair in pairs] != [pair.labels for pair in overlaps(judged(shop, encoder))]


def test_intents_that_can_be_told_apart_are_no_pair() -> None:
    assert overlaps(judged(chats())) == []


def test_of_mistakes_planted_in_the_demo_most_are_listed_and_right_ones_less_often(encoder: Encoder) -> None:
    shop = demo()
    names = sorted({intent for chat in shop for intent in chat.messages[0].intents})
    draw = random.Random(0)  # noqa: S311 (test data)
    planted = {
        chat.id: draw.choice([name for name in names if name not in chat.messages[0].intents])
        for chat in draw.sample(shop, 25)
    }
    found = listed(judged([relabelled(chat, planted.get(chat.id)) for chat in shop], encoder))
    share_of_right = len(set(found) - set(planted)) / (len(shop) - len(planted))
    assert len(set(found) & set(planted)) / len(planted) > share_of_right + 0.2


@pytest.mark.usefixtures("word_encoder")
def test_the_report_says_where_each_message_stands_and_nothing_is_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "chats.jsonl", chats(track_order_3=("password",)))
    before = file.read_bytes()
    assert audit.main(["--dataset", str(file), "--json", "-"]) == EXIT_DONE
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    (finding,) = report["findings"]
    assert {key: finding[key] for key in ("file", "line", "conversation", "message", "text", "given", "suggested")} == {
        "file": str(file),
        "line": 4,
        "conversation": "track_order-3",
        "message": 0,
        "text": "my parcel did not arrive",
        "given": ["password"],
        "suggested": "track_order",
    }
    assert 0 <= finding["probability_given"] < finding["probability_suggested"] <= 1
    assert (report["messages"], report["judged"], report["intents"], report["not_judged"]) == (30, 30, 3, {})
    assert f'{file}:4: "my parcel did not arrive" is "password"' in printed.err
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["chats.jsonl"]


@pytest.mark.usefixtures("word_encoder")
def test_the_same_seed_gives_the_same_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "chats.jsonl", chats(track_order_3=("password",), refund_4=("track_order",)))
    reports = []
    for _ in range(2):
        audit.main(["--dataset", str(file), "--json", "-", "--seed", "3"])
        reports.append(json.loads(capsys.readouterr().out))
        del reports[-1]["seconds"]
    assert reports[0] == reports[1]


@pytest.mark.usefixtures("word_encoder")
def test_a_refused_line_and_an_intent_that_cannot_be_judged_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "chats.jsonl", [*chats(), said("single-0", "do you sell gift cards", "gift_card")])
    with file.open("a") as lines:
        lines.write("no conversation\n")
    assert audit.main(["--dataset", str(file), "--json", "-"]) == EXIT_PARTLY_REFUSED
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["not_judged"] == {"gift_card": 1}
    assert [refusal["line"] for refusal in report["refused"]] == [32]
    assert '"gift_card" 1' in printed.err


@pytest.mark.usefixtures("word_encoder")
def test_tables_are_read_too_and_every_list_is_without_personal_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, output = tmp_path / "chats.csv", tmp_path / "list.csv"
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["question", "answer", "intent"])
        writer.writerows([m.content, "", "|".join(m.intents)] for chat in chats() for m in chat.messages)
        writer.writerow(["=my parcel to ann@example.com did not arrive", "", "password"])
    assert audit.main(["--dataset", str(file), "--json", "-", "--output", str(output)]) == EXIT_DONE
    finding, *others = json.loads(capsys.readouterr().out)["findings"]
    assert len(others) <= 1, "of 31 short messages one may look wrong by the parts that chance gives"
    assert (finding["line"], finding["text"]) == (32, "=my parcel to <email> did not arrive")
    with output.open(encoding="utf-8-sig", newline="") as opened:
        row, *_ = csv.DictReader(opened)
    assert row["text"] == "'=my parcel to <email> did not arrive"
    assert (row["line"], row["given"], row["suggested"]) == ("32", "password", "track_order")
    assert float(row["probability_given"]) == pytest.approx(finding["probability_given"], abs=1e-4)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "＝", "\t=", "\r\n=", " =", ";=", "x;=", 'x",=', "x|@"])
def test_no_cell_of_the_list_begins_a_formula_wherever_a_spreadsheet_cuts(tmp_path: Path, first: str) -> None:
    bad = f"{first}HYPERLINK(1)"
    write_csv(tmp_path / "list.csv", [Suspect(bad, 1, bad, 0, bad, (bad, "b"), bad, 0.1, 0.9)])
    text = (tmp_path / "list.csv").read_text(encoding="utf-8-sig")
    assert text.count("HYPERLINK") == 5
    assert len(text.splitlines()) == 2
    for separator in (",", ";", "|", "\t"):
        for row in csv.reader(text.splitlines(), delimiter=separator):
            assert not [cell for cell in row if cell.strip().startswith(("=", "+", "-", "@", "＝"))]


def test_what_a_person_noted_in_a_list_is_never_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "list.csv"
    output.write_text("mine")
    with pytest.raises(InputError, match="Choose another name"):
        audit.main(["--dataset", str(SHOP), "--json", "-", "--output", str(output)])
    with pytest.raises(InputError, match="Choose another name"):
        write_csv(output, [])
    assert output.read_text() == "mine"
    with pytest.raises(InputError, match="folder that exists"):
        audit.main(["--dataset", str(SHOP), "--json", "-", "--output", str(tmp_path / "none" / "list.csv")])


@pytest.mark.parametrize(
    ("transcripts", "reason"),
    [
        ([said("c-0", "where is it")], 'expected customers\' messages with an "intent", got none'),
        ([said("c-0", "where is it", "track"), said("c-1", "money back", "refund")], "expected two intents"),
    ],
)
@pytest.mark.usefixtures("word_encoder")
def test_without_enough_labels_nothing_is_done(tmp_path: Path, transcripts: list[Transcript], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        audit.main(["--dataset", str(write(tmp_path / "chats.jsonl", transcripts)), "--json", "-"])
    assert refused.value.exit_code == EXIT_NOTHING_DONE


def test_a_file_without_labels_is_told_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    file = write(tmp_path / "chats.jsonl", [said("c-0", "where is it")])
    loaded = "import sys; from finetune.audit import main\ntry: main(sys.argv[1:])\nexcept Exception as e: print(e)\n"
    loaded += "print(sorted({'torch', 'sklearn', 'cleanlab', 'pandas'} & set(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", loaded, "--dataset", str(file), "--json", "-"], capture_output=True, text=True, cwd=ROOT
    )
    assert ended.stdout.splitlines()[-1] == "[]", ended.stdout + ended.stderr
