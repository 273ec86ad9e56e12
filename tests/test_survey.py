from __future__ import annotations

from chatbot.types import Entity, Message
from finetune.survey import survey
from finetune.transcripts import Transcript
from knowledge_base.command import Refusal

GERMAN = "Guten Tag, wo ist meine Bestellung? Ich warte schon seit zwei Wochen auf das Paket."
ENGLISH = "Good morning, where is my order? I have been waiting for the parcel for two weeks."


def asked(identity: str, content: str, *intents: str, reply: Message | None = None, language: str = "") -> Transcript:
    messages = (Message("user", content, intents=intents), *([reply] if reply else []))
    return Transcript(identity, messages, language, source=f"{identity[0]}.jsonl:{identity[1:]}")


def test_everything_that_was_found_is_counted() -> None:
    number = Entity("order_id", "4711", 9, 13)
    transcripts = [
        asked("a1", ENGLISH, "track", "greet", reply=Message("assistant", "Soon.", "human", action="answer")),
        asked("a2", ENGLISH.upper(), "track", reply=Message("assistant", "Soon.", "bot", evidence=("faq-1",))),
        asked("a3", ENGLISH.replace("two", "ten"), "track", reply=Message("assistant", "Soon.")),
        Transcript("b1", (Message("user", "my order 4711", entities=(number,)),), "en", ("orders",), "b.jsonl:1"),
    ]

    found = survey(transcripts, [], [])

    assert (found.conversations, found.messages) == (4, {"user": 4, "assistant": 3})
    assert found.files == {"a.jsonl": 3, "b.jsonl": 1}
    assert list(found.intents.items()) == [("track", 3), ("greet", 1)]
    assert (found.labelled_messages, found.labelled_replies, found.replies_with_evidence) == (3, 1, 1)
    assert (found.actions, found.entities, found.tags) == ({"answer": 1}, {"order_id": 1}, {"orders": 1})
    assert found.authors == {"bot": 1, "human": 1, "not stated": 1}
    assert (found.exact_duplicates, found.near_duplicates) == (1, 1)
    assert found.languages == {"en": 4}


def test_languages_are_told_from_the_customers_words_unless_they_are_stated() -> None:
    transcripts = [
        *(asked(f"a{n}", f"{GERMAN} {n}") for n in range(6)),
        *(asked(f"b{n}", f"{ENGLISH} {n}") for n in range(3)),
        asked("c1", ENGLISH, language="xx"),
        asked("c2", "ok"),
        asked("c3", "我的订单什么时候到？我已经等了两个星期了。"),
    ]

    found = survey(transcripts, [], [])

    assert dict(found.languages) == {"de": 6, "en": 3, "xx": 1, "zh": 1}
    assert found.language_sample == 11


def test_a_stray_rare_language_is_judged_again_between_those_that_are_there() -> None:
    stray = "Hi, min order nummer er 4711"  # Danish or Norwegian by its words, one in a hundred and one

    found = survey([*(asked(f"a{n}", f"{ENGLISH} {n}") for n in range(100)), asked("b1", stray)], [], [])

    assert found.languages == {"en": 101}


def test_the_lines_say_in_words_what_was_found() -> None:
    transcripts = [
        asked("a1", ENGLISH, "track", reply=Message("assistant", "Soon.", "human", action="answer")),
        *(
            asked(f"a{n}", f"{word} is not what I ordered from you last week", "wrong")
            for n, word in enumerate("xyz", 2)
        ),
    ]
    refusals = [
        *(Refusal("b.jsonl", line, "expected a conversation object, got 5") for line in range(1, 8)),
        Refusal("c.txt", None, "expected a .jsonl file, got c.txt"),
    ]

    lines = survey(transcripts, refusals, ['a.jsonl:1: unknown key "x" ignored']).lines()

    assert lines == [
        "read: 4 conversations from 1 file with 4 messages of customers and 1 reply",
        "intents: 2 on 4 of 4 messages: wrong 3, track 1",
        "  1 label on fewer than 3 messages: track 1",
        "  python -m finetune.audit lists messages whose intent is likely wrong",
        "next steps: 1 on 1 of 1 replies: answer 1",
        "  1 label on fewer than 3 replies: answer 1",
        "replies by: human 1; 0 name the entries they rest on",
        "languages of 4 conversations looked at: en 4",
        "duplicates: 0 conversations with the words of an earlier one, 2 with nearly the same",
        'warning: a.jsonl:1: unknown key "x" ignored',
        "refused: 8",
        "  b.jsonl, lines 1, 2, 3, 4, 5 and 2 more: expected a conversation object, got 5",
        "  c.txt: expected a .jsonl file, got c.txt",
    ]


def test_nothing_usable_is_said_too() -> None:
    assert survey([], [], []).lines() == [
        "read: 0 conversations from 0 files with 0 messages of customers and 0 replies",
        "intents: none",
        "next steps: none",
        "duplicates: 0 conversations with the words of an earlier one, 0 with nearly the same",
        "refused: 0",
    ]


def test_many_labels_and_reasons_are_cut_short() -> None:
    transcripts = [asked(f"a{n}", f"{n} {ENGLISH} {n * n}", f"intent{n:02}") for n in range(12)]
    refusals = [Refusal("b.jsonl", n, f"expected something else, got {n}") for n in range(30)]

    found = survey(transcripts, refusals, [])

    assert found.lines()[1].endswith("intent06 1, intent07 1 and 4 more")
    assert found.lines()[-1] == "  ... and 10 more reasons"
