"""Who may ask, and what a browser may do with the answer. Floor 5 (viewer; ASGI); the server's event loop.

A page from anywhere can make a browser send requests to 127.0.0.1. So a request that says it comes from
another site is refused; so is, on loopback, one that was sent to a name that is not this machine's (a
foreign name that was made to resolve to it). Bound elsewhere, everything needs the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from firsttoken._asgi_types import App, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
COOKIE: Final = "firsttoken_token"
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_SAME_SITE: Final = frozenset({"same-origin", "none"})


class Guard:
    """Pass on what may pass, and put the security headers on every answer.

    token: that every request needs; None for loopback.
    any_host: whether the server may be called by any name.
    """

    def __init__(self, app: App, *, token: str | None, any_host: bool) -> None:
        self._app = app
        self._token = token
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                known = {name.lower() for name, _ in headers}
                added = [pair for pair in _HEADERS if pair[0] not in known]
                if b"cache-control" not in known:
                    added.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*headers, *added]}
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(guarded, *refusal)
        elif self._token is not None and self._is_sign_in(scope):
            await _answer(guarded, 303, None, [(b"location", b"/"), (b"set-cookie", self._cookie())])
        else:
            await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._any_host and _name_of(host) not in _LOOPBACK_NAMES:
            return 403, "this server is called 127.0.0.1 or localhost"
        origin = headers.get("origin")
        if origin is not None and urlsplit_netloc(origin) != host.lower():
            return 403, "requests from other sites are refused"
        if scope["path"] != "/" and headers.get("sec-fetch-site", "none") not in _SAME_SITE:
            return 403, "requests from other sites are refused"
        if self._token is not None and not self._knows_token(scope, headers):
            return 401, "a token is needed: open /?token=TOKEN, or send it as a bearer token"
        return None

    def _knows_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        given: list[str] = []
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            given.append(credentials.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is not None:
            given.append(cookie.value)
        if scope["path"] == "/":
            given += _tokens_in(scope)
        return any(self._is_token(each) for each in given)

    def _is_sign_in(self, scope: Scope) -> bool:
        return scope["path"] == "/" and any(self._is_token(each) for each in _tokens_in(scope))

    def _is_token(self, given: str) -> bool:
        # In constant time: how long it takes does not tell how much of it was right.
        return hmac.compare_digest(given.encode(), (self._token or "").encode()) and bool(self._token)

    def _cookie(self) -> bytes:
        return f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/".encode()


def urlsplit_netloc(url: str) -> str:
    """Return host and port of an origin; an empty text where it has none, as `null` has."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _tokens_in(scope: Scope) -> Iterable[str]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])


async def _answer(
    send: Send, status: int, error: str | None, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    body = b"" if error is None else msgspec.json.encode({"error": error})
    length = (b"content-length", str(len(body)).encode())
    kind = [(b"content-type", b"application/json")] if body else []
    await send(
        {"type": "http.response.start", "status": status, "headers": [length, *kind, *headers]},
    )
    await send({"type": "http.response.body", "body": body})
