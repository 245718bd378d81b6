"""The page in a real headless Chromium, with the real server behind it. Skips where either is absent.

Every test fails on a console error, an uncaught exception, a dialog, or a request to another host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.viewer.page.spans import Stream, send

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Dialog, Page, Playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
#: The box may be busy: a condition is waited for this long.
PATIENCE_MS = 30_000
GREETING = "firsttoken view: "


class Server:
    """`firsttoken view` as a process of its own."""

    def __init__(self, port: int = 0, *arguments: str) -> None:
        command = [sys.executable, "-m", "firsttoken", "view", "--db", ":memory:", "--port", str(port)]
        environ = {
            key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "FIRSTTOKEN_"))
        }
        self.process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, env=environ)
        assert self.process.stdout is not None
        said = self.process.stdout.readline().decode()
        assert said.startswith(GREETING), said
        self.url = said.removeprefix(GREETING).partition("/?token=")[0].strip().rstrip("/")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def send(self, *streams: Stream) -> None:
        send(self.url, *streams)

    def stop(self) -> None:
        # Asked, not killed: what it kept for this run alone goes with it.
        self.process.terminate()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Browser:
    """One Chromium with an empty profile; and what its pages did that no page may do."""

    context: BrowserContext
    sins: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    #: Lines of the console that a test provokes.
    forgiven: tuple[str, ...] = ()

    def open(self, url: str, **media: Any) -> Page:
        """Open a page of its own; it is watched."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on(
            "console",
            lambda message: self._heard(message.type, f"{message.text} {message.location['url']}"),
        )
        page.on("pageerror", lambda error: self.sins.append(f"uncaught: {error}"))
        page.on("dialog", self._asked_the_user)
        page.on("request", lambda request: self._asked(request.url))
        if media:
            page.emulate_media(**media)
        page.goto(url)
        return page

    def _heard(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not any(line in text for line in self.forgiven):
            self.sins.append(f"console {kind}: {text}")

    def _asked_the_user(self, dialog: Dialog) -> None:
        self.sins.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _asked(self, url: str) -> None:
        self.hosts.add(url.split("/")[2] if url.startswith("http") else url.split(":")[0])


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Run Playwright while the tests of this package run: it keeps an event loop on this thread."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    with api.sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def context(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium, or set CHROMIUM to its path")
    context = playwright.chromium.launch_persistent_context(
        tmp_path_factory.mktemp("chromium"),
        executable_path=CHROMIUM,
        args=FLAGS,
        headless=True,
        viewport={"width": 1280, "height": 800},
        accept_downloads=True,
        timeout=60_000,
    )
    yield context
    context.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server: of a port, and of arguments for `firsttoken view`."""
    servers: list[Server] = []

    def start(port: int = 0, *arguments: str) -> Server:
        servers.append(Server(port, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def browser(context: BrowserContext, serve: Callable[..., Server]) -> Iterator[Browser]:
    """Return a browser; its pages are closed before the servers, and the test fails for what they did."""
    browser = Browser(context)
    yield browser
    for page in context.pages[1:]:
        page.close()
    assert browser.sins == []
    assert {host.partition(":")[0] for host in browser.hosts} <= {"127.0.0.1", "data", "blob", "file"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """Return a server for tests that look only at what they sent themselves."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve()


@pytest.fixture(scope="session")
def page_files() -> Path:
    import firsttoken.viewer

    return Path(firsttoken.viewer.__file__).parent / "page"
