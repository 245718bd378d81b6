"""More than one machine, on one: two agents, two gateways, TLS between them, one Jaeger."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

import firsttoken
from tests.e2e.conftest import StartCollector, StartTelling
from tests.e2e.jaeger import Jaeger
from tests.e2e.servers import COLLECTOR_CONFIG, DEPLOY, PATIENCE_S, eventually
from tests.e2e.test_queue import metric
from tests.e2e.test_sampling import DECIDED, KEPT, NORMAL, run_all


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, Path]:
    """Return what TLS_* name: one authority, and one certificate, for either side."""
    authority = trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("TLS_CA_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE")}
    authority.cert_pem.write_to_path(files["TLS_CA_FILE"])
    pair = authority.issue_cert("127.0.0.1")
    pair.cert_chain_pems[0].write_to_path(files["TLS_CERT_FILE"])
    pair.private_key_pem.write_to_path(files["TLS_KEY_FILE"])
    return files


# What gateway.yaml has of TLS towards Jaeger is left out here: the Jaeger of these tests has none.
PLAIN_JAEGER = """
exporters:
  otlp_grpc/jaeger:
    tls: { insecure: true, ca_file: "", cert_file: "", key_file: "" }
"""


def test_each_trace_is_decided_by_one_gateway_from_whichever_agent_its_spans_come(
    jaeger: Jaeger,
    collector: StartCollector,
    certificates: dict[str, Path],
    tell: StartTelling,
    tmp_path: Path,
) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text(PLAIN_JAEGER)
    configs = (COLLECTOR_CONFIG, DEPLOY / "gateway.yaml", plain)
    gateways = [
        collector(
            *configs,
            name=name,
            STATE_DIR=tmp_path / name,
            KEEP_PERCENT=0,
            DECISION_WAIT_AFTER_ROOT="3s",
            **certificates,
        )
        for name in ("gateway-1", "gateway-2")
    ]
    addresses = f"[{', '.join(gateway.address('OTLP_GRPC_PORT') for gateway in gateways)}]"
    agents = [
        collector(
            DEPLOY / "agent.yaml", name=name, STATE_DIR=tmp_path / name, GATEWAYS=addresses, **certificates
        )
        for name in ("agent-1", "agent-2")
    ]
    # A stream's span leaves by one agent, what is around it by the other: two machines of one trace.
    inner, outer = (tell(agent.traces_url, service="deployed") for agent in agents)
    kept, _ = asyncio.run(run_all(inner, around=outer))
    # The roots last: a gateway that has the root waits for the rest of its trace, but not for long.
    assert firsttoken.flush(30)
    assert inner.processor.flush(30)
    assert outer.processor.flush(30)

    for server in (*gateways, *agents):
        assert "deprecated" not in server.log().lower()
    for trace_id in kept.values():
        names = [span.name for span in jaeger.trace(trace_id, spans=2)]
        assert sorted(names) == ["chat m", "request"]

    def decided(sampled: str) -> list[float]:
        return [metric(gateway, DECIDED, f'sampled="{sampled}"') for gateway in gateways]

    eventually(lambda: sum(decided("false")) == NORMAL, "all of the others decided")
    # None was decided twice, by both: the halves of a trace met.
    assert sum(decided("true")) == len(KEPT)
    assert all(decided("false")), "one gateway had nothing to do"
    assert jaeger.search("deployed").keys() == set(kept.values())


def handshake(port: int, certificates: dict[str, Path], *, with_certificate: bool) -> str:
    """Return whether a gateway talks to a client; it does so only after the handshake."""
    context = ssl.create_default_context(cafile=str(certificates["TLS_CA_FILE"]))
    context.set_alpn_protocols(["h2"])
    if with_certificate:
        context.load_cert_chain(certificates["TLS_CERT_FILE"], certificates["TLS_KEY_FILE"])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
                return "taken" if connection.recv(1) else "refused"
        except (ssl.SSLError, ConnectionError):
            return "refused"


def test_a_gateway_takes_nothing_from_who_has_no_certificate(
    collector: StartCollector, certificates: dict[str, Path]
) -> None:
    gateway = collector(COLLECTOR_CONFIG, DEPLOY / "gateway.yaml", **certificates)
    port = gateway.ports["OTLP_GRPC_PORT"]
    assert handshake(port, certificates, with_certificate=True) == "taken"
    assert handshake(port, certificates, with_certificate=False) == "refused"
