"""How the sandbox counts requests: three ways, since Feather's pages do not say which one it uses.

Code of its own, which shares nothing with the client's: a mistake there must not be made here again. Pure: the time
comes from outside, in seconds of a clock that never runs backwards. For one thread.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, get_args

from featherhq.sandbox._checks import number, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Counting = Literal["bucket", "sliding", "fixed"]
"""The ways of counting, by name."""

# Seconds by which a request may come too early: a client that is exactly at the limit adds up floats, as we do.
_TOLERANCE: Final = 1e-6


class Bucket:
    """A token bucket: it holds one second's worth of requests, at least 1, and starts full.

    Args:
        rate: Requests a second, by which it is refilled; more than 0.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate)
        self._tokens = self._capacity
        self._filled_at = -math.inf

    def take(self, now: float) -> bool:
        """Whether a request that comes now is accepted; one that is refused does not count."""
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens + _TOLERANCE * self._rate < 1:
            return False
        # It may fall below 0 by the tolerance. The next request waits for that, so the error does not add up.
        self._tokens -= 1
        return True


class SlidingWindow:
    """A window of one second that ends now: a request leaves it exactly one second after it came.

    Args:
        rate: Requests in any one second, rounded down; below 1, one request in any 1 / rate seconds.
    """

    def __init__(self, rate: float) -> None:
        self._length, allowed = _window(rate)
        # When the last ones were accepted. The first of them decides, once there are as many as a window may hold.
        self._accepted: deque[float] = deque(maxlen=allowed)

    def take(self, now: float) -> bool:
        """Whether a request that comes now is accepted; one that is refused does not count."""
        full = len(self._accepted) == self._accepted.maxlen
        if full and now - self._accepted[0] < self._length - _TOLERANCE:
            return False
        self._accepted.append(now)
        return True


class FixedWindows:
    """Windows of one second that begin when the clock shows a whole second.

    Two bursts on either side of such a moment are both accepted.

    Args:
        rate: Requests in each window, rounded down; below 1, one request in each window of 1 / rate seconds.
    """

    def __init__(self, rate: float) -> None:
        self._length, self._allowed = _window(rate)
        self._number = -math.inf
        self._accepted = 0

    def take(self, now: float) -> bool:
        """Whether a request that comes now is accepted; one that is refused does not count."""
        number = math.floor((now + _TOLERANCE) / self._length)
        if number != self._number:
            self._number, self._accepted = number, 0
        if self._accepted == self._allowed:
            return False
        self._accepted += 1
        return True


Counter = Bucket | SlidingWindow | FixedWindows


def counter(counting: Counting, rate: float | None) -> Counter | None:
    """What counts requests.

    Args:
        counting: The way.
        rate: Requests a second; `None` for no limit.

    Returns:
        A counter that has seen nothing yet; `None` where there is no limit.

    Raises:
        ValueError: there is no such way, or the rate is not above 0.
        TypeError: the way is no string, or the rate no number.
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
