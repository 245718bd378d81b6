"""One line for every streaming route: StreamTraceMiddleware on a FastAPI application.

    python examples/asgi_middleware.py

Three clients: one reads its answer, one leaves in the middle, one is told that the stream failed. Their
requests are FastAPI's own SERVER spans, enriched; the streams below them are ours.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import httpx
import uvicorn
from _show import exporter, show
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse

import firsttoken
from firsttoken.asgi import StreamTraceMiddleware

app = FastAPI()
app.add_middleware(
    StreamTraceMiddleware, error_event=True, debug_path="/live-streams", trace_headers=["traceresponse"]
)


@app.get("/answer", response_class=EventSourceResponse)
async def answer() -> AsyncIterator[dict[str, str]]:
    await asyncio.sleep(0.1)
    for word in ["A", "route", "that", "yields", "is", "a", "stream", "."]:
        yield {"text": word + " "}
        await asyncio.sleep(0.02)


@app.get("/endless", response_class=EventSourceResponse)
async def endless() -> AsyncIterator[dict[str, str]]:
    while True:
        yield {"text": "and "}
        await asyncio.sleep(0.02)


@app.get("/broken", response_class=EventSourceResponse)
async def broken() -> AsyncIterator[dict[str, str]]:
    yield {"text": "So far so "}
    await asyncio.sleep(0.02)
    raise ConnectionError("the model went away")


async def call_all(client: httpx.AsyncClient) -> None:
    for path in ("/answer", "/broken"):
        async with client.stream("GET", path) as response:
            print(path, response.headers["traceresponse"])
            print(await response.aread())
    async with client.stream("GET", "/endless") as response:
        lines = response.aiter_lines()
        for _ in range(20):
            await anext(lines)
        live = (await client.get("/live-streams")).json()
        print("live:", json.dumps([stream["name"] for stream in live["streams"]]))


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The broken route would be logged as well.
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        port = listener.getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await call_all(client)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    firsttoken.configure(service_name="asgi-middleware", exporter=exporter)
    asyncio.run(main())
    show()
