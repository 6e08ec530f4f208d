"""A limit with a burst of the caller's choice: `RateLimit(rate, burst=...)`."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from featherhq import InvalidArgumentError, RateLimit
from featherhq._core.burst_limit import BurstLimit
from featherhq._core.rate_limit import RateLimit as Window
from featherhq._limits import queue
from hypothesis import given, strategies as st
from rate_limit_queue import REOPEN, Queue


@given(rate=st.floats(0.3, 50), burst=st.integers(1, 80), callers=st.integers(1, 100))
def test_a_burst_and_then_an_even_pace(rate: float, burst: int, callers: int) -> None:
    """`burst` calls go out at once, and the others follow at the rate, evenly spaced."""
    made = Queue(BurstLimit(rate, burst))
    for _ in range(callers):
        made.come()
    made.run()
    times = [caller.served_at for caller in made.served]
    assert len(times) == callers
    assert all(at == pytest.approx(max(0, place + 1 - burst) * 1.002 / rate) for place, at in enumerate(times))


def test_the_burst_fills_up_again() -> None:
    """After half a second without a call, five of ten per second may go out at once again."""
    made = Queue(BurstLimit(10, 5))
    for _ in range(5):
        made.come()
    made.run(0.51)
    for _ in range(6):
        made.come()
    made.run()
    assert [caller.served_at for caller in made.served[5:10]] == [0.51] * 5
    assert made.served[10].served_at > 0.6


def test_a_call_that_cannot_get_a_slot_in_time_fails_at_once() -> None:
    """As under any limit, the queue knows how long a call must wait."""
    made = Queue(BurstLimit(10, 2))
    callers = [made.come(until=1.0) for _ in range(20)]
    made.run()
    assert sum(caller.served_at < math.inf for caller in callers) == 11
    assert {caller.failed_at for caller in callers if caller.served_at == math.inf} == {0.0}


def test_what_nobody_waits_for_leaves_one_of_the_burst_free() -> None:
    """Reopened streams are spread evenly, so that a call finds a slot at once."""
    made = Queue(BurstLimit(10, 5))
    for _ in range(20):
        made.come(REOPEN)
    made.run(1.0)
    call = made.come()
    made.run()
    assert call.served_at == 1.0
    times = [caller.served_at for caller in made.served if caller is not call]
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(times))


def test_a_429_ends_the_burst() -> None:
    """After a 429 the slots are evenly spread at the slower pace."""
    made = Queue(BurstLimit(10, 5))
    made.come()
    made.limit.refused(0.0, 1.0)
    for _ in range(5):
        made.come()
    made.run()
    times = [caller.served_at for caller in made.served[1:]]
    assert times[0] == pytest.approx(1.0)
    assert all(later - earlier > 0.15 for earlier, later in pairwise(times))


def test_which_limit_a_description_makes() -> None:
    """A plain number and a `RateLimit` without a burst are the same; `None` is no limit."""
    assert type(queue(10)) is type(queue(RateLimit(10))) is Window
    assert type(queue(RateLimit(10, burst=5))) is BurstLimit
    assert queue(None) is None
    assert RateLimit(10, burst=5) == RateLimit(10.0, burst=5)
    assert repr(RateLimit(10, burst=5)) == "RateLimit(rate=10, burst=5)"


@pytest.mark.parametrize(
    ("rate", "burst"), [(0, None), ("10", 1), (math.inf, 1), (None, 1), (10, 0), (10, 2.5), (10, True)]
)
def test_an_invalid_limit(rate: object, burst: object) -> None:
    """The error names the argument."""
    with pytest.raises(InvalidArgumentError, match=r"^(rate|burst): expected "):
        RateLimit(rate, burst=burst)  # type: ignore[arg-type]
