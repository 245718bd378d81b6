"""A viewer on a real socket, in a thread of the test's process, and spans to send to it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from firsttoken._think.timeline import encode_timeline
from firsttoken.viewer._app import Access, Viewer
from firsttoken.viewer._server import Server, listen, url_of
from firsttoken.viewer._store import DEFAULT_MAX_BYTES, Store

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
DEADLINE_S = 60.0
STARTED_NS = 1_767_225_600_000_000_000


@dataclass(frozen=True)
class Running:
    """A viewer that serves."""

    viewer: Viewer
    url: str
    client: httpx.Client

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.client.post("/v1/traces", content=body, headers=headers or PROTOBUF)

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def streams(self, **parameters: Any) -> list[dict[str, Any]]:
        streams: list[dict[str, Any]] = self.get("/api/streams", **parameters)["streams"]
        return streams


@contextmanager
def viewing(
    path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, access: Access | None = None, **options: Any
) -> Iterator[Running]:
    """Serve a store at `path` until the block ends."""
    store = Store(path, max_bytes)
    viewer = Viewer(store, access=access or Access(), **options)
    with listen("127.0.0.1", 0) as listener:
        url = url_of(listener)
        server = Server(viewer, listener)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            until(lambda: server.is_serving)
            with httpx.Client(base_url=url, timeout=DEADLINE_S, trust_env=False) as client:
                yield Running(viewer, url, client)
        finally:
            server.stop()
            thread.join(DEADLINE_S)
            store.close()
            assert not thread.is_alive()


def connected(running: Running) -> socket.socket:
    """Return a connection to a viewer, on which nothing was said."""
    url = httpx.URL(running.url)
    return socket.create_connection((url.host, url.port or 0), timeout=DEADLINE_S)


def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Return what `condition` returns once it is true."""
    give_up_s = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < give_up_s, "it did not come true in time"
        time.sleep(0.01)
    return found


def key(number: int, size: int = 16) -> bytes:
    """Return an id."""
    return number.to_bytes(size, "big")


def request(*spans: dict[str, Any], service: str = "chat") -> ExportTraceServiceRequest:
    """Return an export request; each span as `span` makes it."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    put(group.resource.attributes, {"service.name": service})
    scope = group.scope_spans.add()
    scope.scope.name = "firsttoken"
    for fields in spans:
        attributes, events = fields.pop("attributes", {}), fields.pop("events", [])
        span = scope.spans.add(**fields)
        put(span.attributes, attributes)
        for name, at_ns, said in events:
            put(span.events.add(name=name, time_unix_nano=at_ns).attributes, said)
    return message


def span(trace: int, number: int, parent: int | None = None, **fields: Any) -> dict[str, Any]:
    """Return the fields of a span of 4 s."""
    return {
        "trace_id": key(trace),
        "span_id": key(number, 8),
        "parent_span_id": b"" if parent is None else key(parent, 8),
        "name": f"span {number}",
        "start_time_unix_nano": STARTED_NS,
        "end_time_unix_nano": STARTED_NS + 4_000_000_000,
        **fields,
    }


def stream(trace: int, number: int = 1, parent: int | None = None, **said: Any) -> dict[str, Any]:
    """Return the fields of a stream's span: four chunks in 4 s, the first two at 0.1 and 0.4 s.

    said: attributes besides or instead of those; None for none of that name.
    """
    arrivals = [STARTED_NS + ns for ns in (100_000_000, 400_000_000, 420_000_000, 4_000_000_000)]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small",
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.response.time_to_first_chunk": 0.1,
        "gen_ai.response.finish_reasons": ["stop"],
        "firsttoken.outcome": "completed",
        "firsttoken.time_to_first_token": 0.4,
        "firsttoken.chunk.count": 4,
        "firsttoken.gap.p50": 0.02,
        "firsttoken.gap.p95": 3.58,
        "firsttoken.gap.p99": 3.58,
        "firsttoken.gap.max": 3.58,
        "firsttoken.stall.count": 0,
        "firsttoken.stall.threshold": 5.0,
        "firsttoken.wait": 3.9,
        "firsttoken.hold": 0.1,
        "firsttoken.loop_blocked": 0.0,
        "firsttoken.tokens_per_second": 25.0,
        "firsttoken.time_per_output_token": 0.04,
        "firsttoken.timeline": encode_timeline(arrivals, STARTED_NS, lambda: None),
        **{name.replace("__", "."): value for name, value in said.items() if name != "events"},
    }
    known = {name: value for name, value in attributes.items() if value is not None}
    fields = span(trace, number, parent, name="chat small", attributes=known)
    return {**fields, "events": said.get("events", [])}


def stall(cause: str, at_s: float = 1.0, **said: Any) -> tuple[str, int, dict[str, Any]]:
    """Return a stall's event."""
    attributes = {
        "firsttoken.stall.cause": cause,
        "firsttoken.stall.duration": 1.5,
        "firsttoken.wait": 1.5,
        "firsttoken.hold": 0.0,
        "firsttoken.loop_blocked": 0.0,
    }
    return "firsttoken.stall", STARTED_NS + int(at_s * 1e9), {**attributes, **said}


def put(pairs: Any, attributes: dict[str, Any]) -> None:
    """Add attributes to a protobuf message."""
    for name, value in attributes.items():
        put_value(pairs.add(key=name).value, value)


def put_value(into: Any, value: Any) -> None:
    if isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int):
        into.int_value = value
    elif isinstance(value, float):
        into.double_value = value
    elif isinstance(value, bytes):
        into.bytes_value = value
    elif isinstance(value, (list, tuple)):
        into.array_value.SetInParent()
        for each in value:
            put_value(into.array_value.values.add(), each)
    else:
        into.string_value = value
