"""Streams as OTLP/HTTP JSON, scripted to the microsecond, and a way to send them."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from firsttoken._think.timeline import encode_timeline

_IDS = itertools.count(1)
_SALT = random.Random().getrandbits(64)


@dataclass(frozen=True)
class Stall:
    """A gap after the chunk at `index`, and who is to blame."""

    index: int
    duration_s: float
    cause: str = "event_loop"
    file: str | None = "/srv/app/chat.py"
    line: int | None = 107
    function: str | None = "save_log"
    kind: str | None = "io"


@dataclass(frozen=True)
class Stream:
    """What a stream did; every text in it may be hostile."""

    model: str = "model-1"
    provider: str = "example"
    service: str = "chat"
    route: str | None = "/chat"
    name: str | None = None
    outcome: str = "completed"
    error_type: str | None = None
    chunks: int = 50
    first_token_s: float = 0.4
    pace_s: float = 0.02
    stalls: Sequence[Stall] = ()
    threshold_s: float = 0.25
    texts: Sequence[str] | None = None
    ago_s: float = 10.0
    attributes: dict[str, Any] = field(default_factory=dict)
    events: Sequence[tuple[float, str, dict[str, Any]]] = ()
    trace_id: str = field(default_factory=lambda: f"{_SALT:016x}{next(_IDS):016x}")

    @property
    def span_id(self) -> str:
        return self.trace_id[-16:]

    @property
    def parent_id(self) -> str:
        return f"f{self.trace_id[-15:]}"

    @property
    def arrivals_s(self) -> list[float]:
        """When each chunk came: an empty one first, then the first token, then the rest."""
        long = {stall.index: stall.duration_s for stall in self.stalls}
        at = [self.first_token_s / 4, self.first_token_s]
        for index in range(1, self.chunks - 1):
            at.append(at[-1] + long.get(index, self.pace_s))
        return at[: self.chunks]

    def spans(self) -> list[dict[str, Any]]:
        """The stream's span, and the request's around it if there is a route."""
        begin = time.time_ns() - int(self.ago_s * 1e9)
        arrivals = self.arrivals_s
        end = begin + int(arrivals[-1] * 1e9)
        span = {
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "name": f"chat {self.model}" if self.name is None else self.name,
            "kind": 3,
            "startTimeUnixNano": str(begin),
            "endTimeUnixNano": str(end),
            "attributes": _attributes(self._said(arrivals)),
            "events": [
                _event(begin, *event)
                for event in sorted(self._events(arrivals), key=lambda event: event[0])
            ],
            "status": {"code": 2, "message": self.error_type} if self.outcome == "failed" else {},
        }
        if self.route is None:
            return [span]
        request = {
            "traceId": self.trace_id,
            "spanId": self.parent_id,
            "name": f"POST {self.route}",
            "kind": 2,
            "startTimeUnixNano": str(begin - 2_000_000),
            "endTimeUnixNano": str(end + 1_000_000),
            "attributes": _attributes({"http.route": self.route, "http.request.method": "POST"}),
        }
        return [request, {**span, "parentSpanId": self.parent_id}]

    def _said(self, arrivals: Sequence[float]) -> dict[str, Any]:
        gaps = sorted(b - a for a, b in itertools.pairwise(arrivals[1:])) or [0.0]
        blocked = sum(stall.duration_s for stall in self.stalls if stall.cause == "event_loop")
        held = sum(stall.duration_s for stall in self.stalls if stall.cause == "consumer")
        said: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.model,
            "gen_ai.response.time_to_first_chunk": arrivals[0],
            "gen_ai.usage.output_tokens": self.chunks - 1 if self.outcome == "completed" else None,
            "gen_ai.usage.input_tokens": 24,
            "gen_ai.response.finish_reasons": ["stop"] if self.outcome == "completed" else ["error"],
            "error.type": self.error_type,
            "firsttoken.outcome": self.outcome,
            "firsttoken.time_to_first_token": self.first_token_s,
            "firsttoken.hold_before_first_token": 0.001,
            "firsttoken.chunk.count": self.chunks,
            "firsttoken.gap.p50": gaps[len(gaps) // 2],
            "firsttoken.gap.p95": gaps[int(len(gaps) * 0.95)],
            "firsttoken.gap.p99": gaps[int(len(gaps) * 0.99)],
            "firsttoken.gap.max": gaps[-1],
            "firsttoken.stall.count": len(self.stalls),
            "firsttoken.stall.threshold": self.threshold_s,
            "firsttoken.loop_blocked": blocked,
            "firsttoken.hold": held,
            "firsttoken.wait": arrivals[-1] - blocked - held,
            "firsttoken.timeline": encode_timeline([int(at * 1e9) for at in arrivals], 0, lambda: None),
        }
        if self.outcome == "completed" and self.chunks > 2:
            said["firsttoken.time_per_output_token"] = (arrivals[-1] - arrivals[1]) / (self.chunks - 2)
            said["firsttoken.tokens_per_second"] = 1 / said["firsttoken.time_per_output_token"]
        return {key: value for key, value in {**said, **self.attributes}.items() if value is not None}

    def _events(self, arrivals: Sequence[float]) -> Iterable[tuple[float, str, dict[str, Any]]]:
        for index, text in enumerate(self.texts or ()):
            yield (
                arrivals[index],
                "firsttoken.chunk",
                {"firsttoken.sequence": index, "firsttoken.text": text},
            )
        yield self.first_token_s, "firsttoken.first_token", {"firsttoken.sequence": 1}
        for stall in self.stalls:
            yield from self._stall(arrivals[stall.index], stall)
        if self.outcome == "completed":
            yield arrivals[-1], "firsttoken.done", {"firsttoken.done.marker": "[DONE]"}
        if self.error_type is not None:
            yield arrivals[-1], "firsttoken.error", {"error.type": self.error_type}
        yield from self.events

    def _stall(self, at_s: float, stall: Stall) -> Iterable[tuple[float, str, dict[str, Any]]]:
        own = {"event_loop": "firsttoken.loop_blocked", "consumer": "firsttoken.hold"}
        place = {
            "code.file.path": stall.file,
            "code.line.number": stall.line,
            "code.function.name": stall.function,
            "firsttoken.loop_block.kind": stall.kind,
        }
        known = {
            key: value for key, value in place.items() if value is not None and stall.cause == "event_loop"
        }
        spent = {own.get(stall.cause, "firsttoken.wait"): stall.duration_s}
        said = {"firsttoken.stall.cause": stall.cause, "firsttoken.stall.duration": stall.duration_s}
        origin = {"firsttoken.stall.origin": self.name or f"chat {self.model}"}
        yield (
            at_s,
            "firsttoken.stall",
            {"firsttoken.sequence": stall.index, **said, **spent, **origin, **known},
        )
        if stall.cause == "event_loop":
            block = {
                "firsttoken.loop_block.duration": stall.duration_s,
                "firsttoken.loop_blocked": stall.duration_s,
            }
            yield at_s, "firsttoken.loop_block", {**block, **known}


def send(url: str, *streams: Stream) -> None:
    """Send streams to a viewer; they are stored when this returns.

    url: of the viewer.
    """
    send_spans(url, *((stream.service, stream.spans()) for stream in streams))


def send_spans(url: str, *groups: tuple[str, list[dict[str, Any]]]) -> None:
    """Send spans, each group from a service of its own."""
    resources = [
        {
            "resource": {"attributes": _attributes({"service.name": service})},
            "scopeSpans": [{"scope": {"name": "firsttoken"}, "spans": spans}],
        }
        for service, spans in groups
    ]
    body = json.dumps({"resourceSpans": resources})
    headers = {"content-type": "application/json"}
    httpx.post(
        f"{url}/v1/traces", content=body, headers=headers, timeout=60, trust_env=False
    ).raise_for_status()


def _event(begin_ns: int, at_s: float, name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    when = str(begin_ns + int(at_s * 1e9))
    return {"timeUnixNano": when, "name": name, "attributes": _attributes(attributes)}


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": value}
