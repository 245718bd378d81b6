"""From readings to the `expected` of a corpus manifest: the tests' own way of adding deltas up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from firsttoken.decoders import (
    ChunkDecoder,
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
    ToolPlan,
    Undecoded,
    Usage,
)

Readings = list[tuple["int | None", Sequence[Delta]]]

_KINDS = {
    Text: "content",
    Reasoning: "reasoning",
    Refusal: "refusal",
    ToolPlan: "tool_plan",
    ToolCall: "tool_call",
}


def read_all(decoder: ChunkDecoder, chunks: Iterable[Any]) -> Readings:
    """Return what each wire event of a stream says, with its number; those at the end included."""
    readings = [reading for chunk in chunks for reading in decoder.read(chunk)]
    return [(event, deltas) for event, _, deltas in readings + decoder.read_end()]


def facts_of(readings: Readings, wire_events: int) -> dict[str, Any]:
    """Return what a manifest's `expected` says, computed from deltas alone."""
    texts = {kind: _Texts() for kind in (Text, Reasoning, Refusal, ToolPlan)}
    calls: dict[tuple[int, int], dict[str, Any]] = {}
    tool_events: list[int] = []
    first_output: dict[str, Any] | None = None
    finishes: dict[int, str] = {}
    finish_events: list[int] = []
    usage_events: list[int] = []
    usage: dict[str, int] = {}
    dones: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    response_id = response_model = None
    pings = undecoded = 0
    for index, deltas in readings:
        for delta in deltas:
            kind = type(delta)
            if kind in _KINDS and first_output is None:
                first_output = {"index": index, "kind": _KINDS[kind]}
            if isinstance(delta, (Text, Reasoning, Refusal, ToolPlan)):
                texts[kind].add(index, delta)
            elif isinstance(delta, ToolCall):
                _append_call(calls, delta)
                _note(tool_events, index)
            elif isinstance(delta, Finish):
                finishes[delta.choice] = delta.reason
                _note(finish_events, index)
            elif isinstance(delta, Usage):
                counts = {"input": delta.input, "output": delta.output}
                usage.update({key: count for key, count in counts.items() if count is not None})
                _note(usage_events, index)
            elif isinstance(delta, Done):
                dones.append({"kind": delta.marker, "index": index})
            elif isinstance(delta, StreamError):
                errors.append({"index": index, **_fields(delta)})
            elif isinstance(delta, Identity):
                response_id = response_id or delta.id
                response_model = response_model or delta.model
            elif isinstance(delta, KeepAlive):
                pings += index is not None
            elif isinstance(delta, Undecoded):
                undecoded += 1
    done = dones[-1] if dones else None
    return {
        "wire_events": wire_events,
        "content_delta_events": len(texts[Text].events),
        "first_content_index": texts[Text].first,
        "content": texts[Text].of_choice(0),
        "choices": [
            {"index": choice, **texts[Text].of_choice(choice), "finish_reason": finishes.get(choice)}
            for choice in sorted(texts[Text].pieces)
        ],
        "reasoning": texts[Reasoning].whole(),
        "refusal": texts[Refusal].whole(),
        "tool_plan": texts[ToolPlan].whole(),
        "tool_calls": list(calls.values()),
        "tool_delta_events": len(tool_events),
        "first_tool_index": tool_events[0] if tool_events else None,
        "first_output": first_output,
        "finish_reasons": [finishes[choice] for choice in sorted(finishes)],
        "finish_event_indices": finish_events,
        "usage": {**usage, "event_indices": usage_events} if usage else None,
        "response_id": response_id,
        "response_model": response_model,
        "done_marker": done,
        "events_after_done": None
        if done is None or done["index"] is None
        else wire_events - 1 - done["index"],
        "pings": pings,
        "has_error": bool(errors),
        "errors": errors,
        "undecoded": undecoded,
    }


class _Texts:
    def __init__(self) -> None:
        self.pieces: dict[int, list[str]] = {}
        self.events: list[int] = []

    def add(self, index: int, delta: Any) -> None:
        assert delta.text, "a format made a delta of an empty text"
        self.pieces.setdefault(delta.choice, []).append(delta.text)
        _note(self.events, index)

    @property
    def first(self) -> int | None:
        return self.events[0] if self.events else None

    def of_choice(self, choice: int) -> dict[str, Any]:
        return _measure("".join(self.pieces.get(choice, ())))

    def whole(self) -> dict[str, Any] | None:
        if not self.events:
            return None
        return {"delta_events": len(self.events), "first_index": self.first, **self.of_choice(0)}


def _measure(text: str) -> dict[str, Any]:
    data = text.encode()
    return {
        "length": len(text),
        "utf8_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "preview": text[:48],
    }


def _append_call(calls: dict[tuple[int, int], dict[str, Any]], delta: ToolCall) -> None:
    call = calls.setdefault((delta.choice, delta.index), {"id": None, "name": None, "type": None})
    for key in ("id", "name", "type"):
        call[key] = call[key] or getattr(delta, key)
    if delta.arguments is not None:
        call["arguments"] = call.get("arguments", "") + delta.arguments
    if delta.arguments_object is not None:
        call["arguments_object"] = delta.arguments_object


def _note(events: list[int], index: int | None) -> None:
    if index is not None and (not events or events[-1] != index):
        events.append(index)


def _fields(error: StreamError) -> dict[str, Any]:
    return {key: value for key in ("type", "code", "message") if (value := getattr(error, key)) is not None}
