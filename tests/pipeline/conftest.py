"""What pipeline tests have: a clock that is set by hand, and proof that no task is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from firsttoken.testing import settle


class Clock:
    """A monotonic clock (ns) that moves when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in ("_channel", "_operator", "_putter", "_threads"):
        monkeypatch.setattr(f"firsttoken.pipeline.{module}.monotonic_ns", made)
    return made


@asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Check that the block leaves as many tasks as it found."""
    before = {task.id for task in anyio.get_running_tasks()}
    yield
    await settle()
    left = [task.name for task in anyio.get_running_tasks() if task.id not in before]
    assert not left, f"tasks left behind: {left}"
