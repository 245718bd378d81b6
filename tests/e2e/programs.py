"""Programs that tell to a server, each a process of its own, as a user starts it."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.runs import ENVIRON
from tests.e2e.servers import PATIENCE_S, ROOT


def output_of(program: str, *arguments: object, complains: bool = False, **environ: str) -> str:
    """Run Python code, let it end well, and return what it printed.

    complains: whether its telemetry says on stderr that it lost something, or may.
    """
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT / "examples",
        env={**ENVIRON, **environ},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert bool(done.stderr) == complains, done.stderr
    return done.stdout
