"""The rate limit: reopenings, checks and renewals, for which nobody waits, do not delay the requests of callers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority
from hypothesis import given, strategies as st
from rate_limit_queue import CHECK, NOW, OWED, RENEW, REOPEN, Queue


@given(
    st.lists(st.floats(0.3, 3), min_size=1, max_size=20),
    st.dictionaries(st.sampled_from([REOPEN, CHECK, RENEW]), st.integers(0, 60)),
)
def test_background_requests_delay_no_caller(pauses: list[float], others: dict[Priority, int]) -> None:
    """Reopenings, checks and renewals are spread evenly, and a caller gets a slot within 0.11 s at ten a second."""
    queue, moment = Queue(RateLimit(10)), 0.0
    for priority, callers in others.items():
        for _ in range(callers):
            queue.come(priority)
    for pause in pauses:
        moment += pause
        queue.come_at(moment, NOW)
    queue.run()
    assert len(queue.served) == len(queue.callers)
    for caller in queue.served:
        if caller.urgency.priority is NOW:
            assert caller.served_at - caller.came_at <= 0.11
    spread = [caller.served_at for caller in queue.served if caller.urgency.priority is not NOW]
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(spread))


@pytest.mark.parametrize("answered_in", [0.05, 0.2, 0.5])
def test_slow_responses_spread_background_requests_further(answered_in: float) -> None:
    """If responses are slow, there are fewer slots, but reopenings are still spread evenly between callers."""
    queue = Queue(RateLimit(10))
    for _ in range(100):
        queue.come(REOPEN, way=answered_in / 2, back=answered_in / 2)
    for number in range(40):
        queue.come_at(1.5 + 0.37 * number, NOW, way=answered_in / 2, back=answered_in / 2)
    queue.run()
    waits = [caller.served_at - caller.came_at for caller in queue.served if caller.urgency.priority is NOW]
    assert max(waits) <= 0.11 * (1 + answered_in)


def test_a_check_that_has_waited_long_queues_with_the_reopenings() -> None:
    """After half a minute without a spare slot, a check gets a slot in its order among the reopenings."""
    queue = Queue(RateLimit(10))
    for number in range(1000):
        # Each second has two more reopenings than slots.
        queue.come_at(number / 12, REOPEN)
    queue.come_at(0.5, CHECK)
    queue.run(100)
    (check,) = [caller for caller in queue.served if caller.urgency.priority is CHECK]
    assert check.served_at >= 30.5
    for caller in queue.served:
        if caller is not check:
            assert (caller.came_at <= 30.5) == (caller.served_at < check.served_at)


def test_renewals_and_checks_take_spare_slots() -> None:
    """Renewals and checks take spare slots in the order in which they came.

    A renewal never queues with the reopenings, because its last stream still works.
    """
    queue = Queue(RateLimit(1))
    queue.come()
    for number, priority in enumerate((RENEW, CHECK, RENEW, REOPEN, OWED)):
        queue.come_at(0.1 + number / 10, priority)
    queue.run()
    renewal, check, another, reopening, owed = queue.callers[1:]
    assert queue.served[1:] == [owed, reopening, renewal, check, another]

    queue = Queue(RateLimit(1))
    queue.come()
    renewal, check = queue.come(RENEW), queue.come(CHECK)
    for number in range(100):
        queue.come_at(number * 0.9, REOPEN)
    queue.run()
    assert queue.served[-1] is renewal
    assert 30 <= check.served_at < 40
