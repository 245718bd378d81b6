"""The demo's clients: real HTTP over real sockets, each with a habit. All on one event loop in a thread.

That loop is not the app's: a client notices that the app stands still, it does not stand still with it.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import anyio
import httpx

from firsttoken.cli._plan import Part, Plan, Role

_QUESTION: Final = "Write about 250 words on what makes a stream of words feel fast."
#: Clients come one after the other, this far apart, all of them within a second.
_APART_S: Final = 0.03
#: What the kernel may keep for the slow reader. Less, and its window falls below a segment of loopback:
#: then the stream goes on only when a timer of TCP's runs out, long after the reader looks again.
_SMALL_BUFFER: Final = (socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)


@dataclass
class Seen:
    """What one client saw; written on the clients' thread, read by whoever draws it.

    arrivals_s: of each read, on the monotonic clock (s).
    ended: how it went; None while it reads.
    """

    part: Part
    asked_s: float | None = None
    arrivals_s: list[float] = field(default_factory=list)
    bytes: int = 0
    ended: str | None = None
    ended_s: float | None = None
    left_ns: int | None = None
    sha256: str | None = None

    @property
    def state(self) -> str:
        """What it is doing, in a word or two."""
        if self.ended is not None:
            return self.ended
        if self.asked_s is None:
            return "waiting"
        return "reading" if self.arrivals_s else "asked"


class Clients:
    """All clients of a run.

    plan: says who they are.
    url: of the chat app.
    """

    def __init__(self, plan: Plan, url: str) -> None:
        self._plan = plan
        self._url = url
        self.seen = [Seen(part) for part in plan.parts]

    async def run(self) -> None:
        """Let all of them read until each is through, or the plan's deadline."""
        with anyio.move_on_after(self._plan.deadline_s):
            async with anyio.create_task_group() as tasks:
                for index, seen in enumerate(self.seen):
                    tasks.start_soon(self._read, seen, min(_APART_S, 1.0 / len(self.seen)) * index)
        for seen in self.seen:
            if seen.ended is None:
                _end(seen, "stopped at the deadline")

    async def _read(self, seen: Seen, after_s: float) -> None:
        await anyio.sleep(after_s)
        slow = seen.part.role is Role.SLOW
        transport = httpx.AsyncHTTPTransport(
            socket_options=[_SMALL_BUFFER] if slow else [], trust_env=False
        )
        path = "/chat/logged" if seen.part.role is Role.BLOCKER else "/chat"
        headers = {"x-demo-stream": str(seen.part.number), "accept-encoding": "identity"}
        async with httpx.AsyncClient(transport=transport, timeout=None) as client:
            seen.asked_s = time.monotonic()
            try:
                request = client.stream("POST", self._url + path, headers=headers, json={"text": _QUESTION})
                async with request as response:
                    if response.status_code != 200:
                        return _end(seen, f"refused: HTTP {response.status_code}")
                    await self._take(seen, response)
            except httpx.HTTPError as error:
                _end(seen, f"cut off: {type(error).__name__}")

    async def _take(self, seen: Seen, response: httpx.Response) -> None:
        digest = sha256()
        pause_after, leave_after = self._plan.pause_after(seen.part), self._plan.leave_after(seen.part)
        async for chunk in response.aiter_raw():
            seen.arrivals_s.append(time.monotonic())
            seen.bytes += len(chunk)
            digest.update(chunk)
            if leave_after is not None and seen.bytes >= leave_after:
                seen.left_ns = time.time_ns()
                return _end(seen, "left")
            if pause_after is not None and seen.bytes >= pause_after:
                pause_after = None
                await anyio.sleep(self._plan.pause_s)
        seen.sha256 = digest.hexdigest()
        _end(seen, "read to the end")


def _end(seen: Seen, how: str) -> None:
    seen.ended = how
    seen.ended_s = time.monotonic()
