"""A trace saved as one HTML file opens from the disk and asks nobody."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest

from tests.viewer.page.conftest import PATIENCE_MS, Browser, Server
from tests.viewer.page.spans import Stall, Stream
from tests.viewer.page.test_security import EVIL, hostile

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)

BLOCKED = Stream(
    model="blocked", chunks=100, stalls=[Stall(20, 0.417)], texts=[f"word{index}" for index in range(100)]
)


def test_the_one_file_shows_the_trace_without_a_server(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    server.send(BLOCKED)
    otlp = httpx.get(f"{server.url}/api/traces/{BLOCKED.trace_id}/otlp.json", trust_env=False).json()
    page = browser.open(f"{server.url}/#/trace/{BLOCKED.trace_id}")
    with page.expect_download() as saved:
        page.get_by_role("link", name="One HTML file").click()
    path = tmp_path / "trace.html"
    saved.value.save_as(path)
    page.close()
    server.stop()
    browser.hosts.clear()
    asked: list[str] = []
    page = browser.open("about:blank")
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator(".verdict .first")).to_contain_text(
        "chat.py:107 in save_log blocked the event loop for 417 ms"
    )
    page.wait_for_function("() => document.querySelector('.timeline')?.dataset.to")
    box = page.locator(".timeline").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 100, box["y"] + 128)
    expect(page.get_by_role("tooltip")).to_contain_text("word")
    page.keyboard.press("n")
    page.mouse.click(box["x"] + 300, box["y"] + 66)
    expect(page.locator(".inspector h2")).to_have_text("POST /chat")
    page.keyboard.press("t")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    with page.expect_download() as taken:
        page.get_by_role("button", name="OTLP JSON").click()
    document = json.loads(taken.value.path().read_text("utf-8"))
    assert taken.value.suggested_filename == f"trace-{BLOCKED.trace_id}.otlp.json"
    assert document == otlp
    assert [url for url in asked if not url.startswith((path.as_uri(), "data:", "blob:"))] == []


def test_the_one_file_runs_no_script_and_asks_for_nothing_but_its_own(
    browser: Browser, shared: Server, tmp_path: Path
) -> None:
    shared.send(BLOCKED)
    path = tmp_path / "trace.html"
    saved = httpx.get(f"{shared.url}/api/traces/{BLOCKED.trace_id}/page.html", trust_env=False)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/"
        evil = f"<style>body {{ color: red }}</style><img src={url}><script>window.hacked = 1</script>"
        path.write_text(saved.text.replace("</body>", f"{evil}</body>"), "utf-8")
        browser.forgiven = ("Content Security Policy",)
        page = browser.open(path.as_uri())
        expect(page.locator(".verdict .first")).to_contain_text("chat.py:107")
        assert page.evaluate("window.hacked") is None
        assert page.evaluate("getComputedStyle(document.body).color") != "rgb(255, 0, 0)"
        refused = page.evaluate("url => fetch(url).then(() => 'sent', () => 'refused')", url)
        assert refused == "refused"
        page.close()
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_stays_text_in_the_one_file(
    browser: Browser, shared: Server, tmp_path: Path, evil: str
) -> None:
    stream = hostile(evil)
    shared.send(stream)
    path = tmp_path / "trace.html"
    page = browser.open(f"{shared.url}/#/trace/{stream.trace_id}")
    with page.expect_download() as saved:
        page.get_by_role("link", name="One HTML file").click()
    saved.value.save_as(path)
    page.goto(path.as_uri())
    expect(page.locator(".inspector")).to_contain_text("firsttoken.outcome")
    foreign = page.evaluate("document.querySelectorAll('img, iframe, svg[onload], [onerror]').length")
    assert foreign == 0
    assert page.evaluate("window.hacked") is None
