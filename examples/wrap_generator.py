"""Wrap a stream you already have, and ask it what it was.

python examples/wrap_generator.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from _show import exporter, show

import firsttoken


async def answer() -> AsyncIterator[str]:
    """Stand in for a model: a pause, then a word at a time."""
    await asyncio.sleep(0.15)
    for word in ("The ", "first ", "token ", "is ", "the ", "one ", "your ", "users ", "wait ", "for", "."):
        yield word
        await asyncio.sleep(0.02)


async def main() -> None:
    stream = firsttoken.trace_stream(answer(), model="demo-model", provider="example")
    async for word in stream:
        print(word, end="", flush=True)
    print()
    summary = stream.summary
    assert summary is not None
    assert summary.time_to_first_token_ns is not None
    print(f"{summary.outcome}: first token after {summary.time_to_first_token_ns / 1e6:.0f} ms, ", end="")
    print(f"{summary.chunk_count} chunks, trace {stream.trace_id}")


if __name__ == "__main__":
    firsttoken.configure(service_name="wrap-generator", exporter=exporter)
    asyncio.run(main())
    show()
