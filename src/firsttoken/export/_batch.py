"""Spans joined to requests, bounded by bytes. Floor 3 (tell), pure; runs on the export thread.

Source: https://github.com/open-telemetry/opentelemetry-proto (collector/trace/v1/trace_service.proto).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from firsttoken._think.chunk_events import ChunkEvents
from firsttoken.export._encode_events import EVENT_BYTES_MAX, chunk_events_size, encode_chunk_events
from firsttoken.export._encode_values import field, number_field, varint
from firsttoken.export._queue import Entry, SpanQueue

#: No request is larger, before compression: collectors refuse gRPC over 4 MiB, proxies often as well.
CAP_BYTES: Final = 3_500_000
_SPANS_BETWEEN_BREATHS: Final = 32


class Batch:
    """Entries for one request.

    entries: oldest first.
    size: upper bound of the request's bytes.
    too_large: entries that fit into no request, whatever is left out.
    lost_events: chunk events left out of entries that would not have fitted otherwise.
    """

    __slots__ = ("entries", "lost_events", "size", "too_large")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = 0
        self.too_large: list[Entry] = []
        self.lost_events = 0


def encode_request(entries: Sequence[Entry], breathe: Callable[[], None]) -> list[bytes | bytearray]:
    """Encode an `ExportTraceServiceRequest`: the spans in order, grouped by resource and scope.

    Returns the bytes in parts: joining a megabyte takes longer than an event loop should wait.

    breathe: called between small pieces of work; may give the GIL away.
    """
    groups: dict[bytes, dict[bytes, list[bytes | bytearray]]] = {}
    resource = scope = None
    spans: list[bytes | bytearray] = []
    for index, entry in enumerate(entries):
        span = entry.span
        if span.scope is not scope or span.resource is not resource:
            resource, scope = span.resource, span.scope
            spans = groups.setdefault(resource, {}).setdefault(scope, [])
        if span.events or entry.carried or span.dropped_events:
            _append_message(spans, b"\x12", _span_parts(entry, breathe))
        else:
            spans.append(field(b"\x12", span.body))
        if not index % _SPANS_BETWEEN_BREATHS:
            breathe()
    request: list[bytes | bytearray] = []
    for resource, scopes in groups.items():
        resource_spans: list[bytes | bytearray] = [resource]
        for scope, spans in scopes.items():
            _append_message(resource_spans, b"\x12", [scope, *spans])
        _append_message(request, b"\x0a", resource_spans)
    return request


def _append_message(parts: list[bytes | bytearray], tag: bytes, message: list[bytes | bytearray]) -> None:
    parts.append(tag + varint(sum(map(len, message))))
    parts.extend(message)


def _span_parts(entry: Entry, breathe: Callable[[], None]) -> list[bytes | bytearray]:
    span, chunks = entry.span, entry.chunks
    parts: list[bytes | bytearray] = [span.body]
    begin = 0
    for time_ns, event in span.events:
        if chunks is not None:
            # What is told at the time of a chunk is told after it.
            end = bisect_right(chunks.times_ns, time_ns, begin)
            parts.extend(encode_chunk_events(chunks, begin, end, breathe))
            begin = end
        parts.append(event)
    if chunks is not None:
        parts.extend(encode_chunk_events(chunks, begin, len(chunks), breathe))
    parts.append(number_field(b"\x60", span.dropped_events + entry.dropped_chunks))
    return parts


def take_batch(
    queue: SpanQueue, target: int, cap: int, max_spans: int | None, breathe: Callable[[], None]
) -> Batch:
    """Take the oldest spans that fill a request.

    target: bytes after which a request is full; a single span may take more.
    cap: bytes a request never goes over; the chunk events of a span that would are joined until it fits.
    """
    batch = Batch()
    entries = batch.entries
    resource = scope = b""
    surroundings: set[bytes] = set()
    while max_spans is None or len(entries) < max_spans:
        entry = queue.peek()
        if entry is None:
            break
        span, size, around = entry.span, entry.request_size, 0
        if span.scope is not scope or span.resource is not resource:
            around = sum(len(part) for part in (span.resource, span.scope) if part not in surroundings)
        if entries and batch.size + size + around > target:
            break
        queue.take()
        if size + around > cap:
            size = _thin(entry, cap - around, batch, breathe)
            if size + around > cap:
                batch.too_large.append(entry)
                continue
        if around:
            surroundings.update((span.resource, span.scope))
        resource, scope = span.resource, span.scope
        entries.append(entry)
        batch.size += size + around
        if not len(entries) % _SPANS_BETWEEN_BREATHS:
            breathe()
    return batch


def _thin(entry: Entry, room: int, batch: Batch, breathe: Callable[[], None]) -> int:
    """Join an entry's chunk events until it takes at most `room` bytes; return what it takes then."""
    chunks = entry.chunks
    rest = entry.request_size - (chunk_events_size(chunks) if chunks is not None else 0)
    limit = (room - rest) // EVENT_BYTES_MAX
    while chunks is not None and limit >= 1:
        chunks = chunks.coalesced(limit, breathe)
        if rest + chunk_events_size(chunks) <= room:
            entry.tell(chunks)
            return entry.request_size
        # Joining keeps every character of captured text, so no number of events would be small enough.
        chunks = ChunkEvents(chunks.times_ns, chunks.sequences, chunks.gaps_ns, chunks.counts)
    batch.lost_events += entry.drop_chunks()
    return entry.request_size
