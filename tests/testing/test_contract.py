"""The tools for tests: scripted streams do as they are told, the contract finds broken wrappers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from firsttoken.testing import (
    EXITS,
    SOURCES,
    Exit,
    ScriptedSource,
    SourceError,
    check_exit,
    check_stream_wrapper,
    settle,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning"),
]


async def collected(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream] if hasattr(stream, "__aiter__") else list(stream)


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_scripted_source_yields_its_chunks(kind: str) -> None:
    source = ScriptedSource(chunks=("x", "y"))
    stream = SOURCES[kind](source)
    assert not source.started
    assert await collected(stream) == ["x", "y"]
    assert source.started


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_scripted_source_breaks_as_told(kind: str) -> None:
    source = ScriptedSource(chunks=("x",), then="raise")
    with pytest.raises(SourceError):
        await collected(SOURCES[kind](source))


@pytest.mark.parametrize("kind", ["async generator", "async iterator"])
async def test_a_scripted_source_keeps_its_pace(kind: str) -> None:
    paced = []

    async def pace(index: int) -> None:
        paced.append(index)

    await collected(SOURCES[kind](ScriptedSource(pace=pace)))
    assert paced == [0, 1, 2]


async def test_exits_and_sources_are_told_apart_by_name() -> None:
    assert len({leaving.name for leaving in EXITS}) == len(EXITS)
    outcomes = {leaving.outcome for leaving in EXITS}
    assert outcomes == {"completed", "abandoned", "cancelled", "failed", None}


async def test_what_does_nothing_keeps_no_contract() -> None:
    """Without a wrapper nobody closes an iterator of a class that is broken off."""
    with pytest.raises(AssertionError, match="left open"):
        await check_stream_wrapper(lambda source: source)


async def swallows(source: Any) -> AsyncIterator[Any]:
    try:
        async for chunk in source:
            yield chunk
    except SourceError:
        return
    finally:
        await source.aclose()


async def starts_early_and_leaves_open(source: Any) -> AsyncIterator[Any]:
    while True:
        try:
            yield await anext(source)
        except StopAsyncIteration:
            return


async def reverses(source: Any) -> AsyncIterator[Any]:
    for chunk in reversed([chunk async for chunk in source]):
        yield chunk


def exit_named(name: str) -> Exit:
    return next(leaving for leaving in EXITS if leaving.name == name)


@pytest.mark.parametrize(
    ("wrap", "name", "message"),
    [
        (reverses, "exhausted", "not the same objects in the same order"),
        (swallows, "ended by an exception in the source", "did not reach the consumer"),
        (starts_early_and_leaves_open, "closed", "was left open"),
    ],
)
async def test_the_contract_names_what_a_wrapper_breaks(
    wrap: Callable[[Any], Any], name: str, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        await check_exit(wrap, "async iterator", exit_named(name))


async def test_settling_closes_what_was_dropped() -> None:
    source = ScriptedSource()
    stream = source.as_async_generator()
    await anext(stream)
    del stream
    await settle()
    assert source.closed
