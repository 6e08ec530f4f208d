"""Kill workers at random moments of a send with a key, and count what is in the threads: `make kills`.

Each thread gets two messages with equal texts, by two keys. A worker is a process of its own. It is killed (SIGKILL)
before, during or after its POST, or before it has recorded the receipt. Then another worker gets the same task. The run
holds if each key has one message in its thread, and no thread has another one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen
from uuid import UUID

from attrs import Factory, define
from featherhq import Feather, FeatherError, RedisLedger, SQLiteLedger
from featherhq.ledgers import Ledger
from server_lagging import DELIVERY, LOG, SLOW

TEXT: Final = "Pay 100"
READY: Final = b"."
TIMEOUT: Final = 15.0
"""Seconds that a call may take. An attempt takes at most 12 of them, so its lease ends after 18."""
# Seconds after it is ready, at which a worker is killed, at most.
_QUICK: Final = 0.3
# The part of the finished tasks that are given to one more worker.
_AGAIN: Final = 0.2


@define(eq=False)
class Task:
    """A message to send.

    Attributes:
        key: Its key.
        thread_id: The thread.
        kills: How many of its workers are still to be killed.
        ids: The ids that workers have reported.
        errors: The errors that workers have reported.
    """

    key: str
    thread_id: str
    kills: int
    ids: list[str] = Factory(list)
    errors: Counter[str] = Factory(Counter)


@define(eq=False)
class Worker:
    """A process that sends the message of a task.

    Attributes:
        task: The task.
        pid: The process.
        pipe: What it has reported comes here.
        number: The number of this delivery.
        dies_at: When it is killed. It is set when the worker has made its client.
        told: What it has reported so far.
    """

    task: Task
    pid: int
    pipe: int
    number: int
    dies_at: float = float("inf")
    told: bytes = b""


def start(task: Task, number: int, url: str, ledger: str) -> Worker:
    """Start a worker in a forked process. It makes a client and a ledger of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with Feather(
            "key",
            base_url=url,
            timeout=TIMEOUT,
            rate_limit=None,
            headers={DELIVERY: str(number)},
            ledger=opened(ledger),
        ) as feather:
            thread = feather.thread(task.thread_id)
            if number % 3:
                # Its connection is open by then, so that it is not killed before its POST each time.
                list(thread.messages())
            os.write(writing, READY)
            try:
                told = thread.send(TEXT, key=task.key).message_id
            except FeatherError as error:
                told = f"!{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    return Worker(task, pid, reading, number)


def opened(ledger: str) -> Ledger:
    """The ledger at a URL or in a file."""
    return RedisLedger(ledger) if ledger.startswith("redis://") else SQLiteLedger(ledger)


class Run:
    """One run.

    Args:
        url: The URL of the server.
        ledger: The URL or the file of the ledger.
        kills: How many workers to kill.
        at_once: How many workers run at once.
        seed: Of the random choices.
    """

    def __init__(self, url: str, ledger: str, kills: int, at_once: int, seed: int) -> None:
        self._url, self._ledger, self._at_once = url, ledger, at_once
        self._rng = random.Random(seed)  # noqa: S311 - no secret
        self._kills = kills
        self.killed: dict[int, float] = {}
        self.tasks: list[Task] = []

    def run(self) -> None:
        """Give the tasks to workers until each has succeeded."""
        waiting, workers, number = deque[Task](), dict[int, Worker](), 0
        while waiting or workers or len(self.killed) < self._kills:
            while len(workers) < self._at_once and (waiting or len(self.killed) < self._kills):
                number += 1
                if not waiting:
                    waiting.extend(self._pair())
                worker = start(waiting.popleft(), number, self._url, self._ledger)
                workers[worker.pipe] = worker
            next_death = min(worker.dies_at for worker in workers.values())
            pause = min(1.0, max(0.0, next_death - time.monotonic()))
            readable = select.select(list(workers), [], [], pause)[0]
            for pipe in readable:
                worker = workers[pipe]
                if told := os.read(pipe, 10_000):
                    worker.told += told
                    worker.dies_at = self._death(worker)
                    continue
                del workers[pipe]
                if not self._ended(worker):
                    waiting.append(worker.task)
            for worker in [worker for worker in workers.values() if worker.dies_at <= time.monotonic()]:
                os.kill(worker.pid, signal.SIGKILL)
                self.killed[worker.number] = time.monotonic()
                worker.task.kills -= 1
                worker.dies_at = float("inf")

    def _pair(self) -> list[Task]:
        """Two tasks with equal texts, for a new thread."""
        number = len(self.tasks) // 2
        thread_id = str(UUID(int=self._rng.getrandbits(120) * 3 + number % 3))
        pair = [Task(f"task-{number}{name}", thread_id, self._rng.choice((1, 1, 2))) for name in "ab"]
        self.tasks.extend(pair)
        return pair

    def _death(self, worker: Worker) -> float:
        """When to kill a worker that is ready."""
        if worker.told != READY or not worker.task.kills:
            return float("inf")
        slow = UUID(worker.task.thread_id).int % 3 == 1 and self._rng.random() < 2 / 3
        return time.monotonic() + self._rng.uniform(0.0, SLOW + _QUICK if slow else _QUICK)

    def _ended(self, worker: Worker) -> bool:
        """A worker has ended. Returns whether its task is done."""
        told = worker.told.removeprefix(READY).decode()
        os.close(worker.pipe)
        os.waitpid(worker.pid, 0)
        task = worker.task
        if told.startswith("!"):
            task.errors[told[1:].partition(":")[0]] += 1
        elif told:
            task.ids.append(told)
            # It may have been too quick for its killer.
            task.kills = 0
            return len(task.ids) > 1 or self._rng.random() > _AGAIN
        return False


def report(run: Run, log: dict[str, Any], seconds: float) -> bool:
    """Print what is in the threads. Returns whether the run holds."""
    there = {thread: [message["id"] for message in messages] for thread, messages in log["messages"].items()}
    wanted = Counter(task.thread_id for task in run.tasks)
    doubled = sum(max(0, len(ids) - wanted[thread]) for thread, ids in there.items())
    lost = sum(max(0, count - len(there.get(thread, ()))) for thread, count in wanted.items())
    owned = Counter(task.ids[0] for task in run.tasks)
    wrong = sum(len(set(task.ids)) > 1 or task.ids[0] not in there[task.thread_id] for task in run.tasks)
    when: Counter[str] = Counter()
    for number, at in run.killed.items():
        times = log["deliveries"].get(str(number), {})
        late = "during the POST" if at < times.get("accepted", 0.0) else "after the POST was accepted"
        when["before the POST" if at < times.get("arrived", float("inf")) else late] += 1
    errors = sum((task.errors for task in run.tasks), Counter[str]())
    rows = [
        ("workers killed", f"{len(run.killed)} ({', '.join(f'{name} {count}' for name, count in when.most_common())})"),
        ("messages wanted", len(run.tasks)),
        ("in the threads", sum(map(len, there.values()))),
        ("  doubled", doubled),
        ("  lost", lost),
        ("  given to two keys", sum(count - 1 for count in owned.values())),
        ("keys with different or wrong receipts", wrong),
        ("calls that ended in an error, and were repeated", f"{errors.total()} {dict(errors) or ''}"),
        ("seconds", f"{seconds:.0f}"),
    ]
    print("\n".join(f"{name:<48} {value}" for name, value in rows), flush=True)
    return not (doubled or lost or wrong or owned.total() != len(owned))


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis of its own. Gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 10
            while time.monotonic() < until:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@contextmanager
def server() -> Iterator[str]:
    """The server that lags. Gives its URL."""
    command = [sys.executable, str(Path(__file__).with_name("server_lagging.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def main() -> int:
    """Run with each ledger. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=48)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--ledger", choices=["sqlite", "redis"], action="append")
    options = parser.parse_args()
    holds = True
    for name in options.ledger or ["sqlite", "redis"]:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            ledger = stack.enter_context(redis_server()) if name == "redis" else f"{folder}/ledger.db"
            url = stack.enter_context(server())
            print(f"-- {name}", flush=True)
            # While there is a client, each fork imports first what its children need.
            stack.enter_context(Feather("key", base_url=url))
            run, began = Run(url, ledger, options.kills, options.at_once, options.seed), time.monotonic()
            run.run()
            with urlopen(url + LOG) as answer:  # noqa: S310 - our own server
                log = json.load(answer)
            holds = report(run, log, time.monotonic() - began) and holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
