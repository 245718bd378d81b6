"""A pipeline, tokens -> sentences -> enriched sentences, with a span for each step and what lies between.

python examples/pipeline_stages.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from _show import exporter, show
from opentelemetry import trace

import firsttoken
from firsttoken.pipeline import buffer, stage, tee

TEXT = "Time to first token is what users feel. Gaps are what they notice. Stalls are what they report. "


@firsttoken.traced(model="demo-model", provider="example")
async def tokens() -> AsyncIterator[str]:
    """Stand in for a model."""
    for word in TEXT.split():
        await asyncio.sleep(0.01)
        yield word + " "


@stage
async def sentences(words: AsyncIterator[str]) -> AsyncIterator[str]:
    """Join tokens to whole sentences."""
    sentence = ""
    async for word in words:
        sentence += word
        if word.endswith(". "):
            yield sentence.strip()
            sentence = ""


@stage
async def enriched(line: str) -> str:
    """Look something up for each sentence; a span made here is a child of the stage."""
    with trace.get_tracer("example").start_as_current_span("look up"):
        await asyncio.sleep(0.005)
    return f"{line} [{len(line.split())} words]"


async def show_lines(lines: AsyncIterator[str]) -> None:
    async for line in lines:
        print(line)


async def count_lines(lines: AsyncIterator[str]) -> None:
    count = 0
    async for _ in lines:
        count += 1
    print(f"archived {count} lines")


async def main() -> None:
    with trace.get_tracer("example").start_as_current_span("answer a question"):
        # The model goes on while a look-up takes its time: up to 64 tokens ahead.
        ahead = buffer(tokens(), 64)
        async with tee(enriched(sentences(ahead)), 2) as (screen, archive):
            await asyncio.gather(show_lines(screen), count_lines(archive))


if __name__ == "__main__":
    firsttoken.configure(service_name="pipeline-stages", exporter=exporter)
    asyncio.run(main())
    show()
