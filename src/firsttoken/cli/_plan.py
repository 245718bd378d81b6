"""The plan of one demo run: who reads, from what, for how long. Pure; known to parent and child alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from firsttoken.cli._wire import (
    EVENT_BYTES,
    Piece,
    content_type_of,
    recorded,
    scripted,
    scripted_tokens,
)

#: What starting, settling and telling take of a run.
_AROUND_S: Final = 1.4
#: Shorter than this, not all of the five stories have the time to happen.
MIN_SECONDS: Final = 4.0
MAX_STREAMS: Final = 500
#: A block of the event loop: long enough to be a stall for everybody.
BLOCK_S: Final = 0.42
#: At most this share of a run may be blocked, however many clients block.
_BLOCKED_SHARE: Final = 0.3
#: How big an answer of a real model is taken to be, for clients that act part of the way through.
_RELAYED_BYTES: Final = 9_000
_RELAYED_S: Final = 6.0
#: The slow reader has a fast model: what it leaves unread soon fills the buffers in between.
_PACE_FOR_SLOW: Final = 3.0
#: How long the slow reader looks away: long enough for buffers to fill and the app to wait a while.
_PAUSE_SHARE: Final = 0.27
_MIN_PAUSE_S: Final = 1.8
_MAX_PAUSE_S: Final = 3.0

Kind = Literal["script", "replay", "relay"]


class Role(str, Enum):
    """What a client, its upstream or its handler does."""

    HEALTHY = "healthy"
    SLOW = "slow reader"
    LEAVER = "leaves early"
    BROKEN = "upstream cut"
    BLOCKER = "blocks loop"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Cut:
    """Where an upstream breaks off, and how: the connection aborted, or the body ended as if whole."""

    after_bytes: int
    cleanly: bool


@dataclass(frozen=True)
class Part:
    """One client.

    number: of its stream, from 1.
    turn: how many of the same role came before.
    """

    number: int
    role: Role
    turn: int


@dataclass(frozen=True)
class Plan:
    """One run.

    kind: `script` our own text, `replay` the recorded body in `file`, `relay` from the server at `url`.
    streams: how many.
    seconds: how long the whole run takes (script, replay), or may take (relay).
    key_env: names the environment variable with the key for `url`.
    """

    kind: Kind
    streams: int
    seconds: float
    seed: int
    model: str | None = None
    file: str | None = None
    url: str | None = None
    key_env: str = "OPENAI_API_KEY"

    @property
    def parts(self) -> list[Part]:
        """The clients, the five roles in turn."""
        return [self.part(number) for number in range(1, self.streams + 1)]

    def part(self, number: int) -> Part:
        """Return who reads a stream."""
        turn, role = divmod(number - 1, len(Role))
        return Part(number, list(Role)[role], turn)

    @property
    def stream_s(self) -> float:
        """How long one answer takes."""
        return max(MIN_SECONDS, self.seconds) - _AROUND_S

    @property
    def deadline_s(self) -> float:
        """When clients that still read are stopped."""
        return self.seconds if self.kind == "relay" else self.seconds + 15.0

    @property
    def content_type(self) -> str:
        """The type of the bodies that the upstream sends."""
        return content_type_of(self.file) if self.file else "text/event-stream"

    def wire(self, number: int) -> Iterable[Piece]:
        """Return what the upstream sends to a stream; nothing is known of a relayed one."""
        if self.kind == "script":
            return scripted(self.seed, number, self.stream_s, self._pace(number))
        if self.kind == "replay" and self.file:
            return recorded(_body(self.file), self.content_type, self.seed, number, self.stream_s)
        return []

    def tokens(self, number: int) -> int | None:
        """Return how many tokens the upstream has for a stream; None if only the answer can tell."""
        if self.kind != "script":
            return None
        return scripted_tokens(self.seed, number, self.stream_s, self._pace(number))

    def size(self, number: int) -> int:
        """Return about how many bytes the upstream has for a stream; a guess for a relayed one."""
        if self.kind == "replay" and self.file:
            return len(_body(self.file))
        tokens = self.tokens(number)
        return _RELAYED_BYTES if tokens is None else tokens * EVENT_BYTES

    @property
    def answer_s(self) -> float:
        """About how long the upstream takes for an answer: `stream_s`, or less for a short recording."""
        if self.kind == "relay":
            return _RELAYED_S
        if self.kind == "script":
            return self.stream_s
        return sum(piece.delay_s for piece in self.wire(1))

    def _pace(self, number: int) -> float:
        return _PACE_FOR_SLOW if self.part(number).role is Role.SLOW else 1.0

    def cut(self, number: int) -> Cut | None:
        """Return where the upstream of a stream breaks off, if it does; every other one does so cleanly."""
        part = self.part(number)
        if part.role is not Role.BROKEN:
            return None
        return Cut(max(1, int(self.size(number) * 0.6)), cleanly=part.turn % 2 == 1)

    def leave_after(self, part: Part) -> int | None:
        """Return after how many bytes a client leaves; None if it stays."""
        return max(1, int(self.size(part.number) * 0.45)) if part.role is Role.LEAVER else None

    def pause_after(self, part: Part) -> int | None:
        """Return after how many bytes a client looks away; None if it does not."""
        return max(1, int(self.size(part.number) * 0.41)) if part.role is Role.SLOW else None

    @property
    def pause_s(self) -> float:
        """How long a slow reader looks away."""
        return min(_MAX_PAUSE_S, max(_PAUSE_SHARE * self.answer_s, min(_MIN_PAUSE_S, self.answer_s)))

    @property
    def block_s(self) -> float:
        """How long the blocking handler holds the loop at a time: less where there are many."""
        return min(BLOCK_S, _BLOCKED_SHARE * self.answer_s / self._blockers)

    @property
    def log_every_s(self) -> float:
        """Time between two writes of the log that blocks: two in an answer, one if many block."""
        twice = 2 * self._blockers * self.block_s <= _BLOCKED_SHARE * self.answer_s
        return (0.36 if twice else 0.55) * self.answer_s

    @property
    def _blockers(self) -> int:
        return max(1, self.streams // len(Role))


@lru_cache(maxsize=1)
def _body(file: str) -> bytes:
    return Path(file).read_bytes()
