"""Slots of a rate limit, without callers: the test itself says who asks, and when."""

from __future__ import annotations

import math
from collections.abc import Callable

from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Slot, Urgency


def join(
    limit: RateLimit,
    priority: Priority = Priority.NOW,
    *,
    again: bool = False,
    wake: Callable[[], None] = lambda: None,
) -> Slot:
    """A new slot, which is in the queue now."""
    slot = limit.slot(Urgency(priority), again=again)
    slot.join(wake)
    return slot


def take(slot: Slot, now: float) -> None:
    """Take a slot, which must be possible now. The response to its request comes at once."""
    assert slot.ask(now, math.inf) is True
    slot.answered(now)


def use(limit: RateLimit, *moments: float) -> None:
    """Send an urgent request at each of these times. The response to each comes at once."""
    for moment in moments:
        take(join(limit), moment)
