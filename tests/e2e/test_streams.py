"""Many streams, a huge one, and streams over gRPC: all of it arrives in Jaeger, or says what is missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import firsttoken
from firsttoken.export import CAP_BYTES
from tests.e2e.conftest import StartCollector, StartTelling, Told
from tests.e2e.jaeger import Jaeger, Span
from tests.e2e.programs import output_of
from tests.e2e.servers import eventually

STREAMS = 1000


async def answer(chunks: int) -> AsyncIterator[dict[str, Any]]:
    for number in range(chunks):
        await asyncio.sleep(0)
        yield {"choices": [{"index": 0, "delta": {"content": f"word {number} "}, "finish_reason": None}]}
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def is_last(chunk: dict[str, Any]) -> bool:
    return chunk["choices"][0]["finish_reason"] is not None


async def read(told: Told, chunks: int) -> str:
    """Read a stream of so many chunks and the one that says it is done; return its trace id."""
    stream = firsttoken.trace_stream(
        answer(chunks), model="m", done=is_last, decoder="openai.chat", tracer_provider=told.provider
    )
    async for _ in stream:
        pass
    assert stream.trace_id is not None
    return stream.trace_id


async def read_many(told: Told, counts: list[int]) -> dict[str, int]:
    ids = await asyncio.gather(*(read(told, chunks) for chunks in counts))
    return dict(zip(ids, counts, strict=True))


def is_complete(span: Span, chunks: int) -> bool:
    """Whether every chunk has its event, in the order of its time, and both ends are told."""
    events = span.named("firsttoken.chunk")
    times_ns = [event.time_ns for event in events]
    return (
        [event.attributes["firsttoken.sequence"] for event in events] == list(range(chunks + 1))
        and times_ns == sorted(times_ns)
        and len(span.named("firsttoken.first_token")) == len(span.named("firsttoken.done")) == 1
        and span.attributes["firsttoken.outcome"] == "completed"
        and span.attributes["firsttoken.chunk.count"] == chunks + 1
    )


def test_a_thousand_streams_arrive_complete(jaeger: Jaeger, tell: StartTelling) -> None:
    told = tell(jaeger.server.traces_url)
    streams = asyncio.run(read_many(told, [20 + number % 60 for number in range(STREAMS)]))
    assert firsttoken.flush(60)
    assert told.processor.flush(60)
    counts = told.processor.statistics()
    assert (counts.accepted, counts.dropped, counts.events_dropped) == (STREAMS, {}, {})
    service = "test_a_thousand_streams_arrive_complete"
    found = eventually(
        lambda: found if len(found := jaeger.search(service)) == STREAMS else None, "all of them in Jaeger"
    )
    assert found.keys() == streams.keys()
    incomplete = [id_ for id_, (span,) in found.items() if not is_complete(span, streams[id_])]
    assert incomplete == []


LARGE = """
import sys
import firsttoken
from firsttoken.export import statistics

firsttoken.configure(service_name="large", max_events=100_000)
stream = firsttoken.trace_stream(iter(["w "] * int(sys.argv[1])), model="m", decoder="text", done=None)
for _ in stream:
    pass
assert firsttoken.shutdown(60)
counts = statistics()
print(stream.trace_id, counts.accepted, sum(counts.dropped.values()), counts.bytes_sent)
"""


def test_a_span_too_large_for_a_request_arrives_thinned_with_both_its_ends(jaeger: Jaeger) -> None:
    chunks = 100_000
    printed = output_of(LARGE, str(chunks), OTEL_EXPORTER_OTLP_ENDPOINT=jaeger.server.url("OTLP_HTTP_PORT"))
    trace_id, accepted, dropped, sent = printed.split()
    assert (int(accepted), int(dropped)) == (1, 0)
    assert int(sent) <= CAP_BYTES
    (span,) = jaeger.trace(trace_id)
    assert span.attributes["firsttoken.chunk.count"] == chunks
    events = span.named("firsttoken.chunk")
    assert 1_000 < len(events) < chunks
    # Neighbours were joined: an event stands for itself and those that it says it is joined of.
    assert sum(event.attributes.get("firsttoken.coalesced", 1) for event in events) == chunks
    assert len(span.named("firsttoken.first_token")) == 1
    assert span.attributes["firsttoken.outcome"] == "completed"


OVER_GRPC = """
import json
import sys
import firsttoken
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.resources import Resource
from firsttoken.export import StreamSpanProcessor

provider = TracerProvider(
    resource=Resource({"service.name": "over-grpc"}), span_limits=SpanLimits(max_events=2000)
)
processor = StreamSpanProcessor(exporter=OTLPSpanExporter(sys.argv[1], insecure=True))
provider.add_span_processor(processor)
ids = []
for _ in range(20):
    stream = firsttoken.trace_stream(iter("token" * 100), model="m", tracer_provider=provider)
    for _ in stream:
        pass
    ids.append(stream.trace_id)
assert firsttoken.shutdown(30) and processor.shutdown(30)
assert processor.statistics().accepted == 20, processor.statistics()
print(json.dumps(ids))
"""


def over_grpc(address: str, jaeger: Jaeger) -> None:
    ids = json.loads(output_of(OVER_GRPC, address))
    for trace_id in ids:
        (span,) = jaeger.trace(trace_id)
        sequence = [event.attributes["firsttoken.sequence"] for event in span.named("firsttoken.chunk")]
        assert sequence == list(range(500))


def test_any_stock_exporter_carries_every_event_over_grpc_to_jaeger(jaeger: Jaeger) -> None:
    over_grpc(jaeger.server.address("OTLP_GRPC_PORT"), jaeger)


def test_any_stock_exporter_carries_every_event_over_grpc_through_the_collector(
    jaeger: Jaeger, collector: StartCollector
) -> None:
    over_grpc(collector(KEEP_PERCENT=100).address("OTLP_GRPC_PORT"), jaeger)
