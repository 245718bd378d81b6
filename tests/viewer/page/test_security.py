"""Whatever a span says is text: no markup, no script, no request comes of it."""

from __future__ import annotations

import pytest

from tests.viewer.page.conftest import PATIENCE_MS, Browser, Server
from tests.viewer.page.spans import Stall, Stream

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Page, expect

expect.set_options(timeout=PATIENCE_MS)

EVIL = [
    "<img src=x onerror=alert(1)>",
    "<script>window.hacked=1</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "'-alert(1)-'",
    "</script><script>window.hacked=1</script>",
    "{{7*7}}${alert(1)}",
    "constructor",
    "__proto__",
    '<a href="javascript:alert(1)">x</a>',
    "\u202e\u0000<iframe src=https://attacker.example/>",
]
PLACES = [
    "#/?q=<img src=x onerror=alert(1)>&model=<b>x",
    "#/trace/<script>alert(1)</script>/x",
    "#/nowhere/<img src=x onerror=alert(1)>",
    "#/%E0%A4%A",
    "#/?sort=%00",
    "#/compare/<b>",
    "#/distributions?by=<b>&window=<b>",
    "#/distributions?window=own&a_since=<b>&b_until=1e99",
    "#/?outcome=<b>&cause=__proto__",
    "#/constructor",
    "#/?constructor=1&__proto__=2",
]
#: Elements that the page has none of; its own scripts have addresses.
FOREIGN = """() => [...document.querySelectorAll("img, iframe, object, embed, base, [onerror], [onload]")]
    .concat([...document.querySelectorAll("script:not([src])")])
    .map((element) => element.outerHTML)"""


def hostile(evil: str) -> Stream:
    """Return a stream every text of which is hostile."""
    return Stream(
        model=evil,
        provider=evil,
        service=evil,
        route=f"/{evil}",
        name=evil,
        outcome="failed",
        error_type=evil,
        chunks=12,
        stalls=[
            Stall(4, 0.5, "event_loop", file=f"/srv/{evil}.py", line=1, function=evil, kind=evil),
            Stall(6, 0.4, evil),
            Stall(8, 0.3, "stage"),
        ],
        texts=[evil] * 12,
        attributes={evil: evil, "gen_ai.response.finish_reasons": [evil], "code.stacktrace": evil},
        events=[(0.5, evil, {evil: evil, "list": [evil, evil]})],
    )


def is_unharmed(page: Page) -> None:
    """The page has no element but its own, and nothing of the hostile text ran."""
    foreign = page.evaluate(FOREIGN)
    assert foreign == []
    assert page.evaluate("window.hacked") is None
    links = page.evaluate(
        "[...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'))"
    )
    assert all(link.startswith(("#/", "/api/", "http://127.0.0.1")) for link in links), links


@pytest.mark.parametrize("evil", EVIL)
def test_hostile_text_is_shown_as_text_everywhere(browser: Browser, shared: Server, evil: str) -> None:
    stream = hostile(evil)
    shared.send(stream)
    page = browser.open(f"{shared.url}/#/?q={stream.trace_id}")
    visible = evil.replace("\u0000", "").replace("\u202e", "")[:12]
    expect(page.locator(".spacer .row")).to_have_count(1)
    expect(page.locator(".spacer .row")).to_contain_text(visible)
    is_unharmed(page)

    page.goto(f"{shared.url}/#/trace/{stream.trace_id}")
    expect(page.locator(".inspector")).to_contain_text("firsttoken.outcome")
    page.locator(".inspector summary").last.click()
    page.locator(".timeline").scroll_into_view_if_needed()
    box = page.locator(".timeline").bounding_box()
    assert box is not None
    for part in (0.1, 0.4, 0.6, 0.8):
        page.mouse.move(box["x"] + 240 + part * (box["width"] - 260), box["y"] + 128)
        expect(page.get_by_role("tooltip")).to_be_visible()
    is_unharmed(page)

    for place in ("#/distributions?by=model", "#/distributions?by=route", "#/distributions?by=service"):
        page.goto(f"{shared.url}/{place}")
        expect(page.locator(".group").first).to_be_visible()
        is_unharmed(page)

    page.goto(
        f"{shared.url}/#/compare/{stream.trace_id}/{stream.span_id}/{stream.trace_id}/{stream.span_id}"
    )
    expect(page.locator(".figures-table")).to_be_visible()
    is_unharmed(page)


@pytest.mark.parametrize("place", PLACES)
def test_hostile_addresses_do_no_harm(browser: Browser, shared: Server, place: str) -> None:
    browser.forgiven = ("400", "404", "422")
    shared.send(Stream(model="harmless"))
    page = browser.open(f"{shared.url}/{place}")
    expect(page.locator("main .view")).to_be_visible()
    is_unharmed(page)
    page.goto(f"{shared.url}/#/")
    expect(page.locator(".spacer .row", has_text="harmless").first).to_be_visible()


def test_the_policy_forbids_what_the_page_does_not_need(browser: Browser, shared: Server) -> None:
    page = browser.open("about:blank")
    answer = page.goto(shared.url)
    assert answer is not None
    policy = answer.header_value("content-security-policy") or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";") if rule.strip())
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["style-src"] == "'self'"
    assert "unsafe" not in policy
    browser.forgiven = ("Content Security Policy", "content security policy")
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.hacked = 1";
        document.body.append(script);
    }""")
    assert page.evaluate("window.hacked") is None
    refused = page.evaluate("fetch('https://attacker.example/').then(() => 'sent', () => 'refused')")
    assert refused == "refused"
