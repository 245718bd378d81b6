"""Vercel AI SDK, the UI message stream (version 5 and later). Floor 2 (think); thinker thread.

Hosts: one's own. `text/event-stream` of unnamed events, with the header `x-vercel-ai-ui-message-stream:
v1`; shape: `type` is `start`, `text-delta`, `tool-input-delta`, `finish`, ... Ends with `data: [DONE]`.

Model and usage are on the wire only if the application sends them, as metadata of the message. Tool calls
have no index: they are counted in the order in which their ids appear.

Source: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import (
    Delta,
    Done,
    Finish,
    Identity,
    Reasoning,
    StreamError,
    Text,
    ToolCall,
    Usage,
)
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, Window, get

MAX_CALLS: Final = 10_000
"""Tool calls of one stream that are told apart; all later ones count as one."""


class _InputDetails(Struct, gc=False, rename="camel"):
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct, gc=False, rename="camel"):
    reasoning_tokens: int | None = None


class TokenUsage(Struct, gc=False, rename="camel"):
    """Of v5 and later; the two fields in the middle are those of v4."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_token_details: _InputDetails | None = None
    output_token_details: _OutputDetails | None = None


class _Metadata(Struct, gc=False, rename="camel"):
    """What applications send by custom; the keys are their own."""

    model: str | None = None
    usage: TokenUsage | None = None
    total_usage: TokenUsage | None = None


class _Part(Struct, gc=False, rename="camel"):
    type: str | None = None
    message_id: str | None = None
    message_metadata: _Metadata | None = None
    delta: str | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    input_text_delta: str | None = None
    input: Any = None
    finish_reason: str | None = None
    error_text: str | None = None


_PART: Final = Window(_Part)
_DONE: Final = (Done("[DONE]"),)
_NO_USAGE: Final = Usage()
_UI_TYPES: Final = frozenset(
    (
        "start",
        "start-step",
        "text-start",
        "text-delta",
        "reasoning-start",
        "reasoning-delta",
        "tool-input-start",
    )
)


def is_vercel_ui(name: Any, body: Any) -> bool:
    """Tell whether a payload is a part of a UI message stream."""
    kind = get(body, "type")
    return name is None and (kind in _UI_TYPES or get(body, "errorText") is not None)


class Calls:
    """Numbers the tool calls of one stream, and knows which of them came in pieces."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._in_pieces: set[str] = set()

    def number_of(self, call_id: str | None) -> int:
        """Return the number of a call: how many ids appeared before its own."""
        number = self._numbers.get(call_id or "")
        if number is None:
            number = len(self._numbers)
            if number < MAX_CALLS:
                self._numbers[call_id or ""] = number
        return number

    def start(self, call_id: str | None, name: str | None) -> ToolCall:
        """Return the start of a call."""
        return ToolCall(self.number_of(call_id), 0, call_id, name, "function")

    def piece(self, call_id: str | None, arguments: str | None) -> ToolCall:
        """Return a piece of a call's arguments."""
        number = self.number_of(call_id)
        if number < MAX_CALLS:
            self._in_pieces.add(call_id or "")
        return ToolCall(number, arguments=arguments or "")

    def whole(self, call_id: str | None, name: str | None, arguments: Any) -> Sequence[ToolCall]:
        """Return a call told whole, unless its pieces told it before."""
        if (call_id or "") in self._in_pieces:
            return ()
        number = self.number_of(call_id)
        return (ToolCall(number, 0, call_id, name, "function", arguments_object=arguments),)


class VercelUI:
    """Reads the parts of a UI message stream."""

    name = "vercel.ui"
    provider: str | None = None
    has_finish = True
    verbatim = True

    def __init__(self) -> None:
        self.has_done = True
        self._calls = Calls()

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one part.

        Cost: tests/bench/bench_decoders.py, row "sse + vercel.ui".
        """
        if type(payload) is WireEvent:
            if not payload.data:
                return ()
            if payload.data.strip() == DONE_SENTINEL:
                return _DONE
        else:
            self.has_done = False  # `[DONE]` is of the wire
        part = _PART.read(payload)
        if part is None:
            return UNREADABLE
        kind = part.type
        if kind == "text-delta":
            return (Text(part.delta),) if part.delta else ()
        if kind == "reasoning-delta":
            return (Reasoning(part.delta),) if part.delta else ()
        if kind == "tool-input-delta":
            return (self._calls.piece(part.tool_call_id, part.input_text_delta),)
        if kind == "tool-input-start":
            return (self._calls.start(part.tool_call_id, part.tool_name),)
        if kind in ("tool-input-available", "tool-input-error"):
            return self._calls.whole(part.tool_call_id, part.tool_name, part.input)
        if kind == "error":
            return (StreamError(message=part.error_text),)
        deltas: list[Delta] = []
        metadata = part.message_metadata
        if kind == "start" and part.message_id:
            deltas.append(Identity(id=part.message_id))
        if metadata is not None:
            if metadata.model:
                deltas.append(Identity(model=metadata.model))
            read_usage(metadata.total_usage or metadata.usage, deltas)
        if kind == "finish" and part.finish_reason:
            deltas.append(Finish(part.finish_reason))
        elif kind == "abort":
            deltas.append(Finish("abort"))
        return deltas


def read_usage(usage: TokenUsage | None, deltas: list[Delta]) -> None:
    """Append what `usage` says to `deltas`, if it says anything."""
    if usage is None:
        return
    given = usage.input_token_details or _InputDetails()
    made = usage.output_token_details or _OutputDetails()
    told = Usage(
        input=_first(usage.input_tokens, usage.prompt_tokens),
        output=_first(usage.output_tokens, usage.completion_tokens),
        cache_read=_first(given.cache_read_tokens, usage.cached_input_tokens),
        cache_creation=given.cache_write_tokens,
        reasoning=_first(made.reasoning_tokens, usage.reasoning_tokens),
    )
    if told != _NO_USAGE:
        deltas.append(told)


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)
