"""How soon does Celery give a task to another worker, when the first one was killed? `make redelivery` runs it.

Each case has a database of its own in one Redis server, real workers and real SIGKILLs. The seconds count from the kill
until the task starts again.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import redis
from attrs import Factory, define
from celery import Celery
from redis_server import RedisServer
from workers_programs import Program, celery_worker

HERE: Final = Path(__file__).parent
VISIBILITY: Final = 6
"""Seconds after which Kombu counts a task as abandoned that was not acknowledged. The default is an hour."""
SWEEPS: Final = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
"""Let each worker look for abandoned tasks each second. By default it looks 10 s after its start, then each 100 s."""
LONG: Final = 600.0


@define
class Case:
    """One case: a database, the settings, and what was started.

    Attributes:
        broker: The URL of the database.
        redis: A client of it.
        log: The file for the output of all workers.
        options: Kombu's `broker_transport_options`, beside the visibility timeout.
        settings: Celery's settings.
    """

    broker: str
    redis: redis.Redis
    log: Path
    options: dict[str, Any] = Factory(dict)
    settings: dict[str, Any] = Factory(dict)
    _workers: list[Program] = Factory(list)

    def worker(self, *, children: int = 1, queues: str = "celery", dies: str = "") -> Program:
        """Start a worker. If it dies by itself, `dies` says when."""
        settings = {
            "broker_transport_options": {"visibility_timeout": VISIBILITY, **self.options},
            "worker_prefetch_multiplier": 1,
            **self.settings,
        }
        environment = {
            "REDELIVERY_BROKER": self.broker,
            "REDELIVERY_SETTINGS": json.dumps(settings),
            "REDELIVERY_DIES": dies,
        }
        line = celery_worker("redelivery_tasks", len(self._workers), children, f"--queues={queues}")
        worker = Program(line, HERE, self.log, environment)
        self._workers.append(worker)
        worker.start()
        return worker

    @property
    def celery(self) -> Celery:
        """An application that queues tasks."""
        return Celery("redelivery", broker=self.broker)

    def send(self, number: int, seconds: float = LONG, **options: Any) -> None:
        """Queue a task."""
        self.celery.send_task("redelivery_tasks.work", (number, seconds), **options)

    def noted(self, kind: str) -> list[list[Any]]:
        """The tasks that have started, or ended: number, process, time."""
        return [json.loads(one) for one in self.redis.lrange(kind, 0, -1)]

    def started(self, number: int, times: int = 1, timeout: float = 30.0) -> list[list[Any]]:
        """Wait until a task has started so many times. Return what was noted, also if it was fewer times."""
        until = time.monotonic() + timeout
        while True:
            found = [one for one in self.noted("started") if one[0] == number]
            if len(found) >= times or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def seconds_until_again(self, killed_at: float, timeout: float) -> str:
        """Seconds until task 1 starts for the second time, as text."""
        found = self.started(1, 2, timeout)
        return f"{found[1][2] - killed_at:.1f} s" if len(found) > 1 else f"not within {timeout:g} s"

    def end(self) -> None:
        """End all of its workers."""
        for worker in self._workers:
            worker.end()


def child_killed(case: Case) -> str:
    """Kill the child that runs the task, up to five times."""
    case.worker(children=2)
    case.send(1)
    waits: list[float] = []
    for kills in range(1, 6):
        runs = case.started(1, kills)
        os.kill(runs[-1][1], signal.SIGKILL)
        killed_at = time.time()
        again = case.started(1, kills + 1, 20)
        if len(again) == kills:
            return f"{len(waits)} times, then not within 20 s"
        waits.append(again[-1][2] - killed_at)
    return f"{len(waits)} of 5 times, after {min(waits):.1f} to {max(waits):.1f} s"


def worker_killed(case: Case, *, whole: bool = True, timeout: float = 120.0, seconds: float = LONG) -> str:
    """Kill the only worker that takes tasks. Another one has run for twelve seconds, and takes tasks from then on."""
    case.worker(queues="none")
    time.sleep(12)
    first = case.worker()
    case.send(1, seconds)
    case.started(1)
    killed_at = time.time()
    (first.kill if whole else first.kill_main)()
    case.celery.control.add_consumer("celery")
    return case.seconds_until_again(killed_at, timeout)


def main_killed(case: Case) -> str:
    """Kill the main process only, while its child runs a task of ten seconds."""
    again = worker_killed(case, whole=False, seconds=10)
    time.sleep(10)
    return f"{again}, and {len(case.noted('ended'))} of 2 runs ended: the killed process' child went on"


def killed_in_sweep(case: Case) -> str:
    """Kill a worker while it sweeps: it leaves the lock behind that lets one worker at a time sweep."""
    first = case.worker()
    case.send(1)
    case.started(1)
    first.kill()
    killed_at = time.time()
    sweeper = case.worker(dies="in the sweep")
    while sweeper.runs:
        time.sleep(0.05)
    lock = case.redis.pttl("unacked_mutex") / 1000
    case.worker()
    return f"{case.seconds_until_again(killed_at, 40)}; the lock that was left lasts {lock:.0f} s"


def killed_before_note(case: Case) -> str:
    """Kill a worker after it has taken the task from the queue, and before it has noted it."""
    case.send(1)
    worker = case.worker(dies="before the note")
    while worker.runs:
        time.sleep(0.05)
    client = case.redis
    left = f"in the queue {client.llen('celery')}, noted {client.hlen('unacked')}"
    case.worker()
    return f"{'again' if case.started(1, 1, 20) else 'not within 20 s'}; {left}"


def held(case: Case) -> str:
    """Count the tasks that one worker with one child keeps from the others."""
    for number in range(1, 11):
        case.send(number)
    case.worker()
    case.started(1)
    time.sleep(1)
    return f"{case.redis.hlen('unacked')} of 10 tasks, one of which runs"


def delayed(case: Case) -> str:
    """Queue a task for later: in twice the visibility timeout."""
    case.worker()
    case.worker()
    case.send(1, 0.0, countdown=2 * VISIBILITY)
    time.sleep(4 * VISIBILITY)
    return f"ran {len(case.noted('started'))} times"


# So that nothing but the setting can bring the task back.
AN_HOUR: Final = {**SWEEPS, "visibility_timeout": 3600}
LOST: Final = {"task_reject_on_worker_lost": True}
CASES: Final[tuple[tuple[str, Callable[[Case], str], dict[str, Any], dict[str, Any]], ...]] = (
    ("worker killed, Kombu's defaults", worker_killed, {}, {}),
    ("worker killed, a sweep each second", worker_killed, SWEEPS, {}),
    ("main process killed, a sweep each second", main_killed, SWEEPS, {}),
    ("child killed, task_reject_on_worker_lost", child_killed, AN_HOUR, LOST),
    ("child killed, without that", child_killed, AN_HOUR, {}),
    ("killed in a sweep, Kombu's default", killed_in_sweep, SWEEPS, {}),
    ("killed in a sweep, unacked_mutex_expire=5", killed_in_sweep, {**SWEEPS, "unacked_mutex_expire": 5}, {}),
    ("killed before the note", killed_before_note, SWEEPS, {}),
    ("held, prefetch multiplier 4 (default)", held, SWEEPS, {"worker_prefetch_multiplier": 4}),
    ("held, prefetch multiplier 1", held, SWEEPS, {}),
    (f"countdown={2 * VISIBILITY}", delayed, SWEEPS, {}),
)


def main() -> int:
    """Run the command: all cases, or those whose names contain the first argument."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print(f"visibility_timeout={VISIBILITY}, task_acks_late=True", flush=True)
    # On ctrl-c, Redis ends first, so each case ends with an error, and then its workers.
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(3) as pool, RedisServer() as server:

        def run(number: int) -> str:
            name, play, options, settings = CASES[number]
            broker = f"redis://127.0.0.1:{server.port}/{number}"
            case = Case(broker, server.client(db=number), Path(folder) / f"{number}.log", options, settings)
            try:
                return f"  {name:<44} {play(case)}"
            finally:
                case.end()

        chosen = [number for number, case in enumerate(CASES) if wanted in case[0]]
        for line in pool.map(run, chosen):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
