"""Server-sent events that are objects already. Floor 2 (think); runs on the thinker thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from firsttoken.decoders._attributes import get, has
from firsttoken.decoders._contract import Framed, WireEvent
from firsttoken.decoders._delta import KeepAlive, Undecoded

_KEYS: Final = frozenset({"data", "event", "id", "retry", "comment", "sep"})
_KEEP_ALIVE: Final = KeepAlive()
_NOT_JSON: Final = Undecoded("data of a server-sent event is no JSON")


def framed_of(chunk: Any) -> Sequence[Framed] | None:
    """Return the wire events in a server-sent event of an SSE library, or None if `chunk` is none.

    Such are the `ServerSentEvent`s of httpx-sse, sse-starlette and FastAPI: they have `event`, and `data`
    that is a string, or (before sending) anything at all.
    """
    if not has(chunk, "data") or not (has(chunk, "event") or isinstance(chunk, dict)):
        return None
    event, data = get(chunk, "event"), get(chunk, "data")
    name = getattr(event, "value", event)  # an enumeration member, or the string
    if not isinstance(name, str) or name == "message":
        name = None
    if data is None:
        data = get(chunk, "raw_data")
    if isinstance(data, str):
        return (WireEvent(data.encode("utf-8", "replace"), name),)
    if isinstance(data, bytes):
        return (WireEvent(data, name),)
    if data is None:
        if name is not None:
            return (WireEvent(b"", name, dispatched=False),)
        return (_KEEP_ALIVE,) if get(chunk, "comment") is not None else ()
    if type(chunk).__name__ != "ServerSentEvent":
        return None  # an SDK's own event, with its own object in it
    try:
        return (WireEvent(msgspec.json.encode(data, enc_hook=_dump), name),)
    except Exception:  # whatever the application put there
        return (_NOT_JSON,)


def is_event(chunk: dict[Any, Any]) -> bool:
    """Return whether a dict is a server-sent event, as sse-starlette takes them: `data` is a string."""
    return isinstance(chunk["data"], str) and chunk.keys() <= _KEYS


def _dump(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else vars(value)
