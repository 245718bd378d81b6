"""Google Interactions. Floor 2 (think); thinker thread.

Host: generativelanguage.googleapis.com (`/interactions`). `text/event-stream`, every event named and its
name repeated as `event_type` in the JSON: `interaction.created`, `step.start`, `step.delta`, `step.stop`,
`interaction.completed`; then `event: done`, `data: [DONE]`. The first version of the API said
`interaction.start`, `content.*` and `interaction.complete`.

`metadata.usage` of events under way is a running count that not every event has: what counts is the
interaction's. Google's own tools (search, code execution, MCP) are run by Google: only function calls are
tool calls.

Source: https://ai.google.dev/gemini-api/docs/interactions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from firsttoken.decoders._contract import WireEvent
from firsttoken.decoders._delta import Delta, Done, Finish, Identity, Reasoning, Text, ToolCall, Usage
from firsttoken.decoders._payload import DONE_SENTINEL, UNREADABLE, Window, error_of, get


class _Part(Struct, gc=False):
    type: str | None = None
    text: str | None = None


class _Delta(Struct, gc=False):
    type: str | None = None
    text: str | None = None
    content: _Part | None = None
    id: str | None = None
    name: str | None = None
    arguments: Any = None


class _Step(Struct, gc=False):
    type: str | None = None
    id: str | None = None
    name: str | None = None
    arguments: Any = None
    text: str | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None


class _Usage(Struct, gc=False):
    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_thought_tokens: int | None = None
    total_reasoning_tokens: int | None = None  # the first version's word


class _Interaction(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    agent: str | None = None
    status: str | None = None
    usage: _Usage | None = None
    steps: list[_Step] | None = None
    outputs: list[_Step] | None = None


class _Event(Struct, gc=False):
    event_type: str | None = None
    index: int = 0
    interaction: _Interaction | None = None
    status: str | None = None
    usage: _Usage | None = None
    step: _Step | None = None
    content: _Step | None = None
    delta: _Delta | None = None
    error: Any = None


_WINDOW: Final = Window(_Event)
_DONE: Final = (Done("[DONE]"),)
_UNDER_WAY: Final = frozenset(("in_progress", "queued", "requires_continuation"))


def is_google_interactions(name: Any, body: Any) -> bool:
    """Tell whether a payload is an event of an interaction."""
    kind = get(body, "event_type")
    return isinstance(kind, str) and kind.startswith(("interaction.", "step.", "content."))


class GoogleInteractions:
    """Reads the events of an interaction."""

    name = "google.interactions"
    provider: str | None = "gcp.gemini"
    has_done = True
    has_finish = True

    def __init__(self) -> None:
        self._told = False

    def read(self, payload: Any) -> Sequence[Delta]:
        """Return the deltas of one event.

        Cost: tests/bench/bench_decoders.py, row "sse + google.interactions".
        """
        if type(payload) is WireEvent:
            if not payload.data:
                return ()
            if payload.data.strip() == DONE_SENTINEL:
                return _DONE
        event = _WINDOW.read(payload)
        if event is None:
            return UNREADABLE
        kind = event.event_type or (payload.name if type(payload) is WireEvent else None)
        deltas: Sequence[Delta] = ()
        if kind in ("step.delta", "content.delta"):
            deltas = _read_delta(event.delta, event.index)
        elif kind in ("step.start", "content.start"):
            deltas = _read_step(event.step or event.content, event.index)
        elif event.interaction is not None:
            return self._read_interaction(kind or "", event.interaction)
        elif event.error is not None:
            return (error_of(event.error),)
        elif kind == "interaction.status_update":
            return _read_status(event.status, event.usage)
        self._told = self._told or bool(deltas)
        return deltas

    def _read_interaction(self, kind: str, interaction: _Interaction) -> Sequence[Delta]:
        deltas: list[Delta] = []
        if interaction.id or interaction.model or interaction.agent:
            deltas.append(Identity(interaction.id, interaction.model or interaction.agent))
        if not kind.startswith("interaction.complete"):
            return deltas
        if not self._told:  # the interaction repeats its steps: they count only if nothing came before
            for index, step in enumerate(interaction.steps or interaction.outputs or ()):
                deltas += _read_step(step, index)
        deltas += _read_status(interaction.status, interaction.usage)
        deltas.append(Done(kind))
        return deltas


def _read_status(status: str | None, usage: _Usage | None) -> list[Delta]:
    deltas: list[Delta] = []
    if usage is not None:
        deltas.append(_usage_of(usage))
    if status and status not in _UNDER_WAY:
        deltas.append(Finish(status))
    return deltas


def _read_delta(delta: _Delta | None, index: int) -> Sequence[Delta]:
    if delta is None:
        return ()
    kind = delta.type
    if kind == "text":
        return (Text(delta.text),) if delta.text else ()
    if kind in ("thought_summary", "thought"):
        text = delta.content.text if delta.content is not None else delta.text
        return (Reasoning(text),) if text else ()
    if kind in ("arguments_delta", "function_call"):
        return (_call_of(index, delta.id, delta.name, delta.arguments),)
    return ()


def _read_step(step: _Step | None, index: int) -> Sequence[Delta]:
    if step is None:
        return ()
    if step.type == "function_call":
        return (_call_of(index, step.id, step.name, step.arguments),)
    if step.type == "thought":
        return [
            Reasoning(part.text) for part in [*(step.summary or ()), *(step.content or ())] if part.text
        ]
    if step.type == "model_output":
        return [Text(part.text) for part in step.content or () if part.text]
    return [Text(step.text)] if step.type == "text" and step.text else ()


def _call_of(index: int, call_id: str | None, name: str | None, arguments: Any) -> ToolCall:
    kind = "function" if name else None
    if isinstance(arguments, str):
        return ToolCall(index, 0, call_id, name, kind, arguments)
    # A call starts with {} where its arguments are still to come.
    return ToolCall(index, 0, call_id, name, kind, arguments_object=arguments or None)


def _usage_of(usage: _Usage) -> Usage:
    reasoning = usage.total_thought_tokens
    return Usage(
        input=usage.total_input_tokens,
        output=usage.total_output_tokens,
        cache_read=usage.total_cached_tokens,
        reasoning=reasoning if reasoning is not None else usage.total_reasoning_tokens,
    )
