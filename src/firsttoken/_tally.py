"""The running account of one stream: marks and deltas in, a summary out. Floor 2 (think); thinker thread.

Kept per chunk, once it was looked at: two times (8 bytes each), whether it had content (1 byte) and its
place in the timeline (about 2 bytes). The chunk itself is let go.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

from firsttoken._gaps import GapHistogram
from firsttoken._record import Ending, StreamRecord
from firsttoken._timeline import TimelineWriter
from firsttoken.decoders import (
    Delta,
    Done,
    Finish,
    Identity,
    Reasoning,
    Refusal,
    StreamError,
    Text,
    ToolCall,
    ToolPlan,
    Undecoded,
    Usage,
)

#: More stalls than this are counted in the longest gaps but not told one by one.
MAX_STALLS: Final = 256
#: Captured content (opt-in) stops growing here, in characters.
MAX_CAPTURED: Final = 262_144

_CONTENT: Final = frozenset({Text, Reasoning, Refusal, ToolCall, ToolPlan})
_ANSWER: Final = frozenset({Text, Refusal, ToolCall, ToolPlan})
_SPOKEN: Final = frozenset({Text, Reasoning, Refusal, ToolPlan})


class Tally:
    """What is known of a stream so far.

    record: where the marks come from; only its times are read here.
    stall_threshold_ns: a gap this long is a stall.
    capture: keep the text of each chunk.
    """

    __slots__ = (
        "_record",
        "arrivals",
        "captured",
        "choices",
        "content_count",
        "done",
        "done_ns",
        "error",
        "finishes",
        "first_answer",
        "first_token",
        "gaps",
        "hold_before_first_token_ns",
        "hold_ns",
        "identity",
        "last_content",
        "long_gaps",
        "resumes",
        "stall_threshold_ns",
        "timeline",
        "undecoded_count",
        "usage",
    )

    def __init__(self, record: StreamRecord, stall_threshold_ns: int, *, capture: bool = False) -> None:
        self._record = record
        self.stall_threshold_ns = stall_threshold_ns
        self.arrivals: array[int] = array("q")
        self.resumes: array[int] = array("q")
        self.captured: list[str] | None = [] if capture else None
        self.choices: set[int] = set()
        self.content_count = 0
        self.done: str | None = None
        self.done_ns: int | None = None
        self.error: StreamError | None = None
        self.finishes: dict[int, str] = {}
        self.first_answer: int | None = None
        self.first_token: int | None = None
        self.gaps = GapHistogram()
        self.hold_ns = 0
        self.hold_before_first_token_ns: int | None = None
        self.identity = Identity()
        self.last_content: int | None = None
        self.long_gaps: list[tuple[int, int]] = []
        self.timeline = TimelineWriter()
        self.undecoded_count = 0
        self.usage = Usage()

    # --- in: marks, in the order they were made ----------------------------------------------------

    def arrive(self, arrival_ns: int) -> None:
        """Note that a chunk came; its deltas follow in `read`."""
        self.arrivals.append(arrival_ns)
        self.timeline.add(arrival_ns - self._record.issued_ns)
        if self.captured is not None:
            self.captured.append("")

    def resume(self, resumed_ns: int) -> None:
        """Note that the consumer came back for more."""
        if self.done is None:
            self.hold_ns += resumed_ns - self.arrivals[-1]
        self.resumes.append(resumed_ns)

    def read(self, deltas: Sequence[Delta]) -> None:
        """Take in what the last chunk said."""
        content = answer = False
        for delta in deltas:
            kind = type(delta)
            if kind in _CONTENT:
                content = True
                answer = answer or kind in _ANSWER
                self._note_content(delta)
            else:
                self._note_fact(delta)
        if content:
            self._note_content_chunk(answer)

    def _note_content(self, delta: Any) -> None:
        self.choices.add(delta.choice)
        if self.captured and type(delta) in _SPOKEN and len(self.captured[-1]) < MAX_CAPTURED:
            self.captured[-1] += delta.text

    def _note_content_chunk(self, answer: bool) -> None:
        index = len(self.arrivals) - 1
        if self.first_token is None:
            self.first_token = index
            self.hold_before_first_token_ns = self.late_ns + self.hold_ns
        if answer and self.first_answer is None:
            self.first_answer = index
        if self.last_content is not None:
            gap_ns = self.arrivals[index] - self.arrivals[self.last_content]
            self.gaps.add(gap_ns)
            if gap_ns >= self.stall_threshold_ns and len(self.long_gaps) < MAX_STALLS:
                self.long_gaps.append((self.last_content, index))
        self.last_content = index
        self.content_count += 1

    def _note_fact(self, delta: Delta) -> None:
        if isinstance(delta, Finish):
            self.choices.add(delta.choice)
            self.finishes[delta.choice] = delta.reason
        elif isinstance(delta, Usage):
            self.usage = _replace(self.usage, delta)
        elif isinstance(delta, Identity):
            self.identity = Identity(self.identity.id or delta.id, self.identity.model or delta.model)
        elif isinstance(delta, Done):
            self.note_done(delta.marker)
        elif isinstance(delta, StreamError):
            self.error = self.error or delta
        elif isinstance(delta, Undecoded):
            self.undecoded_count += 1

    def note_done(self, marker: str) -> None:
        """Note that the last chunk carried the provider's end mark; only the first one counts."""
        if self.done is None:
            self.done = marker
            self.done_ns = self.arrivals[-1] if self.arrivals else self._record.ended_ns

    # --- out: what follows at once -----------------------------------------------------------------

    @property
    def late_ns(self) -> int:
        """How long the response was there before the consumer asked for its first chunk."""
        record = self._record
        return max(0, (record.pulled_ns or record.ready_ns) - record.ready_ns)

    @property
    def said_end(self) -> bool:
        """Whether the stream said that it is complete: a done event, or every choice finished."""
        return self.done is not None or (bool(self.finishes) and self.choices <= self.finishes.keys())

    @property
    def said_anything(self) -> bool:
        """Whether anything at all was understood."""
        return bool(self.choices or self.identity.id or self.identity.model)

    @property
    def ended_ns(self) -> int:
        """When the stream ended: its done event, or its last mark, never its clean-up."""
        if self.done_ns is not None:
            return self.done_ns
        record = self._record
        if record.ended_ns is not None and record.ending is not Ending.CLOSED:
            return record.ended_ns
        marks = [*self.arrivals[-1:], *self.resumes[-1:]]
        return max(marks, default=record.pulled_ns or record.ready_ns)


def _replace(before: Usage, now: Usage) -> Usage:
    def last(name: str) -> Any:
        value = getattr(now, name)
        return getattr(before, name) if value is None else value

    return Usage(
        input=last("input"),
        output=last("output"),
        cache_read=last("cache_read"),
        cache_creation=last("cache_creation"),
        reasoning=last("reasoning"),
        input_excludes_cache=before.input_excludes_cache or now.input_excludes_cache,
    )
