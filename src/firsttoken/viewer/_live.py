"""Streams that have not ended yet, as the debug paths of local apps list them. Floor 5; event loop.

Nothing is asked unless somebody looks. What comes back is anybody's JSON: it is bounded, and read field
by field.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

_EVERY_S: Final = 0.5
_TIMEOUT_S: Final = 2.0
_ANSWER_MAX_BYTES: Final = 4 << 20
_STREAMS_MAX: Final = 1_000
#: A request for the list keeps it fresh for so long.
_LOOKED_AT_S: Final = 5.0


class LiveStream(msgspec.Struct, frozen=True):
    """One stream as a debug path tells it; `source` is its URL."""

    name: str = ""
    trace_id: str | None = None
    span_id: str | None = None
    age_s: float | None = None
    chunks: int = 0
    content_chunks: int = 0
    last_chunk_age_s: float | None = None
    outcome: str | None = None
    source: str = ""


class Source(msgspec.Struct, frozen=True):
    """Whether a debug path answered, and if not, why.

    absent: whether nobody listens there, which is nothing to worry about: apps end, and begin late.
    """

    url: str
    ok: bool
    error: str | None = None
    absent: bool = False


class LiveDocument(msgspec.Struct, frozen=True):
    """What `/api/live` answers."""

    streams: tuple[LiveStream, ...] = ()
    sources: tuple[Source, ...] = ()


class _Answer(msgspec.Struct):
    streams: list[LiveStream]


_DECODER: Final = msgspec.json.Decoder(_Answer)


class Live:
    """Asks the debug paths while somebody looks.

    urls: of the debug paths.
    changed: called when the streams are others than before.
    is_watched: whether somebody waits for changes.
    """

    def __init__(
        self, urls: Sequence[str], *, changed: Callable[[], None], is_watched: Callable[[], bool]
    ) -> None:
        self.document = LiveDocument(
            sources=tuple(Source(url, False, f"{url} was not asked yet") for url in urls)
        )
        self._urls = urls
        self._changed = changed
        self._is_watched = is_watched
        self._asked_s = 0.0
        self._lock = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None
        self._answered: set[str] = set()

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        if not self._urls:
            return
        timeout = httpx.Timeout(_TIMEOUT_S)
        async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False) as client:
            self._client = client
            while True:
                if self._is_watched():
                    await self.refresh()
                await asyncio.sleep(_EVERY_S)

    async def refresh(self) -> LiveDocument:
        """Ask all debug paths, unless that was done just now; return what they said."""
        async with self._lock:
            if self._client is not None and time.monotonic() - self._asked_s > _EVERY_S / 2:
                answers = await asyncio.gather(*(self._ask(self._client, url) for url in self._urls))
                before = self.document
                self.document = LiveDocument(
                    streams=tuple(stream for streams, _ in answers for stream in streams),
                    sources=tuple(source for _, source in answers),
                )
                self._asked_s = time.monotonic()
                # While a stream runs its ages change, and so does what the page shows.
                if before.streams or before != self.document:
                    self._changed()
        return self.document

    async def _ask(self, client: httpx.AsyncClient, url: str) -> tuple[list[LiveStream], Source]:
        try:
            body = bytearray()
            async with client.stream("GET", url) as response:
                if response.status_code != 200:
                    return [], Source(url, False, f"{url} answers {response.status_code}")
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _ANSWER_MAX_BYTES:
                        return [], Source(url, False, f"{url} answers more than a list of streams")
            streams = _DECODER.decode(bytes(body)).streams[:_STREAMS_MAX]
        except msgspec.DecodeError:
            return [], Source(url, False, f"{url} does not answer with a list of streams")
        except httpx.ConnectError:
            host = urlsplit(url).netloc.rpartition("@")[2]
            said = f"the app at {host} has ended" if url in self._answered else f"no app listens at {host}"
            return [], Source(url, False, said, absent=True)
        except Exception as error:
            # Not only httpx's own: an app that goes while we connect is an AttributeError of anyio's.
            return [], Source(url, False, f"{url} does not answer: {type(error).__name__}")
        self._answered.add(url)
        return [msgspec.structs.replace(stream, source=url) for stream in streams], Source(url, True)
