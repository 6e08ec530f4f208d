"""The rate limit: how the callers that wait keep their places when others leave or become more urgent."""

from __future__ import annotations

import pytest
from featherhq._core.rate_limit import Priority, RateLimit
from rate_limit_queue import NOW, OWED, RECONCILE, REOPEN, Queue


def test_the_next_caller_is_served_in_time_if_the_first_leaves() -> None:
    """If the first caller in the queue leaves, the next caller is woken. It gets the slot as soon as there is one."""
    queue = Queue(RateLimit(1))
    queue.come()
    first, second, third = queue.come(), queue.come(), queue.come()
    queue.at(0.5, lambda: queue.leave(first))
    queue.run()
    assert second.served_at == pytest.approx(1.0, abs=0.1)
    assert third.served_at == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("priority", [NOW, OWED, REOPEN])
def test_a_caller_that_becomes_no_more_urgent_keeps_its_place(priority: Priority) -> None:
    """A caller stays where it is if it is raised to the class that it already has, or to a less urgent class."""
    queue = Queue(RateLimit(1))
    queue.come()
    first, second = queue.come(priority), queue.come(priority)
    first.urgency.raise_to(priority)
    first.urgency.raise_to(Priority(priority + 1))
    assert first.urgency.priority is priority
    queue.run()
    assert queue.served[1:] == [first, second]


def test_a_caller_that_becomes_more_urgent_moves_up() -> None:
    """A caller that becomes more urgent goes behind the callers that have its new class already."""
    queue = Queue(RateLimit(1))
    queue.come()
    urgent, first, second = queue.come(RECONCILE), queue.come(), queue.come()
    second.urgency.raise_to(RECONCILE)
    queue.run()
    assert queue.served[1:] == [urgent, second, first]
