"""`firsttoken demo` as a user runs it: real processes, sockets and time.

Each run takes seconds, so they are started once, side by side where time does not matter, and looked at by
many tests. Nothing here depends on how long something took, only on what was told.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from firsttoken.cli._wire import scripted, scripted_tokens

CORPUS = Path(__file__).parent.parent / "corpus"
SHARED = Path(os.environ.get("FIRSTTOKEN_CORPUS", Path(__file__).parents[3] / "shared" / "streams"))
ENVIRON = {
    name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "FIRSTTOKEN_"))
}
#: Nobody looks for a collector at the usual place: there may be one on the machine that runs the tests.
ALONE = {**ENVIRON, "OTEL_TRACES_EXPORTER": "none"}
TIMEOUT_S = 60


def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "firsttoken", "demo", "--seconds", "4", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**(ENVIRON if environ else ALONE), **environ},
    )


@dataclass(frozen=True)
class Run:
    """A run that is over."""

    code: int
    out: str
    err: str

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> Run:
        out, err = process.communicate(timeout=TIMEOUT_S)
        return cls(process.returncode, out, err)

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def stream(self, client: str) -> dict[str, Any]:
        return next(stream for stream in self.document["streams"] if stream["client"] == client)

    def causes(self, client: str) -> set[str]:
        return {stall["cause"] for stall in self.stream(client)["told"]["stalls"]}


class Handler(BaseHTTPRequestHandler):
    """Takes a request, remembers it, and answers as its server says."""

    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(status: int, answer: bytes = b"") -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.answer = [], (status, answer)
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Any]:
    with answering(200) as server:
        yield server


@pytest.fixture(scope="module")
def run(collector: Any) -> Run:
    """One run of the five roles, with a collector that takes the traces."""
    return Run.of(
        start(
            "--json", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, FIRSTTOKEN_TRACE_URL="http://jaeger/trace/"
        )
    )


# --- the five stories ----------------------------------------------------------------------------------


def test_stdout_has_one_json_document_and_nothing_was_lost(run: Run) -> None:
    assert (run.code, run.err) == (0, "")
    assert run.document["lost"] == []
    assert [stream["client"] for stream in run.document["streams"]] == [
        "healthy", "slow reader", "leaves early", "upstream cut", "blocks loop",
    ]  # fmt: skip


def test_the_healthy_stream_is_complete_with_all_its_numbers(run: Run) -> None:
    stream = run.stream("healthy")
    told = stream["told"]
    assert told["outcome"] == "completed"
    assert told["finish_reasons"] == ["stop"]
    assert 0 < told["time_to_first_chunk_s"] < told["time_to_first_token_s"]
    assert told["output_tokens"] > 20
    assert told["tokens_per_second"] > 1
    assert 0 < told["gap_p50_s"] <= told["gap_p95_s"] <= told["gap_max_s"]
    assert len(told["arrivals_s"]) == told["chunk_count"] == told["chunk_event_count"]
    assert told["sparkline"].strip()
    assert stream["client_saw"]["bytes"] == stream["upstream_saw"]["bytes"]


def test_the_slow_reader_is_the_cause_of_its_own_stall(run: Run) -> None:
    stream = run.stream("slow reader")
    assert stream["told"]["outcome"] == "completed"
    held = [stall for stall in stream["told"]["stalls"] if stall["cause"] == "consumer"]
    assert held
    assert all(stall["hold_s"] > stall["wait_s"] for stall in held)
    assert "consumer" not in run.causes("healthy") | run.causes("blocks loop")


def test_the_client_that_left_is_a_cancelled_stream_and_the_upstream_was_closed(run: Run) -> None:
    stream = run.stream("leaves early")
    gone = {"cancelled"} if sys.version_info >= (3, 11) else {"cancelled", "abandoned"}
    assert stream["told"]["outcome"] in gone
    assert stream["told"]["error_type"] is None
    assert stream["client_saw"]["ended"] == "left"
    assert stream["upstream_saw"]["ended"] == "app left"
    assert stream["told"]["output_tokens"] is None


def test_the_upstream_that_broke_is_a_failed_stream_that_fell_silent_first(run: Run) -> None:
    stream = run.stream("upstream cut")
    assert stream["upstream_saw"]["ended"] == "connection cut"
    assert stream["told"]["outcome"] == "failed"
    assert stream["told"]["error_type"].startswith("httpx.")
    assert stream["told"]["finish_reasons"] == ["error"]
    assert run.causes("upstream cut") & {"provider", "event_loop"}


def test_the_blocked_loop_is_blamed_on_its_line_in_its_own_stream_and_its_neighbours(run: Run) -> None:
    for client in ("blocks loop", "healthy"):
        blamed = [stall for stall in run.stream(client)["told"]["stalls"] if stall["file"]]
        assert blamed, client
        for stall in blamed:
            assert stall["cause"] == "event_loop"
            assert stall["file"].endswith("chat.py")
            assert stall["function"] == "save_log"
            line = Path(stall["file"]).read_text("utf-8").splitlines()[stall["line"] - 1]
            assert "time.sleep(" in line


def test_the_story_names_the_streams_and_the_line(run: Run) -> None:
    story = "\n".join(run.document["story"])
    for piece in (
        "Stream 5 blocked the event loop ",
        " in save_log; it cost stream",
        "Stream 2's reader looked away and held it up for ",
        "Stream 3's client left after ",
        "Stream 4's upstream ",
    ):
        assert piece in story


def test_the_traces_are_sent_and_their_urls_told(run: Run, collector: Any) -> None:
    assert run.document["collector"] == collector.url
    sent: dict[str, int] = {}
    for path, _, body in collector.requests:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = [
                pair.value.string_value
                for pair in resource.resource.attributes
                if pair.key == "service.name"
            ]
            assert names == ["firsttoken-demo"]
            for scope in resource.scope_spans:
                for span in scope.spans if scope.scope.name == "firsttoken" else ():
                    sent[span.trace_id.hex()] = len(span.events)
    for stream in run.document["streams"]:
        told = stream["told"]
        assert stream["trace_url"] == f"http://jaeger/trace/{told['trace_id']}"
        assert sent[told["trace_id"]] > told["chunk_count"]
    assert len(sent) == 5


# --- recorded bodies, real upstreams, losses ------------------------------------------------------------


RECORDINGS = [
    CORPUS / "bedrock-converse-text.eventstream",
    SHARED / "anthropic-messages-thinking.sse",
    SHARED / "cohere-v1chat-text.ndjson",
    SHARED / "google-gemini-array.json",
]


@pytest.fixture(scope="module")
def replays() -> dict[Path, Run]:
    """One run for each recording, side by side."""
    started = {file: start("--json", "--replay", str(file)) for file in RECORDINGS if file.exists()}
    return {file: Run.of(process) for file, process in started.items()}


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.name)
def test_a_recorded_body_of_any_framing_is_told_by_every_client(
    file: Path, replays: dict[Path, Run]
) -> None:
    if not file.exists():
        pytest.skip(f"there is no {file}: set FIRSTTOKEN_CORPUS to the folder of the recorded streams")
    run = replays[file]
    assert (run.code, run.document["lost"]) == (0, [])
    for client in ("healthy", "slow reader", "blocks loop"):
        assert run.stream(client)["told"]["outcome"] == "completed"
        assert run.stream(client)["client_saw"]["bytes"] == file.stat().st_size
    assert run.stream("upstream cut")["told"]["outcome"] == "failed"


@pytest.fixture(scope="module")
def relayed() -> Iterator[dict[int, tuple[Run, Any]]]:
    """One run against a server that speaks the OpenAI wire, one against a server that refuses."""
    body = b"".join(piece.data for piece in scripted(seed=1, number=1, duration_s=2.0))
    with answering(200, body) as real, answering(401, b"{}") as refusing:
        started = {
            server.answer[0]: (
                start(
                    "--json", "--upstream", f"{server.url}/v1", "--model", "some-model", "--seconds", "30",
                    OTEL_TRACES_EXPORTER="none", OPENAI_API_KEY="sk-secret",
                ),
                server,
            )
            for server in (real, refusing)
        }  # fmt: skip
        yield {status: (Run.of(process), server) for status, (process, server) in started.items()}


def test_a_real_upstream_is_asked_with_the_model_and_the_key(relayed: dict[int, tuple[Run, Any]]) -> None:
    run, server = relayed[200]
    assert (run.code, run.document["lost"]) == (0, [])
    for path, headers, body in server.requests:
        assert path == "/v1/chat/completions"
        assert {name.lower(): value for name, value in headers.items()}[
            "authorization"
        ] == "Bearer sk-secret"
        asked = json.loads(body)
        assert (asked["model"], asked["stream"]) == ("some-model", True)
    assert run.stream("healthy")["told"]["output_tokens"] == scripted_tokens(1, 1, 2.0)
    assert run.stream("upstream cut")["told"]["outcome"] == "failed"


def test_a_refusing_upstream_is_a_loss_that_says_why(relayed: dict[int, tuple[Run, Any]]) -> None:
    run, _ = relayed[401]
    assert run.code == 1
    assert len(run.document["lost"]) == 5
    assert all(line.endswith("/v1/chat/completions answered 401") for line in run.document["lost"])
    assert {stream["told"]["outcome"] for stream in run.document["streams"]} == {"failed"}


def test_the_key_is_never_printed(relayed: dict[int, tuple[Run, Any]]) -> None:
    for run, _ in relayed.values():
        assert "sk-secret" not in run.out + run.err


def test_spans_that_a_collector_refuses_are_a_loss() -> None:
    with answering(400) as refusing:
        run = Run.of(
            start(
                "--replay", str(CORPUS / "chat-usage-after-finish.sse"), "--streams", "1",
                OTEL_EXPORTER_OTLP_ENDPOINT=refusing.url,
            )
        )  # fmt: skip
    assert run.code == 1
    assert "LOST  " in run.out
    assert "spans were dropped: rejected" in run.out
    assert "Nothing was lost" not in run.out


# --- how it looks, and how it ends ----------------------------------------------------------------------


def test_without_a_terminal_plain_lines_tell_the_progress_and_the_table() -> None:
    run = Run.of(start("--replay", str(CORPUS / "chat-usage-after-finish.sse")))
    assert (run.code, run.err) == (0, "")
    assert "\x1b" not in run.out
    lines = run.out.splitlines()
    assert lines[0].startswith("firsttoken ")
    assert sum(" s  client " in line for line in lines) == 5
    (header,) = [index for index, line in enumerate(lines) if line.lstrip().startswith("client ")]
    assert lines[header].split()[-5:] == ["tokens", "tok/s", "gap", "gap", "stalls"]
    assert any(line.startswith(" 1 healthy  ") and "·" in line for line in lines)
    assert lines[-1].startswith("Nothing was lost: 5 streams, 5 spans, ")


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
def test_on_a_terminal_the_table_is_live_and_ctrl_c_ends_everything() -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.execve(sys.executable, [sys.executable, "-m", "firsttoken", "demo"], {**ALONE, "TERM": "xterm"})
    output = b""
    children: list[int] = []
    while select.select([terminal], [], [], TIMEOUT_S)[0]:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        output += read
        if not children and b"reading" in output:
            children = children_of(process)
            os.write(terminal, b"\x03")
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"as the clients see it" in output
    assert output.rstrip().endswith(b"firsttoken demo: stopped")
    assert b"Traceback" not in output
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
def test_an_upstream_does_not_outlive_a_demo_that_was_killed() -> None:
    process = start()
    assert process.stdout is not None
    while "client" not in (line := process.stdout.readline()) or " s  client" not in line:
        assert line, "the demo ended before a client was through"
    (child,) = children_of(process.pid)
    watched = os.pidfd_open(child) if hasattr(os, "pidfd_open") else None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=TIMEOUT_S)
    if watched is not None:
        assert select.select([watched], [], [], TIMEOUT_S)[0], "the upstream still runs"
        os.close(watched)
