"""Mounts the Gradio pages on the web application, with every door of Gradio closed that they do not need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from chatbot.ui.style import css, head, theme

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

    from chatbot.config import Settings
    from chatbot.curation import Curation
    from chatbot.store import Store
    from chatbot.web.app import Bot
    from chatbot.web.cookies import Operators, Visitors
    from chatbot.web.limits import Limits, Turns

SPARE_THREADS = 16


def mount(
    app: FastAPI,
    bot: Bot,
    store: Store,
    settings: Settings,
    visitors: Visitors,
    operators: Operators,
    limits: Limits,
    turns: Turns,
    curation: Curation,
) -> None:
    """Mount the operators' pages at `/admin` and `/admin/knowledge`, and the chat at `/`."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    import gradio
    from fastapi.responses import RedirectResponse

    from chatbot.ui.chat import ChatPage
    from chatbot.ui.knowledge import KnowledgePage
    from chatbot.ui.operators import operator_page

    closed: dict[str, Any] = {
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "max_file_size": "1kb",
        "enable_monitoring": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "theme": theme(),
        "css": css(),
        "head": head(),
    }

    def signed_in(request: Request) -> str | None:
        return operators.identify(request.cookies)

    @app.get("/admin/knowledge")
    def with_slash() -> RedirectResponse:
        return RedirectResponse("/admin/knowledge/")

    knowledge = KnowledgePage(curation, settings, operators).build()
    knowledge.queue(api_open=False, max_size=16)  # mounted first: the path of the next begins alike
    gradio.mount_gradio_app(app, knowledge, path="/admin/knowledge", auth_dependency=signed_in, **closed)

    desk = operator_page(store, settings)
    desk.queue(api_open=False, max_size=16)
    gradio.mount_gradio_app(app, desk, path="/admin", auth_dependency=signed_in, **closed)

    chat = ChatPage(bot, store, settings, visitors, limits, turns).build()
    # Turns that wait must leave threads for stops, thumbs and page loads, and for the routes beside Gradio.
    chat.max_threads = settings.limits.waiting_turns + SPARE_THREADS
    chat.queue(api_open=False, max_size=4 * chat.max_threads)
    gradio.mount_gradio_app(app, chat, path="/", **closed)
