"""A world in fake time. It runs flows as the runners do, and a minute of it takes less than a millisecond.

`World` keeps the time, runs flows as `Process`es, gives conversations their `Mailbox`, and carries requests to whoever
serves a URL: a model of the server gets an `Exchange`, answers it now or later, or opens a `Connection` for a stream.

There are two times. The world's, `world.now`, starts at 0 and never stands still: servers live by it, `world.at` and
`world.after` count in it. The client's machine has a monotonic clock, `world.clock()`, which stands still while the
machine sleeps (`world.fall_asleep`); flows are given that one. Nothing here is random but what is drawn from the seed.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, Generic, TypeVar

from featherhq._core.effects import (
    READ_AHEAD,
    AskKey,
    Cancel,
    Chunk,
    Effect,
    Ended,
    Flow,
    JobDone,
    Notice,
    Post,
    Receive,
    SendRequest,
    Sleep,
    Start,
    TakeSlot,
    weight,
)
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.secrets import Secret

T = TypeVar("T")
Outcome = Response | TransportFailure

EPOCH: Final = 1_700_000_000.0
"""The wall clock's time when a world begins."""
MOST_EFFECTS: Final = 10_000
"""Effects, within a millisecond, after which a world takes its flows to be spinning."""
_MOMENT: Final = 0.001
_REMEMBERED: Final = 400
# What `_perform` gives for an effect whose result comes later.
_LATER: Final = object()


class Timer:
    """Something that will happen, if it is not called off."""

    __slots__ = ("what",)

    def __init__(self, what: Callable[[], object]) -> None:
        self.what: Callable[[], object] | None = what

    def cancel(self) -> None:
        """Call it off."""
        self.what = None


class _Timers:
    """Timers by their time; of the same time, in the order they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()

    def set(self, at: float, what: Callable[[], object]) -> Timer:
        timer = Timer(what)
        heappush(self._heap, (at, next(self._numbers), timer))
        return timer

    def next_at(self) -> float | None:
        while self._heap and self._heap[0][2].what is None:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Callable[[], object]:
        what = heappop(self._heap)[2].what
        assert what is not None
        return what


class World:
    """The time, and all that happens in it.

    Args:
        seed: Of all that is random.
        started_at: What the monotonic clock shows at the beginning.
        slack: Seconds by which waits may end late, as they do on a busy machine.
        most_effects: As `MOST_EFFECTS`; a world of thousands of conversations needs more.

    Attributes:
        now: Seconds since the world began.
        random: Draws from the seed.
        asleep: Whether the machine sleeps.
        wall_skew: Seconds by which the machine's wall clock is wrong.
        effects: How many effects were yielded, by the name of their class; `ask` is a question to the rate limit.
        waits: Those that had to wait, likewise.
        processes: All that were spawned, but for jobs.
        errors: All errors that ended a flow, jobs too.
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
        # What the monotonic clock is ahead of `now`; less after each sleep.
        self._ahead = started_at
        self._slack = slack
        self._timers = _Timers()
        self._own_timers = _Timers()
        self._ready: deque[Callable[[], object]] = deque()
        self._handlers: dict[str, Callable[[Exchange], None]] = {}
        self._open: dict[Exchange, None] = {}
        self._burst, self._burst_from = 0, started_at
        self._story: deque[tuple[float, str, object]] = deque(maxlen=_REMEMBERED)

    # Clocks and timers.

    def clock(self) -> float:
        """The machine's monotonic clock, for `Settings.clock`."""
        return self._clock

    def wall_clock(self) -> float:
        """The machine's wall clock, for `Settings.wall_clock`."""
        return EPOCH + self.now + self.wall_skew

    def at(self, at: float, what: Callable[[], object]) -> Timer:
        """Do something at a moment of the world's time, or now if that is past. The machine need not be awake."""
        return self._timers.set(max(at, self.now), what)

    def after(self, seconds: float, what: Callable[[], object]) -> Timer:
        """Do something so many seconds from now."""
        return self.at(self.now + seconds, what)

    def own_timer(self, seconds: float, what: Callable[[], object]) -> Timer:
        """Do something when the machine's monotonic clock has gone on by so much."""
        return self._own_timers.set(self._clock + max(0.0, seconds), what)

    def fall_asleep(self, seconds: float, *, resets: bool = False) -> None:
        """The machine sleeps.

        Its monotonic clock stands still, no flow goes on, and no timer of theirs runs. Connections die without a word:
        what arrives meanwhile, and later, is lost. Requests under way end when their own time is up; or, where the
        machine's network `resets` them, when it wakes up.
        """
        assert not self.asleep, "asleep already"
        self.note("machine", f"asleep for {seconds:g} s")
        self.asleep = True
        under_way = list(self._open)
        for exchange in under_way:
            exchange.die()
        self.after(seconds, self._wake_up)
        if resets:
            for exchange in under_way:
                self.after(seconds, exchange.reset)

    def _wake_up(self) -> None:
        self.note("machine", "awake")
        self.asleep = False
        self._ahead = self._clock - self.now

    # Servers and flows.

    def serve(self, base_url: str, handler: Callable[[Exchange], None]) -> None:
        """Hand requests to what begins with this URL to a model of a server."""
        self._handlers[base_url] = handler

    def mailbox(self, name: str = "conversation") -> ThreadMailbox:
        """A mailbox for a conversation."""
        return ThreadMailbox(self, name)

    def spawn(
        self, flow: Flow[T], mailbox: ThreadMailbox | None = None, *, name: str = "caller", ends_mailbox: bool = False
    ) -> Process[T]:
        """Run a flow from now on.

        Args:
            flow: The flow.
            mailbox: The conversation's, for flows of one; several processes may share it.
            name: For the story.
            ends_mailbox: Whether the mailbox is closed with the flow's end, as for `ask_once`.
        """
        close = mailbox.close if ends_mailbox and mailbox is not None else None
        process = Process(self, flow, mailbox, name, None if close is None else lambda _: close())
        self.processes.append(process)
        self._ready.append(process.begin)
        return process

    # Going on.

    def run(self, until: float) -> None:
        """Go on up to a moment of the world's time."""
        while self._step(until):
            pass
        self._reach(max(until, self.now))

    def run_for(self, seconds: float) -> None:
        """Go on for so many seconds."""
        self.run(self.now + seconds)

    def run_until(self, process: Process[T], within: float = 86_400.0) -> Process[T]:
        """Go on until a process has ended; the process.

        Raises:
            AssertionError: it has not ended in so many seconds of the world's time, or nothing more can happen.
        """
        until = self.now + within
        while not process.done:
            assert self._step(until), f"{process.name} has not ended after {within:g} s\n{self.story()}"
        return process

    def note(self, who: str, what: object) -> None:
        """Remember something for `story`."""
        self._story.append((self.now, who, what))

    def story(self, lines: int = 60) -> str:
        """What has happened last, for a test that failed."""
        return "\n".join(f"{at:10.3f}  {who:<14} {_short(what)}" for at, who, what in list(self._story)[-lines:])

    def _step(self, until: float) -> bool:
        """Do what comes next; whether there was something by then."""
        if self._ready and not self.asleep:
            self._ready.popleft()()
            return True
        at, own_at = self._timers.next_at(), None if self.asleep else self._own_timers.next_at()
        if own_at is not None and (at is None or own_at - self._ahead < at):
            moment = own_at - self._ahead
            if moment > until:
                return False
            # Both as they were asked for: a sum that is rounded would make a wait end a hair too soon.
            self._clock = max(self._clock, own_at)
            self.now = max(self.now, moment)
            self._own_timers.pop()()
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

    # What processes call.

    def soon(self, what: Callable[[], object]) -> None:
        """Do something once whatever is going on now has come to its end."""
        self._ready.append(what)

    def wait(self, kind: str, seconds: float, what: Callable[[], object]) -> Timer:
        """Do something after a wait of a flow's."""
        self.waits[kind] += 1
        return self.own_timer(seconds + (self.random.random() * self._slack if self._slack else 0.0), what)

    def count(self, who: str, kind: str, what: object) -> None:
        """Count an effect.

        Raises:
            AssertionError: there were so many in one moment that something must be spinning.
        """
        self.effects[kind] += 1
        self._story.append((self.now, who, what))
        if self._clock - self._burst_from >= _MOMENT:
            self._burst, self._burst_from = 0, self._clock
        self._burst += 1
        assert self._burst <= self.most_effects, (
            f"spinning: more than {self.most_effects} effects at {self.now:g} s\n{self.story(30)}"
        )

    def carry(self, exchange: Exchange) -> None:
        """Bring a request to whoever serves its URL."""
        self._open[exchange] = None
        handler = next((handler for url, handler in self._handlers.items() if exchange.url.startswith(url)), None)
        if handler is None:
            self.soon(lambda: exchange.answer(TransportFailure(False, False, "could not connect")))
        else:
            handler(exchange)

    def forget(self, exchange: Exchange) -> None:
        """An exchange is over."""
        self._open.pop(exchange, None)


def at_once(ask: Callable[[], object]) -> Future[object]:
    """What comes of a callable, as a runner gives it."""
    future: Future[object] = Future()
    try:
        future.set_result(ask())
    except Exception as error:  # noqa: BLE001 - it is raised where the result is wanted
        future.set_exception(error)
    return future


class Process(Generic[T]):
    """A flow that runs: a caller, or a job.

    Attributes:
        name: For the story.
        mailbox: The conversation's, if it has one.
        done: Whether it has ended.
        cancelled: Whether that was because it was cancelled.
        started_at: When it was spawned, in the world's time.
        finished_at: When it ended.
        result: What it gave.
        error: The error that ended it.
    """

    def __init__(
        self,
        world: World,
        flow: Flow[T],
        mailbox: ThreadMailbox | None,
        name: str,
        on_end: Callable[[Process[T]], object] | None = None,
    ) -> None:
        self.name, self.mailbox = name, mailbox
        self.done = self.cancelled = False
        self.started_at = world.now
        self.finished_at: float | None = None
        self.result: T | None = None
        self.error: Exception | None = None
        self.connection: Connection | None = None
        self._world, self._flow, self._on_end = world, flow, on_end
        # How to end the wait it is in.
        self._stop_waiting: Callable[[], None] | None = None

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled else repr(self.error or self.result) if self.done else "running"
        return f"<{self.name}: {state}>"

    def value(self) -> T:
        """What it gave; raises the error that ended it."""
        assert self.done, f"{self.name} has not ended"
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]

    @property
    def took(self) -> float:
        """Seconds from its start to its end."""
        assert self.finished_at is not None, f"{self.name} has not ended"
        return self.finished_at - self.started_at

    def begin(self) -> None:
        """Run up to its first wait."""
        if not self.done:
            self._advance(None)

    def cancel(self) -> None:
        """End it where it stands, as a cancelled task ends."""
        if self.done:
            return
        self._world.note(self.name, "cancelled")
        self.done = self.cancelled = True
        self.finished_at = self._world.now
        self._leave_wait()
        try:
            self._flow.close()
        finally:
            self._hang_up()
            if self._on_end is not None:
                self._on_end(self)

    def _leave_wait(self) -> None:
        stop, self._stop_waiting = self._stop_waiting, None
        if stop is not None:
            stop()

    def _hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def _advance(self, value: object) -> None:
        """Go on with the result of the last effect, up to the next wait."""
        self._stop_waiting = None
        while True:
            try:
                effect = self._flow.send(value)
            except StopIteration as end:
                return self._end(end.value, None)
            except AssertionError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever ends a flow is its caller's to see
                return self._end(None, error)
            self._world.count(self.name, type(effect).__name__, effect)
            value = self._perform(effect)
            if value is _LATER:
                return None

    def _end(self, result: T | None, error: Exception | None) -> None:
        self._world.note(self.name, error or result)
        self.done, self.result, self.error = True, result, error
        self.finished_at = self._world.now
        if error is not None:
            self._world.errors.append(error)
        if not (isinstance(result, Response) and result.is_stream):
            self._hang_up()
        if self._on_end is not None:
            self._on_end(self)

    def _perform(self, effect: Effect[Any]) -> object:
        if isinstance(effect, Receive):
            return self._receive(effect)
        if isinstance(effect, Sleep):
            timer = self._world.wait("Sleep", effect.seconds, lambda: self._advance(None))
            self._stop_waiting = timer.cancel
            return _LATER
        if isinstance(effect, SendRequest):
            return self._send(effect)
        if isinstance(effect, TakeSlot):
            return self._take_slot(effect)
        if isinstance(effect, AskKey):
            return effect.ask(at_once)
        if isinstance(effect, Start):
            self._box().start(effect.job, effect.flow)
        elif isinstance(effect, Cancel):
            self._box().cancel(effect.job)
        else:
            assert isinstance(effect, Post), f"no effect: {effect!r}"
            self._box().post(effect.notice)
        return None

    def _box(self) -> ThreadMailbox:
        assert self.mailbox is not None, f"{self.name} has no mailbox"
        return self.mailbox

    def _receive(self, effect: Receive) -> object:
        mailbox = self._box()
        event = mailbox.take()
        if event is not None or effect.seconds <= 0:
            return event

        def stop() -> None:
            timer.cancel()
            mailbox.waiting.pop(self, None)

        def look() -> None:
            # An event is taken where the flow goes on: a process that is cancelled before takes none with it.
            if self in mailbox.waiting and (event := mailbox.take()) is not None:
                stop()
                self._advance(event)

        def time_out() -> None:
            stop()
            self._advance(mailbox.take())

        timer = self._world.wait("Receive", effect.seconds, time_out)
        mailbox.waiting[self] = look
        self._stop_waiting = stop
        return _LATER

    def _send(self, effect: SendRequest) -> object:
        self._hang_up()
        self.connection = None
        self._world.waits["SendRequest"] += 1

        def answered(outcome: Outcome, connection: Connection | None) -> None:
            self.connection = connection
            self._world.soon(lambda: None if self.done else self._advance(outcome))

        exchange = Exchange(self._world, effect, answered)
        self._stop_waiting = exchange.abandon
        self._world.carry(exchange)
        return _LATER

    def _take_slot(self, effect: TakeSlot) -> object:
        place = _InLine(self._world, self.name, effect, self._advance)
        answer = place.join()
        if answer is None:
            self._stop_waiting = place.leave
            return _LATER
        return answer


class _InLine:
    """A place in the rate limit's line, for a process that waits."""

    def __init__(self, world: World, name: str, effect: TakeSlot, advance: Callable[[bool], None]) -> None:
        self._world, self._name, self._effect, self._advance = world, name, effect, advance
        self._timer: Timer | None = None
        self._waiting = True
        self._woken = False

    def join(self) -> bool | None:
        """Join the line; the result, if there is one already."""
        self._effect.slot.join(self._wake)
        return self._ask()

    def leave(self) -> None:
        """Whoever waited waits no longer."""
        self._stop()
        self._effect.slot.leave()

    def _ask(self) -> bool | None:
        self._woken = False
        self._world.count(self._name, "ask", "ask")
        answer = self._effect.slot.ask(self._world.clock(), self._effect.until)
        if isinstance(answer, bool):
            self._stop()
            return answer
        self._stop_timer()
        self._timer = self._world.wait("TakeSlot", answer, self._again)
        return None

    def _again(self) -> None:
        if self._waiting and (answer := self._ask()) is not None:
            self._advance(answer)

    def _wake(self) -> None:
        # The limiter calls this from wherever it is: that is no place to ask.
        if self._waiting and not self._woken:
            self._woken = True
            self._world.soon(self._again)

    def _stop(self) -> None:
        self._waiting = False
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class ThreadMailbox:
    """A conversation's events, and its jobs.

    Attributes:
        name: For the story.
        waiting: The processes that wait for an event, each with what lets it look for one.
        received: How many events were taken out.
    """

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.waiting: dict[Process[Any], Callable[[], None]] = {}
        self.received = 0
        self._world = world
        self._events: deque[Notice] = deque()
        self._jobs: dict[str, Process[Any]] = {}
        self._chunks: Counter[str] = Counter()
        self._closed = False

    @property
    def jobs(self) -> list[str]:
        """The jobs that run, or whose streams are open."""
        return [name for name, job in self._jobs.items() if not job.done or _is_open(job.connection)]

    def post(self, event: Notice) -> None:
        """Put an event in, as `Post` does; also for what comes from outside, such as `Closed`."""
        if isinstance(event, Chunk):
            self._chunks[event.job] += weight(event)
        self._events.append(event)
        for look in list(self.waiting.values()):
            self._world.soon(look)

    def take(self) -> Notice | None:
        """Take out the next event, if there is one."""
        if not self._events:
            return None
        event = self._events.popleft()
        self.received += 1
        if isinstance(event, Chunk):
            self._chunks[event.job] -= weight(event)
            job = self._jobs.get(event.job)
            if job is not None and job.connection is not None:
                job.connection.runner()
        self._world.note(self.name, event)
        return event

    def start(self, name: str, flow: Flow[Any]) -> None:
        """Run a flow in the background. A job of that name is cancelled first, and what it has posted is dropped."""
        self.cancel(name)
        assert not self._closed, f"{self.name} is closed"
        job = Process(self._world, flow, self, f"job {name}", lambda ended: self._ended(name, ended))
        self._jobs[name] = job
        self._world.soon(job.begin)

    def cancel(self, name: str) -> None:
        """End a job, and drop what it has posted."""
        job = self._jobs.pop(name, None)
        if job is not None:
            if job.done and job.connection is not None:
                job.connection.close()
            job.cancel()
        self._events = deque(event for event in self._events if getattr(event, "job", None) != name)
        self._chunks.pop(name, None)

    def close(self) -> None:
        """End all jobs, as a runner does when a conversation's block ends."""
        for name in list(self._jobs):
            self.cancel(name)
        self._closed = True

    def has_room(self, name: str) -> bool:
        """Whether a stream may be read further ahead."""
        return self._chunks[name] < READ_AHEAD

    def _ended(self, name: str, job: Process[Any]) -> None:
        if job.cancelled:
            return
        self.post(JobDone(name, job.result if job.error is None else job.error))
        if job.connection is not None:
            job.connection.read_by(self, name)


class Exchange:
    """A request, as a server sees it.

    Attributes:
        world: The world.
        effect: The effect that made it.
        method: In capitals.
        url: Absolute, without the query.
        params: The query.
        headers: By lower-case names.
        json: The body.
        streaming: Whether the answer may be an event stream.
        left_at: When it left, in the world's time.
        on_close: Set it to learn that the client has gone: it gave up waiting, or closed the stream.
    """

    def __init__(
        self, world: World, effect: SendRequest, answered: Callable[[Outcome, Connection | None], None]
    ) -> None:
        self.world, self.effect = world, effect
        request = effect.request
        self.method = str(request["method"]).upper()
        self.url = str(request["url"])
        self.params: Mapping[str, str] = request.get("params") or {}
        self.headers = {
            name.lower(): value.reveal() if isinstance(value, Secret) else value
            for name, value in (request.get("headers") or {}).items()
        }
        self.json: Any = request.get("json")
        self.streaming = effect.streaming
        self.left_at = world.now
        self.on_close: Callable[[], object] | None = None
        self._answered: Callable[[Outcome, Connection | None], None] | None = answered
        self._connection: Connection | None = None
        self._dead = False
        self._timer = world.own_timer(effect.seconds, self._time_out)

    @property
    def is_waited_for(self) -> bool:
        """Whether an answer would be heard."""
        return self._answered is not None and not self._dead

    def answer(self, outcome: Outcome) -> bool:
        """The answer arrives, or the network says that none will; whether anybody hears it."""
        if not self.is_waited_for:
            return False
        self._finish(outcome, None)
        return True

    def open(self, response: Response) -> Connection | None:
        """The head of an event stream arrives; what to write it to, or `None` where nobody hears it."""
        assert self.streaming, "nobody asked for a stream"
        assert response.is_stream
        if not self.is_waited_for:
            return None
        connection = self._connection = Connection(self)
        self._finish(response, connection)
        return connection

    def abandon(self) -> None:
        """The client waits no longer."""
        if self._answered is not None:
            self._answered = None
            self._timer.cancel()
            self.over(heard=not self._dead)

    def die(self) -> None:
        """The connection under it dies without a word."""
        self._dead = True
        if self._connection is not None:
            self._connection.die()

    def reset(self) -> None:
        """The client's own machine says that the connection is dead, where it still waits for the answer."""
        if self._answered is not None:
            self._finish(TransportFailure(True, False, "the connection was reset"), None)

    def over(self, *, heard: bool) -> None:
        """The client has gone; the server hears of it, but on a dead connection."""
        self.world.forget(self)
        if heard and self.on_close is not None:
            self.on_close()

    def _finish(self, outcome: Outcome, connection: Connection | None) -> None:
        answered, self._answered = self._answered, None
        assert answered is not None
        self._timer.cancel()
        if connection is None:
            self.world.forget(self)
        answered(outcome, connection)

    def _time_out(self) -> None:
        answered = self._answered
        if answered is not None:
            self.abandon()
            answered(TransportFailure(True, True, "no answer in time"), None)


class Connection:
    """An open event stream, as a server writes it.

    Attributes:
        died_at: When it died without a word, in the world's time.
        closed_at: When the client closed it, or was told of its end.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.died_at: float | None = None
        self.closed_at: float | None = None
        self._exchange = exchange
        self._world = exchange.world
        # What has arrived and was not read yet; a text is the reason of its end.
        self._arrived: deque[bytes | str] = deque()
        self._mailbox: ThreadMailbox | None = None
        self._job = ""

    @property
    def is_open(self) -> bool:
        """Whether what is written arrives."""
        return self.died_at is None and self.closed_at is None

    def write(self, data: bytes) -> bool:
        """Something arrives at the client; whether it does."""
        if self.is_open:
            self._arrived.append(data)
            self.runner()
            return True
        return False

    def end(self, reason: str = "it ended") -> bool:
        """The stream ends, and the client hears of it; whether it does."""
        if not self.is_open:
            return False
        self.closed_at = self._world.now
        self._world.forget(self._exchange)
        self._arrived.append(reason)
        self.runner()
        return True

    def die(self) -> None:
        """The connection dies. The client hears nothing of it, and the server nothing of the client."""
        if self.is_open:
            self.died_at = self._world.now

    def close(self) -> None:
        """The client closes it."""
        self._arrived.clear()
        self._mailbox = None
        if self.closed_at is None:
            self.closed_at = self._world.now
            self._exchange.over(heard=self.died_at is None)

    # What mailboxes call.

    def read_by(self, mailbox: ThreadMailbox, job: str) -> None:
        """Post what it brings to a mailbox, from now on."""
        self._mailbox, self._job = mailbox, job
        self.runner()

    def runner(self) -> None:
        """Post what has arrived, as long as there is room."""
        if self._mailbox is None:
            return
        while self._arrived and self._mailbox.has_room(self._job):
            piece = self._arrived.popleft()
            if isinstance(piece, str):
                self._mailbox.post(Ended(self._job, piece, self._world.clock()))
            else:
                self._mailbox.post(Chunk(self._job, piece, self._world.clock()))


def _is_open(connection: Connection | None) -> bool:
    return connection is not None and connection.closed_at is None


def _short(what: object) -> str:
    text = what if isinstance(what, str) else repr(what)
    return text if len(text) <= 160 else f"{text[:157]}…"
