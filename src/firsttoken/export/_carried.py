"""How packed chunk events reach a span processor. Floor 3 (tell); the thread that ends the span.

The OpenTelemetry API has no event that is not an object. So whoever ends a stream's span says, around
`span.end()`, which packed events belong to it; a processor that understands takes them.
"""

from __future__ import annotations

import threading
from types import TracebackType

from firsttoken._think.chunk_events import ChunkEvents


class _Carried(threading.local):
    events: ChunkEvents | None = None
    span_id: int = 0


carried = _Carried()


class carrying:
    """Hand `events` to the stream span processors that see span `span_id` end in the block.

    span_id: as in the span's context.
    """

    __slots__ = ("_events", "_span_id")

    def __init__(self, span_id: int, events: ChunkEvents) -> None:
        self._span_id = span_id
        self._events = events

    def __enter__(self) -> None:
        carried.span_id = self._span_id
        carried.events = self._events

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        carried.events = None
