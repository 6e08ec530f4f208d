"""The rate limit: which caller gets the next slot, what happens if callers leave, and when a caller fails at once."""

from __future__ import annotations

import math
from functools import partial

import pytest
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Urgency
from hypothesis import given, strategies as st
from rate_limit_queue import CHECK, NOW, OWED, RECONCILE, REOPEN, Caller, Queue

# The order of the queue.


@given(
    st.sampled_from([4.0, 10.0]),
    st.lists(
        st.tuples(
            st.one_of(st.just(0.0), st.floats(0, 0.4)),
            st.sampled_from(Priority),
            st.floats(0, 0.5),
            st.one_of(st.none(), st.floats(0, 3)),
        ),
        min_size=1,
        max_size=40,
    ),
)
def test_urgent_callers_go_first_and_each_class_keeps_its_order(
    rate: float, calls: list[tuple[float, Priority, float, float | None]]
) -> None:
    """Within a class, the first caller that comes is served first, and every caller that stays gets a slot."""
    queue, moment, left = Queue(RateLimit(rate)), 0.0, {}
    for number, (pause, priority, back, leaves) in enumerate(calls):
        moment += pause
        queue.come_at(moment, priority, back=back)
        if leaves is not None:
            left[number] = moment + leaves
            queue.at(moment + leaves, partial(queue.leave_by, number))
    queue.run()
    gone = {number for number, at in left.items() if queue.callers[number].served_at > at}
    assert {caller.number for caller in queue.callers} - {caller.number for caller in queue.served} == gone
    for place, caller in enumerate(queue.served):
        for later in queue.served[place + 1 :]:
            waited = later.came_at < caller.served_at
            # Checks and renewals are served in the order in which they came.
            mine, its = ((min(one.urgency.priority, CHECK), one.came_at) for one in (caller, later))
            in_order = mine < its or (mine == its and caller.urgency.priority <= later.urgency.priority)
            same = caller.urgency.priority is later.urgency.priority
            assert not waited or (caller.number < later.number if same else in_order)


def test_a_retry_keeps_its_place() -> None:
    """A retry goes before the requests of its class that came during the first attempt, but after urgent ones."""
    queue = Queue(RateLimit(1))
    queue.come()
    later, retry, urgent = queue.come(), queue.come(again=True), queue.come(RECONCILE)
    queue.run()
    assert queue.served[1:] == [urgent, retry, later]


def test_a_request_that_becomes_more_urgent_moves_up() -> None:
    """The request moves to the end of its new class at once, and it never becomes less urgent."""
    queue = Queue(RateLimit(1))
    queue.come()
    reopening, check, waiting = queue.come(REOPEN), queue.come(CHECK), queue.come(NOW)
    check.urgency.raise_to(NOW)
    check.urgency.raise_to(REOPEN)
    assert check.urgency.priority is NOW
    queue.run()
    assert queue.served[1:] == [waiting, check, reopening]


def test_a_request_that_becomes_more_urgent_is_no_longer_spread() -> None:
    """A check that becomes urgent is woken and takes the slot that was free for urgent requests."""
    queue = Queue(RateLimit(10))
    queue.come(REOPEN)
    check = queue.come(CHECK)
    queue.run(0.03)
    check.urgency.raise_to(NOW)
    queue.run()
    assert check.served_at == pytest.approx(0.03)


def test_a_request_may_become_more_urgent_before_it_joins_the_queue() -> None:
    """The request joins with its new priority, and a slot that is taken does not change."""
    limit = RateLimit(1)
    urgency = Urgency(CHECK)
    slot = limit.slot(urgency)
    urgency.raise_to(OWED)
    slot.join(lambda: None)
    assert slot.priority is OWED
    assert slot.ask(0, math.inf) is True
    urgency.raise_to(NOW)
    slot.leave()
    assert limit.slot(Urgency(NOW)).ask(0, 0.5) is False


# Callers that leave the queue.


def test_two_thousand_callers_wait_and_most_leave() -> None:
    """The callers that stay get at least 9.8 slots a second, in order."""
    queue = Queue(RateLimit(10))
    for _ in range(2000):
        queue.come()
    for caller in queue.callers[10:]:
        if caller.number % 10:
            queue.at(caller.number * 0.0037, partial(queue.leave, caller))
    queue.run()
    left = [caller for caller in queue.served if caller.number % 10]
    stayed = [caller for caller in queue.served if not caller.number % 10]
    assert [caller.number for caller in queue.served] == sorted(caller.number for caller in queue.served)
    assert len(stayed) == 200
    assert len(queue.served) / (queue.served[-1].served_at + 1) >= 9.8
    assert len(left) < 100
    # No caller asks more often than needed, even if many leave.
    assert sum(caller.asks for caller in queue.callers) < 3 * 2000


def test_callers_that_leave_delay_no_later_caller() -> None:
    """After a thousand callers have left the queue, the next caller gets its slot as if they had never come."""
    queue = Queue(RateLimit(1))
    queue.come()
    for _ in range(1000):
        queue.leave(queue.come())
    queue.run(0.5)
    last = queue.come()
    queue.run()
    assert last.served_at == pytest.approx(1.002)
    assert len(queue.served) == 2


def test_the_next_caller_is_woken_when_the_first_leaves() -> None:
    """If the first caller leaves the queue, the next one is woken at once and gets the first slot."""
    queue = Queue(RateLimit(1))
    queue.come()
    waiting = [queue.come() for _ in range(3)]
    queue.run(0.5)
    queue.leave(waiting[0])
    queue.leave(waiting[2])
    queue.run()
    assert waiting[1].served_at == pytest.approx(1.002)


def test_a_slot_that_has_left_the_queue_does_not_move_up() -> None:
    """A slot that has left does not come back when its urgency changes, and a slot that has not joined may be woken."""
    limit = RateLimit(10)
    slot = limit.slot(Urgency(Priority.CHECK))
    slot.wake()
    slot.join(lambda: None)
    slot.leave()
    limit.move(slot)
    other = limit.slot(Urgency(Priority.CHECK))
    other.join(lambda: None)
    assert other.ask(0.0, 10.0) is True


# Slots that cannot come in time.


def test_a_caller_whose_slot_cannot_come_in_time_fails_at_once() -> None:
    """A caller fails at once if too many others are before it in the queue."""
    queue = Queue(RateLimit(10))
    for _ in range(50):
        queue.come()
    late, in_time = queue.come(until=3), queue.come(until=7)
    assert late.failed_at == 0
    queue.run()
    assert in_time.served_at < 7


@given(st.integers(1, 25), st.integers(0, 60), st.floats(0, 0.9), st.floats(0, 0.3))
def test_no_caller_fails_if_its_slot_comes_in_time(rate: int, before: int, pause: float, back: float) -> None:
    """A caller whose slot comes just before its deadline waits and gets the slot."""

    def last(until: float) -> Caller:
        queue = Queue(RateLimit(rate))
        for _ in range(before):
            queue.come(back=back)
        queue.come_at(pause, until=until)
        queue.run()
        return queue.callers[-1]

    would_come = last(math.inf).served_at
    assert last(would_come + 0.01).served_at == pytest.approx(would_come)


def test_a_deadline_may_pass_in_the_queue() -> None:
    """If an urgent caller takes the last slot before a deadline, a caller fails, and the next one is woken."""
    queue = Queue(RateLimit(1))
    queue.come()
    waiting, behind = queue.come(until=1.5), queue.come()
    queue.come_at(0.5, RECONCILE)
    queue.run()
    assert waiting.failed_at == pytest.approx(1.5)
    assert behind.served_at == pytest.approx(2.004)
