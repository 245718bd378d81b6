"""Light and dark, wide and narrow; and what a screen reader finds."""

from __future__ import annotations

import pytest

from tests.viewer.page.conftest import PATIENCE_MS, Browser, Server
from tests.viewer.page.spans import Stall, Stream

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect

expect.set_options(timeout=PATIENCE_MS)

BLOCKED = Stream(
    model="a-model-with-a-rather-long-name-2026-11-20",
    stalls=[Stall(20, 0.417)],
    route="/v1/chat/{conversation_id}/messages",
)
LONG_ERROR = Stream(outcome="failed", error_type="a.very.long.module.path.with.AnErrorOfSomeKind")
OUTSIDE = """(width) => [...document.querySelectorAll("h1, h2, p, button, a, td, th, dd, input, figure")]
    .filter((one) => one.checkVisibility() && !one.closest(".chip-line, .offscreen, .inspector"))
    .filter((one) => one.getBoundingClientRect().right > width + 1)
    .map((one) => one.outerHTML.slice(0, 80))"""
NAMELESS = """() => [...document.querySelectorAll("button, a, input, select")]
    .filter((one) => one.checkVisibility() && !one.textContent.trim() && !one.getAttribute("aria-label"))
    .filter((one) => !one.labels?.[0]?.textContent.trim())
    .map((one) => one.outerHTML)"""


def background(page: Page) -> int:
    """Return how bright the page's ground is, 0 to 255."""
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return int(colour.removeprefix("rgb(").split(",")[0])


def pixel(page: Page) -> int:
    """Return how bright the timeline's canvas looks on the whole."""
    brightness: int = page.evaluate("""() => {
        const canvas = document.querySelector(".timeline canvas");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let [sum, count] = [0, 0];
        for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) { sum += data[at]; count += 1; }
        return Math.round(sum / count);
    }""")
    return brightness


def test_colours_follow_the_system_until_chosen_and_are_remembered(
    browser: Browser, shared: Server
) -> None:
    browser.forgiven = ("willReadFrequently",)
    shared.send(BLOCKED)
    page = browser.open(f"{shared.url}/#/trace/{BLOCKED.trace_id}", color_scheme="dark")
    page.wait_for_function("() => document.querySelector('.timeline')?.dataset.to")
    assert background(page) < 40
    dark = pixel(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
    assert background(page) > 220
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert pixel(page) > dark
    page.keyboard.press("t")
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert background(page) < 40
    page.reload()
    expect(page.get_by_role("button", name="Colours: dark")).to_be_visible()
    assert background(page) < 40
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Colours: as the system")).to_be_visible()


@pytest.mark.parametrize("width", [390, 760, 1280, 1920])
@pytest.mark.parametrize("place", ["#/", "trace", "#/distributions", "compare"])
def test_nothing_sticks_out_sideways(browser: Browser, shared: Server, width: int, place: str) -> None:
    shared.send(BLOCKED, LONG_ERROR)
    ids = f"{BLOCKED.trace_id}/{BLOCKED.span_id}"
    page = browser.open("about:blank")
    page.set_viewport_size({"width": width, "height": 800})
    places = {"trace": f"#/trace/{ids}", "compare": f"#/compare/{ids}/{ids}"}
    page.goto(f"{shared.url}/{places.get(place, place)}")
    shown = {"#/": ".spacer .row", "#/distributions": ".group", "compare": ".figures-table tr"}.get(
        place, ".verdict"
    )
    expect(page.locator(shown).first).to_be_visible()
    wide = page.evaluate("""() => [...document.querySelectorAll("html, .view, .scroller, .trace-body")]
        .map((element) => element.scrollWidth - element.clientWidth)""")
    assert max(wide) <= 0
    off = page.evaluate(OUTSIDE, width)
    assert off == []


def test_a_screen_reader_finds_names_and_states(browser: Browser, shared: Server) -> None:
    shared.send(BLOCKED, LONG_ERROR)
    page = browser.open(shared.url)
    grid = page.get_by_role("grid", name="Streams")
    expect(grid).to_have_attribute("aria-rowcount", "3")
    expect(grid.get_by_role("columnheader")).to_have_count(11)
    expect(page.get_by_role("searchbox", name="Search streams")).to_be_visible()
    page.keyboard.press("j")
    chosen = page.locator(".row[aria-selected=true]")
    expect(chosen).to_have_count(1)
    assert grid.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.goto(f"{shared.url}/#/trace/{BLOCKED.trace_id}")
    expect(page.get_by_role("region", name="Verdict")).to_contain_text("chat.py:107")
    expect(page.get_by_role("application")).to_be_visible()
    nameless = page.evaluate(NAMELESS)
    assert nameless == []
