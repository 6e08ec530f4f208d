"""Runs flows in the calling thread. Its twin for tasks is `task_runner.py`. Neither decides anything."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from featherhq import _forks
from featherhq._core.bodies import Body
from featherhq._core.effects import (
    Announce,
    AskKey,
    Cancel,
    Closed,
    Post,
    Receive,
    SendRequest,
    Sleep,
    Start,
    TakeSlot,
)
from featherhq._core.responses import Response, TransportFailure
from featherhq._http.connections import Connections
from featherhq._http.failures import forget_variables, outcome
from featherhq._http.interrupt import Interrupt
from featherhq._http.operation import operation
from featherhq._http.requests import build, stop_timing
from featherhq._http.sockets import SocketClient
from featherhq._http.thread_mailbox import ThreadMailbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from featherhq._core.effects import Effect, Flow
    from featherhq._http.thread_mailbox import Job

T = TypeVar("T")


class ThreadRunner:
    """Performs the effects of flows, one after the other, over connections that it keeps.

    Args:
        http_client: The client that the caller has handed in, if there is one.
        base_url: The URL that all requests go to.
        name: The name of its owner, for the warning that it was not closed.

    Attributes:
        is_asynchronous: Whether it runs flows in tasks.
    """

    is_asynchronous = False

    def __init__(self, http_client: httpx.Client | None, base_url: str, name: str) -> None:
        self._connections = Connections(http_client, httpx.Client, SocketClient, base_url)
        self._name = name
        self._mailboxes: set[ThreadMailbox] = set()
        self._lock = Lock()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`."""
        self._lock = Lock()

    def __del__(self) -> None:
        with suppress(AttributeError):  # its `__init__` has failed
            self._connections.abandon(self._name, self)

    @property
    def owns_sockets(self) -> bool:
        """Whether a thread that waits for a socket can be interrupted."""
        return self._connections.are_ours

    def mailbox(self, thread_id: str) -> ThreadMailbox:
        """A mailbox for a conversation in a thread. It is closed with the client at the latest."""
        mailbox = ThreadMailbox(self, thread_id)
        with self._lock:
            self._mailboxes.add(mailbox)
        return mailbox

    def forget(self, mailbox: ThreadMailbox) -> None:
        """A mailbox was closed."""
        with self._lock:
            self._mailboxes.discard(mailbox)

    def run(self, flow: Flow[T], mailbox: ThreadMailbox | None = None, job: Job | None = None) -> T:
        """Run a flow to its end.

        Args:
            flow: The flow.
            mailbox: The mailbox of its conversation, if it belongs to one.
            job: The job that runs it, if it runs in the background.
        """
        interrupt = Interrupt() if job is None else job.interrupt
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
                except BaseException as error:  # noqa: BLE001 - the flow decides what it means
                    go_on, result = flow.throw, error

    def close(self) -> None:
        """Close the connections. The connections of a client that was handed in stay open."""
        own = self._connections.close()
        with self._lock:
            mailboxes = list(self._mailboxes)
        for mailbox in mailboxes:
            mailbox.close(Closed("client"))
        for client in own:
            client.close()

    def _perform(
        self, effect: Effect[Any], mailbox: ThreadMailbox | None, job: Job | None, interrupt: Interrupt
    ) -> Any:
        if isinstance(effect, SendRequest):
            try:
                return self._send(effect, job, interrupt)
            except BaseException as error:
                # It comes from a signal handler or from a hook of the caller, who will see its frames.
                forget_variables(error)
                raise
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
        return mailbox.post(effect.notice)

    def _announce(self, effect: Announce) -> None:
        with self._lock:
            mailboxes = list(self._mailboxes)
        for mailbox in mailboxes:
            if mailbox.thread_id == effect.thread_id:
                mailbox.post(effect.notice)

    def _send(self, effect: SendRequest, job: Job | None, interrupt: Interrupt) -> Response | TransportFailure:
        # Before anything can fail: until the transport notes more, nothing was sent.
        effect.exchange.is_ours = self._connections.are_ours
        client = self._connections.get(streams=effect.streaming)
        via = self._connections.via
        request = build(client, effect)
        status: int | None = None
        with ExitStack() as until_read, operation(effect.seconds, interrupt, effect.exchange) as limited:
            try:
                response = client.send(request, stream=True, follow_redirects=False)
                until_read.callback(response.close)
                status = response.status_code
                if job is not None and effect.stays_open(status, response.headers):
                    stop_timing(response)
                    job.response = response
                    # Whoever has ended the job just before saw no response to close.
                    interrupt.check()
                    until_read.pop_all()
                    return Response(status, response.headers, is_stream=True, via=via)
                body = Body(response.headers)
                if response.is_stream_consumed:
                    # A hook of the caller has read it.
                    body.unpacked(response.content)
                else:
                    for raw in response.iter_raw():
                        # The sockets of an `http_client=` know no deadline.
                        limited.left(None, httpx.ReadTimeout)
                        if not body.feed(raw):
                            break
                return Response(status, response.headers, body.content(), via=via, flaw=body.flaw)
            except Exception as error:  # noqa: BLE001 - as above
                raised = error
        return outcome(raised, effect.exchange, status, via)


def _ask_key(effect: AskKey, interrupt: Interrupt) -> Future[object] | None:
    from featherhq._http.background import in_background  # only keys that are callables need it

    future = effect.ask(in_background)
    future.add_done_callback(lambda _: interrupt.wake())
    until = time.monotonic() + effect.seconds
    while not future.done() and (left := until - time.monotonic()) > 0:
        interrupt.wait(left)
    return future if future.done() else None


def _take_slot(effect: TakeSlot, interrupt: Interrupt) -> bool:
    effect.slot.join(interrupt.wake)
    try:
        while isinstance(wait := effect.slot.ask(time.monotonic(), effect.until), float):
            interrupt.wait(wait)
        return wait
    finally:
        effect.slot.leave()
