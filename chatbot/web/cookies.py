"""The signed cookies: which visitor a browser is, and which operator has signed in.

A browser can lose or withhold its cookies, never make one up. On a site of `allowed_origins` the chat stands in a
frame of another site, where browsers keep a cookie only when it says `SameSite=None; Secure; Partitioned`; they
accept that over https, and over plain http from `localhost` and loopback addresses alone.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, Signer, URLSafeTimedSerializer
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

if TYPE_CHECKING:
    from chatbot.store import User

VISITOR_COOKIE = "frontdesk_visitor"
OPERATOR_COOKIE = "frontdesk_operator"
VISITOR_SECONDS = 180 * 24 * 3600
OPERATOR_SECONDS = 8 * 3600

_VISITOR_ID = re.compile(r"[0-9a-f]{32}")


def of_headers(headers: Headers) -> dict[str, str]:
    """Return the cookies that a request brought, whatever other sites of the host put beside ours."""
    return cookie_parser(headers.get("cookie", ""))


def is_secure(scope: Scope) -> bool:
    """Say whether browsers regard this request as secure: https, or this very machine."""
    if scope.get("scheme") == "https":
        return True
    host = Headers(scope=scope).get("host", "").rsplit("@")[-1]
    name = host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Visitors:
    """Makes and reads the visitor cookie. `framed` says that other sites may show the chat in a frame."""

    secret: str
    framed: bool = False

    def identify(self, cookies: Mapping[str, str]) -> str | None:
        """Return the visitor id that the cookies prove, None without a valid cookie."""
        try:
            visitor_id = self._signer().unsign(cookies.get(VISITOR_COOKIE, "")).decode()
        except (BadSignature, UnicodeDecodeError):
            return None
        return visitor_id if _VISITOR_ID.fullmatch(visitor_id) else None

    def header(self, visitor_id: str | None, scope: Scope) -> str:
        """Return the value of a Set-Cookie header for a known visitor, or for a new one."""
        value = self._signer().sign(visitor_id or secrets.token_hex(16)).decode()
        cookie = f"{VISITOR_COOKIE}={value}; Path=/; Max-Age={VISITOR_SECONDS}; HttpOnly"
        if self.framed and is_secure(scope):
            return f"{cookie}; SameSite=None; Secure; Partitioned"
        return f"{cookie}; SameSite=Lax" + ("; Secure" if scope.get("scheme") == "https" else "")

    def _signer(self) -> Signer:
        return Signer(self.secret, salt="frontdesk.visitor", digest_method=_sha256)


@dataclass(frozen=True, slots=True)
class Operators:
    """Makes and reads the cookie of a signed-in operator; `users` gives those who may sign in now."""

    secret: str
    users: Callable[[], Sequence[User]]

    def identify(self, cookies: Mapping[str, str]) -> str | None:
        """Return the name that the cookies prove, None without a valid cookie or after it has expired.

        Who was removed, or removed and added anew with another password, has to sign in again.
        """
        try:
            signed_in = self._serializer().loads(cookies.get(OPERATOR_COOKIE, ""), max_age=OPERATOR_SECONDS)
        except BadSignature:
            return None
        return next((user.name for user in self.users() if user.role == "operator" and _named(user) == signed_in), None)

    def header(self, user: User, scope: Scope) -> str:
        """Return the value of a Set-Cookie header that signs a user in."""
        return self._cookie(self._serializer().dumps(_named(user)), OPERATOR_SECONDS, scope)

    def farewell(self, scope: Scope) -> str:
        """Return the value of a Set-Cookie header that signs out."""
        return self._cookie("", 0, scope)

    def _cookie(self, value: str, seconds: int, scope: Scope) -> str:
        cookie = f"{OPERATOR_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax"
        return cookie + ("; Secure" if scope.get("scheme") == "https" else "")

    def _serializer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.secret, salt="frontdesk.operator", signer_kwargs={"digest_method": _sha256})


def _named(user: User) -> list[str]:
    return [user.name, user.created_at.isoformat()]


def _sha256(data: bytes = b"") -> object:
    import hashlib

    return hashlib.sha256(data)
