"""The pool of connections: free connections, cancelled tasks, many streams, event loops, and a given httpx client."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, count
from featherhq import APITimeoutError, AsyncFeather, UsageError
from featherhq._http import connections
from featherhq.sandbox import Sandbox, Stall


def test_a_call_without_a_free_connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that gets no free connection in time says so and was not sent. Waiting calls get connections in order."""
    monkeypatch.setattr(connections, "CALL_LIMITS", httpx.Limits(max_connections=1))

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, max_retries=0) as feather:
            thread = await feather.threads.create(AGENT_ID)
            sandbox.inject("getThread", Stall())
            stalled = asyncio.create_task(thread.refresh())
            await asyncio.to_thread(sandbox.wait_for_requests, 1, "getThread")
            with pytest.raises(APITimeoutError, match="no free connection in time") as caught:
                await thread.send("hello", timeout=0.3)
            assert "Nothing reached Feather" in str(caught.value.__notes__)
            stalled.cancel()
            await asyncio.wait([stalled])
            order: list[int] = []

            async def call(number: int) -> None:
                await thread.refresh()
                order.append(number)

            await asyncio.gather(*(call(number) for number in range(50)))
            assert order == list(range(50))

    asyncio.run(program())


def test_cancelled_tasks_leave_the_pool_usable(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tasks are cancelled in calls and conversations on a small pool. After that, the next calls
    succeed.
    """
    monkeypatch.setattr(connections, "CALL_LIMITS", httpx.Limits(max_connections=10))

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
            thread = await feather.threads.create(AGENT_ID)

            async def converse() -> None:
                async with thread.conversation() as chat:
                    await chat.ask("no")

            async def cut(work: Any, seconds: float) -> None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await work

            for wave in range(10):
                works = [thread.refresh() if number % 2 else converse() for number in range(50)]
                await asyncio.gather(*(cut(work, number * wave / 5000) for number, work in enumerate(works)))
            await asyncio.gather(*(thread.refresh() for _ in range(100)))
            another = await feather.threads.create(AGENT_ID)
            assert (await another.ask("still there?")).text == "echo: still there?"

    asyncio.run(program())


def test_many_open_streams_delay_no_call(sandbox: Sandbox) -> None:
    """Each stream has its own connection. So 150 open streams delay no call."""

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
            thread = await feather.threads.create(AGENT_ID)
            chats = [thread.conversation() for _ in range(150)]
            await asyncio.gather(*(chat.__aenter__() for chat in chats))
            await thread.send("hello", timeout=2)
            for chat in chats:
                async for message in chat.replies(timeout=5):
                    assert message.text == "echo: hello"
                    break
            await asyncio.gather(*(chat.aclose() for chat in chats))

    asyncio.run(program())


def test_another_event_loop(sandbox: Sandbox) -> None:
    """Connections belong to the event loop that made them. A call from another loop is an error, and nothing is
    sent.
    """
    feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url)
    with asyncio.Runner() as runner:
        thread = runner.run(feather.threads.create(AGENT_ID))
        with pytest.raises(UsageError, match="another event loop") as caught, asyncio.Runner() as other:
            other.run(thread.send("hello"))
        assert "Nothing was sent" in str(caught.value.__notes__)
        runner.run(feather.aclose())
    assert count(sandbox, "sendMessage") == 0


def test_an_http_client_of_the_caller(sandbox: Sandbox) -> None:
    """The client uses the given httpx client with its own transport, and does not close it."""

    async def program() -> None:
        async with httpx.AsyncClient() as given:
            async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, http_client=given) as feather:
                await feather.threads.create(AGENT_ID)
            assert not given.is_closed
            assert (await given.get(sandbox.url)).status_code == 404

    asyncio.run(program())
