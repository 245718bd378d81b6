"""What Jaeger has, read through its stable API, `/api/v3`.

Source: https://www.jaegertracing.io/docs/2.13/architecture/apis/ (the answers are OTLP JSON).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import httpx

from tests.e2e.servers import Server, eventually

_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Event:
    name: str
    time_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """One span as Jaeger tells it; the parent's id is empty for a root, `status` is 2 for an error."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    service: str
    status: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: list[Event] = field(repr=False)

    def named(self, name: str) -> list[Event]:
        """Return the events of that name, in the order of their sequence numbers."""
        found = [event for event in self.events if event.name == name]
        return sorted(
            found, key=lambda event: (event.attributes.get("firsttoken.sequence", 0), event.time_ns)
        )


class Jaeger:
    """The query side of a Jaeger."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._client = httpx.Client(base_url=server.url("QUERY_PORT"), trust_env=False, timeout=60)

    def close(self) -> None:
        self._client.close()

    def ask(self, trace_id: str) -> httpx.Response:
        """Ask for one trace, of the last hour."""
        begin, end = _last_hour()
        return self._client.get(f"/api/v3/traces/{trace_id}", params={"start_time": begin, "end_time": end})

    def trace(self, trace_id: str, spans: int = 1) -> list[Span]:
        """Return a trace once it is there with so many spans, the earliest span first."""

        def look() -> list[Span] | None:
            answer = self.ask(trace_id)
            if answer.status_code == 404:
                return None
            found = _spans(answer.raise_for_status().json())
            return found if len(found) >= spans else None

        return eventually(look, f"trace {trace_id} with {spans} spans")

    def search(self, service: str, limit: int = 10_000) -> dict[str, list[Span]]:
        """Return the traces of a service by their ids."""
        begin, end = _last_hour()
        query = {
            "query.service_name": service,
            "query.start_time_min": begin,
            "query.start_time_max": end,
            "query.num_traces": limit,
        }
        answer = self._client.get("/api/v3/traces", params=query)
        if answer.status_code == 404:
            return {}
        found: dict[str, list[Span]] = {}
        for span in _spans(answer.raise_for_status().json()):
            found.setdefault(span.trace_id, []).append(span)
        return found


def _last_hour() -> tuple[str, str]:
    now = datetime.fromtimestamp(time.time(), timezone.utc)
    begin, end = ((now + shift).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for shift in (-_HOUR, _HOUR))
    return begin, end


def _spans(answer: Any) -> list[Span]:
    found = [
        Span(
            trace_id=told["traceId"],
            span_id=told["spanId"],
            parent_id=told.get("parentSpanId", ""),
            name=told["name"],
            kind=told.get("kind", 0),
            service=_attributes(group["resource"]["attributes"]).get("service.name", ""),
            status=told["status"].get("code", 0),
            start_ns=int(told["startTimeUnixNano"]),
            end_ns=int(told["endTimeUnixNano"]),
            attributes=_attributes(told.get("attributes", ())),
            events=[
                Event(event["name"], int(event["timeUnixNano"]), _attributes(event.get("attributes", ())))
                for event in told.get("events", ())
            ],
        )
        for group in answer["result"]["resourceSpans"]
        for scope in group["scopeSpans"]
        for told in scope["spans"]
    ]
    return sorted(found, key=lambda span: (span.start_ns, span.parent_id != ""))


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return dict(_pairs(pairs))


def _pairs(pairs: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for pair in pairs:
        ((kind, value),) = pair["value"].items()
        if kind == "intValue":
            value = int(value)
        elif kind == "arrayValue":
            value = [item for each in value.get("values", ()) for item in each.values()]
        yield pair["key"], value
