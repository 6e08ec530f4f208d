"""The queue of one client under a limit that several processes share.

The requests of a client wait in a queue of their own, as under any limit. Only the first of them needs a reservation
(`reservations.py`). So priorities and cancelled calls cost no question to the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from featherhq._core.rate_limit import LONGEST_HOLD, SPREAD, RateLimit

if TYPE_CHECKING:
    from featherhq._core.reservations import Reservations
    from featherhq._core.slots import Slot

# Seconds for which a 429 without `Retry-After` holds all processes: the longest window that a server may count in.
_HOLD: Final = 1.0


class SharedLimit(RateLimit):
    """A queue whose first request takes a reservation of its process.

    Args:
        reservations: The reservations. Several queues of a process may have the same ones.
    """

    def __init__(self, reservations: Reservations) -> None:
        super().__init__(reservations.terms.rate)
        self._at_once = reservations.terms.count
        self._reservations = reservations

    @property
    def label(self) -> str:
        """As `RateLimit.label`."""
        return self._reservations.label

    def refused(self, now: float, retry_after: float | None) -> None:
        """As `RateLimit.refused`, but all processes wait, and none of them slows down."""
        if self._reservations.is_lost:
            super().refused(now, retry_after)
            return
        seconds = min(retry_after or _HOLD, LONGEST_HOLD)
        with self._lock:
            self._hold_until = max(self._hold_until, now + seconds)
        self._reservations.hold(now, seconds)

    def leave(self, slot: Slot) -> None:
        """As `RateLimit.leave`."""
        with self._lock:
            super().leave(slot)
            if not any(self._queues.values()):
                self._reservations.leave(self)

    def ask(self, slot: Slot, now: float, until: float) -> float | bool:
        """As `RateLimit.ask`."""
        result = super().ask(slot, now, until)
        # After the lock is released, because a listener may take its time.
        self._reservations.tell()
        return result

    def _wait(self, slot: Slot, now: float, until: float) -> float:
        if self._hold_until > now:
            # Other queues of this process may go on.
            self._reservations.leave(self)
            return self._hold_until - now
        return self._reservations.take(self, slot, now, until, spread=slot.priority in SPREAD)

    def _take(self, slot: Slot, now: float) -> None:
        super()._take(slot, now)
        self._taken.clear()

    def _expected(self, slot: Slot, now: float) -> float:
        """As in `RateLimit`. Nobody knows what the other processes will send, so this is the earliest possible time."""
        before = sum(len(queue) for priority, queue in self._queues.items() if priority < slot.priority)
        before += 0 if slot.again else len(self._queues[slot.priority]) - 1
        return max(now, self._hold_until) + max(0, before + 1 - self._reservations.terms.count) / self.rate
