"""What the loop monitor costs, and how often it names the right line.

    python tests/bench/bench_blocking.py [--json] [--rounds 10] [--loops asyncio,uvloop,trio] [--no-cost]

Cost: turns of a busy loop per second of its processor time with 100 live watches, against the same loop in
the same run without, in alternating slices; the price of `enter` and `leave`; and how often a loop with
live streams and nothing to do is woken. Accuracy: each cause is
injected `rounds` times, at a random moment, into a loop that 100 tasks keep turning; the culprit is right
if file and function are, and the line is one of the lines that block.
"""

from __future__ import annotations

import asyncio
import functools
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report
from blocking_causes import (
    KINDS,
    backtracks,
    big_json,
    blocking_lines,
    collects_garbage,
    grow_heap,
    regex_length,
    server_url,
    starts_a_thread_that_backtracks,
)

from firsttoken.blocking import LoopBlock, LoopMonitor, Watch

TASKS = 100
SHORTEST_NS = 100_000_000
HEALTHY_S = 3.0
SLICES = 100
SLICE_S = 0.1


# --- loops ------------------------------------------------------------


def _asyncio(main: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(main(asyncio.sleep))


def _uvloop(main: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    import uvloop

    return uvloop.run(main(asyncio.sleep))


def _trio(main: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    import trio

    return trio.run(main, trio.sleep)


LOOPS = {"asyncio": _asyncio, "uvloop": _uvloop, "trio": _trio}


class Crowd:
    """Tasks that keep a loop turning, as 100 streams with a chunk every 30 ms do."""

    def __init__(self, sleep: Any) -> None:
        self._sleep = sleep
        self._open = True

    async def __aenter__(self) -> Crowd:
        if self._sleep is asyncio.sleep:
            self._tasks = [asyncio.ensure_future(self._turn()) for _ in range(TASKS)]
        else:
            import trio

            self._nursery = trio.open_nursery()
            nursery = await self._nursery.__aenter__()
            for _ in range(TASKS):
                nursery.start_soon(self._turn)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        if self._sleep is asyncio.sleep:
            await asyncio.gather(*self._tasks)
        else:
            await self._nursery.__aexit__(None, None, None)

    async def _turn(self) -> None:
        while self._open:
            await self._sleep(0.03 * random.random() + 0.015)


# --- accuracy ------------------------------------------------------------


@dataclass
class Accuracy:
    """How one cause on one loop was told; errors are told minus true durations (ms)."""

    injected: int = 0
    found: int = 0
    line_right: int = 0
    kind_right: int = 0
    errors_ms: list[float] = field(default_factory=list)

    def add(self, other: Accuracy) -> None:
        """Count `other` in."""
        self.injected += other.injected
        self.found += other.found
        self.line_right += other.line_right
        self.kind_right += other.kind_right
        self.errors_ms += other.errors_ms

    def __str__(self) -> str:
        error_ms = statistics.median(map(abs, self.errors_ms)) if self.errors_ms else float("nan")
        return f"{self.line_right}/{self.found}/{self.injected}, {self.kind_right}, {error_ms:.0f} ms"


async def _inject(cause: Callable[[], None], rounds: int, sleep: Any) -> Accuracy:
    culprit = backtracks if cause is starts_a_thread_that_backtracks else cause
    lines, told = blocking_lines(culprit), Accuracy()
    async with LoopMonitor(on_block=lambda _: None) as monitor, Crowd(sleep):
        thread_id = threading.get_ident()
        for _ in range(rounds):
            await sleep(0.06 + 0.05 * random.random())
            begin_ns = time.perf_counter_ns()
            cause()
            await sleep(0)
            end_ns = time.perf_counter_ns()
            while not monitor.settled(thread_id, end_ns):
                await sleep(0.01)
            if end_ns - begin_ns < SHORTEST_NS:  # calibrated while the machine was slower
                continue
            told.injected += 1
            blocks = monitor.blocks(thread_id, begin_ns + 30_000_000, end_ns)
            if not blocks:
                continue
            block = max(blocks, key=lambda block: block.duration_ns)
            told.found += 1
            told.line_right += _is(block, culprit, lines)
            told.kind_right += block.kind == KINDS[cause]
            told.errors_ms.append((block.duration_ns - (end_ns - begin_ns)) / 1e6)
    return told


def _is(block: LoopBlock, culprit: Callable[[], None], lines: set[int]) -> bool:
    return (
        block.file == culprit.__code__.co_filename
        and block.function == culprit.__name__
        and block.line in lines
    )


async def _false_alarms(sleep: Any) -> int:
    async with LoopMonitor(on_block=lambda _: None) as monitor, Crowd(sleep):
        await sleep(HEALTHY_S)
    return len(monitor.blocks())


# --- cost ------------------------------------------------------------


async def _turns(sleep: Any) -> float:
    """Return the turns of a loop that is never idle, per second of its thread's processor time."""
    open_ = True
    count = 0

    async def turn() -> None:
        nonlocal count
        while open_:
            await sleep(0)
            count += 1

    crowd = Crowd(sleep)
    crowd._turn = turn  # type: ignore[method-assign]
    async with crowd:
        await sleep(0.02)
        begin_ns, before = time.thread_time_ns(), count
        await sleep(SLICE_S)
        rate = (count - before) / (time.thread_time_ns() - begin_ns) * 1e9
        open_ = False
    return rate


async def _throughput(sleep: Any) -> float:
    """Return throughput with 100 live watches over without, each slice against its two neighbours."""
    ratios, before = [], await _turns(sleep)
    for _ in range(SLICES):
        monitor = LoopMonitor(on_block=lambda _: None)
        watches = [monitor.enter() for _ in range(TASKS)]
        watched = await _turns(sleep)
        for watch in watches:
            assert watch is not None
            watch.leave()
        monitor.stop()
        after = await _turns(sleep)
        ratios.append(watched / ((before + after) / 2))
        before = after
    return statistics.median(ratios)


async def _enter_and_leave(sleep: Any) -> float:
    """Return ns for one more stream on a loop that is watched already."""
    monitor = LoopMonitor()
    held = monitor.enter()
    assert held is not None
    spent = []
    for _ in range(20):
        begin_ns = time.perf_counter_ns()
        for _ in range(1000):
            monitor.enter().leave()  # type: ignore[union-attr]
        spent.append((time.perf_counter_ns() - begin_ns) / 1000)
        await sleep(0)
    held.leave()
    monitor.stop()
    return min(spent)


class _Counting(LoopMonitor):
    """A monitor that counts the heartbeats of the loops it watches."""

    def __init__(self) -> None:
        super().__init__(on_block=lambda _: None)
        self.heartbeats = 0

    def enter(self) -> Watch | None:
        watch = super().enter()
        if watch is not None:
            send = watch._send

            def counted(now_ns: int) -> bool:
                self.heartbeats += 1
                return send(now_ns)

            watch._send = counted  # type: ignore[method-assign]
        return watch


async def _wakes_while_waiting(sleep: Any) -> float:
    """Return how often a second a loop that waits is woken."""
    monitor = _Counting()
    watch = monitor.enter()
    assert watch is not None
    await sleep(3)
    watch.leave()
    monitor.stop()
    return monitor.heartbeats / 3


def _cost(loop: str) -> list[Row]:
    ratio, enter_ns = LOOPS[loop](_throughput), LOOPS[loop](_enter_and_leave)
    wakes = LOOPS[loop](_wakes_while_waiting)
    what = f"{loop}: turns with {TASKS} live watches / without"
    return [
        Row(what, f"{ratio:.3f}", ratio, 0.99, at_least=True),
        Row(f"{loop}: one enter and leave", f"{enter_ns:.0f} ns"),
        Row(f"{loop}: wakes of a loop that waits", f"{wakes:.0f} a second"),
    ]


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=10, help="injections of each cause on each loop")
    options.add_argument("--loops", default="asyncio,uvloop,trio")
    options.add_argument("--causes", default="", help="only causes with this in their name")
    options.add_argument("--no-cost", action="store_true", help="accuracy only")
    arguments = options.parse_args()
    loops = arguments.loops.split(",")
    rows = [] if arguments.no_cost else [row for loop in loops for row in _cost(loop)]
    for prepare in (regex_length, big_json, server_url):
        prepare()
    alarms = sum(LOOPS[loop](_false_alarms) for loop in loops)
    rows.append(Row(f"blocks told in {HEALTHY_S * len(loops):.0f} s without any", str(alarms)))
    named, others = Accuracy(), Accuracy()
    for cause in KINDS:
        if arguments.causes not in cause.__name__:
            continue
        if cause is collects_garbage:
            grow_heap()
        for loop in loops:
            told = LOOPS[loop](functools.partial(_inject, cause, arguments.rounds))
            (others if cause is starts_a_thread_that_backtracks else named).add(told)
            rows.append(Row(f"{cause.__name__}, {loop}", str(told)))
    for what, told in (("the loop's own thread", named), ("another thread", others)):
        if told.injected:
            bound = 0.98 if told is named else None
            rows += [
                Row(f"found, {what}", str(told), told.found / told.injected, bound, at_least=True),
                Row(f"line right, {what}", "", told.line_right / told.injected, bound, at_least=True),
                Row(f"kind right, {what}", "", told.kind_right / told.injected),
            ]
    title = "loop blocks: right line/found/injected, right kind, median duration error"
    return report(title, rows, as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
