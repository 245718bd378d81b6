"""Bodies that mean harm, or nothing at all, get a 4xx and harm nothing."""

from __future__ import annotations

import gzip
import json
import resource
import sys
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from firsttoken.viewer import _batch, _intake
from firsttoken.viewer._otlp_json import to_json

from .running import JSON, PROTOBUF, Running, key, request, span, stall, stream, viewing

WHOLE = request(
    stream(1, events=[stall("consumer")]), span(1, 2, 1), stream(2, 3, gen_ai__request__model="<b>")
).SerializeToString()
WHOLE_JSON = to_json(WHOLE)
REFUSALS = {400, 413, 415}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One viewer for all: what a body leaves behind is there for the next."""
    with viewing(tmp_path_factory.mktemp("hostile") / "traces.db") as running:
        yield running


def still_works(viewer: Running) -> None:
    """Check that every answer can still be made from whatever was taken."""
    for found in viewer.streams(limit=1000):
        viewer.get(f"/api/traces/{found['trace_id']}")
        viewer.get(f"/api/traces/{found['trace_id']}/otlp.json")
    viewer.get("/api/distributions", by="model")
    viewer.get("/api/health")


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return a body with a few bytes changed, cut out, doubled or put in."""
    body = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        size = draw(st.integers(0, 40))
        how = draw(st.sampled_from(["flip", "cut", "double", "insert", "end"]))
        if how == "flip" and body:
            body[at] = draw(st.integers(0, 255))
        elif how == "cut":
            del body[at : at + size]
        elif how == "double":
            body[at:at] = body[at : at + size]
        elif how == "insert":
            body[at:at] = draw(st.binary(max_size=8))
        else:
            del body[at:]
    return bytes(body)


OFTEN = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@OFTEN
@given(mutated(WHOLE))
def test_no_mutation_of_protobuf_is_an_error_of_ours(one: Running, body: bytes) -> None:
    assert one.post(body).status_code in {200, *REFUSALS}


@OFTEN
@given(mutated(WHOLE_JSON))
def test_no_mutation_of_json_is_an_error_of_ours(one: Running, body: bytes) -> None:
    assert one.post(body, JSON).status_code in {200, *REFUSALS}


@OFTEN
@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists),
    st.sampled_from([(), ("resourceSpans",), ("scopeSpans", "resourceSpans")]),
)
def test_no_json_of_another_shape_is_an_error_of_ours(one: Running, value: Any, names: Any) -> None:
    holder = value
    for name in names:
        holder = {name: [holder]}
    assert one.post(json.dumps(holder).encode(), JSON).status_code in {200, *REFUSALS}


def test_after_all_that_everything_can_still_be_read(one: Running) -> None:
    for seed in range(100):
        body = bytearray(WHOLE)
        for _ in range(3):
            body[Random(seed).randrange(len(body))] = Random(seed + 1).randrange(256)
        one.post(bytes(body))
    one.post(WHOLE)
    still_works(one)


WRONG = {
    "firsttoken__outcome": [1, True, b"\xff", ["completed"], ""],
    "firsttoken__time_to_first_token": ["soon", float("nan"), float("inf"), -1.0, True],
    "firsttoken__timeline": ["not base64", "gICA" * 60_000, "//8=", 7, "A" * 400_000, ""],
    "firsttoken__chunk__count": [-5, 2**63 - 1, "many"],
    "firsttoken__wait": ["", float("-inf")],
    "gen_ai__request__model": ["\x00\x1b[31m", "‮evil", "x" * 100_000, 1.5],
    "gen_ai__response__finish_reasons": ["stop", [1, "stop"], 3],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values], ids=repr
)
def test_an_attribute_of_another_type_is_taken_as_absent(one: Running, name: str, value: Any) -> None:
    trace = 1000 + abs(hash((name, repr(value)))) % 10**6
    answer = one.post(request(stream(trace, **{name: value})).SerializeToString())
    assert (answer.status_code, answer.content) == (200, b"")
    document = one.get(f"/api/traces/{key(trace).hex()}")
    assert len(document["spans"]) == 1
    still_works(one)


BOMB = 200 << 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
def test_a_bomb_is_refused_before_it_goes_off(one: Running, headers: dict[str, str], encoding: str) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(BOMB >> 20)), packer.flush()])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = one.post(bomb, {**headers, "content-encoding": encoding})
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert answer.status_code == 413
    assert "at most" in answer.text
    if sys.platform == "linux":  # there it is in KiB
        assert grown < BOMB >> 11


def test_a_body_over_the_limit_is_refused_as_it_comes(one: Running) -> None:
    assert one.post(bytes(_intake.BODY_MAX_BYTES + 1)).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range((_intake.BODY_MAX_BYTES >> 20) + 1):
            yield bytes(1 << 20)

    answer = one.client.post("/v1/traces", content=pieces(), headers=PROTOBUF)  # no content-length
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(WHOLE)[:-9], "gzip"),
        (b"no gzip", "gzip"),
        (gzip.compress(WHOLE), "deflate"),
        (b"", "gzip"),
    ],
)
def test_what_is_not_in_its_encoding_is_refused(one: Running, body: bytes, encoding: str) -> None:
    assert one.post(body, {**PROTOBUF, "content-encoding": encoding}).status_code == 400


def empty(field: int, count: int) -> bytes:
    """Return so many empty messages of a field."""
    return bytes([field << 3 | 2, 0]) * count


def inside(field: int, body: bytes) -> bytes:
    """Return a message that holds `body` in a field."""
    size, length = len(body), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([field << 3 | 2]) + bytes(length) + bytes([size]) + body


MANY = 5_000_000
CROWDS = {
    "resources": (empty(1, MANY), 400),
    "scopes": (inside(1, empty(2, MANY)), 400),
    "spans": (inside(1, inside(2, empty(2, MANY))), 400),
    "attributes of a resource": (inside(1, inside(1, empty(1, MANY)) + inside(2, b"")), 400),
}
PARTS = {"attributes": 9, "events": 11, "links": 13}


@pytest.mark.parametrize("crowd", CROWDS)
def test_a_crowd_of_empty_messages_is_counted_and_refused(one: Running, crowd: str) -> None:
    body, status = CROWDS[crowd]
    assert one.post(body).status_code == status


@pytest.mark.parametrize("part", PARTS)
def test_a_span_of_too_many_parts_is_refused_and_its_neighbours_are_not(one: Running, part: str) -> None:
    crowded = request(span(77, 1)).resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    crowded += empty(PARTS[part], 1_000_000)
    good = request(span(78, 1)).resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    answer = one.post(inside(1, inside(2, inside(2, crowded) + inside(2, good))))
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_spans) == (200, 1)
    assert f"at most {getattr(_batch, f'{part.upper()}_MAX')} {part}" in said.error_message
    assert one.client.get(f"/api/traces/{key(77).hex()}").status_code == 404
    assert one.client.get(f"/api/traces/{key(78).hex()}").status_code == 200


def test_depth_without_end_is_refused(one: Running) -> None:
    value = b""
    for _ in range(5000):
        value = inside(5, inside(1, value))
    crowded = request(span(79, 1)).resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    body = inside(1, inside(2, inside(2, crowded + inside(9, inside(2, value)))))
    assert one.post(body).status_code == 400
    for nested in (b"[" * 200_000, b'{"resourceSpans":' + b"[" * 100_000, b'{"a":' * 100_000):
        assert one.post(nested, JSON).status_code == 400


def test_strange_paths_and_queries_are_refused(one: Running) -> None:
    for path in (
        "/api/traces/../../etc/passwd",
        "/api/traces/zz",
        f"/api/traces/{'g' * 32}",
        "/page/..%2f__init__.py",
        "/page/%2e%2e/_app.py",
        "/page/__init__.py",
        "/page/",
        f"/page/{'a' * 300}.js",
        "/page/main.js%00",
        "/docs",
        "/openapi.json",
    ):
        assert one.client.get(path).status_code == 404, path
    for query in ("limit=-1", "limit=x", "sort=rowid;drop", "order=up", "min_ttft_s=nan", f"q={'x' * 501}"):
        answer = one.client.get(f"/api/streams?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["error"].startswith(query.partition("=")[0])
    assert one.get("/api/streams", q="'; DROP TABLE span; --", model="' OR 1=1 --")["total"] == 0
    still_works(one)
