"""Three ways in which a server can count requests for its rate limit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

RATE: Final = 10
"""Requests a second."""


class Counter(Protocol):
    """A way to count requests."""

    def accept(self, now: float) -> bool:
        """Return whether a request at this time is accepted. A refused request does not count.

        Args:
            now: Seconds of the monotonic clock.
        """


class TokenBucket:
    """A token bucket. It holds tokens for one second, is full at the start, and fills evenly."""

    def __init__(self) -> None:
        self._tokens = float(RATE)
        self._at = 0.0

    def accept(self, now: float) -> bool:
        """See `Counter.accept`."""
        self._tokens = min(RATE, self._tokens + (now - self._at) * RATE)
        self._at = now
        # A sum of floats can be a little less than a whole token.
        free = self._tokens >= 1 - 1e-9
        self._tokens -= free
        return free


class SlidingWindow:
    """A sliding window. It accepts at most `RATE` requests within any second."""

    def __init__(self) -> None:
        self._accepted: deque[float] = deque()

    def accept(self, now: float) -> bool:
        """See `Counter.accept`."""
        while self._accepted and self._accepted[0] <= now - 1:
            self._accepted.popleft()
        free = len(self._accepted) < RATE
        if free:
            self._accepted.append(now)
        return free


class FixedWindows:
    """Windows of one second, from each whole second of the clock to the next. Each accepts at most `RATE` requests."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._window = -1
        self._accepted = 0

    def accept(self, now: float) -> bool:
        """See `Counter.accept`."""
        window = int(now + self._offset)
        if window != self._window:
            self._window, self._accepted = window, 0
        free = self._accepted < RATE
        self._accepted += free
        return free


COUNTERS: Final[dict[str, Callable[[], Counter]]] = {
    "bucket": TokenBucket,
    "sliding": SlidingWindow,
    "fixed": FixedWindows,
}
"""The ways to count, by their names on the command line."""
