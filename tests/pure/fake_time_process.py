"""The runner of the fake world: it runs a flow, and performs its effects."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from fake_time_network import Connection, Exchange, Outcome
from fake_time_timers import Timer
from featherhq._core.effects import (
    AskKey,
    Cancel,
    Effect,
    Flow,
    Post,
    Receive,
    SendRequest,
    Sleep,
    Start,
    TakeSlot,
)
from featherhq._core.responses import Response

if TYPE_CHECKING:
    from fake_time import World
    from fake_time_mailbox import ThreadMailbox

T = TypeVar("T")

# `_perform` returns this if the result of the effect comes later.
_LATER: Final = object()


def at_once(ask: Callable[[], object]) -> Future[object]:
    """Call a function now. Returns its result in the form that a runner gives."""
    future: Future[object] = Future()
    try:
        future.set_result(ask())
    except Exception as error:  # noqa: BLE001 - `Future.result` raises it again
        future.set_exception(error)
    return future


class Process(Generic[T]):
    """A flow that runs. It is a caller or a job.

    Attributes:
        name: The name in the log.
        mailbox: The mailbox of its conversation, if it has one.
        done: Whether the flow has ended.
        cancelled: Whether it ended because it was cancelled.
        started_at: When it was spawned, in the world's time.
        finished_at: When it ended.
        result: What the flow returned.
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
        # Ends the current wait.
        self._stop_waiting: Callable[[], None] | None = None

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled else repr(self.error or self.result) if self.done else "running"
        return f"<{self.name}: {state}>"

    def value(self) -> T:
        """What the flow returned. Raises the error that ended it, if there was one."""
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
        """Run up to the first wait."""
        if not self.done:
            self._advance(None)

    def cancel(self) -> None:
        """End the flow in its current wait, as a cancelled task ends."""
        if self.done:
            return
        self._world.log(self.name, "cancelled")
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
        """Give the flow the result of its last effect, and run it up to the next wait."""
        self._stop_waiting = None
        while True:
            try:
                effect = self._flow.send(value)
            except StopIteration as end:
                return self._end(end.value, None)
            except AssertionError:
                raise
            except Exception as error:  # noqa: BLE001 - `value` raises it again
                return self._end(None, error)
            self._world.count(self.name, type(effect).__name__, effect)
            value = self._perform(effect)
            if value is _LATER:
                return None

    def _end(self, result: T | None, error: Exception | None) -> None:
        self._world.log(self.name, error or result)
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
            assert isinstance(effect, Post), f"an unknown effect: {effect!r}"
            self._box().post(effect.notice)
        return None

    def _box(self) -> ThreadMailbox:
        assert self.mailbox is not None, f"{self.name} has no mailbox"
        return self.mailbox

    def _receive(self, effect: Receive) -> object:
        mailbox = self._box()
        notice = mailbox.take()
        if notice is not None or effect.seconds <= 0:
            return notice

        def stop() -> None:
            timer.cancel()
            mailbox.waiting.pop(self, None)

        def try_to_take() -> None:
            # The notice is taken only when the flow goes on. So a process that is cancelled before takes no notice.
            if self in mailbox.waiting and (notice := mailbox.take()) is not None:
                stop()
                self._advance(notice)

        def time_out() -> None:
            stop()
            self._advance(mailbox.take())

        timer = self._world.wait("Receive", effect.seconds, time_out)
        mailbox.waiting[self] = try_to_take
        self._stop_waiting = stop
        return _LATER

    def _send(self, effect: SendRequest) -> object:
        self._hang_up()
        self.connection = None
        self._world.waits["SendRequest"] += 1

        def on_outcome(outcome: Outcome, connection: Connection | None) -> None:
            self.connection = connection
            self._world.soon(lambda: None if self.done else self._advance(outcome))

        exchange = Exchange(self._world, effect, on_outcome)
        self._stop_waiting = exchange.abandon
        self._world.carry(exchange)
        return _LATER

    def _take_slot(self, effect: TakeSlot) -> object:
        waiter = _SlotWaiter(self._world, self.name, effect, self._advance)
        came = waiter.join()
        if came is None:
            self._stop_waiting = waiter.leave
            return _LATER
        return came


class _SlotWaiter:
    """A process that waits in the queue of the rate limit."""

    def __init__(self, world: World, name: str, effect: TakeSlot, advance: Callable[[bool], None]) -> None:
        self._world, self._name, self._effect, self._advance = world, name, effect, advance
        self._timer: Timer | None = None
        self._waiting = True
        self._woken = False

    def join(self) -> bool | None:
        """Join the queue. Returns whether the slot came in time, or `None` if that is not known yet."""
        self._effect.slot.join(self._wake)
        return self._ask()

    def leave(self) -> None:
        """Leave the queue."""
        self._stop()
        self._effect.slot.leave()

    def _ask(self) -> bool | None:
        self._woken = False
        self._world.count(self._name, "ask", "ask")
        came_or_wait = self._effect.slot.ask(self._world.clock(), self._effect.until)
        if isinstance(came_or_wait, bool):
            self._stop()
            return came_or_wait
        self._stop_timer()
        self._timer = self._world.wait("TakeSlot", came_or_wait, self._ask_again)
        return None

    def _ask_again(self) -> None:
        if self._waiting and (came := self._ask()) is not None:
            self._advance(came)

    def _wake(self) -> None:
        # The rate limit calls this in the middle of its own work. So the next question has to wait.
        if self._waiting and not self._woken:
            self._woken = True
            self._world.soon(self._ask_again)

    def _stop(self) -> None:
        self._waiting = False
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
