"""The rate limit: slots in a window of one second, who goes first, and what 429s do to the pace."""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count as numbers, pairwise
from typing import Any

import pytest
from attrs import define, field
from conftest import AGENT_ID, THREAD_ID, count
from featherhq import APITimeoutError, AsyncFeather, Feather, RateLimitError
from featherhq._core.rate_limit import Priority, RateLimit, Slot, Urgency
from featherhq.sandbox import Sandbox, Status
from featherhq.sandbox._limit import Bucket, Counting, FixedWindows, SlidingWindow
from hypothesis import given, settings, strategies as st

RECONCILE, NOW, OWED, REOPEN, CHECK, RENEW = Priority
COUNTERS: list[Callable[[float], Any]] = [Bucket, SlidingWindow, FixedWindows]


@define(eq=False)
class Caller:
    """Somebody who wants a slot.

    Attributes:
        number: Its name, in the order in which they came.
        urgency: How urgent it is.
        came_at: When it came.
        until: When the slot has to come.
        way: Seconds until the server sees its request.
        back: Seconds until its answer comes then.
        served_at: When it got a slot.
        failed_at: When it was told that there is none in time.
    """

    number: int
    urgency: Urgency
    came_at: float
    until: float = math.inf
    way: float = 0.0
    back: float = 0.0
    slot: Slot = field(init=False)
    waits: bool = True
    asks: int = 0
    served_at: float = math.inf
    failed_at: float = math.inf


class Line:
    """Callers of one limit, on a clock of their own, who wait and ask as the pumps do."""

    def __init__(self, limit: RateLimit, *, now: float = 0.0) -> None:
        self.limit = limit
        self.now = now
        self.callers: list[Caller] = []
        self.served: list[Caller] = []
        self.arrived: list[float] = []
        self._numbers = numbers()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, moment: float, what: Callable[[], Any]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), what))

    def come(self, priority: Priority = NOW, *, again: bool = False, **how: Any) -> Caller:
        """Somebody comes now, and asks."""
        caller = Caller(len(self.callers), Urgency(priority), self.now, **how)
        self.callers.append(caller)
        caller.slot = self.limit.slot(caller.urgency, again=again)
        caller.slot.join(partial(self._woken, caller))
        self._ask(caller)
        return caller

    def come_at(self, moment: float, priority: Priority = NOW, **how: Any) -> None:
        self.at(moment, partial(self.come, priority, **how))

    def leave(self, caller: Caller) -> None:
        """As a task that is cancelled in the line."""
        if caller.waits:
            caller.waits = False
            caller.slot.leave()

    def leave_by(self, number: int) -> None:
        self.leave(self.callers[number])

    def run(self, until: float = math.inf) -> None:
        """Let time pass, until then or until nothing happens any more."""
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
        if until < math.inf:
            self.now = until

    def _woken(self, caller: Caller) -> None:
        self.at(self.now, partial(self._ask, caller))

    def _ask(self, caller: Caller) -> None:
        if not caller.waits:
            return
        caller.asks += 1
        wait = caller.slot.ask(self.now, caller.until)
        if isinstance(wait, float):
            assert wait > 0
            self.at(self.now + wait, partial(self._ask, caller))
            return
        caller.waits = False
        caller.slot.leave()
        if not wait:
            caller.failed_at = self.now
            return
        caller.served_at = self.now
        self.served.append(caller)
        self.at(self.now + caller.way, lambda: self.arrived.append(self.now))
        if caller.back < math.inf:
            self.at(self.now + caller.way + caller.back, lambda: caller.slot.answered(self.now))


# However servers count, they refuse nothing.


@settings(deadline=None)
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
def test_a_server_of_the_same_rate_refuses_nothing(
    rate: float, calls: list[tuple[float, Priority, float, float, bool]], offset: float
) -> None:
    """However it counts, and however requests are delayed on their way (up to a second) and answers on theirs (for
    good, too). Whoever leaves the line takes no slot.
    """
    line, moment = Line(RateLimit(rate)), 0.0
    for pause, priority, way, back, leaves in calls:
        moment += pause
        line.come_at(moment, priority, way=way, back=back)
        if leaves:
            line.at(moment + 0.1, lambda: line.leave(line.callers[-1]))
    line.run()
    assert all(caller.served_at < math.inf or not caller.waits for caller in line.callers)
    for counter in COUNTERS:
        server = counter(rate)
        # Their clocks run alike to a few thousandths.
        assert all(server.take(offset + arrived * 0.9995) for arrived in sorted(line.arrived)), counter.__name__


@given(rate=st.floats(0.3, 50), callers=st.integers(1, 100))
def test_no_slot_is_wasted(rate: float, callers: int) -> None:
    """Where answers come at once: a whole second's worth at once, and so on, second by second."""
    line = Line(RateLimit(rate))
    for _ in range(callers):
        line.come()
    line.run()
    allowed = max(1, math.floor(rate))
    window = 1.002 * max(1.0, 1 / rate)
    for number, caller in enumerate(line.served):
        assert caller.number == number
        assert caller.served_at == pytest.approx(number // allowed * window)
    assert len(line.served) == callers


def test_what_is_never_answered_counts_for_a_second_longer() -> None:
    """Then it has surely arrived: the rest go on at half the rate at the least."""
    line = Line(RateLimit(10))
    for _ in range(40):
        line.come(back=math.inf)
    line.run()
    assert [round(line.served[number].served_at, 6) for number in (9, 10, 19, 20, 39)] == [
        0,
        2.002,
        2.002,
        4.004,
        6.006,
    ]


# Who goes first.


@settings(deadline=None)
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
def test_the_most_urgent_go_first_and_in_their_order(
    rate: float, calls: list[tuple[float, Priority, float, float | None]]
) -> None:
    """First come, first served within each class; whoever leaves is passed over, and everybody else is served."""
    line, moment, left = Line(RateLimit(rate)), 0.0, {}
    for number, (pause, priority, back, leaves) in enumerate(calls):
        moment += pause
        line.come_at(moment, priority, back=back)
        if leaves is not None:
            left[number] = moment + leaves
            line.at(moment + leaves, partial(line.leave_by, number))
    line.run()
    gone = {number for number, at in left.items() if line.callers[number].served_at > at}
    assert {caller.number for caller in line.callers} - {caller.number for caller in line.served} == gone
    for place, caller in enumerate(line.served):
        for later in line.served[place + 1 :]:
            waited = later.came_at < caller.served_at
            # Renewals and checks take turns.
            mine, its = ((min(one.urgency.priority, CHECK), one.came_at) for one in (caller, later))
            in_order = mine < its or (mine == its and caller.urgency.priority <= later.urgency.priority)
            same = caller.urgency.priority is later.urgency.priority
            assert not waited or (caller.number < later.number if same else in_order)


def test_two_thousand_who_wait_and_most_of_whom_leave() -> None:
    """Those who stay get at least 9.8 slots a second, in order."""
    line = Line(RateLimit(10))
    for _ in range(2000):
        line.come()
    for caller in line.callers[10:]:
        if caller.number % 10:
            line.at(caller.number * 0.0037, partial(line.leave, caller))
    line.run()
    left = [caller for caller in line.served if caller.number % 10]
    stayed = [caller for caller in line.served if not caller.number % 10]
    assert [caller.number for caller in line.served] == sorted(caller.number for caller in line.served)
    assert len(stayed) == 200
    assert len(line.served) / (line.served[-1].served_at + 1) >= 9.8
    assert len(left) < 100
    # Nobody asks more often than needed, however many leave.
    assert sum(caller.asks for caller in line.callers) < 3 * 2000


def test_who_is_gone_leaves_no_trace() -> None:
    """A limit that was waited for by many who left is as good as new."""
    line = Line(RateLimit(1))
    line.come()
    for _ in range(1000):
        line.leave(line.come())
    line.run(0.5)
    last = line.come()
    line.run()
    assert last.served_at == pytest.approx(1.002)
    assert len(line.served) == 2


def test_those_behind_are_woken_when_the_first_leaves() -> None:
    """At once, and not when it next looks."""
    line = Line(RateLimit(1))
    line.come()
    waiting = [line.come() for _ in range(3)]
    line.run(0.5)
    line.leave(waiting[0])
    line.leave(waiting[2])
    line.run()
    assert waiting[1].served_at == pytest.approx(1.002)


def test_a_repetition_keeps_its_place() -> None:
    """A request that was refused goes before those of its class who came while it was under way, and after others."""
    line = Line(RateLimit(1))
    line.come()
    later, repeated, urgent = line.come(), line.come(again=True), line.come(RECONCILE)
    line.run()
    assert line.served[1:] == [urgent, repeated, later]


# Those for whom nobody waits.


@settings(deadline=None)
@given(
    st.lists(st.floats(0.3, 3), min_size=1, max_size=20),
    st.dictionaries(st.sampled_from([REOPEN, CHECK, RENEW]), st.integers(0, 60)),
)
def test_those_for_whom_nobody_waits_keep_nobody_waiting(pauses: list[float], others: dict[Priority, int]) -> None:
    """Reopenings, checks and renewals are spread evenly: who comes alone has a slot within 0.11 s, at ten a second."""
    line, moment = Line(RateLimit(10)), 0.0
    for priority, callers in others.items():
        for _ in range(callers):
            line.come(priority)
    for pause in pauses:
        moment += pause
        line.come_at(moment, NOW)
    line.run()
    assert len(line.served) == len(line.callers)
    for caller in line.served:
        if caller.urgency.priority is NOW:
            assert caller.served_at - caller.came_at <= 0.11
    spread = [caller.served_at for caller in line.served if caller.urgency.priority is not NOW]
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(spread))


@pytest.mark.parametrize("answered_in", [0.05, 0.2, 0.5])
def test_slow_answers_spread_them_further(answered_in: float) -> None:
    """Where answers take a while, slots are fewer; those that are left to reopenings are spread evenly all the same."""
    line = Line(RateLimit(10))
    for _ in range(100):
        line.come(REOPEN, way=answered_in / 2, back=answered_in / 2)
    for number in range(40):
        line.come_at(1.5 + 0.37 * number, NOW, way=answered_in / 2, back=answered_in / 2)
    line.run()
    waits = [caller.served_at - caller.came_at for caller in line.served if caller.urgency.priority is NOW]
    assert max(waits) <= 0.11 * (1 + answered_in)


def test_a_check_that_has_waited_long_lines_up_with_reopenings() -> None:
    """For half a minute; else there might be nothing left over for it, for ever."""
    line = Line(RateLimit(10))
    for number in range(1000):
        # Two more than there are slots, each second.
        line.come_at(number / 12, REOPEN)
    line.come_at(0.5, CHECK)
    line.run(100)
    (check,) = [caller for caller in line.served if caller.urgency.priority is CHECK]
    assert check.served_at >= 30.5
    for caller in line.served:
        if caller is not check:
            assert (caller.came_at <= 30.5) == (caller.served_at < check.served_at)


def test_renewals_and_checks_take_what_is_left_over() -> None:
    """In the order in which they came; but a renewal, whose stream still serves, never lines up with reopenings."""
    line = Line(RateLimit(1))
    line.come()
    for number, priority in enumerate((RENEW, CHECK, RENEW, REOPEN, OWED)):
        line.come_at(0.1 + number / 10, priority)
    line.run()
    renewal, check, another, reopening, owed = line.callers[1:]
    assert line.served[1:] == [owed, reopening, renewal, check, another]

    line = Line(RateLimit(1))
    line.come()
    renewal, check = line.come(RENEW), line.come(CHECK)
    for number in range(100):
        line.come_at(number * 0.9, REOPEN)
    line.run()
    assert line.served[-1] is renewal
    assert 30 <= check.served_at < 40


def test_what_becomes_more_urgent_moves_up() -> None:
    """To the end of its new class, and at once; it never becomes less urgent."""
    line = Line(RateLimit(1))
    line.come()
    reopening, check, waiting = line.come(REOPEN), line.come(CHECK), line.come(NOW)
    check.urgency.raise_to(NOW)
    check.urgency.raise_to(REOPEN)
    assert check.urgency.priority is NOW
    line.run()
    assert line.served[1:] == [waiting, check, reopening]


def test_what_becomes_more_urgent_need_not_wait_for_its_spread() -> None:
    """There was a slot for somebody who waits; it is woken, and takes it."""
    line = Line(RateLimit(10))
    line.come(REOPEN)
    check = line.come(CHECK)
    line.run(0.03)
    check.urgency.raise_to(NOW)
    line.run()
    assert check.served_at == pytest.approx(0.03)


def test_what_is_made_urgent_before_it_lines_up() -> None:
    """It joins as what it has become, and what was taken is not touched."""
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


# What cannot come in time.


def test_what_cannot_come_in_time_fails_at_once() -> None:
    """Behind so many others that it would be too late."""
    line = Line(RateLimit(10))
    for _ in range(50):
        line.come()
    late, in_time = line.come(until=3), line.come(until=7)
    assert late.failed_at == 0
    line.run()
    assert in_time.served_at < 7


@settings(deadline=None)
@given(st.integers(1, 25), st.integers(0, 60), st.floats(0, 0.9), st.floats(0, 0.3))
def test_nobody_fails_who_would_have_come_in_time(rate: int, before: int, pause: float, back: float) -> None:
    """Whatever was asked for before: a slot that comes in time is waited for."""

    def last(until: float) -> Caller:
        line = Line(RateLimit(rate))
        for _ in range(before):
            line.come(back=back)
        line.come_at(pause, until=until)
        line.run()
        return line.callers[-1]

    would_come = last(math.inf).served_at
    assert last(would_come + 0.01).served_at == pytest.approx(would_come)


def test_time_that_is_up_in_the_line() -> None:
    """Whoever is overtaken until then gets no slot, and those behind are woken."""
    line = Line(RateLimit(1))
    line.come()
    waiting, behind = line.come(until=1.5), line.come()
    line.come_at(0.5, RECONCILE)
    line.run()
    assert waiting.failed_at == pytest.approx(1.5)
    assert behind.served_at == pytest.approx(2.004)


# 429s from elsewhere.


def test_a_refusal_slows_it_down_and_it_finds_its_way_back() -> None:
    """Half the pace after a 429 from elsewhere, once a second at the most; back to the full rate in ten."""
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
def test_a_refusal_holds_all_slots(asked: float | None, hold: float) -> None:
    """For as long as the server asks (ten seconds at the most), and what follows is no burst."""
    line = Line(RateLimit(10))
    for _ in range(9):
        line.come()
    line.run(5.0)
    line.limit.refused(5.0, asked)
    for priority in (RECONCILE, NOW, NOW, OWED):
        line.come(priority)
    line.run()
    slots = [caller.served_at for caller in line.served[9:]]
    assert slots[0] == pytest.approx(5 + hold)
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(slots))


def test_a_slower_pace_is_kept() -> None:
    """Half the slots in a second, evenly spread, and more as it grows back."""
    line = Line(RateLimit(10))
    line.limit.refused(0, None)
    for _ in range(300):
        line.come()
    line.run()
    slots = [caller.served_at for caller in line.served]
    assert 4 <= sum(at < 1 for at in slots) <= 6
    assert 50 <= sum(at < 8 for at in slots) <= 62
    assert all(later - earlier > 0.0999 for earlier, later in pairwise(slots) if later < 9.9)
    assert 9.8 <= sum(15 <= at < 25 for at in slots) / 10 <= 10


# Over sockets.


def test_calls_wait_their_turn(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Views wait in the same line, and what cannot be in time fails at once."""
    client = connect(rate_limit=1, timeout=5)
    view = client.with_options(timeout=0.2)
    thread_id = client.threads.create(AGENT_ID).id
    with pytest.raises(APITimeoutError, match="limit of 1 requests per second has no free slot before") as caught:
        view.threads.get(thread_id)
    assert caught.value.attempts == 0
    client.threads.get(thread_id)
    client.with_options(rate_limit=None).threads.get(thread_id)
    made, first, second = (request.at for request in sandbox.requests)
    assert first - made > 0.9
    assert second - first < 0.9


def test_429s_from_elsewhere(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """They slow the client down, and an error of the limit says so."""
    client = connect(rate_limit=2, timeout=3, max_retries=0)
    thread_id = client.threads.create(AGENT_ID).id
    sandbox.inject("getThread", Status(429, headers={"Retry-After": "1"}))
    with pytest.raises(RateLimitError):
        client.threads.get(thread_id)
    with pytest.raises(APITimeoutError, match=r"slowed down to 1 after 429s, has no free slot before") as caught:
        client.with_options(timeout=0.5).threads.get(thread_id)
    assert "share this key" in str(caught.value.__notes__)
    client.threads.get(thread_id)
    _, refused, after = (request.at for request in sandbox.requests)
    assert after - refused > 0.9


def test_two_clients_on_one_key_share_its_rate() -> None:
    """Each allows itself all of it; both get through, and the refusals are few."""
    with Sandbox(rate_limit=10) as sandbox, ThreadPoolExecutor(20) as pool:
        with (
            Feather(sandbox.api_key, base_url=sandbox.url, max_retries=9) as one,
            Feather(sandbox.api_key, base_url=sandbox.url, max_retries=9) as other,
        ):
            thread = one.threads.create(AGENT_ID)
            for call in [pool.submit(client.threads.get, thread.id) for _ in range(30) for client in (one, other)]:
                assert call.result().id == thread.id
        refused = sum(request.status == 429 for request in sandbox.requests)
    assert 0 < refused < 60


@pytest.mark.parametrize("counting", ["bucket", "sliding", "fixed"])
def test_threads_and_tasks_never_see_a_429_at_the_servers_own_rate(counting: Counting) -> None:
    """A burst, and then requests as fast as the plan allows: none is refused, and hardly a slot is wasted."""

    def threads(sandbox: Sandbox) -> None:
        with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=20) as feather, ThreadPoolExecutor(40) as pool:
            for call in [pool.submit(feather.thread(THREAD_ID).send, "hello") for _ in range(60)]:
                assert call.exception() is not None

    async def tasks(sandbox: Sandbox) -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=20) as feather:
            sends = (feather.thread(THREAD_ID).send("hello") for _ in range(60))
            assert all(await asyncio.gather(*sends, return_exceptions=True))

    for run in (threads, lambda sandbox: asyncio.run(tasks(sandbox))):
        with Sandbox(rate_limit=20, counting=counting) as sandbox:
            began = time.monotonic()
            run(sandbox)
            assert {request.status for request in sandbox.requests} == {404}
            assert count(sandbox, "sendMessage") == 60
            assert time.monotonic() - began < 1.5 * 60 / 20


def test_cancelled_tasks_keep_nobody_waiting(sandbox: Sandbox) -> None:
    """A hundred calls that are cancelled in the line cost the next one no more than its own turn."""

    async def program() -> list[str]:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=2) as feather:
            thread = await feather.threads.create(AGENT_ID)
            tasks = [asyncio.create_task(thread.send("no")) for _ in range(100)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await thread.send("yes", timeout=2)
        return [message.text for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]

    assert asyncio.run(program()) == ["yes"]
