"""The streaming client: nothing is sent before it is read, and leaving is leaving."""

from __future__ import annotations

from typing import Any

import pytest

from firsttoken.testing import SourceError
from firsttoken.testing._asgi_client import StreamingAsgiClient
from tests.asgi.apps import ScriptedApp

pytestmark = pytest.mark.anyio


async def test_a_body_comes_as_it_is_read_and_not_before() -> None:
    app = ScriptedApp(b"a", b"b", b"c")
    async with StreamingAsgiClient(app).stream() as response:
        assert await anext(response) == b"a"
        assert len(app.sent) <= 3
        assert await response.aread() == b"bc"
    assert response.messages == app.sent


async def test_the_request_is_what_was_asked_for() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope, received=await receive())
        await send({"type": "http.response.start", "status": 201, "headers": [(b"X-One", b"1")]})
        await send({"type": "http.response.body", "body": b""})

    client = StreamingAsgiClient(app)
    async with client.stream("/a?b=c", method="PUT", headers=[("X-Two", "2")], body=b"d") as response:
        assert (response.status, response.headers) == (201, {"x-one": "1"})
        assert await response.aread() == b""
    assert (seen["method"], seen["path"], seen["query_string"]) == ("PUT", "/a", b"b=c")
    assert seen["headers"] == [(b"x-two", b"2")]
    assert seen["received"] == {"type": "http.request", "body": b"d", "more_body": False}


@pytest.mark.parametrize("then", ["listen", "end"])
async def test_leaving_the_block_tells_the_application_and_waits_for_it(then: str) -> None:
    app = ScriptedApp(b"a", b"b", then=then)
    async with StreamingAsgiClient(app).stream() as response:
        await anext(response)
    assert len(app.sent) == (3 if then == "listen" else 4)


async def test_disconnecting_ends_the_body() -> None:
    async with StreamingAsgiClient(ScriptedApp(b"a", b"b", then="listen")).stream() as response:
        response.disconnect()
        assert await response.aread() == b""


async def test_sending_to_a_client_that_left_raises_where_the_server_would() -> None:
    with pytest.raises(OSError, match="gone"):
        async with StreamingAsgiClient(ScriptedApp(b"a", b"b"), raises_when_gone=True).stream() as response:
            await anext(response)


async def test_what_the_application_raises_is_raised() -> None:
    with pytest.raises(SourceError):
        async with StreamingAsgiClient(ScriptedApp(b"a", then="raise")).stream() as response:
            assert await response.aread() == b"a"


async def test_an_application_that_fails_before_it_responds_is_heard() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise SourceError("as told")

    with pytest.raises(SourceError):
        async with StreamingAsgiClient(app).stream():
            pass


async def test_no_response_is_an_error() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return None

    with pytest.raises(RuntimeError, match="without a response"):
        async with StreamingAsgiClient(app).stream():
            pass


async def test_what_the_block_raises_is_raised_bare() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with StreamingAsgiClient(ScriptedApp(b"a")).stream():
            raise KeyError("mine")
