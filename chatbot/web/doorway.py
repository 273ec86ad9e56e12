"""What every request passes before a page sees it: address, size, origin, rate, cookie; and the headers of answers.

One plain ASGI middleware, so that streamed answers pass through as they come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot.errors import RateError
from chatbot.web.cookies import Operators, Visitors, of_headers
from chatbot.web.limits import Limits, Turns

BODY_BYTES = 64 * 1024
DESKS = ("/admin", "/admin/knowledge")  # pages of people who have signed in

# What Gradio serves and these pages use. Its other routes (uploads, files, proxies, run histories, monitoring, ...) are
# closed by not being named.
_GRADIO = re.compile(
    r"(?:/admin(?:/knowledge)?)?(?:/|/config/?|/theme\.css|/favicon\.ico|/assets/.*|/static/.*"
    r"|/gradio_api/(?:queue/join|queue/data|heartbeat/[^/]+|startup-events|app_id|login_check|cancel|reset|theme\.css)/?)"
)
_SESSION = re.compile(r"/gradio_api/(?:queue/data|heartbeat/(?P<session>[^/]+))/?$")


class Doorway:
    """Lets a request in, or answers it with a refusal.

    Args:
        app: The application behind.
        paths: Paths of our own routes; a path that ends in `/` stands for all below it.
        visitors, operators: The readers of the cookies.
        limits, turns: The counters.
        allowed_origins: Origins that may show the chat in a frame.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: Sequence[str],
        visitors: Visitors,
        operators: Operators,
        limits: Limits,
        turns: Turns,
        allowed_origins: Sequence[str],
    ) -> None:
        self._app = app
        self._paths = tuple(paths)
        self._visitors, self._operators = visitors, operators
        self._limits, self._turns = limits, turns
        self._frames = " ".join(["'self'", *allowed_origins])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no page uses WebSockets
            await send({"type": "websocket.close", "code": 1008})
            return
        cookies = of_headers(Headers(scope=scope))
        visitor_id = self._visitors.identify(cookies)
        # Seeing the page is what makes a browser a visitor: later requests of a page only show the cookie.
        issue = self._visitors.header(visitor_id, scope) if _is_page(scope) and scope["path"] == "/" else None
        send = self._dress(scope, send, issue)
        refusal = self._refusal(scope, visitor_id)
        if refusal is None and _is_desk(scope["path"]):
            refusal = _desk_refusal(scope, await run_in_threadpool(self._operators.identify, cookies))
        if refusal is not None:
            await refusal(send)
            return
        await _Bounded(self._app, BODY_BYTES)(scope, receive, send)

    def _refusal(self, scope: Scope, visitor_id: str | None) -> _Refusal | None:
        path, headers = scope["path"], Headers(scope=scope)
        if not (_GRADIO.fullmatch(path) or path in DESKS or _is_below(path, self._paths)):
            return _Refusal(404, "There is nothing here.")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return _Refusal(405, "This method is not allowed here.")
        if scope["method"] == "POST":
            if not _same_origin(headers):
                return _Refusal(403, "The request comes from another site.")
            try:
                self._limits.admit_request(address_of(scope))
            except RateError as error:
                return _Refusal(429, str(error), {"Retry-After": f"{error.retry_after_seconds:.0f}"})
        if not _is_desk(path) and not all(self._turns.owns(visitor_id, session) for session in _sessions_of(scope)):
            return _Refusal(403, "This session belongs to another visitor.")
        return None

    def _dress(self, scope: Scope, send: Send, cookie: str | None) -> Send:
        private = _is_desk(scope["path"]) or scope["path"] == "/sign-in"
        policy = content_policy("'none'" if private else self._frames)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", policy)
                headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
                if private:
                    headers["X-Frame-Options"] = "DENY"
                if "/assets/" not in scope["path"] and "/static/" not in scope["path"]:
                    headers.setdefault("Cache-Control", "no-store")
                if cookie is not None:
                    headers.append("Set-Cookie", cookie)
            await send(message)

        return dressed


def _desk_refusal(scope: Scope, operator: str | None) -> _Refusal | None:
    if operator is not None:
        return None
    if _is_page(scope):
        return _Refusal(303, "Sign in first.", {"Location": "/sign-in"})
    return _Refusal(401, "Sign in first.")


def content_policy(frame_ancestors: str) -> str:
    """Return the Content-Security-Policy of the pages; Gradio needs inline scripts and styles, but no evaluation."""
    return (
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
        f"form-action 'self'; worker-src 'self' blob:; frame-ancestors {frame_ancestors}"
    )


def address_of(scope: Scope) -> str:
    """Return the address that a request came from; the server puts a trusted proxy's word there."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


class _Refusal:
    """A short answer in JSON, in the form in which Gradio's page shows an error."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.detail, self.headers = status, detail, headers or {}

    async def __call__(self, send: Send) -> None:
        body = json.dumps({"detail": self.detail}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **self.headers}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


class _Bounded:
    """Reads a request's body up to a limit before the application sees any of it."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await self._body(scope, receive)
        if body is None:
            await _Refusal(413, f"The request is larger than {self._limit // 1024} KB.", {"Connection": "close"})(send)
            return
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return parts.pop() if parts else await receive()

        await self._app(scope, replay, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared) > self._limit:
            return None
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._limit:
                return None
        return bytes(body)


def _is_page(scope: Scope) -> bool:
    return scope["method"] == "GET" and scope["path"] in ("/", *DESKS, *(f"{desk}/" for desk in DESKS))


def _is_desk(path: str) -> bool:
    return path in DESKS or _is_below(path, [f"{desk}/" for desk in DESKS])


def _is_below(path: str, paths: Sequence[str]) -> bool:
    return any(path == known or (known.endswith("/") and path.startswith(known)) for known in paths)


def _same_origin(headers: Headers) -> bool:
    """A browser names the origin of every POST; what names none is no browser, and brings no one's cookies."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    try:
        return bool(urlsplit(origin).netloc) and urlsplit(origin).netloc == headers.get("host")
    except ValueError:  # "http://["
        return False


def _sessions_of(scope: Scope) -> list[str]:
    """Return every session that a request names: which of several the application takes is not ours to guess."""
    match = _SESSION.search(scope["path"])
    if match is None:
        return []
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return [*filter(None, [match["session"]]), *query.get("session_hash", [])]
