"""The rate limit: how long a caller is told to wait, and which callers are told at once that no slot comes in time."""

from __future__ import annotations

import math

import pytest
from featherhq._core.rate_limit import RateLimit
from rate_limit_queue import RECONCILE, REOPEN
from rate_limit_slots import join, take, use


@pytest.mark.parametrize(
    ("rate", "used", "before", "opens"),
    [
        # All slots of the window are in use.
        (1, (0.0,), 0, 1.002),
        (1, (0.0,), 2, 3.006),
        (0.5, (0.0,), 1, 4.008),
        (3, (0.0, 0.1, 0.2), 1, 1.102),
        (3, (0.0, 0.1, 0.2), 2, 1.202),
        (3, (0.0, 0.1, 0.2), 3, 2.004),
        # Two slots are free, and they are free again one window later.
        (3, (0.0,), 2, 1.002),
        (3, (0.0,), 3, 1.302),
        (3, (0.0,), 4, 1.302),
    ],
)
def test_a_caller_fails_at_once_only_if_its_slot_comes_too_late(
    rate: float, used: tuple[float, ...], before: int, opens: float
) -> None:
    """A caller waits if its slot comes just before its deadline. It fails at once if the slot comes just after it."""
    limit = RateLimit(rate)
    use(limit, *used)
    for _ in range(before):
        join(limit)
    assert join(limit).ask(0.3, opens - 0.001) is False
    assert join(limit).ask(0.3, opens + 0.001) is not False


def test_more_urgent_callers_count_as_earlier_ones() -> None:
    """A caller fails at once if its only slot before the deadline goes to a more urgent caller."""
    limit = RateLimit(1)
    use(limit, 0.0)
    join(limit, RECONCILE)
    assert join(limit).ask(0.3, 2.0) is False
    assert join(limit).ask(0.3, 2.1) is not False


def test_a_retry_does_not_wait_for_the_others_of_its_class() -> None:
    """A retry goes to the front of its class. So it does not fail at once, however many callers wait there."""
    limit = RateLimit(1)
    use(limit, 0.0)
    for _ in range(3):
        join(limit)
    assert join(limit).ask(0.3, 1.5) is False
    assert join(limit, again=True).ask(0.3, 1.5) is not False


def test_the_time_of_a_reopening_is_told_from_the_gaps_before_it() -> None:
    """Reopenings are spread evenly, a tenth of a second apart at ten a second. So the sixth one comes after half a
    second, though the window has free slots.
    """
    limit = RateLimit(10)
    take(join(limit, REOPEN), 0.0)
    for _ in range(4):
        join(limit, REOPEN)
    assert join(limit, REOPEN).ask(0.0, 0.49) is False
    assert join(limit, REOPEN).ask(0.0, 0.51) is not False


def test_a_caller_asks_again_at_its_deadline() -> None:
    """A caller is never told to wait beyond its deadline, also if others became more urgent meanwhile. At the deadline
    it is told that no slot came in time.
    """
    limit = RateLimit(1)
    use(limit, 1000.0)
    caller = join(limit)
    assert caller.ask(1000.1, 1001.5) == pytest.approx(0.902)
    urgent = join(limit, RECONCILE)
    assert caller.ask(1000.6, 1001.5) == pytest.approx(0.9)
    take(urgent, 1001.1)
    assert caller.ask(1001.1, 1001.5) == pytest.approx(0.4)
    assert caller.ask(1001.5, 1001.5) is False


def test_a_429_lengthens_a_window_that_has_begun() -> None:
    """A request without a response counts until one window after its first second. If a 429 comes in that second, the
    window has the length for the slower pace.
    """
    limit = RateLimit(1)
    assert join(limit).ask(0.0, math.inf) is True
    caller = join(limit)
    assert caller.ask(0.5, math.inf) == pytest.approx(1.002)
    limit.refused(0.6, None)
    assert limit.pace(1.0) == pytest.approx(0.52)
    assert caller.ask(1.0, math.inf) == pytest.approx(1.002 / 0.52)


def test_a_429_leaves_a_gap_between_urgent_callers() -> None:
    """After a 429, urgent callers get their slots one after the other at the slower pace, and not all at once."""
    limit = RateLimit(10)
    limit.refused(0.0, None)
    take(join(limit), 0.0)
    assert join(limit).ask(0.0, math.inf) == pytest.approx(0.2004)
