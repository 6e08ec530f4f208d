"""The timers of the fake world."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Timer:
    """A call that is planned for later."""

    __slots__ = ("what",)

    def __init__(self, what: Callable[[], object]) -> None:
        self.what: Callable[[], object] | None = what

    def cancel(self) -> None:
        """Cancel the call."""
        self.what = None


class Timers:
    """Timers, sorted by their time. Timers with the same time keep the order in which they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()

    def set(self, at: float, what: Callable[[], object]) -> Timer:
        """Plan a call for this time."""
        timer = Timer(what)
        heappush(self._heap, (at, next(self._numbers), timer))
        return timer

    def next_at(self) -> float | None:
        """The time of the next call, or `None` if no call is planned."""
        while self._heap and self._heap[0][2].what is None:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Callable[[], object]:
        """Remove the next call, and return it. Call `next_at` first: it removes the timers that were cancelled."""
        what = heappop(self._heap)[2].what
        assert what is not None
        return what
