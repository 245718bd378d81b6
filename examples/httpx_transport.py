"""Trace every call to a model that an httpx client makes, at the wire: one line, no SDK needed.

python examples/httpx_transport.py      # against a stand-in on loopback; shows the trace
"""

from __future__ import annotations

import asyncio

import httpx
from _replay import replaying
from _show import exporter, show

import firsttoken
from firsttoken.httpx import AsyncTracingTransport


async def main(address: str) -> None:
    # The providers' own hosts are known; a gateway or a server of your own is named here.
    transport = AsyncTracingTransport(httpx.AsyncHTTPTransport(), hosts={"127.0.0.1": "example"})
    request = {"model": "gpt-demo", "stream": True, "temperature": 0.2, "messages": []}
    async with (
        httpx.AsyncClient(transport=transport, base_url=address) as client,
        client.stream("POST", "/v1/chat/completions", json=request) as response,
    ):
        async for line in response.aiter_lines():
            if line:
                print(line)


if __name__ == "__main__":
    firsttoken.configure(service_name="httpx-transport", exporter=exporter)
    with replaying() as address:
        asyncio.run(main(address))
    show()
