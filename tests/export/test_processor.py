"""The processor as applications use it, against a collector on loopback."""

from __future__ import annotations

import gc
import logging
import threading
import weakref

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

import firsttoken
from firsttoken.export import CAP_BYTES, StreamSpanProcessor, _retry, carries, carrying
from tests.export import collector as c
from tests.export.collector import Collector
from tests.export.faults import end_spans, processor_for
from tests.export.spans import NOW, chunk_events, context, span


def provider_of(*processors: object) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    for each in processors:
        provider.add_span_processor(each)
    return provider


def test_ordinary_spans_arrive_as_the_stock_exporter_would_send_them(collector: Collector) -> None:
    ours, memory = processor_for(collector), InMemorySpanExporter()
    provider = provider_of(ours, SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("tests", "1", "https://schema", {"scope": "yes"})
    with tracer.start_as_current_span("parent", attributes={"a": 1, "b": ["x", "y"]}) as parent:
        parent.add_event("told", {"n": 2.5})
        tracer.start_span("child", links=[]).end()
    assert provider.force_flush(30_000)
    assert collector.requests[0].parsed() == encode_spans(memory.get_finished_spans())
    ours.shutdown()


def test_a_traced_stream_arrives_as_the_stock_exporter_sends_it(collector: Collector) -> None:
    """Field by field, every chunk event included: there are few enough for the SDK to keep them all."""
    with Collector() as theirs:
        ours = processor_for(collector)
        provider = provider_of(ours, SimpleSpanProcessor(OTLPSpanExporter(theirs.url)))
        chunks = [{"choices": [{"delta": {"content": f"word {n}"}}]} for n in range(40)]
        stream = firsttoken.trace_stream(
            iter(chunks), model="m", provider="p", decoder="openai.chat", tracer_provider=provider
        )
        assert len(list(stream)) == 40
        assert firsttoken.flush(30)
        assert ours.shutdown(30)
        told, expected = collector.requests[0].parsed(), theirs.requests[0].parsed()
    for request in (told, expected):
        # Which of two events of the same moment stands first means nothing.
        events = request.resource_spans[0].scope_spans[0].spans[0].events
        assert sum(event.name == "firsttoken.chunk" for event in events) == 40
        events.sort(key=lambda event: (event.time_unix_nano, event.name))
    assert told == expected


def test_a_stream_s_chunk_events_arrive_though_no_event_object_was_made(collector: Collector) -> None:
    ours = processor_for(collector)
    tracer = provider_of(ours).get_tracer("tests")
    stream = tracer.start_span("chat", start_time=NOW)
    stream.add_event("firsttoken.chunk", timestamp=NOW)
    stream.add_event("firsttoken.first_token", timestamp=NOW + 20_000_000)
    with carrying(stream.get_span_context().span_id, chunk_events(3)):
        stream.end()
    assert ours.flush(30)
    (told,) = collector.accepted
    # The thinned object, for other processors, is not told twice.
    assert [event.name.removeprefix("firsttoken.") for event in told.events] == [
        "chunk",
        "chunk",
        "first_token",
        "chunk",
    ]
    ours.shutdown()


def test_events_carried_for_one_span_are_not_told_of_another(collector: Collector) -> None:
    ours = processor_for(collector)
    with carrying(1, chunk_events(3)):
        ours.on_end(span(2))
    ours.on_end(span(1))
    assert ours.flush(30)
    assert [len(told.events) for told in collector.accepted] == [0, 0]
    ours.shutdown()


def test_every_processor_of_a_provider_gets_the_carried_events(collector: Collector) -> None:
    with Collector() as other:
        both = [processor_for(collector), processor_for(other)]
        tracer = provider_of(*both).get_tracer("tests")
        stream = tracer.start_span("chat")
        with carrying(stream.get_span_context().span_id, chunk_events(7)):
            stream.end()
        for each in both:
            assert each.shutdown(30)
        assert [len(told.events) for told in collector.accepted + other.accepted] == [7, 7]


def test_carries_says_how_many_processors_take_packed_events(collector: Collector) -> None:
    ours = processor_for(collector)
    stock = SimpleSpanProcessor(InMemorySpanExporter())
    assert carries(provider_of()) == "none"
    assert carries(provider_of(stock)) == "none"
    assert carries(provider_of(ours)) == "all"
    assert carries(provider_of(ours, stock)) == "some"
    assert carries(object()) == "none"
    threaded = ConcurrentMultiSpanProcessor()
    threaded.add_span_processor(ours)
    assert carries(TracerProvider(active_span_processor=threaded, shutdown_on_exit=False)) == "none"
    ours.shutdown()


def test_unsampled_spans_are_not_exported(collector: Collector) -> None:
    ours = processor_for(collector)
    ours.on_end(span(context=context(7, sampled=False)))
    assert ours.flush(30)
    assert not collector.requests
    assert ours.statistics().ended == 0
    ours.shutdown()


def test_a_span_that_is_recorded_but_not_sampled_is_left_alone(collector: Collector) -> None:
    class RecordOnly(Sampler):
        def should_sample(self, *_: object, **__: object) -> SamplingResult:
            return SamplingResult(Decision.RECORD_ONLY)

        def get_description(self) -> str:
            return "record only"

    ours = processor_for(collector)
    provider = TracerProvider(sampler=RecordOnly(), shutdown_on_exit=False)
    provider.add_span_processor(ours)
    recorded = provider.get_tracer("tests").start_span("recorded")
    assert recorded.is_recording()
    recorded.end()
    assert ours.statistics().ended == 0
    assert ours.shutdown(30)
    assert not collector.requests


def test_a_span_waits_for_others_no_longer_than_the_delay(collector: Collector) -> None:
    ours = StreamSpanProcessor(collector.url, schedule_delay_s=0.01)
    end_spans(ours, 1)
    assert collector.got_request.wait(30)
    ours.shutdown()


def test_a_full_request_goes_out_before_the_delay(collector: Collector) -> None:
    ours = processor_for(collector, request_bytes=20_000)
    end_spans(ours, 600)
    assert collector.got_request.wait(30)
    assert ours.shutdown(10)
    assert len(collector.accepted) == 600
    assert all(len(request.body) <= 20_000 for request in collector.requests)


def test_a_collector_that_restarts_gets_everything(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.01)
    ours = processor_for(collector)
    end_spans(ours, 3)
    assert ours.flush(30)
    collector.close()
    end_spans(ours, 3, first=4)
    assert not ours.flush(0.1)
    assert ours.statistics().waiting == 3
    with Collector(port=collector.port) as back:
        assert ours.flush(30)
        assert {told.span_id[-1] for told in back.accepted} == {4, 5, 6}
    ours.shutdown()


def test_a_span_over_the_cap_arrives_with_joined_events(collector: Collector) -> None:
    ours = processor_for(collector)
    with carrying(1, chunk_events(60_000)):
        ours.on_end(span(1))
    assert ours.flush(10)
    (request,) = collector.requests
    assert 1_000_000 < len(request.body) <= CAP_BYTES
    assert 10_000 < len(collector.accepted[0].events) < 60_000
    ours.shutdown()


def test_a_span_with_attributes_over_the_cap_arrives_without_the_largest(collector: Collector) -> None:
    ours = processor_for(collector)
    ours.on_end(span(1, attributes={"huge": "x" * (CAP_BYTES + 1), "small": 1}))
    assert ours.flush(10)
    (told,) = collector.accepted
    assert [pair.key for pair in told.attributes] == ["small"]
    assert told.dropped_attributes_count == 1
    ours.shutdown()


def test_a_span_that_cannot_be_encoded_is_counted_and_the_next_goes_on(collector: Collector) -> None:
    ours = processor_for(collector)
    ours.on_end(span(1, start_time=-1))
    ours.on_end(span(2))
    assert not ours.flush(30)
    assert ours.statistics().dropped == {"unencodable": 1}
    assert len(collector.accepted) == 1
    ours.shutdown()


def test_under_pressure_detail_goes_first_and_all_is_counted(collector: Collector) -> None:
    collector.then(c.hang)
    ours = processor_for(collector, queue_bytes=60_000, request_bytes=20_000)
    outcome = "firsttoken.outcome"
    for number in range(1, 101):
        attributes = {outcome: "abandoned" if number % 10 == 0 else "completed"}
        with carrying(number, chunk_events(500)):
            ours.on_end(span(number, attributes=attributes))
    assert not ours.flush(0.5)
    counts = ours.statistics()
    assert counts.ended == 100
    assert counts.events_dropped["queue_full"] > 500 * 50
    assert counts.waiting_bytes <= 60_000 + 2 * 20_000
    assert counts.waiting + sum(counts.dropped.values()) == 100
    ours.shutdown(0.1)


def test_after_shutdown_spans_are_refused_and_counted(collector: Collector) -> None:
    ours = processor_for(collector)
    end_spans(ours, 1)
    assert ours.shutdown(30)
    assert ours.flush(1), "nothing waits any more, and nothing was lost"
    end_spans(ours, 2)
    assert ours.statistics().dropped == {"already_shutdown": 2}
    assert ours.statistics().ended == 3
    assert not ours.flush(1)
    assert ours.flush(1), "what was lost was told"
    assert ours.shutdown(30)


def test_shutdown_of_a_processor_that_saw_nothing_is_quick_even_in_a_running_loop(
    collector: Collector,
) -> None:
    import asyncio

    async def main() -> bool:
        return processor_for(collector).shutdown(30)

    assert asyncio.run(main())


def test_many_threads_end_spans_while_others_flush(collector: Collector) -> None:
    ours = processor_for(collector)
    results = []

    def end_and_flush(first: int) -> None:
        end_spans(ours, 50, first=first)
        results.append(ours.flush(20))

    threads = [threading.Thread(target=end_and_flush, args=(1 + 50 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8
    assert len({told.span_id for told in collector.accepted}) == len(collector.accepted) == 400
    ours.shutdown()


def test_no_call_is_logged_more_than_once_a_minute(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.default = c.status(400)
    ours = processor_for(collector)
    for number in range(5):
        end_spans(ours, 1, first=number + 1)
        assert not ours.flush(30)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    ours.shutdown()


def test_a_forgotten_processor_goes_away(collector: Collector) -> None:
    ours = processor_for(collector)
    end_spans(ours, 1)
    assert ours.shutdown(30)
    gone = weakref.ref(ours)
    del ours
    gc.collect()
    assert gone() is None
