"""The timeline: what goes in comes out, to the microsecond, and bad text is refused."""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken import DecodeError, decode_timeline
from firsttoken._think.timeline import MAX_TIMELINE_BYTES, _one_by_one, encode_timeline


def nothing() -> None:
    return None


def encoded(arrivals_ns: list[int], issued_ns: int = 0) -> str:
    return encode_timeline(arrivals_ns, issued_ns, nothing)


@given(st.lists(st.integers(0, 10**14), max_size=200), st.integers(-(10**18), 10**18))
def test_a_timeline_gives_back_every_arrival_to_the_microsecond(offsets: list[int], issued_ns: int) -> None:
    offsets.sort()
    told = decode_timeline(encoded([issued_ns + offset for offset in offsets], issued_ns))
    assert told == [offset // 1000 for offset in offsets]


gaps_ns = st.one_of(
    st.integers(0, 5_000),
    st.integers(1_000, 200_000),
    st.integers(10**6, 10**8),
    st.integers(0, 2**35),
    st.sampled_from([bits * 1000 + more for bits in (2**7, 2**14, 2**21) for more in (-1000, -1, 0, 1)]),
)


@given(
    st.lists(gaps_ns, max_size=8).flatmap(
        lambda gaps: st.lists(st.sampled_from(gaps or [20_000_000]), max_size=200)
    ),
    st.integers(0, 10**18),
    st.integers(-(10**7), 10**7),
)
def test_every_timeline_has_the_bytes_of_the_simple_loop(
    gaps: list[int], issued_ns: int, late_ns: int
) -> None:
    arrivals = [time_ns for time_ns in accumulate(gaps, initial=issued_ns + late_ns) if time_ns >= 0]
    timeline = encoded(arrivals, issued_ns)
    assert decode_timeline(timeline) == [max(0, time_ns - issued_ns) // 1000 for time_ns in arrivals]
    assert b64decode(timeline) == _one_by_one(arrivals, issued_ns, 0)


@pytest.mark.parametrize("gap_ns", [1_500, 30_000, 8_000_000, 20_000_000, 100_000_000, 250_000_000])
def test_real_gaps_have_the_bytes_of_the_simple_loop(gap_ns: int) -> None:
    rng = random.Random(gap_ns)
    gaps = [max(1_000, round(rng.gauss(gap_ns, gap_ns / 3))) for _ in range(5_000)]
    arrivals = list(accumulate(gaps, initial=3 * 10**13))
    assert b64decode(encoded(arrivals, 3 * 10**13 - 5_000_123)) == _one_by_one(
        arrivals, 3 * 10**13 - 5_000_123, 0
    )


def test_the_error_does_not_add_up() -> None:
    arrivals = [1999 * (index + 1) for index in range(10_000)]
    assert decode_timeline(encoded(arrivals))[-1] == arrivals[-1] // 1000


def test_an_arrival_before_the_request_counts_as_with_it() -> None:
    assert decode_timeline(encoded([500, 3_000, 9_000], issued_ns=5_000)) == [0, 0, 4]


def test_a_stream_without_chunks_has_an_empty_timeline() -> None:
    assert encoded([]) == ""
    assert decode_timeline("") == []


def test_a_token_every_20_ms_takes_four_characters_or_less() -> None:
    assert len(encoded([20_000_000 * index for index in range(1, 1001)])) <= 4004


def test_it_stops_growing() -> None:
    timeline = encoded(list(range(0, 10**12, 2 * 10**6)))
    assert MAX_TIMELINE_BYTES <= len(b64decode(timeline)) < MAX_TIMELINE_BYTES + 640
    assert decode_timeline(timeline)[:3] == [0, 2000, 4000]


def test_it_breathes_every_few_chunks() -> None:
    breaths: list[None] = []
    encode_timeline(range(1000), 0, lambda: breaths.append(None))
    assert len(breaths) >= 10


@pytest.mark.parametrize("text", ["*", "abc", "é", "gA==", b64encode(b"\x01\xff").decode()])
def test_what_is_no_timeline_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        decode_timeline(text)
