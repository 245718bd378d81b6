"""What only some of those who copied OpenAI's chat format send. Floor 2 (think); thinker thread.

None of it comes in the chunks that carry text, so `openai_chat` looks here only if a chunk carries none, or
a finish reason: all others are spared twenty fields they do not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._delta import Delta, Reasoning, Text, ToolCall, Usage
from firsttoken.decoders._payload import Window, error_of, get


class InputDetails(Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(Struct, gc=False):
    reasoning_tokens: int | None = None


class ChatUsage(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek
    cached_tokens: int | None = None  # Together
    cache_read_input_tokens: int | None = None  # LiteLLM
    cache_creation_input_tokens: int | None = None  # LiteLLM
    reasoning_tokens: int | None = None  # Perplexity


class _Detail(Struct, gc=False):
    text: str | None = None
    summary: str | None = None


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ExtraDelta(Struct, gc=False):
    reasoning_details: list[_Detail] | None = None  # OpenRouter
    function_call: _Function | None = None  # OpenAI, before there were tools
    audio: Any = None  # OpenAI
    type: str | None = None  # Snowflake: "tool_use", and then the next three
    tool_use_id: str | None = None
    name: str | None = None
    input: str | None = None


class _ExtraChoice(Struct, gc=False):
    index: int = 0
    delta: _ExtraDelta | None = None
    error: Any = None  # OpenRouter
    usage: ChatUsage | None = None  # Moonshot


class _XGroq(Struct, gc=False):
    usage: ChatUsage | None = None
    error: Any = None


class _ExtraChunk(Struct, gc=False):
    choices: list[_ExtraChoice] | None = None
    usage: ChatUsage | None = None
    x_groq: _XGroq | None = None
    error: Any = None
    object: str | None = None
    message: Any = None  # vLLM and Mistral, where `object` is "error"; and the next two
    type: str | None = None
    code: Any = None
    base_resp: Any = None  # MiniMax


_WINDOW: Final = Window(_ExtraChunk)
_NO_USAGE: Final = Usage()


def read_extras(
    payload: Any, name: str | None, said: bool, index_of: Callable[[int, bool], int]
) -> list[Delta]:
    """Return what a chunk says in some dialect.

    name: of the SSE event, if it has one.
    said: the chunk has said something in the common way, which is then not read in another.
    index_of: (choice, starts a call) -> index of a tool call that has none.
    """
    chunk = _WINDOW.read(payload)
    if chunk is None:
        return []
    deltas: list[Delta] = []
    for choice in chunk.choices or ():
        if choice.delta is not None and not said:
            _read_delta(choice.delta, choice.index, index_of, deltas)
        if choice.error:
            deltas.append(error_of(choice.error))
        if choice.usage is not None:
            deltas += usage_of(choice.usage)
    if chunk.x_groq is not None:
        if chunk.x_groq.usage is not None and chunk.usage is None:
            deltas += usage_of(chunk.x_groq.usage)
        if chunk.x_groq.error:
            deltas.append(error_of(chunk.x_groq.error))
    if chunk.error:
        deltas.append(error_of(chunk.error))
    elif not chunk.choices and (chunk.object == "error" or name == "error"):
        deltas.append(error_of(chunk))
    elif get(chunk.base_resp, "status_code"):
        code, message = get(chunk.base_resp, "status_code"), get(chunk.base_resp, "status_msg")
        deltas.append(error_of({"code": code, "message": message}))
    return deltas


def usage_of(usage: ChatUsage) -> tuple[Usage, ...]:
    """Return the counts in a `usage` object, none if it holds none."""
    read = written = reasoning = None
    if usage.prompt_tokens_details is not None:
        read = usage.prompt_tokens_details.cached_tokens
        written = usage.prompt_tokens_details.cache_write_tokens
    if usage.completion_tokens_details is not None:
        reasoning = usage.completion_tokens_details.reasoning_tokens
    told = Usage(
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        cache_read=_first(
            read, usage.prompt_cache_hit_tokens, usage.cached_tokens, usage.cache_read_input_tokens
        ),
        cache_creation=_first(written, usage.cache_creation_input_tokens),
        reasoning=_first(reasoning, usage.reasoning_tokens),
    )
    return () if told == _NO_USAGE else (told,)


def _read_delta(
    delta: _ExtraDelta, choice: int, index_of: Callable[[int, bool], int], deltas: list[Delta]
) -> None:
    for detail in delta.reasoning_details or ():
        thought = detail.text or detail.summary
        if thought:
            deltas.append(Reasoning(thought, choice))
    call = delta.function_call
    if call is not None:
        deltas.append(ToolCall(0, choice, name=call.name, type="function", arguments=call.arguments))
    if delta.type == "tool_use":
        index = index_of(choice, bool(delta.name))
        deltas.append(ToolCall(index, choice, delta.tool_use_id, delta.name, "tool_use", delta.input))
    transcript = get(delta.audio, "transcript")
    if transcript or get(delta.audio, "data"):
        deltas.append(Text(transcript if isinstance(transcript, str) else "", choice))


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
