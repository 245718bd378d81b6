"""The local model server, over a real socket: whole, cut, cut short, and left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from firsttoken.cli._plan import Plan
from firsttoken.cli._upstream import Refused, Upstream, _Response, relaying_client
from firsttoken.cli._wire import Piece

from .scenes import PLAN

pytestmark = pytest.mark.anyio
BODY = [b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n"]
REPLAYED = replace(PLAN, kind="replay", streams=10)


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """The upstream is a program of its own: its event loop is asyncio's."""
    return request.param


class Scene:
    """A server that answers once, with pieces of the test's choice."""

    def __init__(self, plan: Plan, number: int, pieces: Callable[[], AsyncGenerator[Piece, None]]) -> None:
        self._plan, self._number, self._pieces = plan, number, pieces
        self.reported: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        response = _Response(self._plan, self._number, reader, writer)
        await response.send(self._pieces())
        writer.close()
        self.reported.set_result(response.report())

    async def run(self, read: Callable[[httpx.Response], Awaitable[None]]) -> dict[str, Any]:
        """Ask, let the test read the response, and return the server's report."""
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with httpx.AsyncClient(trust_env=False) as client, client.stream("GET", url) as response:
            await read(response)
        report = await self.reported
        server.close()
        return report


async def whole() -> AsyncGenerator[Piece, None]:
    for data in BODY:
        yield Piece(0.0, data)


async def endless() -> AsyncGenerator[Piece, None]:
    yield Piece(0.0, BODY[0])
    yield Piece(1e6, BODY[1])


async def breaking() -> AsyncGenerator[Piece, None]:
    yield Piece(0.0, BODY[0])
    raise Refused(502, "broke off")


async def refused() -> AsyncGenerator[Piece, None]:
    raise Refused(429, "too many")
    yield Piece(0.0, b"")


@pytest.fixture(autouse=True)
def _sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plan, "size", lambda plan, number: sum(map(len, BODY)))
    monkeypatch.setattr("firsttoken.cli._upstream._SILENCE_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "*")


async def test_an_answer_is_sent_whole() -> None:
    async def read(response: httpx.Response) -> None:
        assert response.headers["content-type"] == "text/event-stream"
        assert await response.aread() == b"".join(BODY)

    report = await Scene(PLAN, 1, whole).run(read)
    assert (report["stream"], report["status"], report["ended"]) == (1, 200, "complete")
    assert report["bytes"] == sum(map(len, BODY))


async def test_an_upstream_that_breaks_cuts_the_connection_in_the_middle() -> None:
    async def read(response: httpx.Response) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()

    report = await Scene(PLAN, 4, whole).run(read)
    assert report["ended"] == "connection cut"
    assert report["bytes"] == int(sum(map(len, BODY)) * 0.6)


async def test_every_other_one_ends_as_if_it_were_whole() -> None:
    async def read(response: httpx.Response) -> None:
        assert len(await response.aread()) == int(sum(map(len, BODY)) * 0.6)

    assert (await Scene(REPLAYED, 9, whole).run(read))["ended"] == "cut short"


async def test_an_app_that_hangs_up_is_noticed_while_nothing_is_sent() -> None:
    async def read(response: httpx.Response) -> None:
        async for _ in response.aiter_raw():
            return

    report = await Scene(PLAN, 3, endless).run(read)
    assert report["ended"] == "app left"
    assert report["bytes"] == len(BODY[0])


async def test_a_refusal_is_passed_on_with_its_status() -> None:
    async def read(response: httpx.Response) -> None:
        assert response.status_code == 429

    assert (await Scene(PLAN, 1, refused).run(read))["ended"] == "refused: too many"


async def test_a_real_upstream_that_breaks_off_breaks_the_response_off() -> None:
    async def read(response: httpx.Response) -> None:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()

    assert (await Scene(PLAN, 1, breaking).run(read))["ended"] == "refused: broke off"


async def relay(
    status: int, capsys: pytest.CaptureFixture[str], *, port: int | None = None, user: str = ""
) -> tuple[int, bytes, list[str], dict[str, Any]]:
    """Ask an upstream that relays to a server of ours; return what came, what that saw, and the report."""
    asked: list[str] = []

    async def real(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        body = b"".join(BODY)
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(body))
        )
        writer.write(body)
        await writer.drain()
        writer.close()

    behind = await asyncio.start_server(real, "127.0.0.1", 0)
    port = port or behind.sockets[0].getsockname()[1]
    plan = Plan("relay", 5, 20.0, 1, model="m", url=f"http://{user}127.0.0.1:{port}/v1/chat/completions")
    async with relaying_client("sk-secret") as client:
        server = await asyncio.start_server(Upstream(plan, client).answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with httpx.AsyncClient(trust_env=False) as app:
            answer = await app.post(url, headers={"x-demo-stream": "1"}, json={"stream": True})
        server.close()
    behind.close()
    report = json.loads(capsys.readouterr().out)
    return answer.status_code, answer.content, asked, report


async def test_a_real_upstream_is_asked_with_the_key_and_its_answer_handed_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, body, (asked,), report = await relay(200, capsys)
    assert (status, body) == (200, b"".join(BODY))
    assert asked.startswith("post /v1/chat/completions ")
    assert "authorization: bearer sk-secret" in asked
    assert report["ended"] == "complete"


async def test_what_a_real_upstream_refuses_is_told_without_the_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, body, _, report = await relay(401, capsys, user="me:other-secret@")
    assert status == 401
    assert report["ended"].endswith("/v1/chat/completions answered 401")
    assert "secret" not in f"{body!r} {report}"


async def test_a_real_upstream_that_is_not_there_is_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, asked, report = await relay(200, capsys, port=1)
    assert (status, asked) == (502, [])
    assert report["ended"].endswith("ConnectError")
