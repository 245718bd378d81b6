"""Calls to models as an HTTP client sees them, to the last byte. Floor 4 (wrap); the user's thread.

Written against what httpx and httpx2 have in common; neither is imported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from firsttoken import semconv
from firsttoken._clock import monotonic_ns
from firsttoken._guard import guarded
from firsttoken._http.facts import request_facts
from firsttoken._http.hosts import HostPatterns, Hosts, HostTable, operation_of
from firsttoken._tell.context import is_suppressed, is_told_above, owner_of
from firsttoken._wrap.default import default_runtime
from firsttoken._wrap.live import LiveStream
from firsttoken._wrap.others import is_told_on_the_stack
from firsttoken._wrap.request import Request
from firsttoken._wrap.runtime import Runtime
from firsttoken._wrap.wire import MARK, AsyncBody, Body, SyncBody, is_streaming, record_response

_PROPAGATOR: Final = TraceContextTextMapPropagator()
#: Spans of these others are of the call itself: OpenInference's kind; all else has the conventions' names.
_LLM_SPAN_KIND: Final = "openinference.span.kind"
#: SDKs that trace themselves, and call their spans of the call internal ones.
_SDK_SCOPES: Final = frozenset({"mistralai_sdk_tracer"})


class CallTracing:
    """What the transports, and the patched ones of `instrument`, do with a request.

    hosts: hosts that answer with a model, besides the providers' own: patterns of `host` or `host:port`,
        or a mapping from them to the provider's name.
    propagate_to: patterns of the hosts that are told the trace (`traceparent`); loopback and private ones
        if None.
    tracer_provider: the configured or the global one if not given.

    Raises: TypeError: if an argument has a wrong type.
    Raises: ConfigError: if a pattern is none.
    """

    def __init__(
        self,
        hosts: Hosts = (),
        propagate_to: Iterable[str] | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        if tracer_provider is not None and not hasattr(tracer_provider, "get_tracer"):
            raise TypeError(
                f"tracer_provider is a TracerProvider or None, not {type(tracer_provider).__qualname__}"
            )
        self._hosts = HostTable(hosts)
        self._told = HostPatterns(propagate_to)
        self.tracer_provider = tracer_provider

    def look_at(self, request: Any) -> Call | ToldCall | None:
        """Return the call to a model that a request is, unless others tell it; else None.

        Cost: about a quarter of a microsecond for a host that is no model's; tests/bench/bench_httpx.py.
        """
        url = request.url
        is_model, provider = self._hosts.look_up(url.host, url.port)
        if not is_model:
            return None
        call = None
        with guarded("look at a request"):
            call = self._look_at(request, provider)
        return call

    def _look_at(self, request: Any, provider: str | None) -> Call | ToldCall | None:
        path: str = request.url.path
        operation = operation_of(request.method, path)
        owner = owner_of()
        if isinstance(owner, LiveStream):
            # A task that was begun while the owner's source was pulled may outlive the owner.
            if not owner.is_over:
                if operation is not None:
                    owner.learn(request_facts(request, provider))
                    return ToldCall(self, request)
                return None
        elif (
            is_told_above()
            or is_suppressed()
            or _is_model_call(trace.get_current_span())
            or is_told_on_the_stack()
        ):
            return None
        runtime = default_runtime()
        return Call(self, runtime, request, self.describe(request, path, operation, provider))

    def describe(
        self, request: Any, path: str, operation: str | None, provider: str | None
    ) -> Request | None:
        """Return what a request asks for; None if it is not known to ask a model."""
        if operation is None:
            return None
        facts = request_facts(request)
        facts.setdefault(semconv.REQUEST_STREAM, path.startswith("/api/"))
        return Request(
            operation=operation,
            provider=provider,
            model=facts.pop(semconv.REQUEST_MODEL, None),
            attributes=facts,
            parent=otel_context.get_current(),
            tracer_provider=self.tracer_provider,
        )

    @contextmanager
    def propagating(self, request: Any, context: otel_context.Context) -> Iterator[None]:
        """Tell the trace of `context` to a host that may know, unless somebody did already.

        Afterwards the request is as it was: sent again or redirected, it is told anew, or not.
        """
        headers, told = request.headers, dict[str, str]()
        with guarded("propagate a trace"):
            if "traceparent" not in headers and self._told.allow(request.url.host, request.url.port):
                _PROPAGATOR.inject(told, context)
                told = {name: value for name, value in told.items() if name not in headers}
                headers.update(told)
        try:
            yield
        finally:
            with guarded("take a trace off a request"):
                for name in told:
                    del headers[name]


class ToldCall:
    """One request to a model that a stream of ours above tells: it takes the trace along."""

    def __init__(self, tracing: CallTracing, request: Any) -> None:
        self._request = request
        self._propagating = tracing.propagating(request, otel_context.get_current())

    async def send_async(self, handle: Callable[[Any], Awaitable[Any]]) -> Any:
        """Send the request through `handle`."""
        with self._propagating:
            return await handle(self._request)

    def send(self, handle: Callable[[Any], Any]) -> Any:
        """Send the request through `handle`."""
        with self._propagating:
            return handle(self._request)


class Call:
    """One request to a model, until its answer is there.

    described: None if only the answer can tell whether it is one.
    """

    def __init__(
        self, tracing: CallTracing, runtime: Runtime, request: Any, described: Request | None
    ) -> None:
        self._tracing = tracing
        self._runtime = runtime
        self._request = request
        self._issued_ns = monotonic_ns()
        self._live = None if described is None else runtime.open(described)

    async def send_async(self, handle: Callable[[Any], Awaitable[Any]]) -> Any:
        """Send the request through `handle` and record the answer as it is read."""
        with self._in_flight():
            response = await handle(self._request)
        self._answered(response, AsyncBody)
        return response

    def send(self, handle: Callable[[Any], Any]) -> Any:
        """Send the request through `handle` and record the answer as it is read."""
        with self._in_flight():
            response = handle(self._request)
        self._answered(response, SyncBody)
        return response

    @contextmanager
    def _in_flight(self) -> Iterator[None]:
        """Count the block as part of the request: its time, its failure, the spans it makes."""
        live = self._live
        if live is None:
            yield
            return
        record = live.record
        record.begin()
        context = otel_context.Context()
        with guarded("start a span"):
            span = self._runtime.start_span(live)
            context = trace.set_span_in_context(span, live.request.parent)
        with self._tracing.propagating(self._request, context), record.opening():
            yield
        record.ready()

    def _answered(self, response: Any, body: Body) -> None:
        with guarded("look at a response"):
            live = self._live
            if live is None:
                if MARK in response.extensions or not is_streaming(response):
                    return
                live = self._open_late()
            record_response(response, self._request.url, live, self._runtime.start_span, body)

    def _open_late(self) -> LiveStream:
        # An endpoint nobody knows, at a host that answers with a model, and it streams.
        request, tracing = self._request, self._tracing
        described = tracing.describe(request, request.url.path, "chat", None)
        assert described is not None
        live = self._runtime.open(described, self._issued_ns)
        live.record.begin()
        live.record.ready()
        return live


def _is_model_call(span: trace.Span) -> bool:
    """Whether `span` tells the call already, by an instrumentation that leaves no mark in the context."""
    attributes = getattr(span, "attributes", None)
    if not attributes or not span.is_recording():
        return False
    operation = attributes.get(semconv.OPERATION_NAME)
    if operation in semconv.INFERENCE_OPERATIONS:
        scope = getattr(getattr(span, "instrumentation_scope", None), "name", None)
        return bool(getattr(span, "kind", None) is trace.SpanKind.CLIENT or scope in _SDK_SCOPES)
    return bool(attributes.get(_LLM_SPAN_KIND) == "LLM")
