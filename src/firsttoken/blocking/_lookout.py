"""What one look at the thread of an event loop shows, without asking the loop. Floor 4; watchdog thread.

`Lookout.glance` runs on any other thread of ours as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FrameType
from typing import NamedTuple

from firsttoken._clock import monotonic_ns
from firsttoken.blocking._culprit import Stack
from firsttoken.blocking._evidence import Base, capture
from firsttoken.blocking._loops import Loop
from firsttoken.blocking._silence import Seen


class Sight(NamedTuple):
    """What a look showed.

    seen: a stack, and the thread it was seen in; the stack of a loop that is fine is empty.
    waits: whether the loop waits for something to do.
    turned_ns: when the turn began that it is in (monotonic ns), None if that is not known.
    is_young: whether that was just now.
    cpu_ns: the processor time of the loop's thread, None if it is not known.
    holder: the thread that seems to have held the interpreter since the last look, None if none did.
    glimpsed: whether `seen` is what another thread of ours saw before.
    """

    seen: Seen | None = None
    waits: bool = False
    turned_ns: int | None = None
    is_young: bool = False
    cpu_ns: int | None = None
    holder: int | None = None
    glimpsed: bool = False

    @property
    def is_fine(self) -> bool:
        """Whether the loop is seen to be alive."""
        return self.waits or self.is_young


class Lookout:
    """Looks at one loop.

    thread_id: the loop's thread.
    young_ns: a turn is young for this long.
    """

    __slots__ = ("_glimpse", "_thread_id", "_young_ns")

    def __init__(self, thread_id: int, young_ns: int) -> None:
        self._thread_id = thread_id
        self._young_ns = young_ns
        self._glimpse: Stack = ()

    def glance(self, loop: Loop, base: Base, frames: Mapping[int, FrameType]) -> None:
        """Keep where the loop stands, if it is at work, in case it has gone on by the next `look`."""
        frame = frames.get(self._thread_id)
        if not self._glimpse and frame is not None and not loop.waits(frame):
            self._glimpse = base.cut(capture(frame))

    def look(
        self,
        loop: Loop,
        base: Base,
        frames: Mapping[int, FrameType],
        cpu_ns: int | None,
        holder: int | None,
        *,
        was_asked: bool,
    ) -> Sight:
        """Return what there is to see.

        base: the frames that run the loop.
        frames: the innermost frame of every thread.
        cpu_ns, holder: as of `Sight`.
        was_asked: whether the loop owes an answer, which tells more than its turn would.
        """
        frame = frames.get(self._thread_id)
        glimpse, self._glimpse = self._glimpse, ()
        waits = frame is not None and loop.waits(frame)
        turned_ns = None if frame is None or waits or was_asked else loop.turned_ns(frame)
        is_young = turned_ns is not None and 0 <= monotonic_ns() - turned_ns < self._young_ns
        if holder is not None and holder != self._thread_id:
            seen = capture(frames.get(holder)), holder
        elif glimpse or waits or is_young:
            seen = glimpse, self._thread_id
        else:
            seen = base.cut(capture(frame)), self._thread_id
        return Sight(seen, waits, turned_ns, is_young, cpu_ns, holder, bool(glimpse))
