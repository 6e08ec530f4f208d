"""Single calls and the client: its key, redirects, `http_client`, proxy, generated functions, and closing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APIStatusError,
    APITimeoutError,
    AsyncFeather,
    AuthenticationError,
    ConfigurationError,
    DeliveryUnknownError,
    FeatherError,
    UsageError,
)
from featherhq.sandbox import CutStream, Sandbox, Stall, Status
from featherhq_api.api.threads import create_thread, list_messages, send_message, stream_messages
from featherhq_api.models import CreateThreadBody, SendMessageBody


def test_the_key_may_be_a_callable(kind: Kind, sandbox: Sandbox) -> None:
    """`api_key` may be a callable. The client calls it for the first request, and again if the server refuses the key.
    It then repeats the request, also a POST.
    """
    keys = iter(["old-key", sandbox.api_key])
    client = kind.client(lambda: next(keys), base_url=sandbox.url, max_retries=0)
    assert sandbox.requests == []
    assert client.threads.create(AGENT_ID).id
    assert count(sandbox, "createThread") == 2
    assert client.threads.create(AGENT_ID).id
    assert count(sandbox, "createThread") == 3


def test_a_key_callable_that_returns_no_valid_key(kind: Kind, sandbox: Sandbox) -> None:
    """After a refusal the client tries one new key. If the key did not change, it does not try again. If the callable
    fails, the client raises ConfigurationError.
    """
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
    """The client does not follow redirects, also not with an `http_client` that does. Otherwise another host could get
    the key.
    """
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


def test_an_http_client_of_the_caller(kind: Kind, connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """The client uses the caller's `http_client` unchanged, also for streams. It keeps its deadlines and does not close
    the `http_client`.
    """
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


def test_a_slow_body_over_an_http_client_of_the_caller(kind: Kind) -> None:
    """A call with a slow body ends at its deadline, although httpx restarts its own timeout with each byte."""
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
    """The client uses the proxy that the environment names."""
    monkeypatch.setenv("HTTP_PROXY", sandbox.url)
    monkeypatch.setenv("NO_PROXY", "localhost")
    client = kind.client(base_url=dead_url.replace("127.0.0.1", "feather.invalid"), timeout=1, max_retries=0)
    with pytest.raises(APIStatusError) as caught:
        client.threads.get(THREAD_ID)
    # The host does not exist. So the sandbox got the request, and it responds 404 because it is not a proxy.
    assert caught.value.status_code == 404


def test_generated_functions_use_key_retries_deadline_and_errors(
    kind: Kind, connect: Callable[..., Any], sandbox: Sandbox
) -> None:
    """A generated function that is called with `feather.api` uses the client's key, retries, deadline and errors."""
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


def test_the_generated_client_cannot_change_shared_connections(kind: Kind, connect: Callable[..., Any]) -> None:
    """`feather.api` refuses methods that change or close the connections of all calls. The error names the method."""
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


def test_a_call_on_a_closed_client(kind: Kind, connect: Callable[..., Any]) -> None:
    """A view from `with_options()` does not close the client. A call on a closed client raises UsageError."""
    client = connect()
    view = client.with_options(timeout=1)
    (view.aclose if kind.asynchronous else view.close)()
    thread = client.threads.create(AGENT_ID)
    (client.aclose if kind.asynchronous else client.close)()
    with pytest.raises(UsageError, match="closed"):
        thread.send("hello")


def test_a_with_block_closes_the_client(kind: Kind, sandbox: Sandbox) -> None:
    """Both kinds of client are context managers that close the client."""
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
