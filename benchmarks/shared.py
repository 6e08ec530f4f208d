"""Measure a rate limit that processes share: `make shared`.

Eight processes send as fast as one `SharedRateLimit` of 10/s allows, to a server that refuses what is above 10/s. Half
of them send from tasks, and half from threads. The server counts a token bucket of ten, a sliding window, or fixed
windows. In the last run, Redis is killed after a third of the time, and started again, empty, after half of it.

    .venv/bin/python benchmarks/shared.py --seconds 60

The exit status is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

import httpx
from featherhq import Feather, RateLimit, SharedRateLimit
from processes import HERE, server
from redis_server import RedisServer
from server_fast import THREAD_ID
from server_rate_limit_control import thread_ids
from server_rate_limit_counters import COUNTERS, RATE

_PROCESSES: Final = 8
# Requests per second that never wait, for the time that a call takes longer.
_PLENTY: Final = 5000


def fleet(
    *, seconds: float = 60.0, counting: str = "bucket", processes: int = _PROCESSES, kill: bool = False
) -> dict[str, Any]:
    """Let processes send for some seconds.

    Args:
        seconds: How long.
        counting: How the server counts requests.
        processes: The number of processes.
        kill: Whether Redis is killed after a third of the time, and started again after half of it.

    Returns:
        The numbers of `requests`, of those that were `refused` (429), and of calls that `failed`. `at_start`: how many
        were refused before that, while the processes started. The part of the rate that was `used`. The smallest and
        the largest `share` of a process, over an equal share. With `kill`, the seconds from the start of Redis until
        the last process used it again (`back`), and how many processes had `lost` it.
    """
    ids = thread_ids(processes)
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        url = stack.enter_context(server("server_rate_limit.py", f"--counting={counting}"))
        workers = [
            _worker(url, ids[number], redis.url, seconds, threads=number % 2 == 1) for number in range(processes)
        ]
        before, began = _begin(workers, url), time.monotonic()
        started = _kill(redis, seconds) if kill else began
        seen = [json.loads(worker.communicate()[0]) for worker in workers]
        after = _report(url)
    return {
        "counting": counting,
        "killed": kill,
        "requests": sum(after["requests"].values()) - sum(before["requests"].values()),
        "refused": after["refused"] - before["refused"],
        "at_start": before["refused"],
        "doubled": after["doubled"],
    } | _seen(seen, began, seconds, started)


def _worker(url: str, thread_id: str, redis: str, seconds: float, *, threads: bool) -> subprocess.Popen[str]:
    line = [sys.executable, str(HERE / "shared_worker.py"), url, thread_id, f"--redis={redis}", f"--seconds={seconds}"]
    return subprocess.Popen(
        [*line, *["--threads"] * threads], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def _begin(workers: list[subprocess.Popen[str]], url: str) -> dict[str, Any]:
    """Let the processes begin, as soon as all are ready. Returns what the server has counted before that."""
    for worker in workers:
        assert worker.stdout is not None  # noqa: S101 - it is a pipe
        worker.stdout.readline()
    before = _report(url)
    for worker in workers:
        assert worker.stdin is not None  # noqa: S101 - as above
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return before


def _kill(redis: RedisServer, seconds: float) -> float:
    """Kill Redis after a third of the time. Start it after half of the time, and return when."""
    time.sleep(seconds / 3)
    redis.kill()
    time.sleep(seconds / 6)
    redis.start()
    return time.monotonic()


def _report(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/-/report").raise_for_status().json()
    return found


def _seen(seen: list[dict[str, Any]], began: float, seconds: float, started: float) -> dict[str, Any]:
    """What the processes have seen."""
    within = [sum(began <= at < began + seconds for at in one["done"]) for one in seen]
    failed: Counter[str] = Counter()
    for one in seen:
        failed.update(one["failed"])
    back = [at - started for one in seen for at in one["back"]]
    return {
        "failed": dict(failed),
        "used": sum(within) / (seconds * RATE),
        "share": [min(within) * len(within) / sum(within), max(within) * len(within) / sum(within)],
        "lost": sum(map(bool, (one["lost"] for one in seen))),
        "back": max(back, default=0.0),
    }


def added(*, calls: int = 3000) -> dict[str, float]:
    """Make pairs of calls, one under a shared limit that never waits, and one under the same limit of its own.

    Args:
        calls: The number of pairs.

    Returns:
        The milliseconds that the first call takes longer: `median` and `p99` of the pairs.
    """
    with RedisServer() as redis, server("server_fast.py") as url:
        shared = SharedRateLimit(redis.url, _PLENTY, name="added")
        with (
            Feather("key", base_url=url, rate_limit=shared) as ours,
            Feather("key", base_url=url, rate_limit=RateLimit(_PLENTY, burst=shared.burst)) as other,
        ):
            threads = [client.thread(THREAD_ID) for client in (ours, other)]
            longer = []
            for number in range(calls + 100):
                took = []
                for thread in threads:
                    began = time.perf_counter()
                    thread.send("hello")
                    took.append(time.perf_counter() - began)
                if number >= 100:
                    longer.append((took[0] - took[1]) * 1000)
    longer.sort()
    return {"median": median(longer), "p99": longer[int(len(longer) * 0.99)]}


def missed(found: dict[str, Any]) -> list[str]:
    """The bars that a fleet misses. They hold for a token bucket, as the sandbox counts."""
    bars = {"a call failed": not found["failed"], "a message was doubled": not found["doubled"]}
    if found["killed"]:
        bars["back only after 5 s"] = found["back"] <= 5
    elif found["counting"] == "bucket":
        bars["429s"] = not found["refused"]
        bars["less than 95 % used"] = found["used"] >= 0.95
        bars["a process below half its share"] = found["share"][0] >= 0.5
    return [name for name, holds in bars.items() if not holds]


def _line(found: dict[str, Any]) -> str:
    least, most = found["share"]
    line = (
        f"{found['counting']}{', Redis killed' * found['killed']}: {found['requests']} requests, {found['refused']} "
        f"refused (429; {found['at_start']} at the start), {sum(found['failed'].values())} calls failed, "
        f"{found['used']:.1%} of the rate used, shares {least:.2f} to {most:.2f}"
    )
    if found["killed"]:
        line += f", {found['lost']} processes lost Redis, the last was back after {found['back']:.1f} s"
    return line


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each fleet sends")
    parser.add_argument("--calls", type=int, default=3000, help="pairs of calls for the time that is added")
    given = parser.parse_args()
    longer = added(calls=given.calls)
    print(f"a call takes longer by: median {longer['median']:.2f} ms, p99 {longer['p99']:.2f} ms", flush=True)
    wrong = ["more than 1 ms added"] if longer["median"] > 1 else []
    for counting, kill in [*((name, False) for name in COUNTERS), ("bucket", True)]:
        found = fleet(seconds=given.seconds, counting=counting, kill=kill)
        print(_line(found), flush=True)
        wrong += missed(found)
    print(f"\nMISSED: {'; '.join(wrong)}" if wrong else "\nAll bars hold.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
