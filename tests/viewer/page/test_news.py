"""A server that comes and goes, a token that is gone, streams that still run: how the page tells."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.viewer.page.conftest import PATIENCE_MS, Browser, Server
from tests.viewer.page.spans import Stream
from tests.viewer.page.test_list import BLOCKED, rows, shows

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)


def test_a_lost_server_is_told_and_found_again(
    browser: Browser, server: Server, serve: Callable[..., Server]
) -> None:
    browser.forgiven = (
        "ERR_CONNECTION_REFUSED",
        "ERR_INCOMPLETE_CHUNKED_ENCODING",
        "ERR_CONNECTION_RESET",
        "ERR_EMPTY_RESPONSE",
    )
    server.send(BLOCKED)
    page = browser.open(server.url)
    shows(page, "blocked")
    expect(page.locator(".connection")).to_have_text("live")
    server.stop()
    expect(page.locator(".problem")).to_contain_text("does not answer")
    expect(page.locator(".connection")).to_have_text("not connected")
    shows(page, "blocked")
    again = serve(server.port)
    expect(page.locator(".connection")).to_have_text("live")
    expect(page.locator(".problem")).to_be_hidden()
    again.send(Stream(model="after"))
    shows(page, "after")


class DebugPath(ThreadingHTTPServer):
    """Stands for a local app's debug path: says what is put into `streams`."""

    streams: list[dict[str, Any]]

    def __init__(self) -> None:
        self.streams = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/debug/streams"


class _Answer(BaseHTTPRequestHandler):
    server: DebugPath

    def do_GET(self) -> None:
        body = json.dumps({"streams": self.server.streams, "loop_blocks": []}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def app() -> Iterator[DebugPath]:
    app = DebugPath()
    thread = threading.Thread(target=app.serve_forever)
    thread.start()
    yield app
    app.shutdown()
    thread.join()
    app.server_close()


def test_running_streams_are_on_top_before_they_end(
    app: DebugPath, browser: Browser, serve: Callable[..., Server]
) -> None:
    running = Stream(model="running", ago_s=1)
    said = {
        "name": "chat running",
        "trace_id": running.trace_id,
        "span_id": running.span_id,
        "outcome": None,
    }
    app.streams = [{**said, "age_s": 3.2, "chunks": 41, "content_chunks": 40, "last_chunk_age_s": 0.02}]
    browser.forgiven = ("404",)
    server = serve(0, "--live", app.url)
    server.send(BLOCKED)
    page = browser.open(server.url)
    shows(page, "chat running", "blocked")
    expect(rows(page).filter(has_text="running").first).to_have_class("row running")
    expect(page.locator(".total")).to_have_text("1 stream, 1 running")
    page.locator(".running .model a").click()
    expect(page.locator(".trace")).to_contain_text("if it still runs, it appears here by itself")
    app.streams = []
    server.send(running)
    expect(page.locator(".verdict .first")).to_contain_text("Nothing held this stream up")
    page.keyboard.press("Escape")
    shows(page, "running", "blocked")


@pytest.mark.parametrize(("motion", "animation"), [("reduce", "none"), ("no-preference", "pulse")])
def test_nothing_moves_for_who_wants_no_motion(
    app: DebugPath, browser: Browser, serve: Callable[..., Server], motion: str, animation: str
) -> None:
    app.streams = [{"name": "chat running", "age_s": 3.2, "chunks": 41}]
    server = serve(0, "--live", app.url)
    page = browser.open(server.url, reduced_motion=motion)
    sign = page.locator(".running .outcome .sign")
    expect(sign).to_have_css("animation-name", animation)
    assert page.evaluate("document.getAnimations().length") == (animation == "pulse")


def test_an_app_that_is_not_there_is_no_alarm_and_one_that_answers_nonsense_is(
    browser: Browser, serve: Callable[..., Server]
) -> None:
    app = DebugPath()
    thread = threading.Thread(target=app.serve_forever)
    thread.start()
    page = browser.open(serve(0, "--live", app.url).url)
    expect(page.locator(".connection")).to_have_text("live")
    expect(page.locator(".notes")).to_be_empty()
    app.shutdown()
    thread.join()
    app.server_close()
    ended = f"the app at 127.0.0.1:{app.server_port} has ended"
    expect(page.locator(".note")).to_have_text(ended)
    expect(page.locator(".note")).to_have_class("note")
    page = browser.open(serve(0, "--live", app.url).url)
    expect(page.locator(".note")).to_have_text(f"no app listens at 127.0.0.1:{app.server_port}")
    expect(page.locator(".note")).to_have_class("note")
    other = serve()
    page = browser.open(serve(0, "--live", f"{other.url}/api/health").url)
    expect(page.locator(".note.bad")).to_contain_text("/api/health does not answer with a list of streams")


def test_a_page_that_lost_its_token_says_what_to_do(browser: Browser, serve: Callable[..., Server]) -> None:
    browser.forgiven = ("401", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION")
    token = "a-token-of-this-test"
    server = serve(0, "--token", token)
    page = browser.open(f"{server.url}/?token={token}")
    expect(page.locator(".connection")).to_have_text("live")
    assert token not in page.url
    browser.context.clear_cookies()
    server.stop()
    serve(server.port, "--token", token)
    expect(page.locator(".problem")).to_contain_text("This viewer wants its token")
    expect(page.locator(".connection")).to_have_text("not connected")
    signed_in = browser.open(f"{server.url}/?token={token}")
    expect(signed_in.locator(".connection")).to_have_text("live")
    # The first one tries again by itself, with the cookie that they share.
    expect(page.locator(".connection")).to_have_text("live")
    expect(page.locator(".problem")).to_be_hidden()
