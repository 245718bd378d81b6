"""Where traces go besides the memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from firsttoken.cli import _collector
from firsttoken.cli._collector import (
    Collector,
    endpoint_named,
    find_collector,
    probe,
    protocol_named,
    traces_url,
)


class Answering(BaseHTTPRequestHandler):
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status if self.path == "/v1/traces" else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[200, 500])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("Handler", (Answering,), {"status": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_endpoint() -> Iterator[str]:
    """Return where nobody listens: the port is ours, and bound to nothing that answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_whatever_takes_traces_at_the_usual_place_is_used(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_collector, "DEFAULT_ENDPOINT", endpoint)
    collector, says = find_collector({})
    if probe(f"{endpoint}/v1/traces") == 200:
        assert collector == Collector(endpoint, f"{endpoint}/v1/traces")
        assert says == f"A collector answers at {endpoint}: the traces go there as well."
    else:
        assert collector is None
        assert "what answers (500) is no OTLP collector" in says


def test_where_nothing_answers_memory_is_enough(
    closed_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_collector, "DEFAULT_ENDPOINT", closed_endpoint)
    assert probe(f"{closed_endpoint}/v1/traces") is None
    collector, says = find_collector({})
    assert collector is None
    assert f"nothing answers at {closed_endpoint}" in says


def test_the_environment_goes_first_and_is_not_tried() -> None:
    collector, says = find_collector({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret@collector:4318"})
    assert collector == Collector("http://collector:4318", None)
    assert "secret" not in says


def test_an_environment_that_wants_no_export_gets_none() -> None:
    collector, says = find_collector(
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    )
    assert collector is None
    assert "OTEL_TRACES_EXPORTER is none" in says


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/"}, "http://c:1/v1/traces"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:2/x",
            },
            "http://t:2/x",
        ),
    ],
)
def test_the_url_of_traces_follows_the_specification(environ: dict[str, str], url: str) -> None:
    assert traces_url(environ) == url
    assert endpoint_named(environ) == ((environ and list(environ.values())[-1]) or None)


def test_the_protocol_of_traces_goes_before_the_one_of_all() -> None:
    both = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    assert protocol_named(both) == "http/protobuf"
    assert protocol_named({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) == "grpc"
    assert protocol_named({}) == "http/protobuf"


@pytest.mark.parametrize("text", ["no url at all", "http://[::1"])
def test_what_is_no_url_is_no_reason_to_fail(text: str) -> None:
    assert probe(text) is None
    assert find_collector({"OTEL_EXPORTER_OTLP_ENDPOINT": text})[0] == Collector(text, None)
