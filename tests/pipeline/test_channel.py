"""The channel under every schedule: nothing is lost, nothing comes twice, nobody is forgotten."""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.pipeline._channel import Channel, PipelineStream
from firsttoken.pipeline._putter import Putter


def nothing() -> None:
    return None


async def run(seed: int, size: int, putters: int, getters: int, cancels: bool) -> None:
    """Let some tasks put and some get, each with pauses and cancellations of its own."""
    chance = random.Random(seed)
    channel: Channel[tuple[int, int]] = Channel(size, nothing, nothing)
    stream = PipelineStream(channel)
    seen: list[list[tuple[int, int]]] = [[] for _ in range(getters)]
    left = putters

    async def put(number: int) -> None:
        nonlocal left
        putter = Putter(channel)
        for item in range(40):
            assert await putter.put((number, item))
            assert len(channel.items) <= size + getters
            for _ in range(chance.randrange(3)):
                await checkpoint()
        left -= 1
        if not left:
            channel.finish()

    async def get(number: int) -> None:
        while True:
            with anyio.CancelScope() as scope:
                if cancels and chance.random() < 0.3:
                    tasks.start_soon(cancel, scope)
                try:
                    seen[number].append(await anext(stream))
                except StopAsyncIteration:
                    return
            for _ in range(chance.randrange(3)):
                await checkpoint()

    async def cancel(scope: anyio.CancelScope) -> None:
        for _ in range(chance.randrange(4)):
            await checkpoint()
        scope.cancel()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(putters):
                tasks.start_soon(put, number)
            for number in range(getters):
                tasks.start_soon(get, number)
    everything = [item for items in seen for item in items]
    assert sorted(everything) == [(number, item) for number in range(putters) for item in range(40)]
    for items in seen:
        for number in range(putters):
            mine = [item for source, item in items if source == number]
            assert mine == sorted(mine)
    assert not channel.getters
    assert not channel.putters
    assert channel.due == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 5),
    putters=st.integers(1, 4),
    getters=st.integers(1, 4),
    cancels=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_schedule(
    backend: Any, seed: int, size: int, putters: int, getters: int, cancels: bool
) -> None:
    anyio.run(run, seed, size, putters, getters, cancels, backend=backend)
