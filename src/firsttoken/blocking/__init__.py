"""LoopMonitor: which line of yours blocked the event loop, when, for how long, and doing what.

Floor 4. `enter` and `async with` run on the loop's thread, `on_block` on the watchdog thread, reads
anywhere. It watches only while something is live: while nothing is, no thread wakes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from threading import Lock, get_ident
from types import TracebackType
from typing import Final
from weakref import WeakSet

from opentelemetry.metrics import MeterProvider

from firsttoken._clock import NS_PER_S, monotonic_ns, to_s
from firsttoken._guard import guarded
from firsttoken._tell.metrics import LoopMetrics
from firsttoken.blocking._culprit import LoopBlock
from firsttoken.blocking._log import BlockLog
from firsttoken.blocking._loops import loop_of, running
from firsttoken.blocking._rings import BlockRings, StreamStall, recent, remember, remember_stalls
from firsttoken.blocking._watch import Watch
from firsttoken.blocking._watchdog import watchdog
from firsttoken.errors import ConfigError

SETTLE_DEADLINE_S: Final = 1.0

_log = logging.getLogger("firsttoken")


class LoopMonitor:
    """Watch event loops for blocks: by hand with `async with`, or while streams are live.

    Each block is measured in the histogram `firsttoken.loop.block.duration`.

    threshold_s: the shortest block that counts (s).
    on_block: called on the watchdog thread with each block; must return soon. None: `async with` logs those
        that no live stream will tell of.
    user_paths: folders or files that count as your code although they are installed as a package.
    meter_provider: the global one, as it is at the time, if not given.

    Raises:
        ConfigError: if the threshold is not between 1 ms and 60 s.
        TypeError: if on_block cannot be called.
    """

    def __init__(
        self,
        threshold_s: float = 0.05,
        on_block: Callable[[LoopBlock], object] | None = None,
        *,
        user_paths: Iterable[str | os.PathLike[str]] = (),
        meter_provider: MeterProvider | None = None,
    ) -> None:
        if not 0.001 <= threshold_s <= 60.0:
            raise ConfigError(f"threshold_s must be between 0.001 and 60 seconds, not {threshold_s!r}")
        if on_block is not None and not callable(on_block):
            raise TypeError(f"on_block must be callable or None, not {on_block!r}")
        self._threshold_ns = int(threshold_s * NS_PER_S)
        self._on_block = on_block
        self._user_paths = tuple(os.fspath(path) for path in user_paths)
        self._lock = Lock()
        self._watches: dict[int, Watch] = {}
        self._rings = BlockRings()
        self._metrics = LoopMetrics(meter_provider)
        self._log: BlockLog | None = None
        self._stopped = False
        _monitors.add(self)

    def enter(self) -> Watch | None:
        """Watch the loop that runs in this thread until the returned watch is left; None if none runs.

        Cost: tests/bench/bench_blocking.py.
        """
        try:
            handle = None if self._stopped else running()
            if handle is None:
                return None
            watch = self._watches.get(get_ident())
            if watch is not None and watch.enter(handle):
                return watch
            return self._watch(handle)
        except Exception:
            _log.warning("firsttoken stops to watch event loops", exc_info=True)
            self.stop()
            return None

    def _watch(self, handle: object) -> Watch | None:
        watch = Watch(loop_of(handle), self._threshold_ns, self._publish, watchdog.add, self._user_paths)
        watch.enter(handle)
        with self._lock:
            if self._stopped:
                return None
            for thread_id in [key for key, old in self._watches.items() if old.over]:
                del self._watches[thread_id]
            self._watches[watch.thread_id] = watch
        watchdog.add(watch)
        return watch

    def blocks(
        self, thread_id: int | None = None, since_ns: int = 0, until_ns: int | None = None
    ) -> list[LoopBlock]:
        """Return the remembered blocks that overlap a span, oldest first; a pure read, from any thread.

        thread_id: the loop's thread, None for all.
        since_ns, until_ns: the span (monotonic ns), None for no end.
        """
        return self._rings.overlapping(thread_id, since_ns, until_ns)

    def settled(self, thread_id: int, until_ns: int) -> bool:
        """Tell whether every block of that thread that began before `until_ns` (monotonic) is published."""
        watch = self._watches.get(thread_id)
        return watch is None or watch.settled(until_ns)

    def stop(self) -> None:
        """Stop to watch, for good; what was recorded stays readable."""
        with self._lock:
            self._stopped = True
            watches = list(self._watches.values())
            self._watches.clear()
        for watch in watches:
            watch.stop()

    def _publish(self, block: LoopBlock) -> None:
        self._rings.add(block)
        if remember(block):
            with guarded("measure a loop block"):
                self._metrics.record(block.duration_ns, block.kind)
        if self._on_block is not None:
            try:
                self._on_block(block)
            except Exception:
                _log.warning("on_block raised", exc_info=True)
        elif self._log is not None and not any(other._tells(block) for other in list(_monitors)):
            self._log(block)

    def _tells(self, block: LoopBlock) -> bool:
        """Whether a live stream that this monitor watches for will tell of `block`."""
        watch = None if self._log is not None else self._watches.get(block.thread_id)
        return watch is not None and watch.is_live

    def _after_fork_in_child(self) -> None:
        self._lock = Lock()
        self._watches = {}

    async def __aenter__(self) -> LoopMonitor:
        """Watch the running loop until the block is left."""
        if self._on_block is None:
            self._log = BlockLog()
        self.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to watch, after the last block was published."""
        watch = self._watches.get(get_ident())
        try:
            if watch is not None:
                await self._settle(watch)
        finally:
            if self._log is not None:
                self._log.flush()

    async def _settle(self, watch: Watch) -> None:
        until_ns = monotonic_ns()
        watch.leave()
        watchdog.hurry(watch)
        deadline_ns = until_ns + int(SETTLE_DEADLINE_S * NS_PER_S)
        while not watch.settled(until_ns) and monotonic_ns() < deadline_ns:
            await watch.sleep(to_s(self._threshold_ns) / 5)


_monitors: WeakSet[LoopMonitor] = WeakSet()


def _after_fork_in_child() -> None:
    for monitor in list(_monitors):
        monitor._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

__all__ = [
    "BlockLog",
    "LoopBlock",
    "LoopMonitor",
    "StreamStall",
    "Watch",
    "recent",
    "remember_stalls",
    "watchdog",
]
