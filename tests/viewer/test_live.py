"""Streams show before they end, and a page hears of every change."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from opentelemetry.sdk.trace import TracerProvider

import firsttoken
from firsttoken.asgi import StreamTraceMiddleware
from firsttoken.viewer import _changes
from firsttoken.viewer._live import Live, Source
from firsttoken.viewer._server import listen, url_of

from .running import DEADLINE_S, Running, request, stream, until, viewing


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a user's app in a thread; yield its URL."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            until(lambda: server.started)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join(DEADLINE_S)


def test_a_stream_of_a_local_app_is_seen_while_it_runs(tmp_path: Path) -> None:
    go_on = threading.Event()
    app = FastAPI()

    @app.get("/chat")
    async def chat() -> StreamingResponse:
        async def words() -> AsyncIterator[bytes]:
            yield b"data: one\n\n"
            await anyio.to_thread.run_sync(go_on.wait)
            yield b"data: two\n\n"

        return StreamingResponse(words(), media_type="text/event-stream")

    provider = TracerProvider(shutdown_on_exit=False)
    traced = StreamTraceMiddleware(app, debug_path="/debug/streams", tracer_provider=provider)
    with (
        serving(traced) as url,
        viewing(tmp_path / "traces.db", live=(f"{url}/debug/streams",)) as viewer,
        httpx.stream("GET", f"{url}/chat", trust_env=False, timeout=DEADLINE_S) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "data: one"
        (seen,) = until(lambda: [each for each in viewer.get("/api/live")["streams"] if each["chunks"]])
        assert seen["source"] == f"{url}/debug/streams"
        assert seen["age_s"] > 0
        assert len(seen["trace_id"]) == 32
        assert seen["outcome"] is None
        assert viewer.get("/api/live")["sources"] == [
            {"url": f"{url}/debug/streams", "ok": True, "error": None, "absent": False}
        ]
        go_on.set()
        assert "data: two" in list(lines)
        until(lambda: viewer.get("/api/live")["streams"] == [])
    assert firsttoken.flush(DEADLINE_S)


def test_a_debug_path_that_answers_anything_else_is_told_as_such(tmp_path: Path) -> None:
    app = FastAPI()
    app.get("/html")(lambda: PlainTextResponse("<html>"))
    app.get("/shape")(lambda: JSONResponse({"streams": [{"chunks": "many"}]}))
    app.get("/away")(lambda: RedirectResponse("http://127.0.0.1:9/"))
    app.get("/huge")(lambda: PlainTextResponse("x" * (5 << 20)))
    app.get("/more")(lambda: JSONResponse({"streams": [{"name": "a", "new": 1}], "loop_blocks": [1]}))
    with listen("127.0.0.1", 0) as taken, serving(app) as url:
        nobody = url_of(taken)
        taken.close()
        paths = ["html", "shape", "away", "huge", "none", "more"]
        urls = (*(f"{url}/{path}" for path in paths), f"{nobody}/x")
        with viewing(tmp_path / "traces.db", live=urls) as viewer:
            document = until(lambda: all_asked(viewer.get("/api/live")))
    assert [each["error"] for each in document["sources"]] == [
        f"{url}/html does not answer with a list of streams",
        f"{url}/shape does not answer with a list of streams",
        f"{url}/away answers 307",
        f"{url}/huge answers more than a list of streams",
        f"{url}/none answers 404",
        None,
        f"no app listens at {nobody.removeprefix('http://')}",
    ]
    assert [each["absent"] for each in document["sources"]] == [False] * 6 + [True]
    assert [each["name"] for each in document["streams"]] == ["a"]


class Breaking:
    """A client in which something breaks that is no error of HTTP."""

    def stream(self, method: str, url: str) -> None:
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")


def test_whatever_breaks_on_the_way_to_an_app_the_others_are_still_asked() -> None:
    live = Live(("http://127.0.0.1:1/x",), changed=lambda: None, is_watched=lambda: True)
    live._client = cast(httpx.AsyncClient, Breaking())
    (source,) = asyncio.run(live.refresh()).sources
    assert source == Source(
        "http://127.0.0.1:1/x", False, "http://127.0.0.1:1/x does not answer: AttributeError"
    )


def all_asked(document: dict[str, Any]) -> dict[str, Any] | None:
    waiting = [each for each in document["sources"] if "was not asked yet" in (each["error"] or "")]
    return None if waiting else document


def test_the_end_of_an_app_that_answered_is_told_as_such(tmp_path: Path) -> None:
    app = FastAPI()
    app.get("/debug")(lambda: JSONResponse({"streams": []}))
    ending = ExitStack()
    url = ending.enter_context(serving(app))
    with ending, viewing(tmp_path / "traces.db", live=(f"{url}/debug",)) as viewer:
        until(lambda: viewer.get("/api/live")["sources"][0]["ok"])
        ending.close()
        (source,) = until(lambda: [each for each in viewer.get("/api/live")["sources"] if not each["ok"]])
    host = url.removeprefix("http://")
    assert source == {
        "url": f"{url}/debug",
        "ok": False,
        "error": f"the app at {host} has ended",
        "absent": True,
    }


def events(answer: httpx.Response) -> Generator[dict[str, Any], None, None]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_a_page_hears_of_every_change_over_its_socket(viewer: Running) -> None:
    with viewer.client.stream("GET", "/api/changes") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = events(answer)
        version = next(heard)["version"]
        for trace in range(1, 4):
            viewer.post(request(stream(trace)).SerializeToString())
            latest = viewer.get("/api/streams")["version"]
            assert latest > version
            while version < latest:
                version = next(heard)["version"]
    until(lambda: viewer.viewer.changes.watchers == 0)


def test_many_changes_are_few_events(viewer: Running) -> None:
    with viewer.client.stream("GET", "/api/changes") as answer:
        heard = events(answer)
        next(heard)
        for trace in range(1, 200):
            viewer.post(request(stream(trace)).SerializeToString())
        latest = viewer.get("/api/streams")["version"]
        count = 1
        while next(heard)["version"] < latest:
            count += 1
    assert count < 100


def test_live_streams_are_a_change_while_somebody_watches(tmp_path: Path) -> None:
    app = FastAPI()
    app.get("/debug")(lambda: JSONResponse({"streams": [{"name": "a"}]}))
    with (
        serving(app) as url,
        viewing(tmp_path / "traces.db", live=(f"{url}/debug",)) as viewer,
        viewer.client.stream("GET", "/api/changes") as answer,
    ):
        assert any(event["live"] for event in events(answer))


def test_silence_is_filled_with_pings(viewer: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_changes, "_PING_S", 0.05)
    with viewer.client.stream("GET", "/api/changes") as answer:
        assert ": ping" in (line for line in answer.iter_lines())


def test_only_so_many_may_watch(viewer: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firsttoken.viewer._app.WATCHERS_MAX", 1)
    with viewer.client.stream("GET", "/api/changes") as answer:
        heard = events(answer)
        next(heard)
        assert viewer.client.get("/api/changes").status_code == 503
        heard.close()
