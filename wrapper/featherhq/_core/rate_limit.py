"""The rate limit of a client: a queue by urgency, and a window of one second.

Servers count requests in different ways: by a token bucket, by a sliding window, or by fixed windows of one second. A
client that keeps to a sliding window keeps to all three. So this counts a sliding window: in any second, at most one
second's worth of requests. `_core/slots.py` tells how long a request counts.

A request that wants a slot joins the queue and asks. The first request of the most urgent class learns how long to
wait. All others wait until they are woken. Pure except for its lock: the caller tells the time.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from operator import itemgetter
from threading import RLock
from typing import Final

from featherhq import _forks
from featherhq._core.exchange import Exchange
from featherhq._core.slots import Priority, Slot, Urgency

# Seconds: slightly more than a server's second, because clocks differ.
WINDOW: Final = 1.002
# If a window has no more than this many slots, none of them is kept free.
_FEW: Final = 3
# The weight of each new response in the average time of a round trip.
_LEARNED: Final = 1 / 8
# After a refusal (429) the pace is halved, but at most once per second, because refusals come in groups. It grows back
# by a twentieth of the rate per second. So processes that share a key come to share its rate.
_SLOWER: Final = 1 / 2
_ONE_GROUP: Final = 1.0
_FASTER: Final = 1 / 20
_SLOWEST: Final = 1 / 50
# Seconds for which one `Retry-After` may stop all requests. Then one request is tried, in case the value was wrong.
LONGEST_HOLD: Final = 10.0
# Seconds. A request that is not the first in the queue is woken later. After this time it asks again in any case.
_LONGEST_WAIT: Final = 60.0
# Seconds. A check takes only spare slots. After this time it queues with the reopenings, in case no slot is ever spare.
_LONGEST_SPARE_WAIT: Final = 30.0
# Requests for which nobody waits are spread evenly. If the window has more than a few slots, they leave one free. So a
# request for which somebody waits soon gets a slot.
SPREAD: Final = frozenset({Priority.REOPEN, Priority.CHECK, Priority.RENEW})


class RateLimit:
    """Allows at most `rate` requests in any second. They are sent by priority, and in order within each priority.

    Args:
        rate: Requests per second, more than 0. A window holds whole requests, so above 1 the fraction is dropped.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._capacity = max(1, math.floor(rate))
        # How many requests may be sent at the same moment.
        self._at_once = self._capacity
        self._window = WINDOW * max(1.0, 1 / rate)
        self._queues: dict[Priority, OrderedDict[Slot, None]] = {priority: OrderedDict() for priority in Priority}
        self._taken: deque[Slot] = deque()
        self._spread_from = self._hold_until = self._asked_at = float("-inf")
        self._pace, self._refused_at = rate, float("-inf")
        # The average time of a round trip, in seconds.
        self._round_trip = 0.0
        # It is reentrant, because `ask` calls `leave`.
        self._lock = RLock()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the requests in the queue belong to threads of the parent."""
        self._lock = RLock()
        for queue in self._queues.values():
            queue.clear()
        for slot in self._taken:
            # What the parent's requests do is not seen here.
            slot.exchange = Exchange()

    @property
    def label(self) -> str | None:
        """What it is called in an error, if it is not a client's own."""
        return None

    def slot(self, urgency: Urgency, *, again: bool = False) -> Slot:
        """A new slot, which is not in the queue yet."""
        return Slot(self, urgency, again)

    def pace(self, now: float) -> float:
        """Slots per second that are allowed now: the rate, or less after refusals."""
        recovering = max(0.0, now - max(self._refused_at, self._hold_until))
        return min(self.rate, self._pace + self.rate * _FASTER * recovering)

    def refused(self, now: float, retry_after: float | None) -> None:
        """The server has refused a request (429): slow down.

        Args:
            now: The time on the monotonic clock, in seconds.
            retry_after: Seconds that the server asks to wait, if it does.
        """
        with self._lock:
            if now >= self._refused_at + _ONE_GROUP:
                self._pace, self._refused_at = max(self.pace(now) * _SLOWER, self.rate * _SLOWEST), now
            if retry_after:
                self._hold_until = max(self._hold_until, now + min(retry_after, LONGEST_HOLD))

    # Called by slots.

    def join(self, slot: Slot) -> None:
        """As `Slot.join`."""
        with self._lock:
            slot.urgency.waits(slot)
            slot.priority = slot.urgency.priority
            queue = self._queues[slot.priority]
            queue[slot] = None
            if slot.again:
                queue.move_to_end(slot, last=False)

    def move(self, slot: Slot) -> None:
        """A slot has become more urgent: move it to the end of its new class."""
        with self._lock:
            # `pop` gives `None` only if the slot was in the queue.
            if self._queues[slot.priority].pop(slot, slot) is None:
                slot.priority = slot.urgency.priority
                self._queues[slot.priority][slot] = None
                slot.wake()

    def leave(self, slot: Slot) -> None:
        """As `Slot.leave`."""
        with self._lock:
            slot.urgency.waits(None)
            if self._queues[slot.priority].pop(slot, slot) is None:
                self._wake_first()

    def ask(self, slot: Slot, now: float, until: float) -> float | bool:
        """As `Slot.ask`."""
        with self._lock:
            if slot.joined_at == math.inf:
                slot.joined_at = now
                # A call that cannot get a slot in time fails at once, and not at its deadline.
                if self._expected(slot, now) > until:
                    self.leave(slot)
                    return False
            if now >= until:
                self.leave(slot)
                return False
            self._asked_at = now
            first = self._first(now)
            if first is not slot:
                if first is not None and first.priority is not slot.priority:
                    # A check that has waited long may have become the first, but nothing has woken it.
                    first.wake()
                return min(until - now, _LONGEST_WAIT)
            wait = self._wait(slot, now, until)
            if wait == math.inf:
                self.leave(slot)
                return False
            if wait > 0:
                return min(wait, until - now)
            self._take(slot, now)
            return True

    def answered(self, slot: Slot, now: float) -> None:
        """As `Slot.answered`."""
        with self._lock:
            arrived_at = min(now, slot.latest_arrival)
            slot.counts_until = arrived_at + self._length(now)
            self._round_trip += (arrived_at - slot.taken_at - self._round_trip) * _LEARNED

    def unsent(self, slot: Slot, now: float) -> None:
        """As `Slot.unsent`."""
        with self._lock:
            slot.counts_until = slot.taken_at + self._length(now)
            self._wake_first()

    def _take(self, slot: Slot, now: float) -> None:
        del self._queues[slot.priority][slot]
        slot.urgency.waits(None)
        slot.taken_at = now
        slot.counts_until = math.inf
        self._taken.append(slot)
        # A slot is in use for a window and a round trip. So this gap is the shortest that can go on without a pause.
        self._spread_from = now + max(1 / self.pace(now), (self._length(now) + self._round_trip) / self._capacity)
        self._wake_first()

    def _first(self, now: float) -> Slot | None:
        """The slot that is next. A check that has waited long competes with the reopenings, by time."""
        for priority in (Priority.RECONCILE, Priority.NOW, Priority.OWED):
            if queue := self._queues[priority]:
                return next(iter(queue))
        # The first slot of each of these classes, with the time by which they compete.
        waiting = [
            (slot.joined_at + (_LONGEST_SPARE_WAIT if priority is Priority.CHECK else 0.0), slot)
            for priority in (Priority.REOPEN, Priority.CHECK)
            if (slot := next(iter(self._queues[priority]), None)) and self._is_due(slot, now)
        ]
        if not waiting:
            waiting = [
                (slot.joined_at, slot)
                for priority in (Priority.CHECK, Priority.RENEW)
                if (slot := next(iter(self._queues[priority]), None))
            ]
        return min(waiting, key=itemgetter(0))[1] if waiting else None

    @staticmethod
    def _is_due(slot: Slot, now: float) -> bool:
        """Whether a slot for which nobody waits may take more than spare slots."""
        return slot.priority is Priority.REOPEN or now >= slot.joined_at + _LONGEST_SPARE_WAIT

    def _wake_first(self) -> None:
        first = self._first(self._asked_at)
        if first is not None:
            first.wake()

    def _wait(self, slot: Slot, now: float, until: float) -> float:  # noqa: ARG002 - other limits need `until`
        """Seconds after which the first slot may be taken, or must ask again; `inf` if it cannot come in time."""
        return self._opens_at(slot.priority, now) - now

    def _opens_at(self, priority: Priority, now: float) -> float:
        """When the first slot of a class can be taken."""
        slowed = self.pace(now) < self.rate
        opens = max(now, self._hold_until)
        if slowed or priority in SPREAD:
            opens = max(opens, self._spread_from)
        return max(opens, self._frees_at(0, now, self._kept_free(priority)))

    def _kept_free(self, priority: Priority) -> int:
        """How many slots a request of this class leaves free."""
        return 1 if priority in SPREAD and self._at_once > _FEW else 0

    def _frees_at(self, place: int, now: float, kept_free: int = 0) -> float:
        """The earliest time at which the window has room for a slot, if `place` slots go before it.

        A request without a response counts as arriving now. `kept_free` slots of the window must stay free.
        """
        while self._taken and self._ends(self._taken[0], now) <= now:
            self._taken.popleft()
        if place < self._capacity - kept_free - len(self._taken):
            return now
        ends = sorted(end for slot in self._taken if (end := self._ends(slot, now)) > now)
        room = self._capacity - kept_free - len(ends)
        if place < room:
            return now
        # A slot that becomes free is taken at once by the next in the queue, and is free again one window later.
        length = self._length(now)
        frees = [*ends, now + length]
        rounds, number = divmod(max(0, place - max(0, room)) + max(0, -room), self._capacity)
        return frees[min(number, len(frees) - 1)] + rounds * length

    def _ends(self, slot: Slot, now: float) -> float:
        """The earliest time at which a slot no longer counts."""
        if slot.counts_until == math.inf and now >= slot.latest_arrival:
            slot.counts_until = slot.latest_arrival + self._length(now)
        return min(slot.counts_until, now + self._length(now))

    def _length(self, now: float) -> float:
        """Seconds of a window. After refusals it is longer, so that its slots make the slower pace."""
        return self._window * self.rate / self.pace(now)

    def _expected(self, slot: Slot, now: float) -> float:
        """The earliest time at which a slot can be taken, if all slots before it in the queue are taken first."""
        before = sum(len(queue) for priority, queue in self._queues.items() if priority < slot.priority)
        before += 0 if slot.again else len(self._queues[slot.priority]) - 1
        opens = self._opens_at(slot.priority, now)
        if slot.priority in SPREAD or self.pace(now) < self.rate:
            return opens + before / self.pace(now)
        return max(opens, self._frees_at(before, now))
