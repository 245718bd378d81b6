"""What the collector took is on its disk: it outlives the collector."""

from __future__ import annotations

import re

import httpx
import pytest

import firsttoken
from tests.e2e.conftest import StartCollector, StartTelling
from tests.e2e.jaeger import Jaeger
from tests.e2e.servers import Server, eventually

STREAMS = 10
CHUNKS = 900


def metric(server: Server, name: str, *labels: str) -> float:
    """Return the sum of the collector's own metric over all series that have these labels."""
    text = httpx.get(f"{server.url('TELEMETRY_PORT')}/metrics", trust_env=False).text
    lines = re.findall(rf"^{name}(?:_total)?\{{(.*)\}} (\S+)$", text, re.MULTILINE)
    return sum(float(value) for told, value in lines if all(label in told for label in labels))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_queue_outlives_the_collector(
    end: str, jaeger: Jaeger, collector: StartCollector, tell: StartTelling
) -> None:
    # Jaeger is away: port 9 of loopback refuses.
    cut_off = collector(JAEGER_ENDPOINT="127.0.0.1:9", KEEP_PERCENT=100, name="cut-off")
    told = tell(cut_off.traces_url)
    ids = []
    for _ in range(STREAMS):
        stream = firsttoken.trace_stream(iter("w" * CHUNKS), model="m", tracer_provider=told.provider)
        for _ in stream:
            pass
        ids.append(str(stream.trace_id))
    assert firsttoken.flush(30)
    assert told.processor.flush(30)
    assert told.processor.statistics().accepted == STREAMS
    # Before the decision a trace is in memory only. Without one stream the queue would be a tenth smaller.
    sent = told.processor.statistics().bytes_sent
    eventually(lambda: metric(cut_off, "otelcol_exporter_queue_size") > 0.95 * sent, "all in the queue")
    getattr(cut_off, end)()
    assert all(jaeger.ask(trace_id).status_code == 404 for trace_id in ids)

    collector(KEEP_PERCENT=100)
    for trace_id in ids:
        # A batch that was under way when the collector died may come twice; never less than once.
        span = jaeger.trace(trace_id)[0]
        assert len(span.named("firsttoken.chunk")) == CHUNKS
