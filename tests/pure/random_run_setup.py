"""The beginning of a random run: a server and its conversations are drawn, and a record of what was sent is kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from attrs import asdict, define
from fake_time import Process
from featherhq import FeatherError
from flow_scenarios import HOUR, KEY, Chat, Scenario
from model_server import Options, Row, drawn


@define
class Totals:
    """How much happened in one run, or in many."""

    runs: int = 0
    hours: float = 0.0
    sent: int = 0
    replies: int = 0
    requests: int = 0
    streams: int = 0
    troubles: int = 0

    def add(self, other: Totals) -> None:
        """Add the totals of another run."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@define(eq=False)
class Attempt:
    """A message that a user tried to send.

    Attributes:
        text: The text of the message.
        process: The process that sends it. An `ask` of a user has no process of its own.
        error: The error that ended the call.
        confirmed: Whether the server accepted the message.
    """

    text: str
    process: Process[Any] | None = None
    error: FeatherError | None = None
    confirmed: bool = False

    def settle(self) -> None:
        """Take over the result of the process."""
        if self.process is not None and self.process.done and not self.process.cancelled:
            self.confirmed = self.process.error is None
            self.error = self.process.error if isinstance(self.process.error, FeatherError) else None


class Setup:
    """The world of one random run: all its parts use it.

    Args:
        seed: The seed of everything that is random.

    Attributes:
        rng: The source of everything that is random.
        scenario: The scenario, with a world and a server.
        options: The options of the server.
        small: Whether the pages of the list are small.
        chats: The conversations, all in one thread.
        attempts: All messages that users tried to send.
        totals: How much has happened.
        every: The mean time between two things that users do, in seconds.
        troubled_every: The mean time between two troubles.
        until: When users and troubles stop.
    """

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)  # noqa: S311 - no secret
        self.options: Options = self._draw_options()
        old = rng.choice([0, 5, 20]) if self.small else rng.choice([0, 5, 5, 60, 60, 300])
        self.scenario = scenario = Scenario(seed=seed, agent=self._answer, old=old, server=self.options)
        self.world, self.server = scenario.world, scenario.server
        self.totals = Totals(runs=1)
        self.attempts: list[Attempt] = []
        self.chats: list[Chat] = [scenario.chat]
        self.numbers = iter(range(1_000_000))
        self._draw_more_conversations()
        # If pages are small and guessed cursors are refused, each scan reads many pages from the beginning of the list.
        # A long list would make such a run too slow, so less happens in it.
        slow = self.small and not self.options.any_cursor
        self.every = 400.0 if slow else rng.choice([40.0, 120.0, 120.0, 400.0, 400.0])
        self.troubled_every = rng.choice([60.0, 200.0, 900.0])
        busy = self.every < 100 or self.options.life == (5.0, 30.0)
        self.until = HOUR if busy else rng.choice([HOUR, HOUR, HOUR, HOUR, HOUR, 2 * HOUR])

    def _draw_options(self) -> Options:
        options = drawn(self.rng)
        if options.heartbeat == 1.0:
            # Thousands of heartbeats would test no more than hundreds.
            options.heartbeat = 8.0
        self.small = options.largest_page < 20
        if not self.small and self.rng.random() < 0.8:
            # A run with shorter pages is faster.
            options.largest_page = 25
        return options

    def _draw_more_conversations(self) -> None:
        rng, scenario = self.rng, self.scenario
        if rng.random() < 0.3:
            self.chats.append(scenario.conversation())
        if rng.random() < 0.15:
            self.chats.append(scenario.conversation(scenario.settings(rng.choice([KEY, "another-key"]))))
        if len(self.chats) > 1 and rng.random() < 0.95:
            # If a thread may have only one stream, two conversations end each other's stream all the time.
            self.options.one_stream = None

    def _answer(self, text: str) -> Iterator[tuple[float, str]]:
        for part in range(0 if text == "bye" else self.rng.choice([0, 1, 1, 1, 1, 3])):
            yield self.rng.choice([0.05, 1.0, self.rng.uniform(0, 8), self.rng.uniform(0, 40)]), f"re: {text}.{part}"

    @property
    def rows(self) -> list[Row]:
        """All messages of the thread, in the server's records."""
        return self.server.rows[self.scenario.thread_id]

    @property
    def leaves_out(self) -> bool:
        """Whether streams leave out messages."""
        return self.options.drop > 0 or self.options.mute

    @property
    def lags(self) -> bool:
        """Whether lists show messages late."""
        return self.options.lag[1] > 0 or self.options.stale_list > 0

    def repeat(self, every: float, what: Callable[[], None]) -> None:
        """Do something again and again, at random times, until users and troubles stop."""

        def again() -> None:
            if self.world.now < self.until:
                what()
                self.repeat(every, what)

        self.world.after(self.rng.expovariate(1 / every), again)

    def run(self, seconds: float) -> None:
        """Run the world for some seconds, and check that only the library's own errors end a flow."""
        self.world.run_for(seconds)
        wrong = [error for error in self.world.errors if not isinstance(error, FeatherError)]
        assert not wrong, f"this is not one of the library's own errors: {wrong[0]!r}"
