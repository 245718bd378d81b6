"""Streams of provider SDKs: what they have besides chunks. Floor 4 (wrap); the user's thread.

No SDK is imported or known by name; two habits they share are:

- raw and streaming responses (`with_raw_response`, `with_streaming_response`) that hold the HTTP response;
- streams that show their `response`, where a transport of ours may have left its mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firsttoken._guard import guarded
from firsttoken._http import wire as _wire
from firsttoken._wrap.live import LiveStream, Request
from firsttoken._wrap.proxy import StartSpan, TracedStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class ToldAsyncStream(TracedStream):
    """An async stream whose response a transport of ours tells already; iterated as it is."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return aiter(self.__wrapped__)

    def __anext__(self) -> Any:
        return anext(self.__wrapped__)

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(self, *failure: Any) -> Any:
        return await self.__wrapped__.__aexit__(*failure)


class ToldStream(TracedStream):
    """A stream whose response a transport of ours tells already; iterated as it is."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__wrapped__)

    def __next__(self) -> Any:
        return next(self.__wrapped__)

    def __enter__(self) -> Any:
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __exit__(self, *failure: Any) -> Any:
        return self.__wrapped__.__exit__(*failure)


class TracedResponse(TracedStream):
    """A raw or streaming response of an SDK, its body recorded however it comes to be read."""


def told_stream(source: Any, request: Request, start_span: StartSpan) -> Any:
    """Return `source` as traced by the transport below it, or None if no transport of ours is.

    request: what the caller says of the stream; it counts more than what the transport saw.
    """
    live = _wire.stream_telling(source)
    if live is None:
        return None
    with guarded("take over a transport's stream"):
        live.learned.update(request.start_attributes)
        if request.name is not None or request.model is not None:
            start_span(live).update_name(request.span_name)
    told = ToldAsyncStream if hasattr(source, "__aiter__") else ToldStream
    return told(source, live, start_span)


def holds_response(source: Any) -> bool:
    """Whether `source` is an SDK's raw or streaming response."""
    response = getattr(source, "http_response", None)
    return hasattr(response, "extensions") and hasattr(response, "stream")


def traced_response(source: Any, live: LiveStream, start_span: StartSpan) -> Any:
    """Return the proxy of an SDK's raw or streaming response, whose body is recorded from now on."""
    response = source.http_response
    kind = type(response.stream)
    body = _wire.SyncBody if hasattr(kind, "__iter__") else _wire.AsyncBody
    live.record.begin()
    _wire.record_response(response, response.request.url, live, start_span, body)
    return TracedResponse(source, live, start_span)
