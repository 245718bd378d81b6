"""The list of streams: what a row says, what filters and orders do, how times are distributed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken._tell.told import told_of
from firsttoken._think.timeline import encode_timeline
from firsttoken.viewer._columns import SPARKLINE_WIDTH, gap_counts, gap_of
from firsttoken.viewer._lists import bucket_bounds, distribution

from .running import STARTED_NS, Running, key, request, span, stall, stream, viewing

STREAMS = {
    1: stream(1, firsttoken__time_to_first_token=0.9),
    2: stream(
        2,
        gen_ai__request__model="big",
        firsttoken__time_to_first_token=0.2,
        firsttoken__loop_block__culprit="/a/Small.py:9 nibble",
        firsttoken__loop_block__share=0.12,
    ),
    3: stream(
        3,
        firsttoken__outcome="failed",
        error__type="httpx.ReadError",
        firsttoken__stall__count=2,
        events=[
            stall("event_loop", 1.0, **{"code.file.path": "/a/chat.py", "code.line.number": 7}),
            stall("provider", 2.0, **{"code.function.name": "Über_fn"}),
        ],
    ),
    4: stream(4, 1, 2, firsttoken__time_to_first_token=None, gen_ai__usage__output_tokens=None),
    5: stream(
        5, gen_ai__response__model="answered", firsttoken__stall__count=1, events=[stall("consumer")]
    ),
}


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Five streams, a second apart; the fourth under a server span, the fifth of another service."""
    with viewing(tmp_path_factory.mktemp("lists") / "traces.db") as running:
        for number, fields in STREAMS.items():
            later = number * 1_000_000_000
            fields["start_time_unix_nano"] += later
            fields["end_time_unix_nano"] += later + number * 1000
            service = "other" if number == 5 else "chat"
            running.post(request(fields, service=service).SerializeToString())
        # Its SERVER span has an outcome too, but is no stream.
        server = span(4, 2, attributes={"http.route": "/Chat/{id}", "firsttoken.outcome": "completed"})
        running.post(request(server).SerializeToString())
        yield running


def numbers(viewer: Running, **parameters: Any) -> list[int]:
    return [int(row["trace_id"], 16) for row in viewer.streams(**parameters)]


def test_a_row_says_what_the_span_says(five: Running) -> None:
    (row,) = five.streams(q=key(3).hex())
    sparkline = row.pop("sparkline")
    stalls = row.pop("stalls")
    assert row == {
        "trace_id": key(3).hex(),
        "span_id": key(1, 8).hex(),
        "name": "chat small",
        "service": "chat",
        "operation": "chat",
        "provider": "openai",
        "model": "small",
        "route": None,
        "outcome": "failed",
        "error_type": "httpx.ReadError",
        "start_ms": STARTED_NS / 1e6 + 3000,
        "duration_s": pytest.approx(4.000003),
        "time_to_first_chunk_s": 0.1,
        "time_to_first_token_s": 0.4,
        "hold_before_first_token_s": None,
        "output_tokens": 100,
        "input_tokens": None,
        "tokens_per_second": 25.0,
        "time_per_output_token_s": 0.04,
        "chunk_count": 4,
        "gap_p50_s": 0.02,
        "gap_p95_s": 3.58,
        "gap_p99_s": 3.58,
        "gap_max_s": 3.58,
        "stall_count": 2,
        "stall_threshold_s": 5.0,
        "wait_s": 3.9,
        "hold_s": 0.1,
        "loop_blocked_s": 0.0,
        "loop_block_culprit": None,
        "loop_block_share": None,
        "truncated_detail": False,
    }
    assert len(sparkline) == SPARKLINE_WIDTH
    assert sparkline[:5] == [None] * 5
    assert max(gap for gap in sparkline if gap is not None) == 3.58
    assert [(each["cause"], each["at_s"], each["duration_s"]) for each in stalls] == [
        ("event_loop", pytest.approx(-2.0), 1.5),
        ("provider", pytest.approx(-1.0), 1.5),
    ]
    assert (stalls[0]["file"], stalls[0]["line"], stalls[0]["function"]) == ("/a/chat.py", 7, None)


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"order": "asc"}, [1, 2, 3, 4, 5]),
        ({"sort": "ttft"}, [1, 5, 3, 2, 4]),
        ({"sort": "ttft", "order": "asc"}, [2, 3, 5, 1, 4]),
        ({"sort": "stalls"}, [3, 5, 4, 2, 1]),
        ({"sort": "duration"}, [5, 4, 3, 2, 1]),
        ({"sort": "tokens", "order": "asc"}, [1, 2, 3, 5, 4]),
        ({"limit": 2, "offset": 1}, [4, 3]),
        ({"limit": 0}, []),
        ({"outcome": "failed"}, [3]),
        ({"outcome": ["failed", "completed"]}, [5, 4, 3, 2, 1]),
        ({"model": "big"}, [2]),
        ({"model": "answered"}, [5]),
        ({"service": "other"}, [5]),
        ({"route": "/Chat/{id}"}, [4]),
        ({"cause": "provider"}, [3]),
        ({"cause": ["consumer", "event_loop"]}, [5, 3]),
        ({"cause": "loop"}, []),
        ({"stalled": 1}, [5, 3]),
        ({"min_ttft_s": 0.4}, [5, 3, 1]),
        ({"since_ms": STARTED_NS / 1e6 + 4000}, [5, 4]),
        ({"until_ms": STARTED_NS / 1e6 + 2000}, [2, 1]),
        ({"q": "CHAT.PY"}, [3]),
        ({"q": "über"}, [3]),
        ({"q": "small.py:9 nib"}, [2]),
        ({"q": "readerror"}, [3]),
        ({"q": " /chat/ "}, [4]),
        ({"q": "answer"}, [5]),
        ({"q": key(2).hex()[:32]}, [2]),
        ({"q": "%"}, []),
        ({"q": "big", "outcome": "failed"}, []),
    ],
    ids=str,
)
def test_filters_and_orders(five: Running, parameters: dict[str, Any], found: list[int]) -> None:
    assert numbers(five, **parameters) == found


def test_a_line_that_no_stall_is_blamed_on_is_named_too(five: Running) -> None:
    (row,) = five.streams(q=key(2).hex())
    assert row["stalls"] == []
    assert (row["loop_block_culprit"], row["loop_block_share"]) == ("/a/Small.py:9 nibble", 0.12)


def test_the_total_counts_what_matches_and_facets_count_everything(five: Running) -> None:
    answer = five.get("/api/streams", limit=1, model=["big", "small"])
    assert (answer["total"], len(answer["streams"])) == (4, 1)
    assert answer["facets"] == {
        "outcome": {"completed": 4, "failed": 1},
        "model": {"small": 3, "big": 1, "answered": 1},
        "service": {"chat": 4, "other": 1},
        "route": {"/Chat/{id}": 1},
        "cause": {"event_loop": 1, "provider": 1, "consumer": 1},
    }


def test_distributions_are_exact_and_share_their_buckets(five: Running) -> None:
    answer = five.get("/api/distributions", by="service")
    assert (answer["by"], [group["key"] for group in answer["groups"]]) == ("service", ["chat", "other"])
    chat, other = answer["groups"]
    first = chat["time_to_first_token_s"]
    assert (chat["count"], first["count"]) == (4, 3)
    assert (first["min"], first["p50"], first["max"], first["p99"]) == (0.2, 0.4, 0.9, 0.9)
    assert first["mean"] == pytest.approx(0.5)
    for name in ("time_to_first_token_s", "inter_token_latency_s", "tokens_per_second"):
        assert [bound for bound, _ in chat[name]["buckets"]] == [
            bound for bound, _ in other[name]["buckets"]
        ]
        assert sum(count for _, count in chat[name]["buckets"]) == chat[name]["count"]
    latency = other["inter_token_latency_s"]
    assert latency["count"] == 2
    assert (latency["min"], latency["max"]) == (
        pytest.approx(0.02, rel=0.07),
        pytest.approx(3.58, rel=0.07),
    )
    (everything,) = five.get("/api/distributions", by="all", model="big")["groups"]
    assert (everything["key"], everything["count"]) == ("all", 1)
    assert five.get("/api/distributions", outcome="cancelled")["groups"] == []


def test_a_group_without_values_has_no_distribution(viewer: Running) -> None:
    silent = stream(1, firsttoken__time_to_first_token=None, firsttoken__timeline=None)
    viewer.post(request(silent).SerializeToString())
    (group,) = viewer.get("/api/distributions")["groups"]
    assert group["time_to_first_token_s"] is None
    assert group["inter_token_latency_s"] is None
    assert group["tokens_per_second"]["count"] == 1


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=50))
def test_a_gap_is_counted_within_six_percent(gaps_us: list[int]) -> None:
    arrivals = [STARTED_NS]
    for gap in gaps_us:
        arrivals.append(arrivals[-1] + gap * 1000)
    told = told_of(
        trace_id="",
        span_id="",
        started_ns=STARTED_NS,
        ended_ns=arrivals[-1],
        attributes={
            "firsttoken.time_to_first_token": 0.0,
            "firsttoken.timeline": encode_timeline(arrivals, STARTED_NS, lambda: None),
        },
        events=(),
    )
    counted = sorted(gap_of(bucket) for bucket, count in gap_counts(told) for _ in range(count))
    for exact, found in zip(sorted(gaps_us), counted, strict=True):
        assert found * 1e6 == pytest.approx(exact, rel=0.035, abs=1.01)


@given(st.dictionaries(st.floats(0, 1e12), st.integers(1, 100), min_size=1, max_size=60))
def test_every_value_is_in_a_bucket_and_ranks_ascend(values: dict[float, int]) -> None:
    bounds = bucket_bounds([values])
    found = distribution(values, bounds)
    assert found is not None
    assert sum(count for _, count in found["buckets"]) == found["count"] == sum(values.values())
    assert all(below < above for below, above in pairwise(bounds))
    assert len(bounds) <= 64 * 2 + 1
    assert max(values) <= bounds[-1]
    ranks = [found[name] for name in ("min", "p50", "p90", "p95", "p99", "max")]
    assert ranks == sorted(ranks)
    assert set(ranks) <= values.keys()


def test_ranks_are_of_the_nearest_rank() -> None:
    found = distribution({float(value): 1 for value in range(1, 101)}, bucket_bounds([{1.0: 1, 100.0: 1}]))
    assert found is not None
    assert (found["p50"], found["p90"], found["p95"], found["p99"]) == (50.0, 90.0, 95.0, 99.0)
    assert distribution({}, [1.0]) is None
