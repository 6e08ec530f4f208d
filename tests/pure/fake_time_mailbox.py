"""The mailbox of a conversation in the fake world."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fake_time_network import Connection
from fake_time_process import Process
from featherhq._core.effects import READ_AHEAD, Chunk, Flow, JobDone, Notice, weight

if TYPE_CHECKING:
    from fake_time import World


class ThreadMailbox:
    """The notices of a conversation, and its jobs.

    Attributes:
        name: The name in the log.
        waiting: The processes that wait for a notice. Each comes with a function that lets it try to take one.
        received: How many notices were taken out.
    """

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.waiting: dict[Process[Any], Callable[[], None]] = {}
        self.received = 0
        self._world = world
        self._notices: deque[Notice] = deque()
        self._jobs: dict[str, Process[Any]] = {}
        self._chunks: Counter[str] = Counter()
        self._closed = False

    @property
    def jobs(self) -> list[str]:
        """The jobs that run, and those whose streams are open."""
        return [name for name, job in self._jobs.items() if not job.done or _is_open(job.connection)]

    def post(self, notice: Notice) -> None:
        """Put a notice in, as the effect `Post` does. Tests use it for notices from outside, such as `Closed`."""
        if isinstance(notice, Chunk):
            self._chunks[notice.job] += weight(notice)
        self._notices.append(notice)
        for try_to_take in list(self.waiting.values()):
            self._world.soon(try_to_take)

    def take(self) -> Notice | None:
        """Take out the next notice. Returns `None` if there is none."""
        if not self._notices:
            return None
        notice = self._notices.popleft()
        self.received += 1
        if isinstance(notice, Chunk):
            self._chunks[notice.job] -= weight(notice)
            job = self._jobs.get(notice.job)
            if job is not None and job.connection is not None:
                job.connection.post_arrived()
        self._world.log(self.name, notice)
        return notice

    def start(self, name: str, flow: Flow[Any]) -> None:
        """Run a flow in the background. First, a job of the same name is cancelled, and its notices are dropped."""
        self.cancel(name)
        assert not self._closed, f"{self.name} is closed"
        job = Process(self._world, flow, self, f"job {name}", lambda ended: self._ended(name, ended))
        self._jobs[name] = job
        self._world.soon(job.begin)

    def cancel(self, name: str) -> None:
        """End a job, and drop its notices."""
        job = self._jobs.pop(name, None)
        if job is not None:
            if job.done and job.connection is not None:
                job.connection.close()
            job.cancel()
        self._notices = deque(notice for notice in self._notices if getattr(notice, "job", None) != name)
        self._chunks.pop(name, None)

    def close(self) -> None:
        """End all jobs, as a runner does at the end of a conversation's `with` block."""
        for name in list(self._jobs):
            self.cancel(name)
        self._closed = True

    def has_room(self, name: str) -> bool:
        """Whether more of a job's stream may be read ahead."""
        return self._chunks[name] < READ_AHEAD

    def _ended(self, name: str, job: Process[Any]) -> None:
        if job.cancelled:
            return
        self.post(JobDone(name, job.result if job.error is None else job.error))
        if job.connection is not None:
            job.connection.read_by(self, name)


def _is_open(connection: Connection | None) -> bool:
    return connection is not None and connection.closed_at is None
