"""How our own streams are written: framings put on by hand-made encoders, facts stated by hand.

Nothing here comes from `firsttoken`: a corpus must not agree with a decoder because it was made by one.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import Any

Pieces = list[tuple[int, str]]
"""Texts with the index of the wire event that carries each."""


def dumps(value: Any) -> str:
    """Return compact JSON, in UTF-8 rather than escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse(*events: Any, end: str = "\n", space: str = " ") -> bytes:
    """Return an SSE body. An event is data, (name, data), or a comment: a string that starts with a colon.

    Data that is no string is written as JSON; None is an event without data.
    """
    lines = []
    for event in events:
        if isinstance(event, str) and event.startswith(":"):
            lines += [event, ""]
            continue
        name, data = event if isinstance(event, tuple) else (None, event)
        if name is not None:
            lines.append(f"event:{space}{name}")
        if data is not None:
            text = data if isinstance(data, str) else dumps(data)
            lines += [f"data:{space}{line}" for line in text.split("\n")]
        lines.append("")
    return "".join(line + end for line in lines).encode()


def ndjson(*documents: Any) -> bytes:
    """Return one document per line."""
    return "".join(dumps(document) + "\n" for document in documents).encode()


def frame(payload: Any, **headers: str) -> bytes:
    """Return one `application/vnd.amazon.eventstream` frame; `event_type` becomes `:event-type`."""
    head = b""
    for key, value in headers.items():
        name = (":" + key.replace("_", "-")).encode()
        head += bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    body = payload if isinstance(payload, bytes) else dumps(payload).encode()
    start = struct.pack(">II", 16 + len(head) + len(body), len(head))
    start += struct.pack(">I", zlib.crc32(start))
    return start + head + body + struct.pack(">I", zlib.crc32(start + head + body))


def event(name: str, payload: Any) -> bytes:
    """Return the frame of an ordinary event."""
    return frame(payload, event_type=name, content_type="application/json", message_type="event")


def expect(
    *,
    wire_events: int,
    content: Pieces = (),  # type: ignore[assignment]
    others: dict[int, Pieces] | None = None,
    reasoning: Pieces = (),  # type: ignore[assignment]
    refusal: Pieces = (),  # type: ignore[assignment]
    tool_plan: Pieces = (),  # type: ignore[assignment]
    tools: list[dict[str, Any]] | None = None,
    tool_events: list[int] | None = None,
    finish: dict[int, str] | None = None,
    finish_at: list[int] | None = None,
    usage: tuple[int | None, int | None, list[int]] | None = None,
    id: str | None = None,
    model: str | None = None,
    done: tuple[str, int | None] | None = None,
    after_done: int = 0,
    pings: int = 0,
    errors: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the `expected` of a manifest entry from facts stated by hand.

    content: the answer of choice 0; others: of the further choices.
    usage: (input, output, events that tell it).
    """
    choices = {0: list(content), **(others or {})}
    texts = sorted(index for pieces in choices.values() for index, _ in pieces)
    outputs = [(index, "content") for index in texts]
    for kind, pieces in (("reasoning", reasoning), ("refusal", refusal), ("tool_plan", tool_plan)):
        outputs += [(index, kind) for index, _ in pieces]
    outputs += [(index, "tool_call") for index in tool_events or ()]
    facts: dict[str, Any] = {
        "wire_events": wire_events,
        "content_delta_events": len(set(texts)),
        "first_content_index": texts[0] if texts else None,
        "content": _measure(choices[0]),
    }
    if others:
        facts["choices"] = [
            {"index": choice, **_measure(pieces), "finish_reason": (finish or {}).get(choice)}
            for choice, pieces in choices.items()
        ]
    for kind, pieces in (("reasoning", reasoning), ("refusal", refusal), ("tool_plan", tool_plan)):
        if pieces:
            events = {index for index, _ in pieces}
            facts[kind] = {"delta_events": len(events), "first_index": min(events), **_measure(pieces)}
    if tools:
        facts |= {"tool_calls": tools, "tool_delta_events": len(set(tool_events or ()))}
        facts["first_tool_index"] = (tool_events or [None])[0]
    first = min(outputs, key=lambda output: output[0], default=None)
    facts["first_output"] = {"index": first[0], "kind": first[1]} if first else None
    facts["finish_reasons"] = [finish[choice] for choice in sorted(finish)] if finish else []
    facts["finish_event_indices"] = finish_at or []
    facts["usage"] = (
        {
            "input": usage[0],
            "output": usage[1],
            "event_indices": usage[2],
            "events_with_usage": len(usage[2]),
        }
        if usage
        else None
    )
    facts |= {"response_id": id, "response_model": model}
    facts["done_marker"] = {"kind": done[0], "index": done[1]} if done else None
    if done and done[1] is not None:
        facts["events_after_done"] = after_done
    if pings:
        facts["pings"] = pings
    facts["has_error"] = bool(errors)
    if errors:
        facts["errors"] = errors
    return facts


def _measure(pieces: Pieces) -> dict[str, Any]:
    text = "".join(piece for _, piece in pieces)
    data = text.encode()
    return {
        "length": len(text),
        "utf8_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "preview": text[:48],
    }


_FRAMINGS = {
    "sse": "sse",
    "ndjson": "ndjson",
    "json": "jsonarray",
    "eventstream": "eventstream",
    "txt": "text",
}
_CONTENT_TYPES = {
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "eventstream": "application/vnd.amazon.eventstream",
    "txt": "text/plain; charset=utf-8",
}


class Stream:
    """One stream of the corpus: what is written to its file and to the manifest."""

    def __init__(
        self,
        file: str,
        body: bytes,
        expected: dict[str, Any],
        *,
        notes: str,
        provider: str | None = None,
        host: str = "127.0.0.1",
        content_type: str | None = None,
    ) -> None:
        self.file = file
        self.body = body
        ending = file.rpartition(".")[2]
        self.entry = {
            "file": file,
            "provider": provider,
            "operation": "chat",
            "host": host,
            "framing": _FRAMINGS[ending],
            "content_type": content_type or _CONTENT_TYPES[ending],
            "http_status": 200,
            "origin": "written",
            "body": {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()},
            "notes": notes,
            "expected": expected,
        }
