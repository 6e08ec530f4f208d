"""Conversations that are closed or deleted, and clients that are closed before them."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, Kind, count
from conversation_helpers import gone, stream_threads
from featherhq import (
    AsyncFeather,
    Feather,
    FeatherError,
    UsageError,
)
from featherhq.sandbox import (
    Sandbox,
    Stall,
    Status,
)
from hostile import End, Hostile, says
from raw_server import STREAM

pytest_plugins = ["conversation_helpers"]
pytestmark = pytest.mark.usefixtures("no_stream_threads_remain")


def test_a_conversation_may_be_closed_by_another_thread_or_task(sandbox: Sandbox) -> None:
    """If another thread or task closes the conversation, the iteration ends. This is true for a stream and between
    two scans.
    """
    kind = Kind(asynchronous=False)
    for fault in (None, Status(404)):
        if fault is not None:
            sandbox.inject("streamMessages", fault)
        thread = kind.client(base_url=sandbox.url).threads.create(AGENT_ID)
        seen = count(sandbox, "streamMessages")
        with thread.conversation() as chat:
            sandbox.wait_for_requests(seen + 1, "streamMessages")
            threading.Timer(0.2, chat.close).start()
            assert list(chat) == []

    async def program() -> None:
        for fault in (None, Status(404)):
            if fault is not None:
                sandbox.inject("streamMessages", fault)
            async with AsyncFeather(sandbox.api_key, base_url=sandbox.url) as feather:
                thread = await feather.threads.create(AGENT_ID)
                async with thread.conversation() as chat:
                    closers.append(asyncio.create_task(close_later(chat)))
                    assert [message async for message in chat] == []
        await asyncio.gather(*closers)
        assert len(asyncio.all_tasks()) == 1

    async def close_later(chat: Any) -> None:
        await asyncio.sleep(0.2)
        await chat.aclose()

    closers: list[Any] = []
    asyncio.run(program())
    kind.close()


def test_a_conversation_may_be_closed_while_it_opens(sandbox: Sandbox) -> None:
    """If the conversation is closed while its stream opens, the stream is closed at once. The iteration is empty."""
    kind = Kind(asynchronous=False)
    thread = kind.client(base_url=sandbox.url).threads.create(AGENT_ID)
    sandbox.inject("streamMessages", Stall(0.3), 2)
    chat = thread.conversation()

    def close() -> None:
        sandbox.wait_for_requests(1, "streamMessages")
        chat.close()

    closer = threading.Thread(target=close)
    closer.start()
    with chat:
        closer.join()
        assert list(chat) == []
    kind.close()

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url) as feather:
            chat = feather.thread(thread.id).conversation()
            entering = asyncio.ensure_future(chat.__aenter__())
            await asyncio.to_thread(sandbox.wait_for_requests, 2, "streamMessages")
            await chat.aclose()
            await entering
            assert [message async for message in chat] == []
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(program())


def test_a_conversation_that_is_closed_just_as_its_stream_opens() -> None:
    """The response has begun, and nobody reads it yet. It is closed at once, although the server sends nothing."""
    begun, closed = threading.Event(), threading.Event()

    def hold(response: httpx.Response) -> None:
        if response.url.path.endswith("/stream"):
            begun.set()
            assert closed.wait(5)

    with (
        Hostile({"stream": says(STREAM, End.HOLD)}) as server,
        httpx.Client(trust_env=False, event_hooks={"response": [hold]}) as http,
        Feather("k", base_url=server.url, http_client=http) as feather,
    ):
        chat = feather.threads.create(AGENT_ID).conversation()
        with ThreadPoolExecutor() as pool:
            entering = pool.submit(chat.__enter__)
            assert begun.wait(5)
            (stream,) = stream_threads()
            chat.close()
            closed.set()
            stream.join(5)
            assert not stream.is_alive()
            entering.result(5)


@pytest.mark.parametrize("fault", [None, Status(404)], ids=["stream", "polling"])
def test_a_client_that_is_closed_before_its_conversation(
    kind: Kind, connect: Callable[..., Any], sandbox: Sandbox, fault: Any
) -> None:
    """If the client is closed, the iteration ends at once and without an error. `send()` raises UsageError."""
    if fault is not None:
        sandbox.inject("streamMessages", fault)
    client = connect()
    with client.threads.create(AGENT_ID).conversation() as chat:
        (client.aclose if kind.asynchronous else client.close)()
        assert list(chat.replies(timeout=5)) == []
        with pytest.raises(UsageError, match="was closed"):
            chat.send("hello")


@pytest.mark.parametrize("fault", [None, Status(404)], ids=["stream", "polling"])
def test_a_deleted_conversation_ends_its_stream_and_threads(sandbox: Sandbox, fault: Any) -> None:
    """If the block was never left and nobody refers to the conversation, its stream and its threads end."""
    kind = Kind(asynchronous=False)
    thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
    if fault is not None:
        sandbox.inject("streamMessages", fault, 9)
        sandbox.inject("listMessages", Stall(), 9)
    chat = thread.conversation().__enter__()
    chat.send("hello")
    if fault is None:
        assert next(chat.replies(timeout=5)).text == "echo: hello"
    else:
        assert list(chat.replies(timeout=1.2)) == []
    assert stream_threads()
    del chat
    gc.collect()
    assert gone(stream_threads)
    assert gone(lambda: sandbox._app._streams[thread.id])
    sandbox.forget_faults()
    assert thread.ask("again").text == "echo: again"
    kind.close()

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
            if fault is not None:
                sandbox.inject("streamMessages", fault, 9)
                sandbox.inject("listMessages", Stall(), 9)
            chat = await feather.thread(thread.id).conversation().__aenter__()
            await chat.send("hello")
            with suppress(StopAsyncIteration):
                await anext(chat.replies(timeout=1.2))
            assert len(asyncio.all_tasks()) > 1
            del chat
            gc.collect()
            await asyncio.sleep(0.2)
            assert len(asyncio.all_tasks()) == 1
            assert await asyncio.to_thread(gone, lambda: sandbox._app._streams[thread.id])
            sandbox.forget_faults()

    asyncio.run(program())


class Asking:
    """Checks of `ask()` against a silent agent, while the client or the conversation is closed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._before = 0

    def begin(self) -> None:
        """Remember the requests that came before `ask()`."""
        self._before = len(self._sandbox.requests)

    def accepted(self) -> bool:
        """Whether the server has accepted the message of `ask()`."""
        later = self._sandbox.requests[self._before :]
        return any(seen.operation == "sendMessage" and seen.status == 200 for seen in later)

    def check(self, error: BaseException | None, thread_id: str) -> None:
        """Check the error of an `ask()` whose client was closed."""
        assert isinstance(error, UsageError)
        assert "this client was closed during this call" in str(error)
        assert error.delivered is True
        assert self._sandbox.messages(thread_id)[-1].id in error.__notes__[0]

    def close_during_asks(self) -> None:
        """Close the conversation during its `ask()`, and the client during the thread's `ask()`."""
        client = Feather(self._sandbox.api_key, base_url=self._sandbox.url, rate_limit=None)
        thread = client.threads.create(AGENT_ID)
        with thread.conversation() as chat, ThreadPoolExecutor(1) as pool:
            self.begin()
            asking = pool.submit(chat.ask, "hello", timeout=9)
            assert gone(lambda: not self.accepted())
            time.sleep(0.2)
            chat.close()
            error = asking.exception(5)
            assert isinstance(error, UsageError)
            assert "this conversation was closed during this call" in str(error)
            assert error.delivered is True
            self.begin()
            asking = pool.submit(thread.ask, "hello", timeout=9)
            assert gone(lambda: not self.accepted())
            time.sleep(0.2)
            began = time.monotonic()
            client.close()
            self.check(asking.exception(5), thread.id)
            assert time.monotonic() - began < 2

    async def close_during_async_asks(self) -> None:
        """Cancel the thread's `ask()`, then close the client during the conversation's `ask()`."""
        feather = AsyncFeather(self._sandbox.api_key, base_url=self._sandbox.url, rate_limit=None)
        thread = await feather.threads.create(AGENT_ID)
        async with thread.conversation() as chat:
            self.begin()
            asking = asyncio.create_task(thread.ask("hello", timeout=9))
            assert await asyncio.to_thread(gone, lambda: not self.accepted())
            await asyncio.sleep(0.2)
            asking.cancel()
            await asyncio.wait([asking])
            self.begin()
            asking = asyncio.create_task(chat.ask("hello", timeout=9))
            assert await asyncio.to_thread(gone, lambda: not self.accepted())
            await asyncio.sleep(0.2)
            await feather.aclose()
            await asyncio.wait([asking], timeout=5)
            self.check(asking.exception(), thread.id)


def test_a_client_that_is_closed_during_an_ask() -> None:
    """The error says that the client was closed and that the message was accepted."""
    with Sandbox(lambda *_: [], rate_limit=None) as silent:
        asking = Asking(silent)
        asking.close_during_asks()
        asyncio.run(asking.close_during_async_asks())


def test_a_client_that_is_closed_during_a_send(kind: Kind, sandbox: Sandbox) -> None:
    """If the client is closed during `send()`, the message may have been accepted. The error does not say that it was
    not delivered.
    """
    sandbox.inject("sendMessage", Stall(1.0, after=True), 9)

    async def program() -> BaseException | None:
        feather = AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None)
        thread = await feather.threads.create(AGENT_ID)
        sending = asyncio.create_task(thread.send("hello", timeout=4))
        await asyncio.to_thread(sandbox.wait_for_requests, 1, "sendMessage")
        await feather.aclose()
        await asyncio.wait([sending])
        return sending.exception()

    if kind.asynchronous:
        error = kind.run(program())
    else:
        client = kind.client(base_url=sandbox.url)
        thread = client.threads.create(AGENT_ID)
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(thread.send, "hello", timeout=4)
            sandbox.wait_for_requests(1, "sendMessage")
            client.close()
            error = sending.exception(9)
    if error is not None:
        assert isinstance(error, FeatherError)
        assert error.delivered is None


def test_closing_a_conversation_ends_a_waiting_scan(sandbox: Sandbox) -> None:
    """If the conversation is closed while a scan waits for its response, the iteration ends at once."""
    sandbox.inject("streamMessages", Status(404), 9)
    sandbox.inject("listMessages", Stall(), 9)
    kind = Kind(asynchronous=False)
    thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
    with ThreadPoolExecutor(1) as pool, thread.conversation() as chat:
        chat.send("hello")
        reading = pool.submit(list, chat)
        sandbox.wait_for_requests(1, "listMessages")
        began = time.monotonic()
        chat.close()
        assert reading.result(5) == []
        assert time.monotonic() - began < 0.5
        assert not stream_threads()
    kind.close()

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=9) as feather:
            chat = await feather.thread(thread.id).conversation().__aenter__()
            await chat.send("hello")

            async def read() -> list[Any]:
                return [message async for message in chat]

            reading = asyncio.create_task(read())
            await asyncio.to_thread(sandbox.wait_for_requests, 2, "listMessages")
            began = time.monotonic()
            await chat.aclose()
            assert await reading == []
            assert time.monotonic() - began < 0.5
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(program())
