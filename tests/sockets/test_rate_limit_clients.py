"""The rate limit of a client over sockets: views, several clients on one key, threads and tasks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, count
from featherhq import APITimeoutError, AsyncFeather, Feather, NotFoundError, RateLimitError
from featherhq.sandbox import Sandbox, Status
from featherhq.sandbox._limit import Counting


def test_calls_wait_in_one_queue(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """A client and its views share one queue, and a call that cannot get a slot in time fails at once."""
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


def test_a_429_slows_the_client_down(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """A 429 that the client did not cause slows it down, and an error of the rate limit says so."""
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
    """If two clients each use the whole rate of one key, all calls of both succeed after a few 429s."""
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
def test_threads_and_tasks_never_get_a_429_at_the_rate_of_the_server(counting: Counting) -> None:
    """The server accepts a burst and then requests at its full rate, and the client wastes hardly a slot."""

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


def test_a_slow_key_causes_no_429() -> None:
    """If the key of a request comes only two seconds after its slot, the next request waits for its whole second."""

    def slow() -> str:
        time.sleep(2.2)
        return sandbox.api_key

    def threads() -> list[Any]:
        with (
            Feather(slow, base_url=sandbox.url, rate_limit=1, max_retries=0) as feather,
            ThreadPoolExecutor(2) as pool,
        ):
            calls = [pool.submit(feather.threads.get, THREAD_ID) for _ in range(2)]
            return [call.exception() for call in calls]

    async def tasks() -> list[Any]:
        async with AsyncFeather(slow, base_url=sandbox.url, rate_limit=1, max_retries=0) as feather:
            return await asyncio.gather(*(feather.threads.get(THREAD_ID) for _ in range(2)), return_exceptions=True)

    for run in (threads, lambda: asyncio.run(tasks())):
        with Sandbox(rate_limit=1, counting="sliding") as sandbox:
            assert [type(error) for error in run()] == [NotFoundError, NotFoundError]


def test_cancelled_tasks_delay_no_later_call(sandbox: Sandbox) -> None:
    """After a hundred calls are cancelled in the queue, the next call waits only for its own slot."""

    async def program() -> list[str]:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=2) as feather:
            thread = await feather.threads.create(AGENT_ID)
            # The two slots of this second are taken, so all others wait in the queue.
            await thread.send("first")
            tasks = [asyncio.create_task(thread.send("no")) for _ in range(100)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await thread.send("yes", timeout=2)
        return [message.text for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]

    assert asyncio.run(program()) == ["first", "yes"]
