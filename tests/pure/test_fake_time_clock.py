"""The fake world: its time, its waits, and the machine that sleeps."""

from __future__ import annotations

import random
from functools import partial

import pytest
from fake_time import EPOCH, World
from fake_time_helpers import (
    flow_of,
    post,
    request,
    run_flow,
    sleeping,
    streamed,
    streaming,
    world_and_server,
)
from featherhq._core.effects import Ended, Flow, Notice, Receive, Sleep, Start
from featherhq._core.responses import TransportFailure
from model_server import ModelServer, drawn, mishaps, slow


def test_each_wait_ends_exactly_on_time() -> None:
    """A wait ends exactly at its time, even if the clock does not start at 0."""
    world = World(started_at=5.5)

    def flow() -> Flow[list[float]]:
        clocks = [world.clock()]
        for seconds in (0.1, 0.2, 0.0, 3600):
            yield Sleep(seconds)
            clocks.append(world.clock())
        return clocks

    assert run_flow(world, flow()) == [5.5, 5.6, 5.6 + 0.2, 5.6 + 0.2, 5.6 + 0.2 + 3600]
    assert world.wall_clock() == EPOCH + world.now
    assert world.waits["Sleep"] == 4


def test_waits_with_slack_end_late_but_never_early() -> None:
    """With a slack of 0.01 s, a wait ends up to 0.01 s late, as on a busy machine."""
    world = World(slack=0.01)
    process = world.run_until(world.spawn(sleeping(1.0)))
    assert 1.0 < process.took < 1.011


def test_processes_run_side_by_side() -> None:
    """Each process goes on when its own wait ends, and the world stops at the given time."""
    world = World()
    processes = [world.spawn(sleeping(seconds)) for seconds in (3, 1, 2)]
    world.run(2.5)
    assert [process.finished_at for process in processes] == [None, 1, 2]
    assert world.now == 2.5
    world.run_for(1)
    assert processes[0].took == 3
    assert world.now == 3.5


def test_an_error_ends_its_own_process() -> None:
    """The world and the process keep the error, and the process raises it again."""
    world = World()

    def flow() -> Flow[None]:
        yield Sleep(1)
        raise ValueError("oh")

    process = world.run_until(world.spawn(flow()))
    assert str(process.error) == "oh"
    assert world.errors == [process.error]
    with pytest.raises(ValueError, match="oh"):
        process.value()


def test_an_endless_loop_is_found() -> None:
    """The world raises an `AssertionError` if a flow yields effects without end while almost no time passes."""

    def loop(seconds: float) -> Flow[None]:
        while True:
            yield Sleep(seconds)

    for seconds in (0.0, 1e-12):
        world = World()
        world.spawn(loop(seconds))
        with pytest.raises(AssertionError, match="endless loop"):
            world.run(1)
    world = World()
    world.spawn(loop(0.001))
    world.run(60)


def test_a_process_that_does_not_end_in_time_is_found() -> None:
    """`run_until` raises an `AssertionError`, and its message shows the world's log."""
    world = World()

    def flow() -> Flow[None]:
        yield Sleep(10)

    with pytest.raises(AssertionError, match=r"caller has not ended after 5 s\n.*Sleep"):
        world.run_until(world.spawn(flow()), within=5)


def test_the_same_seed_gives_the_same_world() -> None:
    """Two worlds with the same seeds have exactly the same log."""

    def log() -> str:
        world = World(seed=3)
        server = ModelServer(world, drawn(random.Random(5)), seed=4)  # noqa: S311 - no secret
        server.plan = mishaps(0.3)
        thread = server.thread()
        for number in range(20):
            world.at(number, lambda: world.spawn(post(thread)))
        world.run(100)
        return world.log_text()

    assert log() == log()


def test_a_quiet_hour_has_few_waits() -> None:
    """An hour with heartbeats and a new stream every minute has less than 500 waits, so it takes almost no time."""
    world, _, thread = world_and_server(life=(60, 60))

    def flow() -> Flow[None]:
        while world.now < 3600:
            yield Start("stream", flow_of(request(thread, "/stream")))
            while not isinstance((yield Receive(100)), Ended):
                pass

    world.run_until(world.spawn(flow(), world.mailbox()))
    assert world.effects["SendRequest"] == 60
    assert sum(world.waits.values()) < 500


# The machine that sleeps.


def test_a_stream_of_a_machine_that_sleeps_is_lost_unnoticed() -> None:
    """The machine's clock stops and the world's time goes on. The client gets no message during or after the sleep."""
    world, server, thread = world_and_server(heartbeat=10.0)
    seen: list[Notice] = []
    process = world.spawn(streaming(thread, 30, seen), world.mailbox(), ends_mailbox=True)
    for at, text in ((5, "before"), (100, "meanwhile"), (4000, "after")):
        world.at(at, partial(server.say, thread, text))
    world.at(6, lambda: world.fall_asleep(3600))
    world.run(3605.9)
    assert world.asleep
    assert world.clock() == 1006
    assert world.wall_clock() == EPOCH + 3605.9
    world.run(3607)
    assert not world.asleep
    assert world.clock() == pytest.approx(1007)
    world.run_until(process)
    # The last message was "before", at 5 s. The client has waited 30 s of its own clock since then.
    assert process.finished_at == pytest.approx(3635.01)
    assert streamed(seen) == ["before"]
    assert not any(isinstance(notice, Ended) for notice in seen)
    assert server.known_from(server.expected(thread)[1]) == 100
    # The server has given up the stream.
    assert server.streams[0].ending == "died"


def test_a_request_is_lost_when_the_machine_sleeps() -> None:
    """The request ends at its timeout by the machine's clock. The server has done its work."""
    world, server, thread = world_and_server()
    server.fault("sendMessage", slow(2))
    process = world.spawn(post(thread, seconds=5))
    world.at(1, lambda: world.fall_asleep(100))
    world.run_until(process)
    assert process.value() == TransportFailure(True, True, "no response in time")
    assert process.finished_at == 105
    assert server.received(thread) == ["hello"]
    late = world.spawn(sleeping(1))
    world.at(110, lambda: world.fall_asleep(5))
    world.run_until(late)
    assert late.finished_at == 106
