"""Single calls: retries, `Retry-After`, deadlines, connections that fail, cancellation and the log."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APIConnectionError,
    APITimeoutError,
    AsyncFeather,
    DeliveryUnknownError,
    RateLimitError,
    ServerError,
)
from featherhq.sandbox import CutAfter, CutBefore, Drip, Garbage, Sandbox, Stall, Status


@pytest.mark.parametrize(
    "fault", [Status(500), Status(502), Status(408), Status(522), CutBefore(), CutAfter(), Garbage()], ids=repr
)
def test_a_get_or_patch_is_retried_if_its_outcome_is_unknown(thread: Any, sandbox: Sandbox, fault: Any) -> None:
    """It is safe to repeat a GET or a PATCH. So the call retries it and succeeds."""
    sandbox.inject("getThread", fault)
    sandbox.inject("updateThread", fault)
    assert thread.refresh().details.id == thread.id
    assert dict(thread.update(metadata={"a": "b"}).details.metadata.to_dict()) == {"a": "b"}
    assert count(sandbox, "getThread") == 2
    assert count(sandbox, "updateThread") == 2


@pytest.mark.parametrize("refusal", [Status(429), Status(503, headers={"Retry-After": "0"})], ids=repr)
def test_a_refused_message_is_sent_again(thread: Any, sandbox: Sandbox, refusal: Any) -> None:
    """If the server refused a message before any server work, the call retries. The thread then has it once."""
    sandbox.inject("sendMessage", refusal)
    sent = thread.send("hello")
    inbound = [message for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]
    assert [message.id for message in inbound] == [sent.message_id]
    assert count(sandbox, "sendMessage") == 2


def test_create_is_not_retried_if_its_outcome_is_unknown(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """The call does not retry `create()` if the server may have created the thread."""
    sandbox.inject("createThread", Status(500), 9)
    with pytest.raises(ServerError) as caught:
        connect().threads.create(AGENT_ID)
    assert caught.value.attempts == 1
    assert count(sandbox, "createThread") == 1


def test_a_retry_waits_for_the_time_in_retry_after(thread: Any, sandbox: Sandbox) -> None:
    """A retry waits at least as long as the server asks, in seconds or in milliseconds."""
    for headers in ({"Retry-After": "0.4"}, {"Retry-After-Ms": "400", "Retry-After": "9"}):
        sandbox.inject("getThread", Status(429, headers=headers))
        thread.refresh()
    times = [request.at for request in sandbox.requests if request.operation == "getThread"]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert min(waits[0], waits[2]) >= 0.39


def test_a_retry_after_beyond_the_deadline_ends_the_call(thread: Any, sandbox: Sandbox) -> None:
    """If the server asks for a wait beyond the deadline, the call ends at once. The error has the server's wait."""
    sandbox.inject("sendMessage", Status(429, headers={"Retry-After": "30"}))
    began = time.monotonic()
    with pytest.raises(RateLimitError) as caught:
        thread.send("hello", timeout=5)
    assert time.monotonic() - began < 2
    assert caught.value.retry_after == 30


def test_max_retries_limits_the_attempts(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """A call makes `max_retries` attempts after the first one. The error tells the number of attempts."""
    client = connect(max_retries=0)
    sandbox.inject("getThread", Status(500), 3)
    with pytest.raises(ServerError, match="1 attempt"):
        client.threads.get(THREAD_ID)
    with pytest.raises(ServerError, match="2 attempts") as caught:
        client.with_options(max_retries=1).threads.get(THREAD_ID)
    assert caught.value.attempts == 2
    assert count(sandbox, "getThread") == 3


@pytest.mark.parametrize("fault", [Stall(), Drip(0.02), Stall(after=True)], ids=repr)
def test_a_call_ends_at_its_deadline(connect: Callable[..., Any], sandbox: Sandbox, fault: Any) -> None:
    """With `timeout=2`, a call ends within 2.2 s if the server does not respond or responds byte by byte. The POST is
    sent once.
    """
    thread = connect(timeout=2).thread(connect().threads.create(AGENT_ID).id)
    sandbox.inject("*", fault, 9)
    began = time.monotonic()
    with pytest.raises(DeliveryUnknownError):
        thread.send("hello")
    assert time.monotonic() - began < 2.2
    assert count(sandbox, "sendMessage") == 1
    began = time.monotonic()
    with pytest.raises(APITimeoutError):
        thread.refresh()
    assert time.monotonic() - began < 2.2


def test_a_connection_that_the_server_does_not_accept(kind: Kind) -> None:
    """If the server does not accept the connection, the call ends at its deadline and sends nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        client = kind.client(base_url=f"http://127.0.0.1:{address[1]}", timeout=1, max_retries=0)
        began = time.monotonic()
        with pytest.raises(APITimeoutError, match="no connection in time"):
            client.thread(THREAD_ID).send("hello")
        assert time.monotonic() - began < 2
        for filler in fillers:
            filler.close()


def test_an_unknown_host_name_and_a_server_without_tls(kind: Kind) -> None:
    """A host name that does not resolve and a failed TLS handshake raise APIConnectionError."""
    with Sandbox() as plain:
        for url in ("http://feather.invalid", plain.url.replace("http:", "https:")):
            client = kind.client(base_url=url, max_retries=0, timeout=5)
            with pytest.raises(APIConnectionError, match="could not connect"):
                client.thread(THREAD_ID).send("hello")


def test_cancelled_calls_leave_the_client_usable(sandbox: Sandbox) -> None:
    """After a task is cancelled in a call, the client can make further calls."""

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
            thread = await feather.threads.create(AGENT_ID)
            for operation in ("sendMessage", "streamMessages"):
                seen = count(sandbox, operation)
                sandbox.inject(operation, Stall())
                task = asyncio.create_task(thread.ask("hello"))
                await asyncio.to_thread(sandbox.wait_for_requests, seen + 1, operation)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert (await thread.ask("still there?")).text == "echo: still there?"

    asyncio.run(program())


def test_the_log_tells_attempts_and_retries(thread: Any, sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """The client logs each attempt at DEBUG and each retry at WARNING. It logs no text of a message and no key."""
    caplog.set_level(logging.DEBUG, "featherhq")
    sandbox.inject("sendMessage", Status(429))
    thread.send("a very private message")
    ours = [record for record in caplog.records if record.name == "featherhq"]
    assert [record.levelname for record in ours] == ["DEBUG", "WARNING", "DEBUG"]
    assert "private" not in caplog.text
    assert sandbox.api_key not in caplog.text
