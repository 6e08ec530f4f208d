"""Exceptions that are not the transport's: they pass unchanged, at once, and nothing is sent twice for them."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import DeliveryUnknownError, Feather, PermissionDeniedError, ServerError
from featherhq.sandbox import Body, CutStream, Sandbox, Stall, Status
from raw_server import ANSWER, OK, Peer, black_hole


class TimeLimitError(Exception):
    """As celery's and rq's: an `Exception`, raised by a signal's handler."""


class Handler:
    """A handler that is an object."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, *_: object) -> None:
        raise self.error


@contextmanager
def interrupted(after: float, error: BaseException, *, as_object: bool = False) -> Iterator[None]:
    """Raise an error from a signal's handler, in the middle of whatever this thread does then."""

    def handle(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, Handler(error) if as_object else handle)
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


ERRORS = [
    TimeLimitError("SoftTimeLimitExceeded()"),
    TimeoutError("the task took too long"),
    ConnectionResetError("raised by a handler"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("as_object", [False, True])
def test_a_signal_in_the_middle_of_a_send(sandbox: Sandbox, error: BaseException, as_object: bool) -> None:
    """The handler's error comes out as it is, with a note that the message may have gone out; it stands there once."""
    error.__notes__ = []
    sandbox.inject("sendMessage", Stall(0.6, after=True))
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        began = time.monotonic()
        with pytest.raises(type(error)) as caught, interrupted(0.2, error, as_object=as_object):
            thread.send("pay 100")
        assert caught.value is error
        assert time.monotonic() - began < 0.5
        assert "may have done it" in str(error.__notes__)
        # And the client goes on, on another connection.
        assert thread.send("and 200").message_id
    assert [said.text for said in sandbox.messages(thread.id) if said.direction == "INBOUND"] == ["pay 100", "and 200"]
    assert count(sandbox, "sendMessage") == 2


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_signal_before_anything_was_sent(error: BaseException) -> None:
    """While a connection is being made, and while a call stands in the line: no note, since nothing has gone out."""
    error.__notes__ = []
    with black_hole() as port, Feather("key", base_url=f"http://127.0.0.1:{port}", timeout=10) as feather:
        with pytest.raises(type(error)) as caught, interrupted(0.2, error):
            feather.thread(THREAD_ID).send("hello")
        assert caught.value is error
        assert error.__notes__ == []


@pytest.mark.parametrize("error", ERRORS[:3], ids=lambda error: type(error).__name__)
def test_a_signal_while_a_message_of_unknown_outcome_is_looked_for(sandbox: Sandbox, error: BaseException) -> None:
    """The first attempt may have arrived, so the note is there too."""
    error.__notes__ = []
    sandbox.inject("sendMessage", Status(504))
    sandbox.inject("listMessages", Stall(), 9)
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        with pytest.raises(type(error)) as caught, interrupted(0.3, error):
            thread.send("hello")
        assert caught.value is error
        assert "may have done it" in str(error.__notes__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_signal_while_a_conversation_waits(sandbox: Sandbox, error: BaseException) -> None:
    """It comes out of the wait, and the next wait goes on: no message is lost."""
    error.__notes__ = []
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        with thread.conversation() as chat:
            with pytest.raises(type(error)) as caught, interrupted(0.2, error):
                next(iter(chat))
            assert caught.value is error
            sandbox.say(thread.id, "still here")
            assert next(iter(chat)).text == "still here"


@pytest.mark.parametrize(
    "refusal", [Status(503, headers={"Retry-After": "2"}), Status(429, headers={"Retry-After": "2"})]
)
def test_a_signal_after_a_refusal(sandbox: Sandbox, refusal: Status) -> None:
    """What was refused before any work has not gone out: no note."""
    sandbox.inject("sendMessage", refusal, 9)
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        error = TimeLimitError()
        with pytest.raises(TimeLimitError), interrupted(0.3, error):
            thread.send("hello")
        assert getattr(error, "__notes__", []) == []


def test_a_signal_while_a_stream_is_being_started(sandbox: Sandbox) -> None:
    """Its thread may not run yet: the handler's error comes out all the same, and nothing is left behind."""
    error = TimeLimitError()

    def handle(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, handle)
    start = threading.Thread.start

    def interrupted_start(_: threading.Thread) -> None:
        signal.raise_signal(signal.SIGALRM)

    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        threading.Thread.start = interrupted_start  # type: ignore[assignment,method-assign]
        try:
            with pytest.raises(TimeLimitError) as caught:
                thread.ask("hello")
        finally:
            threading.Thread.start = start  # type: ignore[method-assign]
            signal.signal(signal.SIGALRM, before)
        assert caught.value is error
        assert feather._runner._mailboxes == set()
        assert thread.ask("still there?").text


def test_a_signal_while_certificates_are_read(kind: Kind, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no error of the configuration, whatever its class; the next call is made as if nothing had been."""
    error = OSError("time is up")

    def handle(*_: object) -> None:
        raise error

    def read() -> None:
        signal.raise_signal(signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, handle)
    client = kind.client(base_url=sandbox.url)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(httpx, "create_ssl_context", read)
            with pytest.raises(OSError, match="time is up") as caught:
                client.threads.create(AGENT_ID)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert caught.value is error
    assert client.threads.create(AGENT_ID).id


def test_a_timeout_of_the_socket_is_still_an_outcome(sandbox: Sandbox) -> None:
    """A handler is set and not called: what the socket raises is no handler's."""
    sandbox.inject("getThread", Stall(), 9)
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=0.3) as feather:
        with pytest.raises(TimeoutError, match="no answer in time") as caught, interrupted(30, TimeLimitError()):
            feather.threads.get(THREAD_ID)
        assert type(caught.value).__name__ == "APITimeoutError"


def given_client(kind: Kind, **hooks: Callable[..., None]) -> Any:
    """An httpx client of the caller's, with hooks of its own."""
    if not kind.asynchronous:
        return httpx.Client(trust_env=False, event_hooks={name: [hook] for name, hook in hooks.items()})

    def as_coroutine(hook: Callable[..., None]) -> Any:
        async def call(it: Any) -> None:
            hook(it)

        return call

    return httpx.AsyncClient(trust_env=False, event_hooks={name: [as_coroutine(hook)] for name, hook in hooks.items()})


@pytest.fixture
def over(kind: Kind, connect: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Makes clients over an httpx client with hooks."""
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
    response.raise_for_status()


def test_a_hook_that_raises_for_504(over: Callable[..., Any], sandbox: Sandbox) -> None:
    """It is judged as the answer that it carries: looked for, never sent again."""
    client = over(timeout=2, response=raise_for_status)
    thread = client.threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(504), 9)
    with pytest.raises(DeliveryUnknownError):
        thread.send("hello")
    assert count(sandbox, "sendMessage") == 1


def test_a_hook_that_raises_for_403(over: Callable[..., Any], sandbox: Sandbox) -> None:
    """One request, and the error of that status."""
    client = over(response=raise_for_status)
    sandbox.inject("getThread", Status(403), 9)
    with pytest.raises(PermissionDeniedError) as caught:
        client.threads.get(THREAD_ID)
    assert caught.value.attempts == 1
    assert count(sandbox, "getThread") == 1


def test_a_hook_that_has_read_the_answer(over: Callable[..., Any], sandbox: Sandbox, kind: Kind) -> None:
    """What it has read is there for us too: successes, and what the error says."""

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
    """Its error comes out as it is, at once; a message is sent once at the most."""
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
    assert error.__notes__ == [], "a GET may be repeated"
    fails.clear()
    assert thread.send("again").message_id


def test_a_hook_that_fails_of_another_request(over: Callable[..., Any], sandbox: Sandbox) -> None:
    """An `HTTPStatusError` of something else that a hook has asked for is none of ours."""
    other = httpx.Request("GET", "http://elsewhere.test/token")
    error = httpx.HTTPStatusError("no token", request=other, response=httpx.Response(401, request=other))

    def hook(_: object) -> None:
        raise error

    with pytest.raises(httpx.HTTPStatusError) as caught:
        over(request=hook).threads.get(THREAD_ID)
    assert caught.value is error
    assert sandbox.requests == []


class Broken(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport of the caller's that fails in its own way."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx's signature
        self.calls += 1
        raise self.error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


@pytest.mark.parametrize("error", [KeyError("transport"), ValueError("transport"), OSError("transport")])
def test_a_transport_of_yours_that_fails(kind: Kind, error: Exception) -> None:
    """Only httpx's own errors are outcomes; whatever else it raises comes out as it is, after one attempt."""
    transport = Broken(error)
    given = (httpx.AsyncClient if kind.asynchronous else httpx.Client)(transport=transport)
    with pytest.raises(type(error)) as caught:
        kind.client(base_url="http://feather.test", http_client=given).threads.get(THREAD_ID)
    assert caught.value is error
    assert transport.calls == 1


def test_a_task_that_is_cancelled_in_the_middle_of_a_send(sandbox: Sandbox) -> None:
    """Its `CancelledError` has the note, and the message stands there once."""
    sandbox.inject("sendMessage", Stall(0.5, after=True))

    async def program() -> list[str]:
        from featherhq import AsyncFeather  # noqa: PLC0415 - for this one test

        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
            thread = await feather.threads.create(AGENT_ID)
            sending = asyncio.create_task(thread.send("pay 100"))
            await asyncio.to_thread(sandbox.wait_for_requests, 1, "sendMessage")
            sending.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await sending
            assert (await thread.send("and 200")).message_id
            assert len(sandbox.messages(thread.id)) >= 2
            return list(caught.value.__notes__)

    assert "may have done it" in str(asyncio.run(program()))
    assert count(sandbox, "sendMessage") == 2


def test_a_stream_under_a_failing_hook(over: Callable[..., Any], sandbox: Sandbox) -> None:
    """A conversation whose stream a hook refuses says so with the hook's own error."""
    error = KeyError("no streams")

    def hook(request: Any) -> None:
        if request.url.path.endswith("/stream"):
            raise error

    thread = over(request=hook).threads.create(AGENT_ID)
    sandbox.inject("streamMessages", CutStream(after_events=0))
    with pytest.raises(KeyError) as caught, thread.conversation():
        pass
    assert caught.value is error


def test_no_connection_is_left_behind() -> None:
    """What a signal ends is closed: as many sockets afterwards as before."""

    def slowly(*_: object) -> bytes:
        time.sleep(1)
        return OK + b"\r\n" + ANSWER

    peer = Peer(slowly)
    with Feather("key", base_url=peer.url, rate_limit=None) as feather:
        for _ in range(3):
            with pytest.raises(TimeLimitError), interrupted(0.1, TimeLimitError()):
                feather.threads.get(THREAD_ID)
        gc.collect()
        ours = [one for one in gc.get_objects() if type(one) is socket.socket and one.fileno() != -1]
        assert peer.port not in {_peer_of(one) for one in ours if one.family is socket.AF_INET}
    peer.close()
    assert threading.active_count() < 20


def _peer_of(one: socket.socket) -> int | None:
    try:
        return int(one.getpeername()[1])
    except OSError:
        return None


def test_a_signal_while_an_accepted_message_is_looked_for(sandbox: Sandbox) -> None:
    """Its receipt could not be read, so it is looked for; a success was announced, and the note says that it may be."""
    sandbox.inject("sendMessage", Body(b"no receipt"))
    sandbox.inject("listMessages", Stall(), 9)
    error = TimeLimitError()
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        with pytest.raises(TimeLimitError), interrupted(0.3, error):
            thread.send("hello")
    assert "may have done it" in str(error.__notes__)
