"""The mailbox of a conversation of a `Feather`, and its background jobs. Each job has a thread of its own."""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing, suppress
from contextvars import copy_context
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Final, Self

from featherhq import _forks
from featherhq._core.bodies import Unpacker
from featherhq._core.effects import READ_AHEAD, Chunk, Closed, Ended, JobDone, weight, without
from featherhq._http.failures import reason
from featherhq._http.interrupt import Interrupt, shut_down

if TYPE_CHECKING:
    import httpx

    from featherhq._core.effects import Flow, Notice
    from featherhq._http.thread_runner import ThreadRunner

# Seconds. A wait is never longer, because the threading module refuses very long waits.
_LONGEST_WAIT: Final = 86_400.0
# Seconds to wait for a thread to end. While a thread looks up a host name, it cannot be interrupted.
_LONGEST_JOIN: Final = 1.0


class ThreadMailbox:
    """The notices of a conversation, in order, and the jobs that post them.

    Args:
        runner: The runner of the conversation.
        thread_id: The id of the conversation's thread.

    Attributes:
        thread_id: The id of the conversation's thread.
    """

    def __init__(self, runner: ThreadRunner, thread_id: str) -> None:
        self.thread_id = thread_id
        self._runner = runner
        self._notices: deque[Notice] = deque()
        self._changed = Condition()
        self._unread = 0
        self._closed: Closed | None = None
        self._jobs: dict[str, Job] = {}
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the jobs go on in the parent, and the child must not end them."""
        self._changed = Condition()
        self._jobs = {}
        self._notices, self._unread = deque(), 0
        self._closed = Closed("process")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close(Closed())

    def post(self, notice: Notice, job: Job | None = None) -> None:
        """Put a notice in. A chunk waits until there is room. If its job was ended, the notice is dropped."""
        with self._changed:
            if isinstance(notice, Chunk):
                self._changed.wait_for(lambda: self._unread < READ_AHEAD or job is None or job.ended)
            if job is not None and job.ended:
                return
            self._unread += weight(notice)
            self._notices.append(notice)
            self._changed.notify_all()

    def receive(self, seconds: float) -> Notice | None:
        """As `Receive`."""
        with self._changed:
            if seconds > 0:
                self._changed.wait_for(lambda: self._notices or self._closed, min(seconds, _LONGEST_WAIT))
            if not self._notices:
                return self._closed
            notice = self._notices.popleft()
            self._unread -= weight(notice)
            self._changed.notify_all()
            return notice

    def start(self, name: str, flow: Flow[Any]) -> None:
        """As `Start`. It does not wait."""
        before = self._let_go(name)
        if before is not None:
            before.interrupt.set()
        job = Job(self._runner, self, name, flow)
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
        """End all jobs. A caller of `receive` still gets the notices that are there, and then `closed`."""
        with self._changed:
            self._closed = self._closed or closed
            jobs = list(self._jobs.values())
            self._jobs.clear()
            for job in jobs:
                job.ended = True
            self._changed.notify_all()
        # All jobs are interrupted first, and then awaited, so that the waits do not add up.
        for job in jobs:
            job.interrupt.set()
        self._runner.forget(self)
        for job in jobs:
            job.end()

    def abandon(self) -> None:
        """End all jobs, because there is no more reference to the conversation."""
        self.close(Closed())

    def _let_go(self, name: str) -> Job | None:
        """Remove a job and its notices, and mark it as ended. Returns the job if there is one."""
        with self._changed:
            job = self._jobs.pop(name, None)
            if job is not None:
                job.ended = True
                self._notices, self._unread = without(self._notices, name)
                self._changed.notify_all()
            return job


class Job:
    """A flow in a thread of its own, and then the stream that the flow leaves open.

    Attributes:
        ended: Whether it was ended, so that its notices are dropped.
        response: The open stream, if there is one.
        interrupt: Interrupts its thread while that waits for a socket.
    """

    def __init__(self, runner: ThreadRunner, mailbox: ThreadMailbox, name: str, flow: Flow[Any]) -> None:
        self.ended = False
        self._runner = runner
        self._mailbox = mailbox
        self._name = name
        self._flow = flow
        self.response: httpx.Response | None = None
        self.interrupt = Interrupt()
        # It sees the context variables of whoever starts it, such as the trace. A task does so by itself.
        self._thread = Thread(target=copy_context().run, args=[self._run], name="featherhq-stream", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """End the thread, and wait for it if possible.

        With an `http_client=` the thread may go on until the server sends the next byte.
        """
        self.interrupt.set()
        if _wake(self.response) or self._runner.owns_sockets:
            with suppress(RuntimeError):  # a signal interrupted its start, so it may not run yet
                self._thread.join(_LONGEST_JOIN)

    def _run(self) -> None:
        outcome: Any
        try:
            outcome = self._runner.run(self._flow, job=self)
        except BaseException as error:  # noqa: BLE001 - it is raised where the conversation is read
            outcome = error
        self._mailbox.post(JobDone(self._name, outcome), self)
        if (response := self.response) is None:
            return
        why = "the server ended it"
        with closing(response):
            try:
                unpacker = Unpacker(response.headers.get("content-encoding", ""))
                for raw in response.iter_raw():
                    for chunk in unpacker.feed(raw):
                        self._mailbox.post(Chunk(self._name, chunk, time.monotonic()), self)
                        if self.ended:
                            return
            except Exception as error:  # noqa: BLE001 - it must not end the thread with a traceback
                why = reason(error)
        self._mailbox.post(Ended(self._name, why, time.monotonic()), self)


def _wake(response: httpx.Response | None) -> bool:
    """End the wait of a thread that reads a stream.

    Returns:
        Whether that was possible. It is impossible on a shared connection (HTTP/2), and with some kinds of
        `http_client=`.
    """
    connection = None if response is None else response.extensions.get("network_stream")
    if response is None or connection is None or not response.http_version.startswith("HTTP/1"):
        return False
    return shut_down(connection.get_extra_info("socket"))
