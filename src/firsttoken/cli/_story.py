"""What happened, in words: a few sentences made from what the spans tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from firsttoken._clock import NS_PER_S
from firsttoken._tell.told import Told, ToldStall
from firsttoken.cli._plan import Role
from firsttoken.cli._rows import Row, place, seconds


def story(rows: Sequence[Row]) -> list[str]:
    """Return the story of a run, a sentence or two per line; only what happened is told."""
    lines = [*_blocked(rows), *_held(rows), *_left(rows), *_broken(rows)]
    return lines or ["Nothing out of the ordinary happened."]


def _blocked(rows: Sequence[Row]) -> Iterable[str]:
    """Who blocked the event loop, where, and what it cost the others."""
    guilty = [row for row in rows if row.part.role is Role.BLOCKER and _blamed(row)]
    if guilty:
        # They share one event loop: each sees the blocks of all, so the one that saw most has the sum.
        stalls = max((_blamed(row) for row in guilty), key=_blocked_s)
        places = {place(stall.file, stall.line, stall.function) for stall in stalls}
        where = " and ".join(sorted(str(found).replace(" ", " in ", 1) for found in places))
        often, lost = _times(len(stalls)), seconds(_blocked_s(stalls))
        line = f"{_streams(guilty)} blocked the event loop {often}, {lost} in all, at {where}"
        others = [row for row in rows if row.part.role is not Role.BLOCKER and _blamed(row)]
        if others:
            cost_s = sum(_blocked_s(_blamed(row)) for row in others)
            line += f"; it cost {_streams(others).lower()} {seconds(cost_s)} together"
        yield f"{line}."
    nobody_s = max((_blocked_s(_unblamed(row)) for row in rows), default=0.0)
    if nobody_s:
        yield f"The event loop stood still for {seconds(nobody_s)} with none of the app's code to blame."


def _held(rows: Sequence[Row]) -> Iterable[str]:
    """Who read so slowly that the app had to wait."""
    for row, told in _first(rows, Role.SLOW):
        name = f"Stream {row.part.number}'s reader"
        held_s = sum(stall.hold_s for stall in told.stalls if stall.cause == "consumer")
        if held_s:
            yield f"{name} looked away and held it up for {seconds(held_s)}: the model was not slow."
        elif told.outcome == "completed":
            yield f"{name} was slow, but the buffers in between held all that it left unread."


def _left(rows: Sequence[Row]) -> Iterable[str]:
    """Who left, and how soon the model was told."""
    for row, told in _first(rows, Role.LEAVER):
        left_ns, closed_ns = row.seen.left_ns, row.report.get("ended_ns")
        if left_ns is None or closed_ns is None or row.report.get("ended") != "app left":
            continue
        after = seconds((left_ns - told.started_ns) / NS_PER_S)
        later = seconds(max(0.001, (closed_ns - left_ns) / NS_PER_S))
        yield (
            f"Stream {row.part.number}'s client left after {after}, and {later} later the app hung up on "
            f"the model as well: {told.outcome}, not failed."
        )


def _broken(rows: Sequence[Row]) -> Iterable[str]:
    """Whose upstream broke off: one that was cut, and one that ended as if it were whole."""
    for ended, how in (("connection cut", "broke off"), ("cut short", "just ended")):
        alike = [row for row in rows if row.report.get("ended") == ended]
        for row, told in _first(alike, Role.BROKEN):
            last = told.stalls[-1] if told.stalls else None
            silent_s = last.wait_s if last is not None and last.cause == "provider" else 0.0
            silent = f"fell silent for {seconds(silent_s)} and " if silent_s else ""
            error = f" ({told.error_type})" if told.error_type else ", for want of an end mark"
            yield (
                f"Stream {row.part.number}'s upstream {silent}{how} after {told.chunk_count} chunks: "
                f"{told.outcome}{error}."
            )


def _first(rows: Sequence[Row], role: Role) -> list[tuple[Row, Told]]:
    """Return the first stream with a role and a span; what it went through, the others like it did."""
    return [(row, row.told) for row in rows if row.part.role is role and row.told is not None][:1]


def _stalls(row: Row) -> tuple[ToldStall, ...]:
    return row.told.stalls if row.told is not None else ()


def _blamed(row: Row) -> list[ToldStall]:
    return [stall for stall in _stalls(row) if stall.cause == "event_loop" and stall.file]


def _unblamed(row: Row) -> list[ToldStall]:
    return [stall for stall in _stalls(row) if stall.cause == "event_loop" and not stall.file]


def _blocked_s(stalls: Iterable[ToldStall]) -> float:
    return sum(stall.loop_blocked_s for stall in stalls)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _streams(rows: Sequence[Row]) -> str:
    """Return `Stream 5`, `Streams 1 and 3`, or `12 streams` where they are many."""
    numbers = [str(row.part.number) for row in rows]
    if len(numbers) == 1:
        return f"Stream {numbers[0]}"
    if len(numbers) > 6:
        return f"{len(numbers)} streams"
    return f"Streams {', '.join(numbers[:-1])} and {numbers[-1]}"
