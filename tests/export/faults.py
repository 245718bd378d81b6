"""Every fault the export has to live with, and one way to run any of them.

`test_faults.py` runs them as tests, `reliability.py` as the table in the package.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from firsttoken.export import Statistics, StreamSpanProcessor, carrying
from firsttoken.export._stock import materialised
from tests.export import collector as c
from tests.export import tls
from tests.export.collector import Behaviour, Collector
from tests.export.spans import NOW, chunk_events, entry, no_pause, span

SPANS = 6

#: `delivered`: accepted in the end. `kept`: cannot be, so spooled, or without a spool dropped at shutdown.
#: `refused`: final, dropped, but spooled where a spool is. `rejected`: dropped in any case. `thinned`:
#: accepted, with less detail. `split`: accepted, in more requests.
Fate = Literal["delivered", "kept", "refused", "rejected", "half"]


@dataclass(frozen=True)
class Fault:
    """What the collector does, and what becomes of six spans.

    once: behaviours for the first requests; then everything is accepted.
    always: behaviour for all requests.
    """

    name: str
    fate: Fate
    once: tuple[Behaviour, ...] = ()
    always: Behaviour | None = None
    where: Literal["http", "https", "refused", "dns"] = "http"


FAULTS = (
    Fault("none", "delivered"),
    Fault("connection refused", "kept", where="refused"),
    Fault("name cannot be resolved", "kept", where="dns"),
    Fault("certificate not trusted", "kept", where="https"),
    Fault("hang before headers", "kept", always=c.hang),
    Fault("hang before headers, once", "kept", once=(c.hang,)),
    Fault("hang in body after 200", "delivered", always=c.hang_in_body),
    Fault("headers drip, a byte each 20 ms", "kept", always=c.drip),
    Fault("request read a byte each 20 ms", "kept", always=c.slow_reads),
    Fault("reset in the middle of the request", "kept", always=c.reset_mid_request),
    Fault("reset in the middle of the request, once", "delivered", once=(c.reset_mid_request,)),
    Fault("reset in the middle of the response", "kept", always=c.reset_mid_response),
    Fault("reset in the middle of the response, once", "delivered", once=(c.reset_mid_response,)),
    Fault("answer is not HTTP", "kept", always=c.garbage),
    Fault("200 with a body that is not OTLP", "delivered", always=c.garbage_body),
    Fault("302", "refused", always=c.status(302, {"location": "http://127.0.0.1:9/"})),
    Fault("400", "rejected", always=c.status(400)),
    Fault("401", "refused", always=c.status(401)),
    Fault("404", "refused", always=c.status(404)),
    Fault("413 over 10 kB", "delivered", always=c.larger_than(10_000)),
    Fault("429, always", "kept", always=c.status(429)),
    Fault("429 with Retry-After: 60", "kept", always=c.status(429, {"retry-after": "60"})),
    Fault("429 with Retry-After: 0, once", "delivered", once=(c.status(429, {"retry-after": "0"}),)),
    Fault("500", "refused", always=c.status(500)),
    Fault("502, once", "delivered", once=(c.status(502),)),
    Fault("503, always", "kept", always=c.status(503)),
    Fault("503, twice", "delivered", once=(c.status(503), c.status(503))),
    Fault("504, once", "delivered", once=(c.status(504),)),
    Fault("partial success, half rejected", "half", once=(c.partial(SPANS // 2),)),
)


@dataclass(frozen=True)
class Result:
    """What came of a run.

    flushed: what flush returned.
    received: span ids the collector took, each once.
    stored: lines in the spool.
    """

    flushed: object
    flush_s: float
    shut_down: bool | None
    shutdown_s: float
    received: frozenset[int]
    stored: int
    statistics: Statistics | None


@contextlib.contextmanager
def endpoint(fault: Fault) -> Iterator[tuple[str, Collector]]:
    """Run the faulty collector."""
    context = None
    if fault.where == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.CERTIFICATE, tls.KEY)
    with Collector(default=fault.always, context=context) as collector:
        collector.then(*fault.once)
        if fault.where == "refused":
            with socket.socket() as taken:
                # Bound but not listening: nobody else gets the port, and connecting is refused.
                taken.bind(("127.0.0.1", 0))
                yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1/traces", collector
        elif fault.where == "dns":
            with no_names():
                yield "http://collector.example:4318/v1/traces", collector
        else:
            yield collector.url, collector


@contextlib.contextmanager
def no_names() -> Iterator[None]:
    """Have every look-up of a name fail, without asking a name server."""
    original = socket.getaddrinfo

    def lookup(host: object, *more: object, **hints: object) -> object:
        if host in ("collector.example", b"collector.example"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return original(host, *more, **hints)

    socket.getaddrinfo = lookup
    try:
        yield
    finally:
        socket.getaddrinfo = original


def processor_for(collector: Collector, **more: Any) -> StreamSpanProcessor:
    """Return a processor that sends nothing by itself."""
    return StreamSpanProcessor(collector.url, schedule_delay_s=60, **more)


def with_events_as_objects(number: int) -> ReadableSpan:
    """Return the span that `end_spans` ends, as a stock processor needs it."""
    return materialised(entry(number, chunk_events(60, begin_ns=NOW), original=span(number)), no_pause)


def end_spans(processor: SpanProcessor, count: int = SPANS, first: int = 1) -> None:
    """End spans with 60 chunk events each."""
    for number in range(first, first + count):
        with carrying(number, chunk_events(60, begin_ns=NOW)):
            processor.on_end(span(number))


def run_ours(fault: Fault, spool_dir: Path | None, timeout_s: float) -> Result:
    """End six spans, flush, shut down."""
    with endpoint(fault) as (url, collector):
        processor = StreamSpanProcessor(url, spool_dir=spool_dir, schedule_delay_s=60, timeout_s=timeout_s)
        end_spans(processor)
        begin = time.perf_counter()
        flushed = processor.flush(timeout_s)
        middle = time.perf_counter()
        shut_down = processor.shutdown(timeout_s)
        end = time.perf_counter()
        received = frozenset(int.from_bytes(each.span_id, "big") for each in collector.accepted)
    stored = 0
    if spool_dir is not None:
        stored = sum(path.read_bytes().count(b"\n") for path in spool_dir.iterdir())
    return Result(
        flushed, middle - begin, shut_down, end - middle, received, stored, processor.statistics()
    )


def run_stock(fault: Fault, timeout_s: float, patience_s: float = 15.0) -> Result:
    """The same with the stock processor and exporter, given the same time by its own settings.

    patience_s: some of its calls never return; then they are left alone after this long.
    """
    with endpoint(fault) as (url, collector):
        exporter = OTLPSpanExporter(url, timeout=timeout_s)
        processor = BatchSpanProcessor(exporter, schedule_delay_millis=60_000)
        for number in range(1, 1 + SPANS):
            processor.on_end(with_events_as_objects(number))
        flushed, flush_s = _patiently(lambda: processor.force_flush(int(timeout_s * 1000)), patience_s)
        shutdown_s = math.inf
        if flush_s < math.inf:
            _, shutdown_s = _patiently(processor.shutdown, patience_s)
        received = frozenset(int.from_bytes(each.span_id, "big") for each in collector.accepted)
    return Result(flushed, flush_s, None, shutdown_s, received, 0, None)


def _patiently(call: Callable[[], object], patience_s: float) -> tuple[object, float]:
    """Return what a call returns and how long it took; infinity if that is longer than `patience_s`."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    begin = time.perf_counter()
    thread.start()
    thread.join(patience_s)
    return (results[0], time.perf_counter() - begin) if results else ("never", math.inf)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another thread, by asking; there is nothing to wait on."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        os.sched_yield()
