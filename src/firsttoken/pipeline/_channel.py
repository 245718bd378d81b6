"""A bounded queue between tasks of one event loop, and what was counted in it. Floor 4 (wrap); the loop.

Items that are there are handed over without a trip through the event loop; only who has to wait pays for
one. Who never has to wait lets the others run now and then all the same.

Cost: `tests/bench/bench_pipeline.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from threading import get_ident
from typing import Final, Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from firsttoken._clock import monotonic_ns

T = TypeVar("T")

#: The loop may run others after so many items without a wait; a power of two.
BREATH: Final = 64


class Channel(Generic[T]):
    """Up to `size` items on their way from any number of putters to any number of getters.

    begin: called at the first get, before anything was put.
    left: called once, when nobody will get any more.
    """

    __slots__ = (
        "_begin",
        "_cancelled_at",
        "_left",
        "begun_ns",
        "cut",
        "depth_max",
        "drained",
        "due",
        "error",
        "finished",
        "get_wait_ns",
        "getters",
        "got_count",
        "held_ns",
        "is_left",
        "items",
        "over",
        "putters",
        "reserved",
        "size",
        "thread_id",
    )

    def __init__(self, size: int, begin: Callable[[], None], left: Callable[[], None]) -> None:
        self._begin: Callable[[], None] | None = begin
        self._left = left
        self.getters: deque[anyio.Event] = deque()
        self.putters: deque[anyio.Event] = deque()
        self.held_ns = 0
        self._cancelled_at = -1
        #: Getters that were woken and did not come to run yet; each will take one item.
        self.due = 0
        #: Putters that were woken and did not come to run yet; each has room for one item.
        self.reserved = 0
        self.begun_ns = 0
        self.items: deque[T] = deque()
        self.size = size
        self.thread_id = get_ident()
        self.depth_max = 0
        self.get_wait_ns = 0
        self.got_count = 0
        self.error: BaseException | None = None
        #: No more items will be put.
        self.finished = False
        #: A getter saw the end.
        self.drained = False
        #: The consumer is gone; what is put is not kept.
        self.is_left = False
        #: The operator is closed; whoever still gets did not get all.
        self.cut = False
        #: One of the three: nothing that is put will be kept.
        self.over = False

    @property
    def has_room(self) -> bool:
        """Whether one more item may be put: a getter that waits takes one beyond what is kept."""
        return len(self.items) + self.reserved < self.size + self.due + len(self.getters)

    async def wait_for_item(self) -> None:
        if self.is_left:
            raise StopAsyncIteration
        if self.finished:
            self.drained = True
            if self.error is not None:
                raise self.error
            raise StopAsyncIteration
        if self.cut:
            raise anyio.ClosedResourceError
        began_ns = monotonic_ns()
        if self._begin is not None:
            self.begun_ns = began_ns
            begin, self._begin = self._begin, None
            begin()
            # Where tasks are eager, something was put already.
            return
        try:
            # Often the putter only did not come to run yet, and a turn costs less than an event.
            await checkpoint()
            if not (self.items or self.over):
                await self._wait_in_line()
        except BaseException:
            self._cancelled_at = self.got_count
            raise
        finally:
            self.get_wait_ns += monotonic_ns() - began_ns

    async def _wait_in_line(self) -> None:
        event = anyio.Event()
        self.getters.append(event)
        try:
            await event.wait()
        except BaseException:
            if not event.is_set():
                self.getters.remove(event)
                self.due += 1
            elif self.getters:
                # Woken and cancelled at once: whoever is next takes it.
                self.wake_getter()
            raise
        finally:
            self.due -= 1

    def wake_getter(self) -> None:
        """Let the getter that waited longest have the item that is put next."""
        self.due += 1
        self.getters.popleft().set()

    def wake_putter(self) -> None:
        """Let the putter that waited longest put one item; nobody else gets its room."""
        self.reserved += 1
        self.putters.popleft().set()

    def _end(self) -> None:
        self.over = True
        while self.getters:
            self.wake_getter()
        while self.putters:
            self.wake_putter()

    @property
    def is_cancelled(self) -> bool:
        """Whether the last pull was cancelled while it waited."""
        return self._cancelled_at == self.got_count

    def finish(self, error: BaseException | None = None) -> None:
        """Let getters have what is there, and then the end: `error`, if one is given."""
        if not self.finished:
            self.finished = True
            self.error = error
            self._end()

    def leave(self) -> None:
        """Note that nobody will get any more; only the first call counts.

        May be called by the garbage collector, on a thread that is not the loop's: then a putter learns
        of it when it next puts something.
        """
        if self.is_left:
            return
        self.is_left = self.over = True
        if get_ident() == self.thread_id:
            self.held_ns += len(self.items) * monotonic_ns()
            self.items.clear()
            self._end()
            self._left()

    def close(self) -> None:
        """Let everybody who waits go: the operator is being left."""
        self.cut = True
        self._end()

    def mean_depth(self, ended_ns: int) -> float:
        """Return how many items were there on average over the time since the first get."""
        lasted_ns = ended_ns - self.begun_ns
        if not self.begun_ns or lasted_ns <= 0:
            return 0.0
        # Each put took its time off and each get put it on: what remains is how long items lay here.
        return (self.held_ns + len(self.items) * ended_ns) / lasted_ns


class PipelineStream(Generic[T]):
    """What an operator yields: an async iterator that several tasks may share.

    A pull that is cancelled loses nothing: unlike a generator's, the stream goes on with the next one.
    Closing it, or dropping the last reference to it, lets its source stop.
    """

    __slots__ = ("__weakref__", "_channel")

    def __init__(self, channel: Channel[T]) -> None:
        self._channel = channel

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        """Return the next item; wait if there is none. Cancelled while it waits, it has taken nothing.

        Raises: StopAsyncIteration: if the end was reached, or the consumer left before.
        Raises: anyio.ClosedResourceError: if the operator's block was left before the end.
        Raises: Exception: what the source raised, after all its items; to every getter.
        """
        channel = self._channel
        if channel.got_count % BREATH == BREATH - 1:
            await checkpoint()
        items = channel.items
        while not items:
            await channel.wait_for_item()
        item = items.popleft()
        channel.held_ns += monotonic_ns()
        channel.got_count += 1
        if channel.putters and channel.has_room:
            channel.wake_putter()
        return item

    async def aclose(self) -> None:
        """Leave the stream: its source is stopped, if nobody else wants it."""
        self._channel.leave()
        await checkpoint()

    def __del__(self) -> None:
        self._channel.leave()


__all__ = ["BREATH", "Channel", "PipelineStream"]
