"""The rate limit: turns in line, for threads and tasks alike, and what 429s do to the pace."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, count
from featherhq import APITimeoutError, AsyncFeather, Feather, RateLimitError
from featherhq._limit import RateLimit, Turn, nap
from featherhq.sandbox import Sandbox, Status
from hypothesis import given, strategies as st


class Line:
    """Callers of one limit, on a clock of their own, who sleep and ask as a call does."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self.now = 0.0
        self.served: list[tuple[float, int]] = []
        self._waiting: list[tuple[float, int, ExitStack, Turn]] = []

    def come(self, caller: int) -> None:
        stack = ExitStack()
        self._ask(caller, stack, stack.enter_context(self.limit.turn()))

    def leave(self, caller: int) -> None:
        for waiting in [waiting for waiting in self._waiting if waiting[1] == caller]:
            waiting[2].close()
            self._waiting.remove(waiting)

    def run(self, until: float = 1e9) -> None:
        """Let time pass, until then or until nobody waits."""
        while self._waiting and min(self._waiting)[0] <= until:
            waiting = min(self._waiting)
            self._waiting.remove(waiting)
            self.now, caller, stack, turn = waiting
            self._ask(caller, stack, turn)
        if until < 1e9:
            self.now = until

    def _ask(self, caller: int, stack: ExitStack, turn: Turn) -> None:
        wait = turn.wait(self.now)
        if wait:
            self._waiting.append((self.now + nap(wait), caller, stack, turn))
        else:
            turn.answered(self.now)
            stack.close()
            self.served.append((self.now, caller))


@given(
    st.floats(0.5, 50),
    st.lists(st.tuples(st.floats(0, 0.3), st.booleans()), min_size=1, max_size=60),
)
def test_it_holds_over_any_second(rate: float, callers: list[tuple[float, bool]]) -> None:
    """Bursts of one second's worth, then an even pace, first come first served; whoever leaves is passed over."""
    line = Line(RateLimit(rate))
    leaving: list[int] = []
    for caller, (pause, leaves) in enumerate(callers):
        line.run(line.now + pause)
        for left in leaving:
            line.leave(left)
        line.come(caller)
        leaving = [caller] if leaves else []
    line.run()
    turns = [at for at, _ in line.served]
    assert [caller for _, caller in line.served] == sorted(caller for _, caller in line.served)
    for first, turn in enumerate(turns):
        within = [later for later in turns[first:] if later <= turn + 1]
        assert len(within) <= max(1, rate) + rate + 1e-6


@pytest.mark.parametrize("callers", [1, 2, 30])
def test_no_turn_is_wasted(callers: int) -> None:
    """As many as wait are served at the full rate, to the last, and no later."""
    line = Line(RateLimit(10))
    for caller in range(9 + callers):
        line.come(caller)
    line.run()
    assert len(line.served) == 9 + callers
    assert line.served[-1][0] == pytest.approx(max(0, callers - 1) / 10)


def test_those_behind_move_up() -> None:
    """When tasks are cancelled in the line, those behind them do not wait for turns that nobody takes."""
    line = Line(RateLimit(1))
    for caller in range(100):
        line.come(caller)
    for caller in range(1, 99):
        line.leave(caller)
    line.run()
    assert [caller for _, caller in line.served] == [0, 99]
    # It looked again half way, and was then next.
    assert line.served[-1][0] == pytest.approx(99 / 2)
    line.come(100)
    line.run()
    assert line.served[-1][1] == 100
    assert line.served[-1][0] == pytest.approx(99 / 2 + 1)


def test_who_is_gone_leaves_no_trace() -> None:
    """A limit that was waited for by many who left is as good as new."""
    limit = RateLimit(1)
    assert limit.take(0)
    for _ in range(1000):
        with limit.turn() as turn:
            assert turn.wait(0) == 1
    assert not limit.take(0.5)
    assert limit.take(1)


@given(
    st.floats(1, 50),
    st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.6), st.floats(0, 0.39)), min_size=1, max_size=60),
)
def test_a_server_with_the_same_limit_refuses_nothing(rate: float, calls: list[tuple[float, float, float]]) -> None:
    """However unevenly requests arrive: some under way for half a second, some for none, all at once or one by one."""
    client, server = RateLimit(rate), RateLimit(rate)
    events: list[tuple[float, int, str]] = []
    turns: list[Turn] = []
    come = 0.0
    with ExitStack() as stack:
        for number, (pause, _, _) in enumerate(calls):
            come += pause
            heapq.heappush(events, (come, number, "ask"))
        while events:
            now, number, what = heapq.heappop(events)
            if what == "ask":
                if number == len(turns):
                    turns.append(stack.enter_context(client.turn()))
                wait = turns[number].wait(now)
                at = now + (nap(wait) if wait else calls[number][1])
                heapq.heappush(events, (at, number, "ask" if wait else "arrive"))
            elif what == "arrive":
                # Rounding is no reason to refuse.
                assert server.take(now + 1e-6)
                heapq.heappush(events, (now + calls[number][2], number, "answer"))
            else:
                turns[number].answered(now)


def test_what_is_never_answered_keeps_nobody_waiting_for_long() -> None:
    """Requests that hang count as arrived after a second: then the rest go on at the full rate."""
    limit, now = RateLimit(10), 0.0
    served: list[float] = []
    with ExitStack() as stack:
        while len(served) < 40:
            turn = stack.enter_context(limit.turn())
            while wait := turn.wait(now):
                now += wait
            served.append(now)
    assert served[9] == 0
    assert served[10] == pytest.approx(1.1, abs=0.11)
    assert served[-1] == pytest.approx(4, abs=0.21)


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


def test_a_refusal_holds_all_turns() -> None:
    """For as long as the server asks (ten seconds at the most), and what follows is no burst."""
    for asked, hold in ((3, 3), (0.5, 0.5), (None, 0), (3600, 10)):
        line = Line(RateLimit(10))
        for caller in range(9):
            line.come(caller)
        line.run(5)
        line.limit.refused(5, asked)
        for caller in range(9, 13):
            line.come(caller)
        line.run()
        turns = [at for at, _ in line.served[9:]]
        assert turns[0] == pytest.approx(5 + hold)
        assert all(later - earlier > 0.0999 for earlier, later in pairwise(turns))


def test_calls_wait_their_turn(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Views wait in the same line, and what cannot be in time fails at once."""
    client = connect(rate_limit=1, timeout=5)
    view = client.with_options(timeout=0.2)
    thread_id = client.threads.create(AGENT_ID).id
    with pytest.raises(APITimeoutError, match="limit of 1 requests a second has no turn free") as caught:
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
    with pytest.raises(APITimeoutError, match=r"slowed down to 1 after 429s, has no turn free") as caught:
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


def test_threads_and_tasks_never_see_a_429_at_the_servers_own_rate() -> None:
    """A burst, and then requests as fast as the plan allows: none is refused, and no turn is wasted."""

    def threads(sandbox: Sandbox) -> None:
        with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=20) as feather, ThreadPoolExecutor(40) as pool:
            for call in [pool.submit(feather.thread(THREAD_ID).send, "hello") for _ in range(60)]:
                assert call.exception() is not None

    async def tasks(sandbox: Sandbox) -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=20) as feather:
            sends = (feather.thread(THREAD_ID).send("hello") for _ in range(60))
            assert all(await asyncio.gather(*sends, return_exceptions=True))

    for run in (threads, lambda sandbox: asyncio.run(tasks(sandbox))):
        with Sandbox(rate_limit=20) as sandbox:
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
