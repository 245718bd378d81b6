"""`traced`: functions that make streams stay what they were, and every call is a stream of its own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry import trace

from firsttoken import traced
from tests.conftest import Traces
from tests.scenes import streamed


@traced
async def tokens(count: int, *, prefix: str = "t") -> AsyncGenerator[str, None]:
    """Yield tokens."""
    for number in range(count):
        yield f"{prefix}{number}"


@traced(model="tiny", done="end")
def words(text: str) -> Iterator[str]:
    yield from text.split()


@traced()
async def ask(count: int) -> Any:
    return streamed(range(count))


class Client:
    @traced
    async def stream(self) -> AsyncIterator[Any]:
        yield self

    @classmethod
    @traced
    async def of_class(cls) -> AsyncIterator[Any]:
        yield cls

    @staticmethod
    @traced
    def static() -> Iterator[int]:
        yield 1


def test_a_traced_function_stays_what_it_was() -> None:
    assert inspect.isasyncgenfunction(tokens)
    assert inspect.isgeneratorfunction(words)
    assert inspect.iscoroutinefunction(ask)
    assert inspect.isasyncgenfunction(Client.stream)
    assert inspect.isasyncgenfunction(Client().stream)
    assert inspect.isasyncgenfunction(Client.of_class)
    assert inspect.isgeneratorfunction(Client.static)
    assert str(inspect.signature(tokens)).startswith("(count: 'int', *, prefix: 'str' = 't')")
    assert (tokens.__name__, tokens.__doc__) == ("tokens", "Yield tokens.")
    assert inspect.unwrap(tokens) is not tokens


def test_every_call_of_a_traced_function_is_a_stream_of_its_own(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: traces.provider)
    client = Client()

    async def main() -> None:
        stream: Any = tokens(2, prefix="x")
        assert inspect.isasyncgen(stream)
        assert [chunk async for chunk in stream] == ["x0", "x1"]
        assert inspect.iscoroutine(asking := ask(2))
        assert [chunk async for chunk in await asking] == [0, 1]
        assert [chunk async for chunk in client.stream()] == [client]
        assert [chunk async for chunk in Client.of_class()] == [Client]

    asyncio.run(main())
    assert list(words("so it end")) == ["so", "it", "end"]
    assert list(Client.static()) == list(client.static()) == [1]
    # In the order they began: one that waits for news of its loop is told after others.
    names = [span.name for span in sorted(traces.spans(), key=lambda span: span.start_time)]
    assert names == [
        "chat tokens",
        "chat ask",
        "chat stream",
        "chat of_class",
        "chat tiny",
        "chat static",
        "chat static",
    ]


def test_what_cannot_be_decorated_is_refused() -> None:
    with pytest.raises(TypeError, match="decorates a function, not int"):
        traced(5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"traced takes model, provider.*not modle"):
        traced(modle="tiny")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="not started_at_ns"):
        traced(started_at_ns=1)  # type: ignore[call-overload]


def test_a_traced_function_that_returns_no_stream_fails_at_the_call() -> None:
    @traced
    def broken() -> int:
        return 5

    with pytest.raises(TypeError, match="not int"):
        broken()
