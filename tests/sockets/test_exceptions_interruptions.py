"""Errors of signal handlers, and cancelled tasks. They end a call at once and unchanged, and nothing is sent twice."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import AsyncFeather, Feather
from featherhq.sandbox import Body, Sandbox, Stall, Status
from raw_server import ANSWER, OK, Peer, black_hole

pytestmark = pytest.mark.usefixtures("no_collection")


class TimeLimitError(Exception):
    """The error of a time limit, as in celery and rq. It is an `Exception` that a signal handler raises."""


class Handler:
    """A signal handler that is an object and not a function."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, *_: object) -> None:
        raise self.error


@contextmanager
def interrupted(after: float, error: BaseException, *, as_object: bool = False) -> Iterator[None]:
    """Raise an error from a signal handler after some seconds, whatever this thread does then."""

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
def test_a_signal_during_a_send(sandbox: Sandbox, error: BaseException, as_object: bool) -> None:
    """The handler's error is raised unchanged. Its note says that the message may have been sent. It is sent only
    once.
    """
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
        # The client still works, on another connection.
        assert thread.send("and 200").message_id
    assert [said.text for said in sandbox.messages(thread.id) if said.direction == "INBOUND"] == ["pay 100", "and 200"]
    assert count(sandbox, "sendMessage") == 2


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_signal_before_anything_was_sent(error: BaseException) -> None:
    """A signal comes while a connection is being made. Nothing was sent, so the error gets no note."""
    error.__notes__ = []
    with black_hole() as port, Feather("key", base_url=f"http://127.0.0.1:{port}", timeout=10) as feather:
        # The client first reads its certificates, which takes some time on a busy machine.
        with pytest.raises(type(error)) as caught, interrupted(1, error):
            feather.thread(THREAD_ID).send("hello")
        assert caught.value is error
        assert error.__notes__ == []


@pytest.mark.parametrize("error", ERRORS[:3], ids=lambda error: type(error).__name__)
def test_a_signal_after_an_unknown_outcome(sandbox: Sandbox, error: BaseException) -> None:
    """A signal comes while the client looks for the message. The first attempt may have arrived, so the error gets a
    note.
    """
    error.__notes__ = []
    sandbox.inject("sendMessage", Status(504))
    sandbox.inject("listMessages", Stall(), 9)
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        with pytest.raises(type(error)) as caught, interrupted(0.3, error):
            thread.send("hello")
        assert caught.value is error
        assert "may have done it" in str(error.__notes__)


def test_a_signal_after_an_unreadable_success(sandbox: Sandbox) -> None:
    """The server accepted the message, but the response cannot be read. A signal comes while the client looks for the
    message. The error gets the note.
    """
    sandbox.inject("sendMessage", Body(b"no receipt"))
    sandbox.inject("listMessages", Stall(), 9)
    error = TimeLimitError()
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        with pytest.raises(TimeLimitError), interrupted(0.3, error):
            thread.send("hello")
    assert "may have done it" in str(error.__notes__)


@pytest.mark.parametrize(
    "refusal", [Status(503, headers={"Retry-After": "2"}), Status(429, headers={"Retry-After": "2"})]
)
def test_a_signal_after_a_refusal(sandbox: Sandbox, refusal: Status) -> None:
    """A request that was refused before any server work has no effect. So the error gets no note."""
    sandbox.inject("sendMessage", refusal, 9)
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        error = TimeLimitError()
        with pytest.raises(TimeLimitError), interrupted(0.3, error):
            thread.send("hello")
        assert getattr(error, "__notes__", []) == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_signal_while_a_conversation_waits(sandbox: Sandbox, error: BaseException) -> None:
    """The handler's error is raised while the caller waits. The next wait works, and no message is lost."""
    error.__notes__ = []
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=10) as feather:
        thread = feather.threads.create(AGENT_ID)
        with thread.conversation() as chat:
            with pytest.raises(type(error)) as caught, interrupted(0.2, error):
                next(iter(chat))
            assert caught.value is error
            sandbox.say(thread.id, "still here")
            assert next(iter(chat)).text == "still here"


def test_a_signal_while_a_stream_is_being_started(sandbox: Sandbox) -> None:
    """The thread of the stream may not run yet. The handler's error is raised, and no mailbox is left behind."""
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
    """The handler's error is not taken for an error of the configuration, whatever its class. The next call works."""
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


def test_a_timeout_of_a_socket_with_a_signal_handler(sandbox: Sandbox) -> None:
    """The signal handler is set, but it is not called. So a timeout of the socket is still an APITimeoutError."""
    sandbox.inject("getThread", Stall(), 9)
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=0.3) as feather:
        with pytest.raises(TimeoutError, match="no response in time") as caught, interrupted(30, TimeLimitError()):
            feather.threads.get(THREAD_ID)
        assert type(caught.value).__name__ == "APITimeoutError"


def test_no_connection_is_left_behind() -> None:
    """If a signal ends a call, its connection is closed."""

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
    """The port at the other end of a socket, or `None` if the socket is not connected."""
    try:
        return int(one.getpeername()[1])
    except OSError:
        return None


def test_a_task_that_is_cancelled_during_a_send(sandbox: Sandbox) -> None:
    """The `CancelledError` gets the note. The message is sent only once."""
    sandbox.inject("sendMessage", Stall(0.5, after=True))

    async def program() -> list[str]:
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
