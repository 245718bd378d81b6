"""Anthropic text completions, the legacy form. Floor 2 (think); thinker thread.

Host: api.anthropic.com (`/v1/complete`). `text/event-stream` with CRLF, events named `completion`,
`ping`, `error`; shape: the key `completion`. No usage, no done event: the last completion has a
`stop_reason`.

Up to version 2023-01-01 events had no name, no `type`, and repeated the whole text so far; then came
`[DONE]`.

Source: https://docs.anthropic.com/en/api/streaming-text-completions
Source: https://docs.anthropic.com/en/api/versioning
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Identity, KeepAlive, Text
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, Window, error_of, get


class _Completion(Struct, gc=False):
    type: str | None = None
    id: str | None = None
    model: str | None = None
    log_id: str | None = None
    completion: str | None = None
    stop_reason: str | None = None
    error: Any = None


_WINDOW: Final = Window(_Completion)
_KEEP_ALIVE: Final = (KeepAlive(),)
_DONE: Final = (Done("[DONE]"),)


def is_anthropic_complete(name: Any, body: Any) -> bool:
    """Tell whether a payload is a legacy completion."""
    return name == "completion" or isinstance(get(body, "completion"), str)


class AnthropicComplete:
    """Reads the events of the legacy completions endpoint."""

    name = "anthropic.complete"
    provider: str | None = "anthropic"
    has_done = False
    has_finish = True

    def __init__(self) -> None:
        self._identified = False
        self._length = 0  # of the text told so far

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "sse + anthropic.complete".
        """
        nameless = False
        if type(payload) is WireEvent:
            if payload.name == "ping":
                return _KEEP_ALIVE
            if not payload.data:
                return ()
            if payload.data.strip() == DONE_SENTINEL:
                return _DONE
            nameless = payload.name is None
        event = _WINDOW.read(payload)
        if event is None:
            return UNREADABLE
        if event.type == "ping":
            return _KEEP_ALIVE
        deltas: list[Delta] = []
        identity = event.id or event.log_id
        if not self._identified and (identity or event.model):
            self._identified = bool(identity and event.model)
            deltas.append(Identity(identity, event.model))
        text = event.completion
        if text:
            if nameless and event.type is None:
                text = text[self._length :]
            self._length += len(text)
            if text:
                deltas.append(Text(text))
        if event.stop_reason:
            deltas.append(Finish(event.stop_reason))
        if event.error is not None:
            deltas.append(error_of(event.error))
        return deltas
