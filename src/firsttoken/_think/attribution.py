"""Who spent the time: the source, the consumer, or the event loop. Floor 2 (think): pure; thinker thread.

Every moment of a stream is a stretch of waiting for the source or of being held by the consumer. Where a
blocked event loop overlaps one, that time is taken from both: nobody waits for a source, and no consumer
is slow, while the loop stands still. What is left always sums to the whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from firsttoken._record.record import Detail, StreamRecord
from firsttoken._think.blame import PROVIDER, Layer, Share, blame, both
from firsttoken._think.loop_blocks import Block, overlap, worst
from firsttoken._think.tally import Tally


class StallCause(str, Enum):
    """Who let a gap grow to a stall."""

    PROVIDER = "provider"
    CONSUMER = "consumer"
    EVENT_LOOP = "event_loop"
    STAGE = "stage"
    THREAD_POOL = "thread_pool"

    def __str__(self) -> str:
        return self.value


#: Who can make the wait for the first token a stall: the process itself, never a model that thinks.
HOMEMADE: Final = frozenset({StallCause.EVENT_LOOP, StallCause.THREAD_POOL})


@dataclass(frozen=True)
class Stall:
    """A gap at or above the threshold, split into who spent it.

    The wait for the first token counts as a gap where the event loop or the thread pool is to blame for it.

    sequence: index of the chunk that ended it; the number of chunks if the stream ended first.
    started_ns: Unix time at which the gap began.
    cause, origin: who spent most of it, and the name of the stream, stage or operator that was in; the
        innermost of a chain of streams.
    shares: the same for all who spent any of it; they sum to `duration_ns`.
    wait_ns, hold_ns, loop_blocked_ns: the source, the consumer, the event loop, as this stream alone sees
        it; they sum to `duration_ns`.
    share: the part of it that the cause has to answer for, 0 to 1.
    file, line, function: the code that blocked the loop longest in this gap, where that is the cause.
    kind, thread: what the loop's thread did then, and the name of the thread that code ran in, if another.
    """

    sequence: int
    started_ns: int
    duration_ns: int
    cause: StallCause
    wait_ns: int
    hold_ns: int
    loop_blocked_ns: int
    file: str | None = None
    line: int | None = None
    function: str | None = None
    origin: str | None = None
    shares: tuple[Share, ...] = ()
    share: float = 1.0
    kind: str | None = None
    thread: str | None = None


@dataclass(frozen=True)
class Stretch:
    """A stretch of monotonic time, and whether the consumer held the stream (or we waited)."""

    begin_ns: int
    end_ns: int
    held: bool


def split(stretches: Iterable[Stretch], blocks: Sequence[Block]) -> tuple[int, int, int]:
    """Return (wait, hold, loop blocked) of `stretches` in ns; they sum to their length.

    While the loop is blocked nobody waits for the source and no consumer is slow: that time is taken
    out of both. Blocks are of one loop, so they do not overlap.
    """
    wait = hold = blocked = 0
    for stretch in stretches:
        length = max(0, stretch.end_ns - stretch.begin_ns)
        lost = min(length, sum(overlap(stretch.begin_ns, stretch.end_ns, block) for block in blocks))
        blocked += lost
        if stretch.held:
            hold += length - lost
        else:
            wait += length - lost
    return wait, hold, blocked


def cause_of(wait_ns: int, hold_ns: int, loop_blocked_ns: int) -> StallCause:
    """Name who spent most of a gap; on a tie, the one the user can mend."""
    if loop_blocked_ns >= max(wait_ns, hold_ns):
        return StallCause.EVENT_LOOP
    return StallCause.CONSUMER if hold_ns >= wait_ns else StallCause.PROVIDER


def stretches(record: StreamRecord, tally: Tally, first: int, last: int) -> Iterator[Stretch]:
    """Yield who had the stream between two chunks, given by index.

    first: -1 for the issue of the request. last: the number of chunks for the end of the stream.
    """
    arrivals, resumes = tally.arrivals, tally.resumes
    ended_ns = tally.ended_ns
    if first < 0:
        pulled_ns = tally.pulled_ns
        yield Stretch(record.issued_ns, record.ready_ns, held=False)
        yield Stretch(record.ready_ns, pulled_ns, held=True)
        yield Stretch(pulled_ns, arrivals[0] if arrivals else ended_ns, held=False)
        first = 0
    for index in range(first, min(last, len(arrivals))):
        follows_ns = arrivals[index + 1] if index + 1 < len(arrivals) else ended_ns
        if record.detail is not Detail.FULL:
            resumed_ns = arrivals[index]
        else:
            resumed_ns = resumes[index] if index < len(resumes) else follows_ns
        yield Stretch(arrivals[index], resumed_ns, held=True)
        yield Stretch(resumed_ns, follows_ns, held=False)


def totals(record: StreamRecord, tally: Tally, blocks: Sequence[Block]) -> tuple[int, int, int]:
    """Return (wait, hold, loop blocked) of the whole stream in ns; they sum to its duration."""
    ended_ns = tally.ended_ns
    last = len(tally.arrivals) if tally.done_index is None else tally.done_index
    hold = tally.held_before_ns(last)
    if record.detail is Detail.FULL and len(tally.resumes) < last:
        hold += ended_ns - tally.arrivals[-1]
    wait = ended_ns - record.issued_ns - hold
    blocked = 0
    for block in blocks:
        first = bisect_left(tally.arrivals, block.started_ns) - 1
        last = bisect_right(tally.arrivals, min(block.ended_ns, ended_ns))
        for stretch in stretches(record, tally, first, last):
            lost = overlap(stretch.begin_ns, min(stretch.end_ns, ended_ns), block)
            blocked += lost
            if stretch.held:
                hold -= lost
            else:
                wait -= lost
    return max(0, wait), max(0, hold), blocked


LayerIn = Callable[[int, int], Layer]


def waits_in(record: StreamRecord, tally: Tally, begin_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """Return when a stream waited for its source, between two monotonic times (ns)."""
    first = bisect_right(tally.arrivals, begin_ns) - 1
    last = bisect_left(tally.arrivals, end_ns)
    return both([(begin_ns, end_ns)], _times(stretches(record, tally, first, last), held=False))


def _times(found: Iterable[Stretch], *, held: bool) -> list[tuple[int, int]]:
    return [
        (stretch.begin_ns, stretch.end_ns)
        for stretch in found
        if stretch.held is held and stretch.begin_ns < stretch.end_ns
    ]


def alone(begin_ns: int, end_ns: int) -> Layer:
    """Return the layer of a stream that nothing traced feeds."""
    return Layer("", PROVIDER, [(begin_ns, end_ns)])


def stalls(
    record: StreamRecord, tally: Tally, blocks: Sequence[Block], layer_in: LayerIn = alone
) -> tuple[Stall, ...]:
    """Return the gaps that were stalls, the one the stream died in included.

    layer_in: tells what this stream and those below it did between two monotonic times (ns).
    """
    gaps = list(tally.long_gaps)
    last = tally.last_content
    if (
        last is not None
        and not tally.said_end
        and tally.ended_ns - tally.arrivals[last] >= tally.stall_threshold_ns
    ):
        gaps.append((last, len(tally.arrivals)))
    found = tuple(_stall(record, tally, before, after, blocks, layer_in) for before, after in gaps)
    first = _stall_before_first_token(record, tally, blocks, layer_in)
    return found if first is None else (first, *found)


def _stall_before_first_token(
    record: StreamRecord, tally: Tally, blocks: Sequence[Block], layer_in: LayerIn
) -> Stall | None:
    first = len(tally.arrivals) if tally.first_token is None else tally.first_token
    until_ns = tally.arrivals[first] if first < len(tally.arrivals) else tally.ended_ns
    if until_ns - record.issued_ns < tally.stall_threshold_ns or (
        tally.first_token is None and tally.said_end
    ):
        return None
    stall = _stall(record, tally, -1, first, blocks, layer_in)
    return stall if stall.cause in HOMEMADE else None


def _stall(
    record: StreamRecord,
    tally: Tally,
    before: int,
    after: int,
    blocks: Sequence[Block],
    layer_in: LayerIn,
) -> Stall:
    began_ns = record.issued_ns if before < 0 else tally.arrivals[before]
    until_ns = tally.arrivals[after] if after < len(tally.arrivals) else tally.ended_ns
    found = list(stretches(record, tally, before, after))
    wait, hold, blocked = split(found, blocks)
    shares = blame(
        _times(found, held=False),
        _times(found, held=True),
        sorted((block.started_ns, block.ended_ns) for block in blocks),
        layer_in(began_ns, until_ns),
    )
    cause = StallCause(shares[0].cause) if shares else cause_of(wait, hold, blocked)
    to_answer_for_ns = sum(share.duration_ns for share in shares if share.cause == cause.value)
    place, _ = worst(blocks, began_ns, until_ns) if cause is StallCause.EVENT_LOOP else (None, 0)
    return Stall(
        sequence=after,
        started_ns=began_ns + record.wall_offset_ns,
        duration_ns=until_ns - began_ns,
        cause=cause,
        wait_ns=wait,
        hold_ns=hold,
        loop_blocked_ns=blocked,
        file=place.file if place else None,
        line=place.line if place else None,
        function=place.function if place else None,
        origin=shares[0].origin or None if shares else None,
        shares=shares,
        share=to_answer_for_ns / (until_ns - began_ns) if shares else 1.0,
        kind=place.kind if place else None,
        thread=place.other_thread if place else None,
    )
