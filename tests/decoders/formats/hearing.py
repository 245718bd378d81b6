"""What the tests of formats share: payloads read in every way they come, and the sum of what was told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from firsttoken.decoders._contract import Format, WireEvent
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
    ToolPlan,
    Undecoded,
    Usage,
)

DONE = WireEvent(b"[DONE]")


class Heard:
    """The sum of the deltas of one stream."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.reasoning = ""
        self.refusal = ""
        self.plan = ""
        self.calls: dict[tuple[int, int], dict[str, Any]] = {}
        self.usage = Usage()
        self.usages = 0
        self.finish: dict[int, str] = {}
        self.id: str | None = None
        self.model: str | None = None
        self.done: list[str] = []
        self.errors: list[tuple[str | None, str | None, str | None]] = []
        self.keep_alives = 0
        self.lost = 0

    @property
    def text(self) -> str:
        return self.texts.get(0, "")

    def take(self, delta: Delta) -> None:
        match delta:
            case Text(text, choice):
                self.texts[choice] = self.texts.get(choice, "") + text
            case Reasoning(text):
                self.reasoning += text
            case Refusal(text):
                self.refusal += text
            case ToolPlan(text):
                self.plan += text
            case ToolCall():
                self._take_call(delta)
            case Usage():
                self.usages += 1
                self.usage = Usage(
                    *(
                        getattr(self.usage, field)
                        if getattr(delta, field) is None
                        else getattr(delta, field)
                        for field in Usage.__struct_fields__
                    )
                )
            case Finish(reason, choice):
                self.finish[choice] = reason
            case Identity(response_id, model):
                self.id = self.id or response_id
                self.model = self.model or model
            case Done(marker):
                self.done.append(marker)
            case StreamError(kind, code, message):
                self.errors.append((kind, code, message))
            case KeepAlive():
                self.keep_alives += 1
            case Undecoded():
                self.lost += 1

    def _take_call(self, delta: ToolCall) -> None:
        call = self.calls.setdefault((delta.choice, delta.index), {})
        for field in ("id", "name", "type"):
            if getattr(delta, field) is not None:
                call.setdefault(field, getattr(delta, field))
        if delta.arguments is not None:
            call["arguments"] = call.get("arguments", "") + delta.arguments
        if delta.arguments_object is not None:
            call["arguments"] = delta.arguments_object


def wire(payload: Any, name: str | None = None) -> WireEvent:
    """Return a payload as it comes out of a framing."""
    return WireEvent(json.dumps(payload).encode(), name)


def hear(reader: Format, payloads: Iterable[Any]) -> Heard:
    """Return what `reader` tells of payloads: wire events, dicts or objects, taken as they are."""
    heard = Heard()
    for payload in payloads:
        for delta in reader.read(payload):
            heard.take(delta)
    return heard


def hear_both_ways(make: Callable[[], Format], payloads: Iterable[dict[str, Any]]) -> Heard:
    """Return what is told of payloads, having found the same whether they came as JSON or as dicts."""
    payloads = list(payloads)
    from_wire = hear(make(), map(wire, payloads))
    from_dicts = hear(make(), payloads)
    assert vars(from_wire) == vars(from_dicts)
    return from_wire
