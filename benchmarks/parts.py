"""The parts of a benchmark run: which measurements each part makes, how often, and in which order."""

from __future__ import annotations

import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from clients import CLIENTS
from measure_start import IMPORTS, PROGRAMS, time_import, time_program
from processes import measure, server
from results import Results

PARTS: Final = {
    "throughput": "async sends: requests a second, and p99",
    "sync": "time of a synchronous send",
    "cpu": "CPU time of an async send, beside raw aiohttp",
    "start": "an import, and a program that sends one message",
    "conversations": "1,000 open streams",
    "memory": "growth of memory",
    "cancellation": "calls after many cancelled calls",
    "limiter": "100 callers under a rate limit",
    "fleet": "200 and 400 conversations on one API key (a quarter of an hour)",
    "idle": "a send while 1,000 conversations open",
    "gap": "a reply that is written while the stream is down",
    "callers": "60 callers with a short deadline",
}
"""The parts, and what each of them measures."""
TASKS: Final = (1, 10, 50, 200)
"""The numbers of tasks that send at once."""
STARTS: Final = 7
"""How often each program starts in a round."""
RATE_LIMIT: Final = {
    "200 bucket": ("fleet", "--counting=bucket"),
    "200 sliding": ("fleet", "--counting=sliding"),
    "200 fixed": ("fleet", "--counting=fixed"),
    "400 sliding": ("fleet", "--conversations=400", "--counting=sliding"),
    "200 naive": ("fleet", "--client=naive", "--counting=bucket"),
    "idle": ("idle", "--counting=sliding"),
    "gap": ("gap",),
    "gap, written at once": ("gap", "--after=0"),
    "callers bucket": ("callers", "--counting=bucket"),
    "callers sliding": ("callers", "--counting=sliding"),
    "callers fixed": ("callers", "--counting=fixed"),
}
"""The measurements against `server_rate_limit.py`: for each name, the command line of `measure.py`. It begins with the
name of its part. The name of a fleet begins with the number of its conversations."""
AT_A_TIME: Final = 2
"""The number of these measurements that run at the same time. They mostly wait for the rate limit."""


class Run:
    """One benchmark run.

    Args:
        bare: A Python with this package and its dependencies, and without any other package.
        rounds: How often to measure what is measured in rounds.
        parts: The parts to measure.
    """

    def __init__(self, bare: str, rounds: int, parts: Collection[str] = PARTS) -> None:
        self.results = Results(rounds)
        self._bare = bare
        self._parts = frozenset(parts)

    def run(self) -> None:
        """Measure all parts.

        In each round the clients take turns, so that a change in the machine's speed hits all of them.
        """
        if self._parts & {"throughput", "sync", "cpu", "start", "conversations", "memory"}:
            for number in range(self.results.rounds):
                _say(f"round {number + 1} of {self.results.rounds}")
                self._round()
        if "cancellation" in self._parts:
            _say("cancelled calls")
            self._cancellation()
        if "limiter" in self._parts:
            _say("callers under a rate limit")
            self.results.limiter = measure("limiter")
        if self._parts & {"fleet", "idle", "gap", "callers"}:
            _say("conversations under a rate limit")
            self.rate_limit()

    def _round(self) -> None:
        results = self.results
        with server("server_fast.py") as url:
            if "throughput" in self._parts:
                self._throughput(url)
            if "sync" in self._parts:
                results.sync.append(measure("sync", url))
            if "cpu" in self._parts:
                results.cpu.append(measure("cpu", url))
            if "start" in self._parts:
                for _ in range(STARTS):
                    self.start(url)
        if "conversations" in self._parts:
            for client in ("httpx", "featherhq"):
                with server("server_fast.py") as url:
                    results.conversations[client].append(measure("conversations", client, url))
        if "memory" in self._parts:
            with server("server_fast.py") as url:
                results.memory.append(measure("memory", url))

    def _throughput(self, url: str) -> None:
        for tasks in TASKS:
            for client in CLIENTS:
                self.results.throughput[client, tasks].append(measure("throughput", client, url, tasks))

    def start(self, url: str) -> None:
        """Measure each import and each program once."""
        for client in IMPORTS:
            self.results.imports[client].append(time_import(self._python(client), client))
        for client in PROGRAMS:
            self.results.programs[client].append(time_program(self._python(client), client, url))

    def _python(self, client: str) -> str:
        return sys.executable if client == "openai" else self._bare

    def _cancellation(self) -> None:
        for client in ("httpx", "httpx-aiohttp", "httpx-httpcore2", "featherhq"):
            with server("server_fast.py") as url:
                self.results.cancellation[client] = measure("cancellation", client, url)

    def rate_limit(self) -> None:
        """Make the measurements of `RATE_LIMIT` that belong to the parts, some of them at the same time."""
        lines = {name: line for name, line in RATE_LIMIT.items() if line[0] in self._parts}
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            found = pool.map(lambda line: measure(*line), lines.values())
            self.results.rate_limit = dict(zip(lines, found, strict=True))


def _say(what: str) -> None:
    print(f"{what}…", file=sys.stderr, flush=True)
