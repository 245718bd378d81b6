"""Who waits for what has ended to be delivered, and until when. Floor 3 (tell); the export thread.

A caller waits for an answer, never for a socket: its deadline holds whatever the collector does.
"""

from __future__ import annotations

import threading
from typing import Final

from firsttoken._clock import NS_PER_S, monotonic_ns

# Kept free before a deadline, to put what is left where it is safe.
_MARGIN_SHARE: Final = 0.25
_MARGIN_MAX_S: Final = 0.5


class Waiter:
    """One call of `flush` or `shutdown`.

    timeout_s: how long the caller waits.
    losses: how much was lost and reported before; more of it makes the answer False.
    closing: whether nothing may be left when time is up.
    """

    def __init__(self, timeout_s: float, losses: int, *, closing: bool = False) -> None:
        margin_s = min(timeout_s * _MARGIN_SHARE, _MARGIN_MAX_S)
        now = monotonic_ns()
        self.deadline_ns = now + int(timeout_s * NS_PER_S)
        self.give_up_ns = now + int((timeout_s - margin_s) * NS_PER_S)
        self.losses = losses
        self.closing = closing
        #: Number of the first span it does not wait for; None until the export thread saw the waiter.
        self.upto: int | None = None
        #: How many attempts had failed when the export thread saw the waiter.
        self.failures = 0
        self.result = False
        self._answered = threading.Event()

    @property
    def times_ns(self) -> tuple[int, int]:
        """When something is to be done about it."""
        return self.give_up_ns, self.deadline_ns

    def answer(self, losses: int) -> None:
        """Let the caller go on."""
        self.result = losses == self.losses
        self._answered.set()

    def wait(self, timeout_s: float) -> bool:
        """Block until answered or out of time; return whether everything was delivered."""
        return self._answered.wait(max(0.0, timeout_s)) and self.result
