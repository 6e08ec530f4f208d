"""A rate limit with callers in its queue, on a clock of its own. The tests of the rate limit use it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from attrs import define, field
from featherhq._core.exchange import Exchange
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Slot, Urgency

RECONCILE, NOW, OWED, REOPEN, CHECK, RENEW = Priority


@define(eq=False)
class Caller:
    """A caller that wants a slot.

    Attributes:
        number: Its number, in the order in which the callers came.
        urgency: How urgent its request is.
        came_at: When it came.
        until: The latest time for its slot.
        way: Seconds from its request to the arrival at the server.
        back: Seconds from there to its response.
        slot: Its slot.
        waits: Whether it is in the queue.
        asks: How often it has asked.
        served_at: When it got its slot.
        failed_at: When it was told that no slot can come in time.
    """

    number: int
    urgency: Urgency
    came_at: float
    until: float = math.inf
    way: float = 0.0
    back: float = 0.0
    slot: Slot = field(init=False)
    waits: bool = True
    asks: int = 0
    served_at: float = math.inf
    failed_at: float = math.inf


class Queue:
    """The callers of one rate limit. They wait and ask as the runners do, on a clock of their own.

    Args:
        limit: The rate limit.
        now: The first time of the clock.

    Attributes:
        limit: The rate limit.
        now: The time.
        callers: All callers, in the order in which they came.
        served: The callers that got a slot, in that order.
        arrived: When their requests arrived at the server.
    """

    def __init__(self, limit: RateLimit, *, now: float = 0.0) -> None:
        self.limit = limit
        self.now = now
        self.callers: list[Caller] = []
        self.served: list[Caller] = []
        self.arrived: list[float] = []
        self._numbers = count()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, moment: float, what: Callable[[], Any]) -> None:
        """Call this at that time."""
        heapq.heappush(self._timers, (moment, next(self._numbers), what))

    def come(self, priority: Priority = NOW, *, again: bool = False, **how: Any) -> Caller:
        """A new caller joins the queue now, and asks."""
        caller = Caller(len(self.callers), Urgency(priority), self.now, **how)
        self.callers.append(caller)
        caller.slot = self.limit.slot(caller.urgency, again=again)
        caller.slot.join(partial(self._woken, caller))
        self._ask(caller)
        return caller

    def come_at(self, moment: float, priority: Priority = NOW, **how: Any) -> None:
        """A new caller joins the queue at that time."""
        self.at(moment, partial(self.come, priority, **how))

    def leave(self, caller: Caller) -> None:
        """A caller leaves the queue without a slot, as a cancelled task does."""
        if caller.waits:
            caller.waits = False
            caller.slot.leave()

    def leave_by(self, number: int) -> None:
        """The caller with this number leaves the queue."""
        self.leave(self.callers[number])

    def run(self, until: float = math.inf) -> None:
        """Run the clock to that time, or until nothing more happens."""
        while self._timers and self._timers[0][0] <= until:
            self.now, _, what = heapq.heappop(self._timers)
            what()
        if until < math.inf:
            self.now = until

    def _woken(self, caller: Caller) -> None:
        self.at(self.now, partial(self._ask, caller))

    def _ask(self, caller: Caller) -> None:
        if not caller.waits:
            return
        caller.asks += 1
        wait = caller.slot.ask(self.now, caller.until)
        if isinstance(wait, float):
            assert wait > 0
            self.at(self.now + wait, partial(self._ask, caller))
            return
        caller.waits = False
        caller.slot.leave()
        if not wait:
            caller.failed_at = self.now
            return
        caller.served_at = self.now
        self.served.append(caller)
        # A transport that does not tell when it sends: it may send at once.
        caller.slot.exchange = Exchange()
        self.at(self.now + caller.way, lambda: self.arrived.append(self.now))
        if caller.back < math.inf:
            self.at(self.now + caller.way + caller.back, lambda: caller.slot.answered(self.now))
