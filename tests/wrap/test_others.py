"""Who tells a call: somebody else only where it is an SDK's own call, and never because of a likeness."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from firsttoken._wrap.others import is_told
from tests.conftest import Traces
from tests.replay_sdks import wrap

CHUNK = {
    "object": "chat.completion.chunk",
    "model": "gpt-answers",
    "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}
#: As an SDK's own module would define it.
SDK: dict[str, Any] = {"__name__": "anthropic.resources.messages"}
exec("async def words(self):\n yield {'type': 'ping'}", SDK)


async def read(stream: Any) -> None:
    async for _ in stream:
        pass


class Service:
    """Somebody's own class, with a tracer of its own as many have."""

    def __init__(self) -> None:
        self._tracer = object()
        self._client = SimpleNamespace(_tracer=object())

    async def answer(self) -> AsyncIterator[Any]:
        yield CHUNK


def test_a_class_of_the_users_with_a_tracer_leaves_the_call_to_us(traces: Traces) -> None:
    anyio.run(read, wrap(Service().answer(), traces))
    span = traces.span()
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert span.attributes["gen_ai.usage.output_tokens"] == 2


@pytest.mark.parametrize("tracer", [None, object()])
def test_an_sdks_client_tells_its_calls_if_it_has_a_tracer(tracer: object) -> None:
    assert is_told(SDK["words"](SimpleNamespace(_tracer=tracer))) is (tracer is not None)


def aside(traces: Traces) -> Any:
    return wrap(SDK["words"](SimpleNamespace(_tracer=object())), traces)


def test_a_stream_told_aside_and_traced_again_stays_aside(traces: Traces) -> None:
    anyio.run(read, wrap(aside(traces), traces, model="mine", attributes={"tier": "gold"}))
    span = traces.span()
    assert span.name == "stream mine"
    assert span.attributes["tier"] == "gold"
    assert not {key for key in span.attributes if key.startswith(("gen_ai.operation", "gen_ai.request"))}


def test_the_name_said_the_second_time_outlives_the_answer(traces: Traces) -> None:
    anyio.run(read, wrap(wrap(Service().answer(), traces), traces, model="mine"))
    span = traces.span()
    assert span.name == "chat mine"
    assert span.attributes["gen_ai.response.model"] == "gpt-answers"


def test_what_is_not_said_the_second_time_stays_as_it_was(traces: Traces) -> None:
    once = wrap(Service().answer(), traces, operation="text_completion", model="first")
    anyio.run(read, wrap(once, traces))
    span = traces.span()
    assert span.name == "text_completion first"
    assert span.attributes["gen_ai.operation.name"] == "text_completion"


def test_a_call_around_a_stage_of_another_kind_is_a_span_of_its_own(traces: Traces) -> None:
    anyio.run(read, wrap(wrap(Service().answer(), traces, operation="moderate"), traces))
    assert sorted(span.name for span in traces.spans()) == ["chat gpt-answers", "moderate gpt-answers"]
