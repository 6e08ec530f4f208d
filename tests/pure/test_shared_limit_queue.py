"""A limit that processes share, in fake time: whose turn it is within a process, and what its calls are told."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from featherhq._core.events import SharedLimitBack, SharedLimitLost
from featherhq._core.shared_limit import SharedLimit
from rate_limit_queue import CHECK, NOW, RECONCILE, REOPEN
from shared_limit_store import Store


@pytest.fixture
def store() -> Store:
    """A store that somebody has used before, so that a slot is free at once."""
    made = Store()
    made.come(made.limits(1)[0])
    made.queue.run(110.0)
    return made


def use_all(store: Store) -> None:
    """Let another process use all slots of this second."""
    (other,) = store.limits(1)
    for _ in range(10):
        store.come(other)
    store.queue.run(store.queue.now + 0.9)


def test_a_reservation_belongs_to_the_process(store: Store) -> None:
    """If the first caller gives up while its slot is reserved, the next one takes it, and no slot is lost."""
    use_all(store)
    (limit,) = store.limits(1)
    first, second = store.come(limit), store.come(limit)
    store.queue.run(store.queue.now + 0.01)
    asked = len(store.questions)
    store.queue.leave(first)
    store.queue.run()
    assert second.served_at < math.inf
    assert len(store.questions) == asked


def test_the_most_urgent_request_takes_the_reservation(store: Store) -> None:
    """A reservation that was made for a check goes to the search for a message, if that comes before its time."""
    use_all(store)
    (limit,) = store.limits(1)
    check = store.come(limit, CHECK)
    store.queue.run(store.queue.now + 0.01)
    search = store.come(limit, RECONCILE)
    store.queue.run()
    assert search.served_at < check.served_at


@pytest.mark.parametrize("late", [False, True])
def test_a_reservation_that_nobody_waits_for_is_lost(store: Store, late: bool) -> None:
    """A caller that comes before its time takes it. A caller that comes after its time asks for a new one."""
    use_all(store)
    (limit,) = store.limits(1)
    first = store.come(limit)
    store.queue.run(store.queue.now + 0.01)
    asked = len(store.questions)
    store.queue.leave(first)
    store.queue.run(store.queue.now + (1.0 if late else 0.0))
    second = store.come(limit)
    store.queue.run()
    assert second.served_at < math.inf
    assert (len(store.questions) > asked) is late


@pytest.mark.parametrize("late", [0.2, 0.3])
def test_a_busy_program_may_take_its_reservation_late(store: Store, late: float) -> None:
    """A caller that was in the queue at that time may ask a quarter of a second later. After that it asks anew."""
    use_all(store)
    (limit,) = store.limits(1)
    caller = store.come(limit)
    caller.waits = False
    store.queue.run(store.queue.now + 0.01)
    asked, wait = len(store.questions), caller.slot.ask(store.queue.now, math.inf)
    assert (caller.slot.ask(store.queue.now + wait + late, math.inf) is True) is (late < 0.25)
    assert (len(store.questions) > asked) is (late > 0.25)


def test_queues_of_a_process_come_in_turn(store: Store) -> None:
    """Three clients of one process with much work get equal shares."""
    reservations = store.process()
    limits = [SharedLimit(reservations) for _ in range(3)]
    callers = [[store.come(limit) for _ in range(50)] for limit in limits]
    store.queue.run(120.0)
    served = [sum(caller.served_at < math.inf for caller in ours) for ours in callers]
    assert max(served) - min(served) <= 1
    assert sum(served) >= 95


def test_a_queue_that_does_not_take_its_turn_is_passed_over(store: Store) -> None:
    """If the program of one client is busy and does not ask, another client of the process takes the reservation."""
    use_all(store)
    reservations = store.process()
    busy, other = SharedLimit(reservations), SharedLimit(reservations)
    sleeper = store.come(busy)
    sleeper.waits = False
    caller = store.come(other)
    store.queue.run(store.queue.now + 1.5)
    assert caller.served_at < math.inf


def test_a_call_that_cannot_get_a_slot_in_time_fails_at_once(store: Store) -> None:
    """The store says how far the next slot is. A call with a longer deadline gets a slot all the same."""
    others = store.limits(30)
    for other in others:
        store.come(other)
    store.queue.run(store.queue.now + 0.05)
    (limit,) = store.limits(1)
    now = store.queue.now
    hasty = store.come(limit, until=now + 0.5)
    patient = store.come(limit, until=now + 9)
    many = [store.come(limit, until=now + 1.0) for _ in range(40)]
    store.queue.run()
    assert hasty.failed_at < now + 0.02
    assert patient.served_at < now + 4
    assert all(caller.failed_at <= now + 1.0 for caller in many)
    assert sum(caller.failed_at == now for caller in many) >= 20


def test_a_reservation_that_comes_too_late_for_the_first_call_is_kept_for_the_second(store: Store) -> None:
    """A more urgent call with a short deadline fails at once, and the slot stays reserved for the other one."""
    for other in store.limits(30):
        store.come(other)
    (limit,) = store.limits(1)
    patient = store.come(limit)
    store.queue.run(store.queue.now + 0.05)
    now = store.queue.now
    hasty = store.come(limit, RECONCILE, until=now + 0.5)
    store.queue.run()
    assert hasty.failed_at == now
    assert patient.served_at < math.inf


def test_the_deadline_of_a_call_that_waits_for_the_store(store: Store) -> None:
    """A call with less time than the patience for an answer ends at its deadline, and the next call is served."""
    (limit,) = store.limits(1)
    store.answers = False
    now = store.queue.now
    hasty, patient = store.come(limit, until=now + 0.1), store.come(limit)
    store.queue.run(now + 5)
    assert hasty.failed_at == pytest.approx(now + 0.1)
    assert patient.served_at == pytest.approx(now + 1.0, abs=0.01)


def test_requests_that_nobody_waits_for_are_spread(store: Store) -> None:
    """Streams that are opened again come evenly, and a call that somebody waits for goes first."""
    (limit,) = store.limits(1)
    reopened = [store.come(limit, REOPEN) for _ in range(30)]
    store.queue.run(store.queue.now + 1.45)
    call = store.come(limit, NOW)
    now = store.queue.now
    store.queue.run()
    assert call.served_at - now < 0.12
    times = [caller.served_at for caller in reopened]
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))


def test_streams_of_several_processes_use_the_whole_rate(store: Store) -> None:
    """Streams are spread over all processes, not in each of them: nobody waits for a process that sends nothing."""
    for idle in store.limits(20):
        store.come(idle)
    store.queue.run(store.queue.now + 5)
    now = store.queue.now
    reopened = [store.come(limit, REOPEN) for limit in store.limits(2) for _ in range(10)]
    store.queue.run()
    times = sorted(caller.served_at for caller in reopened)
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))
    assert times[-1] - now < 2.1


def test_the_first_answer_may_take_a_second(store: Store) -> None:
    """Until the first connection is made, a process waits longer. After that it waits a quarter of a second."""
    (limit,) = store.limits(1)
    store.answers = False
    now = store.queue.now
    first = store.come(limit)
    store.queue.at(now + 0.9, store.go_on)
    store.queue.run()
    assert first.served_at == pytest.approx(now + 0.9, abs=0.01)
    assert store.events == []
    store.answers = False
    second = store.come(limit)
    now = store.queue.now
    store.queue.at(now + 0.9, store.go_on)
    store.queue.run()
    assert second.served_at == pytest.approx(now + 0.25, abs=0.01)
    assert [type(it) for it in store.events] == [SharedLimitLost, SharedLimitBack]


def test_a_process_that_cannot_ask(store: Store) -> None:
    """If no question can be asked at all, the process goes on alone at once."""
    store.refuses = "no thread could be started to ask Redis"
    (limit,) = store.limits(1)
    caller = store.come(limit)
    assert caller.served_at == store.queue.now
    assert store.events == [SharedLimitLost("orders", store.refuses, 10.0)]
    late = store.come(limit, until=store.queue.now + 0.05)
    assert late.failed_at == store.queue.now


def test_a_429_slows_a_process_down_that_is_alone(store: Store) -> None:
    """While the store does not answer, a 429 halves the pace, as under a limit of one client."""
    store.fails = True
    (limit,) = store.limits(1)
    store.come(limit)
    store.queue.run(store.queue.now + 0.1)
    limit.refused(store.queue.now, None)
    assert limit.pace(store.queue.now) == 5
    assert (
        limit.label
        == "the shared limit of 10 requests per second (orders; 10 for this process, because Redis does not answer)"
    )


def test_a_store_that_fails_when_it_is_told_of_a_429(store: Store) -> None:
    """The process waits all the same, and then goes on alone."""
    (limit,) = store.limits(1)
    store.come(limit)
    store.queue.run(store.queue.now + 0.1)
    store.fails, now = True, store.queue.now
    limit.refused(now, 2.0)
    caller = store.come(limit)
    store.queue.run()
    assert caller.served_at == pytest.approx(now + 2)
    assert [type(it) for it in store.events] == [SharedLimitLost]


def test_after_a_fork_the_reservation_stays_with_the_parent(store: Store) -> None:
    """The child has an empty queue, asks for itself, and gets no answer of the parent's question."""
    use_all(store)
    reservations = store.process()
    limit = SharedLimit(reservations)
    parent = store.come(limit)
    store.queue.run(store.queue.now + 0.01)
    parent.waits = False
    limit.forked()
    reservations.forked()
    asked = len(store.questions)
    child = store.come(limit)
    store.queue.run()
    assert len(store.questions) == asked + 1
    assert child.served_at < math.inf
    assert limit.label == "the shared limit of 10 requests per second (orders)"
