"""Text with nothing around it, and JSON of no known format. Floor 2 (think); thinker thread.

Hosts: any; what an application of one's own streams. Shape: data that is no JSON document, or a document
with its text under one of the usual keys. No done event or finish reason is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, KeepAlive, StreamError, Text
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, error_of, get, parse_json

TEXT_KEYS: Final = (
    "text",
    "content",
    "token",
    "delta",
    "response",
    "output",
    "answer",
    "completion",
    "generated_text",
)
"""Where JSON of one's own making keeps its text, in the order they are tried."""

END_NAMES: Final = frozenset({"done", "end", "close", "complete", "completed", "finish", "stop"})
PING_NAMES: Final = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
_PREAMBLE_NAMES: Final = frozenset({"metadata", "start", "open", "connected", "status"})

_KEEP_ALIVE: Final = (KeepAlive(),)
_DONE: Final = (Done("[DONE]"),)
_UNWORDED: Final = (Text(""),)


class PlainText:
    """Reads wire events whose data is the text itself, or the text as a JSON string."""

    name = "text"
    provider: str | None = None
    has_done = False
    has_finish = False

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the text of one wire event or one string."""
        if isinstance(payload, str):
            return (Text(payload),) if payload else ()
        if not isinstance(payload, WireEvent):
            return UNREADABLE
        name, data = payload.name, payload.data
        if name is not None:
            if name in END_NAMES:
                return (Done(f"event:{name}"),)
            if name in PING_NAMES:
                return _KEEP_ALIVE
            if name in _PREAMBLE_NAMES:
                return ()
            if name == "error":
                return (StreamError(message=data.decode("utf-8", "replace") or None),)
        if not data:
            return ()
        if data == DONE_SENTINEL:
            return _DONE
        if data[:1] == b'"' and data[-1:] == b'"' and len(data) > 1:
            try:
                text = parse_json(data)
            except (ValueError, RecursionError):
                pass
            else:
                return (Text(text),) if text else ()
        return (Text(data.decode("utf-8", "replace")),)


class LooseJSON:
    """Reads JSON objects, and objects of unknown types, by the usual keys.

    One that has none of them counts as content of unknown wording, as long as no other had one: the
    time to the first token of a stream nobody knows is the time to its first object.
    """

    name = "json"
    provider: str | None = None
    has_done = False
    has_finish = False
    verbatim = True

    def __init__(self) -> None:
        self._worded = False

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one object."""
        name = None
        if isinstance(payload, WireEvent):
            name = payload.name
            if name in PING_NAMES:
                return _KEEP_ALIVE
            if payload.data == DONE_SENTINEL:
                return _DONE
            if not payload.data:
                return (Done(f"event:{name}"),) if name in END_NAMES else ()
            try:
                payload = parse_json(payload.data)
            except (ValueError, RecursionError):
                if name == "error":
                    return (error_of(payload.data.decode("utf-8", "replace")),)
                return UNREADABLE
            if name == "error" and not get(payload, "error"):
                return (error_of(payload),)
        deltas: list[Delta] = []
        error = get(payload, "error")
        if error:
            deltas.append(error_of(error))
        text = text_of(payload)
        if text is not None:
            self._worded = True
            if text:
                deltas.append(Text(text))
        kind = name or get(payload, "type") or get(payload, "event")
        reason = get(payload, "finish_reason") or get(payload, "stop_reason")
        if isinstance(reason, str) and reason:
            deltas.append(Finish(reason))
        if get(payload, "done") is True or (isinstance(kind, str) and kind in END_NAMES):
            deltas.append(Done(kind if isinstance(kind, str) and kind in END_NAMES else "done"))
        if not deltas and text is None and not self._worded and payload not in (None, "", {}, []):
            return _UNWORDED
        return deltas


def text_of(payload: Any) -> str | None:
    """Return the text under the first of `TEXT_KEYS` that holds a string, or None."""
    for key in TEXT_KEYS:
        value = get(payload, key)
        if isinstance(value, str):
            return value
    return None


def neutral_deltas(name: str | None, body: Any) -> Sequence[Delta] | None:
    """Return the deltas of a payload that means the same in every format, None of any other."""
    if isinstance(body, str):
        if not body.strip():
            return ()
        if body.strip() == "[DONE]":
            return _DONE
    elif not body:
        return ()
    kind = name or get(body, "type")
    if isinstance(kind, str) and kind in PING_NAMES:
        return _KEEP_ALIVE
    error = get(body, "error")
    if error:
        return (error_of(error, default_type=get(body, "error_type")),)
    if kind == "error":
        return (error_of(body) if not isinstance(body, list) else StreamError(),)
    return None
