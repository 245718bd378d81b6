"""The bounded store: one thread writes, in groups; readers have connections of their own. Floor 5 (viewer).

Whoever adds a batch waits for its commit, so what is acknowledged is kept: through a crash of the process
by SQLite's log, though not, for speed, through a crash of the machine. What arrives while a commit runs
goes into the next one together. Over its size the store forgets the traces that were longest untouched.

Source: https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from firsttoken.viewer._batch import Batch
from firsttoken.viewer._columns import STREAM_COLUMNS
from firsttoken.viewer._schema import StoreError, connect, open_file

_log: Final = logging.getLogger(__name__)

DEFAULT_MAX_BYTES: Final = 512 << 20
MIN_MAX_BYTES: Final = 1 << 20
_PENDING_MAX_BYTES: Final = 64 << 20
_GROUP_BYTES: Final = 8 << 20
#: What a step of forgetting may take, so that nobody waits long behind it.
_STEP_TRACES: Final = 200
#: Below the limit by so much, so that not every batch has to forget.
_SPARE: Final = 0.05
_ROUTE_DEPTH: Final = 100
#: Newest streams of one trace that are given the route of an ancestor that came after them.
_ROUTED: Final = 2_000

_SPAN: Final = """
INSERT INTO span VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trace_id, span_id) DO UPDATE SET
  parent_id = excluded.parent_id, envelope = excluded.envelope, start_ns = excluded.start_ns,
  route = excluded.route, body = excluded.body
"""
_TRACE: Final = """
INSERT INTO trace VALUES (?, ?, ?) ON CONFLICT (trace_id) DO UPDATE SET
  updated = excluded.updated, bytes = bytes + excluded.bytes
"""
_ENVELOPE: Final = "INSERT OR IGNORE INTO envelope VALUES (?, ?, ?)"
_STREAM: Final = f"INSERT OR REPLACE INTO stream VALUES ({', '.join('?' * len(STREAM_COLUMNS))})"
_ROUTE: Final = f"""
UPDATE stream SET route = (
  WITH RECURSIVE up (parent_id, route, depth) AS (
    SELECT parent_id, route, 0 FROM span
      WHERE span.trace_id = unhex_(stream.trace_id) AND span.span_id = unhex_(stream.span_id)
    UNION ALL
    SELECT span.parent_id, span.route, depth + 1 FROM up JOIN span
      ON span.trace_id = unhex_(stream.trace_id) AND span.span_id = up.parent_id
      WHERE up.route IS NULL AND depth < {_ROUTE_DEPTH}
  ) SELECT route FROM up WHERE route IS NOT NULL LIMIT 1
) WHERE rowid IN (SELECT rowid FROM stream WHERE trace_id = ? ORDER BY rowid DESC LIMIT {_ROUTED})
"""


class StoreBusy(StoreError):
    """More is waiting to be written than may wait."""


class Store:
    """Spans by trace, and a row for each stream.

    path: of the file.
    max_bytes: of the file; the log beside it is bounded too.
    changed: called on the writer thread after each change, with the new version.

    Raises: StoreError: if the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int = DEFAULT_MAX_BYTES,
        changed: Callable[[int], None] = lambda version: None,
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.changed = changed
        self._connection = open_file(path)
        self._connection.create_function("unhex_", 1, bytes.fromhex, deterministic=True)
        (latest,) = self._connection.execute("SELECT max(updated) FROM trace").fetchone()
        self.version: int = latest or 0
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._jobs: queue.SimpleQueue[tuple[Batch, Future[int]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0
        self._closed = False
        self._failing = False
        self._forget()
        # A page a step; only a script is stepped to its end.
        self._connection.executescript("PRAGMA incremental_vacuum")
        self._thread = threading.Thread(target=self._write, name="firsttoken-viewer-store", daemon=True)
        self._thread.start()

    def add(self, batch: Batch) -> Future[int]:
        """Write a batch; the future has the store's version once it is committed.

        Raises: StoreBusy: if too much is waiting already.
        """
        future: Future[int] = Future()
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._pending and self._pending + batch.size > _PENDING_MAX_BYTES:
                raise StoreBusy("more spans come than can be written")
            self._pending += batch.size
            self._jobs.put((batch, future))
        return future

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one state of the store while the block runs; on any thread.

        Raises: StoreError: if the file cannot be read.
        """
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = connect(self.path)
            connection.execute("PRAGMA query_only = ON")
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(f"{self.path} cannot be read: {error}") from error
        except BaseException:
            connection.close()
            raise
        if self._closed:
            connection.close()
        else:
            self._readers.put(connection)

    def close(self) -> None:
        """Write what is waiting, and close the file."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        while not self._readers.empty():
            self._readers.get_nowait().close()
        self._connection.close()

    @property
    def used_bytes(self) -> int:
        """Bytes of the file that are in use; only on the writer's thread."""
        return used_bytes(self._connection)

    def _write(self) -> None:
        while (job := self._jobs.get()) is not None:
            group, size, is_last = [job], job[0].size, False
            while size < _GROUP_BYTES and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    is_last = True
                    break
                group.append(following)
                size += following[0].size
            self._commit(group, size)
            if is_last:
                return

    def _commit(self, group: Sequence[tuple[Batch, Future[int]]], size: int) -> None:
        try:
            self._insert([batch for batch, _ in group])
        except (sqlite3.Error, ValueError) as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            problem = StoreError(f"{self.path} cannot be written: {error}")
            if not self._failing:
                _log.warning("%s", problem)
            self._failing = True
            for _, future in group:
                future.set_exception(problem)
        else:
            self._failing = False
            for _, future in group:
                future.set_result(self.version)
            self._forget_and_tell()
        finally:
            with self._lock:
                self._pending -= size

    def _insert(self, batches: Sequence[Batch]) -> None:
        version = self.version + 1
        sizes: dict[bytes, int] = {}
        for batch in batches:
            for row in batch.spans:
                sizes[row[0]] = sizes.get(row[0], 0) + len(row[-1])
        execute, many = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        many(_TRACE, [(trace_id, version, size) for trace_id, size in sizes.items()])
        for batch in batches:
            many(_ENVELOPE, [(*key, body) for key, body in batch.envelopes.items()])
            many(_SPAN, batch.spans)
            many(_STREAM, batch.streams)
        # Any span may be the one between a stream and its route.
        many(_ROUTE, [(trace_id.hex(),) for trace_id in sizes])
        execute("COMMIT")
        self.version = version

    def _forget_and_tell(self) -> None:
        try:
            self._forget()
        except sqlite3.Error:
            # The next batch tries again, and where that fails, its sender is told.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self.changed(self.version)

    def _forget(self) -> None:
        """Delete the traces that were longest untouched, until the rest fits.

        With somebody waiting, only until it fits just so: a batch waits for a step, not for all of them.
        """
        if self.used_bytes <= self.max_bytes:
            return
        goal = int(self.max_bytes * (1 - _SPARE))
        while (over := self.used_bytes - goal) > 0:
            if self.used_bytes <= self.max_bytes and not self._jobs.empty():
                return
            oldest = self._connection.execute(
                "SELECT trace_id, bytes FROM trace ORDER BY updated LIMIT ?", (_STEP_TRACES,)
            ).fetchall()
            if not oldest:
                return
            freed, doomed = 0, []
            for trace_id, size in oldest:
                doomed.append(trace_id)
                freed += size
                if freed >= over:
                    break
            self._delete(doomed)
            self.version += 1

    def _delete(self, traces: Sequence[bytes]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for table in ("trace", "envelope", "span"):
            self._connection.executemany(
                f"DELETE FROM {table} WHERE trace_id = ?", [(trace_id,) for trace_id in traces]
            )
        self._connection.executemany(
            "DELETE FROM stream WHERE trace_id = ?", [(trace_id.hex(),) for trace_id in traces]
        )
        self._connection.execute("COMMIT")


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return how many bytes of the file are in use."""
    values: list[Any] = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    ]
    return int((values[0] - values[1]) * values[2])
