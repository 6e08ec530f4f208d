"""The model server: its agent, the checks of what a client must do, and drawn options and faults."""

from __future__ import annotations

import random

import pytest
from fake_time import World
from fake_time_helpers import FIXED, post, run_flow, streaming, world_and_server
from model_server import (
    MISHAPS,
    Call,
    Handed,
    ModelServer,
    Options,
    check_once,
    check_order,
    drawn,
    lateness,
    mishaps,
)


def test_the_agent_replies() -> None:
    """It may reply several times, later, or not at all."""
    world = World()
    server = ModelServer(
        world, Options(**FIXED), agent=lambda text: [(1, f"{text}?"), (2, "well")] if text != "-" else []
    )
    thread = server.thread()
    for text in ("hi", "-"):
        run_flow(world, post(thread, text))
    world.run(10)
    assert [(row.text, round(row.made_at, 2)) for row in server.rows[thread]] == [
        ("hi", 0.01),
        ("-", 0.03),
        ("hi?", 1.01),
        ("well", 2.01),
    ]


def test_the_checks_find_each_mistake_of_a_client() -> None:
    """They find a message that is missing, given twice, unexpected or out of order. They report delays and requests."""
    world, server, thread = world_and_server()
    server.old(thread, 4)
    world.run_until(world.spawn(streaming(thread, 1, []), world.mailbox()))
    one = server.say(thread, "one")
    world.run_for(0.5)
    two = server.say(thread, "two")
    world.run_for(2)
    gone = server.say(thread, "gone")
    server.delete(gone)
    rows = server.expected(thread)
    assert rows == [one, two]
    both = [Handed(row.id, row.text, world.now) for row in rows]
    check_once(rows, both)
    check_once(rows, [*both, Handed(gone.id, "gone", 9)], or_not=[gone])
    check_order(server, thread, both, "key")
    for handed, message in (
        (both[:1], "never given: .*two"),
        (both * 2, "more than once: .*one"),
        ([*both, Handed("x", "?", 1)], "not expected"),
    ):
        with pytest.raises(AssertionError, match=message):
            check_once(rows, handed)
    with pytest.raises(AssertionError, match=r"'two' was given at .* before 'one'"):
        check_order(server, thread, both[::-1], "key")
    # A client that got neither message cannot know their order.
    check_order(server, thread, both[::-1], "another key")
    assert lateness(server, thread, both) == pytest.approx({"one": 2.49, "two": 1.99})
    assert server.cost() == {"streamMessages": 1}
    assert not server.cost(since=1)
    two.stamp = one.stamp
    check_order(server, thread, both[::-1], "key")


def test_a_server_with_drawn_options_and_faults_responds() -> None:
    """With any seed, each request ends, and no message is in the thread twice. A plan may have faults of all kinds."""
    for seed in range(30):
        rng = random.Random(seed)  # noqa: S311 - no secret
        world = World(seed)
        server = ModelServer(world, drawn(rng), agent=lambda text: [(rng.random(), text)], seed=seed)  # noqa: B023
        server.plan = mishaps(0.5, "sendMessage")
        thread = server.thread()
        world.spawn(streaming(thread, 60, []), world.mailbox())
        processes = []
        for number in range(30):
            world.run(number)
            processes.append(world.spawn(post(thread, str(number))))
        world.run(100)
        assert all(process.done for process in processes)
        assert len(server.received(thread)) == len(set(server.received(thread)))
        assert server.cost() == {"streamMessages": 1, "sendMessage": 30}
    call = Call("listMessages", "", "", 0.0, {})
    assert mishaps(1.0, "sendMessage")(call, rng) is None
    assert mishaps(1.0)(call, rng) in MISHAPS
