"""The record: which end it notes, who is asked whether it was a cancel, and how marks are handed over."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextvars import ContextVar
from threading import get_ident
from typing import Any

import pytest

from firsttoken._guard import fault_counts
from firsttoken._record.record import Detail, Ending, StreamRecord, restore
from tests.scenes import ManualClock, bare_record


def test_it_counts_from_its_making_unless_told_otherwise(clock: ManualClock) -> None:
    made_ns = clock.now_ns
    assert bare_record().issued_ns == made_ns
    earlier = StreamRecord(lambda _: None, ContextVar("current"), made_ns - 5)
    assert (earlier.issued_ns, earlier.ready_ns) == (made_ns - 5, made_ns)


def test_it_begins_once_on_the_thread_that_iterates(clock: ManualClock) -> None:
    begun: list[StreamRecord] = []
    record = StreamRecord(begun.append, ContextVar("current"))
    clock.advance(1)
    record.begin()
    clock.advance(1)
    record.begin()
    assert begun == [record]
    assert record.begun_ns == clock.now_ns - 1_000_000_000
    assert record.thread_id == get_ident()


def test_a_fault_in_beginning_stays_inside() -> None:
    before = fault_counts().get("begin a stream", 0)

    def begin(_: StreamRecord) -> None:
        raise RuntimeError("ours")

    StreamRecord(begin, ContextVar("current")).begin_pulling()
    assert fault_counts()["begin a stream"] == before + 1


class Odd(Exception):
    pass


class Cancelled(BaseException):
    """Stands for trio's and asyncio's own."""


@pytest.mark.parametrize(
    ("error", "ending", "error_type"),
    [
        (None, Ending.EXHAUSTED, None),
        (GeneratorExit(), Ending.CLOSED, None),
        (ValueError(), Ending.RAISED, "ValueError"),
        (Odd(), Ending.RAISED, f"{__name__}.Odd"),
        (KeyboardInterrupt(), Ending.RAISED, "KeyboardInterrupt"),
        (SystemExit(), Ending.RAISED, "SystemExit"),
        (asyncio.CancelledError(), Ending.CANCELLED, None),
        (Cancelled(), Ending.CANCELLED, None),
    ],
)
def test_the_error_that_went_through_names_the_ending(
    error: BaseException | None, ending: Ending, error_type: str | None
) -> None:
    record = bare_record()
    record.begin()
    record.end(error)
    assert (record.ending, record.error_type) == (ending, error_type)


def test_only_the_first_end_counts(clock: ManualClock) -> None:
    record = bare_record()
    record.begin()
    record.end(None)
    ended_ns = clock.now_ns
    clock.advance(1)
    record.end(ValueError())
    assert (record.ending, record.ended_ns, record.error_type) == (Ending.EXHAUSTED, ended_ns, None)


def test_what_never_began_never_ends() -> None:
    record = bare_record()
    record.end(GeneratorExit())
    assert record.ending is None
    assert not record.is_running


def test_it_runs_from_the_first_pull_to_the_end() -> None:
    record = bare_record()
    record.begin()
    assert not record.is_running
    record.begin_pulling()
    assert record.is_running
    record.end(None)
    assert not record.is_running


def test_the_end_is_noted_when_the_generator_is_dropped() -> None:
    def source() -> Any:
        yield

    record, generator = bare_record(), source()
    record.begin()
    record.end_when_dropped(generator)
    assert record.ending is None
    del generator
    gc.collect()
    assert record.ending is Ending.CLOSED


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio remembers cancel requests from 3.11 on")
def test_closed_by_a_task_that_is_being_cancelled_is_cancelled() -> None:
    record = bare_record()

    async def consume() -> None:
        record.begin_pulling()
        try:
            await asyncio.sleep(60)
        finally:
            record.end(GeneratorExit())

    async def main() -> None:
        task = asyncio.create_task(consume())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert record.ending is Ending.CANCELLED


def test_closed_after_its_consumer_was_cancelled_is_cancelled() -> None:
    record = bare_record()

    async def consume() -> None:
        record.begin_pulling()
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(consume())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        record.end(GeneratorExit())

    asyncio.run(main())
    assert record.ending is Ending.CANCELLED


def test_marks_are_taken_in_place_and_once() -> None:
    record = bare_record()
    append = record.marks.append
    append(1)
    append("a")
    assert record.take() == [1, "a"]
    append(2)
    assert record.take() == [2]
    assert record.take() == []


@pytest.mark.parametrize(("detail", "marks"), [(Detail.NOTHING, 0), (Detail.ARRIVALS, 2), (Detail.FULL, 3)])
def test_each_detail_marks_what_it_says(detail: Detail, marks: int) -> None:
    record = bare_record(detail)
    record.begin()
    record.arrived("a")
    record.resumed()
    assert len(record.take()) == marks


def test_its_context_is_current_in_the_block_alone() -> None:
    record = bare_record(Detail.FULL)
    record.begin()
    outside = record.context_var.get()
    seen = []

    def fail_inside() -> None:
        with record.in_context():
            seen.append(record.context_var.get())
            raise ValueError("of the user")

    with pytest.raises(ValueError, match="of the user"):
        fail_inside()
    assert seen == [record.context]
    assert record.context_var.get() is outside


def test_without_a_context_none_is_made_current() -> None:
    record = bare_record(Detail.ARRIVALS)
    record.begin()
    record.context_var.set("the user's")
    with record.in_context():
        assert record.context_var.get() == "the user's"


def test_a_token_of_another_context_is_let_go() -> None:
    from contextvars import copy_context

    variable: ContextVar[Any] = ContextVar("current", default=None)
    token = copy_context().run(variable.set, "there")
    restore(variable, token)
    assert variable.get() is None
