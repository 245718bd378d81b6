"""The demo's viewer: a process of its own, so that it costs the measured app nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from firsttoken.cli._collector import DEFAULT_ENDPOINT, Collector, page_url, traces_path
from firsttoken.cli._process import Child, errors_file, last_words
from firsttoken.errors import FirstTokenError

_STOP_TIMEOUT_S: Final = 5.0
_GREETING: Final = "firsttoken view: "
_USUAL_PORT: Final = DEFAULT_ENDPOINT.rpartition(":")[2]


class ViewerError(FirstTokenError):
    """The viewer's process did not start; the message has the end of what it wrote."""


class ViewerProcess:
    """Starts `firsttoken view` when entered, and ends it when left; its traces are forgotten then.

    live: URLs of debug paths that it is to ask.

    It listens where senders send to by default, or, if that port is taken, on any.
    """

    def __init__(self, live: tuple[str, ...] = ()) -> None:
        self._live = live
        self.url = ""

    def __enter__(self) -> ViewerProcess:
        self._errors = errors_file()
        for port in (_USUAL_PORT, "0"):
            self._start(port)
            if self.url:
                return self
            self._end()
        said = last_words(self._errors)
        self._errors.close()
        raise ViewerError(f"the demo's viewer did not start: {said}; --no-viewer does without")

    @property
    def collector(self) -> Collector:
        """The viewer as a place to send traces to."""
        return Collector(self.url, traces_path(self.url), page_url(self.url))

    def wait(self) -> None:
        """Return when it ends; by itself it does not."""
        self._child.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._errors.close()

    def _start(self, port: str) -> None:
        command = ["firsttoken", "view", "--db", ":memory:", "--port", port]
        for url in self._live:
            command += ["--live", url]
        self._child = Child([*command, "--until-stdin-ends"], self._errors)
        # It says so once it listens, or ends.
        first = self._child.stdout.readline().decode(errors="replace").strip()
        self.url = first.removeprefix(_GREETING).rstrip("/") if first.startswith(_GREETING) else ""

    def _end(self) -> None:
        # First: it must not wait for somebody to read what it says at its end.
        self._child.stdout.close()
        self._child.end(_STOP_TIMEOUT_S)
