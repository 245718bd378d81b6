"""Writes the fault table of the package's RELIABILITY.md from a run of every fault, ours and stock.

    python -m tests.export.reliability --write

Takes some minutes: everybody gets five seconds for each fault, and some need them.
"""

from __future__ import annotations

import argparse
import logging
import math
import tempfile
from pathlib import Path

import firsttoken.export
from tests.export.faults import FAULTS, SPANS, Fault, Result, run_ours, run_stock

TIMEOUT_S = 5.0
PAGE = Path(firsttoken.export.__file__).with_name("RELIABILITY.md")

#: Faults that need more than one collector, and the test that has each.
ELSEWHERE: tuple[tuple[str, str, str, str], ...] = (
    (
        "collector restarts in the middle of a run",
        "everything arrives",
        "test_processor",
        "test_a_collector_that_restarts_gets_everything",
    ),
    (
        "collector is back after an outage, with a spool",
        "the spool is sent and removed",
        "test_resend",
        "test_when_the_collector_is_back_the_spool_is_sent",
    ),
    (
        "disk full under the spool",
        "spans wait in memory until it has room",
        "test_spool",
        "test_a_full_disk_keeps_spans_waiting_until_it_has_room",
    ),
    (
        "spool directory not writable",
        "spans wait; at shutdown dropped and counted",
        "test_spool",
        "test_an_unwritable_spool_is_counted_at_shutdown",
    ),
    (
        "torn last line in a spool file",
        "the line is counted, all others are sent",
        "test_spool",
        "test_a_torn_last_line_is_counted_and_the_others_are_sent",
    ),
    (
        "a damaged line in a spool file",
        "the line is counted, all others are sent",
        "test_resend",
        "test_a_damaged_line_is_counted_and_what_lies_around_and_behind_it_is_sent",
    ),
    (
        "process killed with SIGKILL while spooling",
        "the next process sends its spans",
        "test_spool",
        "test_a_process_killed_while_spooling_leaves_its_spans_to_the_next",
    ),
    (
        "interpreter exits without shutdown",
        "what ended is exported or spooled",
        "test_lifecycle",
        "test_what_ended_is_exported_though_nobody_called_shutdown",
    ),
    (
        "the same, and the collector hangs",
        "the exit takes two seconds at most",
        "test_lifecycle",
        "test_a_collector_that_hangs_delays_an_exit_by_the_default_deadline_at_most",
    ),
    (
        "fork while a request is in flight",
        "parent and child both export, nothing twice",
        "test_lifecycle",
        "test_a_fork_while_a_request_is_in_flight_leaves_it_to_the_parent",
    ),
    (
        "stock exporter hangs (`exporter=`)",
        "no caller waits over its deadline",
        "test_stock",
        "test_a_stock_exporter_that_hangs_keeps_nobody_waiting",
    ),
)

TEXT = f"""# What happens when the collector does not

Written by `python -m tests.export.reliability --write`; `tests/export/test_reliability.py` checks it.

Each row: {SPANS} spans ended, then `flush`, then `shutdown`, {TIMEOUT_S:.0f} s for each, against a real
server on loopback that misbehaves. The stock column is `BatchSpanProcessor` with the OTLP/HTTP exporter
and the same timeout. "accepted" is what the collector had in the end (for ours: what we count as
accepted); "said" is what `flush` returned; times are of `flush` and of `shutdown`, in seconds.

"""

RULES = """
## The rules behind the table

- **At least once.** A request whose answer was lost is sent again; a collector may see a span twice,
  with the same ids. A 2xx status is the collector's word: if the body after it never comes, the spans
  count as accepted and the answer as unread (`unread_answers`).
- **Retried**: connection faults, timeouts, TLS and DNS errors, 429, 502, 503, 504; waits double from 1
  s to 30 s with jitter, `Retry-After` is honoured up to 5 minutes. **Final**: every other status, 3xx
  included; redirects are not followed.
- **413** halves requests until the server takes them, the spool's as well; every five minutes they may
  be twice as large again.
- **Without a spool** spans wait in memory, at most `queue_bytes` (64 MiB), and are dropped by value:
  event detail, healthy spans, and last errors, slow first tokens and streams that did not complete.
- **With a spool** (`spool_dir` or `FIRSTTOKEN_SPOOL_DIR`) spans go to disk after three failures in a
  row, or at once when somebody waits in `flush` or `shutdown`. A wrong path or key (3xx, 401, 404, ...)
  is a matter for people: those spans are spooled as well. Only 400 and what the collector rejects by
  itself is lost.
- **A deadline is a deadline.** `flush` and `shutdown` wait for the export thread's answer, never for a
  socket. The last quarter of the time (half a second at most) is kept to put what is left where it is
  safe. With a collector that is down `shutdown` makes one try and gives up; with one that asked for more
  patience than there is time (`Retry-After`) it makes none.
- **True is true.** `flush` returns True only if everything that ended since the last flush was accepted
  or spooled.
- **Spool files** are OTLP JSON, one span a line of at most 1 MiB, `*.jsonl.part` while they grow,
  `*.jsonl` when they are finished; 256 MiB by default, oldest dropped and counted. A line is handed to
  the operating system when it is written, so it survives the process; a finished file is synced, so it
  survives the machine. A stock collector can read them with `otlp_json_file: {include: [DIR/*.jsonl]}`;
  then pass `resend_spool=False`, so that nothing is sent twice. `firsttoken replay DIR` sends them by
  hand.
- **Counted.** `firsttoken.export.statistics()` and the `otel.sdk.processor.span.processed` and
  `otel.sdk.exporter.span.exported` metrics say what became of every span: ended = accepted + spooled +
  dropped + waiting.
"""

HEAD = (
    "| fault | stock: accepted | said | took | ours: accepted | dropped | said | took "
    "| with a spool: accepted | spooled | dropped | said | took |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | --- | ---: |\n"
)


def took(result: Result) -> str:
    if result.flush_s == math.inf:
        return "over 15"
    return f"{result.flush_s:.1f} + {result.shutdown_s:.1f}"


def row(fault: Fault) -> str:
    """Run one fault in all three ways."""
    stock = run_stock(fault, TIMEOUT_S)
    bare = run_ours(fault, None, TIMEOUT_S)
    with tempfile.TemporaryDirectory() as directory:
        spooled = run_ours(fault, Path(directory), TIMEOUT_S)
    cells: list[object] = [fault.name, len(stock.received), stock.flushed, took(stock)]
    for result in (bare, spooled):
        counts = result.statistics
        assert counts is not None
        cells += [counts.accepted, *([counts.spooled] if result is spooled else [])]
        cells += [sum(counts.dropped.values()), result.flushed, took(result)]
    return "| " + " | ".join(map(str, cells)) + " |\n"


def page() -> str:
    """Run everything and return the page."""
    rows = []
    for fault in FAULTS:
        rows.append(row(fault))
        print(rows[-1], end="", flush=True)
    more = "".join(
        f"| {fault} | {promise} | `tests/export/{module}.py::{test}` |\n"
        for fault, promise, module, test in ELSEWHERE
    )
    return (
        TEXT + HEAD + "".join(rows) + "\nFaults that take more than a server, each a test of its own:\n\n"
        "| fault | what ours does | test |\n| --- | --- | --- |\n" + more + RULES
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}, in place of printing")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    made = page()
    if options.write:
        PAGE.write_text(made)
    else:
        print(made)


if __name__ == "__main__":
    main()
