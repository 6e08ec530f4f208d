"""No error shows the API key when a signal or a cancellation ends a call."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any

import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import Feather
from featherhq.sandbox import Sandbox
from key_helpers import begin_and_wait, error_of, look, new_key, raw, watch_for_key
from peers import serve_peers
from raw_server import ANSWER, OK, STREAM, Peer, black_hole, json_answer
from sight import Watch, without_tests

pytestmark = pytest.mark.usefixtures("no_collection")

key = pytest.fixture(new_key)
watch = pytest.fixture(watch_for_key)
serve = pytest.fixture(serve_peers)
# In bytes: more than the buffers of a connection hold.
LARGE = 16 << 20


class TimeLimitError(Exception):
    """An `Exception` that a signal handler raises, as celery's time limit does."""


@contextmanager
def alarm(wait: Callable[[], Any], how: BaseException) -> Iterator[None]:
    """Raise an error from a signal handler shortly after `wait` returns. The thread is then waiting
    for the next bytes.
    """

    def handle(*_: object) -> None:
        raise how

    def set_timer() -> None:
        wait()
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    before = signal.signal(signal.SIGALRM, handle)
    setter = threading.Thread(target=set_timer)
    setter.start()
    try:
        yield
    finally:
        setter.join()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interrupted(kind: Kind, start: Callable[[], Any], wait: Callable[[], Any], how: BaseException) -> BaseException:
    """Return the error of a call that is ended from outside: its task is cancelled, or a signal
    handler raises `how`.
    """
    if not kind.asynchronous:
        with alarm(wait, how):
            return error_of(start)

    async def program() -> None:
        async def work() -> None:
            await start()

        task = asyncio.create_task(work())
        await asyncio.to_thread(wait)
        # So that the client reads the bytes that were already sent.
        await asyncio.sleep(0.05)
        task.cancel()
        await task

    return error_of(lambda: kind.run(program()))


# A signal handler can raise different errors. A task can only be cancelled.
from_outside = pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("sync", KeyboardInterrupt()),
        ("sync", TimeLimitError("out of time")),
        ("sync", TimeoutError("out of time")),
        ("async", asyncio.CancelledError()),
    ],
    indirect=["kind"],
    ids=lambda value: getattr(type(value), "__name__", "") if isinstance(value, BaseException) else value,
)


# Python's own `socket.create_connection` leaves a socket open when a signal handler raises an error.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@from_outside
@pytest.mark.parametrize("where", ["connecting", "writing", "waiting", "in_the_head", "in_the_body"])
def test_a_call_that_is_ended_from_outside(
    kind: Kind, how: BaseException, serve: Callable[..., Peer], key: str, watch: Watch, where: str
) -> None:
    """A signal or a cancellation shows the key in no frame, at whatever step of the call it comes."""
    reached = threading.Event()
    said = {"in_the_head": OK[:30], "in_the_body": OK + b"\r\n" + ANSWER[:4]}.get(where, b"")
    with ExitStack() as open_:
        url = serve(begin_and_wait(said, reached)).url
        headers = {}
        if where == "connecting":
            url = f"http://127.0.0.1:{open_.enter_context(black_hole())}"
            reached.set()
        elif where == "writing":
            # A large head, with the key in it, cannot be written at once.
            url, headers = open_.enter_context(silent(reached)), {"X-Large": "x" * LARGE}
        client = kind.client(key, base_url=url, timeout=10, headers=headers)
        # Read the certificates now, so that the signal does not come while they are being read.
        raw(client)._runner._connections.get(streams=False)
        thread = raw(client.thread(THREAD_ID))
        error = interrupted(kind, lambda: thread.send("hello"), lambda: reached.wait(5), how)
        assert isinstance(error, type(how))
        look(watch, error)


@contextmanager
def silent(reached: threading.Event) -> Iterator[str]:
    """A server that reads a few bytes and then nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            open_.append(connection)
            connection.recv(10)
            reached.set()

        open_: list[socket.socket] = []
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        accepting.join()
        open_[0].close()


@from_outside
@pytest.mark.parametrize("where", ["ask", "replies", "opening"])
def test_a_conversation_that_is_ended_from_outside(
    kind: Kind, how: BaseException, serve: Callable[..., Peer], key: str, watch: Watch, where: str
) -> None:
    """A signal or a cancellation does not show the key while a conversation is being opened, or while it waits for a
    reply or a message.
    """
    reached = threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes | None:
        if request.startswith(b"POST"):
            reached.set()
            return json_answer({"messageId": "m-1"})
        if b"/stream" not in request.partition(b"\r\n")[0]:
            return json_answer({"thread": {"messages": []}})
        begin_and_wait(b"" if where == "opening" else STREAM, reached)(request, connection)
        return None

    thread = kind.client(key, base_url=serve(answer).url, timeout=10).thread(THREAD_ID)
    if where == "opening":
        chat = raw(thread.conversation())
        start = chat.__aenter__ if kind.asynchronous else chat.__enter__
        error = interrupted(kind, start, lambda: reached.wait(5), how)
    else:
        with thread.conversation() as chat:
            if where == "ask":
                reached.clear()
                error = interrupted(kind, lambda: raw(chat).ask("hello"), lambda: reached.wait(5), how)
            else:
                step = anext if kind.asynchronous else next
                error = interrupted(kind, lambda: step(raw(chat).replies()), lambda: reached.wait(5), how)
    assert isinstance(error, type(how))
    look(watch, error)


# The modules that have the key in a variable, until the pool of connections takes the request.
_MODULES = ("collections", "featherhq._core.secrets", "featherhq._http.requests", "httpcore._models", "httpx")
_POOL = "httpcore._sync."


class OutOfTimeError(BaseException):
    """What a signal handler raises. It is no `Exception`, so nothing takes it for an error of a library."""


@contextmanager
def raising_at(moment: int) -> Iterator[None]:
    """Raise `OutOfTimeError` at one of the moments at which this thread makes a request.

    Args:
        moment: Its number.
    """
    moments, made = itertools.count(1), False

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal made
        module = frame.f_globals["__name__"]
        made = made or module.startswith(_POOL)
        if not made and event != "return" and module.startswith(_MODULES) and next(moments) == moment:
            raise OutOfTimeError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def variables(error: BaseException) -> Iterator[str]:
    """The local variables in the frames of an error, and where they are. Objects that are half made are left out."""
    without_tests(error)
    for frame, line in traceback.walk_tb(error.__traceback__):
        for name, value in frame.f_locals.items():
            with suppress(Exception):
                yield f"{frame.f_code.co_filename}:{line} {name} = {value!r}"


@pytest.mark.parametrize("own", [False, True], ids=["ours", "http_client"])
def test_a_signal_at_any_moment_of_the_making_of_a_request(key: str, own: bool) -> None:
    """A signal handler may raise while a library has the key in its local variables. No frame shows it then."""
    with (
        Sandbox(api_key=key, rate_limit=None) as sandbox,
        httpx.Client() as http,
        Feather(key, base_url=sandbox.url, rate_limit=None, http_client=http if own else None) as feather,
    ):
        # After this the client has its connections.
        thread = feather.threads.create(AGENT_ID)
        for moment in itertools.count(1, 3):
            error: OutOfTimeError | None = None
            try:
                with raising_at(moment):
                    thread.refresh()
            except OutOfTimeError as raised:
                error = raised
            if error is None:
                break
            assert not [shown for shown in variables(error) if key in shown]
    assert moment > 100
