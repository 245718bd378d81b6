"""One HTTP request and its response, as their messages pass by. Floor 5 (plug; ASGI); the request's task.

The application pushes, so nothing is iterated here: every message goes on as the very object it came as
(a copy, where headers are added or could be read only once), and what it tells is noted on the way.

Cost: tests/bench/bench_asgi.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Final

import anyio
import anyio.lowlevel
from opentelemetry import context as otel_context
from opentelemetry.trace import Span, TracerProvider

from firsttoken._asgi_types import App, Message, Receive, Scope, Send
from firsttoken._clock import monotonic_ns
from firsttoken._guard import guarded, note_fault
from firsttoken._wrap.default import default_runtime
from firsttoken.asgi._body import EVENT_STREAM, body_request, types_in
from firsttoken.asgi._headers import trace_headers, with_lasting_headers
from firsttoken.asgi._server_span import (
    context_below,
    current_server_span,
    end_server_span,
    global_tracer_provider,
    is_made_inside,
    open_server_span,
    route_of,
)
from firsttoken.asgi._stream import BodyStream, ClientGone
from firsttoken.decoders.framing import STREAMING_TYPES

ErrorEvent = Callable[[Exception], bytes]

_BODY: Final = "http.response.body"
_START: Final = "http.response.start"
#: Extensions that carry the body past the application, or leave it to the server.
_OTHER_BODIES: Final = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


class IncompleteResponse(Exception):
    """Ends the record of a response that the application left unfinished; never raised."""

    __module__ = "firsttoken.asgi"  # part of `error.type`


@dataclass(frozen=True)
class Options:
    """What one middleware was told.

    content_types: media types that stream, besides the known ones.
    all_bodies: trace every body that comes in several messages.
    trace_headers: response headers that name the trace.
    error_event: makes the SSE event for an exception once headers are sent; None to send none.
    """

    content_types: frozenset[str] = frozenset()
    all_bodies: bool = False
    trace_headers: frozenset[str] = frozenset()
    error_event: ErrorEvent | None = None
    tracer_provider: TracerProvider | None = None


class Exchange:
    """A request and its response; stands between the server and the application for both."""

    # As they are for most requests: what stays so costs them nothing.
    #: The request's, whoever made it; and the same again where that was us.
    _server_span: Span | None = None
    _opened_span: Span | None = None
    _status: int | None = None
    _content_type = _media_type = _content_encoding = ""
    #: Whether a body message that says there are more makes it a stream.
    _streams_if_more = False
    _stream: BodyStream | None = None
    #: Makes the event for an exception, if this response can take one.
    _error_event: ErrorEvent | None = None
    #: The last body message, held back because an error event may have to go out in its place.
    held: Message | None = None
    #: Whether the last body message was handed over.
    _is_complete = False
    #: Whether the client left before that.
    _is_gone = False
    #: Whether the application makes the SERVER span; by the start of the response it has.
    _is_made_inside = False
    #: Whether there is anything to do on the way: a span to tell of it, or an error event to send.
    matters = True

    def __init__(self, options: Options, scope: Scope, receive: Receive, send: Send) -> None:
        self._issued_ns = monotonic_ns()
        self._options = options
        self._scope = scope
        self._receive = receive
        self._send = send

    def begin(self, app: App) -> Any:
        """Find or open the SERVER span; return the token of the context that was attached, if any."""
        try:
            self._server_span = current_server_span()
            return self._open_server_span(app) if self._server_span is None else None
        except Exception as error:
            note_fault("find the SERVER span of a request", error)
            return None

    @property
    def is_over(self) -> bool:
        """Whether the response is complete and everything about it is told."""
        return (
            self._is_complete
            and self._opened_span is None
            and (self._stream is None or self._stream.is_over)
        )

    async def receive(self) -> Message:
        """Pass on what the server has for the application."""
        message = await self._receive()
        # Servers say so after every complete response as well.
        if message["type"] == "http.disconnect" and not self._is_complete:
            self._client_left()
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Pass on what the application has for the server.

        Not a coroutine function: what needs no second look goes on as the server's own awaitable.
        """
        kind = message["type"]
        if kind == _BODY:
            stream = self._stream
            if stream is not None and message.get("more_body"):
                return stream.send(message)
            return self._body(message)
        if kind == _START:
            message = with_lasting_headers(message)
            try:
                message = self._start(message)
            except Exception as error:
                note_fault("look at the start of a response", error)
        elif kind in _OTHER_BODIES:
            self._is_complete = not message.get("more_body", False)
        return self._send(message)

    def _body(self, message: Message) -> Awaitable[None]:
        """Pass on a body message that is the last one, or of a body that is not traced so far."""
        if message.get("more_body"):
            if self._streams_if_more:
                with guarded("begin to trace a response"):
                    self._begin_stream()
                if self._stream is not None:
                    return self._stream.send(message)
            return self._send(message)
        if self._stream is not None or self._error_event is not None:
            return self._end_stream(message)
        self._is_complete = True
        return self._send(message) if self._opened_span is None else self._end_response(message)

    async def _end_response(self, message: Message) -> None:
        await self._send(message)
        self._end_server_span(None)

    async def _end_stream(self, message: Message) -> None:
        # A route that yields closes its body in good order and is cancelled, when its generator fails:
        # what it was is known only when the exception arrives here, after the last message.
        is_failing = not self._is_gone and _is_cancelled()
        if is_failing and self._error_event is not None:
            # The cancellation is delivered now, not after the body was closed: room for the error event.
            self.held = message
            await anyio.lowlevel.checkpoint()
        await self._send_last(message, is_failing=is_failing)

    async def release(self) -> None:
        """Send the last message if it is held, when the application returned."""
        # What was cancelled was its own then, and no exception is on its way.
        if self.held is not None:
            await self._send_last(self.held, is_failing=False)

    async def _send_last(self, message: Message, *, is_failing: bool) -> None:
        self.held = None
        self._is_complete = True
        stream = self._stream
        if stream is None:
            await self._send(message)
        else:
            # Outside of us, the SERVER span ends as soon as this message is sent.
            stream.completes(message.get("body"), is_failing=is_failing)
            await stream.send(message)
            if not is_failing:
                stream.end(None)
        if not is_failing:
            self._end_server_span(None)

    def _start(self, message: Message) -> Message:
        """Note what the response will be; return the message, changed only where headers are asked for."""
        self._status = message.get("status")
        headers = message.get("headers") or ()
        for name, value in headers:
            # Most names are neither, as their length tells.
            if len(name) == 12 and name.lower() == b"content-type":
                self._content_type, self._media_type = types_in(bytes(value))
            elif len(name) == 16 and name.lower() == b"content-encoding":
                self._content_encoding = value.decode("latin-1").strip().lower()
        options = self._options
        # Plain text in a compressed body would make all of it unreadable.
        if self._media_type == EVENT_STREAM and self._content_encoding in ("", "identity"):
            self._error_event = options.error_event
        if self._is_made_inside:
            self._server_span = current_server_span()
        if self._media_type in STREAMING_TYPES or self._media_type in options.content_types:
            self._begin_stream()
        else:
            self._streams_if_more = options.all_bodies
        added = trace_headers(self._server_span, options.trace_headers) if options.trace_headers else ()
        return {**message, "headers": [*headers, *added]} if added else message

    def _begin_stream(self) -> None:
        self._streams_if_more = False
        if self._scope.get("method") == "HEAD":
            return  # the server drops the body, whatever the application sends
        request = body_request(
            self._content_type,
            self._content_encoding,
            route_of(self._scope),
            context_below(self._server_span),
            self._options.tracer_provider,
        )
        live = default_runtime().open(request, self._issued_ns)
        stream = BodyStream(live, self._send, self._server_span, self._media_type)
        if stream.is_recorded:
            self._stream = stream

    def _client_left(self) -> None:
        self._is_gone = True
        if self._stream is not None:
            self._stream.end(ClientGone())

    async def finish(self, error: BaseException | None) -> None:
        """Tell how it ended, where that is still open.

        error: what the application raised, if anything.
        """
        if error is not None:
            error = _bare(error)
        elif not self._is_complete and not self._is_gone:
            error = IncompleteResponse()
        if self._stream is not None:
            self._stream.end(error)
            self._is_gone = self._is_gone or self._stream.is_cancelled
        if isinstance(error, Exception) and not self._is_gone:
            if self._status is not None and not self._is_complete:
                await self._send_error_event(error)
        else:
            error = None
        self._end_server_span(error)

    async def _send_error_event(self, error: Exception) -> None:
        make = self._error_event
        if make is None or isinstance(error, IncompleteResponse):
            return
        # An event may have been left half written; the blank lines end it.
        with guarded("tell the client of an error"):
            body = b"\n\n" + make(error)
            await self._send({"type": _BODY, "body": body, "more_body": False})

    def _open_server_span(self, app: App) -> Any:
        """Open a SERVER span, unless the application will; return the token of its context."""
        runtime = default_runtime()
        provider = self._options.tracer_provider or runtime.tracer_provider or global_tracer_provider()
        if provider is None:
            self.matters = runtime.settings.measure_unsampled or self._options.error_event is not None
            return None
        self._is_made_inside = is_made_inside(app)
        if self._is_made_inside:
            return None
        span, context = open_server_span(
            runtime.tracer(provider), self._scope, with_query=runtime.settings.captures_on_span
        )
        self._server_span = self._opened_span = span
        return otel_context.attach(context)

    def _end_server_span(self, error: BaseException | None) -> None:
        span, self._opened_span = self._opened_span, None
        if span is not None:
            with guarded("end a SERVER span"):
                end_server_span(span, self._scope, self._status, error)


def _is_cancelled() -> bool:
    """Return whether whoever sends now is cancelled already and only has not been told."""
    try:
        return anyio.current_effective_deadline() == -inf
    except Exception:
        return False  # an event loop that anyio does not know


def _bare(error: BaseException) -> BaseException:
    """Return what a task group wrapped up: routes that `yield` run in one, and it says nothing."""
    inner = getattr(error, "exceptions", None)
    return _bare(inner[0]) if isinstance(inner, tuple) and len(inner) == 1 else error
