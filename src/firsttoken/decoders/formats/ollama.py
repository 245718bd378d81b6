"""Ollama chat and generate. Floor 2 (think); thinker thread.

Hosts: a local server on port 11434, ollama.com. `application/x-ndjson`; shape: `done` beside `message`
(`/api/chat`) or `response` (`/api/generate`). The last line has `done: true`, the reason and the counts.
Tool calls come whole, several in one line or one a line, and their `index` is missing in older servers:
they are counted as they come. An error is a line of its own: `{"error": "..."}`.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Identity, Reasoning, Text, ToolCall, Usage
from firsttoken.decoders._payload import UNREADABLE, Window, error_of, get


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: Any = None


class _Call(Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Message(Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(Struct, gc=False):
    model: str | None = None
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


_WINDOW: Final = Window(_Line)
_DONE: Final = Done("done:true")


def is_ollama(name: Any, body: Any) -> bool:
    """Tell whether a payload is a line of `/api/chat` or `/api/generate`."""
    if not isinstance(get(body, "done"), bool):
        return False
    return get(body, "message") is not None or get(body, "response") is not None


class Ollama:
    """Reads the lines of `/api/chat` and `/api/generate`."""

    name = "ollama"
    provider: str | None = "ollama"
    has_done = True
    has_finish = True

    def __init__(self) -> None:
        self._identified = False
        self._calls = 0

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one line.

        Cost: tests/bench/bench_decoders.py, row "ndjson + ollama".
        """
        if type(payload) is WireEvent and not payload.data:
            return ()
        line = _WINDOW.read(payload)
        if line is None:
            return UNREADABLE
        deltas: list[Delta] = []
        if line.model and not self._identified:
            self._identified = True
            deltas.append(Identity(model=line.model))
        message = line.message
        if message is not None:
            if message.thinking:
                deltas.append(Reasoning(message.thinking))
            if message.content:
                deltas.append(Text(message.content))
            if message.tool_calls:
                deltas += map(self._start_of, message.tool_calls)
        if line.thinking:
            deltas.append(Reasoning(line.thinking))
        if line.response:
            deltas.append(Text(line.response))
        if line.error is not None:
            deltas.append(error_of(line.error))
        if line.done:
            if line.prompt_eval_count is not None or line.eval_count is not None:
                deltas.append(Usage(input=line.prompt_eval_count, output=line.eval_count))
            if line.done_reason:
                deltas.append(Finish(line.done_reason))
            deltas.append(_DONE)
        return deltas

    def _start_of(self, call: _Call) -> ToolCall:
        index = self._calls
        self._calls += 1
        function = call.function or _Function()
        if isinstance(function.arguments, str):
            return ToolCall(index, 0, call.id, function.name, "function", function.arguments)
        return ToolCall(index, 0, call.id, function.name, "function", arguments_object=function.arguments)
