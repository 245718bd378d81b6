"""The running loop of this thread is found, reached and asked for its life, whatever its make."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

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
    import anyio

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
