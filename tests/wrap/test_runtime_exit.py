"""The runtime at the end of a process, and across a fork: each stream told by one process, once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from typing import Any

import pytest

PREAMBLE = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
import firsttoken
from firsttoken import trace_stream

class Line(SpanExporter):
    "One write a span: name and outcome."
    def export(self, spans):
        for span in spans:
            os.write(1, f"{span.name} {span.attributes.get('firsttoken.outcome')}\\n".encode())
        return SpanExportResult.SUCCESS

def traced_by(processor):
    provider = TracerProvider()
    provider.add_span_processor(processor(Line()))
    trace.set_tracer_provider(provider)

def exhausted(name):
    for _ in trace_stream(iter("abc"), name=name):
        pass
"""


def told(program: str, *options: str, **environment: str) -> Counter[str]:
    """Run a program that traces and return the lines of its exporter."""
    source = PREAMBLE + textwrap.dedent(program)
    run = subprocess.run(
        [sys.executable, *options, "-c", source],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr, run.stderr
    return Counter(run.stdout.splitlines())


@pytest.mark.parametrize("processor", ["SimpleSpanProcessor", "BatchSpanProcessor"])
def test_an_exit_without_shutdown_tells_what_ended_and_what_runs(processor: str) -> None:
    program = f"""
        traced_by({processor})
        exhausted("ended")
        live = trace_stream(iter("abc"), name="live")
        next(live)
    """
    assert told(program) == {"ended completed": 1, "live interrupted": 1}


def test_a_provider_made_after_the_first_stream_is_told_as_well() -> None:
    program = """
        exhausted("before")
        traced_by(BatchSpanProcessor)
        exhausted("after")
    """
    assert told(program) == {"after completed": 1}


def test_a_provider_made_while_another_one_is_in_use_is_told_as_well() -> None:
    program = """
        traced_by(BatchSpanProcessor)
        exhausted("first")
        other = TracerProvider()
        other.add_span_processor(BatchSpanProcessor(Line()))
        for _ in trace_stream(iter("abc"), name="second", tracer_provider=other):
            pass
    """
    assert told(program) == {"first completed": 1, "second completed": 1}


def test_a_shutdown_before_the_exit_makes_it_no_longer() -> None:
    program = """
        import time
        traced_by(BatchSpanProcessor)
        exhausted("ended")
        assert firsttoken.shutdown(10)
        from firsttoken._wrap import process
        process.EXIT_TIMEOUT_S = 120
        began = time.perf_counter()
        process.leave()
        assert time.perf_counter() - began < 60
    """
    assert told(program) == {"ended completed": 1}


def test_an_exit_by_exception_tells_the_stream_it_left() -> None:
    program = """
        traced_by(BatchSpanProcessor)
        def leave():
            for _ in trace_stream(iter("abc"), name="left"):
                raise SystemExit(0)
        leave()
    """
    assert told(program) == {"left abandoned": 1}


def test_a_collector_that_hangs_does_not_hold_up_the_exit_of_our_own() -> None:
    program = """
        import time
        class Hanging(SpanExporter):
            def export(self, spans):
                time.sleep(120)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(Hanging()))
        trace.set_tracer_provider(provider)
        exhausted("ended")
        began = time.perf_counter()
        assert not firsttoken.shutdown(0.2)
        assert time.perf_counter() - began < 60
        os._exit(0)
    """
    assert told(program) == {}


def test_the_console_exporter_of_the_environment_gets_its_spans_at_exit() -> None:
    program = """
        firsttoken.configure()
        exhausted("ended")
    """
    lines = told(program, OTEL_TRACES_EXPORTER="console")
    assert any('"name": "ended"' in line for line in lines)


@pytest.mark.parametrize("pieces", ["-X dev", "-O"])
def test_it_runs_in_other_modes_of_the_interpreter(pieces: str) -> None:
    program = """
        traced_by(BatchSpanProcessor)
        exhausted("ended")
    """
    assert told(program, *pieces.split()) == {"ended completed": 1}


FORKING = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


@FORKING
@pytest.mark.parametrize("leave", ["sys.exit(0)", "firsttoken.flush(10); os._exit(0)"])
def test_parent_and_child_each_tell_their_own_streams(leave: str) -> None:
    program = f"""
        traced_by(SimpleSpanProcessor)
        exhausted("before")
        live = trace_stream(iter("abc"), name="the parent's")
        next(live)
        firsttoken.flush(10)
        child = os.fork()
        if child == 0:
            exhausted("the child's")
            {leave}
        assert os.waitpid(child, 0)[1] == 0
        list(live)
        exhausted("after")
    """
    assert told(program) == {
        "before completed": 1,
        "the child's completed": 1,
        "the parent's completed": 1,
        "after completed": 1,
    }


@FORKING
def test_a_child_that_goes_on_with_the_parents_stream_tells_it_not_again() -> None:
    program = """
        traced_by(SimpleSpanProcessor)
        live = trace_stream(iter(range(5)), name="shared")
        next(live)
        firsttoken.flush(10)
        child = os.fork()
        if child == 0:
            assert list(live) == [1, 2, 3, 4]
            live.summary
            exhausted("the child's")
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert list(live) == [1, 2, 3, 4]
    """
    assert told(program) == {"shared completed": 1, "the child's completed": 1}


@FORKING
def test_a_child_takes_the_marks_of_the_parents_stream_away_and_tells_nothing_of_it() -> None:
    program = """
        traced_by(SimpleSpanProcessor)
        live = trace_stream(iter(range(5)), name="shared")
        next(live)
        firsttoken.flush(10)
        child = os.fork()
        if child == 0:
            assert list(live) == [1, 2, 3, 4]
            assert live._self_live.record.marks
            assert live.summary is None
            exhausted("the child's")
            firsttoken.flush(10)
            assert live._self_live.record.marks == []
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert list(live) == [1, 2, 3, 4]
        assert live.summary.chunk_count == 5
    """
    assert told(program) == {"shared completed": 1, "the child's completed": 1}


@FORKING
def test_a_child_never_waits_for_a_stream_that_the_parent_was_thinking_about() -> None:
    program = """
        traced_by(SimpleSpanProcessor)
        live = trace_stream(iter(range(5)), name="shared")
        next(live)
        firsttoken.flush(10)
        live._self_live._lock.acquire()
        child = os.fork()
        if child == 0:
            assert list(live) == [1, 2, 3, 4]
            live.summary
            exhausted("the child's")
            sys.exit(0)
        live._self_live._lock.release()
        assert os.waitpid(child, 0)[1] == 0
        assert list(live) == [1, 2, 3, 4]
    """
    assert told(program) == {"shared completed": 1, "the child's completed": 1}


@FORKING
def test_a_child_forked_after_a_shutdown_traces_after_configure() -> None:
    program = """
        traced_by(SimpleSpanProcessor)
        exhausted("before")
        assert firsttoken.shutdown(10)
        child = os.fork()
        if child == 0:
            firsttoken.configure()
            exhausted("the child's")
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    assert told(program) == {"before completed": 1, "the child's completed": 1}


@FORKING
def test_a_child_forked_after_a_shutdown_lets_streams_pass() -> None:
    program = """
        traced_by(SimpleSpanProcessor)
        exhausted("before")
        assert firsttoken.shutdown(10)
        child = os.fork()
        if child == 0:
            exhausted("the child's")
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    assert told(program) == {"before completed": 1}


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_multiprocessing_child_tells_its_streams(method: Any, tmp_path: Any) -> None:
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("no fork on this platform")
    script = tmp_path / "children.py"
    script.write_text(
        PREAMBLE
        + textwrap.dedent(f"""
        import multiprocessing

        def work():
            traced_by(BatchSpanProcessor)
            exhausted("the child's")

        if __name__ == "__main__":
            child = multiprocessing.get_context("{method}").Process(target=work)
            child.start()
            child.join()
            assert child.exitcode == 0
        """)
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["the child's completed"]
