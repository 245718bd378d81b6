"""Distributions: a figure for each group, percentiles, two windows of time against each other."""

from __future__ import annotations

import pytest

from tests.viewer.page.conftest import PATIENCE_MS, Browser, Server
from tests.viewer.page.spans import Stream

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)


def test_groups_have_four_histograms_with_their_percentiles(browser: Browser, server: Server) -> None:
    server.send(*(Stream(model="even", first_token_s=0.3, ago_s=10 + index) for index in range(20)))
    server.send(
        *(
            Stream(model="uneven", first_token_s=0.2 + index / 10, route="/search", ago_s=10 + index)
            for index in range(10)
        )
    )
    page = browser.open(f"{server.url}/#/distributions")
    groups = page.locator(".group")
    expect(groups).to_have_count(2)
    expect(groups.nth(0)).to_contain_text("even20 streams")
    expect(groups.nth(0).locator("figure")).to_have_count(4)
    first = groups.nth(0).get_by_role("img").first
    expect(first).to_have_attribute(
        "aria-label",
        "Time to first token. everything, 20 values: p50 300 ms, p90 300 ms, p95 300 ms, p99 300 ms",
    )
    assert groups.nth(1).locator("figure").first.locator(".bar-a").count() > 2
    page.get_by_label("Group").select_option("route")
    expect(groups.nth(0)).to_contain_text("/chat")
    assert "by=route" in page.url
    page.get_by_label("Group").select_option("all")
    expect(groups).to_have_count(1)
    expect(groups).to_contain_text("30 streams")


def test_each_percentile_has_a_dash_of_its_own_and_the_key_has_the_same(
    browser: Browser, server: Server
) -> None:
    server.send(*(Stream(first_token_s=0.2 + index / 10, ago_s=10 + index) for index in range(10)))
    page = browser.open(f"{server.url}/#/distributions")
    figure = page.locator("figure").first
    expect(figure.locator(".marker")).to_have_count(4)
    dashes = figure.locator(".marker").evaluate_all(
        "lines => lines.map((line) => getComputedStyle(line).strokeDasharray)"
    )
    key = page.locator(".key span").evaluate_all(
        "names => names.map((name) => getComputedStyle(name, '::before').backgroundImage)"
    )
    assert len(set(dashes)) == len(set(key)) == 4


def test_it_grows_by_itself(browser: Browser, server: Server) -> None:
    page = browser.open(f"{server.url}/#/distributions")
    expect(page.locator(".groups")).to_contain_text("No stream in sight")
    server.send(Stream(model="new"))
    expect(page.locator(".group")).to_contain_text("1 stream")


def test_two_windows_of_time_are_set_against_each_other(browser: Browser, server: Server) -> None:
    server.send(*(Stream(model="m", first_token_s=0.9, ago_s=60 + index) for index in range(8)))
    server.send(*(Stream(model="m", first_token_s=0.3, ago_s=400 + index) for index in range(6)))
    page = browser.open(f"{server.url}/#/distributions")
    page.get_by_label("Windows of time").select_option("300")
    group = page.locator(".group")
    expect(group).to_contain_text("8 streams vs 6 streams")
    changes = group.locator("figure").first.locator("tbody tr").nth(2)
    expect(changes.locator("td").first).to_have_text("▲ +200 %")
    expect(changes.locator("td").first).to_have_class("worse")
    assert group.locator(".line-b").count() == 4
    again = browser.open(page.url)
    expect(again.locator(".group")).to_contain_text("8 streams vs 6 streams")


def test_windows_of_ones_own_choice(browser: Browser, server: Server) -> None:
    server.send(Stream(model="m", ago_s=60))
    page = browser.open(f"{server.url}/#/distributions")
    page.get_by_label("Windows of time").select_option("own")
    page.get_by_label("Window A, from").fill("2020-01-01T00:00:00")
    page.get_by_label("Window B, until").fill("2020-01-01T00:00:00")
    expect(page.locator(".group")).to_contain_text("1 stream vs 0 streams")
    page.get_by_label("Window A, until").fill("2020-01-02T00:00:00")
    expect(page.locator(".groups")).to_contain_text("No stream in sight")
