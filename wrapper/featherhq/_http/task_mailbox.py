"""The mailbox of a conversation of an `AsyncFeather`, and its background jobs. Each job has a task of its own."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from featherhq._core.bodies import Unpacker
from featherhq._core.effects import READ_AHEAD, Chunk, Closed, Ended, JobDone, weight, without
from featherhq._http.failures import reason

if TYPE_CHECKING:
    from featherhq._core.effects import Flow, Notice
    from featherhq._http.task_runner import OpenResponse, TaskRunner


class TaskMailbox:
    """The notices of a conversation, in order, and the jobs that post them.

    Args:
        runner: The runner of the conversation.
        thread_id: The id of the conversation's thread.

    Attributes:
        thread_id: The id of the conversation's thread.
    """

    def __init__(self, runner: TaskRunner, thread_id: str) -> None:
        self.thread_id = thread_id
        self._runner = runner
        self._notices: deque[Notice] = deque()
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._unread = 0
        self._has_more = False
        self._closed: Closed | None = None
        self._jobs: dict[str, Job] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.aclose(Closed())

    async def post(self, notice: Notice, job: Job | None = None) -> None:
        """Put a notice in. A chunk waits until there is room. If its job was ended, the notice is dropped."""
        while isinstance(notice, Chunk) and self._unread >= READ_AHEAD:
            self._has_room.clear()
            await self._has_room.wait()
        if job is not None and job.ended:
            return
        self._unread += weight(notice)
        self._notices.append(notice)
        self._changed.set()

    async def receive(self, seconds: float) -> Notice | None:
        """As `Receive`."""
        if self._has_more:
            # Without this, a loop over many notices would not let other tasks run. The wait comes before a notice is
            # taken out, so a cancellation loses no notice.
            await asyncio.sleep(0)
        if not self._notices and self._closed is None:
            if seconds > 0:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if seconds == math.inf else seconds):
                        await self._changed.wait()
            else:
                # Let the tasks that read streams run, so that they can post bytes that have already arrived.
                await asyncio.sleep(0)
        if not self._notices:
            return self._closed
        notice = self._notices.popleft()
        self._unread -= weight(notice)
        self._has_room.set()
        self._has_more = bool(self._notices)
        return notice

    async def start(self, name: str, flow: Flow[Any]) -> None:
        """As `Start`. It does not wait, so a cancellation of the calling task cannot interrupt it."""
        before = self._let_go(name)
        if before is not None:
            before.abandon()
        if self._closed is not None:
            flow.close()
            return
        self._jobs[name] = Job(self._runner, self, name, flow)

    async def cancel(self, name: str) -> None:
        """As `Cancel`."""
        job = self._let_go(name)
        if job is not None:
            await job.aend()

    def abandon(self) -> None:
        """End all jobs without waiting for them, because there is no more reference to the conversation."""
        self._closed = self._closed or Closed()
        self._runner.forget(self)
        for job in self._jobs.values():
            job.abandon()

    async def aclose(self, closed: Closed) -> None:
        """End all jobs. A caller of `receive` still gets the notices that are there, and then `closed`."""
        self._closed = self._closed or closed
        self._changed.set()
        self._runner.forget(self)
        jobs = list(self._jobs.values())
        self._jobs.clear()
        for job in jobs:
            job.ended = True
        for job in jobs:
            await job.aend()

    def _let_go(self, name: str) -> Job | None:
        """Remove a job and its notices, and mark it as ended. Returns the job if there is one."""
        job = self._jobs.pop(name, None)
        if job is not None:
            job.ended = True
            self._notices, self._unread = without(self._notices, name)
            self._has_room.set()
        return job


class Job:
    """A flow in a task of its own, and then the stream that the flow leaves open.

    Attributes:
        ended: Whether it was ended, so that its notices are dropped.
        response: The open stream, if there is one.
    """

    def __init__(self, runner: TaskRunner, mailbox: TaskMailbox, name: str, flow: Flow[Any]) -> None:
        self.ended = False
        self.response: OpenResponse | None = None
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(_run(self, runner, mailbox, name, flow), name="featherhq-stream")

    async def aend(self) -> None:
        """End the task, and wait for it."""
        self._task.cancel()
        try:
            await asyncio.wait([self._task])
        finally:
            # The stream is closed even if this task is cancelled, or if the job's task was cancelled before it began.
            if self.response is not None:
                await self.response.aclose()

    def abandon(self) -> None:
        """End the task, from any thread, without waiting."""
        self.ended = True
        with suppress(RuntimeError):  # the event loop is closed, so the task has ended too
            self._loop.call_soon_threadsafe(self._task.cancel)


async def _run(job: Job, runner: TaskRunner, mailbox: TaskMailbox, name: str, flow: Flow[Any]) -> None:
    outcome: Any
    try:
        outcome = await runner.run(flow, job=job)
    except Exception as error:  # noqa: BLE001 - it is raised where the conversation is read
        outcome = error
    await mailbox.post(JobDone(name, outcome), job)
    if (response := job.response) is None:
        return
    why = "the server ended it"
    try:
        unpacker = Unpacker(response.headers.get("content-encoding", ""))
        async for raw in response.aiter_raw():
            for chunk in unpacker.feed(raw):
                await mailbox.post(Chunk(name, chunk, time.monotonic()), job)
                if job.ended:
                    # The rest of the stream may already be in memory. Then this loop never waits, and a cancellation
                    # would not end it.
                    return
    except Exception as error:  # noqa: BLE001 - it must not end the task with a traceback
        why = reason(error)
    finally:
        await response.aclose()
    await mailbox.post(Ended(name, why, time.monotonic()), job)
