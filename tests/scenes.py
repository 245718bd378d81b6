"""Streams on paper: a manual clock, records made by hand, and chunks as two providers send them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from firsttoken._record.record import Detail, Ending, StreamRecord
from firsttoken._think.tally import Tally
from firsttoken._wrap.pending import traced_source
from firsttoken._wrap.request import Request
from firsttoken._wrap.runtime import Runtime
from firsttoken.decoders import Delta, Text

MS = 1_000_000
S = 1_000_000_000


class ManualClock:
    """A monotonic clock (ns) that stands still until it is told to go on."""

    def __init__(self, now_ns: int = 1000 * S) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * S)


def bare_record(detail: Detail = Detail.NOTHING) -> StreamRecord:
    """Return a record that begins with `detail`, and a context of its own if that is FULL."""

    def begin(record: StreamRecord) -> None:
        record.detail = detail
        if detail is Detail.FULL:
            record.context = {"stream": "context"}

    return StreamRecord(begin, ContextVar("current", default=None))


@dataclass
class Paper:
    """A stream whose times (ns) are written by hand.

    chunks: of each the arrival, when the consumer came back (None: not yet), and its deltas.
    """

    chunks: Sequence[tuple[int, int | None, Sequence[Delta]]] = ()
    issued_ns: int = 0
    ready_ns: int = 0
    pulled_ns: int | None = 0
    ended_ns: int | None = None
    ending: Ending | None = Ending.EXHAUSTED
    error_type: str | None = None
    detail: Detail = Detail.FULL
    stall_threshold_ns: int = S
    capture: bool = False

    def record(self) -> StreamRecord:
        record = bare_record()
        record.detail = self.detail
        record.issued_ns, record.ready_ns, record.pulled_ns = self.issued_ns, self.ready_ns, self.pulled_ns
        record.wall_offset_ns = 0
        record.ending, record.error_type = self.ending, self.error_type
        record.ended_ns = (
            None if self.ending is None else self.last_ns if self.ended_ns is None else self.ended_ns
        )
        return record

    @property
    def last_ns(self) -> int:
        times = [
            time for arrival, resume, _ in self.chunks for time in (arrival, resume) if time is not None
        ]
        return max(times, default=max(self.pulled_ns or 0, self.ready_ns))

    def marks(self) -> list[Any]:
        marks: list[Any] = []
        for arrival, resume, deltas in self.chunks:
            marks += [arrival, deltas]
            if resume is not None and self.detail is Detail.FULL:
                marks.append(resume)
        return marks

    def tallied(self) -> tuple[StreamRecord, Tally]:
        record = self.record()
        tally = Tally(record, self.stall_threshold_ns, capture=self.capture)
        read_all(tally, self.marks())
        return record, tally


def read_all(tally: Tally, marks: list[Any]) -> None:
    """Take in marks whose chunks are their own deltas."""
    first, chunks = tally.take(marks)
    for index, deltas in enumerate(chunks, first):
        tally.read(index, deltas)


def evenly(count: int, every_ns: int, deltas: Sequence[Delta] = (Text("x"),)) -> list[Any]:
    """Return `count` chunks, one each `every_ns`, whose consumer comes back at once."""
    return [(every_ns * (index + 1), every_ns * (index + 1), deltas) for index in range(count)]


# --- chunks as the OpenAI wire has them, parsed ---------------------------------------------------------


def chat_chunk(
    content: str | None = None,
    *,
    choice: int = 0,
    role: str | None = None,
    reasoning: str | None = None,
    finish: str | None = None,
    usage: dict[str, Any] | None = None,
) -> dict[str, Any]:
    delta: dict[str, Any] = {}
    if role is not None:
        delta.update(role=role, content="")
    if content is not None:
        delta["content"] = content
    if reasoning is not None:
        delta["reasoning_content"] = reasoning
    choices = [{"index": choice, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "tiny-1",
        "choices": [] if usage is not None else choices,
        "usage": usage,
    }


def chat(*words: str, usage: dict[str, Any] | None = None, finish: str | None = "stop") -> list[Any]:
    """Return an OpenAI chat stream as dicts: a role-only chunk, the words, the finish, the usage."""
    chunks = [chat_chunk(role="assistant"), *(chat_chunk(word) for word in words)]
    if finish is not None:
        chunks.append(chat_chunk(finish=finish))
    if usage is not None:
        chunks.append(chat_chunk(usage=usage))
    return chunks


def messages(*words: str, cached: int = 0, written: int = 0) -> list[Any]:
    """Return an Anthropic messages stream as dicts, with 10 input tokens besides the cache."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
    }
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny-2", "content": []}
    return [
        {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
            for word in words
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": len(words)},
        },
        {"type": "message_stop"},
    ]


async def streamed(chunks: Iterable[Any]) -> Any:
    """Yield `chunks` from an async generator."""
    for chunk in chunks:
        yield chunk


# --- streams of a runtime of one's own ------------------------------------------------------------------


def opened(runtime: Runtime, source: Any, **request: Any) -> Any:
    return traced_source(source, runtime.open(Request(**request)), runtime.start_span)


def consume(runtime: Runtime, source: Any = "abc", **request: Any) -> None:
    for _ in opened(runtime, iter(source), **request):
        pass


def outcomes(traces: Any) -> list[Any]:
    return [span.attributes["firsttoken.outcome"] for span in traces.exporter.get_finished_spans()]
