"""The viewer takes what a real collector's HTTP exporter sends, as it takes what SDKs send."""

from __future__ import annotations

import asyncio
from pathlib import Path

import firsttoken
from tests.e2e.conftest import StartCollector, StartTelling
from tests.e2e.servers import eventually
from tests.e2e.test_streams import read
from tests.viewer.running import viewing

#: Everything that comes in, to a viewer, in the encoding of a test's choice.
CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: "127.0.0.1:${{env:OTLP_GRPC_PORT}}" }}
      http: {{ endpoint: "127.0.0.1:${{env:OTLP_HTTP_PORT}}" }}
exporters:
  otlp_http: {{ endpoint: "{url}", encoding: {encoding}, compression: {compression} }}
service:
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp_http] }}
  telemetry:
    metrics: {{ level: none }}
"""


def test_streams_reach_the_viewer_through_a_collector(
    collector: StartCollector, tell: StartTelling, tmp_path: Path
) -> None:
    with viewing(tmp_path / "traces.db") as viewer:
        for encoding, compression in (("proto", "gzip"), ("json", "none")):
            config = tmp_path / f"{encoding}.yaml"
            config.write_text(CONFIG.format(url=viewer.url, encoding=encoding, compression=compression))
            told = tell(collector(config, name=encoding).traces_url)
            trace_id = asyncio.run(read(told, 50))
            assert firsttoken.flush(60)
            assert told.processor.flush(60)
            eventually(
                lambda trace_id=trace_id: viewer.streams(q=trace_id),
                f"a stream by {encoding} in the viewer",
            )
            trace = viewer.get(f"/api/traces/{trace_id}")
            (span,) = trace["spans"]
            assert span["stream"]["outcome"] == "completed"
            assert len(span["stream"]["arrivals_s"]) == 51
