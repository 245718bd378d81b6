"""LangChain messages, as LangServe and LangGraph stream them. Floor 2 (think); thinker thread.

A message chunk (`type: "AIMessageChunk"`) is a piece: texts and arguments are appended, and usage is
*added up*. That is what its fields mean: integrations whose provider repeats a running total send the
differences. A message (`type: "ai"`) is whole; `messages/partial` of LangGraph sends it again and again
as it grows.

Source: https://python.langchain.com/api_reference/core/messages/langchain_core.messages.ai.AIMessageChunk.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._delta import Delta, Finish, Identity, Reasoning, Refusal, Text, ToolCall, Usage

MAX_MESSAGES: Final = 10_000
"""Messages of one stream that are remembered; of later ones a repetition is not known as such."""


class ContentBlock(Struct, gc=False):
    """One block of list-valued content, of any provider's making."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    summary: list[ContentBlock] | None = None
    reasoning_content: ContentBlock | str | None = None


class Call(Struct, gc=False):
    """A piece of a tool call, its `args` a piece of JSON text; or a whole one, its `args` an object."""

    index: int | str | None = None
    id: str | None = None
    name: str | None = None
    args: Any = None


class _Details(Struct, gc=False):
    cache_read: int | None = None
    cache_creation: int | None = None
    reasoning: int | None = None


class _UsageMetadata(Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _Details | None = None
    output_token_details: _Details | None = None


class _ResponseMetadata(Struct, gc=False, rename={"converse_reason": "stopReason"}):
    """Where each integration leaves the finish reason and the model, in its provider's words."""

    finish_reason: str | None = None
    stop_reason: str | None = None
    converse_reason: str | None = None
    done_reason: str | None = None
    status: str | None = None
    model_name: str | None = None
    model: str | None = None
    model_id: str | None = None


class _AdditionalKwargs(Struct, gc=False):
    reasoning_content: str | None = None
    refusal: str | None = None


class Message(Struct, gc=False):
    """What is read of a message, piece or whole."""

    type: str | None = None
    id: str | None = None
    content: str | list[ContentBlock | str] | None = None
    tool_call_chunks: list[Call] | None = None
    tool_calls: list[Call] | None = None
    usage_metadata: _UsageMetadata | None = None
    response_metadata: _ResponseMetadata | None = None
    additional_kwargs: _AdditionalKwargs | None = None


Wording = Text | Reasoning | Refusal


_OF_THE_MODEL: Final = frozenset(("AIMessageChunk", "ai"))


class _Told:
    """What was told of one message."""

    __slots__ = ("calls", "finish", "in_pieces", "lengths", "numbers", "usage")

    def __init__(self) -> None:
        self.lengths: dict[type[Wording], int] = {}
        self.numbers: dict[int | str, int] = {}  # of its calls, by the index they have on the wire
        self.calls: dict[int, ToolCall] = {}  # whole ones
        self.in_pieces = False  # its calls came as such
        self.finish: str | None = None
        self.usage: Usage | None = None


class MessageReader:
    """Turns the messages of one run into deltas. Only those of the model count."""

    def __init__(self) -> None:
        self._id_due = True
        self._model_due = True
        self._calls = 0
        self._messages: dict[str, _Told] = {}
        self._nameless = _Told()

    def read(self, message: Message) -> list[Delta]:
        """Return the deltas of one message chunk; a message is taken for one: some servers call it so."""
        if message.type not in _OF_THE_MODEL:
            return []
        deltas: list[Delta] = []
        told = self._nameless if message.id is None else self._told_of(message.id)
        self._read_origin(message, told, deltas)
        for wording in _wordings(message):
            told.lengths[type(wording)] = told.lengths.get(type(wording), 0) + len(wording.text)
            deltas.append(wording)
        for call in message.tool_call_chunks or ():
            told.in_pieces = True
            index = self._number_of(call, told)
            kind = "function" if call.name else None
            args = call.args if isinstance(call.args, str) else None
            deltas.append(ToolCall(index, 0, call.id or None, call.name or None, kind, args))
        if message.type == "ai":
            self._read_whole_calls(message, told, deltas)
        if message.usage_metadata is not None:
            told.usage = _sum_of(told.usage, _usage_of(message.usage_metadata))
            deltas.append(told.usage)
        return deltas

    def read_so_far(self, message: Message) -> list[Delta]:
        """Return what a message, whole or grown, says beyond what was told of it before."""
        if message.type not in _OF_THE_MODEL:
            return []
        deltas: list[Delta] = []
        told = _Told() if message.id is None else self._told_of(message.id)
        self._read_origin(message, told, deltas)
        texts: dict[type[Wording], str] = {}
        for wording in _wordings(message):
            texts[type(wording)] = texts.get(type(wording), "") + wording.text
        for kind, text in texts.items():
            known = told.lengths.get(kind, 0)
            if len(text) > known:
                told.lengths[kind] = len(text)
                deltas.append(kind(text[known:]))
        self._read_whole_calls(message, told, deltas)
        if message.usage_metadata is not None:
            usage = _usage_of(message.usage_metadata)
            if usage != told.usage:
                told.usage = usage
                deltas.append(usage)
        return deltas

    def _read_whole_calls(self, message: Message, told: _Told, deltas: list[Delta]) -> None:
        for position, call in enumerate(() if told.in_pieces else message.tool_calls or ()):
            call.index = position
            index = self._number_of(call, told)
            whole = ToolCall(index, 0, call.id, call.name, "function", arguments_object=call.args)
            if told.calls.get(position) != whole:
                told.calls[position] = whole
                deltas.append(whole)

    def _told_of(self, message_id: str) -> _Told:
        told = self._messages.get(message_id)
        if told is None:
            told = _Told()
            if len(self._messages) < MAX_MESSAGES:
                self._messages[message_id] = told
        return told

    def _read_origin(self, message: Message, told: _Told, deltas: list[Delta]) -> None:
        origin = message.response_metadata or _ResponseMetadata()
        model = origin.model_name or origin.model or origin.model_id
        if (self._id_due and message.id) or (self._model_due and model):
            self._id_due = self._id_due and not message.id
            self._model_due = self._model_due and not model
            deltas.append(Identity(message.id, model))
        reason = origin.finish_reason or origin.stop_reason or origin.converse_reason or origin.done_reason
        reason = reason or origin.status
        if reason and reason != told.finish:
            told.finish = reason
            deltas.append(Finish(reason))

    def _number_of(self, call: Call, told: _Told) -> int:
        """Return the number of a call within the run: every message counts its calls anew."""
        if call.index is None:
            if self._calls and not (call.name or call.id):
                return self._calls - 1
        elif call.index in told.numbers:
            return told.numbers[call.index]
        number = self._calls
        self._calls += 1
        if call.index is not None and len(told.numbers) < MAX_MESSAGES:
            told.numbers[call.index] = number
        return number


def _wordings(message: Message) -> Iterator[Wording]:
    extra = message.additional_kwargs
    if extra is not None:
        if extra.reasoning_content:
            yield Reasoning(extra.reasoning_content)
        if extra.refusal:
            yield Refusal(extra.refusal)
    content = message.content
    if not content:
        return
    if isinstance(content, str):
        yield Text(content)
        return
    for block in content:
        if isinstance(block, str):
            if block:
                yield Text(block)
        elif thought := _thought_in(block):
            yield Reasoning(thought)
        elif block.refusal:
            yield Refusal(block.refusal)
        elif block.text and block.type in (None, "text", "output_text"):
            yield Text(block.text)


def _thought_in(block: ContentBlock) -> str:
    if isinstance(block.reasoning_content, ContentBlock):
        return block.reasoning_content.text or ""
    summary = "".join(part.text or "" for part in block.summary or ())
    return block.thinking or block.reasoning or block.reasoning_content or summary


def _usage_of(usage: _UsageMetadata) -> Usage:
    given = usage.input_token_details or _Details()
    made = usage.output_token_details or _Details()
    return Usage(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=given.cache_read,
        cache_creation=given.cache_creation,
        reasoning=made.reasoning,
    )


def _sum_of(known: Usage | None, more: Usage) -> Usage:
    if known is None:
        return more
    return Usage(
        input=_sum(known.input, more.input),
        output=_sum(known.output, more.output),
        cache_read=_sum(known.cache_read, more.cache_read),
        cache_creation=_sum(known.cache_creation, more.cache_creation),
        reasoning=_sum(known.reasoning, more.reasoning),
    )


def _sum(known: int | None, more: int | None) -> int | None:
    return more if known is None else known if more is None else known + more
