"""The marks of one stream, read: times to the tally, chunks to the decoder. Floor 4 (wrap); thinker thread.

Marks are taken from the record often and decoded at leisure. Taken, a chunk costs 24 bytes until it is
decoded; left in the record it would cost four times that, and a fast source fills it faster than we think.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from firsttoken._guard import guarded, is_fault, note_fault
from firsttoken._record.record import StreamRecord
from firsttoken._think.tally import Tally
from firsttoken.decoders import Decoder, DecoderFactory, Delta

#: Bytes are decoded in pieces of this size: a bigger one would hold the GIL for over a millisecond.
LONGEST_BYTES: Final = 65_536
#: Marks are taken again after so many chunks, and a stream that still runs gives way after so many more.
CHUNKS_PER_TURN: Final = 16_384
#: Taken marks are cut into pieces, of 256 chunks or 384; after some pieces marks are taken again.
_MARKS_AT_ONCE: Final = 768
_PIECES_PER_TAKE: Final = 2


class Reader:
    """Reads one stream.

    make_decoder: called at the first chunk; may change until then, as headers come before bodies.
    done: knows the last chunk of the answer, where the caller has said how; else None.
    """

    __slots__ = (
        "_done",
        "_next",
        "_pieces",
        "_record",
        "_skim",
        "_tally",
        "_waiting",
        "decoder",
        "make_decoder",
    )

    def __init__(
        self,
        record: StreamRecord,
        tally: Tally,
        make_decoder: DecoderFactory,
        done: Callable[[Any], bool] | None,
    ) -> None:
        self.decoder: Decoder | None = None
        self._record = record
        self._tally = tally
        self.make_decoder = make_decoder
        self._done = done
        self._pieces: deque[list[Any]] = deque()
        self._next = 0
        #: The chunks that the decoder was fed since it holds one back; empty if it holds none.
        self._waiting: list[int] = []
        #: The decoder's way past chunks that are alike, where nobody asks for their text.
        self._skim: Callable[[Sequence[Any], int], int] | None = None

    def read(self, breathe: Callable[[], None], *, ended: bool) -> bool:
        """Read what was recorded; return whether all of it was.

        ended: read all that is there now, however much, and nothing that comes meanwhile.
        """
        self._take(breathe)
        turn = 0
        while self._pieces:
            if turn >= CHUNKS_PER_TURN and not ended:
                return False
            for _ in range(min(_PIECES_PER_TAKE, len(self._pieces))):
                turn += self._read_piece(self._pieces.popleft(), breathe)
            if not ended:
                self._take(breathe)
        return True

    def _take(self, breathe: Callable[[], None]) -> None:
        marks = self._record.take()
        for begin in range(0, len(marks), _MARKS_AT_ONCE):
            _, chunks = self._tally.take(marks[begin : begin + _MARKS_AT_ONCE])
            if chunks:
                self._pieces.append(chunks)
            breathe()

    def _read_piece(self, chunks: list[Any], breathe: Callable[[], None]) -> int:
        """Read the chunks of a piece; return how many."""
        at = 0
        while at < len(chunks):
            end = self._alike(chunks, at)
            if end > at:
                self._tally.repeat(self._next, self._next + end - at)
                self._next += end - at
                at = end
            else:
                self._read_chunk(chunks[at], breathe)
                at += 1
            breathe()
        return at

    def _alike(self, chunks: list[Any], begin: int) -> int:
        """Return the index of a chunk from `begin` on before which none has to be decoded."""
        if self._skim is None or type(chunks[begin]) is not bytes:
            return begin
        return self._skim(chunks, begin)

    def flush(self) -> None:
        """Read what only the end of the stream completes."""
        if self.decoder is not None and self._tally.arrivals:
            with guarded("decode the end of a stream"):
                if self._waiting:
                    self._take_late(self.decoder.flush_late())  # type: ignore[attr-defined]  # it holds
                else:
                    self._tally.read(len(self._tally.arrivals) - 1, self.decoder.flush())

    def _read_chunk(self, chunk: Any, breathe: Callable[[], None]) -> None:
        index = self._next
        self._next = index + 1
        if type(chunk) is bytes and len(chunk) > LONGEST_BYTES:
            for begin in range(0, len(chunk), LONGEST_BYTES):
                self._decode(index, chunk[begin : begin + LONGEST_BYTES])
                breathe()
        else:
            self._decode(index, chunk)
        if self._done is not None:
            self._ask_done(index, chunk, self._done)

    def _decode(self, index: int, chunk: Any) -> None:
        try:
            if self.decoder is None:
                self.decoder = self.make_decoder()
                if self._done is None and self._tally.captured is None:
                    self._skim = getattr(self.decoder, "skim", None)
            if self._waiting:
                self._waiting.append(index)
                self._take_late(self.decoder.feed_late(chunk))  # type: ignore[attr-defined]  # it holds
            else:
                deltas = self.decoder.feed(chunk)
                if deltas:
                    self._tally.read(index, deltas)
            if not getattr(self.decoder, "holds", False):
                self._waiting.clear()
            elif not self._waiting:
                self._waiting.append(index)
        except BaseException as error:
            if not is_fault(error):
                raise
            self._tally.undecoded_count += 1
            note_fault("decode a chunk", error)

    def _take_late(self, late: Sequence[tuple[int, Sequence[Delta]]]) -> None:
        # What tells how to read the first chunks may come seconds later; what they said came with them.
        for ago, deltas in late:
            self._tally.read(self._waiting[-1 - ago], deltas)

    def _ask_done(self, index: int, chunk: Any, done: Callable[[Any], bool]) -> None:
        try:
            if done(chunk):
                self._tally.note_done(index, "done")
        except BaseException as error:
            if not is_fault(error):
                raise
            note_fault("ask `done` about a chunk", error)
