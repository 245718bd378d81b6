"""Requests as they arrive at a collector."""

from __future__ import annotations

import ssl

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
