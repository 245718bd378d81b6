"""The viewer on uvicorn. Floor 5 (viewer); runs the event loop on the thread that calls `serve`."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from firsttoken.errors import FirstTokenError
from firsttoken.viewer._app import Viewer
from firsttoken.viewer._protocol import Protocol

#: Connections beyond this are answered 503.
_CONNECTIONS_MAX: Final = 512
_SWITCH_INTERVAL_S: Final = 0.001
_KEEP_ALIVE_S: Final = 75


class AddressError(FirstTokenError):
    """The address cannot be listened on; the message says why and what to do."""


def is_loopback(host: str) -> bool:
    """Return whether a server bound to `host` can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    port: 0 for any that is free.

    Raises: AddressError: if the port is taken, or the address is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressError(
                f"port {port} is taken: choose another with --port (0 for any that is free), and send "
                "traces there with OTEL_EXPORTER_OTLP_ENDPOINT"
            ) from error
        raise AddressError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from error


def url_of(listener: socket.socket) -> str:
    """Return the URL of a server that listens there."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server:
    """Serves a viewer until told to stop."""

    def __init__(self, viewer: Viewer, listener: socket.socket) -> None:
        config = uvicorn.Config(
            viewer.app,
            # On h11, which bounds what headers may take.
            http=Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS_MAX,
            # SDKs export every 5 s: a connection that ends after 5 s, as by default, ends in their hands.
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=2,
        )
        self._listener = listener
        self._server = _Uvicorn(config, viewer.changes.close)

    def run(self) -> None:
        """Serve on this thread, until `stop` or, on the main thread, a signal."""
        # Reading bodies shares the interpreter with answering requests.
        before_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        try:
            with _ending_in_order():
                self._server.run(sockets=[self._listener])
        finally:
            sys.setswitchinterval(before_s)

    @property
    def is_serving(self) -> bool:
        """Whether requests are answered."""
        return self._server.started

    def stop(self) -> None:
        """Ask it to end; from any thread."""
        self._server.should_exit = True


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the server and no more: uvicorn raises them again when it is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda *_: None) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Uvicorn(uvicorn.Server):
    """Lets go of those who watch for changes before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, let_go: Callable[[], None]) -> None:
        super().__init__(config)
        self._let_go = let_go

    async def shutdown(self, sockets: Any = None) -> None:
        self._let_go()
        await super().shutdown(sockets)
