"""Run the workers of `examples/worker` on this machine, and kill them at random moments. `make fleet` runs it.

A sandbox enforces the rate limit. Redis, several Celery workers and the sweep are real programs. Whatever is killed is
started again. At the end, what is in the sandbox's threads is compared with what was wanted and what was recorded.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import redis
from attrs import Factory, define
from redis_server import RedisServer
from workers_agents import LATEST, Agents
from workers_programs import Program, celery_worker
from workers_report import Report

EXAMPLE: Final = Path(__file__).parent.parent / "examples" / "worker"
RATE: Final = 10.0
"""Requests per second that the sandbox accepts. The workers share as much."""
# Tasks that wait in the queue, so that there is always work, and a task does not wait for long.
_QUEUED: Final = 40
_TICK: Final = 0.05
# The steps of a case, and how many of them are done.
_STEPS: Final = 2
_DONE: Final = "SELECT sum(CASE step WHEN 'answer' THEN 0 WHEN 'follow_up' THEN 1 ELSE 2 END) FROM cases"
# Shorter times than a real program needs, so that a run is short.
_TIMES: Final = {
    "TIMEOUT": "12",
    "FOLLOW_UP_AFTER": str(LATEST + 2),
    "QUEUE_AGAIN_AFTER": "60",
}


@define
class Fleet:
    """The programs of a run.

    Attributes:
        workers: The Celery workers.
        sweep: The program that queues what is due.
        queue: The queue of the workers.
        cases: The database of the workers.
        waiting: The smallest number of waiting tasks that was seen in each second since 1970.
        kills: The number of kills, by kind.
    """

    workers: list[Program]
    sweep: Program
    queue: redis.Redis
    cases: sqlite3.Connection
    waiting: Counter[int] = Factory(Counter)
    kills: Counter[str] = Factory(Counter)

    @property
    def done(self) -> int:
        """The number of tasks that are done."""
        return self.cases.execute(_DONE).fetchone()[0] or 0

    def keep_running(self) -> int:
        """Start what does not run. Return the number of waiting tasks."""
        for program in (*self.workers, self.sweep):
            program.start()
        length = int(self.queue.llen("celery"))
        now = int(time.time())
        self.waiting[now] = min(self.waiting.get(now, length), length)
        return length

    def kill(self, dice: random.Random) -> bool:
        """Kill a child, a whole worker, or a main process without its children. Return whether there was one."""
        running = [(worker, worker.children) for worker in self.workers]
        running = [(worker, children) for worker, children in running if children]
        if not running:
            return False
        worker, children = dice.choice(running)
        kind = dice.choices(("children", "whole workers", "main processes"), (4, 1, 1))[0]
        if kind == "whole workers":
            worker.kill()
        elif kind == "main processes":
            worker.kill_main()
        else:
            with suppress(ProcessLookupError):
                os.kill(dice.choice(children), signal.SIGKILL)
        self.kills[kind] += 1
        return True

    def end(self) -> None:
        """End all programs."""
        for program in (*self.workers, self.sweep):
            program.end()


def run(options: argparse.Namespace, folder: Path) -> Report:
    """Run all cases, and count.

    Args:
        options: The command line.
        folder: For the database and the logs.
    """
    dice = random.Random(options.seed)  # noqa: S311 - not for secrets
    database = folder / "cases.sqlite"
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        agents = Agents(RATE, random.Random(options.seed + 1))  # noqa: S311 - as above
        sandbox = stack.enter_context(agents.sandbox)
        environment = {
            **_TIMES,
            "REDIS_URL": f"redis://127.0.0.1:{server.port}",
            "DATABASE": str(database),
            "FEATHER_API_KEY": sandbox.api_key,
            "FEATHER_BASE_URL": sandbox.url,
        }
        os.environ.update(environment)
        workers = [
            Program(
                celery_worker("tasks", number, options.children), EXAMPLE, folder / f"worker{number}.log", environment
            )
            for number in range(options.workers)
        ]
        sweep = Program(
            [sys.executable, "-c", "import tasks; tasks.sweep()"], EXAMPLE, folder / "sweep.log", environment
        )
        fleet = Fleet(workers, sweep, server.client(), sqlite3.connect(database))
        stack.callback(fleet.end)
        _work(fleet, agents, options, dice)
    report = Report(options.jobs, RATE, fleet.kills)
    report.read(database, agents, fleet.waiting)
    return report


def _work(fleet: Fleet, agents: Agents, options: argparse.Namespace, dice: random.Random) -> None:
    """Begin cases while there is room in the queue, and kill, until all cases are done or the time is over."""
    sys.path.insert(0, str(EXAMPLE))
    import tasks

    # Each kill comes when so many steps are done, so the kills are spread over the whole run, however long that takes.
    moments = sorted(dice.uniform(0, 0.97 * _STEPS * options.jobs) for _ in range(options.kills))
    begun, until = 0, time.monotonic() + options.minutes * 60
    while time.monotonic() < until:
        length = fleet.keep_running()
        agents.talk()
        while begun < options.jobs and length < _QUEUED:
            tasks.start(f"Customer {begun}", f"Question {begun}")
            begun, length = begun + 1, length + 1
        done = fleet.done
        if moments and done >= moments[0]:
            # The moment within a task is random too.
            time.sleep(dice.uniform(0, 0.3))
            if fleet.kill(dice):
                moments.pop(0)
        if done == _STEPS * options.jobs:
            return
        time.sleep(_TICK)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=300, help="cases, each with two tasks")
    parser.add_argument("--kills", type=int, default=66)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--children", type=int, default=4, help="of each worker")
    parser.add_argument("--minutes", type=float, default=8.0, help="the run is ended after so many")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the kills and the answers")  # noqa: S311
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fleet-"))
    print(f"{'seed':<10} {options.seed}\n{'logs':<10} {folder}", flush=True)
    began = time.monotonic()
    # As ctrl-c: everything that runs is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = run(options, folder)
    print(report.table())
    print(f"{'time':<10} {time.monotonic() - began:.0f} s")
    failures = report.failures(options.kills)
    if failures:
        print(f"DOES NOT HOLD: {', '.join(failures)}")
    else:
        print("holds")
        shutil.rmtree(folder)
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
