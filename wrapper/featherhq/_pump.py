"""Runs plans in the calling thread. Its twin is `_async_pump.py`."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, nullcontext, suppress
from queue import Empty, Queue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

import httpx

from featherhq import _sockets
from featherhq._steps import READ_AHEAD, Answer, Exchange, Failure, HangUp, Pause, ReadStream, Sleep
from featherhq._transport import Clients, build, failure, has_begun, wake

if TYPE_CHECKING:
    from featherhq._steps import Plan, Step

T = TypeVar("T")


class Line:
    """At most one open stream, read ahead by a thread of its own, so that a wait for it can end without ending it.

    Attributes:
        lock: Held by whoever runs a plan, but while it waits: what plans share is theirs one at a time.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self._closed = Event()
        self._stream: _Stream | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def hold(self, response: httpx.Response) -> None:
        """Keep a stream, in the place of the one there was."""
        self.hang_up()
        self._stream = _Stream(response)
        if self._closed.is_set():
            self.hang_up()

    def read(self, seconds: float) -> bytes | Failure | None:
        """As `ReadStream`."""
        return b"" if self._stream is None else self._stream.read(seconds)

    def pause(self, seconds: float) -> bool:
        """As `Pause`."""
        return self._closed.wait(seconds)

    def hang_up(self) -> None:
        """Close the stream, if there is one."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def close(self) -> None:
        """Close the stream, and those that would be held from now on."""
        self._closed.set()
        self.hang_up()


class _Stream:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._left = False
        self._chunks: Queue[bytes | Failure] = Queue(READ_AHEAD)
        self._thread = Thread(target=self._read_ahead, name="featherhq-stream", daemon=True)
        self._thread.start()

    def read(self, seconds: float) -> bytes | Failure | None:
        with suppress(Empty):
            return self._chunks.get(bool(seconds), seconds)
        return None

    def close(self) -> None:
        self._left = True
        woken = wake(self._response)
        with suppress(Empty):
            # The thread may wait for room; what it reads from now on, it leaves.
            while True:
                self._chunks.get_nowait()
        if woken:
            self._thread.join()
        # Whoever waits for it shall not wait in vain.
        self._chunks.put(b"")

    def _read_ahead(self) -> None:
        with closing(self._response):
            end: bytes | Failure = b""
            try:
                for chunk in self._response.iter_bytes():
                    if self._left:
                        return
                    self._chunks.put(chunk)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not escape as it is
                end = failure(error)
            self._chunks.put(end)


class Pump:
    """Takes the steps of plans, one after the other, over connections that it keeps."""

    def __init__(self, http_client: httpx.Client | None) -> None:
        self._clients = Clients(http_client, httpx.Client, _sockets.Client)
        self._lines: WeakSet[Line] = WeakSet()
        self._lock = Lock()

    def line(self) -> Line:
        """A line for a plan that opens a stream. It is closed with the client, if not before."""
        with self._lock:
            line = Line()
            self._lines.add(line)
        return line

    def run(self, plan: Plan[T], line: Line | None = None) -> T:
        """Run a plan to its end; one that opens a stream needs a line to hold it."""
        with closing(plan):
            result: Any = None
            while True:
                try:
                    with nullcontext() if line is None else line.lock:
                        step = plan.send(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                result = self._take(step, line)

    def close(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        own = self._clients.close()
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.close()
        for client in own:
            client.close()

    def _take(self, step: Step, line: Line | None) -> Any:
        if isinstance(step, Exchange):
            return self._exchange(step, line)
        if isinstance(step, Sleep):
            return time.sleep(step.seconds)
        assert line is not None  # noqa: S101 - the other steps are of plans that have one
        if isinstance(step, Pause):
            return line.pause(step.seconds)
        if isinstance(step, ReadStream):
            return line.read(step.seconds)
        assert isinstance(step, HangUp)  # noqa: S101 - there are no others
        return line.hang_up()

    def _exchange(self, step: Exchange, line: Line | None) -> Answer | Failure:
        client = self._clients.get(streams=step.streaming)
        request = build(client, step)
        with ExitStack() as until_read:
            try:
                with _sockets.limited_to(step.seconds):
                    response = client.send(request, stream=True, follow_redirects=False)
                    until_read.callback(response.close)
                    if line is not None and step.stays_open(response.status_code, response.headers):
                        has_begun(request)
                        line.hold(response)
                        until_read.pop_all()
                        return Answer(response.status_code, response.headers, is_stream=True)
                    content = b"".join(step.within(time.monotonic, response.iter_bytes()))
                return Answer(response.status_code, response.headers, content)
            except Exception as error:  # noqa: BLE001 - as above
                return failure(error)
