"""`firsttoken demo` as a user runs it: real processes, sockets and time.

Each run takes seconds, so they are started once, side by side where time does not matter, and looked at by
many tests. Nothing here depends on how long something took, only on what was told.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from firsttoken.cli._wire import scripted, scripted_tokens

from .runs import CORPUS, SHARED, Run, answering, start


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
