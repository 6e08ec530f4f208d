"""The rate limit: how requests for which nobody waits are spread, which slots they leave free, and who is woken."""

from __future__ import annotations

import math

import pytest
from featherhq._core.rate_limit import RateLimit
from rate_limit_queue import CHECK, NOW, RENEW, REOPEN
from rate_limit_slots import join, take, use

# At this rate, a window has one slot and takes 50.1 seconds. So a check waits for more than half a minute.
SLOW = 0.02


def test_reopenings_are_close_to_each_other_before_any_response() -> None:
    """As long as the time of a round trip is unknown, ten reopenings go into one second at ten a second."""
    limit = RateLimit(10)
    take(join(limit, REOPEN), 0.0)
    assert join(limit, REOPEN).ask(0.0, math.inf) == pytest.approx(0.1002)


def test_reopenings_use_all_of_three_slots() -> None:
    """If a window has only three slots, none of them is kept free for urgent callers."""
    limit = RateLimit(3)
    for now in (0.0, 0.34, 0.68):
        take(join(limit, REOPEN), now)
    assert join(limit).ask(0.9, math.inf) == pytest.approx(0.102)


def test_reopenings_leave_one_of_four_slots_free() -> None:
    """If a window has four slots, reopenings use three of them. An urgent caller gets the fourth at once."""
    limit = RateLimit(4)
    for now in (0.0, 0.26, 0.52):
        take(join(limit, REOPEN), now)
    assert join(limit, REOPEN).ask(0.78, math.inf) == pytest.approx(1.002 - 0.78)
    take(join(limit), 0.78)


def test_a_reopening_leaves_a_slot_free_after_a_full_window() -> None:
    """If urgent callers have used all slots, the first slot that becomes free is kept free too. A reopening takes the
    second one.
    """
    limit = RateLimit(4)
    use(limit, 0.0, 0.1, 0.2, 0.3)
    assert join(limit, REOPEN).ask(0.4, math.inf) == pytest.approx(1.102 - 0.4)


def test_a_check_takes_its_place_among_the_reopenings() -> None:
    """A check queues like a reopening that came half a minute later: after those that came before that time, and
    before those that came after it.
    """
    limit = RateLimit(SLOW)
    use(limit, 0.0)
    check = join(limit, CHECK)
    assert check.ask(1.0, math.inf) is not True
    earlier, later = join(limit, REOPEN), join(limit, REOPEN)
    assert earlier.ask(30.5, math.inf) is not True
    assert later.ask(31.5, math.inf) is not True
    take(earlier, 50.2)
    assert later.ask(100.5, math.inf) is not True
    take(check, 100.5)
    take(later, 151.0)


def test_a_check_that_has_waited_long_is_woken() -> None:
    """A check that has waited for half a minute goes before an earlier renewal. It is woken when the renewal asks for
    the slot, because it cannot know that its turn has come.
    """
    woken: list[str] = []
    limit = RateLimit(SLOW)
    use(limit, 0.0)
    renewal = join(limit, RENEW, wake=lambda: woken.append("renewal"))
    check = join(limit, CHECK, wake=lambda: woken.append("check"))
    assert renewal.ask(1.0, math.inf) is not True
    assert check.ask(2.0, math.inf) is not True
    woken.clear()
    assert renewal.ask(50.2, math.inf) is not True
    assert woken == ["check"]
    take(check, 50.2)
    assert woken == ["check", "renewal"]


def test_a_caller_does_not_wake_an_earlier_one_of_its_class() -> None:
    """A caller that asks does not wake the caller before it, which knows already how long to wait."""
    woken: list[str] = []
    limit = RateLimit(1)
    join(limit, wake=lambda: woken.append("first"))
    assert join(limit).ask(0.0, math.inf) is not True
    assert woken == []


def test_a_request_that_becomes_more_urgent_is_woken() -> None:
    """If a request in the queue becomes more urgent, it moves to its new class, and its caller is woken."""
    woken: list[str] = []
    limit = RateLimit(1)
    check = join(limit, CHECK, wake=lambda: woken.append("check"))
    check.urgency.raise_to(NOW)
    assert (woken, check.priority) == (["check"], NOW)
