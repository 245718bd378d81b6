"""What a call asks for, taken from wherever the SDK shows it; a stream traced twice is one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

import firsttoken
from firsttoken._wrap.asked import asked_of
from tests.conftest import Traces
from tests.replay_sdks import (
    ASK,
    ASK_ANTHROPIC,
    CHAT,
    MESSAGES,
    QUESTION,
    anthropic_client,
    async_anthropic_client,
    async_openai_client,
    openai_client,
    serve,
    wrap,
)
from tests.replay_server import ReplayServer

SAID: dict[str, Any] = {
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 64,
    "gen_ai.request.stop_sequences": ("END",),
}


async def read(stream: Any) -> None:
    async for _ in stream:
        pass


async def openai_awaited(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with async_openai_client(server) as client:
        options = {**ASK, "temperature": 0.5, "max_tokens": 64, "stop": ["END"], "seed": 7, "n": 2}
        await read(await wrap(client.chat.completions.create(**options, stream=True), traces))


async def openai_open(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    with openai_client(server) as client:
        options = {**ASK, "temperature": 0.5, "max_tokens": 64, "stop": "END", "seed": 7, "n": 2}
        list(wrap(client.chat.completions.create(**options, stream=True), traces))


async def openai_helper(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with async_openai_client(server) as client:
        options = {**ASK, "temperature": 0.5, "max_tokens": 64, "stop": ["END"]}
        async with wrap(client.chat.completions.stream(**options), traces) as stream:
            await stream.get_final_completion()


async def anthropic_awaited(server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)
    async with async_anthropic_client(server) as client:
        options = {**ASK_ANTHROPIC, "extra_body": {"temperature": 0.5}, "stop_sequences": ["END"]}
        await read(await wrap(client.messages.create(**options, stream=True), traces))


async def anthropic_helper(server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)
    async with async_anthropic_client(server) as client:
        options = {**ASK_ANTHROPIC, "extra_body": {"temperature": 0.5}, "stop_sequences": ["END"]}
        async with wrap(client.messages.stream(**options), traces) as stream:
            await stream.get_final_message()


async def anthropic_helper_without_a_loop(server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)
    with anthropic_client(server) as client:
        options = {**ASK_ANTHROPIC, "extra_body": {"temperature": 0.5}, "stop_sequences": ["END"]}
        with wrap(client.messages.stream(**options), traces) as stream:
            stream.get_final_message()


@pytest.mark.parametrize(
    "call",
    [
        openai_awaited,
        openai_open,
        openai_helper,
        anthropic_awaited,
        anthropic_helper,
        anthropic_helper_without_a_loop,
    ],
)
def test_a_call_is_told_with_what_it_asks_for_and_where(
    call: Callable[[ReplayServer, Traces], Coroutine[Any, Any, None]], server: ReplayServer, traces: Traces
) -> None:
    asyncio.run(call(server, traces))
    span = traces.span()
    attributes = span.attributes
    assert span.name == "chat asked-model"
    assert {key: attributes.get(key) for key in SAID} == SAID
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["server.port"] == server.port
    if call in (openai_awaited, openai_open):
        assert attributes["gen_ai.request.seed"] == 7
        assert attributes["gen_ai.request.choice.count"] == 2
    assert QUESTION not in str(dict(attributes))


def test_the_other_sdks_show_their_arguments() -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    cohere = pytest.importorskip("cohere").AsyncClientV2(api_key="none", base_url="http://127.0.0.1:1")
    ollama = pytest.importorskip("ollama").AsyncClient(host="http://127.0.0.1:1")
    there: Any = {"base_url": "http://127.0.0.1:1"}
    google = pytest.importorskip("google.genai").Client(api_key="none", http_options=there)
    mistral = pytest.importorskip("mistralai.client").Mistral(api_key="none")
    options: Any = {"temperature": 0.5, "num_predict": 9}
    config: Any = {"temperature": 0.5, "max_output_tokens": 9}
    calls = [
        cohere.chat_stream(model="m", messages=messages, temperature=0.5, max_tokens=9),
        ollama.chat(model="m", messages=messages, stream=True, options=options),
        google.aio.models.generate_content_stream(model="m", contents="hi", config=config),
        mistral.chat.stream_async(model="m", messages=messages, temperature=0.5, max_tokens=9),
    ]
    for call in calls:
        asked = asked_of(call)
        assert asked["gen_ai.request.model"] == "m", call
        assert asked["gen_ai.request.temperature"] == 0.5
        assert asked["gen_ai.request.max_tokens"] == 9
        if call is not calls[-1]:  # Mistral's client has its address elsewhere; its response shows it
            assert (asked["server.address"], asked["server.port"]) == ("127.0.0.1", 1)
        if hasattr(call, "close"):
            call.close()


async def words(model: str = "mine") -> AsyncIterator[str]:
    yield "a"


def test_what_is_no_sdks_shows_nothing() -> None:
    class Broken:
        @property
        def response(self) -> Any:
            raise RuntimeError("not now")

    assert asked_of(words()) == {}
    assert asked_of(Broken()) == {}
    assert asked_of([1, 2]) == {}


def test_what_the_caller_says_stands(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    with openai_client(server) as client:
        stream = client.chat.completions.create(**ASK, stream=True, temperature=0.5)
        said = {"gen_ai.request.temperature": 0.75}
        list(wrap(stream, traces, model="mine", provider="us", attributes=said))
    span = traces.span()
    assert span.name == "chat mine"
    assert span.attributes["gen_ai.request.temperature"] == 0.75
    assert span.attributes["gen_ai.provider.name"] == "us"


# --- twice -----------------------------------------------------------------------------------------


def test_a_stream_traced_twice_is_told_once_with_all_that_was_said(traces: Traces) -> None:
    once = wrap(words(), traces, attributes={"team": "search"})
    twice = wrap(once, traces, model="mine", attributes={"tier": "gold"})
    assert twice is once
    asyncio.run(read(twice))
    span = traces.span()
    assert span.name == "chat mine"
    assert (span.attributes["team"], span.attributes["tier"]) == ("search", "gold")
    assert span.attributes["gen_ai.request.model"] == "mine"


def test_a_call_traced_twice_is_told_once(server: ReplayServer, traces: Traces) -> None:
    async def main() -> None:
        serve(server, CHAT)
        async with async_openai_client(server) as client:
            call = wrap(client.chat.completions.create(**ASK, stream=True), traces)
            await read(wrap(await wrap(call, traces), traces))

    asyncio.run(main())
    assert traces.span().attributes["gen_ai.usage.output_tokens"] == 2


def test_a_traced_function_that_returns_a_traced_stream_is_told_once(traces: Traces) -> None:
    @firsttoken.traced(tracer_provider=traces.provider)
    def answer() -> Any:
        return wrap(words(), traces)

    asyncio.run(read(answer()))
    assert traces.span().name == "chat answer"


def test_a_stage_of_its_own_around_a_traced_stream_is_another_span(traces: Traces) -> None:
    asyncio.run(read(wrap(wrap(words(), traces), traces, operation="moderate")))
    assert sorted(span.name for span in traces.spans()) == ["chat", "moderate"]
