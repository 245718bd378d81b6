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
from firsttoken.decoders import Decoder, DecoderFactory
from firsttoken.decoders.alike import ALIKE

#: Bytes are decoded in pieces of this size: a bigger one would hold the GIL for over a millisecond.
LONGEST_BYTES: Final = 65_536
#: Marks are taken again after so many chunks, and a stream that still runs gives way after so many more.
CHUNKS_PER_TURN: Final = 16_384
_CHUNKS_AT_ONCE: Final = 64
_TAKES: Final = 8


class Reader:
    """Reads one stream.

    make_decoder: called at the first chunk; may change until then, as headers come before bodies.
    done: knows the last chunk of the answer, where the caller has said how; else None.
    """

    __slots__ = (
        "_chunks",
        "_done",
        "_next",
        "_record",
        "_skim",
        "_tally",
        "decoder",
        "edges",
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
        self._chunks: deque[Any] = deque()
        self._next = 0
        #: What chunks begin and end with that need not be kept: `ALIKE` will do in their place.
        self.edges: tuple[bytes, bytes] | None = None
        #: The decoder's way past chunks that are alike, where nobody asks for their text.
        self._skim: Callable[[Sequence[Any], int], int] | None = None

    def read(self, breathe: Callable[[], None], *, ended: bool) -> bool:
        """Read what was recorded; return whether all of it was.

        ended: read all that is there now, however much, and nothing that comes meanwhile.
        """
        self._take()
        turn = 0
        while self._chunks:
            if turn >= CHUNKS_PER_TURN and not ended:
                return False
            for _ in range(min(_TAKES, -(-len(self._chunks) // _CHUNKS_AT_ONCE))):
                turn += self._read_some(breathe)
            if not ended:
                self._take()
        return True

    def _take(self) -> None:
        self._chunks.extend(self._tally.take(self._record.take())[1])

    def _read_some(self, breathe: Callable[[], None]) -> int:
        """Read the next few chunks; return how many."""
        chunks = [self._chunks.popleft() for _ in range(min(_CHUNKS_AT_ONCE, len(self._chunks)))]
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

    def _alike(self, chunks: Sequence[Any], begin: int) -> int:
        """Return the index of the first chunk, from `begin` on, that has to be decoded."""
        at = begin
        if chunks[at] is ALIKE:
            while at < len(chunks) and chunks[at] is ALIKE:
                at += 1
            return at
        if self._skim is not None and type(chunks[at]) is bytes:
            at = self._skim(chunks, begin)
            self.edges = self.decoder.edges  # type: ignore[union-attr]  # who can skim has them
        return at

    def flush(self) -> None:
        """Read what only the end of the stream completes."""
        if self.decoder is not None and self._tally.arrivals:
            with guarded("decode the end of a stream"):
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
            deltas = self.decoder.feed(chunk)
            if deltas:
                self._tally.read(index, deltas)
        except BaseException as error:
            if not is_fault(error):
                raise
            self._tally.undecoded_count += 1
            note_fault("decode a chunk", error)

    def _ask_done(self, index: int, chunk: Any, done: Callable[[Any], bool]) -> None:
        try:
            if done(chunk):
                self._tally.note_done(index, "done")
        except BaseException as error:
            if not is_fault(error):
                raise
            note_fault("ask `done` about a chunk", error)
