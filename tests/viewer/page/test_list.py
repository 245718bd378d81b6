"""The list of streams: what a row says, live arrival, filters, sorting, keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.viewer.page.conftest import PATIENCE_MS, Browser, Server
from tests.viewer.page.spans import Stall, Stream

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Locator, Page, expect

expect.set_options(timeout=PATIENCE_MS)

BLOCKED = Stream(model="blocked", stalls=[Stall(20, 0.417)], ago_s=20)
SLOW = Stream(model="slow-start", first_token_s=4.2, route="/search", ago_s=30)
FAILED = Stream(model="broken", outcome="failed", error_type="httpx.ReadError", ago_s=40)
HELD = Stream(model="held", stalls=[Stall(10, 1.6, "consumer")], ago_s=50, service="other")


def rows(page: Page) -> Locator:
    return page.locator(".spacer .row")


def models(page: Page) -> list[str]:
    """Return the models in sight from top to bottom."""
    script = """() => [...document.querySelectorAll(".spacer .row")]
        .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
        .map((row) => row.querySelector(".model a").textContent)"""
    found: list[str] = page.evaluate(script)
    return found


def shows(page: Page, *wanted: str) -> None:
    """Wait until exactly these models are listed, in this order."""
    script = """(wanted) => JSON.stringify([...document.querySelectorAll(".spacer .row")]
        .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
        .map((row) => row.querySelector(".model a").textContent)) === wanted"""
    page.wait_for_function(script, arg=json.dumps(wanted, separators=(",", ":")))


@pytest.fixture
def page(browser: Browser, server: Server) -> Page:
    server.send(BLOCKED, SLOW, FAILED, HELD)
    page = browser.open(server.url)
    shows(page, "blocked", "slow-start", "broken", "held")
    return page


def test_a_row_says_how_a_stream_went_and_which_line_stalled_it(page: Page) -> None:
    row = rows(page).filter(has_text="blocked")
    for text in ("completed", "/chat", "400 ms", "417 ms", "chat.py:107 save_log"):
        expect(row).to_contain_text(text)
    expect(rows(page).filter(has_text="broken")).to_contain_text("httpx.ReadError")
    expect(rows(page).filter(has_text="held")).to_contain_text("consumer")
    expect(page.locator(".total")).to_have_text("4 streams")


def test_a_row_has_a_sign_for_each_further_cause(browser: Browser, server: Server) -> None:
    server.send(Stream(model="both", stalls=[Stall(10, 0.4), Stall(20, 1.6, "consumer"), Stall(30, 0.4)]))
    row = rows(browser.open(server.url))
    expect(row).to_contain_text("3■chat.py:107 save_log●consumer")
    said = "event loop, chat.py:107 save_log: twice, 800 ms; consumer: once, 1.6 s"
    expect(row.locator(".cause").first).to_have_attribute("title", said)
    expect(row.locator(".cause.other")).to_have_attribute("title", said)


def test_without_a_stall_the_line_that_blocked_for_a_good_part_is_named_and_found(
    browser: Browser, server: Server
) -> None:
    def nibbled(
        model: str, share: float, culprit: str = "/srv/app/rag.py:88 Index.<locals>.rank"
    ) -> Stream:
        said = {"firsttoken.loop_block.culprit": culprit, "firsttoken.loop_block.share": share}
        return Stream(model=model, attributes=said, ago_s=10 + 50 * share)

    server.send(nibbled("much", 0.124), nibbled("hardly", 0.01), nibbled("odd", 0.5, "no place"), HELD)
    page = browser.open(server.url)
    row = rows(page).filter(has_text="much")
    expect(row.locator(".stalls")).to_have_text("0■rag.py:88 Index.<locals>.rank12 %")
    expect(rows(page).filter(has_text="hardly").locator(".stalls")).to_be_empty()
    expect(rows(page).filter(has_text="odd").locator(".stalls")).to_have_text("0■no place50 %")
    page.get_by_label("Search streams").fill("rag.py:88")
    shows(page, "hardly", "much")


def test_a_stream_arrives_by_itself(page: Page, server: Server) -> None:
    server.send(Stream(model="newest", ago_s=2))
    shows(page, "newest", "blocked", "slow-start", "broken", "held")


def test_what_is_read_stays_where_it_is(browser: Browser, server: Server) -> None:
    server.send(*(Stream(model=f"m{index:03}", ago_s=100 + index) for index in range(120)))
    page = browser.open(server.url)
    expect(page.locator(".total")).to_have_text("120 streams")
    page.locator(".scroller").evaluate("element => { element.scrollTop = 1000 }")
    read = rows(page).filter(has_text="m040")
    expect(read).to_be_visible()
    before = read.bounding_box()
    server.send(*(Stream(model=f"new{index}", ago_s=5 + index) for index in range(3)))
    expect(page.locator(".fresh")).to_have_text("↑ 3 new")
    assert read.bounding_box() == before
    page.locator(".fresh").click()
    expect(rows(page).filter(has_text="new0")).to_be_visible()


def test_the_row_that_the_keys_are_on_stays_where_it_is(page: Page, server: Server) -> None:
    page.keyboard.press("j")
    page.keyboard.press("j")
    chosen = page.locator(".row[aria-selected=true]")
    expect(chosen).to_contain_text("slow-start")
    before = chosen.bounding_box()
    server.send(Stream(model="newest", ago_s=2))
    expect(page.locator(".fresh")).to_have_text("↑ 1 new")
    expect(chosen).to_contain_text("slow-start")
    assert chosen.bounding_box() == before


@pytest.mark.parametrize(
    ("choose", "left", "query"),
    [
        (lambda page: page.locator(".chip", has_text="failed").click(), ["broken"], "outcome=failed"),
        (lambda page: page.locator(".chip", has_text="consumer").click(), ["held"], "cause=consumer"),
        (lambda page: page.get_by_label("Search streams").fill("save_log"), ["blocked"], "q=save_log"),
        (lambda page: page.get_by_label("Search streams").fill(SLOW.trace_id), ["slow-start"], "q="),
        (lambda page: page.get_by_label("First token slower").fill("2"), ["slow-start"], "min_ttft_s=2"),
        (lambda page: page.get_by_label("stalled").check(), ["blocked", "held"], "stalled=1"),
        (lambda page: page.get_by_label("Model", exact=True).select_option("held"), ["held"], "model=held"),
        (lambda page: page.get_by_label("Route").select_option("/search"), ["slow-start"], "route="),
        (lambda page: page.get_by_label("Service").select_option("other"), ["held"], "service=other"),
    ],
    ids=["outcome", "cause", "text", "id", "slow", "stalled", "model", "route", "service"],
)
def test_filters_narrow_the_list_and_are_deep_links(
    page: Page, browser: Browser, choose: Any, left: list[str], query: str
) -> None:
    choose(page)
    shows(page, *left)
    assert query in page.evaluate("location.hash")
    again = browser.open(page.url)
    shows(again, *left)
    page.get_by_role("button", name="Clear").click()
    shows(page, "blocked", "slow-start", "broken", "held")


def test_the_slowest_is_one_click_away(page: Page) -> None:
    page.get_by_role("button", name="Max gap").click()
    expect(page.locator("[aria-sort=descending]")).to_contain_text("Max gap")
    expect(page.locator('.spacer .row[aria-rowindex="2"]')).to_contain_text("held")
    assert models(page)[:2] == ["held", "blocked"]
    page.get_by_role("button", name="TTFT").click()
    expect(page.locator('.spacer .row[aria-rowindex="2"]')).to_contain_text("slow-start")


def test_keys_find_open_and_come_back(page: Page) -> None:
    page.keyboard.press("/")
    expect(page.get_by_label("Search streams")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator(".row[aria-selected=true]")).to_contain_text("blocked")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict .first")).to_contain_text("chat.py:107")
    expect(page.get_by_role("heading", name="blocked", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".row[aria-selected=true]")).to_contain_text("blocked")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_long_lists_are_read_page_by_page_and_few_rows_exist(browser: Browser, server: Server) -> None:
    for start in range(0, 1300, 650):
        server.send(
            *(
                Stream(model=f"m{index:04}", chunks=5, ago_s=100 + index, route=None)
                for index in range(start, start + 650)
            )
        )
    page = browser.open(server.url)
    expect(page.locator(".total")).to_have_text("1,300 streams")
    page.wait_for_function("""() => {
        const scroller = document.querySelector(".scroller");
        scroller.scrollTop = scroller.scrollHeight;
        const links = [...document.querySelectorAll(".spacer .row .model a")];
        return links.some((link) => link.textContent === "m1299");
    }""")
    assert rows(page).count() < 80


def test_an_empty_list_says_how_to_send_something(browser: Browser, server: Server) -> None:
    page = browser.open(server.url)
    empty = page.locator(".empty-holder")
    expect(empty).to_contain_text(f"OTEL_EXPORTER_OTLP_ENDPOINT={server.url}")
    expect(empty).to_contain_text("firsttoken.trace_stream(")
    server.send(BLOCKED)
    shows(page, "blocked")
    expect(empty).to_have_text("")
    page.get_by_label("Search streams").fill("nothing has this")
    expect(empty).to_contain_text("No stream matches")
