"""Packed chunk events become the bytes that the same events as objects become."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import Event

from firsttoken._think.chunk_events import NO_GAP, ChunkEvents
from firsttoken.export._batch import CAP_BYTES, encode_request
from firsttoken.export._encode_events import chunk_events_size, encode_chunk_events
from firsttoken.export._encode_spans import Surroundings, encode_span
from firsttoken.export._queue import Entry
from firsttoken.export._stock import materialised
from tests.export.spans import NOW, chunk_events, no_pause, span

arrivals = st.lists(st.integers(0, 10**10), max_size=300).map(
    lambda gaps: array("q", (NOW + sum(gaps[: index + 1]) for index in range(len(gaps))))
)


def encoded(chunks: ChunkEvents, events: list[Event] | None = None) -> ExportTraceServiceRequest:
    head = encode_span(span(events=events or []), Surroundings(), cap=CAP_BYTES)
    return ExportTraceServiceRequest.FromString(
        b"".join(encode_request([Entry(1, head, chunks)], no_pause))
    )


def as_stock_says(chunks: ChunkEvents, events: list[Event] | None = None) -> ExportTraceServiceRequest:
    original = span(events=events or [])
    entry = Entry(1, encode_span(original, Surroundings(), cap=CAP_BYTES), chunks, original=original)
    return encode_spans([materialised(entry, no_pause)])


@settings(max_examples=100, deadline=None)
@given(arrivals, st.integers(0, 400))
def test_says_what_the_stock_encoder_says_of_the_same_events(times: array[int], limit: int) -> None:
    chunks = ChunkEvents(times)
    assert encoded(chunks) == as_stock_says(chunks)
    if limit:
        fewer = chunks.coalesced(limit)
        assert encoded(fewer) == as_stock_says(fewer)


@pytest.mark.parametrize("count", [0, 1, 2, 127, 128, 129, 512, 513, 16_383, 16_384, 16_390])
def test_every_width_of_the_sequence_is_laid_out(count: int) -> None:
    assert encoded(chunk_events(count)) == as_stock_says(chunk_events(count))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 700))
def test_every_mixture_of_joined_and_single_events_is_laid_out(data: st.DataObject, size: int) -> None:
    """Runs of any length, numbers of any width, gaps missing here and there."""
    wide = st.sampled_from([1, 2, 127, 128, 16_383, 16_384, 2**28 - 1, 2**28, 2**40])
    counts = data.draw(st.lists(st.tuples(st.integers(1, 300), wide), min_size=1, max_size=8))
    joined = [count for length, count in counts for _ in range(length)][:size]
    seed = data.draw(st.sampled_from([0, 1, 120, 16_300, 2**28 - 50, 2**35]))
    missing = data.draw(st.sets(st.integers(0, len(joined) - 1), max_size=3))
    chunks = ChunkEvents(
        array("q", range(NOW, NOW + 7 * len(joined), 7)),
        array("q", range(seed, seed + 3 * len(joined), 3)) if data.draw(st.booleans()) else None,
        array("q", (NO_GAP if at in missing else at * 1_234_567 for at in range(len(joined)))),
        array("q", joined) if data.draw(st.booleans()) else None,
    )
    assert encoded(chunks) == as_stock_says(chunks)
    assert sum(map(len, encode_chunk_events(chunks, 0, len(chunks), no_pause))) <= chunk_events_size(chunks)


def test_a_stream_with_joined_neighbours_is_laid_out_as_fast_as_any() -> None:
    """By columns, that is: pieces are large, and few."""
    fewer = chunk_events(3000).coalesced(1000)
    pieces = list(encode_chunk_events(fewer, 0, len(fewer), no_pause))
    assert len(pieces) <= 4


def test_given_gaps_are_told_and_a_missing_one_is_absent() -> None:
    gaps = array("q", [NO_GAP, 5, NO_GAP, 10**12, 0])
    chunks = ChunkEvents(array("q", [NOW] * 5), gaps_ns=gaps)
    assert encoded(chunks) == as_stock_says(chunks)
    all_given = ChunkEvents(array("q", range(NOW, NOW + 300)), gaps_ns=array("q", range(300)))
    assert encoded(all_given) == as_stock_says(all_given)


def test_time_that_goes_backwards_is_told_as_it_is() -> None:
    chunks = ChunkEvents(array("q", [NOW, NOW + 100, NOW + 50, NOW + 60, NOW - 7, NOW + 1]))
    assert encoded(chunks) == as_stock_says(chunks)


def test_captured_text_is_told() -> None:
    chunks = chunk_events(3, texts=["Hel", "lo ", "🌍"])
    assert encoded(chunks) == as_stock_says(chunks)


def test_other_events_stand_between_the_chunks_where_their_time_is() -> None:
    events = [
        Event("early", None, NOW - 1),
        Event("firsttoken.first_token", None, NOW + 20_000_000),
        Event("late", None, NOW + 10**12),
    ]
    chunks = chunk_events(4)
    names = [
        event.name for event in encoded(chunks, events).resource_spans[0].scope_spans[0].spans[0].events
    ]
    chunk = "firsttoken.chunk"
    assert names == ["early", chunk, chunk, "firsttoken.first_token", chunk, chunk, "late"]
    assert encoded(chunks, events) == as_stock_says(chunks, events)


@settings(max_examples=50, deadline=None)
@given(
    arrivals, st.lists(st.text(max_size=20), min_size=300, max_size=300), st.integers(1, 50), st.booleans()
)
def test_the_size_is_never_underestimated(
    times: array[int], texts: list[str], limit: int, join: bool
) -> None:
    chunks = ChunkEvents(times, texts=texts[: len(times)])
    if join:
        chunks = chunks.coalesced(limit)
    assert sum(map(len, encode_chunk_events(chunks, 0, len(chunks), no_pause))) <= chunk_events_size(chunks)


def test_breathes_between_small_pieces() -> None:
    breaths = []
    pieces = list(encode_chunk_events(chunk_events(5000), 0, 5000, lambda: breaths.append(1)))
    assert len(breaths) == len(pieces) >= 10
    assert sum(len(Span.FromString(bytes(piece)).events) for piece in pieces) == 5000
