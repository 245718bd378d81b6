"""The streams that run right now, as JSON. Floor 5 (plug; ASGI); on the loop, for whoever asks.

All streams of the runtime are listed, those of `trace_stream` included: a response that hangs is shown next
to the call to the model that it waits for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from opentelemetry.trace import format_span_id, format_trace_id

from firsttoken._clock import monotonic_ns, to_s
from firsttoken._wrap.live import LiveStream
from firsttoken.blocking import LoopBlock, StreamStall, recent
from firsttoken.summary import outcome_of


def live_streams_json(streams: Iterable[LiveStream]) -> bytes:
    """Return the streams, oldest first, and the recent loop blocks and stalls, newest first.

    Chunks are counted by the thinker, so their number and age are as of its last sweep, 0.1 s ago at most.
    """
    now_ns = monotonic_ns()
    running = [live for live in streams if not live.is_over]
    rows = sorted((_stream(live, now_ns) for live in running), key=lambda row: -row["age_s"])
    remembered = recent()[::-1]
    page = {
        "streams": rows,
        "loop_blocks": [_block(block, now_ns) for block in remembered if isinstance(block, LoopBlock)],
        "stalls": [_stall(stall, now_ns) for stall in remembered if isinstance(stall, StreamStall)],
    }
    return json.dumps(page, indent=1).encode()


def _stream(live: LiveStream, now_ns: int) -> dict[str, Any]:
    record, tally, span = live.record, live.tally, live.span
    context = None if span is None else span.get_span_context()
    # Read once: the thinker appends to it meanwhile.
    chunks = len(tally.arrivals)
    return {
        "name": live.request.span_name,
        "trace_id": format_trace_id(context.trace_id) if context else None,
        "span_id": format_span_id(context.span_id) if context else None,
        "age_s": to_s(now_ns - record.issued_ns),
        "chunks": chunks,
        "content_chunks": tally.content_count,
        "last_chunk_age_s": to_s(now_ns - tally.arrivals[chunks - 1]) if chunks else None,
        "outcome": _outcome_so_far(live),
    }


def _outcome_so_far(live: LiveStream) -> str | None:
    """Return what the stream would be called now; None while nothing speaks for an end."""
    said_end, said_error = live.tally.said_end, live.tally.error is not None
    if not said_end and not said_error:
        return None
    return outcome_of(None, said_end=said_end, says_end=False, said_error=said_error).value


def _block(block: LoopBlock, now_ns: int) -> dict[str, Any]:
    return {
        "age_s": to_s(now_ns - block.ended_ns),
        "duration_s": to_s(block.duration_ns),
        "kind": block.kind,
        "file": block.file,
        "line": block.line,
        "function": block.function,
        "thread": block.other_thread,
        "stack": block.stack,
    }


def _stall(told: StreamStall, now_ns: int) -> dict[str, Any]:
    stall = told.stall
    return {
        "name": told.name,
        "trace_id": format_trace_id(told.trace_id),
        "span_id": format_span_id(told.span_id),
        "told_age_s": to_s(now_ns - told.told_ns),
        "sequence": stall.sequence,
        "duration_s": to_s(stall.duration_ns),
        "cause": stall.cause.value,
        "share": round(stall.share, 4),
        "origin": stall.origin,
        "file": stall.file,
        "line": stall.line,
        "function": stall.function,
    }
