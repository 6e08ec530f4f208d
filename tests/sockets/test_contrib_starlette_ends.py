"""How the event streams of `featherhq.contrib.starlette` end: the server stops, the browser leaves, a server is new."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import FrameType
from typing import Any

import pytest
from contrib_service import Service, call, opened, running
from featherhq import AsyncFeather, InvalidArgumentError, UsageError
from featherhq.contrib.starlette import EventStreams
from featherhq.sandbox import Sandbox, Stall

pytest_plugins = ["contrib_service"]


@pytest.fixture
def caught() -> Iterator[list[int]]:
    """The signals that come to the handlers of this process. They would end it otherwise."""
    numbers: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        numbers.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_streams(sandbox: Sandbox, thread_id: str, caught: list[int], number: signal.Signals) -> None:
    """A server that is told to stop ends open streams without an error, and so it stops at once. Then the handlers
    are as before.
    """
    service = Service(sandbox)
    before = signal.getsignal(number)

    def browse() -> bool:
        with service.http() as http, opened(http, thread_id) as events:
            os.kill(os.getpid(), number)
            return events.next() is None

    with ThreadPoolExecutor() as browsers:
        browser = browsers.submit(browse)
        service.run()
        assert browser.result(timeout=10)
    # The server hands it on when it has stopped.
    assert caught == [number]
    assert signal.getsignal(number) == before


def test_end_ends_all_streams(sandbox: Sandbox, thread_id: str) -> None:
    """`end` ends open streams, and those whose conversation is still being opened, without an error."""
    service = Service(sandbox)
    with running(service) as http, ThreadPoolExecutor() as browsers, opened(http, thread_id) as events:
        sandbox.inject("listMessages", Stall())
        browser = browsers.submit(http.get, f"/threads/{thread_id}/events", params={"after": events.last_id})
        sandbox.wait_for_requests(1, "listMessages")
        service.streams.end()
        assert events.next() is None
        assert (browser.result(timeout=10).status_code, browser.result().text) == (200, "retry: 1000\n\n")


def test_a_browser_that_leaves_ends_its_stream(sandbox: Sandbox, thread_id: str) -> None:
    """If the browser is gone, nothing of the stream remains: the server can stop, although nobody has called `end`."""
    with running(Service(sandbox)) as http:
        with opened(http, thread_id):
            pass
        with opened(http, thread_id) as events:
            sandbox.say(thread_id, "one")
            assert events.read("data")


def test_the_lifespan_ends_what_is_left(sandbox: Sandbox, thread_id: str) -> None:
    """Some servers end the lifespan while streams are open. They end with it, before the client is closed."""

    async def program(thread_id: str) -> list[Any]:
        sent: list[Any] = []
        started = asyncio.Event()

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)
            if b"ready" in message.get("body", b""):
                started.set()

        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url) as feather:
            async with EventStreams() as streams:
                response = streams.response(feather.thread(thread_id))
                stream = asyncio.create_task(response(SCOPE, forever, send))
                await started.wait()
            await stream
        return sent

    assert call(program, thread_id)[-1]["more_body"] is False


@pytest.mark.parametrize("lost", ["http.response.start", "http.response.body"])
def test_servers_that_raise_if_the_browser_is_gone(sandbox: Sandbox, thread_id: str, lost: str) -> None:
    """Servers of ASGI 2.4 raise an `OSError` if they cannot send. Then the stream ends without an error."""

    async def program() -> None:
        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == lost:
                raise ConnectionResetError

        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url) as feather, EventStreams() as streams:
            await streams.response(feather.thread(thread_id))(SCOPE, forever, send)

    call(program)


def test_handlers_of_others(caught: list[int]) -> None:
    """A signal without a handler stays as it is. A handler that was set later stays, and may still call the earlier."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    async def program() -> Callable[..., Any]:
        async with EventStreams():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            ours = signal.getsignal(signal.SIGINT)
            assert callable(ours)
            signal.signal(signal.SIGINT, partial(ours))
        return ours

    ours = call(program)
    assert signal.getsignal(signal.SIGINT) != ours
    signal.raise_signal(signal.SIGINT)
    assert caught == [signal.SIGINT]


def test_streams_that_are_not_entered(sandbox: Sandbox, thread_id: str) -> None:
    """A response of streams that are not entered is a `UsageError`. Bad arguments are refused."""

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url) as feather:
            EventStreams().response(feather.thread(thread_id))

    with pytest.raises(UsageError, match="are not open"):
        call(program)
    EventStreams().end()
    with pytest.raises(InvalidArgumentError, match="heartbeat: expected a finite number of seconds above 0"):
        EventStreams(heartbeat=0)


SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "path": "/events",
    "query_string": b"",
    "headers": [],
}


async def forever() -> MutableMapping[str, Any]:
    """The next message of a browser that only listens."""
    await asyncio.Event().wait()
    raise AssertionError
