"""A trace of several streams: what a pipeline reads from a provider, and what a client reads from both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.viewer.page.conftest import PATIENCE_MS, Browser, Server
from tests.viewer.page.spans import Stall, Stream, send_spans

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect

expect.set_options(timeout=PATIENCE_MS)

PROVIDER = Stream(model="inner-model", name="chat inner-model", route=None, chunks=60)
HTTP = replace(PROVIDER, name="POST api.example", provider="http", stalls=[Stall(30, 0.6, "provider")])
PIPELINE = replace(PROVIDER, name="pipeline answer", stalls=[Stall(10, 0.3), Stall(30, 0.9, "stage")])
IDS = {"pipeline answer": "a" * 16, "POST api.example": "b" * 16, "chat inner-model": "c" * 16}


def spans() -> list[dict[str, Any]]:
    """A request, the pipeline in it, the HTTP stream in that, and the provider's in that."""
    (request, _) = Stream(route="/ask", trace_id=PROVIDER.trace_id, ago_s=10).spans()
    found, parent = [request], request["spanId"]
    for stream in (PIPELINE, HTTP, PROVIDER):
        (span,) = stream.spans()
        found.append({**span, "spanId": IDS[span["name"]], "parentSpanId": parent})
        parent = IDS[span["name"]]
    return found


@pytest.fixture
def page(browser: Browser, server: Server) -> Page:
    # The innermost arrives first, as it ends first.
    for span in reversed(spans()):
        send_spans(server.url, ("chat", [span]))
    return browser.open(server.url)


def test_each_stream_of_a_trace_is_a_row_with_the_route_of_the_request(page: Page) -> None:
    rows = page.locator(".spacer .row")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="/ask")).to_have_count(3)
    for name in ("pipeline answer · /ask", "POST api.example · /ask"):
        expect(rows.filter(has_text=name)).to_have_count(1)
    expect(rows.filter(has_text="chat inner-model")).to_have_count(0)


def test_the_trace_shows_them_on_one_axis_and_tells_of_the_chosen_one(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/#/trace/{PROVIDER.trace_id}")
    first = page.locator(".verdict .first")
    expect(first).to_contain_text("chat.py:107 in save_log blocked the event loop for 300 ms")
    expect(page.locator(".inspector h2")).to_have_text("pipeline answer")
    timeline = page.get_by_role("application")
    timeline.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".inspector h2")).to_have_text("POST api.example")
    expect(first).to_contain_text("The provider, http, fell silent for 600 ms")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".inspector h2")).to_have_text("chat inner-model")
    expect(first).to_contain_text("Nothing held this stream up")
    assert page.url.endswith(f"/{IDS['chat inner-model']}")
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    expect(page.locator(".inspector h2")).to_have_text("POST /ask")
    # A span that is no stream: the verdict stays with the worst of them.
    expect(first).to_contain_text("chat.py:107")


def test_the_stream_that_a_row_is_of_is_the_one_that_opens(page: Page) -> None:
    page.locator(".spacer .row", has_text="provider").last.locator(".max").click()
    expect(page.locator(".inspector h2")).to_have_text("POST api.example")


def test_what_the_pointer_was_on_is_not_told_of_another_place(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/#/trace/{PROVIDER.trace_id}")
    page.wait_for_function("() => document.querySelector('.timeline')?.dataset.to")
    box = page.locator(".timeline").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 110)
    expect(page.get_by_role("tooltip")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_role("tooltip")).to_be_hidden()
