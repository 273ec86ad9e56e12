"""Where the time of a turn goes, and how near writing comes to what the machine's memory allows.

    python benchmarks/turn.py --knowledge HOME --adapter DIR --calibration DIR --questions FILE [--json FILE]

Every question goes through the whole bot with a real store. `read` contains encoding the message, which `find` uses
again; `keep` is what is left of a turn: the message and the reply going into the database. Then the model writes and
reads paths of fixed lengths. A written token needs every weight once, so memory bandwidth over the bytes of the
weights is a limit that no engine of one token a pass beats.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from machine import REPEATS, bandwidth, best_rate, processor

from chatbot.ask import ask
from chatbot.bot import Bot, Parts
from chatbot.config import load_settings
from chatbot.engines.engine import Engine, Token
from chatbot.parts import find_parts, load_parts
from chatbot.store import Store
from chatbot.types import Reply, TurnRequest
from knowledge_base.command import EXIT_DONE, Parser, run, write_json
from knowledge_base.errors import InputError
from knowledge_base.queries import Query, read_queries

STEPS = ("read", "find", "decide", "write", "keep", "first_text", "turn")
WARM_UP = ("Good morning!", "Can a lamp be returned after three weeks?", "My parcel has not come, what now?")
PROMPT_TOKENS, WRITTEN_TOKENS = 512, 64


class TimedBot(Bot):
    """A bot that keeps how long each of its turns took as a whole, in seconds."""

    def reply(self, request: TurnRequest, cancelled: Event) -> Iterator[Reply]:
        """Answer as a bot does; see `Bot.reply`."""
        began = time.perf_counter()
        yield from super().reply(request, cancelled)
        self.turns.append(time.perf_counter() - began)

    turns: list[float]


class TimedEngine:
    """An engine that counts the tokens it writes and the seconds they take, the reading before them left out."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.read, self.score = engine.read, engine.score
        self.tokens, self.seconds = 0, 0.0

    def stream(
        self, ids: Sequence[int], max_new_tokens: int, stop_ids: frozenset[int], cancelled: Event
    ) -> Iterator[Token]:
        """Write as the engine does; the first token comes out of reading the path and is not counted."""
        tokens = iter(self._engine.stream(ids, max_new_tokens, stop_ids, cancelled))
        for number in range(max_new_tokens):
            began = time.perf_counter()
            token = next(tokens, None)
            if token is None:
                return
            if number:
                self.tokens, self.seconds = self.tokens + 1, self.seconds + time.perf_counter() - began
            yield token


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    given = _parser().parse_args(argv)
    queries, _ = read_queries(Path(given.questions))
    if not queries:
        raise InputError(f"{given.questions}: expected questions, got no usable row.")
    settings = load_settings(Path(given.data_dir) if given.data_dir else None)
    places = find_parts(None, given.knowledge, given.adapter, given.calibration, given.base or settings.base)
    parts = load_parts(places, settings, lambda what: print(f"loading {what}", file=sys.stderr, flush=True))
    if parts.model is None:
        raise InputError("--adapter: expected an adapter; without one nothing is written. Train one: finetune.lora.")
    engine = parts.model.engine
    timed = TimedEngine(engine)
    parts.model.engine = timed
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "turns.db") as store:
        bot = TimedBot(store, settings)
        turns = time_turns(bot, store, parts, queries, timed)
    engine_model: Any = engine._model  # type: ignore[attr-defined] # the weights as they are loaded
    report = {
        "machine": machine(engine_model),
        "turns": {"n": len(queries), **turns},
        "writing_in_turns": _rate(timed.tokens, timed.seconds),
        **speeds(engine, engine_model),
    }
    for line in lines(report):
        print(line, file=sys.stderr)
    if given.json:
        write_json(given.json, report)
    return EXIT_DONE


def time_turns(
    bot: TimedBot, store: Store, parts: Parts, queries: Sequence[Query], timed: TimedEngine
) -> dict[str, Any]:
    """Return {kind of reply: {n, step: {median, p95} in milliseconds}}, `all` first; the warm-up is left out."""
    bot.furnish(lambda _tell: parts)
    bot.turns = []
    ask(bot, store, [Query(f"warm-up-{n}", (("user", text),), None, ()) for n, text in enumerate(WARM_UP)])
    bot.turns.clear()
    timed.tokens, timed.seconds = 0, 0.0
    rows = []
    for answer, turn in zip(ask(bot, store, queries), bot.turns, strict=True):
        seconds: dict[str, float] = {"turn": turn, **answer["seconds"]}
        steps = sum(seconds.get(step, 0.0) for step in ("read", "find", "decide", "write"))
        rows.append((str(answer["kind"]), {**seconds, "keep": turn - steps}))
    kinds = ["all", *sorted({kind for kind, _ in rows})]
    return {kind: _table([seconds for of, seconds in rows if kind in ("all", of)]) for kind in kinds}


def _table(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    table: dict[str, Any] = {"n": len(rows)}
    for step in STEPS:
        values = sorted(1000 * row[step] for row in rows if step in row)
        if values:
            p95 = values[max(0, -(-len(values) * 95 // 100) - 1)]
            table[step] = {"median": round(statistics.median(values), 1), "p95": round(p95, 1)}
    return table


def machine(model: Any) -> dict[str, Any]:
    """Return what the figures depend on."""
    import torch

    weight = next(model.parameters())
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if weight.device.type == "cuda" else "cpu",
        "dtype": str(weight.dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def speeds(engine: Engine, model: Any) -> dict[str, Any]:
    """Return the rates of writing and reading beside the limit; bandwidth is measured before and after."""
    weights = weight_bytes(model)
    vocabulary = int(model.get_output_embeddings().weight.shape[0])
    device = next(model.parameters()).device
    before = bandwidth(device)
    written = best_rate(REPEATS, lambda n: _write(engine, _path(n, vocabulary)))
    read = best_rate(REPEATS, lambda n: _read(engine, _path(REPEATS + 1 + n, vocabulary)))
    best = max(before, bandwidth(device))
    limit = best / weights
    return {
        "weight_bytes_a_token": weights,
        "bandwidth_bytes_a_second": round(best),
        "limit_tokens_a_second": round(limit, 1),
        "written_tokens_a_second": round(written, 1),
        "ratio": round(written / limit, 3),
        "read_tokens_a_second": round(read, 1),
        "prompt_tokens": PROMPT_TOKENS,
        "written_tokens": WRITTEN_TOKENS,
    }


def weight_bytes(model: Any) -> int:
    """Return the bytes that one written token reads.

    All weights once; of the table of input embeddings only a row, unless the same matrix is the output's too.
    """
    head = model.get_output_embeddings().weight
    tables = {id(model.get_input_embeddings().weight)} - {id(head)}
    read = {id(weight): weight for weight in [*model.parameters(), head] if id(weight) not in tables}
    return sum(weight.numel() * weight.element_size() for weight in read.values())


def _write(engine: Engine, path: list[int]) -> tuple[int, float]:
    """Write behind a path; what is timed begins with the second token."""
    tokens = engine.stream(path, WRITTEN_TOKENS, frozenset(), Event())
    next(iter(tokens))
    began = time.perf_counter()
    return sum(1 for _ in tokens), time.perf_counter() - began


def _read(engine: Engine, path: list[int]) -> tuple[int, float]:
    began = time.perf_counter()
    engine.read(path, [])
    return len(path), time.perf_counter() - began


def _path(number: int, vocabulary: int) -> list[int]:
    """Return ordinary ids that no path before begins with; an engine would reuse what it holds."""
    first = vocabulary // 2
    return [first + number, *(first + (7 * place) % (vocabulary // 4) for place in range(PROMPT_TOKENS - 1))]


def _rate(tokens: int, seconds: float) -> dict[str, float]:
    return {"tokens": tokens, "tokens_a_second": round(tokens / seconds, 1) if seconds else 0.0}


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report as text for people."""
    yield json.dumps(report["machine"])
    yield f"{'milliseconds':14}{'n':>5}" + "".join(f"{step:>18}" for step in STEPS)
    for kind, table in report["turns"].items():
        if kind != "n":
            cells = [table.get(step) for step in STEPS]
            shown = [f"{c['median']:,.0f} / {c['p95']:,.0f}" if c else "" for c in cells]
            yield f"{kind:14}{table['n']:>5}" + "".join(f"{cell:>18}" for cell in shown)
    yield "(median / 95th percentile)"
    yield (
        f"writing: {report['written_tokens_a_second']} tokens/s behind {PROMPT_TOKENS} tokens, "
        f"{report['writing_in_turns']['tokens_a_second']} in the turns ({report['writing_in_turns']['tokens']} tokens)"
    )
    yield (
        f"limit: {report['limit_tokens_a_second']} tokens/s = {report['bandwidth_bytes_a_second'] / 1e9:.1f} GB/s "
        f"over {report['weight_bytes_a_token'] / 1e6:.0f} MB of weights; ratio {report['ratio']}"
    )
    yield f"reading: {report['read_tokens_a_second']} tokens/s"


def _parser() -> Parser:
    parser = Parser(prog="python benchmarks/turn.py", description="Measure where the time of a turn goes.")
    parser.add_argument("--knowledge", required=True, help="a knowledge home")
    parser.add_argument("--adapter", required=True, help="an adapter folder")
    parser.add_argument("--calibration", default="", help="the adapter's calibration folder")
    parser.add_argument("--questions", required=True, help="questions (JSON Lines)")
    parser.add_argument("--base", default="", help="another place of the base model's weights")
    parser.add_argument("--data-dir", default="", help="a data folder whose settings are used")
    parser.add_argument("--json", default="", metavar="FILE", help="write all numbers as JSON; - is standard output")
    return parser


if __name__ == "__main__":
    run(main)
