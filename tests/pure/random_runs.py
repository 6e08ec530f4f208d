"""Random runs in fake time: `python tests/pure/random_runs.py --runs 10000 --seed 0 --processes 2`.

Each run draws a server that is odd in some ways, and one to three conversations in one thread. For an hour or two,
users ask, listen, send and give up, and there are troubles: cut streams, deploys, outages, faults of single requests,
deleted messages, a machine that sleeps. Then the troubles end, and after a given time these promises must be kept:

- Each message of a user that was confirmed is in the thread. No message is there more often than it may have been sent.
- Each conversation has handed out each message of the agent once. If a user iterates, they came in order.
- Messages from before the end of the troubles have been handed out. Later messages are handed out soon.
- The number of requests and waits fits the number of streams, messages and troubles.
- Only the library's own errors end a call.

The command prints a line for each seed that failed, and then the totals. Its exit status is 1 if a run failed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

from featherhq._logging import logger
from flow_scenarios import MINUTE
from model_server import Row
from random_run_checks import Checks
from random_run_setup import Setup, Totals
from random_run_troubles import Troubles
from random_run_users import Users

# After so many runs, the command reports its progress.
_REPORTED_EVERY: Final = 1000
# The run ends so many seconds after the last trouble.
_PEACE: Final = 480.0


class Run:
    """One run.

    Args:
        seed: The seed of everything that is random.

    Attributes:
        totals: How much happened.
    """

    def __init__(self, seed: int) -> None:
        self._setup = Setup(seed)
        self._users = Users(self._setup)
        self._troubles = Troubles(self._setup, self._users.iterated)
        self.totals = self._setup.totals

    def go(self) -> None:
        """Run it, and check that all promises are kept."""
        setup = self._setup
        for chat in setup.chats:
            self._users.begin(chat)
        setup.repeat(setup.every, self._users.send_something)
        setup.repeat(setup.every * 2, self._users.say_something)
        setup.repeat(setup.troubled_every, self._troubles.make_one)
        setup.run(setup.until)
        self._troubles.end()
        self._users.stop()
        said = self._say_in_peace()
        setup.run(_PEACE if setup.leaves_out or setup.lags else _PEACE / 2)
        Checks(setup, self._users, self._troubles).check(said)

    def _say_in_peace(self) -> list[Row]:
        """Let the agent send messages once the machine is awake and streams are back. Return them."""
        setup = self._setup
        setup.run(MINUTE + (20 * MINUTE if setup.world.asleep else 0))
        said: list[Row] = []
        for _ in range(5):
            at = setup.rng.uniform(0, 30)
            setup.world.after(at, lambda: said.append(setup.server.say(setup.scenario.thread_id, f"peace {len(said)}")))
        if setup.leaves_out:
            # A message of the client without a reply makes it search for messages that streams leave out.
            for chat in setup.chats:
                setup.world.after(35, partial(chat.send, "bye"))
        return said


def run(seed: int) -> tuple[int, Totals, str | None]:
    """Do one run. Return its seed, its totals, and what went wrong, if anything."""
    logger.setLevel("CRITICAL")
    made = Run(seed)
    try:
        made.go()
    except AssertionError as error:
        return seed, made.totals, str(error).partition("\n")[0] or repr(error)
    except Exception as error:  # noqa: BLE001 - an error of one run must not end the others
        return seed, made.totals, repr(error)
    return seed, made.totals, None


def _kind(wrong: str) -> str:
    """Return the kind of a failure, from its text."""
    if "never" in wrong:
        return "lost"
    return "doubled" if "twice" in wrong or "times in the thread" in wrong else "else"


def main() -> int:
    """Do as many runs as the command line says."""
    parser = argparse.ArgumentParser(description="Random runs in fake time, each an hour or more.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first run; each next run has the next number")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began, totals, failed, kinds = time.monotonic(), Totals(), 0, Counter[str]()
    seeds = range(given.seed, given.seed + given.runs)
    with ProcessPoolExecutor(given.processes) as pool:
        for seed, done, wrong in pool.map(run, seeds, chunksize=max(1, min(50, given.runs // 20))):
            totals.add(done)
            if wrong is not None:
                failed += 1
                kinds[_kind(wrong)] += 1
                print(f"seed {seed}: {wrong}", flush=True)  # noqa: T201
            if totals.runs % _REPORTED_EVERY == 0 and totals.runs < given.runs:
                print(f"{totals.runs} runs so far, {failed} failed", flush=True)  # noqa: T201
    print(  # noqa: T201
        f"{totals.runs} runs, {totals.hours:.0f} hours, {totals.troubles} troubles, {totals.streams} streams, "
        f"{totals.sent} messages sent, {totals.replies} handed out, {totals.requests} requests: "
        f"{kinds['lost']} runs lost some, {kinds['doubled']} doubled some, {failed} failed in all "
        f"({time.monotonic() - began:.0f} s)"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
