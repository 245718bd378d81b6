"""OpenAI chat completions, and everyone who copied them. Floor 2 (think); thinker thread.

Hosts: api.openai.com, *.openai.azure.com, api.groq.com, api.deepseek.com, api.mistral.ai, api.together.ai,
openrouter.ai, api.perplexity.ai, *.snowflakecomputing.com, and any vLLM, LiteLLM or llama.cpp server.
Shape: `object` is `chat.completion.chunk`, or `choices[].delta`. Ends with a finish reason per choice and
`data: [DONE]`, which the SDKs swallow.

Source: https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Identity, Reasoning, Refusal, Text, ToolCall
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, Window, get
from firsttoken.decoders.formats._openai_dialects import ChatUsage, read_extras, usage_of


class _Part(Struct, gc=False):
    """One part of list-valued content (Mistral): text, or thinking made of parts itself."""

    text: str | None = None
    thinking: list[_Part] | str | None = None


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Custom(Struct, gc=False):
    name: str | None = None
    input: str | None = None


class _ToolCall(Struct, gc=False):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Delta(Struct, gc=False):
    content: str | list[_Part] | None = None
    reasoning_content: str | None = None  # DeepSeek, vLLM, xAI, LiteLLM
    reasoning: str | None = None  # OpenRouter, Groq, newer vLLM; some send both, with the same text
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None


class _WholeChoice(Struct, gc=False):
    index: int = 0
    delta: Any = None
    message: _Delta | None = None


class _Whole(Struct, gc=False):
    choices: list[_WholeChoice] | None = None


_WINDOW: Final = Window(_Chunk)
_DECODE: Final = _WINDOW.decode
_WHOLE: Final = Window(_Whole)
_DONE: Final = (Done("[DONE]"),)
_NO_FUNCTION: Final = _Function()


def is_openai_chat(name: Any, body: Any) -> bool:
    """Tell whether a payload is a chat completion chunk, bare or in an SDK's event."""
    if str(get(body, "object")).startswith(("chat.completion", "chat.reasoning")):
        return True
    choice = _first_choice(body) or _first_choice(get(body, "chunk")) or _first_choice(get(body, "data"))
    return get(choice, "delta") is not None or get(choice, "message") is not None


class OpenAIChat:
    """Reads chat completion chunks: from the wire, as dicts, or as objects of any SDK like OpenAI's."""

    name = "openai.chat"
    provider: str | None = None
    has_finish = True
    verbatim = True

    def __init__(self) -> None:
        self.has_done = True
        self._id: str | None = None
        self._model: str | None = None
        self._identity_due = True
        self._spoken = False
        self._unindexed_calls: dict[int, int] = {}  # choice -> calls so far that came without an index

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one chunk.

        Cost: tests/bench/bench_decoders.py, row "sse + openai.chat".
        """
        name = None
        if type(payload) is WireEvent:
            name, payload = payload.name, payload.data
            if not payload:
                return ()
            if payload[0] == 0x5B and payload.strip() == DONE_SENTINEL:
                return _DONE
            try:
                chunk = _DECODE(payload)
            except Exception:
                chunk = _WINDOW.read(payload)  # type: ignore[assignment]
        else:
            self.has_done = False  # `[DONE]` is of the wire; SDKs keep it to themselves
            payload = _unwrap(payload)
            if payload is None:
                return ()
            chunk = _WINDOW.read(payload)  # type: ignore[assignment]
        if chunk is None:
            return UNREADABLE
        deltas: list[Delta] = []
        if self._identity_due:
            self._identify(chunk, deltas)
        start = len(deltas)
        finishes: list[Delta] = []
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta is not None:
                thought = delta.reasoning_content or delta.reasoning
                if thought:
                    deltas.append(Reasoning(thought, choice.index))
                content = delta.content
                if content:
                    if type(content) is str:
                        deltas.append(Text(content, choice.index))
                    else:
                        _speak_parts(content, choice.index, deltas)
                if delta.refusal:
                    deltas.append(Refusal(delta.refusal, choice.index))
                if delta.tool_calls:
                    deltas += [self._call(call, choice.index) for call in delta.tool_calls]
            if choice.finish_reason and choice.finish_reason != "null":
                finishes.append(Finish(choice.finish_reason, choice.index))
        said = len(deltas) > start
        if finishes or not said:
            self._read_extras(payload, name, said, deltas)
            deltas += finishes
        self._spoken = self._spoken or said
        if chunk.usage is not None:
            deltas += usage_of(chunk.usage)
        return deltas

    def _read_extras(self, payload: Any, name: str | None, said: bool, deltas: list[Delta]) -> None:
        """Read what chunks without text, and last ones, may have: a whole answer, extras of dialects."""
        if not self._spoken and not said:
            whole = _WHOLE.read(payload)
            for choice in (whole.choices if whole is not None else None) or ():
                if choice.message is not None and choice.delta is None:
                    if choice.message.content:
                        _speak_parts(choice.message.content, choice.index, deltas)
                    for call in choice.message.tool_calls or ():
                        deltas.append(self._call(call, choice.index))
        deltas += read_extras(payload, name, said, self._index_of)

    def _identify(self, chunk: _Chunk, deltas: list[Delta]) -> None:
        """Tell the first id and the first model: a later one may be another (ids that change, routers)."""
        new_id = chunk.id if self._id is None and chunk.id else None
        new_model = chunk.model if self._model is None and chunk.model else None
        if new_id or new_model:
            deltas.append(Identity(new_id, new_model))
            self._id = self._id or new_id
            self._model = self._model or new_model
            self._identity_due = self._id is None or self._model is None

    def _call(self, call: _ToolCall, choice: int) -> ToolCall:
        name: str | None
        arguments: str | dict[str, Any] | None
        kind: str | None
        if call.custom is not None:
            name, arguments, kind = call.custom.name, call.custom.input, call.type or "custom"
        else:
            function = call.function or _NO_FUNCTION
            name, arguments, kind = function.name, function.arguments, call.type
        index = call.index if call.index is not None else self._index_of(choice, bool(name))
        if isinstance(arguments, dict):
            return ToolCall(index, choice, call.id, name, kind, arguments_object=arguments)
        return ToolCall(index, choice, call.id, name, kind, arguments)

    def _index_of(self, choice: int, starts: bool) -> int:
        """Return the index of a call that came without: each name starts a new one."""
        calls = self._unindexed_calls.get(choice, 0)
        if starts or not calls:
            calls += 1
            self._unindexed_calls[choice] = calls
        return calls - 1


def _first_choice(body: Any) -> Any:
    choices = get(body, "choices")
    return choices[0] if isinstance(choices, (list, tuple)) and choices else None


def _unwrap(payload: Any) -> Any:
    """Return the chunk inside an SDK's event, or None for an event derived from a chunk already seen."""
    if get(payload, "choices") is not None or isinstance(payload, dict):
        return payload
    kind = get(payload, "type")
    if kind == "chunk":  # openai's `chat.completions.stream` helper: each chunk, then what follows from it
        return get(payload, "chunk")
    if isinstance(kind, str) and kind.endswith((".delta", ".done")):
        return None
    inner = get(payload, "data")  # mistralai
    return payload if inner is None else inner


def _speak_parts(content: str | list[_Part], choice: int, deltas: list[Delta]) -> None:
    if isinstance(content, str):
        deltas.append(Text(content, choice))
        return
    for part in content:
        if part.text:
            deltas.append(Text(part.text, choice))
        elif isinstance(part.thinking, str):
            if part.thinking:
                deltas.append(Reasoning(part.thinking, choice))
        else:
            deltas += [Reasoning(thought.text, choice) for thought in part.thinking or () if thought.text]
