"""Who let the time pass in a chain of streams: the innermost cause wins. Floor 2 (think): pure.

A stream that waits for another traced stream did not wait for a provider: what matters is what the one
below did meanwhile, and what the one below that. This walks down as long as somebody waited, and hands
each moment to the first who did something else. Nothing is counted twice and nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

EVENT_LOOP: Final = "event_loop"
CONSUMER: Final = "consumer"
THREAD_POOL: Final = "thread_pool"
STAGE: Final = "stage"
PROVIDER: Final = "provider"

#: On a tie the one the user can mend is named.
RANK: Final = (EVENT_LOOP, CONSUMER, THREAD_POOL, STAGE, PROVIDER)

#: Begin and end on the monotonic clock (ns). Sequences of them are in order and do not overlap.
Times = Sequence[tuple[int, int]]


class Claim(NamedTuple):
    """A stretch of monotonic time (ns) whose cause is known.

    cause: one of `RANK`.
    origin: the name of the stream, stage or operator it happened in.
    """

    begin_ns: int
    end_ns: int
    cause: str
    origin: str


class Share(NamedTuple):
    """How much of a gap one cause in one place has to answer for."""

    cause: str
    origin: str
    duration_ns: int


class Layer(NamedTuple):
    """One stream as the stream that pulls it sees it, in some window of time.

    name: of its span.
    own: the cause of what it did itself while it was waited for; None leaves that to the stream above,
        as an operator does: it does nothing but pass on.
    waits: when it waited for what is below it.
    known: stretches among `waits` whose cause it noted, in order.
    delivered_ns: when the last chunk in the window came out of it; None if none did.
    below: the streams it pulled.
    """

    name: str
    own: str | None
    waits: Times
    known: Sequence[Claim] = ()
    delivered_ns: int | None = None
    below: Sequence[Layer] = ()


def blame(waits: Times, holds: Times, blocks: Times, layer: Layer) -> tuple[Share, ...]:
    """Return who spent a gap of the stream `layer`, the one to name first; they sum to its length.

    waits: when it waited for its source in the gap.
    holds: when its consumer held it in the gap.
    blocks: when its event loop was blocked; nobody else is to blame for those.
    """
    claims = [Claim(begin, end, EVENT_LOOP, layer.name) for begin, end in both(waits, blocks)]
    claims += [Claim(begin, end, EVENT_LOOP, layer.name) for begin, end in both(holds, blocks)]
    claims += [Claim(begin, end, CONSUMER, layer.name) for begin, end in without(holds, blocks)]
    claimed, left = _descend(without(waits, blocks), layer)
    claims += claimed
    claims += [Claim(begin, end, layer.own or PROVIDER, layer.name) for begin, end in left]
    return _shares(claims)


def _descend(times: Times, layer: Layer) -> tuple[list[Claim], Times]:
    """Say who let `times` pass, in which `layer` waited; return that, and what is the layer above's."""
    claims: list[Claim] = []
    for known in layer.known:
        known_times = [(known.begin_ns, known.end_ns)]
        claims += [known._replace(begin_ns=begin, end_ns=end) for begin, end in both(times, known_times)]
        times = without(times, known_times)
    # Of several that were pulled at once, the one that delivered is the one that was waited for.
    for below in sorted(layer.below, key=lambda below: -(below.delivered_ns or 0)):
        deeper, left = _descend(both(times, below.waits), below)
        claims += deeper
        times = sorted([*without(times, below.waits), *left])
    if layer.own is None:
        return claims, times
    claims += [Claim(begin, end, layer.own, layer.name) for begin, end in times]
    return claims, ()


def _shares(claims: Iterable[Claim]) -> tuple[Share, ...]:
    by_place: Counter[tuple[str, str]] = Counter()
    by_cause: Counter[str] = Counter()
    for claim in claims:
        by_place[claim.cause, claim.origin] += claim.end_ns - claim.begin_ns
        by_cause[claim.cause] += claim.end_ns - claim.begin_ns
    shares = [Share(cause, origin, spent_ns) for (cause, origin), spent_ns in by_place.items() if spent_ns]
    shares.sort(key=lambda share: (-by_cause[share.cause], RANK.index(share.cause), -share.duration_ns))
    return tuple(shares)


def both(times: Times, others: Times) -> list[tuple[int, int]]:
    """Return the parts of `times` that lie in `others`."""
    found = [
        (max(begin, other_begin), min(end, other_end))
        for begin, end, met in _meetings(times, others)
        for other_begin, other_end in met
    ]
    return [(begin, end) for begin, end in found if begin < end]


def without(times: Times, others: Times) -> list[tuple[int, int]]:
    """Return the parts of `times` that lie outside of `others`."""
    found: list[tuple[int, int]] = []
    for begin, end, met in _meetings(times, others):
        for other_begin, other_end in met:
            found.append((begin, other_begin))
            begin = max(begin, other_end)
        found.append((begin, end))
    return [(begin, end) for begin, end in found if begin < end]


def _meetings(times: Times, others: Times) -> Iterator[tuple[int, int, Times]]:
    """Yield begin and end of each of `times`, and those of `others` that reach into it."""
    at = 0
    for begin, end in times:
        while at < len(others) and others[at][1] <= begin:
            at += 1
        here = at
        while here < len(others) and others[here][0] < end:
            here += 1
        yield begin, end, others[at:here]
