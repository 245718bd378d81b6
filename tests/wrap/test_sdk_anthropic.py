"""The real Anthropic SDK against a replay: same behaviour, one span, whatever is called."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.conftest import Traces
from tests.replay_sdks import (
    ASK_ANTHROPIC,
    MESSAGES,
    anthropic,
    anthropic_client,
    async_anthropic_client,
    check_messages,
    serve,
    wrap,
)
from tests.replay_server import ReplayServer

pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")


@pytest.mark.anyio
async def test_anthropic_create(server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)
    async with async_anthropic_client(server) as client:
        expected = [event async for event in await client.messages.create(**ASK_ANTHROPIC, stream=True)]
        stream = await wrap(client.messages.create(**ASK_ANTHROPIC, stream=True), traces)
        assert isinstance(stream, anthropic.AsyncStream)
        assert [event async for event in stream] == expected
    check_messages(traces.span())


def test_anthropic_create_without_a_loop(server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)
    with anthropic_client(server) as client:
        assert list(wrap(client.messages.create(**ASK_ANTHROPIC, stream=True), traces))
    check_messages(traces.span())


@pytest.mark.anyio
@pytest.mark.parametrize("helper", ["get_final_message", "until_done", "get_final_text", "text_stream"])
async def test_anthropic_stream_helpers(helper: str, server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)

    async def use(stream: Any) -> Any:
        if helper == "text_stream":
            assert stream.text_stream is stream.text_stream
            return [text async for text in stream.text_stream]
        try:
            return await getattr(stream, helper)()
        except RuntimeError as error:
            return str(error)

    async with async_anthropic_client(server) as client:
        async with client.messages.stream(**ASK_ANTHROPIC) as plain:
            expected = await use(plain)
        async with wrap(client.messages.stream(**ASK_ANTHROPIC), traces) as stream:
            assert await use(stream) == expected
            assert stream.response.status_code == 200
            assert stream.current_message_snapshot.stop_reason == "end_turn"
    check_messages(traces.span())


@pytest.mark.parametrize("helper", ["get_final_message", "text_stream"])
def test_anthropic_stream_helpers_without_a_loop(helper: str, server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)

    def use(stream: Any) -> Any:
        return list(stream.text_stream) if helper == "text_stream" else stream.get_final_message()

    with anthropic_client(server) as client:
        with client.messages.stream(**ASK_ANTHROPIC) as plain:
            expected = use(plain)
        with wrap(client.messages.stream(**ASK_ANTHROPIC), traces) as stream:
            assert use(stream) == expected
    check_messages(traces.span())


@pytest.mark.anyio
async def test_anthropic_helper_left_early(server: ReplayServer, traces: Traces) -> None:
    gate = threading.Event()
    serve(server, MESSAGES, gates={4: gate})
    async with async_anthropic_client(server) as client:
        async with wrap(client.messages.stream(**ASK_ANTHROPIC), traces) as stream:
            async for _ in stream:
                break
        gate.set()
    assert traces.span().attributes["firsttoken.outcome"] == "abandoned"


@pytest.mark.anyio
async def test_anthropic_streaming_response(server: ReplayServer, traces: Traces) -> None:
    serve(server, MESSAGES)
    async with async_anthropic_client(server) as client:
        create = client.messages.with_streaming_response.create
        async with wrap(create(**ASK_ANTHROPIC, stream=True), traces) as response:
            async for _ in response.iter_lines():
                pass
    check_messages(traces.span())


@pytest.mark.anyio
async def test_anthropic_overloaded_in_the_stream(server: ReplayServer, traces: Traces) -> None:
    serve(server, "anthropic-overloaded.sse")
    async with async_anthropic_client(server) as client:
        stream = await wrap(client.messages.create(**ASK_ANTHROPIC, stream=True), traces)
        with pytest.raises(anthropic.APIStatusError):
            async for _ in stream:
                pass
    assert traces.span().attributes["firsttoken.outcome"] == "failed"
