"""The recording generators: same chunks, true marks, the source's context its own, the source closed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from firsttoken._record.iterate import record_async, record_sync
from firsttoken._record.record import Detail, Ending, StreamRecord
from tests.scenes import ManualClock, bare_record, streamed

DETAILS = list(Detail)


def drain(record: StreamRecord, source: Any, clock: ManualClock, held_s: float) -> list[Any]:
    """Iterate as a consumer that holds each chunk for a while."""
    chunks = []
    if hasattr(source, "__aiter__"):

        async def consume() -> None:
            async for chunk in record_async(record, source):
                clock.advance(held_s)
                chunks.append(chunk)

        asyncio.run(consume())
    else:
        for chunk in record_sync(record, source):
            clock.advance(held_s)
            chunks.append(chunk)
    return chunks


async def slowly_async(clock: ManualClock, chunks: list[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        clock.advance(1)
        yield chunk


def slowly(clock: ManualClock, chunks: list[Any]) -> Iterator[Any]:
    for chunk in chunks:
        clock.advance(1)
        yield chunk


@pytest.mark.parametrize("source_of", [slowly_async, slowly])
@pytest.mark.parametrize("detail", DETAILS)
def test_same_objects_in_the_same_order_and_the_marks_of_the_detail(
    source_of: Any, detail: Detail, clock: ManualClock
) -> None:
    chunks = [object(), object()]
    record = bare_record(detail)
    began = clock.now_ns
    assert drain(record, source_of(clock, chunks), clock, held_s=0.25) == chunks
    second = 1_000_000_000
    marks = {
        Detail.NOTHING: [],
        Detail.ARRIVALS: [second, chunks[0], 2.25 * second, chunks[1]],
        Detail.FULL: [second, chunks[0], 1.25 * second, 2.25 * second, chunks[1], 2.5 * second],
    }[detail]
    taken = [mark - began if isinstance(mark, int) else mark for mark in record.take()]
    assert taken == marks
    assert (record.pulled_ns, record.ending) == (began, Ending.EXHAUSTED)
    assert record.ended_ns == began + 2.5 * second


def test_what_the_source_left_current_is_current_at_its_next_pull_and_never_outside() -> None:
    record = bare_record(Detail.FULL)
    variable = record.context_var
    seen_inside: list[Any] = []

    def source() -> Iterator[int]:
        seen_inside.append(variable.get())
        variable.set("the source's span")
        yield 1
        seen_inside.append(variable.get())
        yield 2
        seen_inside.append(variable.get())

    seen_outside = []
    for _ in record_sync(record, source()):
        seen_outside.append(variable.get())
    seen_outside.append(variable.get())
    assert seen_inside == [{"stream": "context"}, "the source's span", "the source's span"]
    assert seen_outside == [None, None, None]


@pytest.mark.parametrize("fails_at", [0, 1])
def test_nothing_leaks_when_the_source_raises(fails_at: int) -> None:
    record = bare_record(Detail.FULL)

    async def source() -> AsyncIterator[int]:
        for number in range(fails_at):
            yield number
        raise ValueError("the source's own")

    async def main() -> None:
        with pytest.raises(ValueError, match="the source's own"):
            async for _ in record_async(record, source()):
                pass
        assert record.context_var.get() is None

    asyncio.run(main())
    assert (record.ending, record.error_type) == (Ending.RAISED, "ValueError")


def test_a_source_that_cannot_be_iterated_fails_as_it_would_alone() -> None:
    class Broken:
        def __iter__(self) -> Any:
            raise LookupError("no")

    record = bare_record(Detail.FULL)
    with pytest.raises(LookupError, match="no"):
        list(record_sync(record, Broken()))
    assert record.ending is Ending.RAISED
    assert record.context_var.get() is None


def test_the_source_is_closed_in_its_own_context_when_the_consumer_leaves() -> None:
    record = bare_record(Detail.FULL)
    seen: list[Any] = []

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            seen.append(record.context_var.get())

    async def main() -> None:
        generator = record_async(record, source())
        await anext(generator)
        await generator.aclose()
        assert record.context_var.get() is None

    asyncio.run(main())
    assert seen == [record.context]
    assert record.ending is Ending.CLOSED


def test_an_error_while_closing_reaches_who_closes_but_never_hides_an_error_on_its_way() -> None:
    class Source:
        def __init__(self, then: BaseException | None) -> None:
            self.then = then

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> int:
            if self.then is not None:
                raise self.then
            return 1

        async def aclose(self) -> None:
            raise OSError("while closing")

    async def main() -> None:
        generator = record_async(bare_record(Detail.FULL), Source(None))
        await anext(generator)
        with pytest.raises(OSError, match="while closing"):
            await generator.aclose()
        with pytest.raises(ValueError, match="first"):
            await anext(record_async(bare_record(Detail.FULL), Source(ValueError("first"))))

    asyncio.run(main())


def test_a_file_like_iterator_outlives_a_break() -> None:
    lines = iter(["a", "b", "c"])
    for line in record_sync(bare_record(Detail.FULL), lines):
        assert line == "a"
        break
    assert list(lines) == ["b", "c"]


def test_each_item_may_be_pulled_in_a_task_of_its_own() -> None:
    record = bare_record(Detail.FULL)

    async def main() -> list[int]:
        generator = record_async(record, streamed(range(3)))
        seen = []
        for _ in range(3):
            seen.append(await asyncio.create_task(generator.__anext__()))
            assert record.context_var.get() is None
        await generator.aclose()
        return seen

    assert asyncio.run(main()) == [0, 1, 2]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_eager_tasks_pull_without_a_leak() -> None:
    record = bare_record(Detail.FULL)

    async def main() -> list[int]:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
        generator = record_async(record, streamed(range(3)))
        seen = []
        for _ in range(3):
            seen.append(await asyncio.create_task(generator.__anext__()))
            assert record.context_var.get() is None
        return seen

    assert asyncio.run(main()) == [0, 1, 2]


def test_what_a_generator_returns_comes_through() -> None:
    def source() -> Any:
        yield 1
        return "the rest"

    def outer(into: list[Any]) -> Any:
        into.append((yield from record_sync(bare_record(Detail.FULL), source())))

    returned: list[Any] = []
    assert list(outer(returned)) == [1]
    assert returned == ["the rest"]
