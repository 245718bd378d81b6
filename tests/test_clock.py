"""The clock: one wall anchor, and seconds only at the edge."""

from __future__ import annotations

import pytest

from firsttoken import _clock


def test_a_monotonic_time_plus_the_offset_is_unix_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_clock, "wall_ns", lambda: 1_700_000_000_000_000_000)
    monkeypatch.setattr(_clock, "monotonic_ns", lambda: 42)
    assert 42 + _clock.wall_offset_ns() == 1_700_000_000_000_000_000


def test_the_monotonic_clock_never_goes_back() -> None:
    times = [_clock.monotonic_ns() for _ in range(1000)]
    assert times == sorted(times)


@pytest.mark.parametrize(("duration_ns", "seconds"), [(0, 0.0), (1_500_000_000, 1.5), (-1, -1e-9)])
def test_seconds_are_nanoseconds_divided(duration_ns: int, seconds: float) -> None:
    assert _clock.to_s(duration_ns) == seconds
