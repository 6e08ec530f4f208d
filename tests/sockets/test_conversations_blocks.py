"""Conversations: their blocks, their readers and iterators, and the `http_client`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, Kind
from featherhq import (
    APIConnectionError,
    AsyncFeather,
    AuthenticationError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UsageError,
)
from featherhq.sandbox import (
    CutStream,
    Sandbox,
    Status,
)

pytest_plugins = ["conversation_helpers"]
pytestmark = pytest.mark.usefixtures("no_stream_threads_remain")


def test_leaving_a_conversation_during_an_iteration(thread: Any, sandbox: Sandbox) -> None:
    """If the block ends during an iteration, no connection, thread or task remains. The client can
    make further calls.
    """
    with thread.conversation() as chat:
        chat.send("hello")
        for message in chat:
            assert message.text == "echo: hello"
            break
    deadline = time.monotonic() + 5
    while sandbox._app._streams[thread.id] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not sandbox._app._streams[thread.id]
    assert thread.ask("again").text == "echo: again"
    assert len(threading.enumerate()) < 10


def test_a_conversation_works_only_inside_its_block(thread: Any) -> None:
    """Before and after its block, and in a second block, a conversation raises UsageError. After the block, an
    iteration is empty.
    """
    chat = thread.conversation()
    uses: list[Callable[[], Any]] = [lambda: chat.send("hello"), lambda: chat.ask("hello"), lambda: next(iter(chat))]
    for use in uses:
        with pytest.raises(UsageError, match="not open"):
            use()
    with chat:
        for bad in (0, -1, "1", True):
            with pytest.raises(InvalidArgumentError):
                chat.replies(timeout=bad)
        with pytest.raises(InvalidArgumentError):
            chat.ask("")
        with pytest.raises(InvalidArgumentError):
            chat.send("")
        with pytest.raises(InvalidArgumentError):
            thread.ask("")
    assert list(chat) == []
    with pytest.raises(UsageError, match="was closed"):
        chat.send("hello")
    with pytest.raises(UsageError, match="before"), chat:
        pass


def test_a_conversation_that_cannot_open(kind: Kind, sandbox: Sandbox, dead_url: str) -> None:
    """A wrong key or a missing network raises an error at the start of the block. An unknown thread raises an error at
    the first use.
    """
    with pytest.raises(AuthenticationError), kind.client("wrong", base_url=sandbox.url).thread(AGENT_ID).conversation():
        pass
    dead = kind.client(base_url=dead_url, max_retries=0).thread(AGENT_ID)
    with pytest.raises(APIConnectionError), dead.conversation():
        pass
    with kind.client(base_url=sandbox.url).thread(AGENT_ID).conversation() as chat:
        with pytest.raises(NotFoundError):
            chat.send("hello")
        with pytest.raises(NotFoundError):
            next(chat.replies(timeout=5))
    sandbox.inject("streamMessages", Status(503))
    thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
    with thread.conversation() as chat:
        assert chat.ask("hello").text == "echo: hello"


def test_only_one_reader_at_a_time(sandbox: Sandbox) -> None:
    """A second reader gets UsageError at once. Sending is possible during that time."""

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
            thread = await feather.threads.create(AGENT_ID)
            async with thread.conversation() as chat:
                reader = asyncio.ensure_future(anext(chat.replies(timeout=5)))
                await asyncio.sleep(0)
                with pytest.raises(UsageError, match="is reading this conversation"):
                    await chat.ask("hello")
                await chat.send("hello")
                assert (await reader).text == "echo: hello"

    asyncio.run(program())


def test_a_cancelled_wait_loses_no_message(sandbox: Sandbox) -> None:
    """If a waiting task is cancelled, the next reader gets the message."""

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
            thread = await feather.threads.create(AGENT_ID)
            sandbox.inject("streamMessages", CutStream(after_events=5), 9)
            given: list[str] = []
            async with thread.conversation() as chat:

                async def read() -> None:
                    async for message in chat:
                        given.append(message.text)

                for number in range(40):
                    reader = asyncio.create_task(read())
                    await asyncio.to_thread(sandbox.say, thread.id, str(number))
                    await asyncio.sleep(number % 4 / 500)
                    reader.cancel()
                    await asyncio.wait([reader])
                given += [message.text async for message in chat.replies(timeout=5)]
                assert given == [str(number) for number in range(40)]
                assert (await chat.ask("still there?")).text == "echo: still there?"
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(program())


def test_a_wait_with_a_timeout_does_not_end_an_iterator(sandbox: Sandbox) -> None:
    """After a cancelled wait the iterator continues. After its own timeout, `replies(timeout=…)` stays ended."""

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
            thread = await feather.threads.create(AGENT_ID)
            async with thread.conversation() as chat:
                iterator = aiter(chat)
                for number in range(3):
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(anext(iterator), 0.2)
                    await asyncio.to_thread(sandbox.say, thread.id, str(number))
                    assert (await anext(iterator)).text == str(number)
                ended = chat.replies(timeout=0.1)
                with pytest.raises(StopAsyncIteration):
                    await anext(ended)
                await asyncio.to_thread(sandbox.say, thread.id, "more")
                with pytest.raises(StopAsyncIteration):
                    await anext(ended)
                assert (await anext(iterator)).text == "more"

    asyncio.run(program())


def test_an_error_does_not_end_an_iterator(thread: Any, sandbox: Sandbox) -> None:
    """After an error the iterator continues, and it returns the messages that came during that time."""
    sandbox.inject("streamMessages", Status(404), 99)
    sandbox.inject("listMessages", Status(403))
    with thread.conversation() as chat:
        sandbox.say(thread.id, "hello")
        replies = chat.replies(timeout=5)
        with pytest.raises(PermissionDeniedError):
            next(replies)
        assert next(replies).text == "hello"


def test_a_conversation_with_an_http_client_of_the_caller(kind: Kind, connect: Callable[..., Any]) -> None:
    """The conversation opens its stream with the caller's `http_client`. At its end it closes the stream and not the
    `http_client`.
    """
    given: Any = (httpx.AsyncClient if kind.asynchronous else httpx.Client)()
    thread = connect(http_client=given, timeout=5).threads.create(AGENT_ID)
    with thread.conversation() as chat:
        assert chat.ask("hello").text == "echo: hello"
    assert not given.is_closed
    if kind.asynchronous:
        kind.run(given.aclose())
    else:
        given.close()


def test_a_stream_that_cannot_be_interrupted() -> None:
    """If the transport has no sockets, the end of the block does not wait for the next bytes of the stream."""
    more = threading.Event()

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b'data: {"id": "1", "messageBody": "hello"}\n\n'
            more.wait(5)
            yield b": late\n\n"

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())

    kind = Kind(asynchronous=False)
    with httpx.Client(transport=httpx.MockTransport(respond)) as given:
        began = time.monotonic()
        with kind.client(http_client=given).thread(AGENT_ID).conversation() as chat:
            assert next(chat.replies(timeout=5)).text == "hello"
        assert time.monotonic() - began < 4
        more.set()
        for thread in threading.enumerate():
            if thread.name == "featherhq-stream":
                thread.join(5)
    kind.close()
