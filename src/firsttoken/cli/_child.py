"""The upstream's process, seen from its parent. A reader thread takes its reports."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final

from firsttoken.cli._plan import Plan
from firsttoken.cli._process import Child, errors_file, last_words
from firsttoken.errors import FirstTokenError

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 3.0


class UpstreamError(FirstTokenError):
    """The upstream process did not start; the message has the end of what it wrote."""


class UpstreamProcess:
    """Starts the upstream when entered, ends it when left. `reports` fills while it runs."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._port: int | None = None
        self._told_port = threading.Event()
        self.reports: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> UpstreamProcess:
        self._errors = errors_file()
        self._child = Child(["firsttoken.cli._upstream"], self._errors)
        with suppress(OSError):  # it ended already: `url` will tell why
            self._child.stdin.write(json.dumps(asdict(self._plan)).encode() + b"\n")
            self._child.stdin.flush()
        self._reader = threading.Thread(target=self._read, name="demo-upstream-reports", daemon=True)
        self._reader.start()
        return self

    @property
    def url(self) -> str:
        """Where the upstream listens; waits until it does.

        Raises: UpstreamError: if it ends before, or takes too long.
        """
        self._told_port.wait(_START_TIMEOUT_S)
        if self._port is None:
            raise UpstreamError(f"the demo's upstream did not start: {last_words(self._errors)}")
        return f"http://127.0.0.1:{self._port}/v1/chat/completions"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.end(_STOP_TIMEOUT_S)
        self._reader.join(_STOP_TIMEOUT_S)
        self._errors.close()

    def _read(self) -> None:
        with self._child.stdout as lines:
            for line in lines:
                report = json.loads(line)
                if "port" in report:
                    self._port = report["port"]
                    self._told_port.set()
                else:
                    self.reports[report["stream"]] = report
        self._told_port.set()
