"""Closed clients and closed threads, cancelled calls, and clients without their event loop."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import trio
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import (
    AsyncFeather,
    BadRequestError,
    Feather,
    UsageError,
)
from featherhq.sandbox import Sandbox


def test_an_async_client_needs_an_asyncio_event_loop(sandbox: Sandbox) -> None:
    """Under trio, or without any event loop, the error names the cause and the client sends nothing."""
    feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url)
    with pytest.raises(UsageError, match="event loop of asyncio") as caught:
        trio.run(feather.threads.get, THREAD_ID)
    assert "trio.to_thread" in str(caught.value.__notes__)
    with pytest.raises(UsageError, match="event loop of asyncio"):
        feather.threads.get(THREAD_ID).send(None)
    assert isinstance(caught.value, RuntimeError)
    assert sandbox.requests == []


def test_closing_the_client_ends_loops_over_conversations(sandbox: Sandbox) -> None:
    """`aclose()` and `close()` end the loops over the client's conversations without an error."""

    async def program(name: str) -> list[str]:
        feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
        thread = await feather.threads.create(AGENT_ID)
        given: list[str] = []
        is_open = asyncio.Event()

        async def listen() -> None:
            async with thread.conversation() as chat:
                is_open.set()
                given.extend([message.text async for message in chat])

        listening = asyncio.create_task(listen())
        await is_open.wait()
        await asyncio.sleep(0.05)
        await getattr(feather, name)()
        await asyncio.wait_for(listening, 5)
        return given

    for name in ("aclose", "close"):
        assert asyncio.run(program(name)) == []


def test_close_works_on_an_async_conversation(sandbox: Sandbox) -> None:
    """`close` ends an async conversation, as `aclose` does."""

    async def program() -> list[Any]:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
            thread = await feather.threads.create(AGENT_ID)
            async with thread.conversation() as chat:
                await chat.close()
                return [message async for message in chat]

    assert asyncio.run(program()) == []


def test_an_ask_that_is_cancelled_after_its_message_was_accepted(kind: Kind) -> None:
    """The error says that the server accepted the message. A program that repeats the call would send it twice."""
    with Sandbox(agent=lambda *_: [], rate_limit=None) as silent:
        if kind.asynchronous:

            async def program() -> BaseException:
                async with AsyncFeather(silent.api_key, base_url=silent.url, rate_limit=None) as feather:
                    asking = asyncio.create_task((await feather.threads.create(AGENT_ID)).ask("hello"))
                    await asyncio.to_thread(silent.wait_for_requests, 1, "sendMessage")
                    await asyncio.sleep(0.1)
                    asking.cancel()
                    with pytest.raises(asyncio.CancelledError) as caught:
                        await asking
                    return caught.value

            error = asyncio.run(program())
        else:
            error = TimeoutError("time is up")

            def handle(*_: object) -> None:
                raise error

            before = signal.signal(signal.SIGALRM, handle)
            with Feather(silent.api_key, base_url=silent.url, rate_limit=None) as feather:
                thread = feather.threads.create(AGENT_ID)
                signal.setitimer(signal.ITIMER_REAL, 0.4)
                with pytest.raises(TimeoutError) as caught:
                    thread.ask("hello")
            signal.signal(signal.SIGALRM, before)
            assert caught.value is error
    assert "The message was accepted" in str(error.__notes__)


@pytest.mark.parametrize("waits", ["next", "ask"])
def test_a_conversation_on_a_thread_that_this_program_closes(connect: Callable[..., Any], waits: str) -> None:
    """When the same client closes the thread, the conversation raises an error that says so."""
    client = connect(timeout=10)
    thread = client.threads.create(AGENT_ID)
    with thread.conversation() as chat:
        client.thread(thread.id).close("over")
        began = time.monotonic()
        with pytest.raises(UsageError, match=rf"thread {thread.id} was closed by this program"):
            next(iter(chat)) if waits == "next" else chat.ask("hello?")
        assert time.monotonic() - began < 1


def test_closing_another_thread_does_not_affect_a_conversation(connect: Callable[..., Any]) -> None:
    """A conversation continues when the client closes another thread."""
    client = connect(timeout=10)
    thread, other = client.threads.create(AGENT_ID), client.threads.create(AGENT_ID)
    with thread.conversation() as chat:
        other.close()
        assert chat.ask("hello?").text == "echo: hello?"


def test_a_wait_ends_when_its_thread_is_closed(sandbox: Sandbox) -> None:
    """A wait that began before the close also ends with that error."""
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        with thread.conversation() as chat:
            closing = threading.Timer(0.1, thread.close)
            closing.start()
            with pytest.raises(UsageError, match="was closed by this program"):
                next(iter(chat))
            closing.join()


def test_a_message_to_a_closed_thread(connect: Callable[..., Any]) -> None:
    """The server's 400 raises a BadRequestError, and its note says that the thread may be closed."""
    thread = connect().threads.create(AGENT_ID).close()
    with pytest.raises(BadRequestError) as caught:
        thread.send("hello")
    assert "The thread may be closed" in str(caught.value.__notes__)
    assert caught.value.delivered is False


@pytest.mark.parametrize("used", [False, True])
def test_a_client_that_is_not_closed(sandbox: Sandbox, used: bool) -> None:
    """A used client that is not closed gives one warning with its name. An unused client gives no warning."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        feather = Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
        if used:
            thread = feather.threads.create(AGENT_ID)
            del feather
            gc.collect()
            # A thread keeps its client alive.
            assert thread.ask("hello").text
            del thread
        else:
            del feather
        gc.collect()
    assert [str(one.message) for one in told] == [
        f"unclosed <Feather for {sandbox.url}>: use it in a `with` block, or close it"
    ] * used


@pytest.mark.parametrize("ended", [False, True])
def test_an_async_client_that_is_not_closed(sandbox: Sandbox, ended: bool) -> None:
    """There is one warning, whether the event loop still runs or has ended. Neither aiohttp nor asyncio warns too."""
    noise: list[Any] = []
    held: list[Any] = []

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
        feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
        await (await feather.threads.create(AGENT_ID)).ask("hello")
        held.append(feather)
        if not ended:
            held.clear()
            del feather
            gc.collect()
            await asyncio.sleep(0.05)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(program())
        held.clear()
        gc.collect()
    assert [str(one.message) for one in told] == [
        f"unclosed <AsyncFeather for {sandbox.url}>: use it in a `with` block, or close it"
    ]
    assert noise == []
