"""One trace from the browser's request to the provider's last byte.

python examples/one_trace.py      # against a stand-in for a provider on loopback; shows the trace

browser -> FastAPI route -> a stage that joins tokens to phrases -> httpx call to the provider
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import httpx
import uvicorn
from _replay import replaying
from _show import exporter, show
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse
from opentelemetry import propagate, trace

import firsttoken
from firsttoken.asgi import StreamTraceMiddleware
from firsttoken.httpx import AsyncTracingTransport

app = FastAPI()
app.add_middleware(StreamTraceMiddleware, trace_headers=["traceresponse"])


@firsttoken.traced(operation="stage", name="phrases")
async def phrases(words: AsyncIterator[str]) -> AsyncIterator[str]:
    """Join the words to phrases of three."""
    phrase: list[str] = []
    async for word in words:
        phrase.append(word)
        if len(phrase) == 3:
            yield "".join(phrase)
            phrase.clear()
    if phrase:
        yield "".join(phrase)


async def ask_model(prompt: str) -> AsyncIterator[str]:
    """Stream the words of the provider's answer; the transport traces the call."""
    request = {"model": "gpt-demo", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    client: httpx.AsyncClient = app.state.client
    async with client.stream("POST", "/v1/chat/completions", json=request) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line.removeprefix("data: "))["choices"]:
                    if choice["delta"].get("content"):
                        yield choice["delta"]["content"]


@app.get("/chat", response_class=EventSourceResponse)
async def chat() -> AsyncIterator[dict[str, str]]:
    async for phrase in phrases(ask_model("What is a stream?")):
        yield {"text": phrase}


async def browse(url: str) -> None:
    """Ask as a browser with tracing would: in a span of its own, and saying so."""
    with trace.get_tracer("browser").start_as_current_span("browser", kind=trace.SpanKind.CLIENT):
        headers: dict[str, str] = {}
        propagate.inject(headers)
        async with httpx.AsyncClient() as client, client.stream("GET", url, headers=headers) as response:
            print("traceresponse:", response.headers["traceresponse"])
            async for line in response.aiter_lines():
                if line:
                    print(line)


async def main(provider_url: str) -> None:
    transport = AsyncTracingTransport(httpx.AsyncHTTPTransport(), hosts={"127.0.0.1": "example"})
    app.state.client = httpx.AsyncClient(transport=transport, base_url=provider_url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with app.state.client:
            await browse(f"http://127.0.0.1:{listener.getsockname()[1]}/chat")
        server.should_exit = True
        await serving


if __name__ == "__main__":
    firsttoken.configure(service_name="one-trace", exporter=exporter)
    with replaying() as address:
        asyncio.run(main(address))
    show()
    assert len({span.context.trace_id for span in exporter.get_finished_spans()}) == 1
