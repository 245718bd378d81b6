"""Our export against the stock batch processor and OTLP/HTTP exporter, on the same spans, in one run.

    python tests/bench/bench_export.py [--json] [--spans 100] [--no-stock-ticker]

Prints CPU per exported event and per span without events (all the way to a socket, the sink in
another process; neither side compresses), the same while an event loop is at work, how late a 1 ms ticker
on that loop gets while spans go out, the cost of `on_end` on the thread that ends a span, and the peak
memory of a full queue.

A tick is late by what it took over 1 ms, and asyncio waits in whole milliseconds; the idle ticker is the
same, in the same run, before and after each busy one.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import statistics
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from _report import Row, parser, report
from export_sink import sink
from export_spans import as_objects, chunk_events, span
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from firsttoken.export import StreamSpanProcessor, carrying

Work = Callable[[SpanProcessor], None]


def end_ours(spans: int, events: int, *, joined: bool = False) -> Work:
    """Return what ends `spans` spans with packed events."""
    made = [(span(), chunk_events(events, joined=joined)) for _ in range(spans)]

    def end(processor: SpanProcessor) -> None:
        for each, chunks in made:
            if len(chunks):
                with carrying(each.context.span_id, chunks):
                    processor.on_end(each)
            else:
                processor.on_end(each)

    return end


def end_stock(spans: int, events: int, *, joined: bool = False) -> Work:
    """Return what ends `spans` spans with event objects."""
    made = [span(as_objects(chunk_events(events, joined=joined))) for _ in range(spans)]

    def end(processor: SpanProcessor) -> None:
        for each in made:
            processor.on_end(each)

    return end


def ours(url: str) -> StreamSpanProcessor:
    return StreamSpanProcessor(f"{url}/v1/traces", schedule_delay_s=60)


def stock(url: str) -> BatchSpanProcessor:
    return BatchSpanProcessor(
        OTLPSpanExporter(f"{url}/v1/traces"), max_queue_size=100_000, schedule_delay_millis=60_000
    )


def cpu_ns(processor: SpanProcessor, work: Work, rounds: int = 3) -> float:
    """Return the least CPU the process spent on one round of ending and flushing."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        before = time.process_time_ns()
        work(processor)
        assert processor.force_flush(60_000)
        best = min(best, time.process_time_ns() - before)
    return best


async def lateness(until: Callable[[], bool]) -> list[float]:
    """Return how late each tick of a 1 ms ticker was (ms), for as long as `until` is false."""
    late = []
    while not until():
        before = time.perf_counter_ns()
        await asyncio.sleep(0.001)
        late.append((time.perf_counter_ns() - before) / 1e6 - 1)
    return late


def idle_ticks(seconds: float) -> list[float]:
    """Tick while nothing else is done."""
    end = time.monotonic() + seconds
    return asyncio.run(lateness(lambda: time.monotonic() >= end))


def ticks(processor: SpanProcessor, work: Work) -> tuple[list[float], float]:
    """Tick while `work` goes out; return also the CPU (ns) that was spent on other threads."""
    gc.collect()
    # What the benchmark made is not what the collector should walk through while it measures.
    gc.freeze()
    cpu = time.process_time_ns() - time.thread_time_ns()
    work(processor)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (processor.force_flush(120_000), done.set()))
    thread.start()
    late = asyncio.run(lateness(done.is_set))
    thread.join()
    cpu = time.process_time_ns() - time.thread_time_ns() - cpu
    gc.unfreeze()
    return late, cpu


def at(late: list[float], share: float) -> float:
    """Return a quantile (ms)."""
    return sorted(late)[min(len(late) - 1, int(len(late) * share))]


def on_end_ns(processor: SpanProcessor, each: ReadableSpan) -> float:
    """Return the median cost of one `on_end`, of 100 in a row."""
    costs = []
    for _ in range(100):
        before = time.perf_counter_ns()
        for _ in range(100):
            processor.on_end(each)
        costs.append((time.perf_counter_ns() - before) / 100)
    return statistics.median(costs)


class Nowhere(SpanExporter):
    """A stock exporter that costs nothing."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def memory_bytes(make: Callable[[], SpanProcessor], work: Callable[[SpanProcessor], None]) -> float:
    """Return the peak memory of ending spans into a queue that nobody empties."""
    gc.collect()
    tracemalloc.start()
    processor = make()
    work(processor)
    if isinstance(processor, StreamSpanProcessor):
        # A full batch would be sent to nobody; what counts is that it all waits.
        processor.flush(1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    processor.shutdown()
    return peak


def fill_ours(spans: int) -> Work:
    def fill(processor: SpanProcessor) -> None:
        for _ in range(spans):
            chunks = chunk_events(1000)
            each = span()
            with carrying(each.context.span_id, chunks):
                processor.on_end(each)

    return fill


def fill_stock(spans: int) -> Work:
    def fill(processor: SpanProcessor) -> None:
        for _ in range(spans):
            processor.on_end(span(as_objects(chunk_events(1000))))

    return fill


def cpu_rows(mine: SpanProcessor, theirs: SpanProcessor, spans: int) -> list[Row]:
    events = spans * 1000
    rows = []
    for what, count, per, shape, joined, bound in (
        ("CPU per exported event", spans, events, 1000, False, 30),
        ("CPU per exported event, chunks joined", spans, events, 1000, True, 30),
        ("CPU per span without events", 2000, 2000, 0, False, 2),
    ):
        ours_ns = stock_ns = float("inf")
        ending, ending_stock = end_ours(count, shape, joined=joined), end_stock(count, shape, joined=joined)
        # In turns, so that both see the same machine; ours is so short that a round may meet a bad moment.
        for _ in range(3):
            ours_ns = min(ours_ns, cpu_ns(mine, ending, rounds=4) / per)
            stock_ns = min(stock_ns, cpu_ns(theirs, ending_stock, rounds=1) / per)
        rows.append(Row(f"{what}, stock", f"{stock_ns:.0f} ns"))
        rows.append(Row(f"{what}, ours", f"{ours_ns:.0f} ns", stock_ns / ours_ns, bound, at_least=True))
    return rows


def ticker_rows(mine: SpanProcessor, theirs: SpanProcessor, spans: int, *, stock_too: bool) -> list[Row]:
    rows = []
    for count, rounds in ((spans, 20), (512, 4)):
        # In turns, so that both see the same machine.
        idle, busy, cpu_ns = idle_ticks(0.2), [], 0.0
        for _ in range(rounds):
            late, cpu = ticks(mine, end_ours(count, 1000))
            busy += late
            cpu_ns += cpu
            idle += idle_ticks(0.2)
        name = f"1 ms ticker, {count} x 1000 events"
        rows.append(Row(f"{name}, idle p99 of {len(idle)}", f"{at(idle, 0.99):.2f} ms"))
        rows.append(
            Row(
                f"{name}, ours p99 of {len(busy)}",
                f"{at(busy, 0.99):.2f} ms",
                at(busy, 0.99) / at(idle, 0.99),
                3,
            )
        )
        rows.append(Row(f"{name}, idle max", f"{max(idle):.2f} ms"))
        rows.append(Row(f"{name}, ours max, of 5 ms", f"{max(busy):.2f} ms", max(busy) / 5, 1))
        rows.append(Row(f"{name}, ours CPU per event", f"{cpu_ns / rounds / count / 1000:.0f} ns"))
        if stock_too and count == spans:
            late, _ = ticks(theirs, end_stock(count, 1000))
            rows.append(
                Row(f"{name}, stock p99", f"{at(late, 0.99):.2f} ms", at(late, 0.99) / at(idle, 0.99))
            )
    return rows


def memory_rows() -> list[Row]:
    some = 128
    ours_mib = memory_bytes(
        lambda: StreamSpanProcessor("http://127.0.0.1:9/v1/traces", schedule_delay_s=600), fill_ours(2048)
    )
    stock_mib = memory_bytes(
        lambda: BatchSpanProcessor(Nowhere(), 100_000, 600_000, 50_000), fill_stock(some)
    )
    ours_mib /= 2**20
    stock_mib *= 2048 / some / 2**20
    return [
        Row("peak memory, 2048 x 1000 waiting, stock", f"{stock_mib:.0f} MiB"),
        Row("peak memory, 2048 x 1000 waiting, of 100 MiB", f"{ours_mib:.0f} MiB", ours_mib / 100, 1),
    ]


def on_end_rows() -> list[Row]:
    mine = StreamSpanProcessor(exporter=Nowhere(), schedule_delay_s=60)
    theirs = BatchSpanProcessor(Nowhere(), max_queue_size=100_000, schedule_delay_millis=60_000)
    theirs_ns, mine_ns = on_end_ns(theirs, span()), on_end_ns(mine, span())
    mine.shutdown()
    theirs.shutdown()
    return [
        Row("on_end, stock", f"{theirs_ns:.0f} ns"),
        Row("on_end, ours", f"{mine_ns:.0f} ns", mine_ns / theirs_ns, 1),
    ]


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--spans", type=int, default=100)
    options.add_argument("--no-stock-ticker", action="store_true", help="spare some seconds")
    chosen = options.parse_args()
    logging.disable(logging.CRITICAL)
    rows = on_end_rows()
    with sink() as url:
        mine, theirs = ours(url), stock(url)
        # Imports and connections are not what is measured.
        cpu_ns(mine, end_ours(2, 100))
        cpu_ns(theirs, end_stock(2, 100))
        rows += cpu_rows(mine, theirs, chosen.spans)
        rows += ticker_rows(mine, theirs, chosen.spans, stock_too=not chosen.no_stock_ticker)
        mine.shutdown()
        theirs.shutdown()
    rows += memory_rows()
    return report("export", rows, as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
