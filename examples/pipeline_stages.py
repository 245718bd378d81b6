"""A pipeline of stages, tokens -> sentences -> enriched sentences, with a span for each.

    python examples/pipeline_stages.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from _show import exporter, show
from opentelemetry import trace

import firsttoken

TEXT = "Time to first token is what users feel. Gaps are what they notice. Stalls are what they report. "


@firsttoken.traced(model="demo-model", provider="example")
async def tokens() -> AsyncIterator[str]:
    """Stand in for a model."""
    for word in TEXT.split():
        await asyncio.sleep(0.01)
        yield word + " "


@firsttoken.traced(operation="stage", name="sentences")
async def sentences(words: AsyncIterator[str]) -> AsyncIterator[str]:
    """Join tokens to whole sentences."""
    sentence = ""
    async for word in words:
        sentence += word
        if word.endswith(". "):
            yield sentence.strip()
            sentence = ""


@firsttoken.traced(operation="stage", name="enriched")
async def enriched(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Look something up for each sentence; a span made here is a child of the stage."""
    async for line in lines:
        with trace.get_tracer("example").start_as_current_span("look up"):
            await asyncio.sleep(0.005)
        yield f"{line} [{len(line.split())} words]"


async def main() -> None:
    with trace.get_tracer("example").start_as_current_span("answer a question"):
        async for line in enriched(sentences(tokens())):
            print(line)


if __name__ == "__main__":
    firsttoken.configure(service_name="pipeline-stages", exporter=exporter)
    asyncio.run(main())
    show()
