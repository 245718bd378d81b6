"""`firsttoken view`: the viewer, in the foreground until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from firsttoken.cli._extras import VIEWER_PACKAGES, require
from firsttoken.errors import ConfigError

if TYPE_CHECKING:
    from firsttoken.viewer._app import Viewer
    from firsttoken.viewer._server import Server

DEFAULT_PORT: Final = 4318
IN_MEMORY: Final = ":memory:"
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_MIN_TOKEN: Final = 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="the port; 0 for any free one (default 4318)"
    )
    parser.add_argument(
        "--db",
        metavar="PATH",
        help="the file to keep traces in (default: one of the user's; :memory: for until it ends)",
    )
    parser.add_argument(
        "--max-bytes",
        metavar="SIZE",
        default="512M",
        help="of that file, such as 200M or 2G; above it the oldest traces go (default 512M)",
    )
    parser.add_argument(
        "--token", help="what every request needs; made and printed if --host is not loopback"
    )
    parser.add_argument(
        "--live",
        metavar="URL",
        action="append",
        default=[],
        help="the debug path of a local app, for streams that still run; may be given several times",
    )
    parser.add_argument(
        "--live-anywhere", action="store_true", help="allow --live to ask other machines than this one"
    )
    parser.add_argument(
        "--jaeger",
        metavar="URL",
        help="of a Jaeger UI's traces, such as http://127.0.0.1:16686/trace: each trace links there",
    )
    parser.add_argument("--tui", action="store_true", help="show the newest streams in this terminal")
    parser.add_argument("--until-stdin-ends", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return 0.

    Raises: ConfigError: if an option is not allowed, or a package is missing.
    """
    require("viewer", VIEWER_PACKAGES)
    max_bytes = size_of(options.max_bytes)
    live = live_urls(options.live, anywhere=options.live_anywhere)
    jaeger = jaeger_url(options.jaeger)
    if not 0 <= options.port <= 65535:
        raise ConfigError(f"--port is between 0 and 65535, not {options.port}")
    if options.token is not None and (
        len(options.token) < _MIN_TOKEN or not re.fullmatch(r"[\w.~-]+", options.token, re.ASCII)
    ):
        raise ConfigError(f"--token has at least {_MIN_TOKEN} letters, digits or any of . _ ~ -")

    if options.tui and not sys.stdout.isatty():
        raise ConfigError("--tui draws on a terminal, and the output is none")

    # Only now: these load a web framework, protobuf and SQLite.
    from firsttoken.viewer._app import Access, Viewer
    from firsttoken.viewer._server import Server, is_loopback, listen, url_of
    from firsttoken.viewer._store import Store

    local = is_loopback(options.host)
    token = options.token or (None if local else secrets.token_urlsafe(24))
    with ExitStack() as stack:
        listener = stack.enter_context(listen(options.host, options.port))
        path = stack.enter_context(store_path(options.db, os.environ))
        store = Store(path, max_bytes)
        stack.callback(store.close)
        viewer = Viewer(
            store,
            access=Access(token, any_host=not local),
            live=live,
            jaeger=jaeger,
            is_watched=options.tui,
        )
        url = url_of(listener)
        page = f"{url}/?token={token}" if token else f"{url}/"
        server = Server(viewer, listener)
        if options.open:
            webbrowser.open(page)
        if options.until_stdin_ends:
            threading.Thread(target=_stop_after_stdin, args=(server,), daemon=True).start()
        if options.tui:
            _run_tui(viewer, server, f"firsttoken view: {page}  OTLP: {url}/v1/traces")
            return 0
        print(f"firsttoken view: {page}")
        print(f"OTLP goes to {url}/v1/traces; kept in {_shown(path, options.db)}.")
        if token:
            print(f'Senders need OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer {token}".')
        sys.stdout.flush()
        server.run()
    return 0


def _run_tui(viewer: Viewer, server: Server, where: str) -> None:
    from firsttoken.cli._tui import run_tui

    # Ctrl-C is how it is meant to end.
    with suppress(KeyboardInterrupt):
        run_tui(viewer, server, where)


@contextmanager
def store_path(given: str | None, environ: Mapping[str, str]) -> Iterator[Path]:
    """Give the path of the store's file, for as long as the block runs where it is to be forgotten."""
    if given == IN_MEMORY:
        # A file all the same: readers and the writer need the same one.
        with tempfile.TemporaryDirectory(prefix="firsttoken-", ignore_cleanup_errors=True) as directory:
            yield Path(directory) / "traces.db"
    elif given is not None:
        yield Path(given).expanduser().absolute()
    else:
        yield state_directory(environ) / "traces.db"


def state_directory(environ: Mapping[str, str]) -> Path:
    """Return where a user's programs keep what they want to find again.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "firsttoken"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "firsttoken"
    named = environ.get("XDG_STATE_HOME", "")
    # A relative path there is to be ignored, says the specification.
    return (Path(named) if named.startswith("/") else Path.home() / ".local" / "state") / "firsttoken"


def size_of(text: str) -> int:
    """Return a size in bytes.

    Raises: ConfigError: if it is no number with an optional K, M or G, or too small to be of use.
    """
    from firsttoken.viewer._store import MIN_MAX_BYTES

    found = re.fullmatch(r"(\d{1,15})([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None or int(found[1]) * _UNITS[found[2].upper()] < MIN_MAX_BYTES:
        raise ConfigError(f"--max-bytes is a size of at least 1M, such as 200M or 2G, not {text!r}")
    return int(found[1]) * _UNITS[found[2].upper()]


def live_urls(urls: list[str], *, anywhere: bool) -> tuple[str, ...]:
    """Return the debug paths to ask.

    Raises: ConfigError: if one is no http URL, or on another machine although that was not allowed.
    """
    from firsttoken.viewer._server import is_loopback

    for url in urls:
        host = _host_of(url)
        if host is None:
            raise ConfigError(f"--live is an http URL, not {url!r}")
        if not anywhere and not is_loopback(host):
            raise ConfigError(f"--live asks this machine only, not {host}, unless --live-anywhere is given")
    return tuple(urls)


def jaeger_url(url: str | None) -> str | None:
    """Return the URL under which a Jaeger shows traces.

    Raises: ConfigError: if it is no http URL.
    """
    if url is not None and _host_of(url) is None:
        raise ConfigError(f"--jaeger is an http URL, not {url!r}")
    return url


def _stop_after_stdin(server: Server) -> None:
    """Stop the server when whoever started us is gone."""
    while sys.stdin.buffer.read(1 << 16):
        pass
    server.stop()


def _host_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        return None


def _shown(path: Path, given: str | None) -> str:
    return "memory only" if given == IN_MEMORY else str(path)
