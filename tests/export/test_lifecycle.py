"""Forks and exits: every process delivers what ended in it, once, without being asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.export import collector as c
from tests.export.collector import Collector

HEAD = """
import atexit, multiprocessing, os, sys
from opentelemetry.sdk.trace import TracerProvider
from firsttoken.export import StreamSpanProcessor
from tests.export.faults import end_spans
ours = StreamSpanProcessor(sys.argv[1], schedule_delay_s=60, spool_dir=sys.argv[2] or None)
"""


def run(script: str, url: str, spool_dir: Path | str = "") -> float:
    """Run a script to its end; return how long it took."""
    begin = time.perf_counter()
    # Forking with threads is what is tested; 3.12 and later warn of it.
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", HEAD + script]
    done = subprocess.run([*command, url, str(spool_dir)], capture_output=True, text=True, timeout=60)
    unexpected = [line for line in done.stderr.splitlines() if not line.startswith("firsttoken: export: ")]
    assert (done.returncode, unexpected) == (0, [])
    return time.perf_counter() - begin


def received(collector: Collector) -> Counter[int]:
    return Counter(int.from_bytes(told.span_id, "big") for told in collector.accepted)


@pytest.mark.parametrize(
    "script",
    [
        "end_spans(ours, 3)",
        "provider = TracerProvider(); provider.add_span_processor(ours); end_spans(ours, 3)",
        "end_spans(ours, 3); raise SystemExit(0)",
        "end_spans(ours, 1); atexit.register(end_spans, ours, 2, 2)",
        "atexit.register(end_spans, ours, 3)",
    ],
    ids=["bare", "provider", "SystemExit", "while exiting", "only while exiting"],
)
def test_what_ended_is_exported_though_nobody_called_shutdown(script: str) -> None:
    with Collector() as collector:
        run(script, collector.url)
        assert received(collector) == {1: 1, 2: 1, 3: 1}


def test_a_collector_that_hangs_delays_an_exit_by_the_default_deadline_at_most(tmp_path: Path) -> None:
    with Collector() as collector:
        without = run("", collector.url)
        collector.default = c.hang
        assert run("end_spans(ours, 3)", collector.url, tmp_path) < without + 2 + 1
    assert sum(path.read_bytes().count(b"\n") for path in tmp_path.glob("*.jsonl")) == 3


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
def test_parent_and_child_both_export_and_nothing_twice() -> None:
    script = """
end_spans(ours, 1, first=1)
assert ours.flush(30)
end_spans(ours, 1, first=2)
child = os.fork()
if child == 0:
    assert ours.statistics().ended == 0
    end_spans(ours, 1, first=3)
    ok = ours.flush(30) and ours.statistics().accepted == 1
    os._exit(0 if ok else 1)
end_spans(ours, 1, first=4)
assert ours.flush(30)
assert os.waitpid(child, 0)[1] == 0
assert ours.statistics().accepted == 3
"""
    with Collector() as collector:
        run(script, collector.url)
        assert received(collector) == {1: 1, 2: 1, 3: 1, 4: 1}


@needs_fork
def test_a_fork_while_a_request_is_in_flight_leaves_it_to_the_parent(tmp_path: Path) -> None:
    script = """
end_spans(ours, 1, first=1)
ours.flush(0.3)
child = os.fork()
if child == 0:
    end_spans(ours, 1, first=2)
    os._exit(0 if ours.flush(30) else 1)
assert os.waitpid(child, 0)[1] == 0
assert ours.flush(30)
"""
    with Collector() as collector:
        collector.then(c.status(503), c.status(503))
        run(script, collector.url)
        assert received(collector) == {1: 1, 2: 1}


@needs_fork
def test_parent_and_child_spool_into_files_of_their_own(tmp_path: Path) -> None:
    script = """
end_spans(ours, 2, first=1)
assert ours.flush(30)
child = os.fork()
if child == 0:
    end_spans(ours, 2, first=3)
    ok = ours.flush(30)
    ours.shutdown()
    os._exit(0 if ok else 1)
end_spans(ours, 2, first=5)
assert ours.flush(30)
assert os.waitpid(child, 0)[1] == 0
"""
    with Collector(default=c.status(503)) as collector:
        run(script, collector.url, tmp_path)
    files = [path.read_bytes().count(b"\n") for path in sorted(tmp_path.iterdir())]
    assert sorted(files) == [2, 4]


@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_child_delivers_before_it_ends(method: str, tmp_path: Path) -> None:
    # Only forked children are cheap; many of them fork while the parent's thread is busy.
    firsts = range(101, 117, 2) if method == "fork" else (101, 103)
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import multiprocessing, sys
from firsttoken.export import StreamSpanProcessor
from tests.export.faults import end_spans
ours = StreamSpanProcessor(sys.argv[1], schedule_delay_s=60)
def work(first):
    end_spans(ours, 2, first)
if __name__ == "__main__":
    end_spans(ours, 1, first=9)
    process = multiprocessing.get_context("{method}").Process
    children = [process(target=work, args=(first,)) for first in {firsts}]
    for child in children: child.start()
    for child in children: child.join()
"""
    )
    with Collector() as collector:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", str(program), collector.url]
        environ = {**os.environ, "PYTHONPATH": os.getcwd()}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
        assert (done.returncode, done.stderr) == (0, "")
        expected = [9, *(first + more for first in firsts for more in (0, 1))]
        assert received(collector) == Counter(expected)


def test_importing_the_package_loads_no_http_client_and_no_protobuf() -> None:
    heavy = ("httpx", "httpcore", "google.protobuf", "rich", "requests")
    script = f"import sys, firsttoken.export; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
