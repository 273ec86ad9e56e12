"""Kill a process that writes conversations, again and again, and look for what it had acknowledged.

    python benchmarks/store_kills.py --cycles 1000 --json results.json

A child process adds messages and runs turns; after each call that returned it tells the parent, through a pipe, what
was acknowledged. The parent kills it with SIGKILL at a random moment and reads the file with plain SQL. Then it does
what the service does when it starts again (open, recover) and what a browser does (send the last message again).
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chatbot.store import Store
from chatbot.store.sqlite import driver
from chatbot.types import Decision, Reply, TurnRequest
from knowledge_base.command import EXIT_DONE, EXIT_FAILED, Parser, progress, run, write_json

VISITOR = "visitor"
INTEGRITY_EVERY = 50


@dataclass
class Findings:
    """What the kills left behind; all but the first three have to be 0."""

    kills: int = 0
    acknowledged: int = 0
    cut_off_turns: int = 0
    lost: int = 0
    altered: int = 0
    duplicates: int = 0
    order_breaks: int = 0
    left_generating: int = 0
    damaged: int = 0

    @property
    def clean(self) -> bool:
        """Say whether nothing was lost, doubled or damaged."""
        faults = (self.lost, self.altered, self.duplicates, self.order_breaks, self.left_generating, self.damaged)
        return not any(faults)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the kills; exit code 1 when anything was lost or a kill was not delivered."""
    parser = Parser(prog="python benchmarks/store_kills.py", description=__doc__)
    parser.add_argument("--cycles", type=int, default=1000, help="how many processes to kill")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="for the moments")
    parser.add_argument("--json", default="-", metavar="FILE", help="where the findings go; - is standard output")
    arguments = parser.parse_args(argv)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        moments = random.Random(arguments.seed)  # noqa: S311 (no secret: it has to be repeatable)
        findings = kill_and_check(Path(folder) / "frontdesk.db", arguments.cycles, moments)
    seconds = round(time.monotonic() - begun, 1)
    sqlite = driver().sqlite_version
    write_json(arguments.json, {**asdict(findings), "seed": arguments.seed, "sqlite": sqlite, "seconds": seconds})
    return EXIT_DONE if findings.clean and findings.kills == arguments.cycles else EXIT_FAILED


def kill_and_check(database: Path, cycles: int, moments: random.Random) -> Findings:
    """Kill `cycles` writers of one database and return what was found after each."""
    findings = Findings()
    everything: dict[str, str] = {}
    with progress("kills", cycles) as advance:
        for cycle in range(cycles):
            acknowledged = _killed_writer(database, cycle, moments.uniform(0.0, 0.15), findings)
            findings.acknowledged += len(acknowledged)
            everything |= acknowledged
            last = cycle == cycles - 1
            _look(database, everything if last else acknowledged, findings)
            if last or cycle % INTEGRITY_EVERY == 0:
                findings.damaged += _rows(database, "PRAGMA integrity_check") != [("ok",)]
            _start_again(database, f"{cycle}-", findings)
            advance(1)
    return findings


def _killed_writer(database: Path, cycle: int, delay: float, findings: Findings) -> dict[str, str]:
    """Run a writer, kill it `delay` seconds after its first acknowledgement, and return {row id: content}."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _write_until_killed(database, cycle, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        first = pipe.readline()
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        lines = first + pipe.read()
    _, status = os.waitpid(child, 0)
    findings.kills += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    whole = lines.decode().splitlines(keepends=True)
    return dict(line.rstrip("\n").split("\t", 1) for line in whole if line.endswith("\n"))


def _write_until_killed(database: Path, cycle: int, pipe: int) -> None:
    """Chat without end. What was acknowledged goes through the pipe, a line a row."""
    try:
        store, count, conversation = Store.open(database), 0, None
        while True:
            content = f"message {count} of cycle {cycle}"
            request = TurnRequest(VISITOR, conversation if count % 10 else None, content, f"{cycle}-{count}")
            message = store.add_message(request)
            os.write(pipe, f"{message.id}\t{content}\n".encode())
            turn = store.begin_turn(message.id)
            store.save_partial(turn, f"a part of the {content}")
            reply = Reply(f"reply to {content}", "chat", "small_talk")
            decision = Decision("chat", "small_talk")
            kept = store.finish_turn(turn, reply, decision=decision, understanding=None, trace={"seconds": {}})
            os.write(pipe, f"{kept.id}\t{reply.text}\n".encode())
            conversation, count = message.conversation_id, count + 1
    except BaseException as error:  # noqa: BLE001 (a fork must not return into its parent's code)
        print(f"writer: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def _look(database: Path, acknowledged: dict[str, str], findings: Findings) -> None:
    kept = dict(_rows(database, "SELECT id, content FROM messages"))
    findings.lost += sum(row_id not in kept for row_id in acknowledged)
    findings.altered += sum(kept.get(row_id, content) != content for row_id, content in acknowledged.items())
    gaps = "SELECT 1 FROM messages GROUP BY conversation_id HAVING max(seq) != count(*) OR min(seq) != 1"
    findings.order_breaks += len(_rows(database, gaps))


def _start_again(database: Path, prefix: str, findings: Findings) -> None:
    """Do what the service and a browser do after a crash, and count what went wrong."""
    newest = "SELECT client_message_id, content, conversation_id FROM messages WHERE client_message_id LIKE ? || '%'"
    sent = _rows(database, f"{newest} ORDER BY rowid DESC LIMIT 1", prefix)
    with Store.open(database) as store:
        findings.cut_off_turns += store.recover()
        for client_message_id, content, conversation_id in sent:
            store.add_message(TurnRequest(VISITOR, conversation_id, content, client_message_id))
    findings.left_generating += len(_rows(database, "SELECT 1 FROM turns WHERE status = 'generating'"))
    doubled = "SELECT 1 FROM messages WHERE role = 'user' GROUP BY content HAVING count(*) > 1"
    findings.duplicates += len(_rows(database, doubled))


def _rows(database: Path, query: str, *parameters: str) -> list[tuple[Any, ...]]:
    with closing(driver().connect(str(database))) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(query, parameters).fetchall()
    return rows


if __name__ == "__main__":
    run(main)
