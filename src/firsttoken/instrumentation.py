"""`instrument()`: trace calls to models, and FastAPI streams, without a change of code. Floor 5 (plug).

What is patched are the transports that httpx and httpx2 come with, so clients that exist already are
included, and whoever brings a transport of their own wraps it (`firsttoken.httpx`). Nothing is imported for
it: a library that is not loaded yet is patched when it is.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final
from weakref import WeakSet

import wrapt
from opentelemetry.trace import TracerProvider

from firsttoken._guard import guarded
from firsttoken._http.hosts import Hosts
from firsttoken._wrap.calls import CallTracing

HOSTS_ENV: Final = "FIRSTTOKEN_HOSTS"

#: Module -> class -> its method; of each, the patch is `_PATCHES[method]`.
_PATCHED: Final = {
    "httpx": (("HTTPTransport", "handle_request"), ("AsyncHTTPTransport", "handle_async_request")),
    "httpx2": (("HTTPTransport", "handle_request"), ("AsyncHTTPTransport", "handle_async_request")),
    "fastapi": (("FastAPI", "build_middleware_stack"),),
}

_lock = threading.Lock()
_tracing: CallTracing | None = None
_patched: list[tuple[type, str, Any, Any]] = []
_apps: WeakSet[Any] = WeakSet()


def instrument(
    *,
    hosts: Hosts | None = None,
    propagate_to: Iterable[str] | None = None,
    tracer_provider: TracerProvider | None = None,
) -> None:
    """Trace every call to a model through httpx or httpx2, and every streaming response of FastAPI apps.

    hosts: hosts that answer with a model, besides the providers' own: patterns of `host` or `host:port`,
        or a mapping from them to the provider's name; those in `FIRSTTOKEN_HOSTS` (separated by commas)
        if not given.
    propagate_to: patterns of the hosts that are told the trace (`traceparent`); loopback and private ones
        if None.
    tracer_provider: the configured or the global one if not given.

    FastAPI apps are included that serve their first request afterwards. May be called again: the arguments
    of the last call count.

    Raises: TypeError: if an argument has a wrong type.
    Raises: ConfigError: if a pattern is none.
    """
    global _tracing
    tracing = CallTracing(
        _hosts_from_environment() if hosts is None else hosts, propagate_to, tracer_provider
    )
    with _lock:
        _tracing = tracing
    for module in _PATCHED:
        wrapt.register_post_import_hook(_patch, module)


def uninstrument() -> None:
    """Undo `instrument`. Streams under way are told to their end."""
    global _tracing
    with _lock:
        _tracing = None
        for owner, method, original, patch in reversed(_patched):
            # Under another's patch ours cannot be taken out; it passes everything through from now on.
            if vars(owner).get(method) is patch:
                setattr(owner, method, original)
        _patched.clear()
        for app in _apps:
            # Built again, without us, for the next request.
            app.middleware_stack = None
        _apps.clear()


class FirstTokenInstrumentor:
    """What `opentelemetry-instrument` finds at the entry point `opentelemetry_instrumentor`.

    It has the methods of a `BaseInstrumentor` without needing the package that defines one.
    """

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """Whether `instrument` was called last, not `uninstrument`."""
        return _tracing is not None

    def instrumentation_dependencies(self) -> tuple[str, ...]:
        """Return nothing: what is not installed is not patched."""
        return ()

    def instrument(
        self,
        *,
        hosts: Hosts | None = None,
        propagate_to: Iterable[str] | None = None,
        tracer_provider: TracerProvider | None = None,
        **_: Any,
    ) -> None:
        """Call `instrument` with what concerns it of all that instrumentors are given."""
        instrument(hosts=hosts, propagate_to=propagate_to, tracer_provider=tracer_provider)

    def uninstrument(self, **_: Any) -> None:
        """Call `uninstrument`."""
        uninstrument()


def _hosts_from_environment() -> tuple[str, ...]:
    named = os.environ.get(HOSTS_ENV, "").split(",")
    return tuple(pattern.strip() for pattern in named if pattern.strip())


def _patch(module: Any) -> None:
    with _lock, guarded("patch a library"):
        for name, method in _PATCHED[module.__name__] if _tracing is not None else ():
            owner = getattr(module, name)
            if any(owner is patched and method == known for patched, known, *_ in _patched):
                continue
            original = getattr(owner, method)
            patch = functools.wraps(original)(_PATCHES[method](original))
            setattr(owner, method, patch)
            _patched.append((owner, method, original, patch))


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_request(transport: Any, request: Any) -> Any:
        tracing = _tracing
        call = None if tracing is None else tracing.look_at(request)
        if call is None:
            return original(transport, request)
        return call.send(functools.partial(original, transport))

    return handle_request


def _sending_async(original: Callable[..., Any]) -> Callable[..., Any]:
    async def handle_async_request(transport: Any, request: Any) -> Any:
        tracing = _tracing
        call = None if tracing is None else tracing.look_at(request)
        if call is None:
            return await original(transport, request)
        return await call.send_async(functools.partial(original, transport))

    return handle_async_request


def _building(original: Callable[..., Any]) -> Callable[..., Any]:
    def build_middleware_stack(app: Any) -> Any:
        middleware = None if _tracing is None else _stream_middleware(app, _tracing.tracer_provider)
        if middleware is None:
            return original(app)
        # Outside the app's own, inside whoever opens the SERVER span; only for this once.
        app.user_middleware.insert(0, middleware)
        try:
            stack = original(app)
        finally:
            app.user_middleware.remove(middleware)
        _apps.add(app)
        return stack

    return build_middleware_stack


def _stream_middleware(app: Any, tracer_provider: TracerProvider | None) -> Any:
    """Return the middleware that traces an app's streams; None if it has one."""
    traced = import_module("firsttoken.asgi").StreamTraceMiddleware
    if any(known.cls is traced for known in app.user_middleware):
        return None
    return import_module("starlette.middleware").Middleware(traced, tracer_provider=tracer_provider)


_PATCHES: Final[dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]]] = {
    "handle_request": _sending,
    "handle_async_request": _sending_async,
    "build_middleware_stack": _building,
}
