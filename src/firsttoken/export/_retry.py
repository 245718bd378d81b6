"""When to try again: backoff with jitter, and the circuit it makes. Floor 3 (tell), pure.

Source: https://opentelemetry.io/docs/specs/otlp/#failures-1 (retryable answers, Retry-After, throttling).
"""

from __future__ import annotations

from typing import Final

from firsttoken._clock import NS_PER_S

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 30.0
#: A server may ask for more patience than `LONGEST_WAIT_S`, but not for more than this.
LONGEST_RETRY_AFTER_S: Final = 300.0
#: After so many failures in a row the collector is taken for down.
OPEN_AFTER: Final = 3
_JITTER: Final = 0.2


class Circuit:
    """How deliveries went lately, and when the next may start.

    Closed: everything is sent at once. After a failure the next attempt waits, twice as long each time.
    Open (`OPEN_AFTER` failures in a row): attempts go on, spaced; who has another place to put spans
    need not wait for them.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.not_before_ns = 0
        self.asked_to_wait = False

    @property
    def is_open(self) -> bool:
        """Whether the collector is taken for down."""
        return self.failures >= OPEN_AFTER

    def succeeded(self) -> None:
        """Note a delivery that the collector answered."""
        self.failures = 0
        self.not_before_ns = 0
        self.asked_to_wait = False

    def failed(self, now_ns: int, chance: float, retry_after_s: float | None = None) -> None:
        """Note a failure that may go away by itself.

        now_ns: monotonic time.
        chance: a random number in [0, 1), for the jitter.
        retry_after_s: how long the server asked us to wait, if it did.
        """
        wait_s = min(FIRST_WAIT_S * 2 ** min(self.failures, 16), LONGEST_WAIT_S)
        wait_s *= 1 - _JITTER + 2 * _JITTER * chance
        self.failures += 1
        self.asked_to_wait = retry_after_s is not None
        if retry_after_s is not None:
            # Asked by many clients at once, a server gets them back spread out, never early.
            wait_s = min(retry_after_s, LONGEST_RETRY_AFTER_S) + _JITTER * chance
        self.not_before_ns = now_ns + int(wait_s * NS_PER_S)
