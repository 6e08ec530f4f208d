"""The rate limit of a client: a line in which those whom somebody waits for go first, and a window of one second.

Servers count in different ways: a bucket, a sliding window, fixed windows of one second. What keeps to a sliding
window keeps to all three, so that is what is counted here: at most one second's worth of requests in any second. A
server counts a request when it arrives, which is some time after it left. So a request counts from the moment it left
until one second after its answer came, or after a second without one.

Whoever wants a slot joins the line and asks. The first of the most urgent class learns how long to wait; all others
learn to wait until they are woken. Pure but for its lock: who asks brings the time.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import IntEnum
from operator import itemgetter
from threading import RLock
from typing import Final

from attrs import define, field

from featherhq import _forks

# A hair more than a server's second, as clocks differ.
_WINDOW: Final = 1.002
# Seconds after which a request has surely arrived, though nobody has answered.
_LONGEST_WAY: Final = 1.0
# A window of no more than so many slots has none to leave free.
_FEW: Final = 3
# So much of each answer's time goes into what answers take by and large.
_LEARNED: Final = 1 / 8
# After a refusal the pace is halved, though not more than once a second: refusals come in swarms. It grows back by a
# twentieth of the rate each second, so that processes that share a key come to share its rate.
_SLOWER: Final = 1 / 2
_ONE_SWARM: Final = 1.0
_FASTER: Final = 1 / 20
_SLOWEST: Final = 1 / 50
# Seconds that one refusal may hold up all slots; then one is tried, lest a word from the wrong server stop everything.
_LONGEST_HOLD: Final = 10.0
# Who is not first is woken when it is; it asks again after so many seconds all the same.
_LONGEST_NAP: Final = 60.0
# A check that has waited so many seconds for what is left over lines up with the reopenings, as there may be nothing
# left over for ever.
_LONGEST_LEFT_OVER: Final = 30.0


class Priority(IntEnum):
    """How urgent a request is; the lower, the sooner its turn."""

    RECONCILE = 0
    """Somebody waits, and whether a message has arrived is not known."""
    NOW = 1
    """Somebody waits for this answer."""
    OWED = 2
    """A conversation with an unanswered message needs it."""
    REOPEN = 3
    """A conversation in which nobody waits opens its stream."""
    CHECK = 4
    """A check, from what is left over."""
    RENEW = 5
    """A stream is opened before the last has ended: as a check, but for one that has waited long."""


# Those for which nobody waits are spread evenly, and leave one slot of the window free where it has more than a few. So
# there is always a slot soon for somebody who does.
_SPREAD: Final = frozenset({Priority.REOPEN, Priority.CHECK, Priority.RENEW})


@define(eq=False)
class Urgency:
    """How urgent a piece of work is. It may become more so while its request waits in the line.

    Attributes:
        priority: Of its requests.
    """

    priority: Priority
    _slot: Slot | None = field(default=None, init=False, repr=False)

    def raise_to(self, priority: Priority) -> None:
        """Make it as urgent as that, if it is not already; what waits in the line moves up."""
        if priority < self.priority:
            self.priority = priority
            if self._slot is not None:
                self._slot.limit.move(self._slot)

    def waits(self, slot: Slot | None) -> None:
        """Say which of its slots is in the line now, if any."""
        self._slot = slot


@define(eq=False)
class Slot:
    """A place in the line, and then a request under way.

    Attributes:
        limit: Whose.
        urgency: How urgent the request is.
        again: Whether it is a repetition of a request that was refused, which keeps its place.
        priority: The class in which it waits, or waited.
        joined_at: When it was first asked for.
        taken_at: When it was taken; never, yet, by default.
        counts_until: When the server has surely forgotten it.
    """

    limit: RateLimit = field(repr=False)
    urgency: Urgency
    again: bool = False
    priority: Priority = field(init=False)
    joined_at: float = math.inf
    taken_at: float = math.inf
    counts_until: float = math.inf
    _wake: Callable[[], None] = field(default=lambda: None)

    def __attrs_post_init__(self) -> None:
        self.priority = self.urgency.priority

    def join(self, wake: Callable[[], None]) -> None:
        """Join the line.

        Args:
            wake: Called, from any thread, when it is worth asking again.
        """
        self._wake = wake
        self.limit.join(self)

    def ask(self, now: float, until: float) -> float | bool:
        """Ask for the slot.

        Args:
            now: The time on the monotonic clock, in seconds.
            until: When it has to come.

        Returns:
            `True` where it has come, and is taken; `False` where it cannot come in time; else the seconds after which
            to ask again, if not woken before.
        """
        return self.limit.ask(self, now, until)

    def leave(self) -> None:
        """Leave the line; a slot that was taken stays taken."""
        self.limit.leave(self)

    def answered(self, now: float) -> None:
        """The request has been answered, and so had arrived by now."""
        self.limit.answered(self, now)

    def wake(self) -> None:
        """Tell whoever waits that it is worth asking again."""
        self._wake()


class RateLimit:
    """At most so many requests in any second, in the order of their priorities, first come first served in each.

    Args:
        rate: Requests a second; more than 0. Windows hold whole requests, so that above 1 the fraction is left out.

    Attributes:
        rate: As given.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._capacity = max(1, math.floor(rate))
        self._window = _WINDOW * max(1.0, 1 / rate)
        self._line: dict[Priority, OrderedDict[Slot, None]] = {priority: OrderedDict() for priority in Priority}
        self._taken: deque[Slot] = deque()
        self._spread_from = self._hold_until = self._asked_at = float("-inf")
        self._pace, self._refused_at = rate, float("-inf")
        # What answers take, by and large.
        self._way = 0.0
        # Urgencies call back into it while it wakes slots.
        self._lock = RLock()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: those in the line wait in the parent."""
        self._lock = RLock()
        for line in self._line.values():
            line.clear()

    def slot(self, urgency: Urgency, *, again: bool = False) -> Slot:
        """A place in the line, to be joined."""
        return Slot(self, urgency, again)

    def pace(self, now: float) -> float:
        """Slots a second, as of late: the rate, or less after refusals."""
        recovering = max(0.0, now - max(self._refused_at, self._hold_until))
        return min(self.rate, self._pace + self.rate * _FASTER * recovering)

    def refused(self, now: float, retry_after: float | None) -> None:
        """The server has counted more requests than it allows: slow down.

        Args:
            now: The time on the monotonic clock, in seconds.
            retry_after: Seconds that it asks to wait, if it does.
        """
        with self._lock:
            if now >= self._refused_at + _ONE_SWARM:
                self._pace, self._refused_at = max(self.pace(now) * _SLOWER, self.rate * _SLOWEST), now
            if retry_after:
                self._hold_until = max(self._hold_until, now + min(retry_after, _LONGEST_HOLD))

    # What slots call.

    def join(self, slot: Slot) -> None:
        """As `Slot.join`."""
        with self._lock:
            slot.urgency.waits(slot)
            slot.priority = slot.urgency.priority
            line = self._line[slot.priority]
            line[slot] = None
            if slot.again:
                line.move_to_end(slot, last=False)

    def move(self, slot: Slot) -> None:
        """A slot has become more urgent: to the end of its new class."""
        with self._lock:
            if self._line[slot.priority].pop(slot, slot) is None:
                slot.priority = slot.urgency.priority
                self._line[slot.priority][slot] = None
                slot.wake()

    def leave(self, slot: Slot) -> None:
        """As `Slot.leave`."""
        with self._lock:
            slot.urgency.waits(None)
            if self._line[slot.priority].pop(slot, slot) is None:
                self._wake_first()

    def ask(self, slot: Slot, now: float, until: float) -> float | bool:
        """As `Slot.ask`."""
        with self._lock:
            if slot.joined_at == math.inf:
                slot.joined_at = now
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
                    # It may have become first by waiting, and not know.
                    first.wake()
                return min(until - now, _LONGEST_NAP)
            wait = self._opens_at(slot.priority, now) - now
            if wait > 0:
                return min(wait, until - now)
            self._take(slot, now)
            return True

    def answered(self, slot: Slot, now: float) -> None:
        """As `Slot.answered`."""
        with self._lock:
            way = min(now - slot.taken_at, _LONGEST_WAY)
            slot.counts_until = slot.taken_at + way + self._length(now)
            self._way += (way - self._way) * _LEARNED

    def _take(self, slot: Slot, now: float) -> None:
        del self._line[slot.priority][slot]
        slot.urgency.waits(None)
        slot.taken_at = now
        slot.counts_until = math.inf
        self._taken.append(slot)
        self._spread_from = now + max(1 / self.pace(now), (self._length(now) + self._way) / self._capacity)
        self._wake_first()

    def _first(self, now: float) -> Slot | None:
        """Whose turn it is."""
        for priority in (Priority.RECONCILE, Priority.NOW, Priority.OWED):
            if line := self._line[priority]:
                return next(iter(line))
        # Those of these classes that wait, each with when it is taken to have joined the line.
        waiting = [
            (slot.joined_at + (_LONGEST_LEFT_OVER if priority is Priority.CHECK else 0.0), slot)
            for priority in (Priority.REOPEN, Priority.CHECK)
            if (slot := next(iter(self._line[priority]), None)) and self._is_due(slot, now)
        ]
        if not waiting:
            waiting = [
                (slot.joined_at, slot)
                for priority in (Priority.CHECK, Priority.RENEW)
                if (slot := next(iter(self._line[priority]), None))
            ]
        return min(waiting, key=itemgetter(0))[1] if waiting else None

    @staticmethod
    def _is_due(slot: Slot, now: float) -> bool:
        """Whether one for which nobody waits is to go before what is left over."""
        return slot.priority is Priority.REOPEN or now >= slot.joined_at + _LONGEST_LEFT_OVER

    def _wake_first(self) -> None:
        first = self._first(self._asked_at)
        if first is not None:
            first.wake()

    def _opens_at(self, priority: Priority, now: float) -> float:
        """When the next slot is free for the first of a class."""
        slowed = self.pace(now) < self.rate
        opens = max(now, self._hold_until)
        if slowed or priority in _SPREAD:
            opens = max(opens, self._spread_from)
        kept_free = 1 if priority in _SPREAD and self._capacity > _FEW else 0
        return max(opens, self._frees_at(0, now, kept_free))

    def _frees_at(self, place: int, now: float, kept_free: int = 0) -> float:
        """When the window has room for one that has so many before it. Who was not answered yet counts as arriving now.

        Args:
            place: How many are before it.
            now: The time.
            kept_free: How many slots are to be left free.
        """
        while self._taken and self._ends(self._taken[0], now) <= now:
            self._taken.popleft()
        if place < self._capacity - kept_free - len(self._taken):
            return now
        ends = sorted(end for slot in self._taken if (end := self._ends(slot, now)) > now)
        room = self._capacity - kept_free - len(ends)
        if place < room:
            return now
        # A slot that is free is taken at once, and free again a window later; and so on, round after round.
        length = self._length(now)
        frees = [*ends, now + length]
        rounds, number = divmod(max(0, place - max(0, room)) + max(0, -room), self._capacity)
        return frees[min(number, len(frees) - 1)] + rounds * length

    def _ends(self, slot: Slot, now: float) -> float:
        """When a slot no longer counts, at the soonest."""
        if slot.counts_until == math.inf and now >= slot.taken_at + _LONGEST_WAY:
            slot.counts_until = slot.taken_at + _LONGEST_WAY + self._length(now)
        return min(slot.counts_until, now + self._length(now))

    def _length(self, now: float) -> float:
        return self._window * self.rate / self.pace(now)

    def _expected(self, slot: Slot, now: float) -> float:
        """When its turn comes at the soonest, by all who are before it."""
        before = sum(len(line) for priority, line in self._line.items() if priority < slot.priority)
        before += 0 if slot.again else len(self._line[slot.priority]) - 1
        opens = self._opens_at(slot.priority, now)
        if slot.priority in _SPREAD or self.pace(now) < self.rate:
            return opens + before / self.pace(now)
        return max(opens, self._frees_at(before, now))
