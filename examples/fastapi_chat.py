"""A FastAPI chat endpoint that streams server-sent events, with its traces.

python examples/fastapi_chat.py            # serves, reads one answer itself, shows the trace, ends
python examples/fastapi_chat.py --serve    # stays up: curl -N http://127.0.0.1:8000/chat
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from _show import exporter, show
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import firsttoken

app = FastAPI()


async def model_stream() -> AsyncIterator[dict[str, object]]:
    """Stand in for a provider: chunks in the form of OpenAI's chat completions."""
    yield {"id": "1", "model": "demo-model", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}
    await asyncio.sleep(0.12)
    for word in ("Hello ", "from ", "the ", "other ", "side ", "of ", "a ", "socket."):
        yield {"id": "1", "model": "demo-model", "choices": [{"index": 0, "delta": {"content": word}}]}
        await asyncio.sleep(0.02)
    yield {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {"id": "1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 8}}


@app.get("/chat")
async def chat() -> StreamingResponse:
    stream = firsttoken.trace_stream(model_stream(), model="demo-model", provider="example")

    async def events() -> AsyncIterator[str]:
        async for chunk in stream:
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def read_one_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/chat"
        async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
            async for line in response.aiter_lines():
                if line:
                    print(line)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    firsttoken.configure(service_name="fastapi-chat", exporter=exporter)
    if "--serve" in sys.argv:
        uvicorn.run(app, host="127.0.0.1", port=8000)
    else:
        asyncio.run(read_one_answer())
    show()
