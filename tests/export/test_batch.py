"""Batches are bounded by bytes, whatever the spans are like."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from firsttoken.export._batch import encode_request, take_batch
from firsttoken.export._queue import SpanQueue
from tests.export.spans import chunk_events, entry, no_pause


def queue_of(*entries) -> SpanQueue:
    queue = SpanQueue(10**9)
    for each in entries:
        queue.append(each)
    return queue


def events_of(encoded: bytes):
    request = ExportTraceServiceRequest.FromString(encoded)
    return [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.booleans()), min_size=1, max_size=12),
    st.integers(1_000, 400_000),
    st.integers(2_000, 400_000),
)
def test_no_request_is_over_the_cap_and_none_is_empty_while_spans_wait(shapes, target, cap) -> None:
    target = min(target, cap)
    queue = queue_of(
        *(
            entry(number, chunk_events(events, texts=["ab"] * events if texts else None))
            for number, (events, texts) in enumerate(shapes)
        )
    )
    sent = []
    while len(queue):
        batch = take_batch(queue, target, cap, None, no_pause)
        encoded = b"".join(encode_request(batch.entries, no_pause))
        assert len(encoded) <= batch.size <= max(cap, 0)
        assert len(batch.entries) == 1 or batch.size <= target
        assert not batch.too_large
        sent += [each.number for each in batch.entries]
    assert sent == list(range(len(shapes)))


def test_a_span_over_the_cap_keeps_its_first_and_last_chunk_and_says_what_it_joined() -> None:
    batch = take_batch(queue_of(entry(0, chunk_events(10_000))), 50_000, 50_000, None, no_pause)
    (told,) = events_of(b"".join(encode_request(batch.entries, no_pause)))
    attributes = [{pair.key: pair.value for pair in event.attributes} for event in told.events]
    assert 100 < len(attributes) < 1000
    assert attributes[0]["firsttoken.sequence"].int_value == 0
    assert attributes[-1]["firsttoken.sequence"].int_value == 9_999
    joined = [
        made["firsttoken.coalesced"].int_value for made in attributes if "firsttoken.coalesced" in made
    ]
    assert sum(joined) + len(attributes) - len(joined) == 10_000


def test_a_span_whose_chunks_do_not_fit_at_all_goes_without_them_and_counts_them() -> None:
    alone = entry(0)
    room = alone.request_size + len(alone.span.resource) + len(alone.span.scope) + 20
    batch = take_batch(queue_of(entry(0, chunk_events(100))), room, room, None, no_pause)
    (told,) = events_of(b"".join(encode_request(batch.entries, no_pause)))
    assert not told.events
    assert told.dropped_events_count == batch.lost_events == 100


def test_a_span_that_fits_nowhere_is_set_apart() -> None:
    batch = take_batch(
        queue_of(entry(0, attributes={"big": "x" * 5000}), entry(1)), 1000, 1000, None, no_pause
    )
    assert [each.number for each in batch.too_large] == [0]
    assert [each.number for each in batch.entries] == [1]


def test_a_batch_has_no_more_spans_than_asked() -> None:
    assert len(take_batch(queue_of(*map(entry, range(9))), 10**6, 10**6, 4, no_pause).entries) == 4


def test_texts_go_before_events_do() -> None:
    wordy = entry(0, chunk_events(50, texts=["x" * 5000] * 50))
    batch = take_batch(queue_of(wordy), 30_000, 30_000, None, no_pause)
    (told,) = events_of(b"".join(encode_request(batch.entries, no_pause)))
    assert len(told.events) == 50
    assert not any(pair.key == "firsttoken.text" for event in told.events for pair in event.attributes)
