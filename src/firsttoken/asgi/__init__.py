"""StreamTraceMiddleware: trace the streaming responses of any ASGI application. Floor 5 (plug; ASGI).

    app.add_middleware(StreamTraceMiddleware)    # FastAPI, Starlette
    app = StreamTraceMiddleware(app)             # any ASGI application

Pure ASGI: imports no framework, never buffers, passes every message on as the object it came as. Runs in
the request's own task; decoding and telling happen on the thinker and teller threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import TracerProvider

from firsttoken._asgi_types import App, Receive, Scope, Send
from firsttoken._wrap.default import default_runtime
from firsttoken.asgi._exchange import ErrorEvent, Exchange, Options
from firsttoken.asgi._headers import TRACE_HEADERS
from firsttoken.asgi._live import live_streams_json
from firsttoken.errors import ConfigError

#: Marks a scope that one of us already looks at: a route is traced once, however many layers there are.
_SEEN = "firsttoken.asgi"


def sse_error_event(error: Exception) -> bytes:
    """Return the SSE event that tells a client of `error`: its type alone, its message may be private."""
    told = {"error": {"type": type(error).__qualname__, "message": "The stream failed."}}
    return f"event: error\ndata: {json.dumps(told)}\n\n".encode()


class StreamTraceMiddleware:
    """Put the life of a streaming response in a span of its own, below the request's SERVER span.

    A response streams if it is an event stream, NDJSON or JSON Lines. The SERVER span, whoever made it,
    learns time to first byte, chunks, bytes and outcome; where nobody made one, one is opened. Everything
    else passes untouched.

    app: the application.
    content_types: more media types whose responses stream.
    all_bodies: trace every response whose body comes in several messages, whatever its type.
    trace_headers: response headers, of `traceresponse` and `server-timing`, that tell a browser its trace.
    error_event: once headers are sent, turn an exception into a last SSE event for the client: True, or a
        function from the exception to the event's bytes. The exception goes on to the server all the same.
        A compressed body gets none.
    debug_path: `GET` here lists the live streams as JSON. It asks nobody who they are: keep it internal.
    tracer_provider: the configured or the global one if not given.

    Raises: ConfigError: if an argument has a value outside the ones the message names.
    Raises: TypeError: if an argument has a wrong type.

    Cost: a few µs per request and about 1 µs per body message; tests/bench/bench_asgi.py.
    """

    def __init__(
        self,
        app: App,
        *,
        content_types: Iterable[str] = (),
        all_bodies: bool = False,
        trace_headers: Iterable[str] = (),
        error_event: bool | Callable[[Exception], bytes] = False,
        debug_path: str | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        if not callable(app):
            raise TypeError(f"app is an ASGI application, not {type(app).__qualname__}")
        if not isinstance(all_bodies, bool):
            raise ConfigError(f"all_bodies is True or False; not {all_bodies!r}")
        if debug_path is not None and not str(debug_path).startswith("/"):
            raise ConfigError(f"debug_path begins with a slash, or is None; not {debug_path!r}")
        if tracer_provider is not None and not hasattr(tracer_provider, "get_tracer"):
            raise TypeError(
                f"tracer_provider is a TracerProvider or None, not {type(tracer_provider).__qualname__}"
            )
        # Where the environment names a tracer provider, the first who asks loads it.
        trace.get_tracer_provider()
        self.app = app
        self._debug_path = debug_path
        self._options = Options(
            content_types=frozenset(type_.lower() for type_ in _texts("content_types", content_types)),
            all_bodies=all_bodies,
            trace_headers=_trace_headers(trace_headers),
            error_event=_error_event(error_event),
            tracer_provider=tracer_provider,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or _SEEN in scope:
            await self.app(scope, receive, send)
            return
        if self._debug_path is not None and self._is_debug(scope):
            await _send_live_streams(send)
            return
        scope[_SEEN] = True
        exchange = Exchange(self._options, scope, receive, send)
        token = exchange.begin(self.app)
        if exchange.matters:
            receive, send = exchange.receive, exchange.send
        try:
            await self.app(scope, receive, send)
            if exchange.held is not None:
                await exchange.release()
        except BaseException as error:
            await exchange.finish(error)
            raise
        else:
            if exchange.matters and not exchange.is_over:
                await exchange.finish(None)
        finally:
            del scope[_SEEN]
            if token is not None:
                otel_context.detach(token)

    def _is_debug(self, scope: Scope) -> bool:
        # Under a mount or behind a proxy, the path has the root path in front of it.
        path: str = scope["path"]
        return (
            scope["method"] == "GET" and path.removeprefix(scope.get("root_path", "")) == self._debug_path
        )


async def _send_live_streams(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    # Its own dictionary, copied in one step: the thinker changes it meanwhile.
    streams = default_runtime().live_streams()
    await send({"type": "http.response.body", "body": live_streams_json(streams)})


def _texts(name: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise TypeError(f"{name} is a collection of str, not one str")
    texts = list(values)
    for value in texts:
        if not isinstance(value, str):
            raise TypeError(f"{name} has a {type(value).__qualname__} in it, not only str")
    return texts


def _trace_headers(values: Iterable[str]) -> frozenset[str]:
    headers = frozenset(value.lower() for value in _texts("trace_headers", values))
    for header in headers.difference(TRACE_HEADERS):
        raise ConfigError(f"trace_headers are of {', '.join(TRACE_HEADERS)}; not {header!r}")
    return headers


def _error_event(value: bool | Callable[[Exception], bytes]) -> ErrorEvent | None:
    if isinstance(value, bool):
        return sse_error_event if value else None
    if not callable(value):
        raise TypeError(f"error_event is a bool or a function, not {type(value).__qualname__}")
    return value


__all__ = ["StreamTraceMiddleware", "sse_error_event"]
