"""What the loop monitor costs, and how often it names the right line.

    python tests/bench/bench_blocking.py [--json] [--rounds 10] [--loops asyncio,uvloop,trio]

Cost: turns of a busy loop per second with 100 live watches, against the same loop in the same run without,
in alternating slices; and the price of `enter` and `leave`. Accuracy: each cause is injected `rounds` times into
one of 100 tasks that keep the loop turning, at a random moment; the culprit is right if file and function are,
and the line is one of the lines that block. False alarms: blocks told while nothing was injected.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import ctypes
import functools
import gc
import http.server
import inspect
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any

from firsttoken.blocking import LoopBlock, LoopMonitor

BLOCK_S = 0.12
TASKS = 100
HEALTHY_S = 3.0
SLICES = 24
SLICE_S = 0.2


# --- the causes: each blocks the loop for 100 ms or a little more --------------------------------------------


def sleeps() -> None:
    time.sleep(BLOCK_S)


def writes_a_file() -> None:
    end = time.perf_counter() + BLOCK_S
    with tempfile.TemporaryFile() as file:
        while time.perf_counter() < end:
            file.write(b"x" * 65536)
            file.flush()
            os.fsync(file.fileno())


def computes() -> None:
    end, count = time.perf_counter() + BLOCK_S, 0
    while time.perf_counter() < end:
        count += 1


def computes_through_a_library() -> None:
    end = time.perf_counter() + BLOCK_S
    while time.perf_counter() < end:
        textwrap.fill("all work and no play " * 20)


def backtracks() -> None:
    re.match(r"(a+)+b", "a" * _regex_length())


def parses_json() -> None:
    json.loads(_big_json())


def calls_http() -> None:
    urllib.request.urlopen(_server_url()).read()


def runs_a_process() -> None:
    subprocess.run(["sleep", str(BLOCK_S)], check=True)


def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=BLOCK_S)


def holds_the_interpreter_asleep() -> None:
    ctypes.PyDLL(None).usleep(int(BLOCK_S * 1e6))


def collects_garbage() -> None:
    gc.collect()


def starts_a_thread_that_backtracks() -> None:
    threading.Thread(target=backtracks).start()


KINDS: dict[Callable[[], None], str] = {
    sleeps: "io",
    writes_a_file: "io",
    computes: "cpu",
    computes_through_a_library: "cpu",
    backtracks: "cpu",
    parses_json: "cpu",
    calls_http: "io",
    runs_a_process: "io",
    waits_for_a_lock: "io",
    holds_the_interpreter_asleep: "gil_or_cpu_wait",
    starts_a_thread_that_backtracks: "gil_or_cpu_wait",
    collects_garbage: "gc",
}


@functools.cache
def _regex_length() -> int:
    length = 16
    while True:
        begin = time.perf_counter()
        re.match(r"(a+)+b", "a" * length)
        if time.perf_counter() - begin > BLOCK_S:
            return length
        length += 1


@functools.cache
def _big_json() -> str:
    rows = [{"id": n, "name": "x" * 20} for n in range(10_000)]
    text = json.dumps(rows)
    begin = time.perf_counter()
    json.loads(text)
    return "[" + ",".join([text] * (1 + int(BLOCK_S / (time.perf_counter() - begin)))) + "]"


class _Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        threading.Event().wait(BLOCK_S)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@functools.cache
def _server_url() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


_heap: list[list[object]] = []


def _grow_heap() -> None:
    gc.disable()
    while True:
        _heap.extend([[] for _ in range(200_000)])
        begin = time.perf_counter()
        gc.collect()
        if time.perf_counter() - begin > BLOCK_S:
            break
    gc.enable()


def _blocking_lines(cause: Callable[[], None]) -> set[int]:
    """Return the lines that block: of the outermost loop if there is one, else all but the signature."""
    source, first = inspect.getsourcelines(cause)
    body = ast.parse("".join(source)).body[0]
    blocks: list[ast.AST] = [node for node in ast.walk(body) if isinstance(node, ast.While)] or [body]
    begin, end = blocks[0].lineno, blocks[0].end_lineno  # type: ignore[attr-defined]
    return set(range(first + begin - 1 + (blocks[0] is body), first + end))


# --- loops ---------------------------------------------------------------------------------------------------


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


# --- accuracy ------------------------------------------------------------------------------------------------


@dataclass
class Accuracy:
    loop: str
    cause: str
    injected: int
    found: int
    line_right: int
    kind_right: int
    duration_error_ms: float
    """Median of told minus true."""


async def _inject(loop: str, cause: Callable[[], None], rounds: int, sleep: Any) -> Accuracy:
    lines, found, line_right, kind_right, errors = _blocking_lines(backtracks), 0, 0, 0, []
    culprit = backtracks if cause is starts_a_thread_that_backtracks else cause
    lines = _blocking_lines(culprit)
    async with LoopMonitor(on_block=lambda _: None) as monitor, Crowd(sleep):
        thread_id = threading.get_ident()
        for _ in range(rounds):
            await sleep(0.06 + 0.05 * random.random())
            begin_ns = time.perf_counter_ns()
            cause()
            if cause is starts_a_thread_that_backtracks:
                await sleep(0)
            end_ns = time.perf_counter_ns()
            while not monitor.settled(thread_id, end_ns):
                await sleep(0.01)
            blocks = [
                block
                for block in monitor.blocks(thread_id, begin_ns, end_ns)
                if min(block.ended_ns, end_ns) - max(block.started_ns, begin_ns) > 30_000_000
            ]
            if not blocks:
                continue
            block = max(blocks, key=lambda block: block.duration_ns)
            found += 1
            line_right += _is(block, culprit, lines)
            kind_right += block.kind == KINDS[cause]
            errors.append((block.duration_ns - (end_ns - begin_ns)) / 1e6)
    error = statistics.median(errors) if errors else float("nan")
    return Accuracy(loop, cause.__name__, rounds, found, line_right, kind_right, round(error, 1))


def _is(block: LoopBlock, culprit: Callable[[], None], lines: set[int]) -> bool:
    return block.file == __file__ and block.function == culprit.__name__ and block.line in lines


async def _false_alarms(sleep: Any) -> int:
    async with LoopMonitor(on_block=lambda _: None) as monitor, Crowd(sleep):
        await sleep(HEALTHY_S)
    return len(monitor.blocks())


# --- cost ----------------------------------------------------------------------------------------------------


async def _turns(sleep: Any) -> float:
    """Return the turns per second of processor time of a loop that is never idle."""
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
        begin_ns, before = time.perf_counter_ns(), count
        await sleep(SLICE_S)
        rate = (count - before) / (time.perf_counter_ns() - begin_ns) * 1e9
        open_ = False
    return rate


async def _throughput(sleep: Any) -> tuple[float, float]:
    """Return throughput with 100 live watches over without, and ns of one enter and leave."""
    ratios = []
    for _ in range(SLICES):
        without_before = await _turns(sleep)
        monitor = LoopMonitor(on_block=lambda _: None)
        watches = [monitor.enter() for _ in range(TASKS)]
        with_ = await _turns(sleep)
        for watch in watches:
            assert watch is not None
            watch.leave()
        monitor.stop()
        ratios.append(with_ / ((without_before + await _turns(sleep)) / 2))
    monitor = LoopMonitor()
    held = monitor.enter()
    assert held is not None
    spent = []
    for _ in range(20):
        begin_ns = time.perf_counter_ns()
        for _ in range(1000):
            monitor.enter().leave()  # type: ignore[union-attr]
        spent.append((time.perf_counter_ns() - begin_ns) / 1000)
    monitor.stop()
    return statistics.median(ratios), min(spent)


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--loops", default="asyncio,uvloop,trio")
    parser.add_argument("--causes", default="", help="only causes with this in their name")
    parser.add_argument("--skip-cost", action="store_true")
    options = parser.parse_args()
    loops = options.loops.split(",")
    for prepare in (_regex_length, _big_json, _server_url):
        prepare()

    cost = {}
    for loop in [] if options.skip_cost else loops:
        ratio, enter_ns = LOOPS[loop](_throughput)
        cost[loop] = {"throughput_ratio": round(ratio, 4), "enter_leave_ns": round(enter_ns)}
    alarms = {loop: LOOPS[loop](_false_alarms) for loop in loops}
    rows: list[Accuracy] = []
    for cause in KINDS:
        if options.causes not in cause.__name__:
            continue
        if cause is collects_garbage:
            _grow_heap()
        for loop in loops:
            rows.append(LOOPS[loop](functools.partial(_inject, loop, cause, options.rounds)))
    if options.json:
        json.dump(
            {"cost": cost, "false_alarms": alarms, "accuracy": [asdict(row) for row in rows]}, sys.stdout
        )
        return
    for loop, values in cost.items():
        print(
            f"{loop:8} throughput x{values['throughput_ratio']:.4f}  enter+leave {values['enter_leave_ns']} ns"
        )
    print("false alarms in", HEALTHY_S, "s:", alarms)
    print(f"{'cause':34}{'loop':9}{'found':>8}{'line':>8}{'kind':>8}{'error ms':>10}")
    for row in rows:
        found = f"{row.found}/{row.injected}"
        print(
            f"{row.cause:34}{row.loop:9}{found:>8}{row.line_right:>8}{row.kind_right:>8}{row.duration_error_ms:>10}"
        )
    injected = sum(row.injected for row in rows)
    for name in ("found", "line_right", "kind_right"):
        print(f"{name:12} {sum(getattr(row, name) for row in rows) / injected:.1%}")


if __name__ == "__main__":
    main()
