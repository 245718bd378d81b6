"""Anthropic messages. Floor 2 (think); runs on the thinker thread.

Hosts: api.anthropic.com; the same events come from Vertex AI and, framed anew, from Bedrock.
Shape: `type` is `message_start`, `content_block_*`, `message_delta`, `message_stop`. Ends with
`message_delta` (the stop reason) and `message_stop`.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, field

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import (
    Delta,
    Done,
    Finish,
    Identity,
    KeepAlive,
    Reasoning,
    StreamError,
    Text,
    ToolCall,
    Usage,
)
from firsttoken.decoders._payload import UNREADABLE, Window, error_of, get

_DONE: Final = (Done("message_stop"),)
_KEEP_ALIVE: Final = (KeepAlive(),)
_MESSAGE_TYPES: Final = frozenset({"message_start", "message_delta", "message_stop"})
_TOOL_USES: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


class _OutputDetails(Struct, gc=False):
    thinking_tokens: int | None = None


class _Usage(Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Metrics(Struct, gc=False, rename="camel"):
    """What Bedrock adds to the last event."""

    input_token_count: int | None = None
    output_token_count: int | None = None
    cache_read_input_token_count: int | None = None
    cache_write_input_token_count: int | None = None


class _Block(Struct, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None


class _Delta(Struct, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Message(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None


class _Event(Struct, gc=False):
    type: str | None = None
    index: int = 0
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: _Usage | None = None
    error: Any = None
    metrics: _Metrics | None = field(name="amazon-bedrock-invocationMetrics", default=None)
    # Of a whole message, sent in place of a stream:
    id: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None


_WINDOW: Final = Window(_Event)
_NO_USAGE: Final = Usage(input_excludes_cache=True)


def is_anthropic_messages(name: Any, body: Any) -> bool:
    """Tell whether a payload is a messages event (a ping alone says nothing)."""
    kind = get(body, "type")
    if kind == "message":  # a whole one
        return bool(get(body, "role") == "assistant")
    return isinstance(kind, str) and (kind.startswith("content_block_") or kind in _MESSAGE_TYPES)


class AnthropicMessages:
    """Reads messages events: from the wire, as dicts, or as the SDK's raw and helper-stream events.

    The helper stream follows each raw event with others derived from it (`text`, `thinking`,
    `input_json`, ...): their types are not among those read here, so nothing counts twice.
    """

    name = "anthropic.messages"
    provider: str | None = "anthropic"
    has_done = True
    has_finish = True
    verbatim = True

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "sse + anthropic.messages".
        """
        if type(payload) is WireEvent and not payload.data:
            return ()
        event = _WINDOW.read(payload)
        if event is None:
            return UNREADABLE
        kind = event.type
        if kind == "content_block_delta":
            return _read_delta(event)
        if kind == "ping":
            return _KEEP_ALIVE
        if kind == "content_block_start":
            return [] if event.content_block is None else _read_block(event.content_block, event.index)
        if kind == "message_start":
            message = event.message
            if message is None:
                return ()
            return [Identity(message.id or None, message.model or None), *_account(message.usage)]
        if kind == "message_delta":
            finish = _finish(event.delta.stop_reason if event.delta is not None else None)
            return [*finish, *_account(event.usage)]
        if kind == "message_stop":
            return [*_account_metrics(event.metrics), *_DONE] if event.metrics is not None else _DONE
        if event.error or kind == "error":
            return [error_of(event.error) if event.error else StreamError()]
        if kind == "message":
            return _read_whole(event)
        return ()


def _read_delta(event: _Event) -> Sequence[Delta]:
    delta = event.delta
    if delta is None:
        return ()
    if delta.text:
        return (Text(delta.text),)
    if delta.thinking:
        return (Reasoning(delta.thinking),)
    if delta.partial_json is not None:
        return (ToolCall(event.index, arguments=delta.partial_json),)
    return ()


def _read_block(block: _Block, index: int) -> list[Delta]:
    deltas: list[Delta] = []
    if block.thinking:
        deltas.append(Reasoning(block.thinking))
    if block.type == "text" and block.text:
        deltas.append(Text(block.text))
    if block.type in _TOOL_USES:
        deltas.append(
            ToolCall(
                index, id=block.id, name=block.name, type=block.type, arguments_object=block.input or None
            )
        )
    return deltas


def _read_whole(message: _Event) -> list[Delta]:
    deltas: list[Delta] = [Identity(message.id or None, message.model or None)]
    for index, block in enumerate(message.content or ()):
        deltas += _read_block(block, index)
    return [*deltas, *_finish(message.stop_reason), *_account(message.usage), *_DONE]


def _finish(stop_reason: str | None) -> tuple[Finish, ...]:
    return (Finish(stop_reason),) if stop_reason else ()


def _account(usage: _Usage | None) -> tuple[Usage, ...]:
    if usage is None:
        return ()
    details = usage.output_tokens_details
    told = Usage(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=usage.cache_read_input_tokens,
        cache_creation=usage.cache_creation_input_tokens,
        reasoning=details.thinking_tokens if details is not None else None,
        input_excludes_cache=True,
    )
    return () if told == _NO_USAGE else (told,)


def _account_metrics(metrics: _Metrics) -> tuple[Usage, ...]:
    told = Usage(
        input=metrics.input_token_count,
        output=metrics.output_token_count,
        cache_read=metrics.cache_read_input_token_count,
        cache_creation=metrics.cache_write_input_token_count,
        input_excludes_cache=True,
    )
    return () if told == _NO_USAGE else (told,)
