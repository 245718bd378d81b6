"""What a stream was, once it ended. Floor 2 (think): pure; runs on the thinker thread.

The words of the house as data: an `Outcome`, the `Stall`s, and the `StreamSummary` that everything else
(span, metrics, tables) is told from. Times are integers in nanoseconds; what is not known is `None`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from firsttoken._record.record import Detail, Ending, StreamRecord
from firsttoken._think.attribution import LayerIn, Stall, StallCause, alone, stalls, totals
from firsttoken._think.loop_blocks import Block, FeltBlock, LoopBlocks, felt
from firsttoken._think.tally import Tally


class Outcome(str, Enum):
    """How a stream ended: what the loop saw and what the stream said, taken together."""

    COMPLETED = "completed"
    TRUNCATED = "truncated"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class StreamSummary:
    """One stream, told whole. Times are Unix times or durations in ns; absent is None, never 0.

    stall_count: of all stalls; `stalls` holds the first 256 of them, and the one the stream died in.
    loop_blocks: what held the stream's event loop while it lived.
    """

    outcome: Outcome
    operation: str
    provider: str | None
    request_model: str | None
    response_model: str | None
    response_id: str | None
    finish_reasons: tuple[str, ...]
    error_type: str | None
    error_message: str | None
    done_marker: str | None
    started_ns: int
    ended_ns: int
    done_ns: int | None
    time_to_first_chunk_ns: int | None
    time_to_first_token_ns: int | None
    time_to_first_answer_ns: int | None
    hold_before_first_token_ns: int | None
    first_token_sequence: int | None
    chunk_count: int
    content_chunk_count: int
    undecoded_count: int
    gap_p50_ns: int | None
    gap_p95_ns: int | None
    gap_p99_ns: int | None
    gap_max_ns: int | None
    stall_threshold_ns: int
    stall_count: int
    stalls: tuple[Stall, ...]
    wait_ns: int
    hold_ns: int | None
    loop_blocked_ns: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_creation_tokens: int | None
    reasoning_tokens: int | None
    time_per_output_token_ns: int | None
    loop_blocks: LoopBlocks

    @property
    def duration_ns(self) -> int:
        """From the issue of the request to the done event, or to the last mark without one."""
        return self.ended_ns - self.started_ns

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens a second between the first content and the last."""
        per_token = self.time_per_output_token_ns
        return 1_000_000_000 / per_token if per_token else None


def outcome_of(ending: Ending | None, *, said_end: bool, says_end: bool, said_error: bool) -> Outcome:
    """Name the outcome of a stream.

    ending: how its iteration ended; None if the process shut down while it ran.
    said_end: a done event, or a finish reason for every choice, was seen.
    says_end: the format has one of the two, so that a stream without was cut off.
    said_error: an error was told inside the stream.
    """
    if said_error or ending is Ending.RAISED:
        return Outcome.FAILED
    if said_end:
        return Outcome.COMPLETED
    if ending is None:
        return Outcome.INTERRUPTED
    if ending is Ending.CANCELLED:
        return Outcome.CANCELLED
    if ending is Ending.CLOSED:
        return Outcome.ABANDONED
    return Outcome.TRUNCATED if says_end else Outcome.COMPLETED


def summarize(
    record: StreamRecord,
    tally: Tally,
    *,
    operation: str,
    provider: str | None = None,
    model: str | None = None,
    has_done: bool = False,
    has_finish: bool = False,
    blocks: Sequence[Block] = (),
    layer_in: LayerIn = alone,
) -> StreamSummary:
    """Tell a stream that ended, or is to be told as if it had.

    operation, provider, model: what the caller said the request was.
    has_done, has_finish: when it ends well, the format ends with a done event; has finish reasons.
    layer_in: what this stream and those that feed it did between two monotonic times (ns).
    blocks: stretches in which the stream's event loop was held, in monotonic time.
    """
    outcome = outcome_of(
        record.ending,
        said_end=tally.said_end,
        says_end=(has_done or has_finish) and tally.said_anything,
        said_error=tally.error is not None,
    )
    ended_ns = tally.ended_ns
    wait_ns, hold_ns, loop_blocked_ns = totals(record, tally, blocks)
    told = stalls(record, tally, blocks, layer_in)
    p50, p95, p99 = tally.gaps.percentiles(0.5, 0.95, 0.99) or (None, None, None)
    usage = tally.usage
    return StreamSummary(
        outcome=outcome,
        operation=operation,
        provider=provider,
        request_model=model,
        response_model=tally.identity.model,
        response_id=tally.identity.id,
        finish_reasons=_finish_reasons(tally, outcome, has_finish),
        error_type=_error_type(record, tally),
        error_message=tally.error.message if tally.error else None,
        done_marker=tally.done,
        started_ns=record.issued_ns + record.wall_offset_ns,
        ended_ns=ended_ns + record.wall_offset_ns,
        done_ns=None if tally.done_ns is None else tally.done_ns + record.wall_offset_ns,
        time_to_first_chunk_ns=_since_issued(record, tally, 0 if tally.arrivals else None),
        time_to_first_token_ns=_since_issued(record, tally, tally.first_token),
        time_to_first_answer_ns=_since_issued(record, tally, tally.first_answer),
        hold_before_first_token_ns=_held_before_first_token_ns(tally),
        first_token_sequence=tally.first_token,
        chunk_count=len(tally.arrivals),
        content_chunk_count=tally.content_count,
        undecoded_count=tally.undecoded_count,
        gap_p50_ns=p50,
        gap_p95_ns=p95,
        gap_p99_ns=p99,
        gap_max_ns=tally.gaps.longest_ns if tally.gaps.count else None,
        stall_threshold_ns=tally.stall_threshold_ns,
        stall_count=tally.long_gap_count + len(told) - len(tally.long_gaps),
        stalls=told,
        wait_ns=wait_ns,
        hold_ns=hold_ns if record.detail is Detail.FULL else None,
        loop_blocked_ns=loop_blocked_ns,
        input_tokens=_input_tokens(tally),
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_creation_tokens=usage.cache_creation,
        reasoning_tokens=usage.reasoning,
        time_per_output_token_ns=_time_per_output_token_ns(tally),
        loop_blocks=felt(blocks, record.issued_ns, ended_ns, record.wall_offset_ns),
    )


def _since_issued(record: StreamRecord, tally: Tally, index: int | None) -> int | None:
    return None if index is None else tally.arrivals[index] - record.issued_ns


def _held_before_first_token_ns(tally: Tally) -> int | None:
    return None if tally.first_token is None else tally.held_before_ns(tally.first_token)


def _finish_reasons(tally: Tally, outcome: Outcome, has_finish: bool) -> tuple[str, ...]:
    """Return a reason per choice, in order; `error` where one was due and never came.

    Source: GenAI conventions, gen_ai.response.finish_reasons.
    """
    if outcome is Outcome.COMPLETED or not has_finish:
        return tuple(reason for _, reason in sorted(tally.finishes.items()))
    due = sorted(tally.choices | tally.finishes.keys()) or [0]
    return tuple(tally.finishes.get(choice, "error") for choice in due)


def _error_type(record: StreamRecord, tally: Tally) -> str | None:
    if tally.error is not None:
        return tally.error.type or tally.error.code or "stream_error"
    return record.error_type


def _input_tokens(tally: Tally) -> int | None:
    usage = tally.usage
    if usage.input is None or not usage.input_excludes_cache:
        return usage.input
    return usage.input + (usage.cache_read or 0) + (usage.cache_creation or 0)


def _time_per_output_token_ns(tally: Tally) -> int | None:
    tokens, first, last = tally.usage.output, tally.first_token, tally.last_content
    if tokens is None or tokens < 2 or first is None or last is None or first == last:
        return None
    return (tally.arrivals[last] - tally.arrivals[first]) // (tokens - 1)


__all__ = [
    "Block",
    "FeltBlock",
    "LoopBlocks",
    "Outcome",
    "Stall",
    "StallCause",
    "StreamSummary",
    "outcome_of",
    "summarize",
]
