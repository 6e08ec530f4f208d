"""One call: its retries, deadline, rate limit and key."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncFeather,
    AuthenticationError,
    ConfigurationError,
    DeliveryUnknownError,
    FeatherError,
    RateLimitError,
    ServerError,
    UsageError,
)
from featherhq.sandbox import CutAfter, CutBefore, CutStream, Drip, Garbage, Sandbox, Stall, Status
from featherhq_api.api.threads import create_thread, list_messages, send_message, stream_messages
from featherhq_api.models import CreateThreadBody, SendMessageBody


@pytest.mark.parametrize(
    "fault", [Status(500), Status(502), Status(408), Status(522), CutBefore(), CutAfter(), Garbage()], ids=repr
)
def test_a_get_or_patch_of_unknown_outcome_is_repeated(thread: Any, sandbox: Sandbox, fault: Any) -> None:
    """It is safe, so it succeeds as soon as the server does."""
    sandbox.inject("getThread", fault)
    sandbox.inject("updateThread", fault)
    assert thread.refresh().details.id == thread.id
    assert dict(thread.update(metadata={"a": "b"}).details.metadata.to_dict()) == {"a": "b"}
    assert count(sandbox, "getThread") == 2
    assert count(sandbox, "updateThread") == 2


@pytest.mark.parametrize("refusal", [Status(429), Status(503, headers={"Retry-After": "0"})], ids=repr)
def test_a_refused_message_is_sent_again(thread: Any, sandbox: Sandbox, refusal: Any) -> None:
    """What was refused before any work may be repeated: the message stands in the thread once."""
    sandbox.inject("sendMessage", refusal)
    sent = thread.send("hello")
    inbound = [message for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]
    assert [message.id for message in inbound] == [sent.message_id]
    assert count(sandbox, "sendMessage") == 2


def test_a_creation_of_unknown_outcome_is_not_repeated(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """No POST is repeated blindly, neither ours nor a generated one."""
    sandbox.inject("createThread", Status(500), 9)
    with pytest.raises(ServerError) as caught:
        connect().threads.create(AGENT_ID)
    assert caught.value.attempts == 1
    assert count(sandbox, "createThread") == 1


def test_retry_after_is_waited_for(thread: Any, sandbox: Sandbox) -> None:
    """Not a moment less than the server asks, in seconds or in milliseconds."""
    for headers in ({"Retry-After": "0.4"}, {"Retry-After-Ms": "400", "Retry-After": "9"}):
        sandbox.inject("getThread", Status(429, headers=headers))
        thread.refresh()
    times = [request.at for request in sandbox.requests if request.operation == "getThread"]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert min(waits[0], waits[2]) >= 0.39


def test_a_retry_after_beyond_the_deadline_ends_the_call_at_once(thread: Any, sandbox: Sandbox) -> None:
    """There is no use in waiting; the error carries what the server asked for."""
    sandbox.inject("sendMessage", Status(429, headers={"Retry-After": "30"}))
    began = time.monotonic()
    with pytest.raises(RateLimitError) as caught:
        thread.send("hello", timeout=5)
    assert time.monotonic() - began < 2
    assert caught.value.retry_after == 30


def test_max_retries(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """So many attempts after the first, and the error says how many it were."""
    client = connect(max_retries=0)
    sandbox.inject("getThread", Status(500), 3)
    with pytest.raises(ServerError, match="1 attempt"):
        client.threads.get(THREAD_ID)
    with pytest.raises(ServerError, match="2 attempts") as caught:
        client.with_options(max_retries=1).threads.get(THREAD_ID)
    assert caught.value.attempts == 2
    assert count(sandbox, "getThread") == 3


@pytest.mark.parametrize("fault", [Stall(), Drip(0.02), Stall(after=True)], ids=repr)
def test_a_call_does_not_outlive_its_deadline(connect: Callable[..., Any], sandbox: Sandbox, fault: Any) -> None:
    """timeout=2 against a server that never answers, or drips, ends within 2.2 s; the POST was seen once."""
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


def test_a_connection_that_nobody_accepts(kind: Kind) -> None:
    """A full backlog: nothing was sent, and the deadline holds."""
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
        assert time.monotonic() - began < 1.2
        for filler in fillers:
            filler.close()


def test_the_key_may_be_a_callable(kind: Kind, sandbox: Sandbox) -> None:
    """It is asked when it is first needed, and again when the key is refused; a POST too is then repeated."""
    keys = iter(["old-key", sandbox.api_key])
    client = kind.client(lambda: next(keys), base_url=sandbox.url, max_retries=0)
    assert sandbox.requests == []
    assert client.threads.create(AGENT_ID).id
    assert count(sandbox, "createThread") == 2
    assert client.threads.create(AGENT_ID).id
    assert count(sandbox, "createThread") == 3


def test_a_callable_that_has_no_better_key(kind: Kind, sandbox: Sandbox) -> None:
    """Two refusals are enough, one if the key is still the same; a callable that fails is a ConfigurationError."""
    client = kind.client(lambda: "old-key", base_url=sandbox.url)
    with pytest.raises(AuthenticationError) as caught:
        client.threads.get(THREAD_ID)
    assert caught.value.attempts == 1
    numbers = iter(range(9))
    with pytest.raises(AuthenticationError) as caught:
        kind.client(lambda: f"key-{next(numbers)}", base_url=sandbox.url).threads.get(THREAD_ID)
    assert caught.value.attempts == 2
    for bad in (lambda: 1 / 0, lambda: "", lambda: None):
        with pytest.raises(ConfigurationError, match="api_key"):
            kind.client(bad, base_url=sandbox.url).threads.get(THREAD_ID)


def test_a_redirect_is_not_followed(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Else the key might go to another host; not even where an http_client of yours follows them."""
    with Sandbox() as elsewhere:
        moved = Status(307, headers={"Location": elsewhere.url + "/api/v1/threads/web"})
        given: Any = (httpx.AsyncClient if kind.asynchronous else httpx.Client)(follow_redirects=True)
        for client in (connect(), connect(http_client=given)):
            sandbox.inject("createThread", moved)
            with pytest.raises(APIStatusError, match="307") as caught:
                client.threads.create(AGENT_ID)
            assert elsewhere.url in caught.value.__notes__[0]
        assert elsewhere.requests == []
        _close(kind, given)


def test_an_http_client_of_yours(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """It is used as it is, for streams too, kept to the deadline, and not closed."""
    given: Any = (httpx.AsyncClient if kind.asynchronous else httpx.Client)(headers={"X-Mine": "1"})
    client = connect(http_client=given, timeout=1, headers={"X-Ours": "2"})
    thread = client.threads.create(AGENT_ID)
    assert thread.ask("hello").text == "echo: hello"
    assert all(request.headers["x-mine"] == "1" for request in sandbox.requests)
    assert all(request.headers["x-ours"] == "2" for request in sandbox.requests)
    sandbox.inject("streamMessages", CutStream(after_events=0), 99)
    sandbox.inject("listMessages", Stall(), 99)
    began = time.monotonic()
    with pytest.raises(FeatherError):
        thread.ask("again")
    assert time.monotonic() - began < 1.2
    (client.aclose if kind.asynchronous else client.close)()
    assert not given.is_closed
    _close(kind, given)


def test_a_slow_body_over_an_http_client_of_yours(kind: Kind) -> None:
    """A body that drips ends at the deadline, though each byte starts httpx's own timeout anew."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not over.wait(0.02):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        server = threading.Thread(target=serve)
        server.start()
        given: Any = (httpx.AsyncClient if kind.asynchronous else httpx.Client)()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = kind.client(base_url=url, http_client=given, timeout=0.5, max_retries=0)
        began = time.monotonic()
        with pytest.raises(APITimeoutError):
            client.threads.get(THREAD_ID)
        assert time.monotonic() - began < 0.9
        over.set()
        server.join()
        _close(kind, given)


def _close(kind: Kind, given: Any) -> None:
    if kind.asynchronous:
        kind.run(given.aclose())
    else:
        given.close()


def test_a_proxy_from_the_environment(
    kind: Kind, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, dead_url: str
) -> None:
    """Proxies are honoured as httpx does, with our deadlines on their sockets."""
    monkeypatch.setenv("HTTP_PROXY", sandbox.url)
    monkeypatch.setenv("NO_PROXY", "localhost")
    client = kind.client(base_url=dead_url.replace("127.0.0.1", "feather.invalid"), timeout=1, max_retries=0)
    with pytest.raises(APIStatusError) as caught:
        client.threads.get(THREAD_ID)
    # The host does not exist, so it was the sandbox that was asked. It is no proxy, and says so.
    assert caught.value.status_code == 404


def test_generated_functions_get_it_all(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Key, retries, deadline and errors, for any generated function, called with feather.api."""
    client = connect(timeout=1)
    body = CreateThreadBody.from_dict({"agentId": AGENT_ID})
    made = kind.generated(create_thread, client=client.api, body=body)
    assert made.status_code == 200
    thread_id = made.parsed.thread.id
    sandbox.inject("listMessages", Status(502))
    listed = kind.generated(list_messages, thread_id, client=client.api, limit="5")
    assert listed.parsed.thread.messages == []
    assert count(sandbox, "listMessages") == 2
    sandbox.inject("sendMessage", Stall())
    with pytest.raises(DeliveryUnknownError):
        kind.generated(send_message, thread_id, client=client.api, body=SendMessageBody(message="hello"))
    assert count(sandbox, "sendMessage") == 1
    sandbox.inject("streamMessages", CutStream(after_events=0, clean=True))
    assert kind.generated(stream_messages, thread_id, client=client.api).parsed == ": open\n\n"
    with pytest.raises(APITimeoutError):
        kind.generated(stream_messages, thread_id, client=client.with_options(timeout=0.3, max_retries=0).api)


def test_the_wired_client_guards_what_is_shared(kind: Kind, connect: Callable[..., Any]) -> None:
    """What would change or close the connections of all calls is refused, and says what to use instead."""
    api = connect().api
    for name in ("set_httpx_client", "set_async_httpx_client", "with_headers", "with_timeout", "with_cookies"):
        with pytest.raises(UsageError, match=name):
            getattr(api, name)(None)
    other = api.get_httpx_client if kind.asynchronous else api.get_async_httpx_client
    with pytest.raises(UsageError, match="need the api of"):
        other()

    async def enter() -> None:
        async with api:
            pass

    if kind.asynchronous:
        kind.run(enter())
    else:
        with api:
            pass


def test_a_closed_client_says_so(kind: Kind, connect: Callable[..., Any]) -> None:
    """Closing a view closes nothing; a call after the client was closed is a UsageError."""
    client = connect()
    view = client.with_options(timeout=1)
    (view.aclose if kind.asynchronous else view.close)()
    thread = client.threads.create(AGENT_ID)
    (client.aclose if kind.asynchronous else client.close)()
    with pytest.raises(UsageError, match="closed"):
        thread.send("hello")


def test_a_with_block_closes(kind: Kind, sandbox: Sandbox) -> None:
    """Both kinds are context managers."""
    if not kind.asynchronous:
        with kind.client(base_url=sandbox.url) as client:
            thread = client.threads.create(AGENT_ID)
        with pytest.raises(UsageError, match="closed"):
            thread.refresh()
        return

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url) as client:
            thread = await client.threads.create(AGENT_ID)
        with pytest.raises(UsageError, match="closed"):
            await thread.refresh()

    kind.run(program())


def test_cancelled_calls_leave_the_client_usable(sandbox: Sandbox) -> None:
    """A task that is cancelled in a call or in an ask takes nothing with it."""

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
    """A line an attempt at DEBUG, a retry at WARNING; no text, no key."""
    caplog.set_level(logging.DEBUG, "featherhq")
    sandbox.inject("sendMessage", Status(429))
    thread.send("a very private message")
    ours = [record for record in caplog.records if record.name == "featherhq"]
    assert [record.levelname for record in ours] == ["DEBUG", "WARNING", "DEBUG"]
    assert "private" not in caplog.text
    assert sandbox.api_key not in caplog.text


def test_no_name_and_no_tls(kind: Kind) -> None:
    """A name that does not resolve and a TLS handshake with what speaks no TLS are connection errors."""
    with Sandbox() as plain:
        for url in ("http://feather.invalid", plain.url.replace("http:", "https:")):
            client = kind.client(base_url=url, max_retries=0, timeout=5)
            with pytest.raises(APIConnectionError, match="could not connect"):
                client.thread(THREAD_ID).send("hello")
