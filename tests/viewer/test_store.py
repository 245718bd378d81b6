"""The store keeps what it acknowledged, within its size, and harms no file that is not its own."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import Future
from pathlib import Path
from random import Random
from typing import Any

import pytest

from firsttoken.viewer import _store
from firsttoken.viewer._batch import Batch, read_batch
from firsttoken.viewer._lists import Filter, streams
from firsttoken.viewer._schema import VERSION, StoreError
from firsttoken.viewer._store import Store, StoreBusy, used_bytes

from .running import DEADLINE_S, request, span, stream

MIB = 1 << 20


def batch(*spans: dict[str, Any]) -> Batch:
    return read_batch(request(*spans).SerializeToString())


def heavy(trace: int, size: int = 20_000) -> Batch:
    """Return a stream and a span that holds so many bytes."""
    noise = Random(trace).randbytes(size // 2).hex()
    return batch(stream(trace, 1), span(trace, 2, 1, attributes={"noise": noise}))


def counts(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("trace", "envelope", "span", "stream")
        }


def listed(store: Store) -> list[int]:
    with store.reading() as connection:
        found, _ = streams(connection, Filter(), sort="start", order="asc", limit=1000, offset=0)
    return sorted(int(row["trace_id"], 16) for row in found)


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "er" / "traces.db")
    version = store.add(batch(stream(1), span(1, 2, 1))).result(DEADLINE_S)
    store.close()
    again = Store(tmp_path / "deep" / "er" / "traces.db")
    assert counts(again) == {"trace": 1, "envelope": 1, "span": 2, "stream": 1}
    assert again.version == version
    again.close()
    assert oct((tmp_path / "deep" / "er" / "traces.db").stat().st_mode & 0o777) == "0o600"


def test_over_its_size_the_oldest_traces_go_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "traces.db", MIB)
    for trace in range(1, 121):
        store.add(heavy(trace)).result(DEADLINE_S)
    store.close()
    again = Store(tmp_path / "traces.db", MIB)
    kept = listed(again)
    assert kept == list(range(121 - len(kept), 121))
    assert 20 < len(kept) < 60
    with again.reading() as connection:
        assert used_bytes(connection) <= MIB
    found = counts(again)
    assert found["trace"] == found["envelope"] == found["stream"] == len(kept)
    assert found["span"] == 2 * len(kept)
    again.close()
    assert (tmp_path / "traces.db").stat().st_size < 2 * MIB


def test_a_trace_that_still_grows_is_not_the_oldest(tmp_path: Path) -> None:
    store = Store(tmp_path / "traces.db", MIB)
    store.add(heavy(1)).result(DEADLINE_S)
    for trace in range(2, 100):
        store.add(heavy(trace)).result(DEADLINE_S)
        store.add(batch(span(1, 1000 + trace, 1))).result(DEADLINE_S)
    store.close()
    store = Store(tmp_path / "traces.db", MIB)
    assert 1 in listed(store)
    assert 2 not in listed(store)
    store.close()


def test_a_smaller_limit_holds_from_the_next_start(tmp_path: Path) -> None:
    store = Store(tmp_path / "traces.db", 8 * MIB)
    for trace in range(1, 200):
        store.add(heavy(trace))
    store.close()
    assert (tmp_path / "traces.db").stat().st_size > 3 * MIB
    Store(tmp_path / "traces.db", MIB).close()
    assert (tmp_path / "traces.db").stat().st_size <= MIB


def test_the_version_grows_with_every_change_and_whoever_waits_is_told(tmp_path: Path) -> None:
    told: list[int] = []
    store = Store(tmp_path / "traces.db", MIB, changed=told.append)
    versions = [store.add(heavy(trace)).result(DEADLINE_S) for trace in range(1, 80)]
    store.close()
    assert versions == sorted(set(versions))
    assert told == sorted(set(told))
    assert len(told) == 79


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"a letter to my mother, of some length, no database" * 100,
            "no firsttoken store",
        ),
        (b"SQLite format 3\x00" + b"\x07" * 5000, "no firsttoken store"),
    ],
)
def test_a_foreign_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "mine"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=says):
        Store(path)
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_somebody_else_s_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "addresses.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE address (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is no firsttoken store; it is left as it is"):
        Store(path)
    assert path.read_bytes() == before


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "traces.db").close()
    connection = sqlite3.connect(tmp_path / "traces.db")
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match=f"store version {VERSION + 1}, not {VERSION}"):
        Store(tmp_path / "traces.db")


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    store = Store(path)
    for trace in range(1, 100):
        store.add(heavy(trace))
    store.close()
    body = bytearray(path.read_bytes())
    body[8192 : len(body) // 2] = bytes(len(body) // 2 - 8192)
    path.write_bytes(body)
    with pytest.raises(StoreError, match="damaged"):
        Store(path)
    assert path.read_bytes() == body


def test_a_place_where_nothing_can_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "file" / "traces.db")


def test_readers_see_whole_batches_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "traces.db")
    ended = threading.Event()
    torn: list[object] = []
    reads: list[int] = []

    def read() -> None:
        while not ended.is_set():
            with store.reading() as connection:
                found = [
                    connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                    for table in ("trace", "span", "stream")
                ]
            if not found[0] == found[2] == found[1] / 5:
                torn.append(found)
            reads.append(found[0])

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for trace in range(1, 200):
        steps = [span(trace, number, 1) for number in range(2, 6)]
        store.add(batch(stream(trace, 1), *steps)).result(DEADLINE_S)
    ended.set()
    for reader in readers:
        reader.join()
    store.close()
    assert torn == []
    assert len(set(reads)) > 1


def test_more_than_may_wait_is_refused_and_nothing_of_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "traces.db")
    blocker = sqlite3.connect(tmp_path / "traces.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(_store, "_PENDING_MAX_BYTES", 100_000)
    waiting: list[Future[int]] = []
    for trace in range(1, 4):
        waiting.append(store.add(heavy(trace)))
    with pytest.raises(StoreBusy):
        store.add(heavy(99, 80_000))
    blocker.execute("COMMIT")
    blocker.close()
    for each in waiting:
        each.result(DEADLINE_S)
    assert listed(store) == list(range(1, len(waiting) + 1))
    store.add(heavy(50)).result(DEADLINE_S)
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.add(heavy(51))


def test_a_write_that_fails_is_told_and_the_next_one_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "traces.db")
    for _ in range(3):
        wrong = batch(stream(1))
        wrong.streams[0] = wrong.streams[0][:-1]
        with pytest.raises(StoreError, match="cannot be written"):
            store.add(wrong).result(DEADLINE_S)
    assert caplog.text.count("cannot be written") == 1
    store.add(batch(stream(2))).result(DEADLINE_S)
    assert listed(store) == [2]
    store.close()


# --- the route of a stream -----------------------------------------------------------------------------


def routes(store: Store) -> dict[int, str | None]:
    with store.reading() as connection:
        return {
            int(span_id, 16): route
            for span_id, route in connection.execute("SELECT span_id, route FROM stream")
        }


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_has_the_route_of_its_nearest_ancestor_in_whatever_order_they_come(
    tmp_path: Path, seed: int
) -> None:
    spans = [
        span(1, 10, attributes={"url.path": "/far"}),
        span(1, 11, 10, attributes={"http.route": "/near", "url.path": "/near/7"}),
        span(1, 12, 11),
        stream(1, 1, 12),
        stream(1, 2, 10),
        stream(1, 3, 12, http__route="/own"),
        stream(1, 4, 99),
        stream(2, 5, 11),
    ]
    Random(seed).shuffle(spans)
    store = Store(tmp_path / "traces.db")
    for each in spans:
        store.add(batch(each)).result(DEADLINE_S)
    assert routes(store) == {1: "/near", 2: "/far", 3: "/own", 4: None, 5: None}
    store.close()


def test_ancestors_in_a_circle_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "traces.db")
    store.add(batch(stream(1, 1, 2), span(1, 2, 3), span(1, 3, 2), stream(1, 4, 4))).result(DEADLINE_S)
    assert routes(store) == {1: None, 4: None}
    store.close()
