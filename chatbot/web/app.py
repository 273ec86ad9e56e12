"""The web application: our routes, the pages mounted beside them, and the doorway before all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from importlib.resources import files
from threading import Event
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from chatbot.errors import RateError
from chatbot.types import Reply, TurnRequest
from chatbot.web import pages
from chatbot.web.cookies import Operators, Visitors
from chatbot.web.doorway import Doorway, address_of
from chatbot.web.limits import Limits, Turns

if TYPE_CHECKING:
    from chatbot.bot import Parts
    from chatbot.config import Settings
    from chatbot.store import Store
    from knowledge_base.entry import Entry

PATHS = ("/healthz", "/embed.js", "/sources/", "/sign-in", "/sign-out")


class Bot(Protocol):
    """What the pages need of a bot."""

    @property
    def ready(self) -> bool:
        """Whether the models are loaded."""

    @property
    def failed(self) -> bool:
        """Whether the models could not be loaded; the log says why."""

    @property
    def loading(self) -> str:
        """What is being loaded, in words."""

    def reply(self, request: TurnRequest, cancelled: Event) -> Iterator[Reply]:
        """Answer a message with a growing reply."""


def build_app(
    bot: Bot,
    store: Store,
    settings: Settings,
    entries: Callable[[], Mapping[str, Entry]],
    secret: str,
    parts: Callable[[], Parts | None] = lambda: None,
) -> FastAPI:
    """Return the application with the chat at `/` and the operators at `/admin` and `/admin/knowledge`.

    Args:
        bot: Answers messages; it may still be loading.
        store: Holds conversations and users.
        settings: The company's settings.
        entries: Gives the present knowledge entries by id; an empty mapping while they are loaded.
        secret: The key that cookies are signed with, from the data folder.
        parts: Gives what the bot answers with, for those who keep the knowledge; None while it is loaded.
    """
    from chatbot.curation import Curation
    from chatbot.ui import mount

    limits = Limits(
        settings.limits.message_characters, settings.limits.messages_per_minute, settings.limits.waiting_turns
    )
    turns = Turns()
    visitors = Visitors(secret, framed=bool(settings.allowed_origins))
    operators = Operators(secret, store.users)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        turns.stop_all()

    doorway = Middleware(
        Doorway,
        paths=PATHS,
        visitors=visitors,
        operators=operators,
        limits=limits,
        turns=turns,
        allowed_origins=list(settings.allowed_origins),
    )
    # Gradio answers other origins with their own name unless the application around it has a policy: ours is "none".
    closed = Middleware(CORSMiddleware, allow_origins=[])
    app = FastAPI(
        title=settings.company,
        lifespan=lifespan,
        middleware=[doorway, closed],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    _add_public_routes(app, bot, settings, entries)
    _add_sign_in(app, store, settings, operators, limits)
    mount(app, bot, store, settings, visitors, operators, limits, turns, Curation(parts, store))
    return app


def _add_public_routes(app: FastAPI, bot: Bot, settings: Settings, entries: Callable[[], Mapping[str, Entry]]) -> None:
    script = files("chatbot.web").joinpath("embed.js").read_text(encoding="utf-8")

    @app.get("/healthz")
    def healthz() -> JSONResponse:
        loading = "" if bot.ready or bot.failed else bot.loading
        return JSONResponse({"ready": bot.ready, "loading": loading, "failed": bot.failed})

    @app.get("/embed.js")
    def embed() -> Response:
        headers = {"Cross-Origin-Resource-Policy": "cross-origin", "Cache-Control": "public, max-age=3600"}
        return Response(script, media_type="text/javascript", headers=headers)

    @app.get("/sources/{entry_id:path}")
    def source(entry_id: str) -> HTMLResponse:
        entry = entries().get(entry_id)
        headers = {"Content-Security-Policy": pages.POLICY}
        if entry is None or entry.visibility != "public" or not entry.is_valid_on(date.today()):
            return HTMLResponse(pages.missing_source(settings.company), status_code=404, headers=headers)
        return HTMLResponse(pages.source(entry, settings.company), headers=headers)


def _add_sign_in(app: FastAPI, store: Store, settings: Settings, operators: Operators, limits: Limits) -> None:
    headers = {"Content-Security-Policy": pages.POLICY}

    @app.get("/sign-in")
    def form() -> HTMLResponse:
        return HTMLResponse(pages.sign_in(settings.company), headers=headers)

    @app.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        fields = _form(await request.body())
        name, password = fields.get("name", "")[:200], fields.get("password", "")[:1000]
        try:
            limits.admit_sign_in(name, address_of(request.scope))
        except RateError as error:
            page = pages.sign_in(settings.company, name, str(error))
            wait = {"Retry-After": f"{error.retry_after_seconds:.0f}"}
            return HTMLResponse(page, status_code=429, headers=headers | wait)
        user = await run_in_threadpool(store.verify_user, name, password)
        if user is None:
            page = pages.sign_in(settings.company, name, "The name or the password is wrong.")
            return HTMLResponse(page, status_code=401, headers=headers)
        answer = RedirectResponse("/admin/", status_code=303)
        answer.headers.append("Set-Cookie", operators.header(user, request.scope))
        return answer

    @app.post("/sign-out")
    def sign_out(request: Request) -> Response:
        answer = RedirectResponse("/sign-in", status_code=303)
        answer.headers.append("Set-Cookie", operators.farewell(request.scope))
        return answer


def _form(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}
