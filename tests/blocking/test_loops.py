"""The running loop of this thread is found, reached and asked for its life, whatever its make."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import anyio
import pytest

from firsttoken.blocking._evidence import thread_frames
from firsttoken.blocking._loops import NO_LOOP, AsyncioLoop, TrioLoop, loop_of, running

trio = pytest.importorskip("trio")


def test_code_without_a_loop_has_none_running() -> None:
    assert running() is None


def test_a_half_imported_loop_library_is_no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncio", object())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "trio", object())  # type: ignore[arg-type]
    assert running() is None


@pytest.mark.anyio
async def test_the_running_loop_is_found_and_calls_back(anyio_backend: Any) -> None:
    handle = running()
    loop = loop_of(handle)
    assert loop.handle is handle
    assert running() is handle
    assert isinstance(loop, TrioLoop if anyio_backend[0] == "trio" else AsyncioLoop)
    called = anyio.Event()
    loop.send(called.set)
    await called.wait()
    assert loop.life(called.set) == "running"
    await loop.sleep(0)


def test_an_asyncio_loop_that_is_not_run_is_stopped_then_closed() -> None:
    handle = asyncio.new_event_loop()
    loop = loop_of(handle)
    assert loop.life(print) == "stopped"
    handle.close()
    assert loop.life(print) == "closed"
    with pytest.raises(RuntimeError):
        loop.send(print)


def test_a_trio_run_that_is_over_is_closed() -> None:
    async def main() -> Any:
        return loop_of(running())

    loop = trio.run(main)
    assert loop.life(print) == "closed"
    with pytest.raises(RuntimeError):
        loop.send(print)


def test_asking_a_trio_run_twice_calls_back_once() -> None:
    calls = []

    def answer() -> None:
        calls.append(1)

    async def main() -> None:
        loop = loop_of(running())
        loop.send(answer)
        assert loop.life(answer) == "running"
        await trio.testing.wait_all_tasks_blocked()

    trio.run(main)
    assert calls == [1]


def test_a_loop_given_up_is_closed() -> None:
    assert NO_LOOP.life(print) == "closed"
    with pytest.raises(RuntimeError, match="no longer watched"):
        NO_LOOP.send(print)


# --- seen from another thread: does it wait for something to do? ------------------------------------------


def frame_of(thread_id: int) -> FrameType:
    return thread_frames()[thread_id]


async def once(condition: Callable[[], bool]) -> None:
    """Turn the loop until the condition holds; fail after half a minute."""
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110, told by another thread
            await anyio.sleep(0.001)


async def look_at_a_loop_from_another_thread() -> None:
    loop, thread_id = loop_of(running()), threading.get_ident()
    learned = anyio.Event()

    def answer() -> None:
        loop.learn(sys._getframe(1))
        learned.set()

    loop.send(answer)
    await learned.wait()
    seen: set[bool] = set()
    at_work, over = threading.Event(), threading.Event()

    def look() -> None:
        while not over.is_set():
            if at_work.is_set():
                assert not loop.waits(frame_of(thread_id))
                over.set()
            else:
                seen.add(loop.waits(frame_of(thread_id)))

    with ThreadPoolExecutor() as threads:
        looking = threads.submit(look)
        try:
            await once(lambda: True in seen)
            at_work.set()
            while not over.is_set() and not looking.done():
                # As a library does that waits for a reply in place.
                selectors.DefaultSelector().select(0.001)
        finally:
            over.set()  # or the executor waits for ever
        looking.result(30)


def test_a_loop_with_nothing_to_do_waits_and_one_at_work_does_not(anyio_backend: Any) -> None:
    # Not run by the plugin: trio as its guest waits on a thread of its own, and nobody can tell.
    backend, options = anyio_backend
    anyio.run(look_at_a_loop_from_another_thread, backend=backend, backend_options=options)


def turned_ns(loop: Any) -> int | None:
    found: int | None = loop.turned_ns(sys._getframe())
    return found


def test_an_asyncio_loop_shows_when_its_turn_began() -> None:
    async def main() -> None:
        loop = loop_of(running())
        await asyncio.sleep(0.001)
        before_ns = time.monotonic_ns()
        seen = [turned_ns(loop), turned_ns(loop)]
        await asyncio.sleep(0.001)
        seen.append(turned_ns(loop))
        first, same, second = seen
        assert first is not None
        assert second is not None
        assert first == same <= before_ns < second <= time.monotonic_ns()

    asyncio.run(main())


@pytest.mark.parametrize("backend", ["uvloop", "trio"])
def test_other_loops_do_not_show_it(backend: str) -> None:
    if backend == "uvloop":
        pytest.importorskip("uvloop")

    async def main() -> None:
        await anyio.sleep(0.001)
        assert turned_ns(loop_of(running())) is None

    options = {"use_uvloop": True} if backend == "uvloop" else {}
    anyio.run(main, backend="trio" if backend == "trio" else "asyncio", backend_options=options)


def test_nor_does_one_with_a_clock_or_a_turn_of_its_own() -> None:
    class OwnClock(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return super().time() + 1000

    class OwnTurn(asyncio.SelectorEventLoop):
        def _run_once(self) -> None:
            super()._run_once()  # type: ignore[misc]

    async def main() -> None:
        await asyncio.sleep(0.001)
        assert turned_ns(loop_of(running())) is None

    for kind in (OwnClock, OwnTurn):
        with contextlib.closing(kind()) as loop:
            loop.run_until_complete(main())


def test_code_outside_of_a_turn_is_in_none() -> None:
    with contextlib.closing(asyncio.new_event_loop()) as handle:
        assert turned_ns(loop_of(handle)) is None
    assert turned_ns(NO_LOOP) is None


def test_a_loop_that_nobody_asked_yet_is_not_known_to_wait() -> None:
    assert not AsyncioLoop(object()).waits(sys._getframe())
    assert not NO_LOOP.waits(sys._getframe())


def test_a_module_may_call_itself_anything() -> None:
    module: dict[str, Any] = {"__name__": ["not", "a", "name"], "sys": sys}
    exec("def frame(): return sys._getframe()", module)
    assert not AsyncioLoop(object()).waits(module["frame"]())
