"""Runs flows in the calling task, and jobs in tasks of their own. Its twin is `_pump.py`."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import AsyncExitStack, closing, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from featherhq import _aiohttp, _guard
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
from featherhq._transport import Clients, build, has_begun, in_background, no_loop, outcome, told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

    from featherhq._core.effects import Effect, Event, Flow

T = TypeVar("T")


class AsyncMailbox:
    """What has happened in a conversation, in order, and the jobs that it comes from.

    Attributes:
        thread_id: The conversation's thread.
    """

    def __init__(self, pump: AsyncPump, thread_id: str) -> None:
        self.thread_id = thread_id
        self._pump = pump
        self._events: deque[Event] = deque()
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._unread = 0
        self._has_more = False
        self._closed: Closed | None = None
        self._jobs: dict[str, _Job] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.aclose(Closed())

    async def post(self, event: Event, job: _Job | None = None) -> None:
        """Put an event in. Chunks wait while there is no room; what comes from a job that was ended is left out."""
        while isinstance(event, Chunk) and self._unread >= READ_AHEAD:
            self._has_room.clear()
            await self._has_room.wait()
        if job is not None and job.ended:
            return
        self._unread += weight(event)
        self._events.append(event)
        self._changed.set()

    async def receive(self, seconds: float) -> Event | None:
        """As `Receive`."""
        if self._has_more:
            # Others have their turn between; and a task that is cancelled here has taken nothing.
            await asyncio.sleep(0)
        if not self._events and self._closed is None:
            if seconds > 0:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if seconds == math.inf else seconds):
                        await self._changed.wait()
            else:
                # What has come by now is taken in by those who read.
                await asyncio.sleep(0)
        if not self._events:
            return self._closed
        event = self._events.popleft()
        self._unread -= weight(event)
        self._has_room.set()
        self._has_more = bool(self._events)
        return event

    async def start(self, name: str, flow: Flow[Any]) -> None:
        """As `Start`; it waits for nothing, so that a task that is cancelled has done it, or has not come to it."""
        before = self._let_go(name)
        if before is not None:
            before.abandon()
        if self._closed is not None:
            flow.close()
            return
        self._jobs[name] = _Job(self._pump, self, name, flow)

    async def cancel(self, name: str) -> None:
        """As `Cancel`."""
        job = self._let_go(name)
        if job is not None:
            await job.aend()

    def abandon(self) -> None:
        """End all jobs without waiting for them: nobody holds the conversation any more."""
        self._closed = self._closed or Closed()
        self._pump.forget(self)
        for job in self._jobs.values():
            job.abandon()

    async def aclose(self, closed: Closed) -> None:
        """End all jobs; whoever receives gets what is there, and then `closed`."""
        self._closed = self._closed or closed
        self._changed.set()
        self._pump.forget(self)
        jobs = list(self._jobs.values())
        self._jobs.clear()
        for job in jobs:
            job.ended = True
        for job in jobs:
            await job.aend()

    def _let_go(self, name: str) -> _Job | None:
        job = self._jobs.pop(name, None)
        if job is not None:
            job.ended = True
            self._events, self._unread = without(self._events, name)
            self._has_room.set()
        return job


class _Job:
    """A flow in a task of its own, and then the stream that it leaves open."""

    def __init__(self, pump: AsyncPump, mailbox: AsyncMailbox, name: str, flow: Flow[Any]) -> None:
        self.ended = False
        self.response: httpx.Response | None = None
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(_run(self, pump, mailbox, name, flow), name="featherhq-stream")

    async def aend(self) -> None:
        """Have the task end, and wait for it."""
        self._task.cancel()
        try:
            await asyncio.wait([self._task])
        finally:
            # Also where this task is cancelled meanwhile, or the other had not begun.
            if self.response is not None:
                await self.response.aclose()

    def abandon(self) -> None:
        """Have the task end, from any thread."""
        self.ended = True
        with suppress(RuntimeError):  # the loop has ended, and the task with it
            self._loop.call_soon_threadsafe(self._task.cancel)


async def _run(job: _Job, pump: AsyncPump, mailbox: AsyncMailbox, name: str, flow: Flow[Any]) -> None:
    outcome: Any
    try:
        outcome = await pump.run(flow, job=job)
    except Exception as error:  # noqa: BLE001 - it is raised where the conversation is read
        outcome = error
    await mailbox.post(JobDone(name, outcome), job)
    if (response := job.response) is None:
        return
    reason = "it ended"
    try:
        unpacker = Unpacker(response.headers.get("content-encoding", ""))
        async for raw in response.aiter_raw():
            for chunk in unpacker.feed(raw):
                await mailbox.post(Chunk(name, chunk, time.monotonic()), job)
                if job.ended:
                    # There may be much more in it, and nothing to wait for, so that a cancellation would not come.
                    return
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not escape as it is
        reason = told(error)
    finally:
        await response.aclose()
    await mailbox.post(Ended(name, reason, time.monotonic()), job)


class AsyncPump:
    """Performs the effects of flows, one after the other, over connections that it keeps.

    Args:
        http_client: What the caller has handed in, if anything.
        base_url: Where all requests go.
        name: Whose it is, for the warning that nobody has closed it.
    """

    def __init__(self, http_client: httpx.AsyncClient | None, base_url: str, name: str) -> None:
        self._clients = Clients(
            http_client,
            httpx.AsyncClient,
            lambda tls, limits, proxy: _aiohttp.Transport(tls, limits, proxy, _guard.check),
            base_url,
        )
        self._name = name
        self._mailboxes: set[AsyncMailbox] = set()

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never whole
            self._clients.abandon(self._name, self)

    def mailbox(self, thread_id: str) -> AsyncMailbox:
        """A mailbox for a conversation in a thread. It is closed with the client, if not before."""
        mailbox = AsyncMailbox(self, thread_id)
        self._mailboxes.add(mailbox)
        return mailbox

    def forget(self, mailbox: AsyncMailbox) -> None:
        """A mailbox was closed."""
        self._mailboxes.discard(mailbox)

    async def run(self, flow: Flow[T], mailbox: AsyncMailbox | None = None, job: _Job | None = None) -> T:
        """Run a flow to its end.

        Args:
            flow: The flow.
            mailbox: Of its conversation.
            job: The job that it is, if it is one.
        """
        with closing(flow):
            _check_loop()
            go_on: Callable[[Any], Effect[Any]] = flow.send
            result: Any = None
            while True:
                try:
                    effect = go_on(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                try:
                    go_on, result = flow.send, await self._perform(effect, mailbox, job)
                except BaseException as error:  # noqa: BLE001 - what it means is the flow's to say
                    go_on, result = flow.throw, error

    async def aclose(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        own = self._clients.close()
        for mailbox in list(self._mailboxes):
            await mailbox.aclose(Closed("client"))
        for client in own:
            await client.aclose()

    async def _perform(self, effect: Effect[Any], mailbox: AsyncMailbox | None, job: _Job | None) -> Any:
        if isinstance(effect, SendRequest):
            return await self._send(effect, job)
        if isinstance(effect, TakeSlot):
            return await _take_slot(effect)
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        if isinstance(effect, AskKey):
            return await _ask_key(effect)
        if isinstance(effect, Announce):
            return await self._announce(effect)
        assert mailbox is not None  # noqa: S101 - the other effects are of conversations
        if isinstance(effect, Receive):
            return await mailbox.receive(effect.seconds)
        if isinstance(effect, Start):
            return await mailbox.start(effect.job, effect.flow)
        if isinstance(effect, Cancel):
            return await mailbox.cancel(effect.job)
        assert isinstance(effect, Post)  # noqa: S101 - there are no others
        return await mailbox.post(effect.event)

    async def _announce(self, effect: Announce) -> None:
        for mailbox in list(self._mailboxes):
            if mailbox.thread_id == effect.thread_id:
                await mailbox.post(effect.event)

    async def _send(self, effect: SendRequest, job: _Job | None) -> Response | TransportFailure:
        client, transport = self._clients.get(streams=effect.streaming)
        via = self._clients.via
        request = build(client, effect)
        status: int | None = None
        cut = asyncio.timeout(effect.cut)
        async with AsyncExitStack() as until_read:
            try:
                async with cut:
                    if transport is None:
                        response = await client.send(request, stream=True, follow_redirects=False)
                    else:
                        # Not by the client's `send`: tools that trace aiohttp see it, and would see it twice.
                        response = await transport.handle_async_request(request)
                    until_read.push_async_callback(response.aclose)
                    status = response.status_code
                    if job is None or not effect.stays_open(status, response.headers):
                        body = Body(response.headers)
                        if response.is_stream_consumed:
                            # By a hook of the caller's.
                            body.unpacked(response.content)
                        else:
                            async for raw in response.aiter_raw():
                                if not body.feed(raw):
                                    break
                        return Response(status, response.headers, body.content(), via=via, flaw=body.flaw)
                has_begun(request)
                until_read.pop_all()
                job.response = response
                return Response(status, response.headers, is_stream=True, via=via)
            except TimeoutError as error:
                raised: Exception = httpx.ReadTimeout("") if cut.expired() else error
            except Exception as error:  # noqa: BLE001 - as above
                raised = error
        return outcome(raised, request, effect.exchange, status, via)


def _check_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise no_loop() from None


async def _ask_key(effect: AskKey) -> Future[object] | None:
    loop = asyncio.get_running_loop()

    def finish(awaitable: Awaitable[object]) -> object:
        async def given() -> object:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(given(), loop).result()

    future = effect.ask(lambda ask: in_background(ask, finish))
    answered = asyncio.Event()

    def wake(_: Future[object]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(answered.set)

    future.add_done_callback(wake)
    with suppress(TimeoutError):
        async with asyncio.timeout(effect.seconds):
            await answered.wait()
    return future if future.done() else None


async def _take_slot(effect: TakeSlot) -> bool:
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # there is no loop in this thread, or that one has ended
            if asyncio.get_running_loop() is loop:
                woken.set()
                return
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(woken.set)

    effect.slot.join(wake)
    try:
        while isinstance(wait := effect.slot.ask(time.monotonic(), effect.until), float):
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await woken.wait()
            woken.clear()
        return wait
    finally:
        effect.slot.leave()
