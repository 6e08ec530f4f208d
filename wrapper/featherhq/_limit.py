"""A token bucket, counted in time instead of tokens (the generic cell rate algorithm), and the queue before it.

Whoever wants a turn lines up, asks how long it is going to be, waits in its own way (threads and tasks wait for the
same bucket), and asks again. So those behind one who leaves move up, and a pace that has changed is heeded by
all. Pure but for its lock. The sandbox holds its callers to the same rule.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from contextlib import contextmanager
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterator

# After a refusal the pace is halved, though not more than once a second: refusals come in swarms. It grows back by a
# twentieth of the rate each second, so that processes that share a key come to share its rate.
_SLOWER: Final = 1 / 2
_ONE_SWARM: Final = 1.0
_FASTER: Final = 1 / 20
_SLOWEST: Final = 1 / 50
# Seconds that one refusal may hold up all turns; then one is tried, lest a word from the wrong server stop everything.
_LONGEST_HOLD: Final = 10.0
# Seconds after which a request has surely arrived, though nobody has answered.
_LONGEST_WAY: Final = 1.0
# Seconds until the next look whether an answer has come.
_GLANCE: Final = 0.05
# Who waits longer than this, in seconds, looks again half way.
_SOON: Final = 0.5


class RateLimit:
    """At most `rate` turns a second, with bursts of up to one second's worth, first come first served.

    A server counts requests when they arrive, which is some time after they left: a burst that was late, and then more
    at an even pace that were not, would be more than it allows. So a request under way may be arriving at any moment,
    for a second or until it is answered; and never are there more of them than a burst has.

    Args:
        rate: Turns a second; more than 0.

    Attributes:
        rate: As above.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        # How far ahead of an even pace a burst may run, in seconds: one second's worth, and one turn at the least.
        self._ahead = max(0.0, 1 - 1 / rate)
        self._next = float("-inf")
        self._pace, self._refused_at = rate, float("-inf")
        # The numbers of those who wait, in order.
        self._queue: list[int] = []
        self._numbers = count()
        # The turns of the last second, and how many of them may not have arrived yet.
        self._recent: deque[Turn] = deque()
        self._under_way = 0
        self._lock = Lock()

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Line up; whoever leaves without a turn gives its place up."""
        with self._lock:
            turn = Turn(self, next(self._numbers))
            self._queue.append(turn.number)
        try:
            yield turn
        finally:
            with self._lock:
                if turn.taken_at == math.inf:
                    del self._queue[bisect_left(self._queue, turn.number)]

    def take(self, now: float) -> bool:
        """Take a turn for what has arrived, if there is one at once; whether there was."""
        with self.turn() as turn:
            if turn.wait(now):
                return False
            turn.answered(now)
            return True

    def pace(self, now: float) -> float:
        """Turns a second, as of late: the rate, or less after refusals."""
        return min(self.rate, self._pace + self.rate * _FASTER * (now - self._refused_at))

    def refused(self, now: float, retry_after: float | None) -> None:
        """The server has counted more requests than it allows: slow down.

        Args:
            now: The time, in seconds of a monotonic clock.
            retry_after: Seconds that it asks to wait, if it does.
        """
        with self._lock:
            if now >= self._refused_at + _ONE_SWARM:
                self._pace, self._refused_at = max(self.pace(now) * _SLOWER, self.rate * _SLOWEST), now
            # Nobody's turn comes before that, and there is no burst then.
            self._next = max(self._next, now + self._ahead + min(retry_after or 0.0, _LONGEST_HOLD))

    def ask(self, turn: Turn, now: float) -> float:
        """As `Turn.wait`."""
        with self._lock:
            self._let_arrive(now)
            place = bisect_left(self._queue, turn.number)
            even = max(self._next, now)
            # Each of those before it has a turn of its own, though it may not have taken it yet.
            wait = max(0.0, even - self._ahead + place / self.rate - now)
            if not wait and self._under_way > self._ahead * self.rate:
                # An answer may come at any time, and else they are old enough some time.
                return _GLANCE
            if not wait:
                del self._queue[place]
                turn.taken_at = now
                self._recent.append(turn)
                self._under_way += 1
                self._next = even + 1 / self.pace(now)
            return wait

    def answered(self, turn: Turn, now: float) -> None:
        """As `Turn.answered`."""
        with self._lock:
            self._let_arrive(now)
            self._arrive(turn, now)

    def _let_arrive(self, now: float) -> None:
        while self._recent and self._recent[0].taken_at <= now - _LONGEST_WAY:
            turn = self._recent.popleft()
            self._arrive(turn, turn.taken_at + _LONGEST_WAY)

    def _arrive(self, turn: Turn, by: float) -> None:
        if not turn.has_arrived:
            turn.has_arrived = True
            # It and the others may have arrived at that very moment, all at once.
            self._next = max(self._next, by + self._under_way / self.rate)
            self._under_way -= 1


@define
class Turn:
    """A place in the queue, and then a request under way.

    Attributes:
        limit: Whose.
        number: Its number; those before it have lower ones.
        taken_at: When it had its turn; at no time, yet, by default.
        has_arrived: Whether its request is known, or old enough to be taken, to have arrived.
    """

    limit: RateLimit = field(repr=False)
    number: int
    taken_at: float = math.inf
    has_arrived: bool = False

    def wait(self, now: float) -> float:
        """Seconds until its turn, at the least; 0 where it has come, and is taken.

        Args:
            now: The time, in seconds of a monotonic clock.
        """
        return self.limit.ask(self, now)

    def answered(self, now: float) -> None:
        """Its request has been answered, and so has arrived by now."""
        self.limit.answered(self, now)


def nap(wait: float) -> float:
    """Seconds to sleep, of a wait, before asking again."""
    return wait if wait <= _SOON else max(_SOON, wait / 2)
