"""What the loop writes down about one stream. Floor 1 (record); written on the thread that iterates.

A record is a list of marks and a few times. The recording generators append to it, the thinker takes
from it; each list operation is atomic, so neither ever waits for the other.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from enum import Enum, IntEnum
from threading import get_ident
from typing import Any

from firsttoken._clock import monotonic_ns, wall_offset_ns
from firsttoken._guard import guarded


class Ending(Enum):
    """How the iteration of a stream ended, as the loop saw it."""

    EXHAUSTED = "exhausted"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    RAISED = "raised"


class Detail(IntEnum):
    """How much is written down per chunk, decided once per stream."""

    NOTHING = 0
    """Nobody will look: the stream passes through."""
    ARRIVALS = 1
    """Arrival and reference to the chunk."""
    FULL = 2
    """Also when the consumer came back, and the stream's context is current while the source is pulled."""


class StreamRecord:
    """Marks and times of one stream, from the call that asked for it to the end of its iteration.

    begin: called once, on the thread that iterates, just before the request or the first pull. It sets
        `detail`, and `context` if that is FULL.
    context_var: the variable that holds the current context.
    issued_ns: when the request was issued, on the monotonic clock; now, if not given.

    `marks` holds, for each chunk in turn: its arrival (ns), the chunk, and with FULL detail when the
    consumer came back for more (ns).
    """

    __slots__ = (
        "__weakref__",
        "_begin",
        "_consumer",
        "_watched",
        "begun_ns",
        "cancelled_ns",
        "context",
        "context_var",
        "detail",
        "ended_ns",
        "ending",
        "error_type",
        "issued_ns",
        "marks",
        "pulled_ns",
        "ready_ns",
        "thread_id",
        "wall_offset_ns",
    )

    def __init__(
        self,
        begin: Callable[[StreamRecord], None],
        context_var: ContextVar[Any],
        issued_ns: int | None = None,
    ) -> None:
        now = monotonic_ns()
        self.marks: list[Any] = []
        self.detail = Detail.NOTHING
        self.context_var = context_var
        self.context: Any = None
        self.issued_ns = now if issued_ns is None else issued_ns
        self.ready_ns = now
        self.wall_offset_ns = wall_offset_ns()
        self.begun_ns: int | None = None
        self.pulled_ns: int | None = None
        self.cancelled_ns: int | None = None
        self.ended_ns: int | None = None
        self.ending: Ending | None = None
        self.error_type: str | None = None
        self.thread_id = 0
        self._begin = begin
        self._consumer: Any = None
        self._watched: Any = None

    def begin(self) -> None:
        """Note that the request is under way, on the thread that iterates; only the first call counts."""
        if self.begun_ns is None:
            self.begun_ns = monotonic_ns()
            self.thread_id = get_ident()
            with guarded("begin a stream"):
                self._begin(self)
            # It refers back to this record; nothing needs it any more.
            self._begin = _begun

    def begin_pulling(self) -> None:
        """Note that somebody asks for the first chunk, or asks again after a pull that was cancelled."""
        self._consumer = _current_task()
        self.cancelled_ns = None
        if self.pulled_ns is None:
            self.pulled_ns = monotonic_ns()
        self.begin()

    def ready(self) -> None:
        """Note that the response is there; what passes until the first pull is the consumer's hold."""
        self.ready_ns = monotonic_ns()

    def end(self, error: BaseException | None) -> None:
        """Note how the iteration ended; only the first call counts.

        error: what went through the generator; None if the source was exhausted.
        """
        if self.ending is not None or self.begun_ns is None:
            return
        self.ended_ns = monotonic_ns()
        ending = self._ending_of(error)
        if self.cancelled_ns is not None:
            # Nobody asked again: it ended then.
            self.ended_ns, ending = self.cancelled_ns, Ending.CANCELLED
        if ending is Ending.RAISED:
            # The type alone: an exception holds on to every frame it came through, ours included.
            self.error_type = error_name(type(error))
        self.ending = ending
        self._consumer = None

    def interrupted(self, error: BaseException) -> None:
        """Note that `error` ended a pull of a source that may go on.

        A pull that was cancelled is often tried again (`wait_for`, to send a ping meanwhile). It is the
        end only if nobody does, until the stream is dropped or closed.
        """
        if self._ending_of(error) is Ending.CANCELLED:
            self.cancelled_ns = monotonic_ns()
        else:
            self.end(error)

    def end_when_dropped(self, stream: Any) -> None:
        """Note the end the moment nobody refers to `stream` any more: what its consumer pulls.

        An async generator that is dropped is closed later, in a task of its own, where nobody knows
        any more that its consumer was cancelled. The weak reference speaks first, and in place.
        """

        def dropped(_: object, record: StreamRecord = self) -> None:
            record.end(GeneratorExit())
            record._watched = None

        self._watched = weakref.ref(stream, dropped)

    @property
    def is_running(self) -> bool:
        """Whether a first chunk was asked for and the iteration has not ended."""
        return self.pulled_ns is not None and self.ending is None

    @contextmanager
    def in_context(self) -> Iterator[None]:
        """Make the stream's context current in the block, and keep what the block leaves current."""
        if self.context is None:
            yield
            return
        token = self.context_var.set(self.context)
        try:
            yield
            self.context = self.context_var.get()
        finally:
            restore(self.context_var, token)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Count the block as part of the request: its failure is the stream's, and the spans it makes."""
        self.begin()
        try:
            with self.in_context():
                yield
        except BaseException as error:
            self.end(error)
            raise

    def resumed(self) -> None:
        """Mark that the consumer came back, on another way than through the recording generator."""
        if self.detail is Detail.FULL:
            self.marks.append(monotonic_ns())

    def arrived(self, chunk: Any) -> None:
        """Mark a chunk that came on another way than through the recording generator."""
        if self.detail is not Detail.NOTHING:
            self.marks.append(monotonic_ns())
            self.marks.append(chunk)

    def take(self) -> list[Any]:
        """Return the marks made so far and forget them; called by the thinker alone."""
        marks = self.marks
        size = len(marks)
        taken = marks[:size]
        # In place: the generator appends to this very list, perhaps between these two lines.
        del marks[:size]
        return taken

    def _ending_of(self, error: BaseException | None) -> Ending:
        if error is None:
            return Ending.EXHAUSTED
        if isinstance(error, GeneratorExit):
            return Ending.CANCELLED if _is_cancelled(self._consumer) else Ending.CLOSED
        if isinstance(error, Exception | KeyboardInterrupt | SystemExit):
            return Ending.RAISED
        return Ending.CANCELLED


def restore(variable: ContextVar[Any], token: Token[Any]) -> None:
    """Make the context from before `token` current again, where that is still possible."""
    # Closed from another context (a loop that shuts down), there is nothing to take back.
    with suppress(ValueError):
        variable.reset(token)


def _begun(_: StreamRecord) -> None:
    return None


def error_name(error: type) -> str:
    """Return what `error.type` calls an exception: with its module, unless it is built in."""
    module = error.__module__
    return error.__qualname__ if module == "builtins" else f"{module}.{error.__qualname__}"


def _current_task() -> Any:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _is_cancelled(consumer: Any) -> bool:
    """Whether a stream that is being closed is closed because its consumer was cancelled.

    consumer: the asyncio task that asked for the first chunk, or None.
    """
    for task in (consumer, _current_task()):
        if task is not None and (task.cancelled() or (hasattr(task, "cancelling") and task.cancelling())):
            return True
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        return bool(trio.current_effective_deadline() == -float("inf"))
    except RuntimeError:
        return False
