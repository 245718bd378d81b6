"""A child of the demo, which lives as long as its stdin is open and never longer than its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final

_LAST_WORDS_BYTES: Final = 2000


class Child:
    """A running `python -m`.

    module: and its arguments.
    errors: where its stderr goes.
    """

    def __init__(self, module: Sequence[str], errors: IO[bytes]) -> None:
        # A session of its own: Ctrl-C is the parent's to handle, and the child ends with its stdin.
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = process.stdout

    def wait(self) -> None:
        """Return when it ends."""
        self._process.wait()

    def end(self, timeout_s: float) -> None:
        """Ask it to end, and kill it if it does not in time."""
        with suppress(OSError):
            self.stdin.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def errors_file() -> IO[bytes]:
    """Return a file for a child's stderr, gone when it is closed."""
    return tempfile.TemporaryFile()


def last_words(errors: IO[bytes]) -> str:
    """Return the end of what a child wrote to its stderr."""
    errors.seek(0)
    return errors.read()[-_LAST_WORDS_BYTES:].decode(errors="replace").strip() or "it said nothing"
