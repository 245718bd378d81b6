"""A source's way into a channel, and what was counted on it. Floor 4 (wrap); the loop."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from firsttoken._clock import monotonic_ns
from firsttoken._think.blame import CONSUMER, Claim
from firsttoken.pipeline._channel import BREATH, Channel

T = TypeVar("T")

#: A wait this long is remembered with its time, so that it can be blamed for a stall.
NOTED_NS: Final = 10_000_000
MAX_NOTED: Final = 256


class Putter(Generic[T]):
    """One source's way into a channel, and what was counted on it.

    name: of the source, for telling.
    """

    __slots__ = ("_channel", "dropped", "name", "put_count", "put_wait_ns", "waits")

    def __init__(self, channel: Channel[T], name: str = "") -> None:
        self._channel = channel
        self.name = name
        self.dropped = 0
        self.put_count = 0
        self.put_wait_ns = 0
        self.waits: list[Claim] = []

    def offer(self, item: T) -> bool:
        """Put `item` if there is room, or nobody wants it; return False if it has to wait."""
        channel = self._channel
        items = channel.items
        if channel.over:
            return True
        depth = len(items) - channel.due
        if channel.getters:
            channel.wake_getter()
        elif depth + channel.reserved >= channel.size:
            return False
        elif depth >= channel.depth_max:
            channel.depth_max = depth + 1
        channel.held_ns -= monotonic_ns()
        items.append(item)
        self.put_count += 1
        return True

    async def put(self, item: T) -> bool:
        """Put `item`, when there is room; return whether anybody still wants more."""
        while not self.offer(item):
            await self._wait_for_room()
        if self.put_count % BREATH == 0:
            await checkpoint()
        return not self._channel.over

    async def _wait_for_room(self) -> None:
        channel = self._channel
        began_ns = monotonic_ns()
        try:
            await checkpoint()
            if not (channel.has_room or channel.over):
                await self._wait_in_line()
        finally:
            now = monotonic_ns()
            self.put_wait_ns += now - began_ns
            if now - began_ns >= NOTED_NS and len(self.waits) < MAX_NOTED:
                self.waits.append(Claim(began_ns, now, CONSUMER, self.name))

    async def _wait_in_line(self) -> None:
        channel = self._channel
        event = anyio.Event()
        channel.putters.append(event)
        try:
            await event.wait()
        except BaseException:
            if not event.is_set():
                channel.putters.remove(event)
                channel.reserved += 1
            elif channel.putters:
                # Woken and cancelled at once: whoever is next has the room.
                channel.wake_putter()
            raise
        finally:
            channel.reserved -= 1
