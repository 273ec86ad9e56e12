from __future__ import annotations

import itertools
import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.types import Message
from finetune.split import Split, near_duplicate_groups, normalised, split
from finetune.transcripts import Transcript
from knowledge_base.duplicates import NEAR_DUPLICATE_JACCARD, jaccard, shingles

# Invented shop talk: words are drawn from it, so that chance makes some conversations alike.
WORDS = re.findall(
    r"\w+",
    "order parcel refund return invoice address card delivery late broken colour size shoe lamp cancel change track "
    "where when how why please today yesterday tomorrow never again money voucher account password email shop open",
)


def conversation(identity: str, *contents: str, intents: tuple[str, ...] = (), action: str | None = None) -> Transcript:
    said = tuple(Message("user", content, intents=intents) for content in contents)
    return Transcript(identity, (*said, Message("assistant", "yes", action=action)))


def shop_talk(count: int, seed: int = 0, labels: int = 10) -> list[Transcript]:
    draw = random.Random(seed)  # noqa: S311 (test data)
    return [
        conversation(f"c{n}", " ".join(draw.choices(WORDS, k=8)), intents=(f"intent{draw.randrange(labels)}",))
        for n in range(count)
    ]


def everything(parts: Split) -> list[str]:
    return sorted((*parts.train, *parts.calibration, *parts.test))


def part_of(parts: Split) -> dict[str, str]:
    return {identity: name for name in ("train", "calibration", "test") for identity in getattr(parts, name)}


SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
TALKS = st.lists(
    st.tuples(st.lists(SENTENCES, min_size=1, max_size=3), st.lists(st.sampled_from("abcd"), max_size=2)), max_size=25
).map(lambda rows: [conversation(f"c{n}", *said, intents=tuple(intents)) for n, (said, intents) in enumerate(rows)])


@settings(max_examples=60, deadline=None)
@given(talks=TALKS, seed=st.integers(0, 5))
def test_the_parts_are_disjoint_and_together_everything(talks: list[Transcript], seed: int) -> None:
    assert everything(split(talks, seed)) == sorted(talk.id for talk in talks)


@settings(max_examples=60, deadline=None)
@given(talks=TALKS)
def test_near_duplicates_are_in_the_same_part(talks: list[Transcript]) -> None:
    parts = part_of(split(talks, 0))

    for one, other in itertools.combinations(talks, 2):
        alike = jaccard(*(shingles(normalised(talk.customer_words)) for talk in (one, other)))
        if alike >= NEAR_DUPLICATE_JACCARD:
            assert parts[one.id] == parts[other.id]


@settings(max_examples=60, deadline=None)
@given(talks=TALKS, seed=st.integers(0, 5), shuffle=st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(talks: list[Transcript], seed: int, shuffle: random.Random) -> None:
    shuffled = talks.copy()
    shuffle.shuffle(shuffled)

    assert split(shuffled, seed) == split(talks, seed)


@settings(max_examples=150, deadline=None)
@given(talks=TALKS, shares=st.sampled_from([(0.8, 0.1, 0.1), (0.34, 0.33, 0.33), (0.1, 0.1, 0.8)]))
def test_every_label_occurs_in_the_train_part(talks: list[Transcript], shares: tuple[float, float, float]) -> None:
    train = set(split(talks, 0, shares).train)

    labels = {talk.id: {name for message in talk.messages for name in message.intents} for talk in talks}
    assert set().union(*(labels[identity] for identity in train)) == set().union(*labels.values())


def test_another_seed_gives_other_parts() -> None:
    talks = shop_talk(100)

    assert split(talks, 1) == split(talks, 1)
    assert split(talks, 1).test != split(talks, 2).test


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.9, 0.0, 0.1), (1.0, 0.0, 0.0)])
def test_the_parts_have_the_shares_asked_for(shares: tuple[float, float, float]) -> None:
    parts = split(shop_talk(500), 3, shares)

    sizes = [len(parts.train), len(parts.calibration), len(parts.test)]
    assert sizes == pytest.approx([share * 500 for share in shares], abs=10)
    assert parts.warnings == ()


def test_labels_have_the_same_shares_in_every_part() -> None:
    talks = shop_talk(1000)
    parts = part_of(split(talks, 0))

    for label in {name for talk in talks for name in talk.messages[0].intents}:
        where = [parts[talk.id] for talk in talks if talk.messages[0].intents == (label,)]
        assert where.count("test") == pytest.approx(len(where) / 10, abs=1)


def test_a_rare_label_goes_to_the_train_part_first_also_where_it_is_a_next_step() -> None:
    rare = [conversation(f"rare{n}", f"{word} {word}", action="rare") for n, word in enumerate(WORDS[:3])]

    for seed in range(10):
        parts = split([*rare, *shop_talk(100)], seed)
        assert {"rare0", "rare1", "rare2"} <= set(parts.train)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Where is my order?", "where is my  ORDER", True),
        ("Where is order 4711?", "Where is order 98000123?", True),
        ("Where is my parcel? I have waited for weeks", "Where is my parcel? I had waited for weeks", True),
        ("Please correct the details of my account", "please coprrect the details of my acount", True),
        ("我的订单什么时候到？", "我的订单什么时候到", True),
        ("yes", "no", False),
        ("yes", "yes please", False),
        ("?", "!", False),
        ("I would like to cancel my order", "I would like to change my address", False),
    ],
)
def test_near_duplicates_differ_by_little(one: str, other: str, alike: bool) -> None:
    groups = near_duplicate_groups([conversation("a", one), conversation("b", other)])

    assert len(groups) == (1 if alike else 2)


def test_only_the_customers_words_count_and_all_of_them() -> None:
    generic = [conversation(f"c{n}", "hello", f"the {word}", "yes") for n, word in enumerate(WORDS)]

    assert len(near_duplicate_groups(generic)) == len(generic)


def test_a_group_of_more_than_half_stays_whole_and_is_warned_of() -> None:
    alike = [conversation(f"same{n}", "Hello!" if n % 2 else "hello") for n in range(60)]

    parts = split([*alike, *shop_talk(40)], 0)

    assert {f"same{n}" for n in range(60)} <= set(parts.train)
    assert parts.calibration
    assert parts.test
    assert parts.warnings == (
        "60 of 100 conversations are near-duplicates of one another and stay in one part: "
        "the parts cannot have the sizes asked for",
    )


def test_few_conversations_fill_all_parts_where_labels_allow_and_an_empty_part_is_warned_of() -> None:
    few = [conversation(f"c{n}", f"{word} {n}", intents=("a",)) for n, word in enumerate(WORDS[:3])]

    assert [len(part) for part in (split(few, 0).train, split(few, 0).calibration, split(few, 0).test)] == [1, 1, 1]
    parts = split(few[:1], 0)
    assert parts.train == ("c0",)
    assert parts.warnings == tuple(
        f"the {name} part is empty: there are too few conversations that differ" for name in ("calibration", "test")
    )


def test_no_conversations_make_empty_parts() -> None:
    assert everything(split([], 0)) == []


def test_mails_of_one_form_are_not_compared_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counted(one: frozenset[str], other: frozenset[str]) -> float:
        nonlocal compared
        compared += 1
        return jaccard(one, other)

    monkeypatch.setattr("finetune.split.jaccard", counted)
    form = (
        "You have a new message from the contact form of our shop. Please answer within two working days, thank you. "
        * 3
    )
    draw = random.Random(0)  # noqa: S311 (test data)
    mails = [conversation(f"c{n}", f"{form} {' '.join(draw.choices(WORDS, k=4))}") for n in range(600)]

    groups = near_duplicate_groups(mails)

    assert len(groups) == 1
    assert compared < 25 * len(mails)  # each with each are 300 times as many


def test_a_conversation_of_one_message_stays_with_those_that_hold_it() -> None:
    examples = [conversation(f"e{n}", f"please track parcel {word} for me") for n, word in enumerate(WORDS)]
    stories = [
        conversation(f"s{n}", "hi", f"Please track parcel {word} for me!", f"and cancel the {WORDS[-n]} order today")
        for n, word in enumerate(WORDS)
    ]
    short = [conversation("hi", "hi")]

    parts = part_of(split([*examples, *stories, *short], 0, (0.5, 0.25, 0.25)))

    assert all(parts[f"e{n}"] == parts[f"s{n}"] for n in range(len(WORDS)))
    assert len(set(parts.values())) == 3, "a greeting that all begin with connects nothing"


def test_thousands_of_conversations_are_split_in_seconds() -> None:
    talks = shop_talk(2000, labels=200)

    began = time.perf_counter()
    split(talks, 0)

    assert time.perf_counter() - began < 15
