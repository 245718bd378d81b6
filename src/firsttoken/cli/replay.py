"""`firsttoken replay`: send a spool by hand. Floor 6 (commands); runs on the main thread."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from firsttoken._clock import NS_PER_S, monotonic_ns
from firsttoken.errors import ConfigError
from firsttoken.export._cap import RequestCap
from firsttoken.export._http import HttpDelivery
from firsttoken.export._retry import Circuit
from firsttoken.export._settings import Settings, read_settings
from firsttoken.export._spool import Spool
from firsttoken.export._statistics import REJECTED, TORN, Counts

_PIECE_BYTES: Final = 1 << 20

#: Told how many of how many bytes are done.
Progress = Callable[[int, int], None]


def replay(
    directory: Path,
    endpoint: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    attempts: int = 5,
    out: TextIO | None = None,
) -> int:
    """Send every finished file of a spool directory and remove what was accepted.

    Files that a running process still writes or sends are left to it.

    endpoint: full URL, path included; None for what the environment says.
    attempts: failures in a row after which it gives up and leaves the rest where it is.
    out: where the result and, on a terminal, a progress bar are printed; None for standard error.

    Returns 0 if all was accepted, 1 if something was refused, unreadable or left.

    Raises:
        ConfigError: if there is no such directory, or the endpoint is not usable.
    """
    if not directory.is_dir():
        raise ConfigError(f"directory must be a spool directory, and {str(directory)!r} is none")
    out = out or sys.stderr
    settings = read_settings(endpoint=endpoint, headers=headers)
    counts = Counts()
    spool = Spool(directory, counts, limit_bytes=sys.maxsize)
    with _progress(out) as progress:
        problem = asyncio.run(_send_all(spool, settings, counts, attempts, progress))
    rejected, torn = counts.spool_dropped[REJECTED], counts.spool_dropped[TORN]
    print(f"{counts.replayed} spans accepted, {rejected} rejected, {torn} unreadable lines", file=out)
    if problem:
        print(f"gave up: {problem}; the rest is left in {directory}", file=out)
    return 1 if problem or rejected or torn else 0


async def _send_all(
    spool: Spool, settings: Settings, counts: Counts, attempts: int, progress: Progress
) -> str:
    """Send until the spool is empty; return what kept us from it, if anything did."""
    delivery = HttpDelivery(settings, counts, lambda: None)
    circuit = Circuit()
    total, done, position = spool.finished_bytes, 0, 0
    cap = RequestCap()
    try:
        while (piece := spool.next_piece(min(_PIECE_BYTES, cap.read()))) is not None:
            answer = await delivery.resend(piece.body)
            if answer.verdict == "retry":
                circuit.failed(monotonic_ns(), random.random(), answer.retry_after_s)
                if circuit.failures >= attempts:
                    return f"{settings.endpoint} did not take it ({answer.cause})"
                await asyncio.sleep((circuit.not_before_ns - monotonic_ns()) / NS_PER_S)
                continue
            if answer.is_about_us:
                return f"{settings.endpoint} refuses us ({answer.cause})"
            circuit.succeeded()
            if answer.verdict == "too_large" and piece.spans > 1 and cap.lower(len(piece.body)):
                continue
            if answer.verdict == "unreadable" and spool.doubt(piece):
                continue
            if answer.verdict == "accepted":
                counts.spool_dropped[REJECTED] += min(answer.rejected, piece.spans)
                counts.replayed += piece.spans - min(answer.rejected, piece.spans)
            else:
                counts.spool_dropped[REJECTED] += piece.spans
            spool.done(piece)
            # A new file begins at its own position 0.
            done += piece.end - position if piece.end > position else piece.end
            position = piece.end
            progress(done, max(total, done))
        return ""
    finally:
        spool.release()
        await delivery.aclose()


@contextmanager
def _progress(out: TextIO) -> Iterator[Progress]:
    """Show a bar if somebody looks and rich is there to draw it."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
    except ImportError:
        yield lambda done, total: None
        return
    console = Console(file=out)
    bar = Progress("replay", BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console)
    with bar if console.is_terminal else _nothing():
        task = bar.add_task("replay", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
