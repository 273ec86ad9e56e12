"""Composition root: settings, store and parts become a bot, and the bot a web application.

python app.py [--host --port --data-dir --adapter --knowledge --calibration --base --config]
"""

from __future__ import annotations

import logging
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_base.command import EXIT_DONE, Parser, run, say

if TYPE_CHECKING:
    from chatbot.bot import Bot, Parts
    from chatbot.config import Settings
    from chatbot.store import Store


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the chat at / and the operators' pages at /admin until the process is stopped."""
    given = _parser().parse_args(argv)
    data_dir = Path(given.data_dir)
    from chatbot.config import load_settings
    from chatbot.data_folder import DATABASE_FILE, create, hold, session_secret
    from chatbot.parts import Places, check_parts, find_parts, load_parts

    settings = load_settings(data_dir, file=Path(given.config) if given.config else None)
    places: Places = find_parts(
        data_dir, given.knowledge, given.adapter, given.calibration, given.base or settings.base
    )
    check_parts(places, settings)  # in a second; the models load behind the page
    if not data_dir.exists():
        create(data_dir)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with hold(data_dir):
        say("opening the conversations")
        from chatbot.store import Store

        with Store.open(data_dir / DATABASE_FILE) as store:
            interrupted = store.recover()
            if interrupted:
                say(f"{interrupted} answers were cut off by the last stop; they are marked as interrupted")
            from chatbot.bot import Bot

            bot = Bot(store, settings)

            def parts(tell: Callable[[str], None]) -> Parts:
                def tell_both(what: str) -> None:
                    say(f"loading {what}")
                    tell(what)

                return load_parts(places, settings, tell_both)

            def load() -> None:
                from knowledge_base.errors import FrontdeskError

                try:
                    bot.furnish(parts)
                    say("ready to answer")
                except FrontdeskError as error:
                    say(f"error: {error}")

            _serve(bot, store, settings, session_secret(data_dir), given, load)
    return EXIT_DONE


def _serve(bot: Bot, store: Store, settings: Settings, secret: str, given: Namespace, load: Callable[[], None]) -> None:
    """Build the pages, then load the models behind them while they are served already."""
    import uvicorn

    from chatbot.web.app import build_app

    say("building the pages")
    app = build_app(bot, store, settings, lambda: bot.entries, secret, lambda: bot.parts)
    threading.Thread(target=load, name="load", daemon=True).start()
    host = f"[{given.host}]" if ":" in given.host else given.host
    say(f"open http://{host}:{given.port} (operators: http://{host}:{given.port}/admin)")
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning", timeout_graceful_shutdown=10)


def _parser() -> Parser:
    parser = Parser(prog="python app.py", description="Serve the chat and the operators' pages.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=7860, help="the port to listen on")
    parser.add_argument("--data-dir", default="data", help="the data folder; made when it is absent")
    parser.add_argument("--adapter", default="", help="an adapter folder; else the newest in the data folder")
    parser.add_argument("--knowledge", default="", help="a knowledge home; else the one in the data folder")
    parser.add_argument("--calibration", default="", help="a calibration folder; else the newest in the data folder")
    parser.add_argument("--base", default="", help="another place of the base model's weights")
    parser.add_argument("--config", default="", help="a frontdesk.yaml outside the data folder")
    return parser


if __name__ == "__main__":
    run(main)
