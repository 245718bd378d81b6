"""Requests as they arrive at a collector."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import firsttoken
from firsttoken.export import StreamSpanProcessor
from tests.export import collector as c
from tests.export import tls
from tests.export.collector import Collector
from tests.export.faults import end_spans, processor_for


def test_headers_compression_and_content_type_are_sent(collector: Collector) -> None:
    ours = processor_for(collector, headers={"X-Key": "secret"}, compression="gzip")
    end_spans(ours)
    assert ours.shutdown(30)
    (request,) = collector.requests
    assert request.path == "/v1/traces"
    assert request.headers["x-key"] == "secret"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["content-encoding"] == "gzip"
    assert len(collector.accepted) == 6


def test_every_header_value_that_is_allowed_arrives_as_it_is(collector: Collector) -> None:
    sent = {"x-latin": "\x80é ÿ", "x-empty": "", "x-inner": "a b\tc"}
    ours = processor_for(collector, headers=sent)
    end_spans(ours)
    assert ours.shutdown(30)
    (request,) = collector.requests
    assert {name: request.headers[name] for name in sent} == sent


def test_credentials_in_the_endpoint_arrive_as_basic_authorization(collector: Collector) -> None:
    url = collector.url.replace("//", "//me:secret@")
    ours = StreamSpanProcessor(url, schedule_delay_s=60)
    end_spans(ours)
    assert ours.shutdown(30)
    (request,) = collector.requests
    assert request.headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert request.headers["host"] == f"127.0.0.1:{collector.port}"


def test_one_connection_is_kept_and_replaced_when_the_server_closed_it(collector: Collector) -> None:
    collector.then(c.accept, c.close_politely, c.accept)
    ours = processor_for(collector)
    for number in range(3):
        end_spans(ours, 1, first=number + 1)
        assert ours.flush(30)
    assert ours.statistics().requests == {"200": 3}
    assert len(collector.accepted) == 3
    ours.shutdown()


def test_https_with_a_certificate_of_one_s_own() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.CERTIFICATE, tls.KEY)
    with Collector(context=server) as collector:
        ours = processor_for(collector, certificate=str(tls.AUTHORITY))
        end_spans(ours)
        assert ours.shutdown(30)
        assert len(collector.accepted) == 6


def test_certificates_are_read_beside_the_loop_so_that_deadlines_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    let_go, threads = threading.Event(), []

    def slow(**_: object) -> ssl.SSLContext:
        threads.append(threading.current_thread().name)
        let_go.wait(60)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(ssl, "create_default_context", slow)
    url = "https://127.0.0.1:9/v1/traces"
    ours = StreamSpanProcessor(url, schedule_delay_s=60, certificate="some", spool_dir=tmp_path)
    end_spans(ours, 3)
    # Not delivered in time, but put where it is safe in time.
    assert ours.flush(5)
    assert ours.statistics().spooled == 3
    end_spans(ours, 1)
    assert ours.flush(1)
    # One that is slow is waited for again, not read once more.
    assert threads == ["firsttoken-tls"]
    let_go.set()
    ours.shutdown()


def test_a_client_shows_its_certificate() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.CERTIFICATE, tls.KEY)
    server.load_verify_locations(tls.AUTHORITY)
    server.verify_mode = ssl.CERT_REQUIRED
    with Collector(context=server) as collector:
        ours = processor_for(
            collector,
            certificate=str(tls.AUTHORITY),
            client_certificate=str(tls.CERTIFICATE),
            client_key=str(tls.KEY),
        )
        end_spans(ours)
        assert ours.shutdown(30)
        assert len(collector.accepted) == 6


def test_what_sends_the_traces_is_not_traced_itself(collector: Collector) -> None:
    contrib = pytest.importorskip("opentelemetry.instrumentation.httpx", reason="needs contrib's httpx")
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    theirs = contrib.HTTPXClientInstrumentor()
    theirs.instrument(tracer_provider=provider)
    # As if the collector were a model: then nothing but the suppression keeps ours away.
    firsttoken.instrument(hosts=["127.0.0.1"], tracer_provider=provider)
    try:
        url = collector.url.replace("/v1/traces", "/v1/chat/completions")
        ours = StreamSpanProcessor(url, schedule_delay_s=60)
        end_spans(ours)
        assert ours.shutdown(30)
    finally:
        firsttoken.uninstrument()
        theirs.uninstrument()
    (request,) = collector.requests
    assert "traceparent" not in request.headers
    assert firsttoken.flush(30)
    assert not memory.get_finished_spans()


def test_a_proxy_of_the_environment_is_used(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{collector.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    ours = StreamSpanProcessor("http://collector.example:4318/v1/traces", schedule_delay_s=60)
    end_spans(ours)
    assert ours.shutdown(30)
    assert [request.path for request in collector.requests] == ["http://collector.example:4318/v1/traces"]


def test_a_proxy_without_a_scheme_is_spoken_to_by_http(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{collector.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    ours = StreamSpanProcessor("http://collector.example:4318/v1/traces", schedule_delay_s=60)
    end_spans(ours)
    assert ours.shutdown(30)
    assert [request.path for request in collector.requests] == ["http://collector.example:4318/v1/traces"]


def test_a_host_the_environment_excepts_is_reached_without_its_proxy(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    ours = processor_for(collector)
    end_spans(ours)
    assert ours.shutdown(30)
    assert len(collector.accepted) == 6
