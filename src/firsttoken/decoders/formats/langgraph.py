"""LangGraph, its server and the graph itself. Floor 2 (think); thinker thread.

Hosts: *.langgraph.app, one's own (`/threads/.../runs/stream`, `/runs/stream`). `text/event-stream` with
CRLF; the event's name is the stream mode, with the subgraph behind a `|`: `messages` (a JSON array of
message chunk and metadata), `messages/partial` (the message *so far*), `messages/complete`, `values` and
`updates` (the state, again and again), `metadata`, `error`. Nothing marks the end but the end (older
servers: `event: end`). In process a graph yields tuples: (message, metadata), or (mode, item), or
(namespace, mode, item).

Source: https://docs.langchain.com/langsmith/streaming
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Identity, StreamError
from firsttoken.decoders._payload import UNREADABLE, Window, get, parse_json
from firsttoken.decoders.formats._langchain import Message, MessageReader
from firsttoken.decoders.formats.langserve import LangServe


class _First(Struct, gc=False, array_like=True):
    """The first element of a JSON array; the others are skipped."""

    message: Message | None = None


class _About(Struct, gc=False):
    run_id: str | None = None
    error: str | None = None
    message: str | None = None


_FIRST: Final = Window(_First)
_MESSAGE: Final = Window(Message)
_ABOUT: Final = Window(_About)
_DONE: Final = (Done("event:end"),)
_MESSAGES: Final = frozenset(("messages", "messages/partial", "messages/complete", "messages/metadata"))
_STATES: Final = frozenset(("values", "updates", "custom", "debug", "tasks", "checkpoints"))


def is_langgraph(name: Any, body: Any) -> bool:
    """Tell whether a payload is one of LangGraph: by the event's name, or a tuple that a graph yields."""
    if isinstance(name, str):
        mode = name.partition("|")[0]
        if mode == "values":
            return get(body, "messages") is not None
        return mode in _MESSAGES or (mode == "metadata" and get(body, "attempt") is not None)
    if not isinstance(body, tuple):
        return False
    mode, item = _split(body)
    if mode == "messages":
        return get(_first_of(item), "content") is not None
    return mode in _MESSAGES or mode in _STATES


class LangGraph:
    """Reads the messages of a run; of its state only the time counts."""

    name = "langgraph"
    provider: str | None = None
    has_done = False
    has_finish = False

    def __init__(self) -> None:
        self._messages = MessageReader()
        self._events = LangServe()

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event, or of one item that a graph yields.

        Cost: tests/bench/bench_decoders.py, row "sse + langgraph".
        """
        mode: Any
        if type(payload) is WireEvent:
            mode, item = (payload.name or "").partition("|")[0], payload.data
            if not item:
                return _DONE if mode == "end" else ()
        else:
            mode, item = _split(payload)
        if mode == "messages":
            message = _message_in(item)
            return UNREADABLE if message is None else self._messages.read(message)
        if mode in ("messages/partial", "messages/complete"):
            message = _message_in(item)
            return UNREADABLE if message is None else self._messages.read_so_far(message)
        if mode == "events":
            return self._events.read_output(item)
        if mode == "metadata":
            about = _ABOUT.read(item)
            return (Identity(id=about.run_id),) if about is not None and about.run_id else ()
        if mode == "error":
            return (_error_of(item),)
        return _DONE if mode == "end" else ()


def _split(payload: Any) -> tuple[Any, Any]:
    """Return the stream mode and the item of what a graph, or the SDK of its server, yields."""
    if isinstance(payload, tuple):
        if hasattr(payload, "event"):
            return str(payload.event).partition("|")[0], getattr(payload, "data", None)
        if len(payload) > 1 and isinstance(payload[-2], str):
            return payload[-2], payload[-1]
        if len(payload) == 2 and isinstance(payload[0], tuple):
            payload = payload[1]
        return "messages", payload
    if isinstance(get(payload, "event"), str):
        return "events", payload
    if get(payload, "ns") is not None:
        return get(payload, "type"), get(payload, "data")
    return "messages", payload


def _message_in(item: Any) -> Message | None:
    if isinstance(item, bytes):
        first = _FIRST.read(item)
        if first is not None:
            return first.message or Message()
        try:
            item = parse_json(item)
        except (ValueError, RecursionError):
            return None
    return _MESSAGE.read(_first_of(item))


def _first_of(item: Any) -> Any:
    if isinstance(item, (list, tuple)):
        return item[0] if item else None
    return item


def _error_of(item: Any) -> StreamError:
    about = _ABOUT.read(item)
    if about is None:
        return StreamError(
            message=item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
        )
    return StreamError(type=about.error, message=about.message)
