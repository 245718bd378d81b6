"""Spans on disk, for as long as no collector takes them. Floor 3 (tell); runs on the export thread.

A directory of files, one span a line of OTLP JSON; a stock collector's `otlp_json_file` receiver can read
them too. A file is `NAME.jsonl.part` while it grows, `NAME.jsonl` when it is finished and
`NAME.jsonl.sending` while one process sends it. Several processes may share the directory: who writes or
sends a file holds a lock on it, and the files of a process that died are finished by the next.

A line is the operating system's when it is written: it survives our death, SIGKILL included. A finished
file is on the disk (fsync): it survives the machine's.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import IO, Final, NamedTuple

from firsttoken._clock import wall_ns
from firsttoken.export._otlp_json import checked_line, join_lines, proven_line, span_line
from firsttoken.export._queue import Entry
from firsttoken.export._statistics import SPOOL_FULL, TORN, Counts

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # no such lock on Windows: files of the dead are left to `firsttoken replay`
    flock = None  # type: ignore[assignment]

_FINISHED: Final = ".jsonl"
_PART: Final = ".part"
_SENDING: Final = ".sending"
FILE_BYTES: Final = 4 << 20
_LOOK_EVERY_S: Final = 10.0


class Piece(NamedTuple):
    """One request's worth of spooled spans.

    body: a request in OTLP JSON.
    spans, torn: how many spans are in it, and how many lines were unreadable and are not.
    end: the file position behind it.
    """

    body: bytes
    spans: int
    torn: int
    end: int


class Spool:
    """The files of one directory.

    limit_bytes: of all finished files together; over it the oldest are dropped and their spans counted.

    Raises:
        OSError: if the directory cannot be made.
    """

    def __init__(self, directory: Path, counts: Counts, *, limit_bytes: int) -> None:
        self._directory = directory
        self._counts = counts
        self._limit_bytes = limit_bytes
        self._files_made = 0
        directory.mkdir(parents=True, exist_ok=True)
        self.forget()

    def forget(self) -> None:
        """Let go of open files without touching them, as a forked child must: they are its parent's."""
        for held in (getattr(self, "_part", None), getattr(self, "_sending", None)):
            if held is not None:
                held.close()
        self._part: IO[bytes] | None = None
        self._part_bytes = 0
        self._sending: IO[bytes] | None = None
        self._doubted_to = 0
        self._waiting: list[Path] = []
        self._look_at_s = 0.0

    # --- writing --------------------------------------------------------------------------------------

    def write(self, entry: Entry, breathe: Callable[[], None]) -> bool:
        """Append one span; return False if it fits into no line.

        Raises:
            OSError: if the disk does not take it; what was written before stays.
        """
        line = span_line(entry, breathe)
        if line is None:
            return False
        line += b"\n"
        if self._part is not None and self._part_bytes + len(line) > FILE_BYTES:
            self.finish()
        part = self._part or self._new_part()
        try:
            written = 0
            while written < len(line):
                written += part.write(line[written:])
        except OSError:
            # Half a line would make the next one unreadable as well; and the next file may have more luck.
            with contextlib.suppress(OSError):
                part.truncate(self._part_bytes)
            with contextlib.suppress(OSError):
                self.finish()
            raise
        self._part_bytes += len(line)
        return True

    def finish(self) -> None:
        """Finish the growing file: synced, renamed, and now anybody's to read.

        Raises:
            OSError: if the disk is gone.
        """
        part, self._part = self._part, None
        if part is None:
            return
        try:
            if not self._part_bytes:
                os.unlink(part.name)
                return
            os.fsync(part.fileno())
            finished = Path(part.name[: -len(_PART)])
            os.rename(part.name, finished)
            self._waiting.append(finished)
        finally:
            part.close()
        self._make_room()

    def _new_part(self) -> IO[bytes]:
        self._files_made += 1
        name = f"spans-{wall_ns():020d}-{os.getpid()}-{self._files_made}{_FINISHED}{_PART}"
        self._part = open(str(self._directory / name), "xb", buffering=0)  # noqa: SIM115
        self._part_bytes = 0
        _lock(self._part)
        return self._part

    def _make_room(self) -> None:
        files = sorted(self._directory.glob(f"*{_FINISHED}"))
        sizes = {path: _size(path) for path in files}
        total = sum(sizes.values())
        for path in files:
            if total <= self._limit_bytes:
                return
            total -= sizes[path]
            with contextlib.suppress(OSError):
                lines = path.read_bytes().count(b"\n")
                path.unlink()
                self._counts.spool_dropped[SPOOL_FULL] += lines

    # --- sending --------------------------------------------------------------------------------------

    @property
    def has_files(self) -> bool:
        """Whether there is something to send."""
        if self._sending is not None or self._part is not None or self._waiting:
            return True
        self._look()
        return bool(self._waiting)

    @property
    def finished_bytes(self) -> int:
        """Size of all finished files."""
        self._look()
        return sum(map(_size, self._waiting))

    def next_piece(self, target_bytes: int) -> Piece | None:
        """Return the oldest lines that fill a request, None if there are none; `done` goes on behind it."""
        while True:
            if self._sending is None and not self._claim():
                return None
            piece = self._read(target_bytes)
            if piece.spans:
                return piece
            self.done(piece)
            if not piece.torn:
                self._remove_sent()

    def done(self, piece: Piece) -> None:
        """Go on behind `piece`: it was accepted, or given up and counted."""
        if self._sending is not None:
            self._sending.seek(piece.end)
        if piece.torn:
            self._counts.spool_dropped[TORN] += piece.torn

    def doubt(self, piece: Piece) -> bool:
        """Have the lines of `piece` parsed when they are read again; return False if they were already."""
        if piece.end <= self._doubted_to:
            return False
        self._doubted_to = piece.end
        return True

    def release(self) -> None:
        """Give back what was not sent yet, for the next process or a person to send."""
        sending, self._sending = self._sending, None
        if sending is None:
            return
        with sending:
            claimed = Path(sending.name)
            rest = sending.read()
            back = Path(sending.name[: -len(_SENDING)])
            if not rest:
                claimed.unlink()
            elif len(rest) == _size(claimed):
                os.rename(claimed, back)
            else:
                fresh = Path(f"{back}{_PART}")
                fresh.write_bytes(rest)
                os.rename(fresh, back)
                claimed.unlink()

    def _claim(self) -> bool:
        """Make the oldest finished file ours, the growing one if there is no other."""
        if not self._waiting:
            self._look()
        if not self._waiting:
            self.finish()
        while self._waiting:
            path = self._waiting.pop(0)
            claimed = Path(f"{path}{_SENDING}")
            with contextlib.suppress(OSError):
                os.rename(path, claimed)
                self._sending = open(str(claimed), "rb")  # noqa: SIM115
                self._doubted_to = 0
                _lock(self._sending)
                return True
        return False

    def _read(self, target_bytes: int) -> Piece:
        sending = self._sending
        assert sending is not None
        begin = sending.tell()
        lines: list[bytes] = []
        size = torn = 0
        end = begin
        for line in iter(sending.readline, b""):
            if lines and size + len(line) > target_bytes:
                break
            end += len(line)
            checked = (proven_line if end <= self._doubted_to else checked_line)(line)
            if checked is None:
                torn += 1
                continue
            lines.append(checked)
            size += len(line)
        # Not yet sent: whoever reads again, after a failure, reads the same.
        sending.seek(begin)
        return Piece(join_lines(lines), len(lines), torn, end)

    def _remove_sent(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.close()
            with contextlib.suppress(OSError):
                os.unlink(sending.name)

    def _look(self) -> None:
        """Look for finished files, and finish those of processes that died."""
        now_s = monotonic()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + _LOOK_EVERY_S
        with contextlib.suppress(OSError):
            for orphan in sorted(self._directory.glob(f"*{_FINISHED}.*")):
                if orphan.suffix in (_PART, _SENDING) and self._is_orphan(orphan):
                    os.rename(orphan, orphan.with_suffix(""))
            self._waiting = sorted(self._directory.glob(f"*{_FINISHED}"))

    def _is_orphan(self, path: Path) -> bool:
        if flock is None or any(
            held is not None and held.name == str(path) for held in (self._part, self._sending)
        ):
            return False
        try:
            with open(path, "rb") as file:
                flock(file, LOCK_EX | LOCK_NB)
                return True
        except OSError:
            return False


def _lock(file: IO[bytes]) -> None:
    if flock is not None:
        flock(file, LOCK_EX | LOCK_NB)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
