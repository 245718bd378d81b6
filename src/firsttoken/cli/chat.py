"""The chat app of the demo: what a user of firsttoken writes, with one bug in it. Its own event loop.

The one line that matters is `firsttoken.trace_stream(...)`. The bug is `save_log`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, Header
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import firsttoken


@dataclass(frozen=True)
class Wiring:
    """What the app is connected to.

    upstream: URL of the model server.
    model: to ask for; None if nobody knows which model it was.
    content_type: of the upstream's bodies, which are handed on as they are.
    log_every_s: time between two writes of the log.
    log_takes_s: how long the log's disk takes.
    traced: called with the number, trace id and span id of each stream.
    """

    upstream: str
    model: str | None
    content_type: str
    log_every_s: float
    log_takes_s: float
    traced: Callable[[int, str | None, str | None], None]


class Question(BaseModel):
    """The body of a chat request."""

    text: str


StreamNumber = Annotated[int, Header(alias="x-demo-stream")]


def chat_app(wiring: Wiring) -> FastAPI:
    """Return the app: `POST /chat`, and `POST /chat/logged` with the bug."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=None, limits=limits, trust_env=False) as client:
            app.state.client = client
            yield

    app = FastAPI(lifespan=lifespan)

    async def ask(question: Question, number: int) -> AsyncGenerator[bytes, None]:
        body = {
            "model": wiring.model or "unknown",
            "messages": [{"role": "user", "content": question.text}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        headers = {"x-demo-stream": str(number), "accept-encoding": "identity"}
        async with app.state.client.stream("POST", wiring.upstream, json=body, headers=headers) as response:
            response.raise_for_status()
            async for chunk in response.aiter_raw():
                yield chunk

    def traced_answer(question: Question, number: int) -> AsyncGenerator[bytes, None]:
        stream: Any = firsttoken.trace_stream(ask(question, number), model=wiring.model)
        wiring.traced(number, stream.trace_id, stream.span_id)
        return stream  # type: ignore[no-any-return]  # what `trace_stream` returns for a generator is one

    def respond(stream: AsyncGenerator[bytes, None]) -> StreamingResponse:
        answer = apologize(stream) if wiring.content_type == "text/event-stream" else stream
        return StreamingResponse(answer, media_type=wiring.content_type)

    @app.post("/chat")
    async def chat(question: Question, number: StreamNumber) -> StreamingResponse:
        return respond(traced_answer(question, number))

    @app.post("/chat/logged")
    async def chat_logged(question: Question, number: StreamNumber) -> StreamingResponse:
        return respond(logged(traced_answer(question, number)))

    async def logged(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        saved_s = time.monotonic()
        async for chunk in stream:
            yield chunk
            if time.monotonic() - saved_s >= wiring.log_every_s:
                save_log(wiring.log_takes_s)
                saved_s = time.monotonic()

    return app


def save_log(takes_s: float) -> None:
    """Write a log the wrong way: on the event loop's own thread, while every other stream waits."""
    # In place of a write to a slow network disk; `await anyio.to_thread.run_sync(...)` would mend it.
    time.sleep(takes_s)


async def apologize(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Hand a stream on; should the model break off, tell the client so, and end in good order."""
    try:
        async for chunk in stream:
            yield chunk
    except httpx.HTTPError:
        yield b'event: error\ndata: {"error": "the model broke off"}\n\n'
