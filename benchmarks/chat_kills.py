"""Kills of `app.py` while several customers chat with it over HTTP, as a browser does.

The page's own way is taken: the cookie from `/`, messages to Gradio's queue, answers as server-sent events.
A message counts as acknowledged when its first event has come, a reply when its last one has.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from victim import ROOT, Outcome, Plan, Victim

from chatbot.data_folder import DATABASE_FILE, create
from chatbot.store.sqlite import driver
from knowledge_base.errors import FrontdeskError
from knowledge_base.queries import read_queries

SHOP = ROOT / "examples" / "shop"
CUSTOMERS = 3
MESSAGES = 8  # in one conversation
UNLIMITED = {"FRONTDESK_LIMITS__MESSAGES_PER_MINUTE": "100000", "FRONTDESK_LIMITS__TURN_SECONDS": "600"}


@dataclass(slots=True)
class Sent:
    """A message of a customer; `ticket` is its client_message_id and stays the same when it is sent again."""

    content: str
    ticket: str
    conversation: str
    acknowledged: bool = False
    replied: bool = False


@dataclass(slots=True)
class Customer:
    """A browser: it keeps its cookie and sends again what was not answered when the service went down."""

    name: str
    questions: Sequence[str]
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)
    sent: list[Sent] = field(default_factory=list)
    sent_again: int = 0
    trouble: str = ""

    def chat(self, address: str, first: threading.Event) -> None:
        """Chat until the service is gone."""
        try:
            with httpx.Client(base_url=address, cookies=self.cookies, timeout=120) as browser:
                browser.get("/").raise_for_status()
                self.cookies = browser.cookies
                submit = _submit_function(browser.get("/config").raise_for_status().json())
                session = secrets.token_hex(8)
                if self.sent and not self.sent[-1].replied:
                    self.sent_again += 1
                    self._send(browser, submit, session, self.sent[-1], first)
                while True:
                    self.sent.append(self._next())
                    self._send(browser, submit, session, self.sent[-1], first)
        except httpx.HTTPStatusError as error:
            self.trouble = f"{error.request.url.path}: {error.response.status_code} {error.response.text[:200]}"
        except httpx.TransportError:  # the service is gone
            return

    def _next(self) -> Sent:
        number = len(self.sent)
        content = f"{self.questions[number % len(self.questions)]} ({self.name}, {number})"
        same = number % MESSAGES and self.sent
        return Sent(content, secrets.token_hex(16), self.sent[-1].conversation if same else "")

    def _send(self, browser: httpx.Client, submit: int, session: str, sent: Sent, first: threading.Event) -> None:
        """Send a message and follow its events to the end."""
        body = {"data": [sent.content, sent.conversation, sent.ticket], "fn_index": submit, "session_hash": session}
        browser.post("/gradio_api/queue/join", json=body).raise_for_status()
        for event in _events(browser, session):
            if event["msg"] == "process_generating" and not sent.acknowledged:
                sent.conversation = str(event["output"]["data"][2])
                sent.acknowledged = True
                first.set()
            if event["msg"] == "process_completed":
                if not event["success"]:
                    self.trouble = json.dumps(event)[:300]
                    return
                sent.replied = True
                return
        raise httpx.ReadError("the events ended before the answer did")


def kill_chats(plan: Plan, adapter: str, calibration: str) -> Outcome:
    """Serve, chat, kill and look, again and again on one data folder."""
    data = plan.folder / "data"
    create(data)
    _ingest_shop(plan, data)
    queries, _ = read_queries(SHOP / "questions.jsonl")
    questions = [query.text for query in queries]
    customers = [Customer(f"customer {n}", questions[n:] + questions[:n]) for n in range(CUSTOMERS)]
    found: Counter[str] = Counter()
    kills = 0
    for _ in plan.attempts():
        if kills == plan.kills:
            break
        kills += _killed(plan, data, customers, (adapter, calibration), found)
        _look(data, customers, found)
        plan.say(f"kill {kills} of {plan.kills}: {_acknowledged(customers)} messages, {dict(found)}")
    _served_at_last(plan, data, (adapter, calibration), found)
    _look(data, customers, found)
    counts = {
        "customers": CUSTOMERS,
        "acknowledged": _acknowledged(customers),
        "replies": sum(sent.replied for customer in customers for sent in customer.sent),
        "sent_again": sum(customer.sent_again for customer in customers),
        "while_loading": found["while_loading"],
        "in_the_middle_of_a_turn": found["in_the_middle_of_a_turn"],
    }
    names = ("damaged", "lost", "doubled", "out_of_order", "replies_lost", "left_generating", "trouble")
    return Outcome(kills, counts, {name: found[name] for name in names})


def _ingest_shop(plan: Plan, data: Path) -> None:
    command = [sys.executable, "-m", "knowledge_base.ingest", str(SHOP / "faq.csv"), "--out", str(data / "knowledge")]
    with Victim(command, plan.folder / "ingest.log") as ingestion:
        if ingestion.finish():
            raise FrontdeskError(f"the demo FAQ could not be ingested:\n{ingestion.output()}")


def _killed(plan: Plan, data: Path, customers: Sequence[Customer], model: tuple[str, str], found: Counter[str]) -> bool:
    """Serve until a random moment; most moments fall after the models are loaded."""
    with _service(plan, data, model) as (service, address):
        found["left_generating"] += _count(data / DATABASE_FILE, "SELECT count(*) FROM turns WHERE status='generating'")
        loaded = plan.moments.random() < 0.8
        if loaded:
            _await(service, lambda: bool(httpx.get(f"{address}/healthz").json()["ready"]))
        first = threading.Event()
        threads = [threading.Thread(target=customer.chat, args=(address, first)) for customer in customers]
        for thread in threads:
            thread.start()
        first.wait(timeout=60)
        service.reaches(plan.moments.uniform(0, 6))
        delivered = service.kill()
    for thread in threads:
        thread.join(timeout=150)
    found["while_loading"] += delivered and not loaded
    for customer in customers:
        found["trouble"] += bool(customer.trouble)
        if customer.trouble:
            plan.say(f"{customer.name}: {customer.trouble}")
        customer.trouble = ""
    return delivered


def _served_at_last(plan: Plan, data: Path, model: tuple[str, str], found: Counter[str]) -> None:
    with _service(plan, data, model):
        found["left_generating"] += _count(data / DATABASE_FILE, "SELECT count(*) FROM turns WHERE status='generating'")


class _service:  # noqa: N801 (used as a function would be)
    """Start the service on a free port and wait until it serves; leaving kills it."""

    def __init__(self, plan: Plan, data: Path, model: tuple[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._address = f"http://127.0.0.1:{port}"
        command = [sys.executable, "app.py", "--port", str(port), "--data-dir", str(data)]
        for flag, value in zip(("--adapter", "--calibration"), model, strict=True):
            command += [flag, value] if value else []
        self._victim = Victim(command, plan.folder / "app.log", UNLIMITED)

    def __enter__(self) -> tuple[Victim, str]:
        _await(self._victim, lambda: httpx.get(f"{self._address}/healthz").status_code == httpx.codes.OK)
        return self._victim, self._address

    def __exit__(self, *_: object) -> None:
        self._victim.kill()


def _await(service: Victim, seen: Any) -> None:
    """Wait for an answer of the service.

    Raises:
        FrontdeskError: it ended instead, or took five minutes.
    """
    ends = time.monotonic() + 300
    while time.monotonic() < ends and not service.ended:
        try:
            if seen():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise FrontdeskError(f"the service does not answer:\n{service.output()}")


def _submit_function(config: dict[str, Any]) -> int:
    """Return the number of the function that answers what is typed, as the page finds it."""
    box = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "fd-input")
    return next(int(d["id"]) for d in config["dependencies"] if [box, "submit"] in [list(t) for t in d["targets"]])


def _events(browser: httpx.Client, session: str) -> Iterator[dict[str, Any]]:
    with browser.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as answer:
        if answer.is_error:
            answer.read()
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line.removeprefix("data:"))


def _acknowledged(customers: Sequence[Customer]) -> int:
    return sum(sent.acknowledged for customer in customers for sent in customer.sent)


def _look(data: Path, customers: Sequence[Customer], found: Counter[str]) -> None:
    """Look at a copy of the database as the kill left it, so that looking mends nothing."""
    copy = data.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in (DATABASE_FILE, f"{DATABASE_FILE}-wal"):
        if (data / name).exists():
            shutil.copyfile(data / name, copy / name)
    with closing(driver().connect(str(copy / DATABASE_FILE))) as connection:
        found["damaged"] += connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]
        rows = connection.execute(
            "SELECT id, conversation_id, seq, content FROM messages WHERE role = 'user' ORDER BY conversation_id, seq"
        ).fetchall()
        done = "SELECT t.message_id FROM turns t JOIN messages r ON r.id = t.reply_id WHERE t.status = 'done'"
        replied = {row[0] for row in connection.execute(f"{done} AND r.content != ''")}
        found["in_the_middle_of_a_turn"] += (
            connection.execute("SELECT 1 FROM turns WHERE status='generating'").fetchone() is not None
        )
    kept = {content: (row_id, conversation, seq) for row_id, conversation, seq, content in rows}
    found["doubled"] += len(rows) - len(kept)
    for customer in customers:
        sent = [message for message in customer.sent if message.acknowledged]
        found["lost"] += sum(message.content not in kept for message in sent)
        known = [(message, kept[message.content]) for message in sent if message.content in kept]
        found["lost"] += sum(message.conversation != row[1] for message, row in known)
        found["replies_lost"] += sum(message.replied and row[0] not in replied for message, row in known)
        seqs: dict[str, list[int]] = {}
        for _, (_, conversation, seq) in known:
            seqs.setdefault(conversation, []).append(seq)
        found["out_of_order"] += sum(order != sorted(order) for order in seqs.values())


def _count(database: Path, query: str) -> int:
    with closing(driver().connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query).fetchone()[0])
