"""A bot without a model, for tests of what stands around one, and a server process that runs it.

Its replies follow from the message's words: "slow" streams slowly, "price" cites an entry, "ask" offers readings,
"unknown" declines, "break" fails, "markup" replies with hostile Markdown; anything else is repeated.

    python tests/fake_bot.py --data-dir DIR --port PORT [--loading-until FILE] [--allowed-origin ORIGIN] [--knowledge HOME]

With a knowledge home the real bot answers from it instead, with the encoder of words that other tests use.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chatbot.config import Settings
from chatbot.errors import BusyError
from chatbot.store import Store
from chatbot.types import Citation, Decision, Option, Reply, TurnRequest, Understanding
from knowledge_base.entry import Entry

if TYPE_CHECKING:
    from fastapi import FastAPI

SECRET = "not a secret, this is a test"
PRICE = Entry(
    id="faq-price",
    question="What does delivery cost?",
    answer="Standard delivery costs **4.90 euro**. From 50 euro on it is free.",
    category="Delivery",
    url="https://shop.example/delivery",
    updated_at="2026-10-01",
)
HIDDEN = Entry(id="faq-hidden", question="What do we pay?", answer="A trade secret.", visibility="internal")
LATER = Entry(id="faq-later", question="What is on sale?", answer="A secret as yet.", valid_from="2999-01-01")
ENTRIES = {entry.id: entry for entry in (PRICE, HIDDEN, LATER)}
HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> ![leak](https://evil.example/p.png) "
    "[click](javascript:window.hacked=3) <details open ontoggle='window.hacked = 4'>x</details>"
)
SETTINGS = Settings(
    company="Juniper & Tide",
    greeting="Hello! Ask me about orders, delivery, returns and your account.",
    contact="Write to help@shop.example or call +49 30 901820, Monday to Friday.",
    hours="Open Monday to Friday, 9:00 to 17:00",
    starters=["What is the price of delivery?", "How do I send something back?", "Where is my order?"],
)


class FakeBot:
    """Keeps its turns in a real store, as the real bot does."""

    def __init__(self, store: Store, loading_until: Path | None = None, pause: float = 0.02) -> None:
        self._store, self.pause = store, pause
        self._loading_until = loading_until
        self.requests: list[TurnRequest] = []
        self.loading = "the demo model, 40 % done"
        self.failed = False

    @property
    def ready(self) -> bool:
        return self._loading_until is None or self._loading_until.exists()

    def reply(self, request: TurnRequest, cancelled: threading.Event) -> Iterator[Reply]:
        self.requests.append(request)
        message = self._store.add_message(request)
        kept = self._store.reply_to(message.id)
        if kept is not None and not request.retry:
            yield Reply(kept.content, message_id=kept.id, done=True)
            return
        while not self.ready:
            if cancelled.wait(0.05):
                raise BusyError("The assistant is still starting. Please try again in a moment.")
        turn = self._store.begin_turn(message.id)
        final, decision = _answer(message.content)
        shown = ""
        try:
            for word in final.text.split(" "):
                if cancelled.is_set():
                    break
                if word == "BREAK":
                    raise RuntimeError("a part broke")
                shown = f"{shown} {word}".strip()
                self._store.save_partial(turn, shown)
                yield Reply(shown)
                time.sleep(self.pause * (20 if "slow" in message.content else 1))
        finally:
            whole = shown == final.text.strip()
            stored = self._store.finish_turn(
                turn,
                final if whole else Reply(shown),
                decision=decision if whole else None,
                understanding=Understanding(
                    intent={"delivery_cost": 0.71, "track_order": 0.2}, intent_model={"delivery_cost": 0.6}
                ),
                trace={
                    "hits": [{"id": "faq-price", "probability": 0.83, "score": 0.78}],
                    "out_of_scope": 0.04,
                    "support": {"full": 0.9, "part": 0.08, "none": 0.02},
                    "seconds": {"read": 0.21, "find": 0.05, "write": 1.4},
                    "adapter": "demo-adapter 1f0c",
                    "knowledge": "20261122-1f0c9e2a",
                    "calibration": "demo-calibration",
                    "seed": 7,
                },
                status="done" if whole else "interrupted",
            )
        yield Reply(
            stored.content,
            kind=stored.kind,
            reason=stored.reason,
            citations=stored.citations,
            options=stored.options,
            contact=stored.contact,
            message_id=stored.id,
            done=True,
        )


def _answer(content: str) -> tuple[Reply, Decision]:
    if "price" in content:
        text = "[1] Standard delivery costs **4.90 euro**. [1] From 50 euro on it is free."
        citation = Citation(1, PRICE.id, PRICE.question, PRICE.answer, PRICE.url)
        return Reply(text, citations=(citation,)), Decision("grounded", "evidence_supports", (PRICE.id,), 0.83)
    if "ask" in content:
        options = (Option("Delivery costs", "What is the price of delivery?"), Option("My order", "Where is my order?"))
        return Reply("Do you mean one of these?", options=options), Decision("ask", "unclear", (), 0.41)
    if "unknown" in content:
        text = "I have nothing on that."
        return Reply(text, contact=SETTINGS.contact), Decision("decline", "nothing_fits", (), 0.12)
    if "break" in content:
        return Reply("This begins well BREAK and ends badly."), Decision("chat", "small_talk")
    if "markup" in content:
        return Reply(HOSTILE), Decision("chat", "small_talk")
    if "slow" in content:
        return Reply(" ".join(f"word{number}" for number in range(60))), Decision("chat", "small_talk", (), 0.9)
    return Reply(f"You said: {content}"), Decision("chat", "small_talk", (), 0.93)


def real_app(store: Store, settings: Settings, home: Path) -> FastAPI:
    """The application with the real bot without a model, which answers from a knowledge home of the word encoder."""
    from conftest import WordEncoder

    from chatbot.bot import Bot, Parts
    from chatbot.web.app import build_app
    from knowledge_base.search import KnowledgeBase

    bot = Bot(store, settings)
    bot.furnish(lambda _tell: Parts(KnowledgeBase.open(home, WordEncoder())))
    return build_app(bot, store, settings, lambda: bot.entries, SECRET, lambda: bot.parts)


def main() -> None:
    import uvicorn

    from chatbot.web.app import build_app

    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loading-until", type=Path, help="a file; the bot is ready once it exists")
    parser.add_argument("--pause", type=float, default=0.02)
    parser.add_argument("--knowledge", type=Path, help="a knowledge home, from which the real bot answers")
    parser.add_argument("--allowed-origin", action="append", default=[])
    args = parser.parse_args()
    store = Store.open(args.data_dir / "frontdesk.db")
    store.recover()
    settings = SETTINGS.model_copy(update={"allowed_origins": args.allowed_origin})
    bot = FakeBot(store, args.loading_until, args.pause)
    app = build_app(bot, store, settings, lambda: ENTRIES, SECRET)
    if args.knowledge:
        app = real_app(store, settings, args.knowledge)
    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning", timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main()
