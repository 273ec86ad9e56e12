"""How long a search takes beyond the encoder, beside the time in which the machine can read the vectors once.

    python benchmarks/search_time.py --knowledge HOME --queries FILE [--entries N] [--json FILE]

Each query is searched twice: its last message alone, and behind what was said before, which a running chat has seen in
its turns before and the search remembers. The vectors of the messages are made beforehand. With `--entries`, the
knowledge is first enlarged: entries are copied under made-up subjects, and each text of a copy gets the vector of its
original with noise, so that nothing has to be embedded. The limit is 1.5 * bytes / bandwidth + 1 ms, for the bytes that
are read (one a number) and for the vectors as they are kept (four a number).
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import bandwidth, processor

from knowledge_base.command import EXIT_DONE, Parser, run, write_json
from knowledge_base.encoder import Encoder, load_encoder_of, locate_encoder
from knowledge_base.entry import Entry
from knowledge_base.errors import InputError
from knowledge_base.ingest import ingest
from knowledge_base.queries import Query, read_queries
from knowledge_base.search import KnowledgeBase
from knowledge_base.snapshots import open_current, read_current

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

WARM_UP = 20
BYTES = {"as_read": 1, "as_kept": 4}  # numbers of 8 bits are compared, single precision kept
NOISE = 0.3  # length of what is added to a unit vector: a cosine of about 0.96 to the original


class Recorded:
    """An encoder that gives the vectors it was told of, in no time worth counting."""

    def __init__(self, encoder_id: str, sha256: str, dimension: int) -> None:
        self.id, self.sha256, self.dimension = encoder_id, sha256, dimension
        self.of: dict[str, Vectors] = {}

    def encode(self, texts: Sequence[str], advance: Callable[[int], None] | None = None) -> Vectors:
        """Return the vectors of texts."""
        import numpy as np

        if advance is not None:
            advance(len(texts))
        return np.stack([self.of[text] for text in texts])

    def encode_query(self, text: str) -> Vectors:
        """Return the vector of a text."""
        return self.of[text]

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts."""
        return self.encode(texts)

    def behind(self, context: str, message: str) -> str:
        """Return a message behind its context."""
        return f"{context}\n{message}"

    def encode_words(self, words: Sequence[str]) -> Vectors:
        """Refuse: words were not recorded."""
        raise NotImplementedError


class Recording(Recorded):
    """Asks another encoder for what it has not been told of, and keeps it."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder.id, encoder.sha256, encoder.dimension)
        self._encoder = encoder

    def encode_query(self, text: str) -> Vectors:
        """Return the vector of a text."""
        if text not in self.of:
            self.of[text] = self._encoder.encode_query(text)
        return self.of[text]

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of texts."""
        return self._encoder.encode_queries(texts)

    def behind(self, context: str, message: str) -> str:
        """Return a message behind its context, as the encoder joins them."""
        return self._encoder.behind(context, message)

    def encode_words(self, words: Sequence[str]) -> Vectors:
        """Return the vectors of words; looking them up is a part of search."""
        return self._encoder.encode_words(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    given = _parser().parse_args(argv)
    queries, _ = read_queries(Path(given.queries))
    if len(queries) <= WARM_UP:
        raise InputError(f"{given.queries}: expected more than {WARM_UP} queries, got {len(queries)}.")
    home = Path(given.knowledge)
    encoder = Recording(load_encoder_of(read_current(home).encoder_id, None))
    before = bandwidth()
    with tempfile.TemporaryDirectory() as folder:
        if given.entries:
            print(f"enlarging the knowledge to {given.entries:,} entries", file=sys.stderr)
            home = enlarged(home, Path(folder) / "home", given.entries)
        began = time.perf_counter()
        knowledge = KnowledgeBase.open(home, encoder)
        opening = time.perf_counter() - began
        report = measured(knowledge, queries)
        _, index = open_current(home)
    fastest = max(before, bandwidth())
    limits = {name: 1500 * size * index.rows * index.dimension / fastest + 1 for name, size in BYTES.items()}
    report |= {
        "entries": len(knowledge.entries),
        "vectors": index.rows,
        "bandwidth_bytes_a_second": round(fastest),
        "limit_ms": {name: round(limit, 2) for name, limit in limits.items()},
        "seconds_opening": round(opening, 2),
        "processor": processor(),
    }
    for part in (report["message"], report["in_dialogue"]):
        part["p95_over_limit"] = {name: round(part["p95_ms"] / limit, 2) for name, limit in limits.items() if part["n"]}
    print(json.dumps(report, indent=2))
    if given.json:
        write_json(given.json, report)
    return EXIT_DONE


def measured(knowledge: KnowledgeBase, queries: Sequence[Query]) -> dict[str, Any]:
    """Return the times of searching each message alone, and in its dialogue, by a search that never met it before."""
    for query in queries:  # so that every vector is known
        knowledge.search(query.text)
        for messages in _turns(query):
            knowledge.search(messages[-1][1], history=messages[:-1])
    alone, in_dialogue = [], []
    fresh = KnowledgeBase.open(knowledge.home, knowledge.encoder)
    for query in queries:
        began = time.perf_counter()
        fresh.search(query.text)
        alone.append(time.perf_counter() - began)
    fresh = KnowledgeBase.open(knowledge.home, knowledge.encoder)
    for query in (query for query in queries if query.history):
        for messages in _turns(query):
            began = time.perf_counter()
            fresh.search(messages[-1][1], history=messages[:-1])
            seconds = time.perf_counter() - began
        in_dialogue.append(seconds)
    return {"message": _table(alone), "in_dialogue": _table(in_dialogue)}


def _turns(query: Query) -> Iterator[tuple[tuple[str, str], ...]]:
    """Yield the messages up to each message of the customer, the last two turns only: the last one is measured."""
    ends = [end for end, (role, _) in enumerate(query.messages, 1) if role == "user"]
    yield from (query.messages[:end] for end in ends[-2:])


def _table(seconds: Sequence[float]) -> dict[str, Any]:
    import numpy as np

    if len(seconds) <= WARM_UP:
        return {"n": 0, "median_ms": None, "p95_ms": None}
    values = 1e3 * np.array(seconds[WARM_UP:])
    return {
        "n": len(values),
        "median_ms": round(float(np.median(values)), 2),
        "p95_ms": round(float(np.quantile(values, 0.95, method="higher")), 2),
    }


def enlarged(source: Path, home: Path, count: int) -> Path:
    """Write a knowledge home of `count` entries, copied from those of another; returns `home`."""
    import numpy as np

    snapshot, index = open_current(source)
    chance, noise = random.Random(1), np.random.default_rng(1)  # noqa: S311 (names, not secrets)
    vectors = index.vectors(np.arange(index.rows))
    encoder = Recorded(snapshot.encoder_id, snapshot.encoder_sha256, index.dimension)
    rows = iter(range(index.rows))
    owned = [(entry, [next(rows) for _ in entry.searched_texts]) for entry in snapshot.entries.values()]
    for entry, places in owned:
        encoder.of |= zip(entry.searched_texts, vectors[places], strict=True)
    subjects = sorted({entry.subject for entry, _ in owned if entry.subject})
    entries = [entry for entry, _ in owned][:count]
    for copy in range(1, -(-count // len(owned))):
        named = {subject: _made_up(subjects, chance) for subject in subjects}
        for entry, places in owned[: count - len(entries)]:
            made = _copied(entry, copy, named.get(entry.subject, ""))
            added = noise.standard_normal((len(places), index.dimension)).astype(np.float32)
            moved = vectors[places] + NOISE * added / np.linalg.norm(added, axis=1, keepdims=True)
            moved /= np.linalg.norm(moved, axis=1, keepdims=True)
            encoder.of |= zip(made.searched_texts, moved, strict=True)
            entries.append(made)
    located = replace(locate_encoder(), id=encoder.id, sha256=encoder.sha256)
    ingest(entries, home, located, lambda: encoder, say=lambda text: print(text, file=sys.stderr))
    return home


def _made_up(subjects: Sequence[str], chance: random.Random) -> str:
    """Return a name of the halves of words of other names."""
    words = [word for name in chance.choices(subjects, k=2) for word in name.split()]
    return " ".join(one[: len(one) // 2 + 1] + other[len(other) // 2 :] for one, other in zip(words, words[1:] + words[:1], strict=True))[:40].strip()  # fmt: skip


def _copied(entry: Entry, copy: int, subject: str) -> Entry:
    def renamed(text: str) -> str:
        return text.replace(entry.subject, subject) if entry.subject else text

    return replace(
        entry,
        id=f"{entry.id}#{copy}",
        question=renamed(entry.question),
        answer=f"{renamed(entry.answer)} {copy}",
        alternatives=tuple(map(renamed, entry.alternatives)),
        subject=subject if entry.subject else "",
    )


def _parser() -> Parser:
    parser = Parser(prog="python benchmarks/search_time.py", description="Measure how long a search takes.")
    parser.add_argument("--knowledge", required=True, metavar="HOME", help="a knowledge home")
    parser.add_argument("--queries", required=True, metavar="FILE", help="questions or dialogues (JSON Lines)")
    parser.add_argument("--entries", type=int, metavar="N", help="enlarge the knowledge to so many entries")
    parser.add_argument("--json", default="", metavar="FILE", help="write the figures as JSON")
    return parser


if __name__ == "__main__":
    run(main)
