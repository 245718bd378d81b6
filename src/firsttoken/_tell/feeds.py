"""Which stream feeds which. Floor 3 (tell; OpenTelemetry context); the user's thread, once per stream.

While a stream's source is pulled, the context says so; a stream that begins in there feeds the one that
pulls it, however many generators and tasks of the user's lie between the two.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span

from firsttoken import semconv
from firsttoken._record.record import StreamRecord
from firsttoken._think.attribution import waits_in
from firsttoken._think.blame import PROVIDER, STAGE, Claim, Layer
from firsttoken._think.tally import Tally


class Feed(Protocol):
    """What takes part in a chain of streams: a traced stream, or an operator between two of them."""

    feeds: list[Feed]
    span: Span | None

    @property
    def lived_ns(self) -> tuple[int, int | None]:
        """When it was first pulled and when it was over, on the monotonic clock; None while it goes on."""
        ...

    def layer(self, begin_ns: int, end_ns: int) -> Layer:
        """Return what it did between two monotonic times (ns); thinker thread."""
        ...


def pulling(context: Context, above: Feed) -> Context:
    """Return the context in which `above` pulls its source."""
    return otel_context.set_value(semconv.PULLED_BY_CONTEXT_KEY, above, context)


def begin_feeding(below: Feed) -> None:
    """Note, at the first pull of `below`, whom it feeds, and link the two spans."""
    above: Feed | None = otel_context.get_value(semconv.PULLED_BY_CONTEXT_KEY)  # type: ignore[assignment]
    if above is None or above is below:
        return
    above.feeds.append(below)
    if above.span is not None and below.span is not None:
        above.span.add_link(below.span.get_span_context())


def stream_layer(
    name: str,
    operation: str,
    record: StreamRecord,
    tally: Tally,
    feeds: Sequence[Feed],
    noted: Sequence[Claim],
    begin_ns: int,
    end_ns: int,
) -> Layer:
    """Return what a traced stream and those below it did between two monotonic times (ns).

    A call to a model, and a stream with nothing traced below it, waits for its provider; any other does
    work of its own between what it pulls.
    """
    arrivals = tally.arrivals
    last = bisect_right(arrivals, end_ns) - 1
    is_step = bool(feeds) and operation not in semconv.INFERENCE_OPERATIONS
    return Layer(
        name=name,
        own=STAGE if is_step else PROVIDER,
        waits=waits_in(record, tally, begin_ns, end_ns),
        known=[claim for claim in noted if claim.begin_ns < end_ns and claim.end_ns > begin_ns],
        delivered_ns=arrivals[last] if last >= 0 and arrivals[last] >= begin_ns else None,
        below=[feed.layer(begin_ns, end_ns) for feed in list(feeds) if _lived_in(feed, begin_ns, end_ns)],
    )


def forget_told(feeds: list[Feed], tally: Tally) -> None:
    """Let go of the streams below that are over and have nothing to do with any stall."""
    if tally.last_content is None:
        return
    arrivals = tally.arrivals
    now_ns = arrivals[tally.last_content]
    for feed in list(feeds):
        over_ns = feed.lived_ns[1]
        if over_ns is None or over_ns >= now_ns:
            continue
        if not any(_lived_in(feed, arrivals[first], arrivals[last]) for first, last in tally.long_gaps):
            feeds.remove(feed)


def _lived_in(feed: Feed, begin_ns: int, end_ns: int) -> bool:
    begun_ns, over_ns = feed.lived_ns
    return begun_ns < end_ns and (over_ns is None or over_ns > begin_ns)
