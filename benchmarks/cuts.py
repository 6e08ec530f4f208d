"""Kill the readers of conversations at random moments, and count what they have read: `make cuts`.

An agent talks all the time in several threads. Each thread has a reader: a process (`cuts_reader.py`) that stores each
message together with the bookmark after it. Readers are killed (SIGKILL) at random moments, and streams are cut. The
next reader goes on from the last bookmark. The run holds if each message was stored once and in order.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from attrs import Factory, define
from featherhq import Feather
from featherhq.sandbox import Sandbox

AGENT_ID: Final = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
READER: Final = str(Path(__file__).with_name("cuts_reader.py"))
# Older messages of each thread, so that a resumption that reads the whole list is seen in the number of requests.
_OLD: Final = 300
# Seconds. Streams live so long, and the agent says the next message after so long.
_STREAM_LIFE: Final = (0.5, 4.0)
_PAUSES: Final = (0.02, 0.3)
# Seconds that a reader lives after it has begun to open its conversation.
_LIVES: Final = (0.0, 1.5)
# Seconds that the last readers get to catch up.
_CATCHING_UP: Final = 60.0


@define(eq=False)
class Lane:
    """One thread and its readers.

    Attributes:
        thread_id: The thread.
        path: The store of its readers.
        kills: How many readers were killed.
        said: What the agent has said since the first reader began.
        rng: The source of what is random.
    """

    thread_id: str
    path: Path
    rng: random.Random
    kills: int = 0
    said: list[str] = Factory(list)

    def stored(self) -> list[str]:
        """The texts that the readers have stored, in that order."""
        with sqlite3.connect(self.path) as store:
            return [text for (text,) in store.execute("SELECT text FROM messages ORDER BY number")]


def talk(sandbox: Sandbox, lane: Lane, stop: threading.Event) -> None:
    """Let the agent talk in a thread until the event."""
    number = 0
    while not stop.wait(lane.rng.uniform(*_PAUSES)):
        lane.said.append(str(number))
        sandbox.say(lane.thread_id, str(number))
        number += 1


def read(sandbox: Sandbox, lane: Lane, kills: int) -> None:
    """Start readers of a thread, one after the other, and kill each at a random moment."""
    while lane.kills < kills:
        with start(sandbox, lane) as reader:
            assert reader.stdout is not None  # noqa: S101 - it is a pipe
            reader.stdout.read(1)
            time.sleep(lane.rng.uniform(*_LIVES))
            reader.kill()
        lane.kills += 1


def start(sandbox: Sandbox, lane: Lane) -> subprocess.Popen[bytes]:
    """Start a reader of a thread. It writes a byte when it begins to open its conversation."""
    line = [sys.executable, READER, sandbox.url, sandbox.api_key, lane.thread_id, str(lane.path)]
    return subprocess.Popen(line, stdout=subprocess.PIPE)


def catch_up(sandbox: Sandbox, lane: Lane) -> None:
    """Let a last reader read to the end."""
    with start(sandbox, lane) as reader:
        until = time.monotonic() + _CATCHING_UP
        while time.monotonic() < until and lane.stored()[-1:] != lane.said[-1:]:
            time.sleep(0.1)
        time.sleep(1.0)  # one that is doubled would come now
        reader.kill()


def judge(lanes: list[Lane]) -> tuple[int, int, int, int]:
    """How many messages there were, how many were lost, how many doubled, and how many threads are out of order."""
    lost = doubled = unordered = 0
    for lane in lanes:
        stored = lane.stored()
        times = Counter(stored)
        lost += sum(not times[text] for text in lane.said)
        doubled += len(stored) - len(times)
        unordered += list(dict.fromkeys(stored)) != [text for text in lane.said if times[text]]
    return sum(len(lane.said) for lane in lanes), lost, doubled, unordered


def run(seed: int, kills: int, lanes_count: int, *, newest_first: bool) -> bool:
    """One run. Prints what came of it, and returns whether it holds."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(rate_limit=None, newest_first=newest_first, stream_life=_STREAM_LIFE) as sandbox,
    ):
        with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as feather:
            ids = [feather.threads.create(AGENT_ID).id for _ in range(lanes_count)]
        lanes = []
        for number, thread_id in enumerate(ids):
            old = [sandbox.say(thread_id, f"old {place}").id for place in range(_OLD)]
            lanes.append(Lane(thread_id, Path(folder) / f"{number}.db", random.Random(rng.random())))  # noqa: S311 - as above
            with sqlite3.connect(lanes[-1].path) as store:
                store.execute("CREATE TABLE messages (number INTEGER PRIMARY KEY, text TEXT)")
                store.execute("CREATE TABLE place (bookmark TEXT)")
                # The first reader goes on after the last of the old messages.
                store.execute("INSERT INTO place VALUES (?)", [old[-1]])
        before, stop = len(sandbox.requests), threading.Event()
        talking = [threading.Thread(target=talk, args=(sandbox, lane, stop)) for lane in lanes]
        share = -(-kills // lanes_count)
        reading = [threading.Thread(target=read, args=(sandbox, lane, share)) for lane in lanes]
        for thread in (*talking, *reading):
            thread.start()
        for thread in reading:
            thread.join()
        stop.set()
        for thread in talking:
            thread.join()
        for lane in lanes:
            catch_up(sandbox, lane)
        total, lost, doubled, unordered = judge(lanes)
        killed, requests = sum(lane.kills for lane in lanes), len(sandbox.requests) - before
    way = "newest first" if newest_first else "oldest first"
    print(
        f"list {way}: {killed} readers killed, {total} messages: {lost} lost, {doubled} doubled, "
        f"{unordered} of {lanes_count} threads out of order; {requests / killed:.1f} requests for each reader; "
        f"{time.monotonic() - began:.0f} s"
    )
    return not (lost or doubled or unordered)


def main() -> int:
    """Run it for both directions of the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="in each of the two runs")
    parser.add_argument("--threads", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(10**6)  # noqa: S311 - no secret
    print(f"seed {seed}")
    results = [run(seed, given.kills, given.threads, newest_first=newest_first) for newest_first in (False, True)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
