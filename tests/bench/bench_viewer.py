"""What the viewer takes: spans a second over loopback, and how its list answers meanwhile.

    python tests/bench/bench_viewer.py [--json] [--seconds 10] [--rate 10000]

The viewer runs in a process of its own, as a user starts it; requests of 500 spans, one in five of them a
stream of 200 chunks, are made beforehand and sent at an even pace, each answered only after its commit.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

sys.path.insert(0, str(Path(__file__).parent))
from _report import Row, parser, report

from firsttoken._think.timeline import encode_timeline

SPANS = 500
TRACE = 5
SENDERS = 4
LIST = "/api/streams?limit=200"
_PAGE_S = 0.25


def main() -> int:
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--rate", type=int, default=10_000, help="spans a second")
    options = arguments.parse_args()
    bodies = [request(random.Random(seed)) for seed in range(int(options.seconds * options.rate / SPANS))]
    with viewer() as (port, process):
        post(port, request(random.Random(-1)))
        idle = list_times(port, threading.Event(), least=30)
        ended = threading.Event()
        asked: list[float] = []
        asker = threading.Thread(target=lambda: asked.extend(list_times(port, ended)))
        asker.start()
        before_s = cpu_s(process)
        took = send(port, bodies, SPANS / options.rate)
        spent_s = cpu_s(process) - before_s
        ended.set()
        asker.join()
        flat_out = send(port, bodies, 0.0)
    rate = len(bodies) * SPANS / took
    rows = [
        Row("a list of 200 streams, idle, median", f"{median(idle) * 1e3:.1f} ms", 1.0),
        Row(
            "accepted while the list is asked for",
            f"{rate:,.0f} spans/s",
            rate / options.rate,
            bound=0.97,
            at_least=True,
        ),
        Row(
            "the same list meanwhile, median", f"{median(asked) * 1e3:.1f} ms", median(asked) / median(idle)
        ),
        Row(
            "the same, 95th percentile",
            f"{rank(asked, 0.95) * 1e3:.1f} ms",
            rank(asked, 0.95) / median(idle),
        ),
        Row("CPU of the viewer, lists included", f"{spent_s / len(bodies) / SPANS * 1e6:.0f} µs a span"),
        Row(
            "accepted as fast as they come, again (all of them duplicates)",
            f"{len(bodies) * SPANS / flat_out:,.0f} spans/s",
            len(bodies) * SPANS / flat_out / options.rate,
        ),
    ]
    return report("viewer", rows, as_json=options.json)


@contextmanager
def viewer() -> Iterator[tuple[int, int]]:
    """Run a viewer; yield its port and its process id."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["view", "--port", "0", "--db", str(Path(directory) / "bench.db"), "--until-stdin-ends"]
        process = subprocess.Popen(
            [sys.executable, "-m", "firsttoken", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().rstrip("/\n").rpartition(":")[2]), process.pid
        finally:
            process.stdin.close()
            process.wait(30)
            process.stdout.close()


def cpu_s(process: int) -> float:
    """Return the CPU time of a process so far (s); 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request(rng: random.Random) -> bytes:
    """Return a request of `SPANS` spans, `TRACE` of them in each trace."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    attribute(group.resource.attributes.add(), "service.name", "bench")
    spans = group.scope_spans.add().spans
    now_ns = time.time_ns()
    for _ in range(SPANS // TRACE):
        trace_id, parent = rng.randbytes(16), b""
        for index in range(TRACE):
            span = spans.add(trace_id=trace_id, span_id=rng.randbytes(8), parent_span_id=parent, kind=2)
            span.name, span.start_time_unix_nano = f"step {index}", now_ns
            span.end_time_unix_nano = now_ns + 4_000_000_000
            parent = parent or span.span_id
            for number in range(8):
                attribute(span.attributes.add(), f"some.attribute.{number}", f"value {number}")
            if index == 0:
                attribute(span.attributes.add(), "http.route", "/chat")
            if index == TRACE - 1:
                tell(span, rng, now_ns)
    return bytes(message.SerializeToString())


def tell(span: object, rng: random.Random, now_ns: int) -> None:
    """Make a span a stream's."""
    arrivals, at_ns = [], now_ns + 300_000_000
    for _ in range(200):
        arrivals.append(at_ns)
        at_ns += rng.randrange(5_000_000, 35_000_000)
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": f"model-{rng.randrange(4)}",
        "firsttoken.outcome": "completed",
        "firsttoken.timeline": encode_timeline(arrivals, now_ns, lambda: None),
    }
    numbers = {
        "firsttoken.wait": 3.5,
        "firsttoken.hold": 0.1,
        "firsttoken.loop_blocked": 0.0,
        "firsttoken.stall.threshold": 1.0,
        "firsttoken.time_to_first_token": rng.uniform(0.2, 0.9),
        "firsttoken.gap.p95": rng.uniform(0.02, 0.09),
        "firsttoken.gap.max": rng.uniform(0.1, 2.0),
        "firsttoken.tokens_per_second": rng.uniform(20, 90),
    }
    for key, value in said.items():
        attribute(span.attributes.add(), key, value)  # type: ignore[attr-defined]
    for key, number in numbers.items():
        pair = span.attributes.add(key=key)  # type: ignore[attr-defined]
        pair.value.double_value = number
    for name in ("firsttoken.first_token", "firsttoken.stall", "firsttoken.done"):
        span.events.add(name=name, time_unix_nano=now_ns + 300_000_000)  # type: ignore[attr-defined]


def attribute(pair: object, key: str, value: str) -> None:
    pair.key, pair.value.string_value = key, value  # type: ignore[attr-defined]


def send(port: int, bodies: list[bytes], every_s: float) -> float:
    """Send all requests from a few connections, one each `every_s`; return how long it took (s)."""
    queue = iter(enumerate(bodies))
    lock = threading.Lock()
    began_s = time.perf_counter()

    def run() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with lock:
                number, body = next(queue, (0, None))
            if body is None:
                return connection.close()
            time.sleep(max(0.0, began_s + number * every_s - time.perf_counter()))
            post(port, body, connection)

    senders = [threading.Thread(target=run) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return time.perf_counter() - began_s


def post(port: int, body: bytes, connection: HTTPConnection | None = None) -> None:
    connection = connection or HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200 or said:
        raise SystemExit(f"the viewer answered {answer.status}: {said!r}")


def list_times(port: int, ended: threading.Event, least: int = 1) -> list[float]:
    """Ask for the list again and again; return how long each answer took (s)."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    times: list[float] = []
    while len(times) < least or (least == 1 and not ended.is_set()):
        began_s = time.perf_counter()
        connection.request("GET", LIST)
        connection.getresponse().read()
        times.append(time.perf_counter() - began_s)
        # As often as a page asks while spans come.
        ended.wait(_PAGE_S)
    connection.close()
    return times


def rank(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    sys.exit(main())
