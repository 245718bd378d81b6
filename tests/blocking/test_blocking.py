"""Real blocks of real loops: found, timed, named by file, line and function."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from firsttoken import blocking
from firsttoken._clock import monotonic_ns
from firsttoken.blocking import LoopBlock, LoopMonitor, recent
from firsttoken.errors import ConfigError

BLOCK_S = 0.15


def longest(blocks: list[LoopBlock]) -> LoopBlock:
    """Return the injected block: on a busy machine, loops wait for the processor too."""
    return max(blocks, key=lambda block: block.duration_ns)


def functions(monitor: LoopMonitor) -> set[str | None]:
    return {block.function for block in monitor.blocks()}


def sleeps() -> None:
    time.sleep(BLOCK_S)  # here


def computes() -> None:
    end = time.perf_counter() + BLOCK_S
    while time.perf_counter() < end:
        pass


def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=BLOCK_S)  # here


def holds_the_interpreter() -> None:
    end = time.perf_counter() + BLOCK_S
    length = 18
    while time.perf_counter() < end:
        re.match(r"(a+)+b", "a" * length)


CAUSES = {sleeps: "io", computes: "cpu", waits_for_a_lock: "io", holds_the_interpreter: "cpu"}


@pytest.mark.anyio
@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
async def test_a_block_is_told_with_its_line_kind_and_duration(cause: Callable[[], None]) -> None:
    told: list[LoopBlock] = []
    async with LoopMonitor(on_block=told.append) as monitor:
        begin_ns = monotonic_ns()
        cause()
        end_ns = monotonic_ns()
    block = longest(monitor.blocks())
    assert block in told
    assert block in recent()
    assert (block.file, block.function) == (__file__, cause.__name__)
    assert block.line is not None
    assert 0 < block.line - cause.__code__.co_firstlineno <= 5
    # On a machine that others keep busy, the loop's thread may have waited longer than it ran.
    assert block.kind in {CAUSES[cause], "gil_or_cpu_wait"}
    assert block.thread_id == threading.get_ident()
    assert abs(block.started_ns - begin_ns) < 75e6
    assert block.ended_ns >= end_ns
    assert block.stack[-1].startswith(f"{__file__}:") or cause is holds_the_interpreter


@pytest.mark.anyio
async def test_a_block_lists_the_callers_from_the_task_inwards_and_not_those_that_run_the_loop() -> None:
    async with LoopMonitor(on_block=lambda _: None) as monitor:
        await called()
    stack = longest(monitor.blocks()).stack
    names = [re.split(r"[ .]", line)[-1] for line in stack]
    assert names[-2:] == ["called", "sleeps"]
    assert not any("/_pytest/" in line or "/pluggy/" in line for line in stack)


async def called() -> None:
    sleeps()


@pytest.mark.anyio
async def test_a_garbage_collection_is_told_apart_with_the_line_that_ran_it() -> None:
    gc.disable()
    try:
        heap: list[Any] = [[] for _ in range(200_000)]
        while collecting_takes_ms() < 150:
            heap.extend([[] for _ in range(400_000)])
        async with LoopMonitor(on_block=lambda _: None) as monitor:
            gc.collect()
        heap.clear()
    finally:
        gc.enable()
    block = longest(monitor.blocks())
    assert block.kind == "gc"
    assert block.file == __file__


def collecting_takes_ms() -> float:
    begin_ns = monotonic_ns()
    gc.collect()
    return (monotonic_ns() - begin_ns) / 1e6


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="usleep")
async def test_an_interpreter_held_by_another_thread_is_a_wait() -> None:
    held = ctypes.PyDLL(None)
    async with LoopMonitor(on_block=lambda _: None) as monitor:
        thread = threading.Thread(target=held.usleep, args=(int(2 * BLOCK_S * 1e6),))
        thread.start()
        thread.join()
    assert "gil_or_cpu_wait" in {block.kind for block in monitor.blocks()}


@pytest.mark.anyio
async def test_a_stream_is_watched_until_it_leaves_and_its_blocks_settle(anyio_backend: Any) -> None:
    monitor = LoopMonitor()
    watch = monitor.enter()
    assert watch is not None
    assert monitor.enter() is watch
    begin_ns = monotonic_ns()
    sleeps()
    end_ns = monotonic_ns()
    thread_id = threading.get_ident()
    assert not monitor.settled(thread_id, end_ns)
    watch.leave()
    watch.leave()
    with anyio.fail_after(10):
        while not monitor.settled(thread_id, end_ns):
            await anyio.lowlevel.checkpoint()
    block = longest(monitor.blocks(thread_id, begin_ns, end_ns))
    assert block.function == "sleeps"
    assert block not in monitor.blocks(thread_id, block.ended_ns, block.ended_ns + 1)
    assert block not in monitor.blocks(thread_id, 0, block.started_ns)
    assert monitor.blocks(thread_id + 1) == []
    with anyio.fail_after(10):
        while not watch.over:
            await anyio.lowlevel.checkpoint()
    assert monitor.settled(thread_id, monotonic_ns())


def test_two_loops_in_two_threads_are_told_apart() -> None:
    monitor = LoopMonitor(on_block=lambda _: None)
    together = threading.Barrier(2)

    async def main(cause: Callable[[], None]) -> int:
        async with monitor:
            together.wait(10)
            cause()
        return threading.get_ident()

    idents: dict[str, int] = {}

    def run(cause: Callable[[], None]) -> None:
        idents[cause.__name__] = asyncio.run(main(cause))
        together.wait(10)

    threads = [threading.Thread(target=run, args=(cause,)) for cause in (sleeps, waits_for_a_lock)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, ident in idents.items():
        assert longest(monitor.blocks(ident)).function == name


def test_a_loop_that_is_not_run_for_a_while_has_no_block() -> None:
    monitor = LoopMonitor()
    loop = asyncio.new_event_loop()

    async def stream() -> Any:
        watch = monitor.enter()
        yield watch
        await asyncio.sleep(0)
        yield watch

    source = stream()
    watch = loop.run_until_complete(source.__anext__())
    sleeps()
    loop.run_until_complete(source.__anext__())

    async def until_settled() -> None:
        until_ns = monotonic_ns()
        while not watch.settled(until_ns) or watch.parked:  # noqa: ASYNC110, told by another thread
            await asyncio.sleep(0)

    loop.run_until_complete(asyncio.wait_for(until_settled(), 10))
    watch.leave()
    loop.run_until_complete(source.aclose())
    loop.close()
    assert "sleeps" not in functions(monitor)


def test_a_loop_that_closes_while_watched_is_let_go_and_the_next_one_is_watched() -> None:
    monitor = LoopMonitor(on_block=lambda _: None)

    async def abandoned() -> Any:
        return monitor.enter()

    first = asyncio.run(abandoned())

    async def main() -> None:
        async with monitor:
            assert monitor._watches[threading.get_ident()] is not first
            sleeps()

    asyncio.run(main())
    assert "sleeps" in functions(monitor)


def test_code_without_a_loop_is_not_watched() -> None:
    monitor = LoopMonitor()
    assert monitor.enter() is None
    assert monitor.settled(threading.get_ident(), monotonic_ns())


@pytest.mark.anyio
async def test_a_stopped_monitor_watches_nothing_more_and_keeps_what_it_has() -> None:
    monitor = LoopMonitor(on_block=lambda _: None)
    async with monitor:
        sleeps()
    before = monitor.blocks()
    monitor.enter()
    monitor.stop()
    assert monitor.enter() is None
    assert monitor.settled(threading.get_ident(), monotonic_ns())
    assert monitor.blocks() == before != []


@pytest.mark.anyio
async def test_a_loop_that_cannot_be_watched_is_said_once_and_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_thread(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(blocking.watchdog, "add", no_thread)
    monitor = LoopMonitor()
    with caplog.at_level(logging.WARNING, "firsttoken"):
        assert monitor.enter() is None
        assert monitor.enter() is None
    assert caplog.text.count("stops to watch") == 1
    assert monitor.settled(threading.get_ident(), monotonic_ns())


def test_a_callback_that_raises_is_logged_and_the_block_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: LoopBlock) -> None:
        raise LookupError("broken on purpose")

    monitor = LoopMonitor(on_block=broken)
    block = LoopBlock(1, 0, 60_000_000, "/app/a.py", 7, "f", (), "io", 1.0)
    with caplog.at_level(logging.WARNING, "firsttoken"):
        monitor._publish(block)
    assert "on_block raised" in caplog.text
    assert monitor.blocks() == [block]


@pytest.mark.parametrize("threshold_s", [0, -1, 0.0001, 61, float("nan")])
def test_a_threshold_outside_its_bounds_is_refused(threshold_s: float) -> None:
    with pytest.raises(ConfigError, match=r"between 0\.001 and 60 seconds"):
        LoopMonitor(threshold_s=threshold_s)


def test_a_callback_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="on_block"):
        LoopMonitor(on_block="print")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_installed_code_counts_as_the_users_where_asked(tmp_path: Any) -> None:
    package = tmp_path / "site-packages" / "chat"
    package.mkdir(parents=True)
    module = package / "api.py"
    module.write_text("import time\ndef answer(s):\n    time.sleep(s)\n")
    names: dict[str, Any] = {}
    exec(compile(module.read_text(), str(module), "exec"), names)
    async with LoopMonitor(on_block=lambda _: None, user_paths=[package]) as monitor:
        names["answer"](BLOCK_S)
    block = longest(monitor.blocks())
    assert (block.file, block.line) == (str(module), 3)
