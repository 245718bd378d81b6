"""Where the demo's spans go: always into memory, and to OTLP collectors, one of them a viewer maybe."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, cast

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id, format_trace_id

import firsttoken
from firsttoken import semconv
from firsttoken._tell.told import Told, told_of
from firsttoken._wrap.default import default_runtime
from firsttoken.cli import chat
from firsttoken.cli._collector import Collector
from firsttoken.export import StreamSpanProcessor, statistics

#: A gap this long is a stall in the demo: a person sees it, and a run need not take minutes.
STALL_THRESHOLD_S: Final = 0.25
TRACE_URL_ENV: Final = "FIRSTTOKEN_TRACE_URL"
_TRACE_URL: Final = "http://localhost:16686/trace"
_EXPORT_TIMEOUT_S: Final = 3.0
_TOLD_TIMEOUT_S: Final = 3.0
_FLUSH_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.05


class Traces:
    """Sets tracing up for the demo, and knows which span belongs to which stream.

    collectors: to send to as well. They must be there until it is left; what ends later is not sent.
    """

    def __init__(self, collectors: Sequence[Collector]) -> None:
        self.collectors = collectors
        self._memory = InMemorySpanExporter()
        self._numbers: dict[str, int] = {}
        provider = firsttoken.configure(
            service_name=os.environ.get("OTEL_SERVICE_NAME", "firsttoken-demo"),
            exporter=self._memory,
            stall_threshold_s=STALL_THRESHOLD_S,
            # The app lies inside this package, but it plays the part of the user's code.
            user_paths=(chat.__file__,),
        )
        self._provider = cast("TracerProvider", provider)
        for collector in collectors:
            self._provider.add_span_processor(
                StreamSpanProcessor(collector.traces_url, timeout_s=_EXPORT_TIMEOUT_S)
            )

    def __enter__(self) -> Traces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # A run that was stopped has not come to its flush.
            firsttoken.flush(_TOLD_TIMEOUT_S)
        self._provider.shutdown()

    def note(self, number: int, trace_id: str | None, span_id: str | None) -> None:
        """Remember which span is a stream's; called by the app."""
        if span_id is not None:
            self._numbers[span_id] = number

    def collect(self, expected: int) -> Mapping[int, Sequence[ReadableSpan]]:
        """Return the streams' spans by number, once `expected` are there or have had the time to come.

        A stream that ended is told a moment later, when it is known whether its event loop was blocked.
        """
        deadline_s = time.monotonic() + _TOLD_TIMEOUT_S
        while len(self._spans()) < expected and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            self._provider.force_flush(int(_POLL_S * 1000))
        if len(self._spans()) < expected:
            firsttoken.flush(_TOLD_TIMEOUT_S)
        return self._spans()

    def flush(self) -> list[str]:
        """Send everything; return a line for everything that did not get through."""
        lost = []
        if not firsttoken.flush(_FLUSH_TIMEOUT_S):
            lost.append(f"flush({_FLUSH_TIMEOUT_S:g}) returned False: not everything got through in time")
        if dropped := default_runtime().dropped:
            lost.append(f"{dropped} streams were dropped before they were told")
        counts = statistics()
        lost += [f"{count} spans were dropped: {why}" for why, count in counts.dropped.items()]
        events = counts.events_dropped.items()
        lost += [f"{count} chunk events were dropped: {why}" for why, count in events]
        if counts.waiting:
            lost.append(f"{counts.waiting} spans still wait to be sent")
        return lost

    def trace_url(self, trace_id: str) -> str | None:
        """Return where a person can look at a trace; None if it was sent nowhere."""
        if not self.collectors:
            return None
        pages = (collector.page for collector in self.collectors if collector.page is not None)
        shown_at = os.environ.get(TRACE_URL_ENV) or next(pages, _TRACE_URL)
        return f"{shown_at.rstrip('/')}/{trace_id}"

    @property
    def page(self) -> str | None:
        """Where the first viewer among the collectors shows a trace, up to its id."""
        return next((collector.page for collector in self.collectors if collector.page is not None), None)

    def _spans(self) -> dict[int, list[ReadableSpan]]:
        found: dict[int, list[ReadableSpan]] = defaultdict(list)
        for span in self._memory.get_finished_spans():
            scope = span.instrumentation_scope
            if scope is None or scope.name != semconv.INSTRUMENTATION_NAME or span.context is None:
                continue
            number = self._numbers.get(format_span_id(span.context.span_id))
            if number is not None:
                found[number].append(span)
        return found


def told(span: ReadableSpan) -> Told:
    """Return what a finished span of firsttoken says."""
    context = span.context
    return told_of(
        trace_id=format_trace_id(context.trace_id) if context else "",
        span_id=format_span_id(context.span_id) if context else "",
        started_ns=span.start_time or 0,
        ended_ns=span.end_time or 0,
        attributes=span.attributes or {},
        events=[(event.name, event.timestamp, event.attributes or {}) for event in span.events],
    )
