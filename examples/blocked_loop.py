"""One slow line, a hundred slow chats: find the line, and mend it.

python examples/blocked_loop.py            # 100 clients, about 25 seconds
python examples/blocked_loop.py --quick    # the same with 30 clients, in a few seconds

A FastAPI service streams answers. Inside the generator it saves a line to a database with a driver that
blocks. The service and its clients run in processes of their own, over real sockets; the service is run
twice, with the line as it is, and mended.
"""

from __future__ import annotations

import linecache
import multiprocessing
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from _show import exporter
from anyio.abc import SocketStream
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import firsttoken

FIRST_TOKEN_S = 0.15
TOKEN_S = 0.05
TOKENS = 20
DATABASE_S = 0.15


# --- the service ----------------------------------------------------------------------------------------


async def model_stream() -> AsyncIterator[str]:
    """Stand in for a provider: the first token after 0.15 s, then one every 0.05 s."""
    await anyio.sleep(FIRST_TOKEN_S)
    for _ in range(TOKENS):
        yield "token"
        await anyio.sleep(TOKEN_S)


def save_line(database: int) -> None:
    """Save a line as a blocking driver does: send it, and wait until the database has it."""
    with socket.create_connection(("127.0.0.1", database)) as connection:
        connection.sendall(b"INSERT INTO log VALUES ('the first token came')\n")
        connection.recv(2)


def service(database: int, mended: bool) -> FastAPI:
    """Return the app. `mended` is the whole difference between the two runs."""
    app = FastAPI()

    async def answer() -> AsyncIterator[str]:
        saved = False
        async for token in firsttoken.trace_stream(model_stream(), model="demo-model", provider="example"):
            yield f"data: {token}\n\n"
            if not saved and mended:
                await anyio.to_thread.run_sync(save_line, database)
            elif not saved:
                save_line(database)
            saved = True

    @app.get("/chat")
    async def chat() -> StreamingResponse:
        return StreamingResponse(answer(), media_type="text/event-stream")

    return app


def serve(parent: Connection, database: int, mended: bool) -> None:
    """Run the service in this process until the parent says stop; send it what firsttoken says."""
    firsttoken.configure(service_name="chat", exporter=exporter, stall_threshold_s=0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        server = uvicorn.Server(uvicorn.Config(service(database, mended), log_level="critical"))
        parent.send(listener.getsockname()[1])

        def stop_when_told() -> None:
            parent.recv()
            server.should_exit = True

        threading.Thread(target=stop_when_told, daemon=True).start()
        server.run(sockets=[listener])
    assert firsttoken.flush(30), "not everything was told in time"
    # FastAPI makes spans of its own, of requests; the streams are ours.
    streams = [span for span in exporter.get_finished_spans() if "firsttoken.outcome" in span.attributes]
    parent.send([_told(span) for span in streams])


def _told(span: Any) -> dict[str, Any]:
    stalls = [dict(event.attributes) for event in span.events if event.name == "firsttoken.stall"]
    return {**span.attributes, "stalls": stalls}


# --- the database and the clients -----------------------------------------------------------------------


async def save_slowly(connection: SocketStream) -> None:
    """Stand in for a busy database: any number of lines at once, each in 0.15 s."""
    async with connection:
        await connection.receive()
        await anyio.sleep(DATABASE_S)
        await connection.send(b"ok")


async def ask(connection: SocketStream, patience_s: float) -> float | None:
    """Ask for an answer and read it; return how long the first word took (s), None if that was too long."""
    asked_s = time.perf_counter()
    async with connection:
        await connection.send(b"GET /chat HTTP/1.1\r\nhost: chat\r\nconnection: close\r\n\r\n")
        received = b""
        with anyio.move_on_after(patience_s):
            while b"data:" not in received:
                received += await connection.receive()
        if b"data:" not in received:
            return None
        first_s = time.perf_counter() - asked_s
        with anyio.move_on_after(60):
            async for _ in connection:
                pass
    return first_s


async def load(port: int, clients: int, patience_s: float) -> list[float | None]:
    """Let all clients ask at once; return what `ask` returned for each."""
    connections = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(clients)]
    first_words: list[float | None] = []

    async def one(connection: SocketStream) -> None:
        first_words.append(await ask(connection, patience_s))

    async with anyio.create_task_group() as tasks:
        for connection in connections:
            tasks.start_soon(one, connection)
    return first_words


# --- the story ------------------------------------------------------------------------------------------


@dataclass
class Run:
    """One run: how long each client waited for its first word, and each stream as firsttoken told it."""

    first_words: list[float | None]
    streams: list[dict[str, Any]]
    patience_s: float

    def rows(self) -> list[tuple[str, str]]:
        """Return the table."""
        waited = sorted(self.patience_s if first is None else first for first in self.first_words)
        gave_up = self.first_words.count(None)
        held_up = [
            stream
            for stream in self.streams
            if any(stall["firsttoken.stall.cause"] == "event_loop" for stall in stream["stalls"])
        ]
        return [
            ("The clients saw", ""),
            ("  first word, half of them within", self._s(statistics.median(waited))),
            ("  first word, 95 % of them within", self._s(waited[int(0.95 * (len(waited) - 1))])),
            ("  first word, the slowest", self._s(waited[-1])),
            (f"  gave up after {self.patience_s:g} s without a word", f"{gave_up} of {len(waited)}"),
            ("firsttoken says", ""),
            ("  held up by the service itself", f"{len(held_up)} of {len(self.streams)} streams"),
            *(_blame(held_up) if held_up else [("  slow line", "none")]),
        ]

    def _s(self, seconds: float) -> str:
        return f"{seconds:.2f} s" if seconds < self.patience_s else f"over {self.patience_s:g} s"


def _blame(held_up: list[dict[str, Any]]) -> list[tuple[str, str]]:
    stalls = [stall for stream in held_up for stall in stream["stalls"] if "code.file.path" in stall]
    (file, line, function, kind), _ = Counter(
        (
            stall["code.file.path"],
            stall["code.line.number"],
            stall["code.function.name"],
            stall["firsttoken.loop_block.kind"],
        )
        for stall in stalls
    ).most_common(1)[0]
    cost = statistics.mean(stream.get("firsttoken.loop_block.share", 0.0) for stream in held_up)
    doing = {"io": "waiting, not computing", "cpu": "computing"}.get(kind, kind)
    return [
        ("  cause", "event_loop"),
        ("  slow line", f"{Path(file).name}:{line} {function}"),
        ("", linecache.getline(file, line).strip()),
        ("  what it did", doing),
        ("  what it cost them", f"{cost:.0%} of their time"),
    ]


async def run(mended: bool, clients: int, patience_s: float) -> Run:
    """Start the database and the service, let the clients ask, and put together what there is to tell."""
    processes = multiprocessing.get_context("spawn")
    ours, theirs = processes.Pipe()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1024) as listener:
        database = listener.extra(anyio.abc.SocketAttribute.local_port)
        process = processes.Process(target=serve, args=(theirs, database, mended))
        process.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, save_slowly)
            port = await anyio.to_thread.run_sync(ours.recv)
            first_words = await load(port, clients, patience_s)
            ours.send("stop")
            streams = await anyio.to_thread.run_sync(ours.recv)
            tasks.cancel_scope.cancel()
    process.join()
    return Run(first_words, streams, patience_s)


def show(title: str, rows: list[tuple[str, str]]) -> None:
    """Print one table."""
    width = max(len(name) for name, _ in rows) + 2
    line = "─" * (width + max(len(value) for _, value in rows))
    print(f"\n{title}\n{line}")
    for name, value in rows:
        print(f"{name:<{width}}{value}".rstrip())
    print(line)


def main() -> None:
    """Tell the story."""
    clients, patience_s = (30, 3.0) if "--quick" in sys.argv else (100, 12.0)
    print(
        f"{clients} people ask a chat service at the same moment. The model's first word takes"
        f" {FIRST_TOKEN_S} s.\nOnce it has come, the service saves a line to a database, which takes"
        f" {DATABASE_S} s."
    )
    before = anyio.run(run, False, clients, patience_s)
    show("1. save_line(...)", before.rows())
    print(
        "\nThe service is one worker for everybody: the event loop. It serves each client a bit at a time,"
        "\nand at that line it stands still until the database has answered. Everybody waits in line."
    )
    after = anyio.run(run, True, clients, patience_s)
    show("2. await anyio.to_thread.run_sync(save_line, ...)", after.rows())
    print("\nThe same clients, the same database: a thread waits for it now, and the worker goes on.")


if __name__ == "__main__":
    main()
