"""Which stream feeds which. Floor 3 (tell; OpenTelemetry context); the user's thread, once per stream.

While a stream's source is pulled, the context says so; a stream that begins in there feeds the one that
pulls it, however many generators and tasks of the user's lie between the two.
"""

from __future__ import annotations

from typing import Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span

from firsttoken import semconv
from firsttoken._think.blame import Layer


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
