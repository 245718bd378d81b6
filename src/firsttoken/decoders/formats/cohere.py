"""Cohere chat, version 2. Floor 2 (think); thinker thread.

Hosts: api.cohere.com (`/v2/chat`), and Cohere's models behind Azure, OCI and Bedrock.
`text/event-stream`, events named and the name repeated as `type`: `message-start`, `content-delta`,
`tool-plan-delta`, `tool-call-start`, `tool-call-delta`, `message-end`; then `data: [DONE]`.

`tokens` is what the model read and wrote, `billed_units` what is paid for: only the former is usage. The
SDK's counts are floats, which are taken for the whole numbers they are.

Source: https://docs.cohere.com/v2/docs/streaming
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
    ToolPlan,
    Usage,
)
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, Window, error_of, get


class _Tokens(Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None


class TokenUsage(Struct, gc=False):
    """`usage` of version 2, `meta` of version 1."""

    tokens: _Tokens | None = None
    cached_tokens: int | None = None


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct, gc=False):
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _Content(Struct, gc=False):
    text: str | None = None
    thinking: str | None = None


class _Message(Struct, gc=False):
    content: _Content | list[_Content] | None = None  # an empty list in `message-start`
    tool_plan: str | None = None
    tool_calls: _Call | list[_Call] | None = None  # likewise


class _MessageDelta(Struct, gc=False):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None
    error: Any = None


class _Event(Struct, gc=False):
    type: str | None = None
    id: str | None = None
    index: int = 0
    delta: _MessageDelta | None = None
    error: Any = None
    message: str | None = None


_WINDOW: Final = Window(_Event)
_NO_USAGE: Final = Usage()
_DONE: Final = (Done("[DONE]"),)


_TYPES: Final = frozenset(
    (
        "message-start",
        "content-start",
        "content-delta",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "message-end",
    )
)


def is_cohere_v2(name: Any, body: Any) -> bool:
    """Tell whether a payload is an event of `/v2/chat`."""
    return get(body, "type") in _TYPES


class CohereV2:
    """Reads the events of `/v2/chat`."""

    name = "cohere.v2"
    provider: str | None = "cohere"
    has_done = True
    has_finish = True
    verbatim = True

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "sse + cohere.v2".
        """
        if type(payload) is WireEvent:
            if not payload.data:
                return ()
            if payload.data.strip() == DONE_SENTINEL:
                return _DONE
        event = _WINDOW.read(payload)
        if event is None:
            return UNREADABLE
        deltas: list[Delta] = []
        if event.id and event.type == "message-start":
            deltas.append(Identity(id=event.id))
        if event.error is not None:
            deltas.append(error_of(event.error))
        elif event.message is not None and event.delta is None:
            deltas.append(StreamError(message=event.message))
        delta = event.delta
        if delta is None:
            return deltas
        if delta.message is not None:
            _read_message(delta.message, event.index, deltas)
        if event.type == "message-end":
            if delta.usage is not None:
                read_usage(delta.usage, deltas)
            if delta.error:
                deltas.append(error_of(delta.error))
            if delta.finish_reason:
                deltas.append(Finish(delta.finish_reason))
            deltas.append(Done("message-end"))
        return deltas


def _read_message(message: _Message, index: int, deltas: list[Delta]) -> None:
    if message.tool_plan:
        deltas.append(ToolPlan(message.tool_plan))
    content = message.content
    if content is not None:
        for part in content if isinstance(content, list) else (content,):
            if part.thinking:
                deltas.append(Reasoning(part.thinking))
            if part.text:
                deltas.append(Text(part.text))
    calls = message.tool_calls
    if calls is not None:
        for offset, call in enumerate(calls if isinstance(calls, list) else (calls,)):
            function = call.function or _Function()
            deltas.append(
                ToolCall(index + offset, 0, call.id, function.name, call.type, function.arguments)
            )


def read_usage(usage: TokenUsage, deltas: list[Delta]) -> None:
    """Append what `usage` says to `deltas`, if it says anything."""
    tokens = usage.tokens or _Tokens()
    told = Usage(
        input=tokens.input_tokens,
        output=tokens.output_tokens,
        cache_read=usage.cached_tokens,
    )
    if told != _NO_USAGE:
        deltas.append(told)
