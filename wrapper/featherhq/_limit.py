"""A token bucket, counted in time instead of tokens (the generic cell rate algorithm). Pure but for its lock.

Whoever asks is given a turn, first come first served, as the time to wait for it: threads and tasks wait
in their own ways for the same bucket. The sandbox holds its callers to the same rule.
"""

from __future__ import annotations

from threading import Lock


class RateLimit:
    """At most `rate` turns a second, with bursts of up to one second's worth.

    Args:
        rate: Turns a second; more than 0.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._interval = 1 / rate
        # How far ahead of an even pace a burst may run: one second's worth, and one turn at the least.
        self._ahead = max(0.0, 1 - self._interval)
        self._next = float("-inf")
        self._lock = Lock()

    def reserve(self, now: float, patience: float) -> float | None:
        """Take the next turn.

        Args:
            now: The time, in seconds of a monotonic clock.
            patience: The longest wait that is any use, in seconds.

        Returns:
            Seconds to wait before the turn; `None` where that is longer than `patience`, and no turn is taken.
        """
        with self._lock:
            even = max(self._next, now)
            wait = max(0.0, even - self._ahead - now)
            if wait > patience:
                return None
            self._next = even + self._interval
            return wait
