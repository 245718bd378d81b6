"""One trace: the verdict, the timeline under pointer, wheel and keys, what can be taken away."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.viewer.page.conftest import PATIENCE_MS, Browser, Server
from tests.viewer.page.spans import Stall, Stream

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Locator, Page, expect

expect.set_options(timeout=PATIENCE_MS)

BLOCKED = Stream(
    model="blocked",
    chunks=100,
    stalls=[Stall(20, 0.417), Stall(60, 0.415)],
    texts=[f"word{index} " for index in range(100)],
)


def trace_of(server: Server, stream: Stream) -> str:
    return f"{server.url}/#/trace/{stream.trace_id}"


def verdict(page: Page) -> Locator:
    return page.locator(".verdict .first")


def in_sight(page: Page) -> tuple[float, float]:
    """Return which seconds of the trace the timeline shows."""
    page.wait_for_function("() => document.querySelector('.timeline')?.dataset.to")
    data = page.locator(".timeline").evaluate("element => ({...element.dataset})")
    return float(data["from"]), float(data["to"])


def shows_seconds(page: Page, least: float, most: float) -> None:
    """Wait until the timeline shows so many seconds."""
    page.wait_for_function(
        """([least, most]) => { const {from, to} = document.querySelector('.timeline').dataset;
            return least < to - from && to - from < most; }""",
        arg=[least, most],
    )


def zoomed_to(page: Page, at_s: float) -> None:
    """Wait until a moment is in sight, much closer than the whole."""
    page.wait_for_function(
        """at => { const {from, to} = document.querySelector('.timeline').dataset;
            return Number(from) < at && at < Number(to) && to - from < 1.5; }""",
        arg=at_s,
    )


def point(page: Page, timeline_s: float, height: float = 128) -> tuple[float, float]:
    """Return where a moment is in the window, `height` pixels below the timeline's top."""
    first, last = in_sight(page)
    box = page.locator(".timeline").bounding_box()
    assert box is not None
    left, width = 208 + 14, page.locator(".timeline").evaluate("element => element.clientWidth") - 208 - 28
    return box["x"] + 1 + left + (timeline_s - first) / (last - first) * width, box["y"] + height


@pytest.fixture
def page(browser: Browser, server: Server) -> Page:
    server.send(BLOCKED)
    page = browser.open(trace_of(server, BLOCKED))
    expect(verdict(page)).to_be_visible()
    return page


def test_who_never_saw_it_clicks_the_slowest_and_reads_the_line(browser: Browser, server: Server) -> None:
    server.send(BLOCKED, Stream(model="fine"), Stream(model="quick", pace_s=0.001))
    page = browser.open(server.url)
    page.get_by_role("button", name="Max gap").click()
    page.locator('.spacer .row[aria-rowindex="2"]', has_text="blocked").click()
    blocked = "chat.py:107 in save_log blocked the event loop twice, for 417 ms and 415 ms"
    expect(verdict(page)).to_have_text(f"■{blocked}; it cost this stream 2 stalls.")
    expect(page.locator(".remedy")).to_contain_text("It waited in a blocking call there")
    code = verdict(page).locator("code").first
    assert code.get_attribute("title") == "/srv/app/chat.py"


def test_other_streams_that_the_line_stalled_are_one_click_away(browser: Browser, server: Server) -> None:
    server.send(
        BLOCKED,
        Stream(model="victim", stalls=[Stall(5, 0.3)]),
        Stream(model="other", stalls=[Stall(5, 1, "provider")]),
    )
    page = browser.open(trace_of(server, BLOCKED))
    expect(page.locator(".others")).to_contain_text("The same line stalled 1 other stream.")
    page.locator(".others a").click()
    expect(page.locator(".total")).to_have_text("2 streams")


def stalled(cause: str, duration_s: float) -> Stream:
    return Stream(stalls=[Stall(9, duration_s, cause)])


def blocked_often() -> Stream:
    """Return a stream with many blocks of the event loop, none of which is a stall."""
    place = {"code.file.path": "/srv/rank.py", "code.line.number": 31, "code.function.name": "score"}
    cost = {"firsttoken.loop_block.duration": 0.06, "firsttoken.loop_blocked": 0.06}
    block = {**cost, **place, "firsttoken.loop_block.kind": "cpu"}
    return Stream(events=[(0.5 + index / 10, "firsttoken.loop_block", block) for index in range(8)])


UNKNOWN_PLACE = Stream(stalls=[Stall(9, 0.3, file=None, line=None, function=None)])
LATE = Stream(attributes={"firsttoken.hold_before_first_token": 0.3})
VERDICTS = {
    "The reader looked away and held the stream up for 1.64 s: the model was not slow.": stalled(
        "consumer", 1.64
    ),
    "The provider, example, fell silent for 515 ms; it cost this stream 1 stall.": stalled(
        "provider", 0.515
    ),
    "The event loop stood still for 300 ms with none of the app's code to blame": UNKNOWN_PLACE,
    "kept the stream waiting for 800 ms": stalled("stage", 0.8),
    "waited for 700 ms for a worker thread: all were taken.": stalled("thread_pool", 0.7),
    "It failed after 540 ms and 9 chunks: a.Error.": Stream(
        outcome="failed", error_type="a.Error", chunks=9
    ),
    "The client left after 540 ms and 9 chunks.": Stream(outcome="cancelled", chunks=9),
    "It just stopped after 540 ms and 9 chunks, without": Stream(outcome="truncated", chunks=9),
    "Nothing held this stream up: the first token came after 400 ms, then a chunk every 20 ms": Stream(),
    "Of the 400 ms to the first token, 300 ms were a consumer that came late.": LATE,
    "rank.py:31 in score blocked the event loop 8 times, for 60 ms each: 35 % of this": blocked_often(),
}


@pytest.mark.parametrize("says", VERDICTS)
def test_the_verdict_is_plain_words(browser: Browser, shared: Server, says: str) -> None:
    stream = VERDICTS[says]
    shared.send(stream)
    page = browser.open(trace_of(shared, stream))
    expect(verdict(page)).to_contain_text(says)


def test_hovering_a_chunk_tells_when_it_came_and_its_text(page: Page) -> None:
    at = BLOCKED.arrivals_s[10]
    page.mouse.move(*point(page, at + 0.002))
    tooltip = page.get_by_role("tooltip")
    expect(tooltip).to_contain_text("Chunk 11 of 100")
    expect(tooltip).to_contain_text(f"{at * 1000:.1f} ms after the request")
    expect(tooltip).to_contain_text("word10")
    stalled = (BLOCKED.arrivals_s[20] + BLOCKED.arrivals_s[21]) / 2
    page.mouse.move(*point(page, stalled + 0.002))
    expect(tooltip).to_contain_text("Stall, 417 ms: event loop")
    expect(tooltip).to_contain_text("chat.py:107 save_log")
    page.mouse.move(5, 5)
    expect(tooltip).to_be_hidden()


def test_without_captured_content_there_is_no_text(browser: Browser, shared: Server) -> None:
    stream = Stream(chunks=100)
    shared.send(stream)
    page = browser.open(trace_of(shared, stream))
    page.mouse.move(*point(page, stream.arrivals_s[10] + 0.002))
    expect(page.get_by_role("tooltip")).to_contain_text("Chunk 11 of 100")
    expect(page.locator(".tooltip .text")).to_have_count(0)


def test_the_wheel_zooms_where_the_pointer_is(page: Page) -> None:
    first, last = in_sight(page)
    at = BLOCKED.arrivals_s[60]
    x, y = point(page, at)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -900)
    shows_seconds(page, 0, (last - first) / 2)
    assert point(page, at)[0] == pytest.approx(x, abs=2)
    page.mouse.dblclick(x, y)
    shows_seconds(page, last - first - 0.001, last - first + 0.001)


def test_dragging_pans(page: Page) -> None:
    x, y = point(page, BLOCKED.arrivals_s[60])
    page.mouse.move(x, y)
    page.mouse.wheel(0, -900)
    zoomed_to(page, BLOCKED.arrivals_s[60])
    first, _ = in_sight(page)
    page.mouse.down()
    page.mouse.move(x - 100, y, steps=5)
    page.mouse.up()
    page.wait_for_function(
        "first => Number(document.querySelector('.timeline').dataset.from) > first + 0.001", arg=first
    )


def test_keys_zoom_move_and_go_from_stall_to_stall(page: Page) -> None:
    whole = in_sight(page)
    page.keyboard.press("n")
    zoomed_to(page, BLOCKED.arrivals_s[20] + 0.2)
    page.keyboard.press("n")
    zoomed_to(page, BLOCKED.arrivals_s[60] + 0.2)
    expect(page.locator(".timeline [aria-live]")).to_contain_text("Stall of 415 ms")
    page.keyboard.press("0")
    page.wait_for_function(
        "first => Number(document.querySelector('.timeline').dataset.from) === first", arg=whole[0]
    )
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "first => Number(document.querySelector('.timeline').dataset.from) > first", arg=whole[0]
    )
    page.keyboard.press(".")
    expect(page.get_by_role("tooltip")).to_contain_text("Chunk 1 of 100")
    page.keyboard.press(".")
    expect(page.get_by_role("tooltip")).to_contain_text("Chunk 2 of 100, the first token")


def test_a_span_is_chosen_and_linked(page: Page, browser: Browser, server: Server) -> None:
    expect(page.locator(".inspector h2")).to_have_text("chat blocked")
    page.mouse.click(*point(page, 0.5, height=66))
    expect(page.locator(".inspector h2")).to_have_text("POST /chat")
    assert page.url.endswith(f"/{BLOCKED.trace_id}/{BLOCKED.parent_id}")
    again = browser.open(page.url)
    expect(again.locator(".inspector h2")).to_have_text("POST /chat")
    expect(verdict(again)).to_contain_text("chat.py:107")


def test_what_is_drawn_can_be_read_as_tables(page: Page) -> None:
    expect(page.locator(".stalls tbody tr")).to_have_count(2)
    expect(page.locator(".stalls")).to_contain_text("chat.py:107 in save_log")
    expect(page.locator(".blocks tbody tr")).to_have_count(1)
    expect(page.locator(".attributes")).to_contain_text("firsttoken.chunk.count")
    page.get_by_text("Every chunk as a table").click()
    chunks = page.locator("details[open] tbody tr")
    expect(chunks).to_have_count(100)
    expect(chunks.nth(1)).to_contain_text("first token")
    expect(chunks.nth(21)).to_contain_text("stall: event loop")
    expect(chunks.nth(10)).to_contain_text("word10")
    page.locator(".stalls button").nth(1).click()
    zoomed_to(page, BLOCKED.arrivals_s[60] + 0.2)


def test_the_trace_is_copied_and_saved(page: Page, browser: Browser, server: Server) -> None:
    browser.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    page.get_by_role("button", name="Copy JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied: dict[str, Any] = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["trace_id"] == BLOCKED.trace_id
    with page.expect_download() as saved:
        page.get_by_role("link", name="OTLP JSON").click()
    document = json.loads(saved.value.path().read_text("utf-8"))
    spans = [
        span for one in document["resourceSpans"] for scope in one["scopeSpans"] for span in scope["spans"]
    ]
    assert {span["spanId"] for span in spans} == {BLOCKED.span_id, BLOCKED.parent_id}
    expect(page.get_by_role("link", name="Open in Jaeger")).to_have_count(0)


def test_jaeger_is_linked_if_there_is_one(browser: Browser, serve: Callable[..., Server]) -> None:
    server = serve(0, "--jaeger", "http://127.0.0.1:16686/trace")
    server.send(BLOCKED)
    page = browser.open(trace_of(server, BLOCKED))
    link = page.get_by_role("link", name="Open in Jaeger")
    expect(link).to_have_attribute("href", f"http://127.0.0.1:16686/trace/{BLOCKED.trace_id}")
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_spans_that_come_later_are_added(browser: Browser, server: Server) -> None:
    late = Stream(model="late")
    browser.forgiven = ("404",)
    page = browser.open(trace_of(server, late))
    expect(page.locator(".empty").filter(has_text="Not here yet")).to_be_visible()
    server.send(late)
    expect(page.locator(".heading")).to_contain_text("2 spans")


def test_two_streams_are_compared_side_by_side(browser: Browser, server: Server) -> None:
    calm = Stream(model="calm", ago_s=20)
    server.send(BLOCKED, calm)
    page = browser.open(server.url)
    expect(page.locator(".total")).to_have_text("2 streams")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_role("button", name="Compare the two").click()
    expect(page.locator(".compare .first").nth(0)).to_contain_text("chat.py:107")
    expect(page.locator(".compare .first").nth(1)).to_contain_text("Nothing held this stream up")
    expect(page.locator(".figures-table")).to_contain_text("Longest gap417 ms20 ms▼ −95 %")
    assert f"#/compare/{BLOCKED.trace_id}/{BLOCKED.span_id}/{calm.trace_id}/{calm.span_id}" in page.url
    page.keyboard.press("Escape")
    expect(page.locator(".total")).to_have_text("2 streams")
