"""Search where an FAQ is known by a few ways to ask, and by past chats: labelled messages as a FAQ of one entry an intent.

    python benchmarks/intent_faq.py FILE [--alternatives N... --precedents N... --queries N --seed N]

The question of an entry is the first message of its intent, then come N alternatives; the answer is the reply that it got, or
where it got none only names the intent. N further messages are precedents: chats that the entry answered. The weights of search are fitted on these and kept if two others
an intent are foreseen better so, as `finetune.calibrate` does. The queries are other messages, whose right entry is that of their intent. Nothing was fitted on
them. hit@1 stands beside that of dense search alone, with the interval of the paired difference (`knowledge_base.evaluate`).
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from chatbot.types import Message
from finetune.calibrate import fit_weights
from finetune.cases import Case
from finetune.records import Transcript
from finetune.transcripts import read_files
from knowledge_base.encoder import Encoder, EncoderFolder, load_encoder
from knowledge_base.entry import Entry
from knowledge_base.evaluate import evaluate
from knowledge_base.ingest import ingest
from knowledge_base.precedents import Precedents
from knowledge_base.queries import Query
from knowledge_base.scorer import Scorer
from knowledge_base.search import KnowledgeBase

Labelled = tuple[str, str]


HELD_OUT = 2  # messages an intent that decide whether the fitted weights are kept


def main() -> None:
    """Build each FAQ, search it, print."""
    given = _parser().parse_args()
    chats = read_files([Path(given.file)]).transcripts
    messages = [m for chat in chats for m in chat.messages if m.role == "user" and m.intents]
    labelled = list(dict.fromkeys((message.content, message.intents[0]) for message in messages))
    turns = (turn for chat in chats for turn in pairwise(chat.messages))
    replies = {asked.content: said.content for asked, said in turns if (asked.role, said.role) == ("user", "assistant")}
    random.Random(given.seed).shuffle(labelled)  # noqa: S311 (a sample, not a secret)
    asked, known = labelled[: given.queries], labelled[given.queries :]
    queries = [Query(str(i), (("user", text),), (intent,), ()) for i, (text, intent) in enumerate(asked)]
    ways: dict[str, list[str]] = {}
    for text, intent in known:
        ways.setdefault(intent, []).append(text)
    encoder = load_encoder()
    print("| alternatives, precedents an entry | n | dense alone | search | above dense alone |\n|---|---|---|---|---|")
    for alternatives in given.alternatives:
        for precedents in given.precedents:
            with tempfile.TemporaryDirectory() as folder:
                knowledge, weights = _faq(ways, replies, (alternatives, precedents), Path(folder), encoder)
                figures = evaluate(knowledge, queries, weights)
            low, high = (100 * figures[f"above_dense_{end}"] for end in ("low", "high"))
            shares = f"{100 * figures['dense_hit_at_1']:.1f} % | {100 * figures['hit_at_1']:.1f} %"
            above = f"{100 * figures['above_dense']:+.1f} ({low:+.1f} to {high:+.1f})"
            print(f"| {alternatives}, {precedents} | {figures['n']:,} | {shares} | {above} |", flush=True)


def _faq(
    ways: Mapping[str, Sequence[str]],
    replies: Mapping[str, str],
    counts: tuple[int, int],
    home: Path,
    encoder: Encoder,
) -> tuple[KnowledgeBase, Scorer]:
    """Build a FAQ with so many alternatives and precedents an entry, and fit the weights of its search."""
    alternatives, answered = counts
    entries = [
        Entry(
            intent,
            texts[0],
            replies.get(texts[0], f"About {intent.replace('_', ' ')}."),
            alternatives=tuple(texts[1 : alternatives + 1]),
        )
        for intent, texts in sorted(ways.items())
    ]
    folder = EncoderFolder(encoder.id, Path(), encoder.sha256)
    ingest(entries, home, folder, lambda: encoder, say=lambda _text: None)
    chats = [
        Transcript(text, (Message("user", text), Message("assistant", "So.", action="answer", evidence=(intent,))))
        for intent, texts in ways.items()
        for text in texts[alternatives + 1 : -HELD_OUT][:answered]
    ]
    said = [chat.messages for chat in chats]
    vectors = (
        encoder.encode_queries([asked.content for asked, _ in said])
        if said
        else np.zeros((0, encoder.dimension), np.float32)
    )
    precedents = Precedents(vectors, [reply.evidence[0] for _, reply in said])
    learnt = KnowledgeBase.open(home, encoder, precedents)
    judged = [
        Case((), learnt.candidates(text), frozenset([intent]))
        for intent, texts in ways.items()
        for text in texts[-HELD_OUT:]
    ]
    return learnt, fit_weights(learnt, chats, judged, lambda _text: None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="conversations with intents")
    parser.add_argument("--alternatives", nargs="+", type=int, default=[0, 2, 5], help="so many an entry")
    parser.add_argument("--precedents", nargs="+", type=int, default=[0, 5, 20, 100], help="so many an entry")
    parser.add_argument("--queries", type=int, default=1000, help="so many messages are asked")
    parser.add_argument("--seed", type=int, default=1, help="chooses the messages")
    return parser


if __name__ == "__main__":
    main()
