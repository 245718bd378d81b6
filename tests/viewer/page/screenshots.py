"""Make the README's screenshots from real runs of `firsttoken demo`.

By hand: `python -m tests.viewer.page.screenshots`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.viewer.page.conftest import CHROMIUM, FLAGS, PATIENCE_MS, Server

FOLDER = Path(__file__).parents[3] / "examples" / "screenshots"
LARGEST_BYTES = 300_000
SIZE = ViewportSize(width=1200, height=660)


def main() -> None:
    server = Server()
    try:
        environ = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
        for seed in "123":
            demo = [sys.executable, "-m", "firsttoken", "demo", "--seed", seed]
            subprocess.run(demo, env=environ, check=True, stdout=subprocess.DEVNULL)
        with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
            context = playwright.chromium.launch_persistent_context(
                profile,
                executable_path=CHROMIUM,
                args=FLAGS,
                headless=True,
                viewport=SIZE,
                device_scale_factor=1.5,
            )
            take(context, server.url)
            context.close()
    finally:
        server.stop()


def take(context: BrowserContext, url: str) -> None:
    """Take all screenshots."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    expect(page.locator(".total")).to_have_text("15 streams")
    save(page, "list.png")
    page.emulate_media(color_scheme="dark")
    save(page, "list-dark.png")
    page.locator(".row", has_text="/chat/logged").first.click()
    page.wait_for_function("() => document.querySelector('.timeline')?.dataset.to")
    expect(page.locator(".others")).to_contain_text("other streams")
    save(page, "trace-dark.png")
    page.emulate_media(color_scheme="light")
    save(page, "trace.png")
    page.goto(f"{url}/#/distributions?by=route")
    expect(page.locator(".group").first).to_be_visible()
    save(page, "distributions.png")


def save(page: Page, name: str) -> None:
    """Save what is in sight, once two more frames were drawn."""
    page.mouse.move(0, 0)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    image = page.screenshot(path=FOLDER / name)
    assert len(image) < LARGEST_BYTES, f"{name} has {len(image)} bytes"


if __name__ == "__main__":
    main()
