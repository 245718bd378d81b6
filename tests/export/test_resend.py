"""What lies in the spool is sent when the collector is back; until then spans go there straight away."""

from __future__ import annotations

from pathlib import Path

import pytest

from firsttoken.export import StreamSpanProcessor, _retry
from firsttoken.export._spool import Spool
from firsttoken.export._statistics import Counts
from tests.export import collector as c
from tests.export.collector import Collector
from tests.export.faults import end_spans, wait_until
from tests.export.spans import chunk_events, entry, no_pause


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.01)


def fill(directory: Path, spans: int, *, events: int = 0) -> None:
    """Leave a finished file with `spans` spans, as a process does that ended."""
    spool = Spool(directory, Counts(), limit_bytes=10**9)
    for number in range(spans):
        spool.write(entry(number, chunk_events(events) if events else None), no_pause)
    spool.finish()


def test_when_the_collector_is_back_the_spool_is_sent(tmp_path: Path) -> None:
    with Collector() as collector:
        collector.default = c.status(503)
        ours = StreamSpanProcessor(collector.url, schedule_delay_s=60, spool_dir=tmp_path)
        end_spans(ours, 5)
        assert ours.flush(30)
        assert ours.statistics().spooled == 5
        collector.default = None
        end_spans(ours, 1, first=6)
        assert ours.flush(30)
        wait_until(lambda: ours.statistics().replayed == 5)
        assert {told.span_id[-1] for told in collector.accepted} == {1, 2, 3, 4, 5, 6}
        assert [len(told.events) for told in collector.accepted] == [60] * 6
        ours.shutdown()
    assert not list(tmp_path.iterdir())


def test_while_the_circuit_is_open_spans_go_to_disk_without_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector(default=c.status(503)) as collector:
        ours = StreamSpanProcessor(collector.url, schedule_delay_s=0.01, spool_dir=tmp_path)
        end_spans(ours, 1)
        wait_until(lambda: ours.statistics().spooled == 1)
        assert len(collector.requests) >= _retry.OPEN_AFTER
        # The attempt that is due now may still come, and then none for a minute.
        monkeypatch.setattr(_retry, "FIRST_WAIT_S", 60.0)
        monkeypatch.setattr(_retry, "LONGEST_WAIT_S", 60.0)
        seen = len(collector.requests)
        for number in range(2, 10):
            end_spans(ours, 1, first=number)
            wait_until(lambda expected=number: ours.statistics().spooled == expected)
        assert len(collector.requests) <= seen + 2
        ours.shutdown()


def test_a_collector_that_speaks_no_json_gets_the_spool_as_protobuf(tmp_path: Path) -> None:
    def no_json(collector, connection, request) -> bool:
        if "json" in request.headers["content-type"]:
            return c.status(415)(collector, connection, request)
        return c.accept(collector, connection, request)

    fill(tmp_path, 3)
    with Collector(default=no_json) as collector:
        ours = StreamSpanProcessor(collector.url, schedule_delay_s=60, spool_dir=tmp_path)
        end_spans(ours, 1, first=9)
        assert ours.flush(30)
        wait_until(lambda: ours.statistics().replayed == 3)
        ours.shutdown()
    assert not list(tmp_path.iterdir())


def damage(directory: Path, line: int) -> None:
    """Change a byte of a line in the only file, so that it is no JSON any more, its braces even."""
    (path,) = directory.iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"name"', b'"name\x00', 1)
    path.write_bytes(b"".join(lines))


def refuse_what_does_not_parse(collector, connection, request) -> bool:
    try:
        request.parsed()
    except ValueError:
        return c.status(400)(collector, connection, request)
    return c.accept(collector, connection, request)


def test_a_damaged_line_is_counted_and_what_lies_around_and_behind_it_is_sent(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    damage(tmp_path, 2)
    fill(tmp_path, 3)
    with Collector(default=refuse_what_does_not_parse) as collector:
        ours = StreamSpanProcessor(collector.url, schedule_delay_s=60, spool_dir=tmp_path)
        end_spans(ours, 1, first=9)
        assert ours.flush(30)
        wait_until(lambda: ours.statistics().replayed == 7)
        told = ours.statistics()
        assert told.spool_dropped == {"torn": 1}
        # No failure: live spans must not take the collector for down.
        assert told.requests == {"200": 3, "unreadable": 1}
        ours.shutdown()
    assert not list(tmp_path.iterdir())


def test_a_server_that_takes_less_at_a_time_gets_the_spool_in_smaller_requests(tmp_path: Path) -> None:
    fill(tmp_path, 20, events=20)
    with Collector(default=c.larger_than(12_000)) as collector:
        ours = StreamSpanProcessor(collector.url, schedule_delay_s=60, spool_dir=tmp_path)
        end_spans(ours, 1, first=99)
        assert ours.flush(30)
        wait_until(lambda: ours.statistics().replayed == 20)
        assert ours.statistics().requests["413"] > 0
        assert not ours.statistics().spool_dropped
        ours.shutdown()
    assert not list(tmp_path.iterdir())


def test_a_spool_that_a_collector_reads_is_left_to_it(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with Collector() as collector:
        ours = StreamSpanProcessor(
            collector.url, schedule_delay_s=60, spool_dir=tmp_path, resend_spool=False
        )
        end_spans(ours, 1)
        assert ours.shutdown(30)
        assert len(collector.requests) == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]
