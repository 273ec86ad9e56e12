"""The five commands of the README, run as they stand there on a small company's files, down to a first answer."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]
MARK = "<!-- tests/test_readme.py runs the next block as it stands -->\n```bash\n"
# What the test adds, so that it ends within two minutes on two free cores: the lines themselves stay as they are.
# The time limits below are wide, for machines with other work.
ADDED = {"finetune.lora": "--max_steps 3", "app.py": "--port {port}"}

FAQ = (  # question, answer, alternatives, what customers said
    (
        "How long does delivery take?",
        "Delivery takes 3 to 5 business days.",
        "when will my parcel arrive|delivery time",
        (
            "I ordered on Monday, by when is it here?",
            "how many days until my order comes",
            "Is shipping slow?",
            "will the lamp be here by Sunday",
        ),
    ),
    (
        "What does delivery cost?",
        "Delivery costs 4.90 euro and is free from 50 euro.",
        "shipping fee|is delivery free",
        (
            "do I pay for postage",
            "How much is the shipping to Bonn?",
            "price of sending a parcel",
            "Postage for an order of 20 euro?",
        ),
    ),
    (
        "Can I return an item?",
        "You can return any item within 30 days.",
        "send something back|return policy",
        (
            "The kettle is too big, can it go back?",
            "returning a gift I don't want",
            "how to give back my order",
            "I changed my mind about the mugs",
        ),
    ),
    (
        "Which ways of paying do you accept?",
        "We accept cards, invoice and bank transfer.",
        "payment methods|can I pay by card",
        ("do you take invoices", "Is Visa fine?", "paying by transfer possible??", "Is there a bill I can pay later"),
    ),
    (
        "What are your opening hours?",
        "The shop is open Monday to Friday from 9:00 to 18:00.",
        "when are you open|opening times",
        (
            "are you there on Friday afternoon",
            "Until when is the store open tonight?",
            "what time do you close",
            "can I drop in on a Wednesday morning",
        ),
    ),
    (
        "How do I reset my password?",
        "Choose Forgotten password on the sign-in page.",
        "cannot sign in|forgot my password",
        (
            "my login does not work any more",
            "need a new password pls",
            "Locked out of my account",
            "it says wrong password all the time",
        ),
    ),
)
REFUSED = (
    "Do you sell bicycles?",
    "what's the weather tomorrow",
    "Can you write my homework about whales",
    "who won the match yesterday",
    "Do you have a flat to let in Berlin?",
    "I want to book a flight to Rome",
    "which stocks should I buy",
    "translate this letter into Greek please",
)
GREETINGS = ("hello there", "Good morning!", "thanks a lot, bye", "how are you today")


def five_commands() -> list[str]:
    _, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition(MARK)
    return rest.partition("```")[0].splitlines()


def write_files(folder: Path) -> None:
    """Write the FAQ and the chats of a small company under the names that the README uses."""
    with (folder / "faq.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "question", "answer", "alternatives"))
        for number, (question, answer, alternatives, _) in enumerate(FAQ):
            writer.writerow((f"faq-{number}", question, answer, alternatives))
    chats = [
        _chat(said, f"topic_{number}", answer, "answer", [f"faq-{number}"])
        for number, (_, answer, _, asked) in enumerate(FAQ)
        for said in asked
    ]
    chats += [_chat(said, "out_of_scope", "Sorry, I cannot help you with that.", "decline", []) for said in REFUSED]
    chats += [_chat(said, "small_talk", "How can I help you?", "chat", []) for said in GREETINGS]
    (folder / "chats.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats), encoding="utf-8")


def _chat(said: str, intent: str, reply: str, action: str, evidence: list[str]) -> dict[str, Any]:
    answer = {"role": "assistant", "content": reply, "author": "human", "action": action, "evidence": evidence}
    return {"messages": [{"role": "user", "content": said, "intent": intent}, answer]}


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def run(line: str, folder: Path, limit_s: float = 900) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", _added(line)], cwd=folder, env=_environment(), capture_output=True, text=True, timeout=limit_s
    )


def _added(line: str, **values: Any) -> str:
    flags = next((flags for name, flags in ADDED.items() if name in line.split("--")[0]), "")
    return f"{line} {flags.format(**values)}".strip()


def _environment() -> dict[str, str]:
    """What `source .venv/bin/activate` gives: our Python first on the path."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_the_readme_has_five_commands_and_the_last_one_serves() -> None:
    commands = five_commands()
    assert len(commands) == 5
    assert all(line.startswith("python ") for line in commands)
    assert "app.py" in commands[-1]


@pytest.mark.timeout(2400)
def test_the_five_commands_lead_from_files_to_a_chat_that_answers(tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "app.py").symlink_to(ROOT / "app.py")  # the README's folder is the repository, this one is not
    *before, serve = five_commands()
    for line in before:
        done = run(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    port = free_port()
    with (tmp_path / "app.log").open("w") as log:
        app = subprocess.Popen(
            ["bash", "-c", f"exec {_added(serve, port=port)}"], cwd=tmp_path, env=_environment(), stdout=log, stderr=log
        )
        try:
            page = wait_until_ready(f"http://127.0.0.1:{port}", app, tmp_path / "app.log")
        finally:
            app.send_signal(signal.SIGTERM)
            app.wait(30)
    assert "our company" in page
    assert answer_to("How do I reset my password?", tmp_path) == FAQ[-1][1]


def wait_until_ready(url: str, app: subprocess.Popen[bytes], log: Path, limit_s: float = 300) -> str:
    """Return the chat page, once the bot says that it can answer."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        assert app.poll() is None, log.read_text(encoding="utf-8")
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz", timeout=10).json()["ready"]:
                return httpx.get(url, timeout=30).raise_for_status().text
        time.sleep(0.5)
    raise AssertionError(log.read_text(encoding="utf-8"))


def answer_to(question: str, folder: Path) -> str:
    """Return what the bot of the data folder answers, which is the bot that was served."""
    asked = {"id": "q", "query": question, "relevant": ["faq-5"], "facts": []}
    (folder / "questions.jsonl").write_text(json.dumps(asked), encoding="utf-8")
    line = "python -m chatbot.ask --questions questions.jsonl --data-dir data/mine --json - --answers answers.jsonl"
    done = run(line, folder)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["n"] == 1
    assert report["invented_citations"] == 0
    return str(json.loads((folder / "answers.jsonl").read_text(encoding="utf-8"))["text"])
