"""`firsttoken demo`, as Jaeger has it: what the demo says of its streams is what is stored of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.cli.runs import Run, start
from tests.e2e.jaeger import Jaeger, Span

#: The demo rounds arrivals to microseconds.
ROUNDED_NS = 1_000
SERVER, CLIENT = 2, 3


@pytest.fixture(scope="module")
def run(jaeger: Jaeger) -> Run:
    endpoint = jaeger.server.url("OTLP_HTTP_PORT")
    done = Run.of(start("--json", "--seed", "2", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint))
    assert done.code == 0, done.out + done.err
    return done


CLIENTS = ("healthy", "slow reader", "leaves early", "upstream cut", "blocks loop")


@pytest.fixture(params=CLIENTS)
def told(request: pytest.FixtureRequest, run: Run) -> dict[str, Any]:
    stream: dict[str, Any] = run.stream(request.param)["told"]
    return stream


@pytest.fixture
def span(told: dict[str, Any], jaeger: Jaeger) -> Span:
    """Return the span of the call to the model, out of the trace that Jaeger has."""
    return next(each for each in jaeger.trace(told["trace_id"], spans=2) if each.span_id == told["span_id"])


def test_every_token_event_is_there_with_its_sequence_and_its_time(
    told: dict[str, Any], span: Span
) -> None:
    events = span.named("firsttoken.chunk")
    assert [event.attributes["firsttoken.sequence"] for event in events] == list(range(told["chunk_count"]))
    assert told["chunk_count"] > 20
    arrived_ns = [told["started_ns"] + round(at_s * 1e9) for at_s in told["arrivals_s"]]
    assert [event.time_ns for event in events] == pytest.approx(arrived_ns, rel=0, abs=ROUNDED_NS)
    gaps_s = [(later.time_ns - earlier.time_ns) / 1e9 for earlier, later in pairwise(events)]
    assert [event.attributes["firsttoken.gap"] for event in events[1:]] == pytest.approx(gaps_s, abs=1e-8)
    assert "firsttoken.gap" not in events[0].attributes


def test_events_come_back_sorted_by_name_so_their_order_is_in_their_sequence(span: Span) -> None:
    names = [event.name for event in span.events]
    assert names == sorted(names)


def test_the_first_token_is_told_apart_from_the_first_chunk(told: dict[str, Any], span: Span) -> None:
    (first,) = span.named("firsttoken.first_token")
    took_s = (first.time_ns - span.start_ns) / 1e9
    assert took_s == pytest.approx(told["time_to_first_token_s"], abs=1e-6)
    assert span.attributes["firsttoken.time_to_first_token"] == pytest.approx(took_s, abs=1e-8)
    # The first chunk has a role and no content: an answer that counts it is early.
    assert first.attributes["firsttoken.sequence"] == 1
    assert span.attributes["gen_ai.response.time_to_first_chunk"] < took_s


PLACE = {"file": "code.file.path", "line": "code.line.number", "function": "code.function.name"}


def test_each_stall_is_there_with_its_cause_and_its_place(told: dict[str, Any], span: Span) -> None:
    stalls = span.named("firsttoken.stall")
    assert span.attributes["firsttoken.stall.count"] == len(stalls) == len(told["stalls"])
    for event, stall in zip(stalls, told["stalls"], strict=True):
        assert event.attributes["firsttoken.stall.cause"] == stall["cause"]
        assert event.attributes["firsttoken.stall.duration"] == pytest.approx(stall["duration_s"], abs=1e-6)
        assert {name: event.attributes.get(key) for name, key in PLACE.items()} == {
            name: stall[name] for name in PLACE
        }


def test_the_line_that_blocked_the_event_loop_is_named(run: Run, jaeger: Jaeger) -> None:
    told = run.stream("blocks loop")["told"]
    (span,) = [each for each in jaeger.trace(told["trace_id"], spans=2) if each.span_id == told["span_id"]]
    places = {
        (event.attributes["code.file.path"].rpartition("/")[2], event.attributes["code.function.name"])
        for event in span.named("firsttoken.stall")
        if event.attributes["firsttoken.stall.cause"] == "event_loop"
    }
    assert places == {("chat.py", "save_log")}


def test_how_it_ended_is_there(told: dict[str, Any], span: Span) -> None:
    assert span.attributes["firsttoken.outcome"] == told["outcome"]
    assert len(span.named("firsttoken.done")) == (told["outcome"] == "completed")
    assert len(span.named("firsttoken.error")) == (told["outcome"] == "failed")
    assert span.status == (2 if told["outcome"] == "failed" else 0)
    assert span.attributes.get("error.type") == told["error_type"]


def test_the_five_clients_end_in_three_ways(run: Run) -> None:
    outcomes = {client: run.stream(client)["told"]["outcome"] for client in CLIENTS}
    assert outcomes == {
        "healthy": "completed",
        "slow reader": "completed",
        "leaves early": "cancelled",
        "upstream cut": "failed",
        "blocks loop": "completed",
    }


def test_the_call_is_below_the_request_that_caused_it(span: Span, jaeger: Jaeger) -> None:
    trace = {each.span_id: each for each in jaeger.trace(span.trace_id, spans=2)}
    above = trace[span.parent_id]
    while above.parent_id:
        above = trace[above.parent_id]
    assert (span.kind, above.kind) == (CLIENT, SERVER)
    assert above.name.startswith("POST /chat")
    assert above.start_ns <= span.start_ns


def test_a_trace_that_nobody_sent_is_not_found(jaeger: Jaeger) -> None:
    assert jaeger.ask("0123456789abcdef0123456789abcdef").status_code == 404
