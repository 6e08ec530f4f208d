"""A limit that processes share, in fake time: what all of them send together."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from featherhq._core.events import SharedLimitBack, SharedLimitLost
from featherhq._core.shared_limit import SharedLimit
from featherhq.sandbox._limit import Bucket, FixedWindows, SlidingWindow
from hypothesis import given, strategies as st
from rate_limit_queue import Caller
from shared_limit_store import Store


def saturate(store: Store, limits: list[SharedLimit], calls: int) -> list[list[Caller]]:
    """Let so many callers come in each process at once."""
    return [[store.come(limit, back=0.01) for _ in range(calls)] for limit in limits]


@given(
    rate=st.floats(0.4, 40),
    part=st.floats(0, 3),
    calls=st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    offset=st.floats(0, 1),
)
def test_a_server_with_the_same_rate_refuses_nothing(
    rate: float, part: float, calls: list[tuple[int, float, bool]], offset: float
) -> None:
    """However the calls of five processes come, a server accepts all of them. If the burst is at most a second's worth,
    it may count in any way. Else it counts a token bucket of that size.
    """
    burst = max(1, int(rate * part))
    store = Store(rate, burst)
    limits, moment = store.limits(5), 100.0
    for number, pause, leaves in calls:
        moment += pause
        store.queue.at(moment, lambda number=number: store.come(limits[number]))  # type: ignore[misc]
        if leaves:
            store.queue.at(moment + 0.1, lambda: store.queue.leave(store.queue.callers[-1]))
    store.queue.run()
    assert all(caller.served_at < math.inf or not caller.waits for caller in store.queue.callers)
    windows = burst <= max(1, math.floor(rate))
    for counter in (Bucket, SlidingWindow, FixedWindows) if windows else ():
        server = counter(rate)
        assert all(server.take(offset + at) for at in sorted(store.queue.arrived)), counter.__name__
    late = sorted(store.queue.arrived)
    assert all(last - first >= burst / rate for first, last in zip(late, late[burst:], strict=False))
    assert store.events == []


def test_processes_come_in_turn() -> None:
    """Eight processes with much work get equal shares, use 98 % of the rate, and ask once for each request."""
    store = Store()
    limits = store.limits(8)
    saturate(store, limits, 100)
    store.queue.run(161.0)
    served = [caller for caller in store.queue.served if caller.served_at >= 101]
    assert len(served) >= 60 * 10 * 0.975
    shares = Counter(caller.slot.limit for caller in served)
    assert max(shares.values()) - min(shares.values()) <= 1
    assert len(store.questions) <= len(store.queue.served) + 8


def test_a_new_or_empty_store_counts_as_a_burst_just_now() -> None:
    """The first request waits half a second, because nobody knows what was sent before."""
    store = Store()
    (limit,) = store.limits(1)
    first = store.come(limit)
    store.queue.run(102.0)
    assert first.served_at == pytest.approx(100.51, abs=0.01)
    later = [store.come(limit) for _ in range(6)]
    began = store.queue.now
    store.queue.run()
    assert later[4].served_at - began < 0.01
    assert later[5].served_at - later[0].served_at == pytest.approx(0.51)


@pytest.mark.parametrize("fails", [True, False])
def test_without_the_store_each_process_sends_its_share(fails: bool) -> None:
    """If the store fails or hangs, all processes together keep to the rate, without a burst and in equal shares. Each
    says so once, and asks again every two seconds.
    """
    store = Store()
    limits = store.limits(5)
    callers = saturate(store, limits, 100)
    store.queue.run(110.0)
    store.fails, store.answers = fails, False
    asked = len(store.questions)
    store.queue.run(130.0)
    for ours in callers:
        times = [caller.served_at for caller in ours if 111 < caller.served_at < 130]
        assert len(times) in (37, 38, 39)
        assert all(later - earlier == pytest.approx(0.501) for earlier, later in pairwise(times))
    assert [type(it) for it in store.events] == [SharedLimitLost] * 5
    lost = store.events[0]
    assert isinstance(lost, SharedLimitLost)
    assert lost.rate == pytest.approx(2)
    assert ("did not answer within 0.25 s" in lost.problem) is not fails
    assert len(store.questions) - asked <= 5 * 11 if fails else 10


def test_a_store_that_comes_back_empty() -> None:
    """Within 5 s all processes share one limit again. At no time do they send more than the rate."""
    store = Store()
    limits = store.limits(8)
    saturate(store, limits, 100)
    store.queue.run(110.0)
    store.fails = True
    store.queue.run(120.0)
    store.empty()
    store.go_on()
    store.queue.run(150.0)
    assert Counter(type(it) for it in store.events) == {SharedLimitLost: 8, SharedLimitBack: 8}
    times = sorted(store.queue.arrived)
    server = Bucket(10)
    assert all(map(server.take, times))
    assert sum(119 <= at < 125 for at in times) >= 6 * 10 * 0.75
    assert sum(125 <= at < 150 for at in times) >= 25 * 10 * 0.975


def test_a_429_holds_all_processes() -> None:
    """After a 429 no process sends for as long as the server asks, or for a second. Only what was reserved before goes
    out. Then all go on at the full rate.
    """
    for asked, hold in ((3.0, 3.0), (None, 1.0), (3600.0, 10.0)):
        store = Store()
        limits = store.limits(4)
        saturate(store, limits, 100)
        store.queue.run(105.0)
        limits[0].refused(105.0, asked)
        store.queue.run(130.0)
        assert sum(105.0 < at < 105 + hold for at in store.queue.arrived) <= 3
        assert not [at for at in store.queue.arrived if 105.5 < at < 105 + hold]
        assert sum(105 + hold <= at < 129 for at in store.queue.arrived) >= (24 - hold) * 10 * 0.96
        assert limits[0].pace(106.0) == 10
