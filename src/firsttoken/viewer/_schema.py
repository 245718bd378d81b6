"""The store's file: its tables, and whether a file is one of ours. Floor 5 (viewer); whoever opens it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from firsttoken.errors import FirstTokenError
from firsttoken.viewer._columns import STREAM_COLUMNS

#: "ftok", in the header of the file.
APPLICATION_ID: Final = 0x66746F6B
VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 10.0

_STREAM_COLUMNS: Final = ",\n  ".join(f"{name} {kind}" for name, kind in STREAM_COLUMNS.items())
_SCHEMA: Final = f"""
CREATE TABLE trace (trace_id BLOB PRIMARY KEY, updated INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX trace_by_update ON trace (updated);
CREATE TABLE envelope (
  trace_id BLOB NOT NULL, key BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (trace_id, key)
);
CREATE TABLE span (
  trace_id BLOB NOT NULL, span_id BLOB NOT NULL, parent_id BLOB, envelope BLOB NOT NULL,
  start_ns INTEGER NOT NULL, route TEXT, body BLOB NOT NULL, UNIQUE (trace_id, span_id)
);
CREATE TABLE stream (
  {_STREAM_COLUMNS},
  UNIQUE (trace_id, span_id)
);
CREATE INDEX stream_by_start ON stream (start_ms);
CREATE INDEX stream_by_first_token ON stream (time_to_first_token_s);
CREATE INDEX stream_by_longest_gap ON stream (gap_max_s);
CREATE INDEX stream_by_duration ON stream (duration_s);
CREATE INDEX stream_by_outcome ON stream (outcome, model, service, route, causes);
"""


class StoreError(FirstTokenError):
    """The store's file cannot be opened, read or written; the message says why."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection that any thread may use, one at a time."""
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file for writing; make it if there is none.

    Raises: StoreError: if it is not ours, newer, damaged or cannot be opened. It is left as it is.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists() or path.stat().st_size == 0
        if is_new:
            path.touch(mode=0o600)
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} cannot be opened: {error}") from error
    try:
        if is_new:
            # Only before the first table is made.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _check(connection, path, is_new)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.execute("PRAGMA cache_size = -32768")
        if is_new:
            connection.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {VERSION}; COMMIT;"
            )
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(
            f"{path} is damaged or no firsttoken store ({error}); it is left as it is: choose another --db"
        ) from error
    except StoreError:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path, is_new: bool) -> None:
    if is_new:
        return
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is no firsttoken store; it is left as it is: choose another --db")
    if version != VERSION:
        raise StoreError(
            f"{path} was written by another version of firsttoken (store version {version}, not "
            f"{VERSION}); it is left as it is: choose another --db"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(f"{path} is damaged ({verdict}); it is left as it is: choose another --db")
