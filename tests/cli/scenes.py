"""Streams as a demo run has them when it is over, made by hand."""

from __future__ import annotations

from typing import Any

from firsttoken._tell.told import Told, ToldStall
from firsttoken.cli._clients import Seen
from firsttoken.cli._plan import Part, Plan, Role
from firsttoken.cli._rows import Row

STARTED_NS = 1_767_225_600_000_000_000
PLAN = Plan("script", streams=5, seconds=8.0, seed=1, model="scripted-1")


def stall(cause: str, at_s: float = 1.0, duration_s: float = 0.5, **more: Any) -> ToldStall:
    spent = {"provider": "wait_s", "consumer": "hold_s", "event_loop": "loop_blocked_s"}[cause]
    times = {"wait_s": 0.0, "hold_s": 0.0, "loop_blocked_s": 0.0, spent: duration_s}
    place: dict[str, Any] = {"file": None, "line": None, "function": None}
    return ToldStall(at_s=at_s, duration_s=duration_s, cause=cause, **{**times, **place, **more})


def block(at_s: float = 1.0, duration_s: float = 0.4) -> ToldStall:
    place = {"file": "/somewhere/chat.py", "line": 88, "function": "save_log"}
    return stall("event_loop", at_s, duration_s, **place)


def told(outcome: str = "completed", stalls: tuple[ToldStall, ...] = (), **more: Any) -> Told:
    known: dict[str, Any] = {
        "trace_id": "0" * 31 + "1",
        "span_id": "0" * 15 + "1",
        "started_ns": STARTED_NS,
        "duration_s": 4.0,
        "error_type": None,
        "finish_reasons": ("stop",),
        "time_to_first_chunk_s": 0.1,
        "time_to_first_token_s": 0.4,
        "output_tokens": 100,
        "tokens_per_second": 41.5,
        "chunk_count": 4,
        "chunk_event_count": 4,
        "gap_p50_s": 0.02,
        "gap_p95_s": 0.045,
        "gap_p99_s": 0.08,
        "gap_max_s": 0.5,
        "wait_s": 3.0,
        "hold_s": 0.1,
        "loop_blocked_s": 0.4,
        "arrivals_s": (0.1, 0.4, 0.42, 4.0),
    }
    return Told(outcome=outcome, stalls=stalls, **{**known, **more})


def row(role: Role, said: Told | None, number: int | None = None, **more: Any) -> Row:
    """Return a stream whose client and upstream did what its role says."""
    part = Part(number or list(Role).index(role) + 1, role, turn=0)
    seen = Seen(part, ended="left" if role is Role.LEAVER else "read to the end", sha256="same")
    if role is Role.LEAVER:
        seen.left_ns = STARTED_NS + 2_000_000_000
    ended = {Role.LEAVER: "app left", Role.BROKEN: "connection cut"}.get(role, "complete")
    report = {"sha256": "same", "ended": ended, "ended_ns": STARTED_NS + 2_003_000_000, **more}
    return Row(part, seen, said, report)
