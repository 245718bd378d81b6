"""The spool keeps what cannot be delivered, through crashes and full disks, and gives it back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from firsttoken.errors import ConfigError
from firsttoken.export import StreamSpanProcessor, _retry, _spool
from firsttoken.export._spool import Spool
from firsttoken.export._statistics import Counts
from tests.export.collector import Collector
from tests.export.faults import end_spans, wait_until
from tests.export.spans import chunk_events, entry, no_pause, span

NOWHERE = "http://127.0.0.1:9/v1/traces"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.01)


opened: list[Spool] = []


@pytest.fixture(autouse=True)
def closed():
    yield
    while opened:
        opened.pop().forget()


def spool_in(directory: Path, limit_bytes: int = 10**9) -> tuple[Spool, Counts]:
    counts = Counts()
    opened.append(Spool(directory, counts, limit_bytes=limit_bytes))
    return opened[-1], counts


def names(directory: Path) -> list[str]:
    return sorted("".join(path.suffixes) for path in directory.iterdir())


def drain(spool: Spool) -> int:
    spans = 0
    while (piece := spool.next_piece(10_000)) is not None:
        assert len(piece.body) <= 10_000 or piece.spans == 1
        spans += piece.spans
        spool.done(piece)
    return spans


def test_a_file_is_a_part_until_it_is_finished_and_then_one_span_a_line(tmp_path: Path) -> None:
    spool, _ = spool_in(tmp_path)
    for number in range(3):
        assert spool.write(entry(number, chunk_events(5)), no_pause)
    assert names(tmp_path) == [".jsonl.part"]
    spool.finish()
    assert names(tmp_path) == [".jsonl"]
    (path,) = tmp_path.iterdir()
    lines = path.read_text().splitlines()
    ids = [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] for line in lines]
    assert ids == [f"{number:016x}" for number in range(3)]


def test_a_finished_file_was_synced_before_it_got_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(names(tmp_path)))
    spool, _ = spool_in(tmp_path)
    spool.write(entry(1), no_pause)
    assert synced == []
    spool.finish()
    assert synced == [[".jsonl.part"]]
    assert names(tmp_path) == [".jsonl"]


def test_what_was_written_comes_back_and_the_files_go(tmp_path: Path) -> None:
    spool, _ = spool_in(tmp_path)
    for number in range(50):
        spool.write(entry(number, chunk_events(5)), no_pause)
    assert spool.has_files
    assert drain(spool) == 50
    assert not spool.has_files
    assert names(tmp_path) == []


def test_a_piece_that_was_not_done_is_read_again(tmp_path: Path) -> None:
    spool, _ = spool_in(tmp_path)
    for number in range(3):
        spool.write(entry(number), no_pause)
    assert spool.next_piece(10**6) == spool.next_piece(10**6)


def test_what_was_not_sent_is_given_back_for_the_next(tmp_path: Path) -> None:
    first, _ = spool_in(tmp_path)
    for number in range(10):
        first.write(entry(number), no_pause)
    piece = first.next_piece(1)
    first.done(piece)
    assert names(tmp_path) == [".jsonl.sending"]
    first.release()
    assert names(tmp_path) == [".jsonl"]
    second, _ = spool_in(tmp_path)
    assert drain(second) == 9


def test_two_processes_never_send_the_same_file(tmp_path: Path) -> None:
    writer, _ = spool_in(tmp_path)
    writer.write(entry(1), no_pause)
    writer.finish()
    one, _ = spool_in(tmp_path)
    other, _ = spool_in(tmp_path)
    assert one.next_piece(10**6) is not None
    assert other.next_piece(10**6) is None


def test_over_its_bound_the_oldest_files_go_and_their_spans_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_spool, "FILE_BYTES", 5_000)
    spool, counts = spool_in(tmp_path, limit_bytes=20_000)
    for number in range(100):
        spool.write(entry(number), no_pause)
    spool.finish()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000
    assert 0 < counts.spool_dropped["spool_full"] < 100
    assert drain(spool) + counts.spool_dropped["spool_full"] == 100


def test_a_torn_last_line_is_counted_and_the_others_are_sent(tmp_path: Path) -> None:
    spool, _ = spool_in(tmp_path)
    for number in range(3):
        spool.write(entry(number), no_pause)
    spool.finish()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    again, counts = spool_in(tmp_path)
    assert drain(again) == 2
    assert counts.spool_dropped == {"torn": 1}
    assert names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_keeps_spans_waiting_until_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Spool._new_part

    def full(self: Spool):
        link = tmp_path / f"{os.urandom(4).hex()}.jsonl.part"
        link.symlink_to("/dev/full")
        self._part = open(str(link), "wb", buffering=0)  # noqa: SIM115
        self._part_bytes = 0
        return self._part

    monkeypatch.setattr(Spool, "_new_part", full)
    ours = StreamSpanProcessor(NOWHERE, schedule_delay_s=60, spool_dir=tmp_path)
    end_spans(ours, 3)
    assert not ours.flush(0.3)
    assert (ours.statistics().waiting, ours.statistics().spooled) == (3, 0)
    monkeypatch.setattr(Spool, "_new_part", made)
    assert ours.shutdown(30)
    assert ours.statistics().spooled == 3


def test_an_unwritable_spool_is_counted_at_shutdown(tmp_path: Path) -> None:
    directory = tmp_path / "spool"
    ours = StreamSpanProcessor(NOWHERE, schedule_delay_s=60, spool_dir=directory)
    directory.rmdir()
    directory.write_text("in the way")
    end_spans(ours, 3)
    assert not ours.shutdown(0.5)
    assert ours.statistics().dropped == {"spool_failed": 3}


@pytest.mark.parametrize("below", ["", "spool"])
def test_a_spool_directory_that_cannot_be_made_is_an_error_at_construction(
    tmp_path: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FIRSTTOKEN_SPOOL_DIR", str(tmp_path / "file" / below))
    with pytest.raises(ConfigError, match=r"spool_dir \(or FIRSTTOKEN_SPOOL_DIR\) .*file"):
        StreamSpanProcessor(NOWHERE)


KILLED = """
import sys
from firsttoken.export import StreamSpanProcessor
from tests.export.faults import end_spans, wait_until
ours = StreamSpanProcessor("http://127.0.0.1:9/v1/traces", schedule_delay_s=60, spool_dir=sys.argv[1])
number = 1
while True:
    end_spans(ours, 20, first=number)
    ours.flush(30)
    number += 20
    print(ours.statistics().spooled, flush=True)
"""


def test_a_process_killed_while_spooling_leaves_its_spans_to_the_next(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    spooled = 0
    while spooled < 100:
        spooled = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    child.stdout.close()
    child.wait()
    spooled = max([spooled, *map(int, rest)])
    with Collector() as collector:
        ours = StreamSpanProcessor(collector.url, schedule_delay_s=60, spool_dir=tmp_path)
        ours.on_end(span(10**6))
        assert ours.flush(30)
        wait_until(lambda: not list(tmp_path.iterdir()))
        counts = ours.statistics()
        ours.shutdown()
        received = {int.from_bytes(told.span_id, "big") for told in collector.accepted}
    assert set(range(1, spooled + 1)) <= received
    assert counts.spool_dropped.get("torn", 0) <= 1
