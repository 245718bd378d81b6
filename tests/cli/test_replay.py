"""Sending a spool by hand."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from firsttoken.cli.replay import replay
from firsttoken.errors import ConfigError
from firsttoken.export import _retry
from firsttoken.export._spool import Spool
from firsttoken.export._statistics import Counts
from tests.export import collector as c
from tests.export.collector import Collector
from tests.export.spans import chunk_events, entry, no_pause


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.001)


@pytest.fixture
def spooled(tmp_path: Path) -> Path:
    spool = Spool(tmp_path, Counts(), limit_bytes=10**9)
    for number in range(30):
        spool.write(entry(number, chunk_events(100)), no_pause)
        if number % 10 == 9:
            spool.finish()
    return tmp_path


def test_everything_is_sent_and_removed(spooled: Path) -> None:
    out = io.StringIO()
    with Collector() as collector:
        collector.then(c.status(503))
        assert replay(spooled, collector.url, out=out) == 0
        assert {told.span_id[-1] for told in collector.accepted} == set(range(30))
    assert "30 spans accepted" in out.getvalue()
    assert not list(spooled.iterdir())


def test_a_collector_that_stays_down_loses_nothing(spooled: Path) -> None:
    out = io.StringIO()
    with Collector(default=c.status(503)) as collector:
        assert replay(spooled, collector.url, attempts=3, out=out) == 1
        assert len(collector.requests) == 3
    assert "503" in out.getvalue()
    assert sum(path.read_bytes().count(b"\n") for path in spooled.iterdir()) == 30


def test_a_wrong_key_stops_at_once_and_loses_nothing(spooled: Path) -> None:
    out = io.StringIO()
    with Collector(default=c.status(401)) as collector:
        assert replay(spooled, collector.url, out=out) == 1
    assert "401" in out.getvalue()
    assert sum(path.read_bytes().count(b"\n") for path in spooled.iterdir()) == 30


def test_requests_too_large_for_the_collector_are_cut_up(spooled: Path) -> None:
    out = io.StringIO()
    with Collector() as collector:
        collector.then(c.status(413), c.status(413))
        assert replay(spooled, collector.url, out=out) == 0
        assert {told.span_id[-1] for told in collector.accepted} == set(range(30))
    assert "30 spans accepted" in out.getvalue()


def test_a_span_too_large_by_itself_is_given_up(spooled: Path) -> None:
    out = io.StringIO()
    with Collector(default=c.status(413)) as collector:
        assert replay(spooled, collector.url, out=out) == 1
    assert "0 spans accepted, 30 rejected" in out.getvalue()
    assert not list(spooled.iterdir())


def test_a_line_that_cannot_be_parsed_is_left_out_and_told(spooled: Path) -> None:
    path = min(spooled.iterdir())
    path.write_bytes(path.read_bytes().replace(b'"name"', b'"name\x00', 1))

    def refuse_what_does_not_parse(collector, connection, request) -> bool:
        try:
            request.parsed()
        except ValueError:
            return c.status(400)(collector, connection, request)
        return c.accept(collector, connection, request)

    out = io.StringIO()
    with Collector(default=refuse_what_does_not_parse) as collector:
        assert replay(spooled, collector.url, out=out) == 1
    assert "29 spans accepted, 0 rejected, 1 unreadable lines" in out.getvalue()
    assert not list(spooled.iterdir())


def test_what_the_collector_rejects_is_told(spooled: Path) -> None:
    out = io.StringIO()
    with Collector() as collector:
        collector.then(c.partial(2))
        assert replay(spooled, collector.url, out=out) == 1
    assert "28 spans accepted, 2 rejected" in out.getvalue()


def test_a_directory_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="directory"):
        replay(tmp_path / "none")
