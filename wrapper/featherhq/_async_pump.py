"""Runs flows in the calling task, and jobs in tasks of their own. Its twin is `_pump.py`."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import AsyncExitStack, closing, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from featherhq._aiohttp import AsyncClient, is_stale
from featherhq._core.effects import (
    READ_AHEAD,
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
    without,
)
from featherhq._transport import Clients, build, failure, has_begun

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.effects import Effect, Event, Flow

T = TypeVar("T")


class AsyncMailbox:
    """What has happened in a conversation, in order, and the jobs that it comes from."""

    def __init__(self, pump: AsyncPump) -> None:
        self._pump = pump
        self._events: deque[Event] = deque()
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._unread = 0
        self._closed: Closed | None = None
        self._jobs: dict[str, _Job] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.aclose(Closed(with_client=False))

    async def post(self, event: Event, job: _Job | None = None) -> None:
        """Put an event in. Chunks wait while there is no room; what comes from a job that was ended is left out."""
        while isinstance(event, Chunk) and self._unread >= READ_AHEAD:
            self._has_room.clear()
            await self._has_room.wait()
        if job is not None and job.ended:
            return
        self._unread += isinstance(event, Chunk)
        self._events.append(event)
        self._changed.set()

    async def receive(self, seconds: float) -> Event | None:
        """As `Receive`."""
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
        self._unread -= isinstance(event, Chunk)
        self._has_room.set()
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
        self._closed = self._closed or Closed(with_client=False)
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
        async for chunk in response.aiter_bytes():
            await mailbox.post(Chunk(name, chunk, time.monotonic()), job)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not escape as it is
        reason = failure(error).reason
    finally:
        await response.aclose()
    await mailbox.post(Ended(name, reason, time.monotonic()), job)


class AsyncPump:
    """Performs the effects of flows, one after the other, over connections that it keeps."""

    def __init__(self, http_client: httpx.AsyncClient | None) -> None:
        self._clients = Clients(http_client, httpx.AsyncClient, AsyncClient)
        self._mailboxes: set[AsyncMailbox] = set()

    def mailbox(self) -> AsyncMailbox:
        """A mailbox for a conversation. It is closed with the client, if not before."""
        mailbox = AsyncMailbox(self)
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
            go_on: Callable[[Any], Effect[Any]] = flow.send
            result: Any = None
            while True:
                try:
                    effect = go_on(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                try:
                    go_on, result = flow.send, await self._perform(effect, mailbox, job)
                except Exception as error:  # noqa: BLE001 - what it means is the flow's to say
                    go_on, result = flow.throw, error

    async def aclose(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        own = self._clients.close()
        for mailbox in list(self._mailboxes):
            await mailbox.aclose(Closed(with_client=True))
        for client in own:
            await client.aclose()

    async def _perform(self, effect: Effect[Any], mailbox: AsyncMailbox | None, job: _Job | None) -> Any:
        if isinstance(effect, SendRequest):
            return await self._send(effect, job)
        if isinstance(effect, TakeSlot):
            return await _take_slot(effect)
        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        assert mailbox is not None  # noqa: S101 - the other effects are of conversations
        if isinstance(effect, Receive):
            return await mailbox.receive(effect.seconds)
        if isinstance(effect, Start):
            return await mailbox.start(effect.job, effect.flow)
        if isinstance(effect, Cancel):
            return await mailbox.cancel(effect.job)
        assert isinstance(effect, Post)  # noqa: S101 - there are no others
        return await mailbox.post(effect.event)

    async def _send(self, effect: SendRequest, job: _Job | None) -> Response | TransportFailure:
        client = self._clients.get(streams=effect.streaming)
        request = build(client, effect)
        status: int | None = None
        async with AsyncExitStack() as until_read:
            try:
                async with asyncio.timeout(effect.cut):
                    response = await client.send(request, stream=True, follow_redirects=False)
                    until_read.push_async_callback(response.aclose)
                    status = response.status_code
                    if job is None or not effect.stays_open(status, response.headers):
                        content = await response.aread()
                        return Response(status, response.headers, content)
                has_begun(request)
                until_read.pop_all()
                job.response = response
                return Response(status, response.headers, is_stream=True)
            except Exception as error:  # noqa: BLE001 - as above
                return failure(error, status, stale=is_stale(request, error))


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
