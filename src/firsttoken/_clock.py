"""Time: one monotonic clock, and one wall-clock anchor per stream. Floor 0 (words); any thread.

Durations come from the monotonic clock alone. A stream notes the wall clock once, when it starts;
every time it reports is that anchor plus a monotonic difference, so a clock step in the middle of a
stream bends none of its gaps.
"""

from __future__ import annotations

from time import perf_counter_ns as monotonic_ns
from time import time_ns as wall_ns

NS_PER_S = 1_000_000_000


def wall_offset_ns() -> int:
    """Return what to add to a monotonic time, now, to get Unix time (ns)."""
    return wall_ns() - monotonic_ns()


def to_s(duration_ns: int) -> float:
    """Convert nanoseconds to the seconds that telemetry speaks."""
    return duration_ns / NS_PER_S


__all__ = ["NS_PER_S", "monotonic_ns", "to_s", "wall_ns", "wall_offset_ns"]
