"""The viewer takes what a real collector's HTTP exporter sends, as it takes what SDKs send."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import firsttoken
from tests.e2e.conftest import StartCollector, StartTelling
from tests.e2e.servers import COLLECTOR_CONFIG, DEPLOY, eventually
from tests.e2e.test_streams import read
from tests.viewer.running import viewing


@pytest.mark.parametrize(
    ("encoding", "compression"), [("proto", "none"), ("proto", "gzip"), ("json", "gzip")]
)
def test_streams_reach_the_viewer_through_a_collector(
    encoding: str, compression: str, collector: StartCollector, tell: StartTelling, tmp_path: Path
) -> None:
    with viewing(tmp_path / "traces.db") as viewer:
        between = collector(
            COLLECTOR_CONFIG,
            DEPLOY / "viewer.yaml",
            VIEWER_ENDPOINT=viewer.url,
            VIEWER_ENCODING=encoding,
            VIEWER_COMPRESSION=compression,
            KEEP_PERCENT=100,
        )
        told = tell(between.traces_url)
        trace_id = asyncio.run(read(told, 50))
        assert firsttoken.flush(60)
        assert told.processor.flush(60)
        eventually(lambda: viewer.streams(q=trace_id), "the stream in the viewer")
        (span,) = viewer.get(f"/api/traces/{trace_id}")["spans"]
        assert span["stream"]["outcome"] == "completed"
        assert len(span["stream"]["arrivals_s"]) == 51
