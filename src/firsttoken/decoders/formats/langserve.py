"""LangServe, and LangChain's message objects. Floor 2 (think); thinker thread.

Hosts: one's own (`/stream`, `/stream_log`, `/stream_events`). `text/event-stream` with CRLF, events named
`metadata`, `data`, `error`, `end`; the end is an `end` event without data, which by the rules of SSE does
not happen. The data is what the chain yields: a message chunk (shape: `type: "AIMessageChunk"`), a JSON
string, an object with an answer, a log patch (`ops`) or an event (`event: "on_chat_model_stream"`). There
is no finish reason but the model's own.

Source: https://python.langchain.com/docs/langserve/#endpoints
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Identity, Text
from firsttoken.decoders._payload import UNREADABLE, Window, error_of, get, parse_json
from firsttoken.decoders.formats._langchain import Message, MessageReader


class _Op(Struct, gc=False):
    op: str | None = None
    path: str | None = None
    value: Any = None


class _EventData(Struct, gc=False):
    chunk: Any = None


class _Output(Message, gc=False):
    """What a chain yields: a message, or an object of the chain's own making, a log patch, an event."""

    run_id: str | None = None
    event: str | None = None
    data: _EventData | None = None
    ops: list[_Op] | None = None
    output: Any = None
    answer: Any = None
    text: Any = None


class _Metadata(Struct, gc=False):
    run_id: str | None = None


class _Failure(Struct, gc=False):
    status_code: int | str | None = None
    code: Any = None
    type: str | None = None
    error: Any = None
    message: str | None = None


_OUTPUT: Final = Window(_Output)
_METADATA: Final = Window(_Metadata)
_FAILURE: Final = Window(_Failure)
_DONE: Final = (Done("event:end"),)
_MODEL_EVENTS: Final = frozenset(("on_chat_model_stream", "on_llm_stream"))
_STREAMED: Final = "/streamed_output/-"


def is_langserve(name: Any, body: Any) -> bool:
    """Tell whether a payload is one of LangServe, or a LangChain message chunk."""
    if name is not None:
        return isinstance(name, str) and name == "data"
    event = get(body, "event")
    return get(body, "type") == "AIMessageChunk" or (isinstance(event, str) and event.startswith("on_"))


class LangServe:
    """Reads what a chain yields."""

    name = "langserve"
    provider: str | None = None
    has_finish = False

    def __init__(self) -> None:
        self.has_done = True
        self._messages = MessageReader()

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event, or of one object that a chain yields.

        Cost: tests/bench/bench_decoders.py, row "sse + langserve".
        """
        if type(payload) is not WireEvent:
            self.has_done = False  # the end event is of the wire
            return self.read_output(payload)
        name, data = payload.name, payload.data
        if name == "end":
            return _DONE
        if not data:
            return ()
        if name == "metadata":
            about = _METADATA.read(data)
            return (Identity(id=about.run_id),) if about is not None and about.run_id else ()
        if name == "error":
            failure = _FAILURE.read(data)
            if failure is None:
                return (error_of(data.decode("utf-8", "replace")),)
            if failure.status_code is not None:
                failure.code = failure.status_code
            return (error_of(failure.error or failure),)
        if data[:1] == b"{":
            return self.read_output(data)
        try:
            return self.read_output(parse_json(data))
        except (ValueError, RecursionError):
            return UNREADABLE

    def read_output(self, output: Any) -> Sequence[Delta]:
        """Return the deltas of one thing a chain yields: text, JSON bytes, a dict, a message object."""
        if isinstance(output, str):
            return (Text(output),) if output else ()
        if output is None or isinstance(output, (list, tuple, int, float)):
            return ()
        read = _OUTPUT.read(output)
        if read is None:
            return UNREADABLE
        if read.type is not None and read.event is None:
            return self._messages.read(read)
        if read.ops is not None:
            return [delta for op in read.ops for delta in self._read_op(op)]
        if read.event is not None:
            chunk = read.data.chunk if read.data is not None and read.event in _MODEL_EVENTS else None
            return self.read_output(chunk)
        for answer in (read.answer, read.output, read.text, read.content):
            if answer:
                return self._read_answer(answer)
        return ()

    def _read_answer(self, answer: Any) -> Sequence[Delta]:
        # No deeper: an answer is a text or a message, not another object with an answer.
        if isinstance(answer, str):
            return (Text(answer),)
        return self.read_output(answer) if get(answer, "type") is not None else ()

    def _read_op(self, op: _Op) -> Sequence[Delta]:
        return self.read_output(op.value) if op.path == _STREAMED and op.op == "add" else ()
