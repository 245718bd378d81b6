"""The running account of one stream: marks and deltas in, a summary out. Floor 2 (think); thinker thread.

Kept per chunk, once it was looked at: when it came and when the consumer came back, 8 bytes each. The
chunk itself is let go.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

from firsttoken._record.record import Detail, Ending, StreamRecord
from firsttoken._think.gaps import GapHistogram
from firsttoken._think.lanes import differences
from firsttoken.decoders import (
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
    Usage,
)

#: More stalls than this are counted, but not told one by one.
MAX_STALLS: Final = 256
#: Captured content (opt-in) stops growing here, in characters.
MAX_CAPTURED: Final = 262_144

_CONTENT: Final = frozenset({Text, Reasoning, Refusal, ToolCall, ToolPlan})
_SPOKEN: Final = frozenset({Text, Reasoning, Refusal, ToolPlan})


class Tally:
    """What is known of a stream so far.

    record: where the marks come from; only its times are read here.
    stall_threshold_ns: a gap this long is a stall.
    capture: keep the text of each chunk.
    """

    __slots__ = (
        "_captured_size",
        "_held_ns",
        "_record",
        "_rest",
        "arrivals",
        "captured",
        "choices",
        "content_count",
        "done",
        "done_index",
        "error",
        "finishes",
        "first_answer",
        "first_token",
        "gaps",
        "identity",
        "last_content",
        "long_gap_count",
        "long_gaps",
        "resumes",
        "spoken",
        "stall_threshold_ns",
        "undecoded_count",
        "usage",
    )

    def __init__(self, record: StreamRecord, stall_threshold_ns: int, *, capture: bool = False) -> None:
        self._record = record
        self._rest: list[int] = []
        self._captured_size = 0
        self._held_ns = 0
        self.stall_threshold_ns = stall_threshold_ns
        self.arrivals: array[int] = array("q")
        self.resumes: array[int] = array("q")
        self.captured: list[str] | None = [] if capture else None
        #: What was captured, by choice and by part of the message: `text` or `reasoning`.
        self.spoken: dict[tuple[int, str], list[str]] = {}
        self.choices: set[int] = set()
        self.content_count = 0
        self.done: str | None = None
        self.done_index: int | None = None
        self.error: StreamError | None = None
        self.finishes: dict[int, str] = {}
        self.first_answer: int | None = None
        self.first_token: int | None = None
        self.gaps = GapHistogram()
        self.identity = Identity()
        self.last_content: int | None = None
        self.long_gap_count = 0
        self.long_gaps: list[tuple[int, int]] = []
        self.undecoded_count = 0
        self.usage = Usage()

    # --- in: marks and deltas, in the order they came ----------------------------------------------------

    def take(self, marks: list[Any]) -> tuple[int, list[Any]]:
        """Note the times among `marks`; return the chunks among them and the index of the first.

        marks: as `StreamRecord.take` gives them; they may be cut anywhere.
        """
        if self._rest:
            marks = self._rest + marks
        first = len(self.arrivals)
        full = self._record.detail is Detail.FULL
        step = 3 if full else 2
        # The consumer may have been holding the last chunk still when the marks were cut.
        begin = 1 if full and marks and len(self.resumes) < first else 0
        arrivals, chunks = marks[begin::step], marks[begin + 1 :: step]
        self._rest = [arrivals.pop()] if len(arrivals) > len(chunks) else []
        if full:
            resumes = marks[2 - 2 * begin :: step]
            held = arrivals[: len(resumes) - begin]
            if begin:
                held.append(self.arrivals[-1])
            self._held_ns += sum(resumes) - sum(held)
            self.resumes.fromlist(resumes)
        self.arrivals.fromlist(arrivals)
        if self.captured is not None:
            self.captured.extend([""] * len(chunks))
        return first, chunks

    def read(self, index: int, deltas: Sequence[Delta]) -> None:
        """Take in what the chunk at `index` said."""
        content = answer = False
        for delta in deltas:
            kind = type(delta)
            if kind in _CONTENT:
                content = True
                answer = answer or kind is not Reasoning
                self.choices.add(delta.choice)  # type: ignore[union-attr]  # all kinds of content have one
                if self.captured is not None and kind in _SPOKEN:
                    self._capture(index, delta)
            else:
                self._note_fact(index, delta)
        if content:
            self._note_content(index, answer)

    def _capture(self, index: int, delta: Any) -> None:
        assert self.captured is not None
        self._captured_size += len(delta.text)
        if self._captured_size <= MAX_CAPTURED:
            self.captured[index] += delta.text
            part = "reasoning" if type(delta) is Reasoning else "text"
            self.spoken.setdefault((delta.choice, part), []).append(delta.text)

    def _note_content(self, index: int, answer: bool) -> None:
        if self.first_token is None:
            self.first_token = index
        if answer and self.first_answer is None:
            self.first_answer = index
        last = self.last_content
        if last is not None:
            gap_ns = self.arrivals[index] - self.arrivals[last]
            self.gaps.add(gap_ns)
            if gap_ns >= self.stall_threshold_ns:
                self._note_long_gap(last, index)
        self.last_content = index
        self.content_count += 1

    def repeat(self, begin: int, end: int) -> None:
        """Take in that the chunks from `begin` up to `end` said what the last content did, in new words."""
        last = self.last_content
        if last is None or end <= begin:
            return
        arrivals = self.arrivals
        times = arrivals[last:end]
        del times[1 : begin - last]
        gaps = differences(times)
        self.gaps.extend(gaps)
        # Hardly ever: all of them together have to be as long as a stall.
        if times[-1] - times[0] >= self.stall_threshold_ns:
            for index, gap_ns in enumerate(gaps, begin):
                if gap_ns >= self.stall_threshold_ns:
                    self._note_long_gap(last if index == begin else index - 1, index)
        self.last_content = end - 1
        self.content_count += end - begin

    def _note_long_gap(self, last: int, index: int) -> None:
        self.long_gap_count += 1
        if len(self.long_gaps) < MAX_STALLS:
            self.long_gaps.append((last, index))

    def _note_fact(self, index: int, delta: Delta) -> None:
        if isinstance(delta, Finish):
            self.choices.add(delta.choice)
            self.finishes[delta.choice] = delta.reason
        elif isinstance(delta, Usage):
            self.usage = _replace(self.usage, delta)
        elif isinstance(delta, Identity):
            self.identity = Identity(self.identity.id or delta.id, self.identity.model or delta.model)
        elif isinstance(delta, Done):
            self.note_done(index, delta.marker)
        elif isinstance(delta, StreamError):
            self.error = self.error or delta
        elif not isinstance(delta, KeepAlive):
            # `Undecoded`, or whatever else a decoder of the user's own returns.
            self.undecoded_count += 1

    def note_done(self, index: int, marker: str) -> None:
        """Note that the chunk at `index` carried the provider's end mark; only the first one counts."""
        if self.done is None and index < len(self.arrivals):
            self.done = marker
            self.done_index = index

    # --- out: what follows at once -----------------------------------------------------------------

    @property
    def done_ns(self) -> int | None:
        """When the done event came."""
        return None if self.done_index is None else self.arrivals[self.done_index]

    @property
    def pulled_ns(self) -> int:
        """When the first chunk was asked for; never before the response was there."""
        record = self._record
        return max(record.pulled_ns or 0, record.ready_ns)

    def held_before_ns(self, index: int) -> int:
        """Return how long the consumer, not the source, kept the chunk at `index` from coming (ns)."""
        late_ns = self.pulled_ns - self._record.ready_ns
        paired = len(self.resumes)
        if 2 * index < paired:
            return late_ns + self._held_ns_in(0, index)
        # From the total, so that the end of a stream of a million chunks is not a million additions.
        return late_ns + self._held_ns - self._held_ns_in(index, paired)

    def _held_ns_in(self, begin: int, end: int) -> int:
        return sum(self.resumes[begin:end]) - sum(self.arrivals[begin : min(end, len(self.resumes))])

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
        if self.done_index is not None:
            return self.arrivals[self.done_index]
        record = self._record
        if record.ended_ns is not None and record.ending is not Ending.CLOSED:
            return record.ended_ns
        marks = [*self.arrivals[-1:], *self.resumes[-1:]]
        return max(marks, default=self.pulled_ns)


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
