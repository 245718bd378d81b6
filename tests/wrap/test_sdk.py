"""The real OpenAI SDK against a replay: same behaviour, one span, whatever is called."""

from __future__ import annotations

import pytest

from tests.conftest import Traces
from tests.replay_sdks import (
    ASK,
    CHAT,
    RESPONSES,
    async_openai_client,
    check_chat,
    openai,
    openai_client,
    serve,
    wrap,
)
from tests.replay_server import ReplayServer, Reply

pytestmark = pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")


@pytest.mark.anyio
async def test_openai_chat_awaited(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with async_openai_client(server) as client:
        expected = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]
        call = client.chat.completions.create(**ASK, stream=True)
        stream = await wrap(call, traces, model="asked-model")
        assert isinstance(stream, openai.AsyncStream)
        assert stream.response.status_code == 200
        async with stream:
            assert [chunk async for chunk in stream] == expected
    check_chat(traces.span(), len(expected))
    assert traces.span().name == "chat asked-model"


@pytest.mark.anyio
async def test_openai_chat_iterated_without_await(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with async_openai_client(server) as client:
        async for _ in wrap(client.chat.completions.create(**ASK, stream=True), traces):
            pass
    check_chat(traces.span())


def test_openai_chat_without_a_loop(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    with openai_client(server) as client:
        expected = list(client.chat.completions.create(**ASK, stream=True))
        stream = wrap(client.chat.completions.create(**ASK, stream=True), traces)
        assert isinstance(stream, openai.Stream)
        assert list(stream) == expected
        stream.close()
    check_chat(traces.span(), len(expected))


@pytest.mark.anyio
async def test_openai_responses(server: ReplayServer, traces: Traces) -> None:
    serve(server, RESPONSES)
    async with async_openai_client(server) as client:
        call = client.responses.create(model="asked-model", input="hi", stream=True)
        kinds = [event.type async for event in await wrap(call, traces)]
    assert kinds[-1] == "response.completed"
    assert traces.span().attributes["firsttoken.outcome"] == "completed"
    assert traces.span().attributes["gen_ai.usage.output_tokens"] > 0


@pytest.mark.anyio
async def test_openai_stream_helper(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with async_openai_client(server) as client:
        async with client.chat.completions.stream(**ASK) as plain:
            expected = await plain.get_final_completion()
        async with wrap(client.chat.completions.stream(**ASK), traces) as stream:
            completion = await stream.get_final_completion()
    assert completion == expected
    check_chat(traces.span())


@pytest.mark.anyio
async def test_openai_stream_helper_after_a_few_events(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with (
        async_openai_client(server) as client,
        wrap(client.chat.completions.stream(**ASK), traces) as stream,
    ):
        first = await anext(aiter(stream))
        assert await stream.until_done() is stream
        assert stream.current_completion_snapshot.choices[0].finish_reason == "stop"
    assert first.type == "chunk"
    check_chat(traces.span())


def test_openai_stream_helper_without_a_loop(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    with openai_client(server) as client, wrap(client.chat.completions.stream(**ASK), traces) as stream:
        assert stream.until_done() is stream
    check_chat(traces.span())


@pytest.mark.anyio
async def test_openai_raw_response(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with async_openai_client(server) as client:
        create = client.chat.completions.with_raw_response.create
        response = await wrap(create(**ASK, stream=True), traces)
        assert response.headers["content-type"] == "text/event-stream"
        chunks = [chunk async for chunk in response.parse()]
    assert chunks[-1].usage.completion_tokens == 2
    check_chat(traces.span())
    assert response.summary.output_tokens == 2


def test_openai_raw_response_without_a_loop(server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    with openai_client(server) as client:
        response = wrap(client.chat.completions.with_raw_response.create(**ASK, stream=True), traces)
        assert list(response.parse())[-1].usage.completion_tokens == 2
    check_chat(traces.span())


@pytest.mark.anyio
@pytest.mark.parametrize("read", ["iter_lines", "iter_bytes", "iter_text", "parse"])
async def test_openai_streaming_response(read: str, server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    async with async_openai_client(server) as client:
        create = client.chat.completions.with_streaming_response.create
        async with wrap(create(**ASK, stream=True), traces) as response:
            got = getattr(response, read)()
            async for _ in (await got) if read == "parse" else got:
                pass
    check_chat(traces.span())


@pytest.mark.parametrize("read", ["iter_lines", "parse"])
def test_openai_streaming_response_without_a_loop(read: str, server: ReplayServer, traces: Traces) -> None:
    serve(server, CHAT)
    with openai_client(server) as client:
        create = client.chat.completions.with_streaming_response.create
        with wrap(create(**ASK, stream=True), traces) as response:
            assert list(getattr(response, read)())
    check_chat(traces.span())


@pytest.mark.anyio
async def test_openai_answer_that_is_no_stream(server: ReplayServer, traces: Traces) -> None:
    answer = b'{"id": "1", "object": "chat.completion", "model": "m", "choices": [], "created": 1}'
    server.answer(Reply([answer], "application/json"))
    async with async_openai_client(server) as client:
        completion = await wrap(client.chat.completions.create(**ASK), traces)
        raw = await wrap(client.chat.completions.with_raw_response.create(**ASK), traces)
        assert raw.parse().id == "1"
    assert completion.id == "1"
    assert len(traces.spans()) == 2


@pytest.mark.anyio
async def test_openai_refused(server: ReplayServer, traces: Traces) -> None:
    server.answer(Reply([b'{"error": {"message": "no"}}'], "application/json", status=401))
    async with async_openai_client(server) as client:
        with pytest.raises(openai.AuthenticationError):
            await wrap(client.chat.completions.create(**ASK, stream=True), traces)
    assert traces.span().attributes["error.type"] == "openai.AuthenticationError"


@pytest.mark.anyio
async def test_openai_error_in_the_stream(server: ReplayServer, traces: Traces) -> None:
    serve(server, "chat-error-with-status-200.sse")
    async with async_openai_client(server) as client:
        stream = await wrap(client.chat.completions.create(**ASK, stream=True), traces)
        with pytest.raises(openai.APIError):
            async for _ in stream:
                pass
    assert traces.span().attributes["firsttoken.outcome"] == "failed"
