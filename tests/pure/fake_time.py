"""A world in fake time. It runs flows as the runners do. A minute in this world takes less than a millisecond.

`World` keeps the time. It runs each flow as a `Process`, and gives each conversation a `ThreadMailbox`. It carries each
request to the model of the server that has its URL. The model gets the request as an `Exchange`. It responds now or
later, or it opens a `Connection` for a stream.

There are two clocks. The world's time, `world.now`, starts at 0 and never stops: servers use it, and so do `world.at`
and `world.after`. The client's machine has a monotonic clock, `world.clock()`: flows use it. It stops while the machine
sleeps (`world.fall_asleep`). All random numbers come from the seed.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from fake_time_mailbox import ThreadMailbox
from fake_time_network import Connection, Exchange, Outcome
from fake_time_process import Process, at_once
from fake_time_timers import Timer, Timers
from featherhq._core.effects import Flow
from featherhq._core.responses import TransportFailure

# Tests import all of these from here.
__all__ = [
    "EPOCH",
    "MOST_EFFECTS",
    "Connection",
    "Exchange",
    "Outcome",
    "Process",
    "ThreadMailbox",
    "Timer",
    "World",
    "at_once",
]

T = TypeVar("T")

EPOCH: Final = 1_700_000_000.0
"""The wall clock's time when a world begins."""
MOST_EFFECTS: Final = 10_000
"""A world fails if its flows yield more effects than this within a millisecond: then a flow is in an endless loop."""
_MOMENT: Final = 0.001
# How many entries the log keeps.
_LOG_LENGTH: Final = 400


class World:
    """The time, and everything that happens in it.

    Args:
        seed: The seed of the random numbers.
        started_at: The time on the monotonic clock at the beginning.
        slack: By how many seconds a wait may end late, as on a busy machine.
        most_effects: As `MOST_EFFECTS`. A world with thousands of conversations needs a larger number.

    Attributes:
        now: Seconds since the world began.
        random: Gives random numbers from the seed.
        asleep: Whether the machine sleeps.
        wall_skew: By how many seconds the machine's wall clock is wrong.
        effects: How many effects were yielded, by the name of their class. `ask` counts questions to the rate limit.
        waits: How many effects had to wait, by the name of their class.
        processes: All processes that were spawned, without jobs.
        errors: All errors that ended a flow. Jobs count too.
    """

    def __init__(
        self, seed: int = 0, *, started_at: float = 1000.0, slack: float = 0.0, most_effects: int = MOST_EFFECTS
    ) -> None:
        self.now = 0.0
        self.random = random.Random(seed)  # noqa: S311 - nothing here is secret
        self.asleep = False
        self.wall_skew = 0.0
        self.most_effects = most_effects
        self.effects: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.processes: list[Process[Any]] = []
        self.errors: list[Exception] = []
        self._clock = started_at
        # The difference between the monotonic clock and `now`. It gets smaller with each sleep.
        self._ahead = started_at
        self._slack = slack
        self._timers = Timers()
        self._machine_timers = Timers()
        self._ready: deque[Callable[[], object]] = deque()
        self._handlers: dict[str, Callable[[Exchange], None]] = {}
        self._open: dict[Exchange, None] = {}
        self._burst, self._burst_from = 0, started_at
        self._log: deque[tuple[float, str, object]] = deque(maxlen=_LOG_LENGTH)

    # Clocks and timers.

    def clock(self) -> float:
        """The machine's monotonic clock, for `Settings.clock`."""
        return self._clock

    def wall_clock(self) -> float:
        """The machine's wall clock, for `Settings.wall_clock`."""
        return EPOCH + self.now + self.wall_skew

    def at(self, at: float, what: Callable[[], object]) -> Timer:
        """Call a function at this time of the world, even if the machine sleeps. A time in the past means now."""
        return self._timers.set(max(at, self.now), what)

    def after(self, seconds: float, what: Callable[[], object]) -> Timer:
        """Call a function after so many seconds of the world's time."""
        return self.at(self.now + seconds, what)

    def machine_timer(self, seconds: float, what: Callable[[], object]) -> Timer:
        """Call a function after so many seconds of the machine's monotonic clock."""
        return self._machine_timers.set(self._clock + max(0.0, seconds), what)

    def fall_asleep(self, seconds: float, *, resets: bool = False) -> None:
        """Let the machine sleep.

        Its monotonic clock stops. No flow goes on, and no timer of a flow fires. All connections die, and neither side
        notices it: what arrives on them is lost, now and later. A request under way ends when its own time is over.

        Args:
            seconds: How long it sleeps.
            resets: Whether requests under way end when the machine wakes up, because its network resets them.
        """
        assert not self.asleep, "the machine sleeps already"
        self.log("machine", f"asleep for {seconds:g} s")
        self.asleep = True
        under_way = list(self._open)
        for exchange in under_way:
            exchange.die()
        self.after(seconds, self._wake_up)
        if resets:
            for exchange in under_way:
                self.after(seconds, exchange.reset)

    def _wake_up(self) -> None:
        self.log("machine", "awake")
        self.asleep = False
        self._ahead = self._clock - self.now

    # Servers and flows.

    def serve(self, base_url: str, handler: Callable[[Exchange], None]) -> None:
        """Give each request whose URL begins with `base_url` to this handler."""
        self._handlers[base_url] = handler

    def mailbox(self, name: str = "conversation") -> ThreadMailbox:
        """Make a mailbox for a conversation."""
        return ThreadMailbox(self, name)

    def spawn(
        self, flow: Flow[T], mailbox: ThreadMailbox | None = None, *, name: str = "caller", ends_mailbox: bool = False
    ) -> Process[T]:
        """Run a flow from now on.

        Args:
            flow: The flow.
            mailbox: The mailbox of its conversation, if it has one. Several processes may share it.
            name: The name in the log.
            ends_mailbox: Whether the mailbox is closed when the flow ends, as for `ask_once`.
        """
        close = mailbox.close if ends_mailbox and mailbox is not None else None
        process = Process(self, flow, mailbox, name, None if close is None else lambda _: close())
        self.processes.append(process)
        self._ready.append(process.begin)
        return process

    # Running.

    def run(self, until: float) -> None:
        """Run up to this time of the world."""
        while self._step(until):
            pass
        self._reach(max(until, self.now))

    def run_for(self, seconds: float) -> None:
        """Run for so many seconds of the world's time."""
        self.run(self.now + seconds)

    def run_until(self, process: Process[T], within: float = 86_400.0) -> Process[T]:
        """Run until a process has ended. Returns the process.

        Raises:
            AssertionError: the process has not ended in so many seconds of the world's time, or nothing is left to do.
        """
        until = self.now + within
        while not process.done:
            assert self._step(until), f"{process.name} has not ended after {within:g} s\n{self.log_text()}"
        return process

    def log(self, who: str, what: object) -> None:
        """Add an entry to the log."""
        self._log.append((self.now, who, what))

    def log_text(self, lines: int = 60) -> str:
        """The last lines of the log. They help when a test fails."""
        return "\n".join(f"{at:10.3f}  {who:<14} {_short(what)}" for at, who, what in list(self._log)[-lines:])

    def _step(self, until: float) -> bool:
        """Do the next thing. Returns whether there was one until this time."""
        if self._ready and not self.asleep:
            self._ready.popleft()()
            return True
        at, machine_at = self._timers.next_at(), None if self.asleep else self._machine_timers.next_at()
        if machine_at is not None and (at is None or machine_at - self._ahead < at):
            moment = machine_at - self._ahead
            if moment > until:
                return False
            # Set both clocks to the exact times. A rounded sum could make a wait end slightly too early.
            self._clock = max(self._clock, machine_at)
            self.now = max(self.now, moment)
            self._machine_timers.pop()()
            return True
        if at is None or at > until:
            return False
        self._reach(at)
        self._timers.pop()()
        return True

    def _reach(self, at: float) -> None:
        self.now = at
        if not self.asleep:
            self._clock = max(self._clock, at + self._ahead)

    # Processes and mailboxes call these methods.

    def soon(self, what: Callable[[], object]) -> None:
        """Call a function at the same moment, after the code that runs now."""
        self._ready.append(what)

    def wait(self, kind: str, seconds: float, what: Callable[[], object]) -> Timer:
        """Call a function when a flow's wait is over."""
        self.waits[kind] += 1
        return self.machine_timer(seconds + (self.random.random() * self._slack if self._slack else 0.0), what)

    def count(self, who: str, kind: str, what: object) -> None:
        """Count an effect.

        Raises:
            AssertionError: there were too many effects in one moment. A flow must be in an endless loop.
        """
        self.effects[kind] += 1
        self._log.append((self.now, who, what))
        if self._clock - self._burst_from >= _MOMENT:
            self._burst, self._burst_from = 0, self._clock
        self._burst += 1
        assert self._burst <= self.most_effects, (
            f"an endless loop: more than {self.most_effects} effects at {self.now:g} s\n{self.log_text(30)}"
        )

    def carry(self, exchange: Exchange) -> None:
        """Bring a request to the handler of its URL."""
        self._open[exchange] = None
        handler = next((handler for url, handler in self._handlers.items() if exchange.url.startswith(url)), None)
        if handler is None:
            self.soon(lambda: exchange.respond(TransportFailure(False, False, "could not connect")))
        else:
            handler(exchange)

    def forget(self, exchange: Exchange) -> None:
        """A request and its response are over."""
        self._open.pop(exchange, None)


def _short(what: object) -> str:
    text = what if isinstance(what, str) else repr(what)
    return text if len(text) <= 160 else f"{text[:157]}…"
