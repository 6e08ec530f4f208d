"""The rate limit: how many slots it gives in a second, and how fast it is after 429s."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from featherhq._core.exchange import Exchange
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Slot
from featherhq.sandbox._limit import Bucket, FixedWindows, SlidingWindow
from hypothesis import given, strategies as st
from rate_limit_queue import NOW, OWED, RECONCILE, Queue
from rate_limit_slots import join

COUNTERS: list[Callable[[float], Any]] = [Bucket, SlidingWindow, FixedWindows]

# The window.


@given(
    rate=st.floats(0.3, 50),
    calls=st.lists(
        st.tuples(
            st.one_of(st.just(0.0), st.floats(0, 1.5)),
            st.sampled_from(Priority),
            st.floats(0, 1),
            st.one_of(st.just(math.inf), st.floats(0, 2)),
            st.booleans(),
        ),
        min_size=1,
        max_size=80,
    ),
    offset=st.floats(0, 1),
)
def test_a_server_with_the_same_rate_refuses_nothing(
    rate: float, calls: list[tuple[float, Priority, float, float, bool]], offset: float
) -> None:
    """A server with the same rate accepts all requests, whichever way it counts.

    A request may take up to a second to arrive, and its response may never come. A caller that leaves the queue takes
    no slot.
    """
    queue, moment = Queue(RateLimit(rate)), 0.0
    for pause, priority, way, back, leaves in calls:
        moment += pause
        queue.come_at(moment, priority, way=way, back=back)
        if leaves:
            queue.at(moment + 0.1, lambda: queue.leave(queue.callers[-1]))
    queue.run()
    assert all(caller.served_at < math.inf or not caller.waits for caller in queue.callers)
    for counter in COUNTERS:
        server = counter(rate)
        # The clock of the server may be wrong by a few thousandths.
        assert all(server.take(offset + arrived * 0.9995) for arrived in sorted(queue.arrived)), counter.__name__


@given(rate=st.floats(0.3, 50), callers=st.integers(1, 100))
def test_no_slot_is_wasted(rate: float, callers: int) -> None:
    """If responses come at once, each window gives all of its slots at its beginning."""
    queue = Queue(RateLimit(rate))
    for _ in range(callers):
        queue.come()
    queue.run()
    allowed = max(1, math.floor(rate))
    window = 1.002 * max(1.0, 1 / rate)
    for number, caller in enumerate(queue.served):
        assert caller.number == number
        assert caller.served_at == pytest.approx(number // allowed * window)
    assert len(queue.served) == callers


def test_a_request_without_a_response_counts_one_second_longer() -> None:
    """After that second the request has arrived for certain, so other requests get at least half of the rate."""
    queue = Queue(RateLimit(10))
    for _ in range(40):
        queue.come(back=math.inf)
    queue.run()
    assert [round(queue.served[number].served_at, 6) for number in (9, 10, 19, 20, 39)] == [
        0,
        2.002,
        2.002,
        4.004,
        6.006,
    ]


def slot_of_one(limit: RateLimit, exchange: Exchange | None) -> Slot:
    """The only slot of this limit, taken at 0, by a request that has done this so far."""
    slot = join(limit)
    assert slot.ask(0.0, math.inf) is True
    slot.exchange = exchange
    return slot


@pytest.mark.parametrize("answered_at", [2.9, 9.0, math.inf])
def test_a_request_counts_from_its_first_byte(answered_at: float) -> None:
    """If the key and the connection of a request take two seconds, it counts from then on, and not from its slot."""
    limit = RateLimit(1)
    exchange = Exchange(is_ours=True)
    sent, waiting = slot_of_one(limit, exchange), join(limit)
    assert waiting.ask(1.9, math.inf) is not True
    exchange.sent_at = 2.0
    if answered_at < math.inf:
        sent.answered(answered_at)
    arrived = min(answered_at, 3.0)
    assert waiting.ask(arrived + 1.0, math.inf) == pytest.approx(0.002)
    assert waiting.ask(arrived + 1.003, math.inf) is True


@pytest.mark.parametrize("exchange", [None, Exchange(is_ours=True)])
def test_a_request_that_is_not_sent_holds_up_others_for_five_seconds(exchange: Exchange | None) -> None:
    """A connection that hangs takes a slot for five seconds and a window, and then others get it."""
    limit = RateLimit(1)
    slot_of_one(limit, exchange)
    waiting = join(limit)
    assert waiting.ask(5.9, math.inf) == pytest.approx(0.102)
    assert waiting.ask(6.003, math.inf) is True


def test_a_request_that_will_not_be_sent_counts_as_if_it_had_arrived_at_once() -> None:
    """A request that ends without a byte sent wakes the next caller. Its slot counts for one window."""
    woken: list[bool] = []
    limit = RateLimit(1)
    slot, waiting = slot_of_one(limit, Exchange(is_ours=True)), join(limit, wake=lambda: woken.append(True))
    assert waiting.ask(0.2, math.inf) == pytest.approx(1.002)
    slot.unsent(0.3)
    assert woken
    assert waiting.ask(0.3, math.inf) == pytest.approx(0.702)
    assert waiting.ask(1.003, math.inf) is True


# 429s that the server sends because of other clients.


def test_a_429_halves_the_pace_and_the_pace_grows_back() -> None:
    """A 429 halves the pace, at most once a second, and ten seconds later the pace is the full rate again."""
    limit = RateLimit(10)
    assert limit.pace(0) == 10
    for at in (100, 100.1, 100.9):
        limit.refused(at, None)
    assert limit.pace(101) == pytest.approx(5.5)
    limit.refused(101, None)
    assert limit.pace(101) == pytest.approx(2.75)
    assert limit.pace(105) == pytest.approx(4.75)
    assert limit.pace(200) == 10
    for second in range(300, 320):
        limit.refused(second, None)
    assert 0.1 < limit.pace(319) < 1


@pytest.mark.parametrize(("asked", "hold"), [(3.0, 3), (0.5, 0.5), (None, 0), (3600.0, 10)])
def test_a_429_holds_all_slots(asked: float | None, hold: float) -> None:
    """After a 429 no slot is given for as long as the server asks, up to ten seconds, and no burst follows."""
    queue = Queue(RateLimit(10))
    for _ in range(9):
        queue.come()
    queue.run(5.0)
    queue.limit.refused(5.0, asked)
    for priority in (RECONCILE, NOW, NOW, OWED):
        queue.come(priority)
    queue.run()
    slots = [caller.served_at for caller in queue.served[9:]]
    assert slots[0] == pytest.approx(5 + hold)
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(slots))


def test_a_slower_pace_spreads_the_slots() -> None:
    """After a 429 a second has half as many slots, evenly spread, and then more and more as the pace grows back."""
    queue = Queue(RateLimit(10))
    queue.limit.refused(0, None)
    for _ in range(300):
        queue.come()
    queue.run()
    slots = [caller.served_at for caller in queue.served]
    assert 4 <= sum(at < 1 for at in slots) <= 6
    assert 50 <= sum(at < 8 for at in slots) <= 62
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(slots) if later < 9.9)
    assert 9.8 <= sum(15 <= at < 25 for at in slots) / 10 <= 10
