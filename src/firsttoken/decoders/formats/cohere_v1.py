"""Cohere chat, version 1, and generate. Floor 2 (think); thinker thread.

Hosts: api.cohere.com, api.cohere.ai (`/v1/chat`, `/v1/generate`), and Bedrock. `application/stream+json`,
one object per line, or `text/event-stream`; shape: `event_type` and `is_finished`, the latter alone on
Bedrock. Ends with `stream-end`, which repeats the whole answer. So does `tool-calls-generation` with the
calls that `tool-calls-chunk` told in pieces.

Source: https://docs.cohere.com/v1/docs/streaming
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Identity, StreamError, Text, ToolCall, ToolPlan
from firsttoken.decoders._payload import UNREADABLE, Window, error_of, get
from firsttoken.decoders.formats.cohere import TokenUsage, read_usage


class _Call(Struct, gc=False):
    id: str | None = None
    name: str | None = None
    parameters: Any = None


class _CallDelta(Struct, gc=False):
    index: int | None = None
    name: str | None = None
    parameters: str | None = None
    text: str | None = None


class _Generation(Struct, gc=False):
    index: int | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Response(Struct, gc=False):
    generation_id: str | None = None
    response_id: str | None = None
    id: str | None = None
    text: str | None = None
    finish_reason: str | None = None
    tool_calls: list[_Call] | None = None
    generations: list[_Generation] | None = None
    meta: TokenUsage | None = None


class _Event(Struct, gc=False):
    event_type: str | None = None
    is_finished: bool | None = None
    generation_id: str | None = None
    index: int | None = None
    text: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_delta: _CallDelta | None = None
    finish_reason: str | None = None
    response: _Response | None = None
    err: str | None = None
    error: Any = None
    message: str | None = None


_WINDOW: Final = Window(_Event)


def is_cohere_v1(name: Any, body: Any) -> bool:
    """Tell whether a payload is a line of `/v1/chat` or `/v1/generate`."""
    if isinstance(get(body, "is_finished"), bool):
        return True
    return get(body, "event_type") in ("stream-start", "text-generation", "tool-calls-chunk", "stream-end")


class CohereV1:
    """Reads the lines of `/v1/chat` and `/v1/generate`."""

    name = "cohere.v1"
    provider: str | None = "cohere"
    has_done = True
    has_finish = True

    def __init__(self) -> None:
        self._told: set[type[Delta]] = set()

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one line.

        Cost: tests/bench/bench_decoders.py, row "ndjson + cohere.v1".
        """
        if type(payload) is WireEvent and not payload.data:
            return ()
        event = _WINDOW.read(payload)
        if event is None:
            return UNREADABLE
        deltas: list[Delta] = []
        kind = event.event_type
        if event.generation_id:
            deltas.append(Identity(id=event.generation_id))
        if event.text:
            if kind == "tool-calls-chunk":
                deltas.append(ToolPlan(event.text))
            elif kind == "tool-calls-generation":
                if ToolPlan not in self._told:
                    deltas.append(ToolPlan(event.text))
            else:
                deltas.append(Text(event.text, event.index or 0))
        if event.tool_call_delta is not None:
            _read_call_delta(event.tool_call_delta, deltas)
        if event.tool_calls and ToolCall not in self._told:
            _read_calls(event.tool_calls, deltas)
        if kind == "stream-error" or event.error is not None or event.err:
            deltas.append(error_of(event.err or event.error or event))
        elif kind is None and event.is_finished is None and event.message is not None:
            deltas.append(StreamError(message=event.message))
        if event.is_finished or kind == "stream-end":
            self._read_end(event, deltas)
        for delta in deltas:
            self._told.add(type(delta))
        return deltas

    def _read_end(self, event: _Event, deltas: list[Delta]) -> None:
        response = event.response or _Response()
        identity = response.generation_id or response.response_id or response.id
        if identity:
            deltas.append(Identity(id=identity))
        # The end repeats the whole answer: it counts only if none of it was streamed.
        if response.text and Text not in self._told and ToolPlan not in self._told:
            deltas.append(Text(response.text))
        if response.tool_calls and ToolCall not in self._told:
            _read_calls(response.tool_calls, deltas)
        if response.meta is not None:
            read_usage(response.meta, deltas)
        reason = event.finish_reason or response.finish_reason
        if reason:
            deltas.append(Finish(reason))
        for generation in response.generations or ():
            choice = generation.index or 0
            if generation.text and Text not in self._told:
                deltas.append(Text(generation.text, choice))
            if generation.finish_reason:
                deltas.append(Finish(generation.finish_reason, choice))
        deltas.append(Done(event.event_type or "is_finished:true"))


def _read_call_delta(call: _CallDelta, deltas: list[Delta]) -> None:
    if call.text:
        deltas.append(ToolPlan(call.text))
    if call.name is not None or call.parameters is not None:
        kind = "function" if call.name else None
        deltas.append(ToolCall(call.index or 0, 0, None, call.name, kind, call.parameters))


def _read_calls(calls: list[_Call], deltas: list[Delta]) -> None:
    for index, call in enumerate(calls):
        deltas.append(ToolCall(index, 0, call.id, call.name, "function", arguments_object=call.parameters))
