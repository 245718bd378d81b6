"""The body of an HTTP response, recorded as it is read. Floor 4 (wrap); the user's thread.

Neither httpx nor httpx2 is imported: a body is a proxy of whatever body the transport gave.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

from firsttoken import semconv
from firsttoken._clock import monotonic_ns
from firsttoken._guard import guarded
from firsttoken._record.record import Detail, Ending, StreamRecord
from firsttoken._wrap.live import LiveStream
from firsttoken._wrap.proxy import AsyncTracedStream, StartSpan, SyncTracedStream
from firsttoken.decoders import Decoder
from firsttoken.decoders.framing import STREAMING_TYPES, media_type_of

#: Where a response says which of our streams tells it: `response.extensions[MARK]`.
MARK: Final = "firsttoken"


class AsyncBody(AsyncTracedStream):
    """An async response body. Closing it ends the record, whether or not it was read."""

    async def aclose(self) -> None:
        """Close the body, and with it the response."""
        try:
            await self._self_close_generator()
        finally:
            self._self_live.record.end(GeneratorExit())
            await self.__wrapped__.aclose()


class SyncBody(SyncTracedStream):
    """A response body. Closing it ends the record, whether or not it was read.

    The generator is left alone: another thread may be reading.
    """

    def close(self) -> None:
        """Close the body, and with it the response."""
        self._self_live.record.end(GeneratorExit())
        self.__wrapped__.close()


Body = type[AsyncBody] | type[SyncBody]


def record_response(response: Any, url: Any, live: LiveStream, start_span: StartSpan, body: Body) -> None:
    """Record the body of a response as it is read; one that is none, or at hand, is told at once.

    A call that was refused or redirected brought no answer; what a redirect leads to is a call of its own.

    response, url: httpx or httpx2 ones; the caller has not begun to read the body.
    body: the kind the caller reads, async or not.
    """
    record = live.record
    with guarded("record a response"):
        response.extensions[MARK] = live
        _read_head(response, url, live)
        if response.status_code >= 300:
            _refused(record, str(response.status_code))
        elif response.is_stream_consumed:
            record.arrived(response.content)
            record.end(None)
        elif record.detail is not Detail.NOTHING:
            response.stream = body(response.stream, live, start_span)


def is_streaming(response: Any) -> bool:
    """Whether the content type of a response is one that is sent piece by piece."""
    return media_type_of(response.headers.get("content-type")) in STREAMING_TYPES


def stream_telling(source: Any) -> LiveStream | None:
    """Return the stream of ours that tells the response below `source` already; None if there is none.

    source: an SDK's stream or raw response, or a response itself.
    """
    for name in ("response", "http_response", None):
        try:
            response = source if name is None else getattr(source, name)
            live = response.extensions[MARK]
        except Exception:  # attributes of other people's objects may do anything
            continue
        if isinstance(live, LiveStream):
            return live
    return None


def host_of(url: Any) -> str:
    """Return the host of a URL, with its port where it is not the scheme's own."""
    host: str = url.host
    return host if url.port is None else f"{host}:{url.port}"


def _read_head(response: Any, url: Any, live: LiveStream) -> None:
    """Take from status and headers what the span tells and what the decoder needs."""
    live.learn({semconv.HTTP_STATUS_CODE: response.status_code})
    if is_streaming(response):
        # The answer is one, whatever the request seemed to ask for.
        live.learned[semconv.REQUEST_STREAM] = True
    decoder = partial(
        cast("Callable[..., Decoder]", live.request.decoder),
        content_type=response.headers.get("content-type"),
        content_encoding=response.headers.get("content-encoding"),
        host=host_of(url),
    )
    live.request = replace(live.request, decoder=decoder)


def _refused(record: StreamRecord, status: str) -> None:
    """Note that the call failed with an HTTP status; what its body says is the caller's."""
    if record.ending is None:
        record.ended_ns = monotonic_ns()
        record.error_type = status
        record.ending = Ending.RAISED
