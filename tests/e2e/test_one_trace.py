"""examples/one_trace.py, from the browser to the provider's last byte, as Jaeger has it."""

from __future__ import annotations

import re

import pytest

from tests.e2e.jaeger import Jaeger, Span
from tests.e2e.programs import output_of

RUN = """
import asyncio
import one_trace
from _replay import replaying
import firsttoken

firsttoken.configure(service_name="one-trace")
with replaying() as provider:
    asyncio.run(one_trace.main(provider))
assert firsttoken.shutdown(30)
"""
INTERNAL, SERVER, CLIENT = 1, 2, 3


@pytest.fixture(scope="module")
def trace(jaeger: Jaeger) -> list[Span]:
    printed = output_of(RUN, OTEL_EXPORTER_OTLP_ENDPOINT=jaeger.server.url("OTLP_HTTP_PORT"))
    told = re.search(r"traceresponse: 00-([0-9a-f]{32})-", printed)
    assert told, printed
    trace = jaeger.trace(told[1], spans=4)
    assert {span.service for span in trace} == {"one-trace"}
    return trace


def chain(trace: list[Span]) -> list[Span]:
    """Return the spans from the root to the call of the model."""
    spans = {span.span_id: span for span in trace}
    (call,) = [span for span in trace if span.attributes.get("gen_ai.operation.name") == "chat"]
    line = [call]
    while line[0].parent_id:
        line.insert(0, spans[line[0].parent_id])
    return line


def test_browser_server_stage_and_call_are_one_line_of_parents_and_children(trace: list[Span]) -> None:
    line = chain(trace)
    browser, server, *_, stage, call = line
    assert (browser.name, browser.kind) == ("browser", CLIENT)
    assert (server.name, server.kind) == ("GET /chat", SERVER)
    assert stage.name == "phrases"
    assert (call.kind, call.attributes["gen_ai.provider.name"]) == (CLIENT, "example")
    starts_ns = [span.start_ns for span in line]
    assert starts_ns == sorted(starts_ns)


def test_every_stream_in_it_has_its_own_first_token_and_all_its_tokens(trace: list[Span]) -> None:
    *_, stage, call = chain(trace)
    for span in (stage, call):
        count = span.attributes["firsttoken.chunk.count"]
        sequence = [event.attributes["firsttoken.sequence"] for event in span.named("firsttoken.chunk")]
        assert sequence == list(range(count))
        assert len(span.named("firsttoken.first_token")) == 1
        assert span.attributes["firsttoken.outcome"] == "completed"
    # Three words make a phrase: the stage has fewer chunks than the call, and its first one later.
    assert stage.attributes["firsttoken.chunk.count"] < call.attributes["firsttoken.chunk.count"]
    first = [span.named("firsttoken.first_token")[0].time_ns for span in (call, stage)]
    assert first == sorted(first)
