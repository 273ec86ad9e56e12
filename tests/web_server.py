"""The web application on a real port, and a browser page as its protocol sees it, for tests without a browser.

For tests with a browser it is a process of its own:

    python tests/web_server.py --data-dir DIR --port PORT [--loading-until FILE] [--allowed-origin ORIGIN]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from demo_shop import SECRET, SETTINGS, demo_parts
from scripted_model import ScriptedEngine

from chatbot.bot import Bot, Parts
from chatbot.config import Settings
from chatbot.store import Store
from chatbot.web import app

LOADING = "the demo model, 40 % done"
PROCESS_PAUSE = 0.04  # seconds before each token; a browser takes longer to look at them than a test does


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Served:
    """A running application with what stands behind it."""

    url: str
    store: Store
    parts: Parts
    engine: ScriptedEngine

    def browser(self, **options: Any) -> httpx.Client:
        """Return a client that keeps cookies, as a browser with a fresh profile."""
        return httpx.Client(base_url=self.url, timeout=30, **options)


@contextmanager
def served(
    folder: Path, settings: Settings = SETTINGS, *, loaded: threading.Event | None = None, bot: app.Bot | None = None
) -> Iterator[Served]:
    """Serve the demo shop; its bot waits for `loaded` if given. Another `bot` answers in its place."""
    store = Store.open(folder / "frontdesk.db")
    parts, engine = demo_parts(folder, pause=0.005)
    own = Bot(store, settings)
    load = threading.Thread(target=_furnish, args=(own, parts, loaded.wait if loaded else lambda: None))
    load.start()
    if not loaded:
        load.join()
    port, servers = free_port(), []

    async def serve() -> None:
        # Gradio makes event loops of its own, and forgets them, where none runs.
        built = app.build_app(bot or own, store, settings, lambda: own.entries, SECRET, lambda: own.parts)
        config = uvicorn.Config(built, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
        servers.append(uvicorn.Server(config))
        await servers[0].serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        while not (servers and servers[0].started):
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.02)
        yield Served(f"http://127.0.0.1:{port}", store, parts, engine)
    finally:
        if loaded:
            loaded.set()
        load.join()
        servers[0].should_exit = True
        thread.join(20)
        store.close()


def _furnish(bot: Bot, parts: Parts, wait: Callable[[], object]) -> None:
    def load(tell: Callable[[str], None]) -> Parts:
        tell(LOADING)
        wait()
        return parts

    bot.furnish(load)


class Page:
    """An open page of a browser: sends events and reads what they return, as Gradio's own page does."""

    def __init__(self, browser: httpx.Client, root: str = "") -> None:
        self.browser, self._root, self.session = browser, root, secrets.token_hex(6)
        html = browser.get(f"{root}/").text
        self.config = json.JSONDecoder().raw_decode(html.split("window.gradio_config = ", 1)[1])[0]

    def events(self, handler: str, *data: Any, event: object = None) -> Iterator[list[Any]]:
        """Call a handler by its name; yields the outputs of each step."""
        place = next(d for d in self.config["dependencies"] if d["api_name"] == handler)
        # Hidden state stands in the inputs as None: the server puts its own value there.
        body = {"data": list(data), "fn_index": place["id"], "session_hash": self.session, "event_data": event}
        content, kind = (
            json.dumps(body),
            {"Content-Type": "application/json"},
        )  # a half character as a browser escapes it
        joined = self.browser.post(f"{self._root}/gradio_api/queue/join", content=content, headers=kind)
        joined.raise_for_status()
        event_id = joined.json()["event_id"]
        shown: list[Any] = []
        for message in self._stream():
            if message.get("event_id") != event_id:
                continue
            if message["msg"] == "process_generating" and message["success"]:
                shown = _patched(shown, message["output"]["data"])
                yield shown
            if message["msg"] == "process_completed":
                assert message["success"], message
                if message["output"].get("data") and not shown:
                    yield message["output"]["data"]
                return

    def call(self, handler: str, *data: Any, event: object = None) -> list[Any]:
        """Call a handler and return its last outputs."""
        return list(self.events(handler, *data, event=event))[-1]

    def say(self, content: str, conversation_id: str = "", ticket: str = "") -> tuple[str, list[Any]]:
        """Send a message, wait for the whole reply, and return the conversation's id with the last outputs."""
        steps = list(self.events("send", content, conversation_id, ticket))
        return steps[0][2], steps[-1]

    def _stream(self) -> Iterator[dict[str, Any]]:
        with self.browser.stream(
            "GET", f"{self._root}/gradio_api/queue/data", params={"session_hash": self.session}
        ) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])


def _patched(before: list[Any], data: list[Any]) -> list[Any]:
    """Apply the differences that Gradio sends from the second step of a generator on."""
    if not before:
        return data
    return [_apply(old, new) for old, new in zip(before, data, strict=True)]


def _apply(old: Any, edits: Any) -> Any:
    value = json.loads(json.dumps(old))
    for action, path, change in edits:
        if not path:
            value = value + change if action == "append" else change
            continue
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        if action == "delete":
            del holder[path[-1]]
        elif action == "append":
            holder[path[-1]] += change
        elif action == "add" and isinstance(holder, list):
            holder.insert(path[-1], change)
        else:
            holder[path[-1]] = change
    return value


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loading-until", type=Path, help="a file; the bot is ready once it exists")
    parser.add_argument("--allowed-origin", action="append", default=[])
    args = parser.parse_args()
    store = Store.open(args.data_dir / "frontdesk.db")
    store.recover()
    settings = SETTINGS.model_copy(update={"allowed_origins": args.allowed_origin})
    parts, _engine = demo_parts(args.data_dir, PROCESS_PAUSE)
    bot = Bot(store, settings)

    def wait() -> None:
        while args.loading_until and not args.loading_until.exists():
            time.sleep(0.05)

    threading.Thread(target=lambda: _furnish(bot, parts, wait), daemon=True).start()
    built = app.build_app(bot, store, settings, lambda: bot.entries, SECRET, lambda: bot.parts)
    uvicorn.run(built, host="127.0.0.1", port=args.port, log_level="warning", timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main()
