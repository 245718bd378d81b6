"""The export thread's event loop, and blocking calls beside it. Floor 3 (tell); each has a daemon thread.

A look-up of a name, or a stock exporter, may block for as long as it likes; a thread that nobody joins
cannot keep us from a deadline or the process from its exit. (The loop's own executor is joined at exit.)
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry.context import Context, get_current, set_value

from firsttoken._tell.context import SUPPRESS_KEYS

T = TypeVar("T")


def untraced() -> Context:
    """Return the context in which instrumentations leave what sends the traces alone."""
    context = get_current()
    for key in SUPPRESS_KEYS:
        context = set_value(key, True, context)
    return context


async def aside(name: str, call: Callable[[], T]) -> T:
    """Await `call()` on a daemon thread of its own; cancelled, it goes on there and its result is lost."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            settle(value)

    def run() -> None:
        settle: Callable[[Any], None] = future.set_result
        value: Any
        try:
            value = call()
        except Exception as error:
            settle, value = future.set_exception, error
        # The loop may be closed by now: nobody waits for us any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, settle, value)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:
        # The interpreter is going down and refuses threads.
        return call()
    return await future


class Limit:
    """Cancel what the block awaits after `seconds`, and raise `asyncio.TimeoutError` in its place.

    What `asyncio.timeout` is from Python 3.11 on; `asyncio.wait_for` would start a task for each use.
    """

    __slots__ = ("_alarm", "_expired", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._alarm = asyncio.get_running_loop().call_later(self._seconds, self._expire, task)

    def _expire(self, task: asyncio.Task[Any]) -> None:
        self._expired = True
        task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alarm.cancel()
        if self._expired and isinstance(error, asyncio.CancelledError):
            raise asyncio.TimeoutError from error


class _Selector(selectors.DefaultSelector):
    """Gives the GIL away between the steps of a loop that is busy; one that waits does it by itself."""

    def __init__(self, breathe: Callable[[], None]) -> None:
        super().__init__()
        self._breathe = breathe

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what is ready."""
        if timeout is not None and timeout <= 0:
            self._breathe()
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        return ready


class ExportLoop(asyncio.SelectorEventLoop):
    """An event loop of our own, whatever the application's policy; looks names up in a daemon thread.

    breathe: called between steps; may give the GIL away.
    """

    def __init__(self, breathe: Callable[[], None]) -> None:
        super().__init__(_Selector(breathe))

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        """Look a host up."""
        return await aside("firsttoken-resolve", lambda: socket.getaddrinfo(host, port, **hints))
