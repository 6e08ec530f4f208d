"""The troubles of a random run: cut streams, deploys, outages, faults, deleted messages, a machine that sleeps."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from flow_scenarios import MINUTE, Chat
from model_server import INBOUND, Row, mishaps, never_sent
from random_run_setup import Setup


class Troubles:
    """All troubles of one run.

    Args:
        setup: The world of the run.
        iterated: The conversations whose user takes each message as it comes.

    Attributes:
        slept: For how many seconds the machine has slept.
        deleted: The messages that were deleted.
    """

    def __init__(self, setup: Setup, iterated: AbstractSet[Chat]) -> None:
        self._setup = setup
        self._iterated = iterated
        self._rng, self._world, self._server, self._options = setup.rng, setup.world, setup.server, setup.options
        self._usual = (setup.options.stream_status, setup.options.stream_html)
        self.slept = 0.0
        self.deleted: list[Row] = []

    def make_one(self) -> None:
        """Cause a random trouble."""
        self._setup.totals.troubles += 1
        self._rng.choice([self._cut, self._cut, self._deploy, self._outage, self._faults, self._sleep, self._delete])()

    def end(self) -> None:
        """End all troubles: from now on the server has only the faults that it always has."""
        self._end_faults()
        self._end_deploy()

    def _cut(self) -> None:
        # The client notices the death of a stream without heartbeats only after ten minutes of listening.
        last = self._world.now > self._setup.until - 12 * MINUTE
        last = last or not all(chat in self._iterated for chat in self._setup.chats)
        self._server.cut(ending=self._rng.choice(["ended", "lost", "lost" if last else "died"]))

    def _deploy(self) -> None:
        self._server.cut(ending="ended")
        options = self._options
        answers = [(404, False), (502, False), (503, False), (200, True)]
        options.stream_status, options.stream_html = self._rng.choice(answers)
        options.stream_retry_after = self._rng.choice([None, "1", "3600"])
        self._world.after(self._rng.uniform(0.5, 90), self._end_deploy)

    def _end_deploy(self) -> None:
        options = self._options
        (options.stream_status, options.stream_html), options.stream_retry_after = self._usual, None

    def _outage(self) -> None:
        self._server.cut(ending="lost")
        self._server.plan = lambda *_: never_sent()
        self._world.after(self._rng.uniform(0.5, 60), self._end_faults)

    def _faults(self) -> None:
        operations = self._rng.choice([("sendMessage",), ("listMessages",), ("streamMessages",), ()])
        self._server.plan = mishaps(self._rng.choice([0.1, 0.5]), *operations)
        self._world.after(self._rng.uniform(5, 300), self._end_faults)

    def _end_faults(self) -> None:
        self._server.plan = None

    def _sleep(self) -> None:
        if self._world.asleep:
            return
        seconds = self._rng.choice([6.0, 40.0, 20 * MINUTE])
        self.slept += seconds
        self._world.fall_asleep(seconds, resets=self._rng.random() < 0.5)

    def _delete(self) -> None:
        there = [row for row in self._setup.rows if row not in self.deleted]
        # The client may still search for a message that it sent recently, or before the machine slept: keep those.
        there = [
            row
            for row in there
            if row.made_at < self._world.now - (25 * MINUTE if row.direction == INBOUND else MINUTE)
        ]
        for row in self._rng.choice([there[-1:], there[-3:], self._rng.sample(there, min(len(there), 2))]):
            self.deleted.append(row)
            self._server.delete(row)
