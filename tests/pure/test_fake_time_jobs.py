"""The fake world: mailboxes, jobs, cancelled processes, and the queue of the rate limit."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from fake_time import ThreadMailbox, World
from fake_time_helpers import collecting, request, sleeping, streaming, world_and_server
from featherhq._core.effects import Cancel, Closed, Flow, JobDone, Notice, Post, Receive, Sleep, Start, TakeSlot
from featherhq._core.rate_limit import RateLimit
from featherhq._core.slots import Priority, Slot, Urgency


def test_a_notice_ends_a_wait() -> None:
    """A reader gets a notice that is already there, or one that comes during its wait. Otherwise it gets `None`."""
    world = World()
    mailbox = world.mailbox()
    seen: list[tuple[float, object]] = []

    def reader() -> Flow[None]:
        for seconds in (0, 1, 5, 0, 0):
            notice = yield Receive(seconds)
            seen.append((world.now, notice))

    def writer() -> Flow[None]:
        yield Sleep(3)
        yield Post(Closed())
        yield Post(Closed("client"))

    world.spawn(reader(), mailbox)
    world.spawn(writer(), mailbox)
    world.run(10)
    assert seen == [(0, None), (1, None), (3, Closed()), (3, Closed("client")), (3, None)]
    assert mailbox.received == 2
    assert world.effects["Receive"] == 5
    assert world.waits["Receive"] == 2


def test_a_cancelled_reader_takes_no_notice_out() -> None:
    """The notice stays in the mailbox, even if it came just before the reader was cancelled."""
    world = World()
    mailbox = world.mailbox()
    first = world.spawn(collecting(10, []), mailbox)
    world.run(1)
    mailbox.post(Closed())
    first.cancel()
    seen: list[Notice] = []
    world.spawn(collecting(1, seen), mailbox)
    world.run(5)
    assert seen == [Closed()]
    assert first.cancelled
    assert first.finished_at == 1


def test_a_job_posts_its_outcome() -> None:
    """The notice has the result of the job, or the error that ended it."""
    world = World()
    seen: list[Notice] = []

    def fine() -> Flow[str]:
        yield Sleep(1)
        return "fine"

    def bad() -> Flow[None]:
        yield Sleep(2)
        raise ValueError("bad")

    def flow() -> Flow[None]:
        yield Start("a", fine())
        yield Start("b", bad())
        yield from collecting(5, seen)

    world.run_until(world.spawn(flow(), world.mailbox()))
    assert seen == [JobDone("a", "fine"), JobDone("b", world.errors[0])]


def test_a_job_that_is_cancelled_or_replaced_posts_nothing_more() -> None:
    """Its flow is closed, and the notices that it has posted already are dropped."""
    world = World()
    closed: list[str] = []
    seen: list[Notice] = []

    def job(name: str, seconds: float) -> Flow[str]:
        try:
            yield Sleep(seconds)
        except GeneratorExit:
            closed.append(name)
            raise
        return name

    def flow() -> Flow[None]:
        yield Start("x", job("first", 5))
        yield Start("x", job("second", 1))
        yield Start("y", job("third", 5))
        yield Start("z", job("fourth", 1))
        yield Sleep(2)
        yield Cancel("y")
        yield Cancel("z")
        yield Cancel("unknown")
        yield from collecting(10, seen)

    mailbox = world.mailbox()
    world.run_until(world.spawn(flow(), mailbox))
    assert seen == [JobDone("x", "second")]
    # The first job was replaced before it began.
    assert closed == ["third"]
    assert not mailbox.jobs


def test_a_mailbox_that_is_closed_starts_no_job() -> None:
    """It raises an `AssertionError`, because nothing would ever end such a job."""
    world = World()
    mailbox = ThreadMailbox(world, "over")
    mailbox.close()

    def flow() -> Flow[None]:
        yield Start("late", sleeping(1))

    world.spawn(flow(), mailbox)
    with pytest.raises(AssertionError, match="over is closed"):
        world.run(1)


def test_a_mailbox_can_be_closed_with_its_process() -> None:
    """The jobs of the mailbox end when the process ends, or when it is cancelled."""
    world, server, thread = world_and_server()
    for cancelled in (False, True):
        mailbox = world.mailbox()
        process = world.spawn(streaming(thread, 5, []), mailbox, ends_mailbox=True)
        world.run_for(1)
        assert len(server.open_streams(thread)) == 1
        assert mailbox.jobs == ["stream"]
        if cancelled:
            process.cancel()
        world.run_for(30)
        assert not server.open_streams(thread)
        assert server.streams[-1].ending == "left"


# Cancelled processes, and the queue of the rate limit.


class NeverFree:
    """A slot that is never free.

    Attributes:
        left: How often a caller has left the queue.
    """

    def __init__(self) -> None:
        self.left = 0

    def join(self, wake: Callable[[], None]) -> None: ...

    def ask(self, now: float, until: float) -> float | bool:
        return until - now > 0 and 1.0

    def leave(self) -> None:
        self.left += 1


def test_a_process_can_be_cancelled_in_any_wait() -> None:
    """Its flow is closed at once, and it leaves the queue. The server still processes a request that was sent."""
    world, server, thread = world_and_server()
    slot: Any = NeverFree()
    left = []

    def flow(effect: Any) -> Generator[Any, Any, None]:
        try:
            yield effect
        finally:
            left.append(world.now)

    effects = [Sleep(9), Receive(9), TakeSlot(slot, 1e9), request(thread, "/messages", json={"message": "x"})]
    processes = [world.spawn(flow(effect), world.mailbox()) for effect in effects]
    world.run(0.005)
    for process in processes:
        process.cancel()
        process.cancel()
    assert left == [0.005] * 4
    assert slot.left == 1
    world.run(20)
    assert server.received(thread) == ["x"]
    assert all(process.cancelled and process.result is None for process in processes)


def test_a_process_asks_for_its_slot_as_often_as_the_slot_says() -> None:
    """It asks once per wait, and no more after the slot has said no."""
    world = World()
    slot: Any = NeverFree()

    def flow() -> Flow[bool]:
        came: bool = yield TakeSlot(slot, world.clock() + 3.5)
        return came

    process = world.run_until(world.spawn(flow()))
    assert process.value() is False
    assert process.took == 4
    assert world.effects["ask"] == 5
    assert slot.left == 0


def test_the_real_rate_limit_works_in_the_fake_world() -> None:
    """Thirty requests get ten slots a second, the urgent ones first. A process that is cancelled blocks no others."""
    world = World()
    limit = RateLimit(10)
    order: list[tuple[float, str]] = []

    def flow(name: str, slot: Slot) -> Flow[None]:
        if (yield TakeSlot(slot, world.clock() + 60)):
            order.append((world.now, name))
            yield Sleep(0.05)
            slot.answered(world.clock())

    waiting = [
        world.spawn(flow(name, limit.slot(Urgency(priority))))
        for name, priority in [("owed", Priority.OWED)] * 20 + [("now", Priority.NOW)] * 10
    ]
    world.run(0.5)
    for process in waiting[10:15]:
        process.cancel()
    world.run(10)
    assert [name for _, name in order] == ["owed"] * 10 + ["now"] * 10 + ["owed"] * 5
    assert order[9][0] == 0
    assert 1.0 < order[10][0] < 1.1
    assert 2.0 < order[20][0] < 2.3
