"""Requests to a collector over HTTP. Floor 3 (tell); runs in the export thread's event loop.

httpx is not imported with the package but when a processor is made: then nobody streams yet, and processes
forked later share it. Its transport is used without a client: no redirects to follow, no log line per
request, half the cost.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from firsttoken._version import __version__
from firsttoken.export._answer import BODY_MAX_BYTES, Answer, read_answer
from firsttoken.export._aside import Limit, aside
from firsttoken.export._batch import encode_request
from firsttoken.export._lazily import HTTP, load
from firsttoken.export._otlp_json import to_protobuf
from firsttoken.export._queue import Entry
from firsttoken.export._settings import Settings
from firsttoken.export._statistics import Counts

if TYPE_CHECKING:
    import httpx

USER_AGENT: Final = f"firsttoken/{__version__}"
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
# Fast enough to cost little, and most of what a higher level saves.
_GZIP_LEVEL: Final = 3
_GZIP_FRAME: Final = 31
_KEEPALIVE_S: Final = 60.0
_WRITE_BYTES: Final = 524_288
_PARTS_BETWEEN_BREATHS: Final = 256
_BODY_WAIT_S: Final = 0.25


class HttpDelivery:
    """OTLP over HTTP, protobuf or JSON, on one kept-alive connection.

    breathe: called between pieces of work; may give the GIL away.
    """

    def __init__(self, settings: Settings, counts: Counts, breathe: Callable[[], None]) -> None:
        load(HTTP)
        self._settings = settings
        self._counts = counts
        self._breathe = breathe
        self._speaks_json = True
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._opening: asyncio.Future[httpx.AsyncHTTPTransport] | None = None
        self._url: httpx.URL

    async def send(self, entries: Sequence[Entry]) -> Answer:
        """Encode and post spans once."""
        self._breathe()
        return await self.post(encode_request(entries, self._breathe), PROTOBUF)

    async def resend(self, request: bytes) -> Answer:
        """Post a request that is OTLP JSON already; as protobuf, if the server refuses JSON."""
        if self._speaks_json:
            answer = await self.post([request], JSON)
            if answer.verdict != "refused":
                return answer
        try:
            body = to_protobuf(request)
        except ValueError:
            return Answer("unreadable", "unreadable")
        answer = await self.post([body], PROTOBUF)
        if answer.verdict == "accepted":
            self._speaks_json = False
        return answer

    async def post(self, body: Sequence[bytes | bytearray], content_type: str) -> Answer:
        """Post one request.

        A kept-alive connection may have been closed by the server meanwhile; it is replaced once, at once.
        """
        import httpx

        if self._transport is None:
            self._transport = await self._open()
            self._url = httpx.URL(self._settings.endpoint)
        pieces = list(_pieces(body, self._settings.compression, self._breathe))
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        answer = Answer("retry", "connection")
        for _ in range(2):
            self._counts.bytes_sent += sum(map(len, body))
            self._breathe()
            request = self._request(pieces, content_type)
            self._breathe()
            try:
                return await self._attempt(request, deadline)
            except asyncio.TimeoutError:
                return Answer("retry", "timeout")
            except httpx.LocalProtocolError:
                return Answer("refused", "invalid_request")
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                continue
            except httpx.TransportError as error:
                return Answer("retry", _cause(error))
        return answer

    async def aclose(self) -> None:
        """Close the connection."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await opening
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def _open(self) -> httpx.AsyncHTTPTransport:
        # Reading all the certificates of an authority takes longer than a deadline may be late. Whoever
        # gives up leaves it to the next one to wait for: they are read once.
        if self._opening is None:
            self._opening = asyncio.ensure_future(
                aside("firsttoken-tls", lambda: _transport(self._settings))
            )
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        finally:
            if opening.done():
                self._opening = None

    def _request(self, pieces: list[bytes], content_type: str) -> httpx.Request:
        import httpx

        headers = {
            "user-agent": USER_AGENT,
            **self._settings.headers,
            "content-type": content_type,
            "content-length": str(sum(map(len, pieces))),
        }
        if self._settings.compression == "gzip":
            headers["content-encoding"] = "gzip"
        return httpx.Request(
            "POST",
            self._url,
            headers=httpx.Headers(headers, encoding="latin-1"),
            content=self._paced(pieces),
        )

    async def _paced(self, pieces: list[bytes]) -> AsyncIterator[bytes]:
        for piece in pieces:
            self._breathe()
            yield piece

    async def _attempt(self, request: httpx.Request, deadline: float) -> Answer:
        import httpx

        assert self._transport is not None
        loop = asyncio.get_running_loop()
        async with Limit(deadline - loop.time()):
            response = await self._transport.handle_async_request(request)
        try:
            # The status is the answer. A body that never ends must not turn a yes into a second copy,
            # nor must a deadline that comes while we read it.
            async with Limit(min(_BODY_WAIT_S, deadline - loop.time())):
                body = await _beginning(response)
        except (asyncio.TimeoutError, asyncio.CancelledError, httpx.TransportError):
            body = None
        finally:
            await response.aclose()
        return read_answer(response.status_code, response.headers, body, time())


def _pieces(
    body: Sequence[bytes | bytearray], compression: str, breathe: Callable[[], None]
) -> Iterator[bytes]:
    """Yield a body in pieces of about `_WRITE_BYTES`, compressed if it is to be."""
    gzip = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_FRAME) if compression == "gzip" else None
    group: list[bytes | bytearray | memoryview] = []
    size = 0
    for index, part in enumerate(_cut(body)):
        group.append(part)
        size += len(part)
        if size >= _WRITE_BYTES:
            joined = b"".join(group)
            yield gzip.compress(joined) if gzip is not None else joined
            group, size = [], 0
            breathe()
        elif not index % _PARTS_BETWEEN_BREATHS:
            breathe()
    rest = b"".join(group)
    yield gzip.compress(rest) + gzip.flush() if gzip is not None else rest


def _cut(body: Iterable[bytes | bytearray]) -> Iterator[bytes | bytearray | memoryview]:
    """Yield the parts, large ones in several."""
    for part in body:
        if len(part) <= _WRITE_BYTES:
            yield part
        else:
            for begin in range(0, len(part), _WRITE_BYTES):
                yield memoryview(part)[begin : begin + _WRITE_BYTES]


async def _beginning(response: httpx.Response) -> bytes | None:
    """Read a response's body; None if it is longer than an answer ever is."""
    body = b""
    async for part in response.stream:  # type: ignore[union-attr]
        body += part
        if len(body) > BODY_MAX_BYTES:
            return None
    return body


def _cause(error: BaseException | None) -> str:
    """Name a transport error by what lies under it."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return "tls"
        if isinstance(error, socket.gaierror):
            return "dns"
        error = error.__cause__ or error.__context__
    return "connection"


def _transport(settings: Settings) -> httpx.AsyncHTTPTransport:
    import httpx

    url = urlsplit(settings.endpoint)
    verify: ssl.SSLContext | bool = False
    if url.scheme == "https":
        verify = ssl.create_default_context(cafile=settings.certificate) if settings.certificate else True
        if settings.client_certificate is not None:
            verify = verify if isinstance(verify, ssl.SSLContext) else ssl.create_default_context()
            verify.load_cert_chain(settings.client_certificate, settings.client_key)
    proxies = getproxies()
    proxy = None
    if not proxy_bypass(url.hostname or ""):
        proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        # As curl and urllib take it.
        proxy = f"http://{proxy}"
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE_S)
    return httpx.AsyncHTTPTransport(verify=verify, limits=limits, proxy=proxy)
