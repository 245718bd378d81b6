"""Trace a stream of the OpenAI SDK: wrap the call, use what comes back as before.

python examples/openai_sdk.py           # against a stand-in on loopback; shows the trace
"""

from __future__ import annotations

import asyncio
from typing import Any

from _replay import replaying
from _show import exporter, show
from openai import AsyncOpenAI, AsyncStream

import firsttoken

ASK: dict[str, Any] = {"model": "gpt-demo", "messages": [{"role": "user", "content": "What are streams?"}]}


async def main(address: str) -> None:
    async with AsyncOpenAI(api_key="not-needed-here", base_url=f"{address}/v1") as client:
        # Wrapped before it is awaited, the span begins with the request, not with the first chunk.
        call = client.chat.completions.create(**ASK, stream=True)
        stream = await firsttoken.trace_stream(call, model="gpt-demo", provider="openai")
        assert isinstance(stream, AsyncStream)
        async for chunk in stream:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
        print()
        # The helper's own methods read the traced stream too.
        async with firsttoken.trace_stream(client.chat.completions.stream(**ASK)) as helper:
            completion = await helper.get_final_completion()
        print(completion.choices[0].message.content)


if __name__ == "__main__":
    firsttoken.configure(service_name="openai-sdk", exporter=exporter)
    with replaying() as address:
        asyncio.run(main(address))
    show()
