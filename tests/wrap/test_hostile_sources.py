"""Sources whose attributes raise something else than AttributeError: what they yield is what counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import firsttoken
from tests.conftest import Traces


class Data:
    """A stream that looks its attributes up in a dict, and says so when there is none."""

    def __init__(self) -> None:
        self.left = ["a", "b"]

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class AsyncData(Data):
    def __aiter__(self) -> AsyncData:
        return self

    async def __anext__(self) -> str:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


class SyncData(Data):
    def __iter__(self) -> SyncData:
        return self

    def __next__(self) -> str:
        if not self.left:
            raise StopIteration
        return self.left.pop(0)


def test_a_sync_one_is_traced(traces: Traces) -> None:
    assert list(firsttoken.trace_stream(SyncData(), tracer_provider=traces.provider)) == ["a", "b"]
    assert traces.span().attributes["firsttoken.outcome"] == "completed"


@pytest.mark.parametrize("way", ["at hand", "awaited", "awaited at the first pull"])
def test_an_async_one_is_traced(way: str, traces: Traces) -> None:
    async def create() -> AsyncData:
        return AsyncData()

    async def main() -> None:
        source: Any = AsyncData() if way == "at hand" else create()
        stream: Any = firsttoken.trace_stream(source, tracer_provider=traces.provider)
        if way == "awaited":
            stream = await stream
        async for chunk in stream:
            assert chunk == "a"
            break
        await stream.__aiter__().aclose()

    asyncio.run(main())
    assert traces.span().attributes["firsttoken.outcome"] == "abandoned"
