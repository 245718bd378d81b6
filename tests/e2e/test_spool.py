"""Spool files that processes left behind, read by the collector's `otlp_json_file` receiver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import StartCollector
from tests.e2e.jaeger import Jaeger
from tests.e2e.programs import output_of

CHUNKS = 300

LEAVE = """
import json
import sys
import firsttoken
from firsttoken.export import StreamSpanProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider

directory, count, chunks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
provider = TracerProvider(
    resource=Resource({"service.name": "spooled"}), span_limits=SpanLimits(max_events=2000)
)
# Port 9 of loopback: refused at once.
processor = StreamSpanProcessor(
    "http://127.0.0.1:9/v1/traces", spool_dir=directory, resend_spool=False
)
provider.add_span_processor(processor)
ids = []
for _ in range(count):
    stream = firsttoken.trace_stream(iter("w" * chunks), model="m", tracer_provider=provider)
    for _ in stream:
        pass
    ids.append(stream.trace_id)
assert firsttoken.shutdown(30) and processor.shutdown(30)
assert processor.statistics().spooled == count, processor.statistics()
print(json.dumps(ids))
"""


def leave_behind(spool: Path, count: int) -> list[str]:
    """Tell streams in a process whose collector is away, so that it spools them; return their trace ids."""
    ids: list[str] = json.loads(output_of(LEAVE, spool, count, CHUNKS, complains=True))
    return ids


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def is_whole(jaeger: Jaeger, trace_id: str) -> bool:
    """Whether a trace is there once, with every event."""
    (span,) = jaeger.trace(trace_id)
    sequence = [event.attributes["firsttoken.sequence"] for event in span.named("firsttoken.chunk")]
    return sequence == list(range(CHUNKS)) and "log.file.name" not in span.attributes


def test_what_was_spooled_arrives_whole_and_no_second_time_after_a_restart(
    jaeger: Jaeger, collector: StartCollector, spool: Path
) -> None:
    ids = leave_behind(spool, 30)
    first = collector(KEEP_PERCENT=100)
    assert all(is_whole(jaeger, trace_id) for trace_id in ids)
    first.stop()
    collector(KEEP_PERCENT=100)
    # All files are looked at in one go: by the time of the later one, the earlier one was.
    later = leave_behind(spool, 1)
    assert is_whole(jaeger, later[0])
    assert all(is_whole(jaeger, trace_id) for trace_id in ids)
    assert len(list(spool.glob("*.jsonl"))) == 2


def test_a_torn_last_line_costs_the_span_in_it_and_no_other(
    jaeger: Jaeger, collector: StartCollector, spool: Path
) -> None:
    ids = leave_behind(spool, 5)
    (file,) = spool.glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    file.write_bytes(b"".join(lines[:4]) + lines[4][: len(lines[4]) // 2])
    collector(KEEP_PERCENT=100)
    assert all(is_whole(jaeger, trace_id) for trace_id in ids[:4])
    # It is not stuck there: what is spooled afterwards arrives as well.
    (later,) = leave_behind(spool, 1)
    assert is_whole(jaeger, later)
    assert jaeger.ask(ids[4]).status_code == 404
