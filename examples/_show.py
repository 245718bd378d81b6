"""Show finished spans as a tree of text. The examples use it in place of Jaeger."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import firsttoken

exporter = InMemorySpanExporter()

SHOWN = (
    "firsttoken.outcome",
    "firsttoken.time_to_first_token",
    "firsttoken.chunk.count",
    "firsttoken.gap.p95",
    "firsttoken.stall.count",
    "firsttoken.pipeline.item.count",
    "firsttoken.pipeline.depth.max",
    "firsttoken.pipeline.put_wait",
    "firsttoken.pipeline.get_wait",
    "gen_ai.usage.output_tokens",
    "gen_ai.response.finish_reasons",
)


def show() -> None:
    """Print every span that ended so far, children below their parents."""
    assert firsttoken.flush(5), "not everything was told in time"
    spans = exporter.get_finished_spans()
    ids = {span.context.span_id for span in spans}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        if span.parent is None or span.parent.span_id not in ids:
            _show_tree(span, spans, 0)


def _show_tree(span: ReadableSpan, spans: Sequence[ReadableSpan], depth: int) -> None:
    took_ms = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
    print(f"{'  ' * depth}{span.name}  {took_ms:.0f} ms")
    for key in SHOWN:
        if key in (span.attributes or {}):
            value = span.attributes[key]
            text = f"{value * 1000:.0f} ms" if isinstance(value, float) else value
            print(f"{'  ' * depth}    {key} = {text}")
    for event in span.events:
        if event.name == "firsttoken.stall":
            print(f"{'  ' * depth}    stall: {dict(event.attributes or {})}")
    for child in sorted(spans, key=lambda child: child.start_time or 0):
        if child.parent is not None and child.parent.span_id == span.context.span_id:
            _show_tree(child, spans, depth + 1)
