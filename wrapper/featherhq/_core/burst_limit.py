"""A rate limit for servers whose way of counting is known: a token bucket of a given size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featherhq._core.rate_limit import WINDOW, RateLimit

if TYPE_CHECKING:
    from featherhq._core.slots import Slot


class BurstLimit(RateLimit):
    """Allows `burst` requests at once, and then `rate` per second, evenly spaced. The queue is the same.

    Args:
        rate: Requests per second, more than 0.
        burst: How many may be sent at once, at least 1.
    """

    def __init__(self, rate: float, burst: int) -> None:
        super().__init__(rate)
        self._at_once = burst
        self._gap = WINDOW / rate
        # When the bucket is full again.
        self._full_at = float("-inf")

    def _take(self, slot: Slot, now: float) -> None:
        self._full_at = max(self._full_at, now) + self._gap
        super()._take(slot, now)
        # They are counted by the bucket, and not one by one.
        self._taken.clear()

    def _frees_at(self, place: int, now: float, kept_free: int = 0) -> float:
        return max(now, self._full_at - (self._at_once - 1 - place - kept_free) * self._gap)
