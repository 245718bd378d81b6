"""What tail sampling keeps, and what is measured of all."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

import firsttoken
from tests.e2e.conftest import StartCollector, StartTelling, Told
from tests.e2e.jaeger import Jaeger
from tests.e2e.servers import Server, eventually
from tests.e2e.test_queue import metric

NORMAL = 30
DECIDED = "otelcol_processor_tail_sampling_global_count_traces_sampled"
Streams = AsyncIterator[dict[str, Any]]


def word(text: str | None, finish: str | None = None) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


async def answer(*, pause_s: float = 0, finish: str | None = "stop", fails: bool = False) -> Streams:
    for number in range(5):
        if number == 3:
            await asyncio.sleep(pause_s)
        yield word("w")
    if fails:
        raise ConnectionError("the provider went away")
    yield word(None, finish)


async def read(stream: AsyncIterator[Any], until: int = 100) -> None:
    count = 0
    async for _ in stream:
        count += 1
        if count == until:
            return


async def completed(wrap: Callable[..., Any]) -> Any:
    stream = wrap(answer())
    await read(stream)
    return stream


async def failed(wrap: Callable[..., Any]) -> Any:
    stream = wrap(answer(fails=True))
    with contextlib.suppress(ConnectionError):
        await read(stream)
    return stream


async def truncated(wrap: Callable[..., Any]) -> Any:
    stream = wrap(answer(finish=None))
    await read(stream)
    return stream


async def abandoned(wrap: Callable[..., Any]) -> Any:
    stream = wrap(answer())
    await read(stream, until=2)
    await stream.aclose()
    return stream


async def cancelled(wrap: Callable[..., Any]) -> Any:
    waiting = asyncio.Event()

    async def never_goes_on() -> Streams:
        yield word("w")
        yield word("w")
        waiting.set()
        await asyncio.Event().wait()

    stream = wrap(never_goes_on())
    reading = asyncio.create_task(read(stream))
    await waiting.wait()
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    return stream


async def stalled(wrap: Callable[..., Any]) -> Any:
    stream = wrap(answer(pause_s=1.2))
    await read(stream)
    return stream


async def slow_first_token(wrap: Callable[..., Any]) -> Any:
    stream = wrap(answer(), started_at_ns=time.time_ns() - 3 * 10**9)
    await read(stream)
    return stream


KEPT: list[Callable[..., Awaitable[Any]]] = [
    failed, truncated, abandoned, cancelled, stalled, slow_first_token,
]  # fmt: skip


async def run_all(told: Told, around: Told | None = None) -> tuple[dict[str, str], list[str]]:
    """Run all kinds below a span of their own; return the trace ids of those to keep and of the others.

    around: where the spans around the streams are told; where the streams are if not given.
    """
    tracer = (around or told).provider.get_tracer("tests")

    async def below_a_span(kind: Callable[..., Awaitable[Any]]) -> str:
        with tracer.start_as_current_span("request"):
            stream = await kind(
                lambda source, **more: firsttoken.trace_stream(
                    source, model="m", decoder="openai.chat", tracer_provider=told.provider, **more
                )
            )
        return str(stream.trace_id)

    kept = await asyncio.gather(*map(below_a_span, KEPT))
    others = await asyncio.gather(*[below_a_span(completed) for _ in range(NORMAL)])
    return dict(zip((kind.__name__ for kind in KEPT), kept, strict=True)), list(others)


def measured(server: Server, name: str) -> dict[str, float]:
    """Return a metric that Prometheus would read, of our service: its sum for each outcome."""
    text = httpx.get(f"{server.url('METRICS_PORT')}/metrics", trust_env=False).text
    sums: dict[str, float] = {}
    for labels, value in re.findall(rf"^{name}\{{(.*?)\}} (\S+)", text, re.MULTILINE):
        if (outcome := re.search(r'firsttoken_outcome="(\w+)"', labels)) and 'job="sampled"' in labels:
            sums[outcome[1]] = sums.get(outcome[1], 0) + float(value)
    return sums


def test_errors_early_ends_stalls_and_slow_first_tokens_are_kept_whole_and_all_are_measured(
    jaeger: Jaeger, collector: StartCollector, tell: StartTelling
) -> None:
    server = collector(KEEP_PERCENT=0)
    sent = tell(server.traces_url, service="sampled")
    kept, others = asyncio.run(run_all(sent))
    assert firsttoken.flush(30)
    assert sent.processor.flush(30)

    for kind, trace_id in kept.items():
        spans = jaeger.trace(trace_id, spans=2)
        assert [span.name for span in spans if not span.parent_id] == ["request"], kind
        (stream,) = [span for span in spans if "firsttoken.outcome" in span.attributes]
        outcome = stream.attributes["firsttoken.outcome"]
        assert outcome == (
            kind if kind in {"failed", "truncated", "abandoned", "cancelled"} else "completed"
        )
        assert stream.attributes["firsttoken.stall.count"] == (kind == "stalled")

    eventually(lambda: metric(server, DECIDED, 'sampled="false"') == NORMAL, "all of the others decided")
    assert metric(server, DECIDED, 'sampled="true"') == len(KEPT)
    assert jaeger.search("sampled").keys() == set(kept.values())
    assert all(jaeger.ask(trace_id).status_code == 404 for trace_id in others)

    ends = {"completed": NORMAL + 2.0, "failed": 1, "truncated": 1, "abandoned": 1, "cancelled": 1}
    for name in (
        "firsttoken_time_to_first_token_seconds_count",
        "firsttoken_gap_max_seconds_count",
        "firsttoken_gap_p95_seconds_count",
        "traces_span_metrics_calls_total",
        "traces_span_metrics_duration_seconds_count",
    ):
        eventually(lambda name=name: measured(server, name) == ends, f"{name}: {ends}")
    assert measured(server, "firsttoken_stalls_total") == {**dict.fromkeys(ends, 0), "completed": 1}
    # Only the one that was asked for three seconds before it began was slow.
    assert 3 < measured(server, "firsttoken_time_to_first_token_seconds_sum")["completed"] < 3 + NORMAL


def test_of_the_rest_a_share_is_kept(jaeger: Jaeger, collector: StartCollector, tell: StartTelling) -> None:
    server = collector(KEEP_PERCENT=30)
    sent = tell(server.traces_url, service="shared")

    async def run() -> None:
        wrap = lambda source: firsttoken.trace_stream(  # noqa: E731
            source, model="m", decoder="openai.chat", tracer_provider=sent.provider
        )
        await asyncio.gather(*[completed(wrap) for _ in range(400)])

    asyncio.run(run())
    assert firsttoken.flush(30)
    assert sent.processor.flush(30)
    eventually(lambda: metric(server, DECIDED) == 400, "all decided")
    kept = int(metric(server, DECIDED, 'sampled="true"'))
    # Of 400 by a fair coin of 0.3: 120, and outside of these once in a hundred million runs.
    assert 70 < kept < 175
    eventually(lambda: len(jaeger.search("shared")) == kept, "those that were kept are in Jaeger")
