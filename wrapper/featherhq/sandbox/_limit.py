"""The sandbox's rate limit. There are three ways to count requests, because the vendor does not say which one it uses.

This code shares nothing with the client's rate limit, so that both cannot contain the same mistake. It has no I/O: the
caller supplies the time, in seconds of a clock that never runs backwards. A counter may be used in one thread only.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, get_args

from featherhq.sandbox._checks import number, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Counting = Literal["bucket", "sliding", "fixed"]
"""The names of the ways to count."""

# A request may come this many seconds too early, because sums of floats are not exact, here and in the client.
_TOLERANCE: Final = 1e-6


class Bucket:
    """A token bucket. It holds the tokens of one second, but at least 1, and is full at the start.

    Args:
        rate: Tokens added per second; above 0. A request takes one token.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate)
        self._tokens = self._capacity
        self._filled_at = -math.inf

    def take(self, now: float) -> bool:
        """Count a request at this time, and return whether it is accepted. A rejected request does not count."""
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens + _TOLERANCE * self._rate < 1:
            return False
        # The number may fall below 0 by the tolerance. The next request waits for it, so errors do not add up.
        self._tokens -= 1
        return True


class SlidingWindow:
    """A sliding window: it holds the requests of the last second.

    Args:
        rate: Requests in any one second, rounded down. Below 1: one request in any 1 / rate seconds.
    """

    def __init__(self, rate: float) -> None:
        self._length, allowed = _window(rate)
        # The times of the last accepted requests. If the window is full, the first of them must be old enough.
        self._accepted: deque[float] = deque(maxlen=allowed)

    def take(self, now: float) -> bool:
        """Count a request at this time, and return whether it is accepted. A rejected request does not count."""
        full = len(self._accepted) == self._accepted.maxlen
        if full and now - self._accepted[0] < self._length - _TOLERANCE:
            return False
        self._accepted.append(now)
        return True


class FixedWindows:
    """Fixed windows of one second, which begin when the clock shows a whole second.

    Two bursts are both accepted if one comes just before a new window, and the other just after.

    Args:
        rate: Requests in each window, rounded down. Below 1: one request in each window of 1 / rate seconds.
    """

    def __init__(self, rate: float) -> None:
        self._length, self._allowed = _window(rate)
        self._number = -math.inf
        self._accepted = 0

    def take(self, now: float) -> bool:
        """Count a request at this time, and return whether it is accepted. A rejected request does not count."""
        number = math.floor((now + _TOLERANCE) / self._length)
        if number != self._number:
            self._number, self._accepted = number, 0
        if self._accepted == self._allowed:
            return False
        self._accepted += 1
        return True


Counter = Bucket | SlidingWindow | FixedWindows


def counter(counting: Counting, rate: float | None) -> Counter | None:
    """Create a counter.

    Args:
        counting: The way to count.
        rate: Requests per second; `None` for no limit.

    Returns:
        A new counter; `None` if there is no limit.

    Raises:
        ValueError: `counting` is unknown, or the rate is not above 0.
        TypeError: `counting` is not a string, or the rate is not a number.
    """
    ways: Mapping[str, Callable[[float], Counter]]
    ways = {"bucket": Bucket, "sliding": SlidingWindow, "fixed": FixedWindows}
    one_of("counting", counting, *get_args(Counting))
    if rate is None:
        return None
    number("rate_limit", rate, "a number above 0 or None for no limit")
    return ways[counting](rate)


def _window(rate: float) -> tuple[float, int]:
    """The length of a window in seconds, and how many requests it allows."""
    return (1.0, math.floor(rate)) if rate >= 1 else (1 / rate, 1)
