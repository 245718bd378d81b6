"""One trace, whole: what the page gets to draw it."""

from __future__ import annotations

import json

import pytest

from firsttoken._think.timeline import encode_timeline
from firsttoken.viewer import _traces

from .running import STARTED_NS, Running, key, put, request, span, stall, stream, viewing

TRACE = key(1).hex()
CHUNKS = 20_000


def chunk(sequence: int, at_s: float, **said: object) -> tuple[str, int, dict[str, object]]:
    at_ns = STARTED_NS + int(at_s * 1e9)
    return "firsttoken.chunk", at_ns, {"firsttoken.sequence": sequence, **said}


def test_spans_are_told_in_order_with_all_that_they_have(viewer: Running) -> None:
    message = request(
        stream(1, 2, 1),
        span(1, 1, attributes={"http.route": "/chat", "list": ["a"], "bytes": b"\x00"}, kind=2),
    )
    first = message.resource_spans[0].scope_spans[0].spans[1]
    first.start_time_unix_nano -= 500_000_000
    first.status.code, first.status.message = 2, "it failed"
    put(first.events.add(name="said", time_unix_nano=STARTED_NS).attributes, {"k": 1})
    first.links.add(trace_id=key(9), span_id=key(8, 8))
    viewer.post(message.SerializeToString())
    document = viewer.get(f"/api/traces/{TRACE.upper()}")
    outer, inner = document.pop("spans")
    assert document == {
        "trace_id": TRACE,
        "start_ms": STARTED_NS / 1e6 - 500,
        "duration_s": 4.5,
        "otlp": f"/api/traces/{TRACE}/otlp.json",
        "page": f"/api/traces/{TRACE}/page.html",
        "jaeger": None,
        "spans_left_out": 0,
    }
    assert outer == {
        "span_id": key(1, 8).hex(),
        "parent_id": None,
        "name": "span 1",
        "kind": "server",
        "service": "chat",
        "scope": "firsttoken",
        "start_s": 0.0,
        "duration_s": 4.5,
        "status": "error",
        "status_message": "it failed",
        "attributes": {"http.route": "/chat", "list": ["a"], "bytes": "AA=="},
        "events": [{"name": "said", "at_s": 0.5, "attributes": {"k": 1}}],
        "links": [{"trace_id": key(9).hex(), "span_id": key(8, 8).hex()}],
        "stream": None,
    }
    assert (inner["parent_id"], inner["start_s"], inner["status"]) == (key(1, 8).hex(), 0.5, "unset")
    detail = inner["stream"]
    assert detail["route"] == "/chat"
    assert detail["arrivals_s"] == [0.1, 0.4, 0.42, 4.0]
    assert detail["texts"] is None
    assert detail["error"] is None
    assert detail["finish_reasons"] == ["stop"]
    assert detail["usage"] == {"output_tokens": 100}
    (row,) = viewer.streams()
    for name, value in row.items():
        assert detail[name] == value, name


def test_milestones_are_told_in_the_stream_s_own_time(viewer: Running) -> None:
    events = [
        ("firsttoken.first_token", STARTED_NS + 400_000_000, {"firsttoken.sequence": 1}),
        stall("stage", 1.0, **{"firsttoken.stall.origin": "chat big"}),
        ("firsttoken.done", STARTED_NS + 3_900_000_000, {"firsttoken.done.marker": "[DONE]"}),
        ("firsttoken.error", STARTED_NS + 4_000_000_000, {"error.type": "ValueError"}),
        ("firsttoken.loop_block", STARTED_NS + 1_000_000_000, {"code.file.path": "/a.py"}),
        chunk(0, 0.1),
    ]
    viewer.post(request(stream(1, error__type="ValueError", events=events)).SerializeToString())
    (shown,) = viewer.get(f"/api/traces/{TRACE}")["spans"]
    detail = shown["stream"]
    assert (detail["first_token_s"], detail["first_chunk_s"]) == (0.4, 0.1)
    assert (detail["done_s"], detail["done_marker"]) == (3.9, "[DONE]")
    assert detail["error"] == {"type": "ValueError", "at_s": 4.0}
    (only,) = detail["stalls"]
    assert (only["cause"], only["origin"], only["at_s"]) == ("stage", "chat big", 1.0)
    # The timeline has all chunks; everything else stays.
    assert {event["name"] for event in shown["events"]} == {event[0] for event in events[:5]}


def test_captured_text_stands_at_the_chunk_it_came_with(viewer: Running) -> None:
    events = [
        chunk(0, 0.1),
        chunk(1, 0.4, **{"firsttoken.text": "<b>"}),
        chunk(2, 0.42, **{"firsttoken.text": "both of", "firsttoken.coalesced": 2}),
        chunk(7, 4.0, **{"firsttoken.text": "nowhere"}),
    ]
    viewer.post(request(stream(1, events=events)).SerializeToString())
    (shown,) = viewer.get(f"/api/traces/{TRACE}")["spans"]
    assert shown["stream"]["texts"] == [None, "<b>", "both of", None]


def test_without_a_timeline_the_chunk_events_are_the_arrivals(viewer: Running) -> None:
    events = [chunk(0, 0.1), chunk(1, 0.4), chunk(2, 0.5)]
    fields = stream(1, firsttoken__timeline=None, events=events)
    viewer.post(request(fields).SerializeToString())
    (shown,) = viewer.get(f"/api/traces/{TRACE}")["spans"]
    assert shown["stream"]["arrivals_s"] == [0.1, 0.4, 0.5]
    assert shown["stream"]["truncated_detail"] is True


def test_without_either_the_events_are_all_there_is(viewer: Running) -> None:
    viewer.post(request(stream(1, firsttoken__timeline=None)).SerializeToString())
    (shown,) = viewer.get(f"/api/traces/{TRACE}")["spans"]
    assert shown["stream"]["arrivals_s"] == []


def test_a_long_stream_is_told_whole(viewer: Running) -> None:
    arrivals = [STARTED_NS + number * 1_000_000 for number in range(CHUNKS)]
    timeline = encode_timeline(arrivals, STARTED_NS, lambda: None)
    events = [
        chunk(number, number / 1000, **{"firsttoken.coalesced": 20}) for number in range(0, CHUNKS, 20)
    ]
    fields = stream(1, firsttoken__timeline=timeline, firsttoken__chunk__count=CHUNKS, events=events)
    assert viewer.post(request(fields).SerializeToString()).content == b""
    (shown,) = viewer.get(f"/api/traces/{TRACE}")["spans"]
    assert len(shown["stream"]["arrivals_s"]) == CHUNKS
    assert shown["events"] == []
    otlp = json.loads(viewer.client.get(f"/api/traces/{TRACE}/otlp.json").content)
    assert len(otlp["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["events"]) == 1000


def test_a_trace_that_is_not_kept_is_not_found(viewer: Running) -> None:
    for ending in ("", "/otlp.json", "/page.html"):
        answer = viewer.client.get(f"/api/traces/{TRACE}{ending}")
        assert answer.status_code == 404
        assert answer.json()["error"].startswith("there is no such trace here")


def test_of_a_huge_trace_the_first_spans_are_shown_and_the_rest_is_counted(
    viewer: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = [span(1, number, attributes={"noise": "x" * 1000}) for number in range(1, 101)]
    viewer.post(request(*spans).SerializeToString())
    monkeypatch.setattr(_traces, "SPANS_MAX", 70)
    document = viewer.get(f"/api/traces/{TRACE}")
    assert (len(document["spans"]), document["spans_left_out"]) == (70, 30)
    monkeypatch.setattr(_traces, "SHOWN_MAX_BYTES", 10_000)
    document = viewer.get(f"/api/traces/{TRACE}")
    assert len(document["spans"]) == 100 - document["spans_left_out"] < 10
    monkeypatch.setattr(_traces, "DOWNLOAD_MAX_BYTES", 10_000)
    answer = viewer.client.get(f"/api/traces/{TRACE}/otlp.json")
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("the trace has ")


def test_a_jaeger_is_linked_to_where_it_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("jaeger") / "traces.db"
    with viewing(path, jaeger="http://127.0.0.1:16686/trace/") as running:
        running.post(request(stream(1)).SerializeToString())
        assert running.get(f"/api/traces/{TRACE}")["jaeger"] == f"http://127.0.0.1:16686/trace/{TRACE}"
