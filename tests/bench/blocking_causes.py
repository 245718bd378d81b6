"""Ways to block an event loop for 100 ms or a little more, for the benchmarks of the loop monitor."""

from __future__ import annotations

import ast
import ctypes
import functools
import gc
import http.server
import inspect
import json
import os
import re
import subprocess
import tempfile
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable

BLOCK_S = 0.12


def sleeps() -> None:
    time.sleep(BLOCK_S)


def writes_a_file() -> None:
    end = time.perf_counter() + BLOCK_S
    with tempfile.TemporaryFile() as file:
        while time.perf_counter() < end:
            file.write(b"x" * 65536)
            file.flush()
            os.fsync(file.fileno())


def computes() -> None:
    end, count = time.perf_counter() + BLOCK_S, 0
    while time.perf_counter() < end:
        count += 1


def computes_through_a_library() -> None:
    end = time.perf_counter() + BLOCK_S
    while time.perf_counter() < end:
        textwrap.fill("all work and no play " * 20)


def backtracks() -> None:
    re.match(r"(a+)+b", "a" * regex_length())


def parses_json() -> None:
    json.loads(big_json())


def calls_http() -> None:
    urllib.request.urlopen(server_url()).read()


def runs_a_process() -> None:
    subprocess.run(["sleep", str(BLOCK_S)], check=True)


def waits_for_a_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=BLOCK_S)


def holds_the_interpreter_asleep() -> None:
    ctypes.PyDLL(None).usleep(int(BLOCK_S * 1e6))


def collects_garbage() -> None:
    gc.collect()


def starts_a_thread_that_backtracks() -> None:
    threading.Thread(target=backtracks).start()


KINDS: dict[Callable[[], None], str] = {
    sleeps: "io",
    writes_a_file: "io",
    computes: "cpu",
    computes_through_a_library: "cpu",
    backtracks: "cpu",
    parses_json: "cpu",
    calls_http: "io",
    runs_a_process: "io",
    waits_for_a_lock: "io",
    holds_the_interpreter_asleep: "gil_or_cpu_wait",
    starts_a_thread_that_backtracks: "gil_or_cpu_wait",
    collects_garbage: "gc",
}


@functools.cache
def regex_length() -> int:
    return next(n for n in range(16, 99) if _fastest(re.match, r"(a+)+b", "a" * n) >= BLOCK_S)


@functools.cache
def big_json() -> str:
    text = json.dumps([{"id": n, "name": "x" * 20} for n in range(10_000)])
    texts = ("[" + ",".join([text] * times) + "]" for times in range(1, 99))
    return next(longer for longer in texts if _fastest(json.loads, longer) >= BLOCK_S)


def _fastest(work: Callable[..., object], *arguments: object) -> float:
    """Return the shortest of a few durations (s): what the work takes when nobody else is in the way."""
    spent = []
    for _ in range(3):
        begin = time.perf_counter()
        work(*arguments)
        spent.append(time.perf_counter() - begin)
    return min(spent)


class _Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        threading.Event().wait(BLOCK_S)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@functools.cache
def server_url() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


_heap: list[list[object]] = []


def grow_heap() -> None:
    gc.disable()
    while True:
        _heap.extend([[] for _ in range(200_000)])
        if _fastest(gc.collect) > BLOCK_S:
            break
    gc.enable()


def blocking_lines(cause: Callable[[], None]) -> set[int]:
    """Return the lines that block: of the outermost loop if there is one, else all but the signature."""
    source, first = inspect.getsourcelines(cause)
    body = ast.parse("".join(source)).body[0]
    blocks: list[ast.AST] = [node for node in ast.walk(body) if isinstance(node, ast.While)] or [body]
    begin, end = blocks[0].lineno, blocks[0].end_lineno  # type: ignore[attr-defined]
    return set(range(first + begin - 1 + (blocks[0] is body), first + end))
