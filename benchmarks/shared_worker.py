"""One process of `shared.py`: it sends as many messages as its limit allows, and prints what it has seen as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

from featherhq import AsyncFeather, Feather, FeatherError, RateLimit, SharedRateLimit

CALLERS: Final = 4
"""How many callers each process has. One of them always waits."""


class Seen(logging.Handler):
    """What the calls of this process have done, and what its log has said.

    Attributes:
        done: When each call has succeeded, in seconds of the monotonic clock.
        failed: The errors of the other calls, by name.
        lost: When Redis did not answer.
        back: When it answered again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.done: list[float] = []
        self.failed: Counter[str] = Counter()
        self.lost: list[float] = []
        self.back: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note the lines about Redis."""
        if "Redis answers again" in record.getMessage():
            self.back.append(time.monotonic())
        elif "until Redis answers" in record.getMessage():
            self.lost.append(time.monotonic())

    def report(self) -> dict[str, Any]:
        """All of that."""
        return {"done": self.done, "failed": self.failed, "lost": self.lost, "back": self.back}


async def with_tasks(options: dict[str, Any], thread_id: str, until: float, seen: Seen) -> None:
    """Send from tasks, each once at least."""
    async with AsyncFeather("key", **options) as feather:

        async def caller(number: int) -> None:
            for turn in count():
                with noting(seen):
                    await feather.thread(thread_id).send(f"{number} {turn} {until}")
                if time.monotonic() >= until:
                    return

        await asyncio.gather(*map(caller, range(CALLERS)))


def with_threads(options: dict[str, Any], thread_id: str, until: float, seen: Seen) -> None:
    """Send from threads, each once at least."""
    with Feather("key", **options) as feather, ThreadPoolExecutor(CALLERS) as pool:

        def caller(number: int) -> None:
            for turn in count():
                with noting(seen):
                    feather.thread(thread_id).send(f"{number} {turn} {until}")
                if time.monotonic() >= until:
                    return

        list(pool.map(caller, range(CALLERS)))


@contextmanager
def noting(seen: Seen) -> Iterator[None]:
    """Note how a call ends."""
    try:
        yield
    except FeatherError as error:
        seen.failed[type(error).__name__] += 1
    else:
        seen.done.append(time.monotonic())


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("thread_id")
    parser.add_argument("--redis", help="without it, each process has a limit of its own")
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", action="store_true", help="send from threads, and not from tasks")
    given = parser.parse_args()
    limit = SharedRateLimit(given.redis, given.rate, name="bench") if given.redis else RateLimit(given.rate)
    seen = Seen()
    logger = logging.getLogger("featherhq")
    logger.setLevel(logging.INFO)
    logger.addHandler(seen)
    options = {"base_url": given.url, "rate_limit": limit}

    def send(until: float) -> None:
        if given.threads:
            with_threads(options, given.thread_id, until, seen)
        else:
            asyncio.run(with_tasks(options, given.thread_id, until, seen))

    # The first calls import what they need.
    send(0.0)
    print("ready", flush=True)
    sys.stdin.readline()
    send(time.monotonic() + given.seconds)
    print(json.dumps(seen.report()))


if __name__ == "__main__":
    main()
