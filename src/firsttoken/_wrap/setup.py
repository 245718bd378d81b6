"""`configure`, `flush` and `shutdown`: the few words most programs need. Floor 4 (wrap).

Nothing here is required: without `configure`, streams go to whichever tracer provider is set globally.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from firsttoken._guard import logger
from firsttoken._settings import Redact, Settings, capture_mode, positive
from firsttoken._wrap.default import configure_default_runtime, default_runtime
from firsttoken.errors import ConfigError

#: Room, beside the chunk events, for milestones and for events of the user's own.
_MORE_EVENTS = 128
_SWITCH_TIMEOUT_S = 2.0

_lock = threading.Lock()
_exported: list[tuple[Any, Any]] = []


def configure(
    *,
    service_name: str | None = None,
    exporter: Any = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    capture_content: str | bool | None = None,
    redact: Redact | None = None,
    max_events: int = 1000,
    stall_threshold_s: float = 1.0,
    block_threshold_s: float | None = 0.05,
    user_paths: Iterable[str | os.PathLike[str]] = (),
    record: str = "full",
    error_outcomes: Sequence[str] = ("failed",),
    metric_names: str = "operation",
    measure_unsampled: bool = False,
) -> TracerProvider:
    """Set tracing up, from `OTEL_*` variables where no tracer provider is set; return the provider.

    service_name: for a provider made here; `OTEL_SERVICE_NAME` if not given.
    exporter: a `SpanExporter` to send to. Not given: OTLP over HTTP for a provider made here, nothing
        more for one that is there already.
    tracer_provider, meter_provider: to use in place of the global ones; nothing is made then.
    capture_content: where streamed text may go: a bool, or `NO_CONTENT`, `SPAN_ONLY`, `EVENT_ONLY`,
        `SPAN_AND_EVENT`; `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` if not given.
    redact: sees captured text first and returns what may be told.
    max_events: chunk events per span; more are coalesced.
    stall_threshold_s: a gap this long is a stall.
    block_threshold_s: a callback that holds the event loop this long is a loop block; None to not watch.
    user_paths: folders or files whose code counts as yours when a loop block is blamed, although it is
        installed as a package.
    record: `full`, or `arrivals` for less than half the cost, without hold and nesting.
    error_outcomes: outcomes that set the span's status to ERROR.
    metric_names: `operation`, or `inference` for the names that replace them.
    measure_unsampled: record and measure streams whose span is not sampled.

    May be called again: the settings of the last call count, and no exporter is added twice.

    Raises: ConfigError: if a value is not allowed; the message names the ones that are.
    Raises: TypeError: if an argument is of another type than it may be.
    """
    if isinstance(user_paths, str | bytes):
        raise TypeError("user_paths is several paths, not one: write (path,)")
    if isinstance(error_outcomes, str):
        raise TypeError("error_outcomes is several outcomes, not one: write (outcome,)")
    if service_name is not None and not isinstance(service_name, str):
        raise TypeError(f"service_name is a string or None, not {type(service_name).__qualname__}")
    if meter_provider is not None and not hasattr(meter_provider, "get_meter"):
        raise TypeError(
            f"meter_provider is a MeterProvider or None, not {type(meter_provider).__qualname__}"
        )
    settings = Settings(
        record=record,  # type: ignore[arg-type]  # checked by Settings, which names the allowed values
        capture_content=capture_mode(capture_content),
        redact=redact,
        max_events=max_events,
        stall_threshold_s=stall_threshold_s,
        block_threshold_s=block_threshold_s,
        user_paths=_paths(user_paths),
        error_outcomes=tuple(error_outcomes),
        metric_names=metric_names,  # type: ignore[arg-type]  # as above
        measure_unsampled=measure_unsampled,
    )
    if exporter is not None and not hasattr(exporter, "export"):
        raise TypeError(f"exporter is a SpanExporter or None, not {type(exporter).__qualname__}")
    if tracer_provider is not None and not hasattr(tracer_provider, "get_tracer"):
        raise TypeError(
            f"tracer_provider is a TracerProvider or None, not {type(tracer_provider).__qualname__}"
        )
    with _lock:
        provider = tracer_provider or _global_provider()
        if provider is None:
            provider = _make_provider(service_name, settings, exporter)
        elif exporter is not None:
            _add_exporter(provider, exporter)
        configure_default_runtime(settings, tracer_provider, meter_provider)
    return provider


def flush(timeout_s: float = 2.0) -> bool:
    """Send everything that ended so far; return whether all of it got through in time.

    Blocks the calling thread: on an event loop, call it through `anyio.to_thread.run_sync`.

    Raises: ConfigError: if `timeout_s` is not a number above 0.
    """
    positive("timeout_s", timeout_s)
    return default_runtime().flush(timeout_s)


def shutdown(timeout_s: float = 2.0) -> bool:
    """Tell live streams as interrupted, send everything, stop; return whether all got through in time.

    Happens by itself when the interpreter exits. Streams that begin later are not traced until
    `configure` is called again.

    Raises: ConfigError: if `timeout_s` is not a number above 0.
    """
    positive("timeout_s", timeout_s)
    return default_runtime().shutdown(timeout_s)


def _paths(user_paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    try:
        return tuple(os.fspath(path) for path in user_paths)
    except TypeError as error:
        raise TypeError(f"user_paths is several paths: {error}") from error


def _global_provider() -> TracerProvider | None:
    """Return the global tracer provider, if anyone has set one."""
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def _make_provider(service_name: str | None, settings: Settings, exporter: Any) -> TracerProvider:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import SpanLimits
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

    resource = Resource.create({SERVICE_NAME: service_name} if service_name else {})
    limits = SpanLimits() if _limit_is_set() else SpanLimits(max_events=settings.max_events + _MORE_EVENTS)
    provider = SdkTracerProvider(resource=resource, span_limits=limits)
    if exporter is None:
        _add_processor_from_environment(provider)
    else:
        _add_exporter(provider, exporter)
    trace.set_tracer_provider(provider)
    return provider


def _limit_is_set() -> bool:
    return "OTEL_SPAN_EVENT_COUNT_LIMIT" in os.environ


def _add_exporter(provider: Any, exporter: Any) -> None:
    """Send the spans of `provider` to `exporter`, unless it was added before."""
    if not any(known is provider and sent is exporter for known, sent in _exported):
        _add_processor(provider, exporter)
        _exported.append((provider, exporter))


def _add_processor(provider: Any, exporter: Any) -> None:
    """Send the spans of `provider` to `exporter`, or, without one, where the environment says."""
    add = getattr(provider, "add_span_processor", None)
    if add is None:
        raise ConfigError(
            "an exporter can be added to an SDK TracerProvider (one with add_span_processor), "
            f"not to {type(provider).__qualname__}"
        )
    from firsttoken.export import StreamSpanProcessor

    add(StreamSpanProcessor(exporter=exporter))


def _add_processor_from_environment(provider: Any) -> None:
    """Send the spans of `provider` where `OTEL_TRACES_EXPORTER` says; by OTLP over HTTP if nowhere."""
    named = os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower()
    if named in ("", "otlp"):
        _add_processor(provider, None)
    elif named == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        _add_processor(provider, ConsoleSpanExporter())
    elif named != "none":
        logger.warning(
            "OTEL_TRACES_EXPORTER is one of otlp, console, none here, not %r: nothing is sent", named
        )
