"""OpenAI Assistants: a run of a thread. Floor 2 (think); thinker thread.

Hosts: api.openai.com, *.openai.azure.com (`/threads/.../runs`). `text/event-stream`; what an event is
stands in its name (`thread.message.delta`, `thread.run.completed`), `object` in the JSON only says of
what kind it is. The SDK yields objects with `event` and `data`. Ends with `event: done`, `data: [DONE]`.

The id is the run's. A message holds a list of contents; tokens are counted by the run, once, at its end
(steps count their own share of the same tokens).

Source: https://platform.openai.com/docs/api-reference/assistants-streaming/events
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
    Refusal,
    StreamError,
    Text,
    ToolCall,
    Usage,
)
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, Window, error_of, get


class _TextValue(Struct, gc=False):
    value: str | None = None


class _Content(Struct, gc=False):
    type: str | None = None
    text: _TextValue | None = None
    refusal: str | None = None


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(Struct, gc=False):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: _Function | None = None


class _StepDetails(Struct, gc=False):
    tool_calls: list[_Call] | None = None


class _Delta(Struct, gc=False):
    content: list[_Content] | None = None
    step_details: _StepDetails | None = None


class _RequiredAction(Struct, gc=False):
    submit_tool_outputs: _StepDetails | None = None


class _Details(Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_token_details: _Details | None = None  # sic: singular here, plural everywhere else
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Data(Struct, gc=False):
    id: str | None = None
    object: str | None = None
    role: str | None = None
    model: str | None = None
    status: str | None = None
    delta: _Delta | None = None
    content: list[_Content] | None = None
    required_action: _RequiredAction | None = None
    usage: _Usage | None = None
    last_error: Any = None
    error: Any = None
    type: str | None = None
    code: Any = None
    message: str | None = None


class _Event(Struct, gc=False):
    event: str | None = None
    data: _Data | None = None


_DATA: Final = Window(_Data)
_EVENT: Final = Window(_Event)
_DONE: Final = (Done("[DONE]"),)
_ENDED: Final = frozenset(("completed", "failed", "cancelled", "expired", "incomplete", "requires_action"))


def is_openai_assistants(name: Any, body: Any) -> bool:
    """Tell whether a payload is an event of a run, on the wire or from the SDK."""
    words = (name, get(body, "event"), get(body, "object"))
    return any(isinstance(word, str) and word.startswith("thread.") for word in words)


class OpenAIAssistants:
    """Reads the events of a run: message deltas, function calls, the run's end."""

    name = "openai.assistants"
    provider: str | None = "openai"
    has_finish = True

    def __init__(self) -> None:
        self.has_done = True
        self._told_text = False  # of the current message
        self._step: str | None = None
        self._first_call = 0  # number of the current step's first call
        self._calls = 0

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "sse + openai.assistants".
        """
        if type(payload) is WireEvent:
            if not payload.data:
                return ()
            if payload.data.strip() == DONE_SENTINEL:
                return _DONE
            name, data = payload.name, _DATA.read(payload)
            if data is None:
                return UNREADABLE
        else:
            self.has_done = False  # `[DONE]` is of the wire; the SDK keeps it to itself
            event = _EVENT.read(payload)
            if event is None:
                return UNREADABLE
            name, data = event.event, event.data
            if data is None and (data := _DATA.read(payload)) is None:
                return UNREADABLE
        return self._read_data(name or "", data)

    def _read_data(self, name: str, data: _Data) -> Sequence[Delta]:
        if name == "error" or data.error is not None:
            return (error_of(data.error if data.error is not None else data),)
        kind = data.object
        if kind == "thread.message.delta":
            return self._read_contents(data.delta.content if data.delta is not None else None)
        if kind == "thread.run.step.delta":
            details = data.delta.step_details if data.delta is not None else None
            return self._read_calls(data.id, details)
        if kind == "thread.run":
            return self._read_run(data)
        if kind == "thread.message":
            return self._read_message(name, data)
        return ()

    def _read_contents(self, contents: list[_Content] | None) -> Sequence[Delta]:
        deltas: list[Delta] = []
        for content in contents or ():
            if content.text is not None and content.text.value:
                deltas.append(Text(content.text.value))
            elif content.refusal:
                deltas.append(Refusal(content.refusal))
        self._told_text = self._told_text or bool(deltas)
        return deltas

    def _read_message(self, name: str, data: _Data) -> Sequence[Delta]:
        # A finished message repeats what its deltas said: it counts only if there were none.
        ended = name in ("thread.message.completed", "thread.message.incomplete") or not name
        deltas = () if self._told_text or data.role == "user" else self._read_contents(data.content)
        if ended:
            self._told_text = False
        return deltas

    def _read_calls(self, step: str | None, details: _StepDetails | None) -> Sequence[Delta]:
        deltas: list[Delta] = []
        for position, call in enumerate((details.tool_calls if details is not None else None) or ()):
            if call.type != "function":
                continue
            if step != self._step:  # every step counts its calls from 0
                self._step = step
                self._first_call = self._calls
            index = self._first_call + (call.index if call.index is not None else position)
            self._calls = max(self._calls, index + 1)
            function = call.function or _Function()
            deltas.append(ToolCall(index, 0, call.id, function.name, call.type, function.arguments))
        return deltas

    def _read_run(self, run: _Data) -> Sequence[Delta]:
        deltas: list[Delta] = []
        if run.id is not None or run.model is not None:
            deltas.append(Identity(run.id, run.model))
        if run.usage is not None:
            deltas.append(_usage_of(run.usage))
        if not self._calls and run.required_action is not None:
            deltas += self._read_calls(None, run.required_action.submit_tool_outputs)
        if run.last_error is not None:
            deltas.append(error_of(run.last_error))
        elif run.status == "failed":
            deltas.append(StreamError())
        if run.status in _ENDED:
            deltas.append(Finish(run.status or ""))
        return deltas


def _usage_of(usage: _Usage) -> Usage:
    given = usage.prompt_tokens_details or usage.prompt_token_details or _Details()
    made = usage.completion_tokens_details or _Details()
    return Usage(
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        cache_read=given.cached_tokens,
        reasoning=made.reasoning_tokens,
    )
