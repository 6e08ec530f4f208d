"""Runs flows in the calling thread, and jobs in threads of their own. Its twin is `_async_pump.py`."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack, closing, suppress
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import httpx

from featherhq import _forks, _sockets
from featherhq._core.bodies import Body, Unpacker
from featherhq._core.effects import (
    READ_AHEAD,
    Announce,
    AskKey,
    Cancel,
    Chunk,
    Closed,
    Ended,
    JobDone,
    Post,
    Receive,
    Response,
    SendRequest,
    Sleep,
    Start,
    TakeSlot,
    TransportFailure,
    weight,
    without,
)
from featherhq._transport import Clients, build, has_begun, in_background, outcome, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from featherhq._core.effects import Effect, Event, Flow

T = TypeVar("T")

# Seconds: what the threading module can wait for, and how long a thread may take to end that looks up a host's name.
_LONGEST_WAIT: Final = 86_400.0
_LONGEST_JOIN: Final = 1.0


class Mailbox:
    """What has happened in a conversation, in order, and the jobs that it comes from.

    Attributes:
        thread_id: The conversation's thread.
    """

    def __init__(self, pump: Pump, thread_id: str) -> None:
        self.thread_id = thread_id
        self._pump = pump
        self._events: deque[Event] = deque()
        self._changed = Condition()
        self._unread = 0
        self._closed: Closed | None = None
        self._jobs: dict[str, _Job] = {}
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the jobs go on in the parent, and are not to be ended from here."""
        self._changed = Condition()
        self._jobs = {}
        self._events, self._unread = deque(), 0
        self._closed = Closed("process")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close(Closed())

    def post(self, event: Event, job: _Job | None = None) -> None:
        """Put an event in. Chunks wait while there is no room; what comes from a job that was ended is left out."""
        with self._changed:
            if isinstance(event, Chunk):
                self._changed.wait_for(lambda: self._unread < READ_AHEAD or job is None or job.ended)
            if job is not None and job.ended:
                return
            self._unread += weight(event)
            self._events.append(event)
            self._changed.notify_all()

    def receive(self, seconds: float) -> Event | None:
        """As `Receive`."""
        with self._changed:
            if seconds > 0:
                self._changed.wait_for(lambda: self._events or self._closed, min(seconds, _LONGEST_WAIT))
            if not self._events:
                return self._closed
            event = self._events.popleft()
            self._unread -= weight(event)
            self._changed.notify_all()
            return event

    def start(self, name: str, flow: Flow[Any]) -> None:
        """As `Start`; it waits for nothing."""
        before = self._let_go(name)
        if before is not None:
            before.interrupt.set()
        job = _Job(self._pump, self, name, flow)
        with self._changed:
            if self._closed is not None:
                job.ended = True
                flow.close()
                return
            self._jobs[name] = job
        job.start()

    def cancel(self, name: str) -> None:
        """As `Cancel`."""
        job = self._let_go(name)
        if job is not None:
            job.end()

    def close(self, closed: Closed) -> None:
        """End all jobs; whoever receives gets what is there, and then `closed`."""
        with self._changed:
            self._closed = self._closed or closed
            jobs = list(self._jobs.values())
            self._jobs.clear()
            for job in jobs:
                job.ended = True
            self._changed.notify_all()
        for job in jobs:
            job.interrupt.set()
        self._pump.forget(self)
        for job in jobs:
            job.end()

    def abandon(self) -> None:
        """End all jobs: nobody holds the conversation any more."""
        self.close(Closed())

    def _let_go(self, name: str) -> _Job | None:
        with self._changed:
            job = self._jobs.pop(name, None)
            if job is not None:
                job.ended = True
                self._events, self._unread = without(self._events, name)
                self._changed.notify_all()
            return job


class _Job:
    """A flow in a thread of its own, and then the stream that it leaves open."""

    def __init__(self, pump: Pump, mailbox: Mailbox, name: str, flow: Flow[Any]) -> None:
        self.ended = False
        self._pump = pump
        self._mailbox = mailbox
        self._name = name
        self._flow = flow
        self.response: httpx.Response | None = None
        self.interrupt = _sockets.Interrupt()
        self._thread = Thread(target=self._run, name="featherhq-stream", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Have the thread end, and wait for it where it can be reached: over an `http_client=` it may not be."""
        self.interrupt.set()
        if _wake(self.response) or self._pump.owns_sockets:
            with suppress(RuntimeError):  # a signal has ended its start, so that it may not run yet
                self._thread.join(_LONGEST_JOIN)

    def _run(self) -> None:
        outcome: Any
        try:
            outcome = self._pump.run(self._flow, job=self)
        except BaseException as error:  # noqa: BLE001 - it is raised where the conversation is read
            outcome = error
        self._mailbox.post(JobDone(self._name, outcome), self)
        if (response := self.response) is None:
            return
        reason = "it ended"
        with closing(response):
            try:
                unpacker = Unpacker(response.headers.get("content-encoding", ""))
                for raw in response.iter_raw():
                    for chunk in unpacker.feed(raw):
                        self._mailbox.post(Chunk(self._name, chunk, time.monotonic()), self)
                        if self.ended:
                            return
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not escape as it is
                reason = told(error)
        self._mailbox.post(Ended(self._name, reason, time.monotonic()), self)


def _wake(response: httpx.Response | None) -> bool:
    """End the wait of a thread that reads a stream; whether that can be done.

    Not over an `http_client=` of another kind, nor where the connection is shared (HTTP/2).
    """
    connection = None if response is None else response.extensions.get("network_stream")
    if response is None or connection is None or not response.http_version.startswith("HTTP/1"):
        return False
    return _sockets.shut_down(connection.get_extra_info("socket"))


class Pump:
    """Performs the effects of flows, one after the other, over connections that it keeps.

    Args:
        http_client: What the caller has handed in, if anything.
        base_url: Where all requests go.
        name: Whose it is, for the warning that nobody has closed it.
    """

    def __init__(self, http_client: httpx.Client | None, base_url: str, name: str) -> None:
        self._clients = Clients(http_client, httpx.Client, _sockets.Transport, base_url)
        self._name = name
        self._mailboxes: set[Mailbox] = set()
        self._lock = Lock()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`."""
        self._lock = Lock()

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never whole
            self._clients.abandon(self._name, self)

    @property
    def owns_sockets(self) -> bool:
        """Whether what waits for a socket can be reached from another thread."""
        return self._clients.are_ours

    def mailbox(self, thread_id: str) -> Mailbox:
        """A mailbox for a conversation in a thread. It is closed with the client, if not before."""
        mailbox = Mailbox(self, thread_id)
        with self._lock:
            self._mailboxes.add(mailbox)
        return mailbox

    def forget(self, mailbox: Mailbox) -> None:
        """A mailbox was closed."""
        with self._lock:
            self._mailboxes.discard(mailbox)

    def run(self, flow: Flow[T], mailbox: Mailbox | None = None, job: _Job | None = None) -> T:
        """Run a flow to its end.

        Args:
            flow: The flow.
            mailbox: Of its conversation.
            job: The job that it is, if it is one.
        """
        interrupt = _sockets.Interrupt() if job is None else job.interrupt
        with closing(flow):
            go_on: Callable[[Any], Effect[Any]] = flow.send
            result: Any = None
            while True:
                try:
                    effect = go_on(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                try:
                    go_on, result = flow.send, self._perform(effect, mailbox, job, interrupt)
                except BaseException as error:  # noqa: BLE001 - what it means is the flow's to say
                    go_on, result = flow.throw, error

    def close(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        own = self._clients.close()
        with self._lock:
            mailboxes = list(self._mailboxes)
        for mailbox in mailboxes:
            mailbox.close(Closed("client"))
        for client in own:
            client.close()

    def _perform(
        self, effect: Effect[Any], mailbox: Mailbox | None, job: _Job | None, interrupt: _sockets.Interrupt
    ) -> Any:
        if isinstance(effect, SendRequest):
            return self._send(effect, job, interrupt)
        if isinstance(effect, TakeSlot):
            return _take_slot(effect, interrupt)
        if isinstance(effect, Sleep):
            return interrupt.sleep(effect.seconds)
        if isinstance(effect, AskKey):
            return _ask_key(effect, interrupt)
        if isinstance(effect, Announce):
            return self._announce(effect)
        assert mailbox is not None  # noqa: S101 - the other effects are of conversations
        if isinstance(effect, Receive):
            return mailbox.receive(effect.seconds)
        if isinstance(effect, Start):
            return mailbox.start(effect.job, effect.flow)
        if isinstance(effect, Cancel):
            return mailbox.cancel(effect.job)
        assert isinstance(effect, Post)  # noqa: S101 - there are no others
        return mailbox.post(effect.event)

    def _announce(self, effect: Announce) -> None:
        with self._lock:
            mailboxes = list(self._mailboxes)
        for mailbox in mailboxes:
            if mailbox.thread_id == effect.thread_id:
                mailbox.post(effect.event)

    def _send(
        self, effect: SendRequest, job: _Job | None, interrupt: _sockets.Interrupt
    ) -> Response | TransportFailure:
        client, _ = self._clients.get(streams=effect.streaming)
        via = self._clients.via
        request = build(client, effect)
        status: int | None = None
        with ExitStack() as until_read, _sockets.operation(effect.seconds, interrupt, effect.exchange) as operation:
            try:
                response = client.send(request, stream=True, follow_redirects=False)
                until_read.callback(response.close)
                status = response.status_code
                if job is not None and effect.stays_open(status, response.headers):
                    has_begun(request)
                    job.response = response
                    until_read.pop_all()
                    return Response(status, response.headers, is_stream=True, via=via)
                body = Body(response.headers)
                if response.is_stream_consumed:
                    # By a hook of the caller's.
                    body.unpacked(response.content)
                else:
                    for raw in response.iter_raw():
                        # Of an `http_client=`, the sockets know of no deadline.
                        operation.left(None, httpx.ReadTimeout)
                        if not body.feed(raw):
                            break
                return Response(status, response.headers, body.content(), via=via, flaw=body.flaw)
            except Exception as error:  # noqa: BLE001 - as above
                raised = error
        return outcome(raised, request, effect.exchange, status, via)


def _ask_key(effect: AskKey, interrupt: _sockets.Interrupt) -> Future[object] | None:
    future = effect.ask(in_background)
    future.add_done_callback(lambda _: interrupt.wake())
    until = time.monotonic() + effect.seconds
    while not future.done() and (left := until - time.monotonic()) > 0:
        interrupt.wait(left)
    return future if future.done() else None


def _take_slot(effect: TakeSlot, interrupt: _sockets.Interrupt) -> bool:
    effect.slot.join(interrupt.wake)
    try:
        while isinstance(wait := effect.slot.ask(time.monotonic(), effect.until), float):
            interrupt.wait(wait)
        return wait
    finally:
        effect.slot.leave()
