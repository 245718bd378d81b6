"""AWS Bedrock, ConverseStream. Floor 2 (think); thinker thread.

Hosts: bedrock-runtime.*.amazonaws.com (`/converse-stream`). `application/vnd.amazon.eventstream`, frames
named by their `:event-type`: `messageStart`, `contentBlockStart`, `contentBlockDelta`, `messageStop`, and
*after* that `metadata` with the usage. On the wire the payload is the event; boto3 (and Nova, when it is
invoked) wrap it in an object with the event's name as the only key. There is no id and no model.

A failure is a frame of its own, named `throttlingException` and so on.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Reasoning, StreamError, Text, ToolCall, Usage
from firsttoken.decoders._payload import UNREADABLE, Window


class _ToolUse(Struct, gc=False, rename="camel"):
    tool_use_id: str | None = None
    name: str | None = None
    input: Any = None


class _Reasoning(Struct, gc=False):
    text: str | None = None


class _Delta(Struct, gc=False, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None


class _Start(Struct, gc=False, rename="camel"):
    tool_use: _ToolUse | None = None


class _Usage(Struct, gc=False, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_read_input_token_count: int | None = None  # Nova
    cache_write_input_token_count: int | None = None


class _Event(Struct, gc=False, rename="camel"):
    content_block_index: int = 0
    start: _Start | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None


class _NamedEvent(_Event, gc=False, rename="camel"):
    """An event that is the payload itself, or one under its name."""

    content_block_start: _Event | None = None
    content_block_delta: _Event | None = None
    message_stop: _Event | None = None
    metadata: _Event | None = None


class _Failure(Struct, gc=False, rename="camel"):
    message: str | None = None
    original_message: str | None = None
    original_status_code: int | None = None


_NAMED_EVENT: Final = Window(_NamedEvent)
_FAILURE: Final = Window(_Failure)
CONVERSE_NAMES: Final = (
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
)
"""The events of a message; `metadata` comes after it, and elsewhere too."""


def is_bedrock_converse(name: Any, body: Any) -> bool:
    """Tell whether a payload is an event of ConverseStream, on the wire or wrapped by boto3."""
    if name is not None:
        return name in CONVERSE_NAMES
    return isinstance(body, dict) and len(body) == 1 and next(iter(body)) in CONVERSE_NAMES


class BedrockConverse:
    """Reads the events of ConverseStream."""

    name = "bedrock.converse"
    provider: str | None = "aws.bedrock"
    has_done = True
    has_finish = True

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "eventstream + bedrock.converse".
        """
        if type(payload) is WireEvent:
            if payload.failure:
                return (failure_of(payload),)
            if not payload.data:
                return ()
        named = _NAMED_EVENT.read(payload)
        if named is None:
            return UNREADABLE
        event = (
            named.content_block_delta
            or named.content_block_start
            or named.message_stop
            or named.metadata
            or named
        )
        if event.delta is not None:
            return _read_delta(event.delta, event.content_block_index)
        if event.start is not None:
            use = event.start.tool_use
            return (_call_of(use, event.content_block_index),) if use is not None else ()
        deltas: list[Delta] = []
        if event.stop_reason:
            deltas += (Finish(event.stop_reason), Done("messageStop"))
        if event.usage is not None:
            deltas.append(_usage_of(event.usage))
        return deltas


def _read_delta(delta: _Delta, index: int) -> Sequence[Delta]:
    if delta.text:
        return (Text(delta.text),)
    if delta.reasoning_content is not None and delta.reasoning_content.text:
        return (Reasoning(delta.reasoning_content.text),)
    return (_call_of(delta.tool_use, index),) if delta.tool_use is not None else ()


def _call_of(use: _ToolUse, index: int) -> ToolCall:
    kind = "function" if use.name else None
    if isinstance(use.input, str):
        return ToolCall(index, 0, use.tool_use_id, use.name, kind, use.input)
    return ToolCall(index, 0, use.tool_use_id, use.name, kind, arguments_object=use.input)


def _usage_of(usage: _Usage) -> Usage:
    read, written = usage.cache_read_input_tokens, usage.cache_write_input_tokens
    return Usage(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=read if read is not None else usage.cache_read_input_token_count,
        cache_creation=written if written is not None else usage.cache_write_input_token_count,
        input_excludes_cache=True,
    )


def failure_of(event: WireEvent) -> StreamError:
    """Return the error that a failure frame tells."""
    failure = _FAILURE.read(event) or _Failure()
    code = failure.original_status_code
    return StreamError(
        type=event.name,
        code=None if code is None else str(code),
        message=failure.message or failure.original_message,
    )
