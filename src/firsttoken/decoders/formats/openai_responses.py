"""OpenAI Responses, and the dialects of Azure, xAI and OpenRouter. Floor 2 (think); thinker thread.

Hosts: api.openai.com, *.openai.azure.com, api.x.ai, openrouter.ai (`/responses`). `text/event-stream`,
every event named, its name repeated as `type` in the JSON: `{"type": "response.output_text.delta", ...}`.
The stream ends with `response.completed`, `.incomplete`, `.failed` or `.cancelled`; some dialects add
`[DONE]`.

What was streamed is told again, whole, three times: by `*.done`, by `response.output_item.done` and in
the final `response`. Those snapshots are read only for what no delta told before.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import (
    Delta,
    Done,
    Finish,
    Identity,
    KeepAlive,
    Reasoning,
    Refusal,
    StreamError,
    Text,
    ToolCall,
    Usage,
)
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, Window, error_of, get

MAX_PARTS: Final = 10_000
"""Output parts of one stream whose telling is remembered; beyond it snapshots are no longer read."""


class _Part(Struct, gc=False):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class _Item(Struct, gc=False):
    type: str | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None


class _Details(Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Response(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    error: Any = None
    output: list[_Item] | None = None
    usage: _Usage | None = None


class _Event(Struct, gc=False):
    type: str | None = None
    delta: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    part: _Part | None = None
    item: _Item | None = None
    response: _Response | None = None
    error: Any = None
    code: Any = None
    message: str | None = None


_WINDOW: Final = Window(_Event)
_DONE: Final = (Done("[DONE]"),)
_KEEP_ALIVE: Final = (KeepAlive(),)

_Told = type[Text] | type[Reasoning] | type[Refusal]

# What an event tells: the kind under which that is remembered, and the delta it becomes.
_PIECES: Final[dict[str, tuple[str, _Told]]] = {
    "response.output_text.delta": ("text", Text),
    "response.refusal.delta": ("refusal", Refusal),
    "response.reasoning_summary_text.delta": ("summary", Reasoning),
    "response.reasoning_summary.delta": ("summary", Reasoning),
    "response.reasoning_text.delta": ("reasoning", Reasoning),
    "response.reasoning.delta": ("reasoning", Reasoning),
    "response.audio.transcript.delta": ("transcript", Text),
}
_WHOLE: Final[dict[str | None, tuple[str, _Told]]] = {
    name.removesuffix("delta") + "done": kind for name, kind in _PIECES.items()
}
_PARTS: Final[dict[str | None, tuple[str, _Told]]] = {
    "output_text": ("text", Text),
    "text": ("text", Text),
    "refusal": ("refusal", Refusal),
    "reasoning_text": ("reasoning", Reasoning),
    "summary_text": ("summary", Reasoning),
}
_KINDS: Final = ("text", "refusal", "summary", "reasoning", "call", "arguments")
_CALLS: Final = {"function_call": "function", "custom_tool_call": "custom"}
_ENDINGS: Final = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}


def is_openai_responses(name: Any, body: Any) -> bool:
    """Tell whether a payload is an event of the Responses API."""
    kind = get(body, "type")
    return isinstance(kind, str) and (kind.startswith("response.") or kind == name == "keepalive")


class OpenAIResponses:
    """Reads the semantic events of the Responses API."""

    name = "openai.responses"
    provider: str | None = "openai"
    has_done = True
    has_finish = True

    def __init__(self) -> None:
        self._told: set[tuple[str | int, ...]] = set()
        self._last: tuple[str | int, ...] = ()

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "sse + openai.responses".
        """
        event = _WINDOW.read(payload)
        if event is None:
            return _read_bare(payload)
        kind = event.type
        if kind is None:
            kind = event.type = payload.name if type(payload) is WireEvent else None
            if kind is None:
                return (error_of(event.error),) if event.error is not None else ()
        piece = _PIECES.get(kind)
        if piece is not None:
            if not event.delta:
                return ()
            what, told = piece
            self._remember(what, event.output_index, event.summary_index or event.content_index)
            return (told(event.delta),)
        reader = _READERS.get(kind)
        return reader(self, event) if reader is not None else ()

    def _remember(self, *part: str | int) -> None:
        if part != self._last and len(self._told) < MAX_PARTS:
            self._last = part
            self._told.update((part, part[:2], part[:1]))

    def _read_call_piece(self, event: _Event) -> Sequence[Delta]:
        self._remember("arguments", event.output_index)
        return (ToolCall(event.output_index, arguments=event.delta or ""),)

    def _read_call_whole(self, event: _Event) -> Sequence[Delta]:
        arguments = event.arguments or event.input
        if not arguments or ("arguments", event.output_index) in self._told:
            return ()
        self._remember("arguments", event.output_index)
        return (ToolCall(event.output_index, arguments=arguments),)

    def _read_item_added(self, event: _Event) -> Sequence[Delta]:
        item = event.item
        if item is None or item.type not in _CALLS:
            return ()
        self._remember("call", event.output_index)
        return (_start_of(item, event.output_index),)

    def _read_whole(self, event: _Event) -> Sequence[Delta]:
        part = event.part
        if part is not None:
            known, text = _PARTS.get(part.type), part.text or part.refusal
        else:
            known, text = _WHOLE.get(event.type), event.text or event.refusal
        if known is None or not text or len(self._told) >= MAX_PARTS:
            return ()
        what, told = known
        where = (what, event.output_index, event.summary_index or event.content_index)
        if where in self._told:
            return ()
        self._remember(*where)
        return (told(text),)

    def _read_item_whole(self, event: _Event) -> Sequence[Delta]:
        if event.item is None or len(self._told) >= MAX_PARTS:
            return ()
        index = event.output_index
        return self._read_item(event.item, index, {kind for kind in _KINDS if (kind, index) in self._told})

    def _read_item(self, item: _Item, index: int, told: set[str]) -> list[Delta]:
        deltas: list[Delta] = []
        if item.type in _CALLS:
            arguments = item.arguments or item.input
            if "call" not in told:
                self._remember("call", index)
                deltas.append(_start_of(item, index))
            if arguments and "arguments" not in told:
                self._remember("arguments", index)
                deltas.append(ToolCall(index, arguments=arguments))
            return deltas
        if item.type not in ("message", "reasoning"):
            return deltas
        for part in [*(item.summary or ()), *(item.content or ())]:
            what, make = _PARTS.get(part.type, ("", Text))
            text = part.text or part.refusal
            if what and text and what not in told:
                self._remember(what, index)
                deltas.append(make(text))
        return deltas

    def _read_response(self, event: _Event) -> Sequence[Delta]:
        response = event.response
        if response is None or (response.id is None and response.model is None):
            return ()
        return (Identity(response.id, response.model),)

    def _read_ending(self, event: _Event) -> Sequence[Delta]:
        marker = event.type or ""
        response = event.response or _Response()
        deltas: list[Delta] = [*self._read_response(event)]
        if len(self._told) < MAX_PARTS:
            told = {kind for kind in _KINDS if (kind,) in self._told}
            for index, item in enumerate(response.output or ()):
                deltas += self._read_item(item, index, told)
        if response.usage is not None:
            deltas.append(_usage_of(response.usage))
        error = response.error if response.error is not None else event.error
        if error is not None:
            deltas.append(error_of(error))
        elif marker == "response.failed":
            deltas.append(StreamError())
        deltas += (Finish(response.status or _ENDINGS[marker]), Done(marker))
        return deltas

    def _read_error(self, event: _Event) -> Sequence[Delta]:
        return (error_of(event.error if event.error is not None else event),)

    def _read_keepalive(self, _: _Event) -> Sequence[Delta]:
        return _KEEP_ALIVE


_Reader = Callable[[OpenAIResponses, _Event], Sequence[Delta]]

_READERS: Final[dict[str, _Reader]] = {
    "response.function_call_arguments.delta": OpenAIResponses._read_call_piece,
    "response.custom_tool_call_input.delta": OpenAIResponses._read_call_piece,
    "response.function_call_arguments.done": OpenAIResponses._read_call_whole,
    "response.custom_tool_call_input.done": OpenAIResponses._read_call_whole,
    "response.output_item.added": OpenAIResponses._read_item_added,
    "response.output_item.done": OpenAIResponses._read_item_whole,
    "response.content_part.done": OpenAIResponses._read_whole,
    "response.reasoning_summary_part.done": OpenAIResponses._read_whole,
    "response.created": OpenAIResponses._read_response,
    "response.queued": OpenAIResponses._read_response,
    "response.in_progress": OpenAIResponses._read_response,
    "error": OpenAIResponses._read_error,
    "response.error": OpenAIResponses._read_error,
    "keepalive": OpenAIResponses._read_keepalive,
    "ping": OpenAIResponses._read_keepalive,
    **dict.fromkeys(map(str, _WHOLE), OpenAIResponses._read_whole),
    **dict.fromkeys(_ENDINGS, OpenAIResponses._read_ending),
}


def _read_bare(payload: Any) -> Sequence[Delta]:
    if type(payload) is WireEvent:
        if payload.data.strip() == DONE_SENTINEL:
            return _DONE
        if not payload.data:
            return _KEEP_ALIVE if payload.name == "keepalive" else ()
    return UNREADABLE


def _start_of(item: _Item, index: int) -> ToolCall:
    return ToolCall(index, id=item.call_id or item.id, name=item.name, type=_CALLS[item.type or ""])


def _usage_of(usage: _Usage) -> Usage:
    given = usage.input_tokens_details or _Details()
    made = usage.output_tokens_details or _Details()
    return Usage(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=given.cached_tokens,
        cache_creation=given.cache_write_tokens,
        reasoning=made.reasoning_tokens,
    )
