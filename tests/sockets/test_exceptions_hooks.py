"""Errors of the caller's own httpx client, its hooks and its transport. They are raised unchanged and at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import DeliveryUnknownError, PermissionDeniedError, ServerError
from featherhq.sandbox import CutStream, Sandbox, Status


def given_client(kind: Kind, **hooks: Callable[..., None]) -> Any:
    """An httpx client of the caller, with hooks."""
    if not kind.asynchronous:
        return httpx.Client(trust_env=False, event_hooks={name: [hook] for name, hook in hooks.items()})

    def as_coroutine(hook: Callable[..., None]) -> Any:
        async def call(it: Any) -> None:
            hook(it)

        return call

    return httpx.AsyncClient(trust_env=False, event_hooks={name: [as_coroutine(hook)] for name, hook in hooks.items()})


@pytest.fixture
def over(kind: Kind, connect: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """A function that makes clients over an httpx client with hooks."""
    made: list[Any] = []

    def make(*, timeout: float = 5, **hooks: Callable[..., None]) -> Any:
        made.append(given_client(kind, **hooks))
        return connect(http_client=made[-1], timeout=timeout)

    yield make
    for client in made:
        if kind.asynchronous:
            kind.run(client.aclose())
        else:
            client.close()


def raise_for_status(response: Any) -> None:
    """A hook that raises an error if the response has an error status."""
    response.raise_for_status()


def test_a_hook_that_raises_for_504(over: Callable[..., Any], sandbox: Sandbox) -> None:
    """The client treats the hook's error as a 504. It looks for the message and does not send it again."""
    client = over(timeout=2, response=raise_for_status)
    thread = client.threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(504), 9)
    with pytest.raises(DeliveryUnknownError):
        thread.send("hello")
    assert count(sandbox, "sendMessage") == 1


def test_a_hook_that_raises_for_403(over: Callable[..., Any], sandbox: Sandbox) -> None:
    """The client sends one request, and raises its own error for a 403."""
    client = over(response=raise_for_status)
    sandbox.inject("getThread", Status(403), 9)
    with pytest.raises(PermissionDeniedError) as caught:
        client.threads.get(THREAD_ID)
    assert caught.value.attempts == 1
    assert count(sandbox, "getThread") == 1


def test_a_hook_that_reads_the_response(over: Callable[..., Any], sandbox: Sandbox, kind: Kind) -> None:
    """A hook may read the body. The client still has it, for results and for errors."""

    def read(response: Any) -> None:
        if not kind.asynchronous:
            response.read()

    def read_and_raise(response: Any) -> None:
        read(response)
        response.raise_for_status()

    assert over(response=read).threads.create(AGENT_ID).id
    sandbox.inject("getThread", Status(500), 9)
    with pytest.raises(ServerError) as caught:
        over(response=read_and_raise).with_options(max_retries=0).threads.get(THREAD_ID)
    assert caught.value.status_code == 500
    if not kind.asynchronous:
        assert caught.value.code == "INTERNAL_SERVER_ERROR"


@pytest.mark.parametrize("error", [KeyError("hook"), TimeoutError("hook"), OSError("hook"), RuntimeError("hook")])
@pytest.mark.parametrize("where", ["request", "response"])
def test_a_hook_that_fails(over: Callable[..., Any], sandbox: Sandbox, where: str, error: Exception) -> None:
    """The hook's error is raised unchanged and at once. A message is sent at most once."""
    fails: list[bool] = []

    def hook(_: object) -> None:
        if fails:
            raise error

    client = over(**{where: hook})
    thread = client.threads.create(AGENT_ID)
    fails.append(True)
    error.__notes__ = []
    with pytest.raises(type(error)) as caught:
        thread.send("hello")
    assert caught.value is error
    assert "may have done it" in str(error.__notes__)
    assert count(sandbox, "sendMessage") == (where == "response")
    error.__notes__ = []
    with pytest.raises(type(error)):
        thread.refresh()
    assert error.__notes__ == [], "a GET may be sent again"
    fails.clear()
    assert thread.send("again").message_id


def test_a_hook_that_fails_with_its_own_request(over: Callable[..., Any], sandbox: Sandbox) -> None:
    """A hook may send its own request. An `HTTPStatusError` of that request is not an error of Feather."""
    other = httpx.Request("GET", "http://elsewhere.test/token")
    error = httpx.HTTPStatusError("no token", request=other, response=httpx.Response(401, request=other))

    def hook(_: object) -> None:
        raise error

    with pytest.raises(httpx.HTTPStatusError) as caught:
        over(request=hook).threads.get(THREAD_ID)
    assert caught.value is error
    assert sandbox.requests == []


def test_a_hook_that_refuses_a_stream(over: Callable[..., Any], sandbox: Sandbox) -> None:
    """If a hook refuses the stream of a conversation, the hook's own error is raised."""
    error = KeyError("no streams")

    def hook(request: Any) -> None:
        if request.url.path.endswith("/stream"):
            raise error

    thread = over(request=hook).threads.create(AGENT_ID)
    sandbox.inject("streamMessages", CutStream(after_events=0))
    with pytest.raises(KeyError) as caught, thread.conversation():
        pass
    assert caught.value is error


class BrokenTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport of the caller that raises its own error."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx's signature
        self.calls += 1
        raise self.error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


@pytest.mark.parametrize("error", [KeyError("transport"), ValueError("transport"), OSError("transport")])
def test_a_transport_of_the_caller_that_fails(kind: Kind, error: Exception) -> None:
    """Only httpx's own errors count as outcomes. Any other error is raised unchanged, after one attempt."""
    transport = BrokenTransport(error)
    given = (httpx.AsyncClient if kind.asynchronous else httpx.Client)(transport=transport)
    with pytest.raises(type(error)) as caught:
        kind.client(base_url="http://feather.test", http_client=given).threads.get(THREAD_ID)
    assert caught.value is error
    assert transport.calls == 1
