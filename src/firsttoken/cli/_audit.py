"""Whether anything was lost: each stream has its one span, and ended as its role says."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from firsttoken import trace_stream
from firsttoken.cli._plan import Part, Plan, Role
from firsttoken.cli._rows import Row
from firsttoken.errors import FirstTokenError

_READERS: Final = (Role.HEALTHY, Role.SLOW, Role.BLOCKER)


def whole_outcome(plan: Plan) -> str:
    """Return the outcome of the upstream's answer when it is read to the end."""
    if plan.kind != "replay" or plan.file is None:
        return "completed"
    # Read in one piece, by the same decoders: cut up and sent over sockets it must come to the same.
    stream = trace_stream([Path(plan.file).read_bytes()], tracer_provider=TracerProvider())
    for _ in stream:
        pass
    if stream.summary is None:
        raise FirstTokenError(f"{plan.file} could not be read as a stream")
    return str(stream.summary.outcome)


def expected_outcomes(part: Part, plan: Plan, whole: str, ended: str = "app left") -> set[str]:
    """Return the outcomes that a client's role allows.

    whole: the outcome of an answer that is read to the end.
    ended: how the upstream's side of the stream did.
    """
    cut = plan.cut(part.number)
    if part.role in _READERS:
        return {whole}
    if part.role is Role.LEAVER:
        # asyncio only remembers from 3.11 on that a task was asked to cancel.
        gone = {"cancelled"} if sys.version_info >= (3, 11) else {"cancelled", "abandoned"}
        # The app may have had the whole answer already, and only the client not yet.
        return gone if plan.kind == "script" and ended == "app left" else {*gone, whole}
    if cut is not None and cut.cleanly:
        return {"truncated"} if plan.kind == "script" else {"truncated", whole}
    return {"failed"}


def losses(
    rows: Sequence[Row], plan: Plan, whole: str, spans: Mapping[int, Collection[ReadableSpan]]
) -> list[str]:
    """Return a line for everything that was lost or went another way than it should.

    spans: by stream number, those that were exported.
    """
    return [loss for row in rows for loss in _losses(row, plan, whole, spans.get(row.part.number, ()))]


def _losses(row: Row, plan: Plan, whole: str, spans: Collection[ReadableSpan]) -> Iterable[str]:
    name = f"stream {row.part.number} ({row.part.role})"
    if str(row.report.get("ended", "")).startswith("refused"):
        yield f"{name}: {row.report['ended']}"
        return
    if len(spans) != 1 or row.told is None:
        yield f"{name} has {len(spans)} spans, not 1"
        return
    told, seen = row.told, row.seen
    allowed = expected_outcomes(row.part, plan, whole, str(row.report.get("ended")))
    if told.outcome not in allowed:
        yield f"{name} is told as {told.outcome}, not {' or '.join(sorted(allowed))}"
    dropped = sum(span.dropped_events + span.dropped_attributes for span in spans)
    if dropped:
        yield f"{name}: its span dropped {dropped} events or attributes"
    if told.chunk_event_count != told.chunk_count or len(told.arrivals_s) != told.chunk_count:
        yield (
            f"{name}: {told.chunk_count} chunks, but chunk events for {told.chunk_event_count} "
            f"and a timeline of {len(told.arrivals_s)}"
        )
    if row.part.role in _READERS:
        if seen.ended != "read to the end":
            yield f"{name}: its client {seen.ended or 'did not end'}"
        elif seen.sha256 != row.report.get("sha256"):
            yield f"{name}: the client got other bytes than the upstream sent"
        sent = plan.tokens(row.part.number)
        if sent is not None and told.output_tokens != sent:
            yield f"{name}: {told.output_tokens} tokens told, {sent} sent"
    if row.part.role is Role.LEAVER and seen.ended != "left":
        yield f"{name}: its client {seen.ended or 'did not end'}"
