"""The upstream's process, seen from its parent. A reader thread takes its reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import IO, Any, Final

from firsttoken.cli._plan import Plan
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
        self._errors: IO[bytes] = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C is the parent's to handle, and the child's stdin ends with it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "firsttoken.cli._upstream"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        assert self._process.stdin is not None
        with suppress(OSError):  # it ended already: `url` will tell why
            self._process.stdin.write(json.dumps(asdict(self._plan)).encode() + b"\n")
            self._process.stdin.flush()
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
            raise UpstreamError(f"the demo's upstream did not start: {self._last_words()}")
        return f"http://127.0.0.1:{self._port}/v1/chat/completions"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_STOP_TIMEOUT_S)
        self._errors.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                report = json.loads(line)
                if "port" in report:
                    self._port = report["port"]
                    self._told_port.set()
                else:
                    self.reports[report["stream"]] = report
        self._told_port.set()

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace").strip() or "it said nothing"
