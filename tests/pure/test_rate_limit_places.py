"""The rate limit: who is woken when a caller leaves, who keeps the place in the queue, and how slots are spread."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Slot, Urgency
from rate_limit_queue import CHECK, NOW, OWED, RENEW, REOPEN, Queue


def slots(priority: Priority, woken: list[int]) -> tuple[RateLimit, list[Slot]]:
    """A rate limit with three slots of one class in its queue. Each notes its number when it is woken."""

    def note(number: int) -> Callable[[], None]:
        return lambda: woken.append(number)

    limit = RateLimit(1)
    joined = [limit.slot(Urgency(priority)) for _ in range(3)]
    for number, slot in enumerate(joined):
        slot.join(note(number))
    return limit, joined


def test_the_first_caller_is_woken_when_another_leaves() -> None:
    """When a caller leaves the queue, the caller that is the first then is woken."""
    woken: list[int] = []
    _, joined = slots(NOW, woken)
    assert woken == []
    joined[0].leave()
    assert woken == [1]
    joined[1].leave()
    assert woken == [1, 2]


@pytest.mark.parametrize("priority", [NOW, OWED, REOPEN])
def test_a_caller_that_becomes_no_more_urgent_keeps_its_place(priority: Priority) -> None:
    """A caller stays where it is if it is raised to the class that it already has, or to a less urgent class."""
    woken: list[int] = []
    _, joined = slots(priority, woken)
    joined[0].urgency.raise_to(priority)
    joined[0].urgency.raise_to(Priority(priority + 1))
    assert woken == []
    assert joined[0].priority is priority
    assert joined[0].ask(0.0, math.inf) is True
    assert woken == [1]


def test_reopenings_are_spread_by_the_average_round_trip() -> None:
    """A slot is in use for a window and a round trip. So the gap between two reopenings is the tenth part of that, if
    there are ten slots. The round trip is the average of many responses.
    """
    limit, now = RateLimit(10), 0.0
    for _ in range(60):
        slot = limit.slot(Urgency(NOW))
        slot.join(lambda: None)
        assert slot.ask(now, math.inf) is True
        slot.answered(now + 0.5)
        now += 2.0
    first, second = limit.slot(Urgency(REOPEN)), limit.slot(Urgency(REOPEN))
    for slot in (first, second):
        slot.join(lambda: None)
    assert first.ask(now, math.inf) is True
    assert second.ask(now, math.inf) == pytest.approx((1.002 + 0.5) / 10, abs=0.001)


def test_a_window_of_three_slots_keeps_none_free() -> None:
    """If a window has only three slots, reopenings may take all of them."""
    queue = Queue(RateLimit(3))
    callers = [queue.come(REOPEN) for _ in range(3)]
    queue.run()
    assert [caller.served_at for caller in callers] == pytest.approx([0.0, 0.334, 0.668])


def test_a_check_does_not_overtake_an_earlier_renewal() -> None:
    """Checks and renewals take spare slots in the order in which they came, until a check has waited half a minute."""
    limit = RateLimit(1)
    taken, renewal, check = (limit.slot(Urgency(priority)) for priority in (NOW, RENEW, CHECK))
    for slot in (taken, renewal, check):
        slot.join(lambda: None)
    assert taken.ask(0.0, math.inf) is True
    assert renewal.ask(0.1, math.inf) is not True
    assert check.ask(0.2, math.inf) is not True
    assert check.ask(9.0, math.inf) is not True
    assert renewal.ask(9.0, math.inf) is True
