"""Deadlines and blocking calls beside the export thread's loop."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from firsttoken.export._aside import ExportLoop, Limit, aside
from tests.export.spans import no_pause


def run(coroutine):
    loop = ExportLoop(no_pause)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def test_a_limit_ends_what_takes_too_long() -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            async with Limit(0.01):
                await asyncio.get_running_loop().create_future()
        # The task it cancelled is well again.
        await asyncio.sleep(0)

    run(main())


def test_a_limit_leaves_what_is_quick_alone() -> None:
    async def main() -> int:
        async with Limit(60):
            return 7

    assert run(main()) == 7


def test_a_cancellation_from_outside_stays_one() -> None:
    async def limited() -> None:
        async with Limit(60):
            await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.ensure_future(limited())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_a_blocking_call_runs_on_a_daemon_thread() -> None:
    async def main() -> threading.Thread:
        return await aside("beside", threading.current_thread)

    thread = run(main())
    assert (thread.name, thread.daemon) == ("beside", True)


def test_what_a_blocking_call_raises_is_raised() -> None:
    async def main() -> None:
        await aside("beside", lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_a_call_that_outlives_the_loop_hurts_nobody() -> None:
    let_go = threading.Event()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            async with Limit(0.01):
                await aside("beside", let_go.wait)

    run(main())
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "beside"]
    let_go.set()
    thread.join(5)
    assert not thread.is_alive()


def test_names_are_looked_up_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []

    def lookup(*_: object, **__: object) -> list[object]:
        names.append(threading.current_thread().name)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", lookup)

    async def main() -> None:
        await asyncio.get_running_loop().getaddrinfo("anywhere", 1)

    run(main())
    assert names == ["firsttoken-resolve"]


def test_a_busy_loop_breathes_between_its_steps_and_one_that_waits_does_not() -> None:
    breaths: list[int] = []
    loop = ExportLoop(lambda: breaths.append(1))

    async def main() -> tuple[int, int]:
        for _ in range(10):
            await asyncio.sleep(0)
        busy = len(breaths)
        await asyncio.sleep(0.01)
        return busy, len(breaths)

    busy, waited = loop.run_until_complete(main())
    loop.close()
    assert busy >= 10
    assert waited <= busy + 2
