"""Sustained export through a real socket: nothing lost, memory flat.

    python tests/bench/bench_export_soak.py [--json] [--seconds 5] [--rate 50000]

Streams of 1000 token events end at an even pace on an event loop; a sink in another process counts what
arrives. The acceptance run is `--seconds 60`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from array import array
from pathlib import Path

from _report import Row, parser, report
from export_sink import counts_of, sink
from export_spans import span, times_of

from firsttoken._think.chunk_events import ChunkEvents
from firsttoken.export import StreamSpanProcessor, carrying

EVENTS = 1000


def resident_mib() -> float:
    """Return the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


async def end_streams(processor: StreamSpanProcessor, rate: int, seconds: float) -> tuple[int, list[float]]:
    """End streams so that `rate` events a second go out; return how many, and memory once a second."""
    times = times_of(EVENTS)
    ended, memory = 0, []
    begin = time.perf_counter()
    while (now := time.perf_counter() - begin) < seconds:
        while ended * EVENTS < now * rate:
            each = span()
            with carrying(each.context.span_id, ChunkEvents(array("q", times))):
                processor.on_end(each)
            ended += 1
        if len(memory) <= now:
            memory.append(resident_mib())
        await asyncio.sleep(0.005)
    return ended, memory


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--rate", type=int, default=50_000, help="token events a second")
    chosen = options.parse_args()
    logging.disable(logging.CRITICAL)
    with sink() as url:
        processor = StreamSpanProcessor(f"{url}/v1/traces", schedule_delay_s=1.0)
        # Imports, the connection and the first request come before the first look at memory.
        asyncio.run(end_streams(processor, chosen.rate, 1.5))
        processor.flush(30)
        before = counts_of(url)["events"]
        cpu = time.process_time()
        ended, memory = asyncio.run(end_streams(processor, chosen.rate, chosen.seconds))
        flushed = processor.flush(30)
        cpu = time.process_time() - cpu
        arrived = counts_of(url)["events"] - before
        counts = processor.statistics()
        processor.shutdown()
    sent = ended * EVENTS
    growth = memory[-1] - memory[0]
    rows = [
        Row("token events ended", f"{sent}"),
        Row("arrived, of those", f"{arrived}", arrived / sent, 1, at_least=True),
        Row("rate", f"{sent / chosen.seconds:.0f} /s", sent / chosen.seconds / chosen.rate),
        Row("flush said", str(flushed), float(flushed), 1, at_least=True),
        Row("spans dropped, events dropped", f"{counts.dropped}, {counts.events_dropped}"),
        Row("memory at first", f"{memory[0]:.1f} MiB"),
        Row("memory growth, of 8 MiB", f"{growth:.1f} MiB", growth / 8, 1),
        Row("CPU, ending streams included", f"{100 * cpu / chosen.seconds:.0f} % of a core"),
    ]
    return report(f"export soak, {chosen.seconds:.0f} s", rows, as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
