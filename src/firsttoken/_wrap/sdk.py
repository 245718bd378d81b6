"""Streams of provider SDKs: what they have besides chunks. Floor 4 (wrap); the user's thread.

No SDK is imported or known by name; two habits they share are:

- raw and streaming responses (`with_raw_response`, `with_streaming_response`) that hold the HTTP response;
- streams that show their `response`, where a transport of ours may have left its mark.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firsttoken._guard import guarded
from firsttoken._wrap import wire as _wire
from firsttoken._wrap.aside import AsideRequest, aside
from firsttoken._wrap.live import LiveStream
from firsttoken._wrap.proxy import StartSpan, TracedStream
from firsttoken._wrap.request import Request

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
    _say_more(live, request, start_span)
    told = ToldAsyncStream if hasattr(source, "__aiter__") else ToldStream
    return told(source, live, start_span)


def again(source: TracedStream, request: Request) -> Any:
    """Return a stream that is traced already as it is; its span learns what the caller says this time."""
    _say_more(source._self_live, request, source._self_start_span)
    return source


def _say_more(live: LiveStream, request: Request, start_span: StartSpan) -> None:
    with guarded("take over a stream that is traced"):
        before = live.request
        is_named = request.name is not None or request.model is not None
        if isinstance(before, AsideRequest):
            request = aside(request, {})
        elif request.operation == Request.operation:
            # The default is nothing that anybody said, and who was there before may know better.
            request = replace(request, operation=before.operation)
        live.learned.update(request.start_attributes)
        if is_named:
            # As a name of its own: else the model that answers would give it another.
            live.request = replace(before, name=request.span_name, model=request.model or before.model)
            start_span(live).update_name(request.span_name)


def holds_response(source: Any) -> bool:
    """Whether `source` is an SDK's raw or streaming response."""
    try:
        response = source.http_response
        return hasattr(response, "extensions") and hasattr(response, "stream")
    except Exception:  # attributes of other people's objects may do anything
        return False


def traced_response(source: Any, live: LiveStream, start_span: StartSpan) -> Any:
    """Return the proxy of an SDK's raw or streaming response, whose body is recorded from now on."""
    response = source.http_response
    kind = type(response.stream)
    body = _wire.SyncBody if hasattr(kind, "__iter__") else _wire.AsyncBody
    live.record.begin()
    _wire.record_response(response, response.request.url, live, start_span, body)
    return TracedResponse(source, live, start_span)
