"""Programs that can be killed and started again, such as Celery workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path


class Program:
    """A program that can be killed and started again, in a process group of its own.

    Args:
        line: Its command line.
        folder: The folder that it runs in.
        log: The file for its output, which is appended.
        environment: Variables beside those of this process.
    """

    def __init__(self, line: Iterable[str], folder: Path, log: Path, environment: Mapping[str, str]) -> None:
        self._line = list(line)
        self._folder = folder
        self._log = log
        self._environment = {**os.environ, **environment}
        # Each process group that it had. Children may outlive their main process.
        self._groups: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it. Nothing happens if it runs."""
        if self.runs:
            return
        with self._log.open("ab") as log:
            self._groups.append(
                subprocess.Popen(
                    self._line,
                    cwd=self._folder,
                    env=self._environment,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )

    @property
    def runs(self) -> bool:
        """Whether its main process runs."""
        return bool(self._groups) and self._groups[-1].poll() is None

    @property
    def children(self) -> list[int]:
        """The ids of the processes in its pool."""
        main = self._groups[-1].pid
        with suppress(OSError):
            return [int(one) for one in Path(f"/proc/{main}/task/{main}/children").read_text().split()]
        return []

    def kill(self) -> None:
        """Kill the main process and its children at once, as when a container ends."""
        _kill_group(self._groups[-1].pid)
        self._groups[-1].wait()

    def kill_main(self) -> None:
        """Kill the main process only. Its children go on with their tasks for a while."""
        self._groups[-1].kill()
        self._groups[-1].wait()

    def end(self) -> None:
        """Kill everything that it ever started."""
        for process in self._groups:
            _kill_group(process.pid)
            process.wait()


def celery_worker(app: str, number: int, children: int, *options: str) -> list[str]:
    """The command line of a Celery worker with a pool of processes. It does not talk to other workers.

    Args:
        app: The module of the application.
        number: Which worker of the application it is.
        children: The number of processes in its pool.
        options: Further options.
    """
    line = [sys.executable, "-m", "celery", "-A", app, "worker", "--pool=prefork", f"--concurrency={children}"]
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat", f"--hostname=w{number}@%h"]
    return [*line, *alone, "--loglevel=WARNING", *options]


def _kill_group(leader: int) -> None:
    # No process of the group may be left.
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
