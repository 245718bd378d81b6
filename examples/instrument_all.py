"""Trace every call to a model, through httpx and httpx2 and whatever is built on them, with one line.

python examples/instrument_all.py      # against a stand-in on loopback; shows the trace
"""

from __future__ import annotations

import asyncio

import openai
from _replay import replaying
from _show import exporter, show

import firsttoken


async def main(address: str) -> None:
    client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none")
    async with client:
        # As in any program that knows nothing of tracing.
        stream = await client.chat.completions.create(
            model="gpt-demo", messages=[{"role": "user", "content": "Where?"}], stream=True
        )
        async for chunk in stream:
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="", flush=True)
        print()


if __name__ == "__main__":
    firsttoken.configure(service_name="instrument-all", exporter=exporter)
    # The providers' own hosts are known; a gateway or a server of your own is named here.
    firsttoken.instrument(hosts={"127.0.0.1": "example"})
    with replaying() as address:
        asyncio.run(main(address))
    show()
