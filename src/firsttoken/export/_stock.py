"""Any stock `SpanExporter` as a way out: events become objects again. Floor 3 (tell); the export thread.

What we know of a delivery is what the exporter says of it. It blocks for as long as it likes, so each call
has a thread; calls never overlap.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.context import attach
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from firsttoken._clock import to_s
from firsttoken._guard import logger
from firsttoken._think.chunk_events import NO_GAP, ChunkEvents
from firsttoken.export._answer import Answer
from firsttoken.export._aside import aside, untraced
from firsttoken.export._queue import Entry
from firsttoken.semconv import COALESCED, EVENT_CHUNK, GAP, SEQUENCE, TEXT

_PIECE: Final = 32


def stock_exporter(protocol: str) -> SpanExporter | None:
    """Return the stock exporter for a protocol that is not ours; None if ours will do, or has to."""
    if protocol == "http/protobuf":
        return None
    if protocol == "grpc":
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # type: ignore[import-not-found,unused-ignore]
                OTLPSpanExporter,
            )
        except ImportError:
            pass
        else:
            exporter: SpanExporter = OTLPSpanExporter()
            return exporter
    logger.warning(
        "firsttoken: OTEL_EXPORTER_OTLP_PROTOCOL is %r, and nothing here speaks it; sending http/protobuf",
        protocol,
    )
    return None


class StockDelivery:
    """Hands spans with all their events to a stock exporter, one call at a time.

    timeout_s: after which a call is given up: its spans count as not delivered, the next call waits for it.
    """

    def __init__(self, exporter: SpanExporter, timeout_s: float, breathe: Callable[[], None]) -> None:
        self._exporter = exporter
        self._timeout_s = timeout_s
        self._breathe = breathe
        self._running: asyncio.Future[SpanExportResult] | None = None

    async def send(self, entries: Sequence[Entry]) -> Answer:
        """Export spans once."""
        if self._running is not None:
            done, _ = await asyncio.wait({self._running}, timeout=self._timeout_s)
            if not done:
                return Answer("retry", "timeout")
        spans = [materialised(entry, self._breathe) for entry in entries]
        self._running = asyncio.ensure_future(aside("firsttoken-exporter", lambda: self._export(spans)))
        done, _ = await asyncio.wait({self._running}, timeout=self._timeout_s)
        if not done:
            return Answer("retry", "timeout")
        running, self._running = self._running, None
        if running.exception() is None and running.result() is SpanExportResult.SUCCESS:
            return Answer("accepted", "success")
        return Answer("refused", "failure")

    def _export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        # A thread of its own has a context of its own.
        attach(untraced())
        return self._exporter.export(spans)

    async def resend(self, request: bytes) -> Answer:
        """Refuse: a stock exporter takes objects, not what the spool holds."""
        return Answer("refused", "unsupported")

    async def aclose(self) -> None:
        """Shut the exporter down, and wait no longer for a call that hangs."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        await aside("firsttoken-exporter", self._exporter.shutdown)


class _Materialised(ReadableSpan):
    """A span that says how many events it lost."""

    _dropped = 0

    @property
    def dropped_events(self) -> int:
        return self._dropped


def materialised(entry: Entry, breathe: Callable[[], None]) -> ReadableSpan:
    """Return the span with its packed chunk events as `Event` objects, among the others by time."""
    original, chunks = entry.original, entry.chunks
    assert original is not None
    events: list[Event] = []
    begin = 0
    for event in original.events:
        if entry.carried and event.name == EVENT_CHUNK:
            continue
        if chunks is not None:
            end = bisect_right(chunks.times_ns, event.timestamp, begin)
            _extend(events, chunks, begin, end, breathe)
            begin = end
        events.append(event)
    if chunks is not None:
        _extend(events, chunks, begin, len(chunks), breathe)
    span = _Materialised(
        name=original.name,
        context=original.context,
        parent=original.parent,
        resource=original.resource,
        attributes=original.attributes,
        events=events,
        links=original.links,
        kind=original.kind,
        status=original.status,
        start_time=original.start_time,
        end_time=original.end_time,
        instrumentation_scope=original.instrumentation_scope,
    )
    span._dropped = entry.span.dropped_events + entry.dropped_chunks
    return span


def _extend(
    events: list[Event], chunks: ChunkEvents, begin: int, end: int, breathe: Callable[[], None]
) -> None:
    for index in range(begin, end):
        time_ns, sequence, gap_ns, count, text = chunks.row(index)
        attributes: dict[str, int | float | str] = {SEQUENCE: sequence}
        if gap_ns != NO_GAP:
            attributes[GAP] = to_s(gap_ns)
        if count > 1:
            attributes[COALESCED] = count
        if text is not None:
            attributes[TEXT] = text
        events.append(Event(EVENT_CHUNK, attributes, time_ns))
        if index % _PIECE == 0:
            breathe()
