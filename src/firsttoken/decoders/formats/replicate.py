"""Replicate predictions. Floor 2 (think); thinker thread.

Hosts: stream.replicate.com, streaming-api.svc.*.replicate.net (`urls.stream` of a prediction).
`text/event-stream` whose events are named `output`, `logs`, `error`, `done`; data is plain text, not
JSON: an output without text is an empty line, a line break in the output is a second data line. The SDK
yields objects with `event` and `data`.

`done` carries `{}`, or the reason why it ended early: `{"reason": "canceled"}`, `{"reason": "error"}`.

Source: https://replicate.com/docs/topics/predictions/streaming
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, StreamError, Text
from firsttoken.decoders._payload import UNREADABLE, Window, error_of, get

_DONE: Final = Done("event:done")


class _Message(Struct, gc=False):
    reason: str | None = None
    detail: Any = None
    message: Any = None


_WINDOW: Final = Window(_Message)


def is_replicate(name: Any, body: Any) -> bool:
    """Tell whether a payload is an event of a prediction; its body is no JSON, and says nothing."""
    event = get(body, "event")
    return name in ("output", "logs") or get(event, "value") in ("output", "logs")


class Replicate:
    """Reads the events of a prediction's stream."""

    name = "replicate"
    provider: str | None = "replicate"
    has_done = True
    has_finish = False

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "sse + replicate".
        """
        if type(payload) is WireEvent:
            name, data = payload.name, payload.data
        else:
            event = get(payload, "event")
            name = get(event, "value") or event
            data = get(payload, "data")
            if isinstance(data, str):
                data = data.encode("utf-8", "replace")
            elif not isinstance(data, bytes):
                return UNREADABLE
        if name == "output":
            return (Text(data.decode("utf-8", "replace")),) if data else ()
        if name == "done":
            end = _WINDOW.read(data)
            return (Finish(end.reason), _DONE) if end is not None and end.reason else (_DONE,)
        if name == "error":
            return (_error_of(data),)
        return ()


def _error_of(data: bytes) -> StreamError:
    error = _WINDOW.read(data)
    if error is None:
        return StreamError(message=data.decode("utf-8", "replace") or None)
    return error_of(error)
