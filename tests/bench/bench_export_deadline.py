"""How exactly flush and shutdown keep their deadlines while the collector hangs.

    python tests/bench/bench_export_deadline.py [--json] [--calls 50]

The collector takes connections and never answers. The promise is 50 ms over the deadline at most.
"""

from __future__ import annotations

import logging
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _report import Row, parser, report
from bench_export import end_ours

from firsttoken.export import StreamSpanProcessor

TIMEOUT_S = 0.1
PROMISED_MS = 50


def over_ms(call: Callable[[float], bool], timeout_s: float = TIMEOUT_S) -> float:
    """Return by how much a call took longer than it might."""
    before = time.perf_counter()
    call(timeout_s)
    return (time.perf_counter() - before - timeout_s) * 1e3


def rows_of(what: str, over: list[float]) -> list[Row]:
    return [
        Row(f"{what}, p50 over the deadline", f"{statistics.median(over):.2f} ms"),
        Row(
            f"{what}, max over, of {PROMISED_MS} ms",
            f"{max(over):.2f} ms",
            max(0.0, max(over) / PROMISED_MS),
            1,
        ),
    ]


def waiting(url: str, calls: int) -> list[float]:
    """Flush again and again while one request hangs."""
    processor = StreamSpanProcessor(url, schedule_delay_s=60)
    end_ours(10, 1000)(processor)
    over = [over_ms(processor.flush) for _ in range(calls)]
    processor.shutdown(TIMEOUT_S)
    return over


def encoding(url: str, calls: int) -> list[float]:
    """Flush while the export thread has more to encode than the deadline has time for."""
    over = []
    for _ in range(calls):
        processor = StreamSpanProcessor(url, schedule_delay_s=60)
        end_ours(50, 1000)(processor)
        over.append(over_ms(processor.flush, 0.005))
        processor.shutdown(TIMEOUT_S)
    return over


def closing(url: str, calls: int, spool_dir: Path | None) -> list[float]:
    """Shut a new processor down each time."""
    over = []
    for _ in range(calls):
        processor = StreamSpanProcessor(url, schedule_delay_s=60, spool_dir=spool_dir)
        end_ours(10, 100)(processor)
        over.append(over_ms(processor.shutdown))
    return over


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--calls", type=int, default=50)
    chosen = options.parse_args()
    logging.disable(logging.CRITICAL)
    # Nobody accepts: the system takes the connections, and the first bytes.
    with (
        socket.create_server(("127.0.0.1", 0), backlog=4096) as server,
        tempfile.TemporaryDirectory() as spool,
    ):
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"
        rows = rows_of("flush", waiting(url, chosen.calls))
        rows += rows_of("flush of 5 ms while busy", encoding(url, chosen.calls))
        rows += rows_of("shutdown", closing(url, chosen.calls, None))
        rows += rows_of("shutdown with a spool", closing(url, chosen.calls, Path(spool)))
    return report(f"export deadlines, {chosen.calls} calls each", rows, as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
