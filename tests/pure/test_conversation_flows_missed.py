"""Conversations in fake time: a message that a stream or a list does not show at once is still found."""

from __future__ import annotations

import random
from functools import partial
from itertools import count
from typing import Any

import pytest
from flow_scenarios import HOUR, KEY, MINUTE, Scenario, quiet
from model_server import (
    INBOUND,
    OUTBOUND,
    Call,
    Fault,
    ModelServer,
    Row,
    late_answer,
    lost_after,
    silence,
    slow,
    stale,
    status,
)

__all__ = ["quiet"]

# The stream leaves out a message.


@pytest.mark.parametrize("heartbeat", [None, 15.0])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_message_that_a_long_stream_leaves_out_is_found(heartbeat: float | None, newest_first: bool) -> None:
    """A stream leaves out a message and never ends, and no caller waits for a reply: a scan soon finds it."""
    scenario = Scenario(life=None, heartbeat=heartbeat, newest_first=newest_first, old=30).listening()
    scenario.say(1, "one")
    scenario.say(2, "two", streamed=False)
    scenario.say(3, "three")
    scenario.run(HOUR)
    assert sorted(scenario.chat.texts) == ["one", "three", "two"]
    scenario.chat.check()
    assert max(message.at for message in scenario.chat.handed) < 6 * MINUTE
    # One scan checks the silent stream. A stream without heartbeats is dropped every ten minutes, so more scans follow.
    assert scenario.server.cost()["listMessages"] <= (3 if heartbeat else 3 + 6)


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True])
def test_messages_that_a_stream_leaves_out_between_others_are_found(newest_first: bool) -> None:
    """A stream leaves out random messages between others: a scan in each silence reads back far enough to find them."""
    for seed in range(12):
        rng = random.Random(seed)  # noqa: S311 - no secret
        scenario = Scenario(seed=seed, newest_first=newest_first, old=30).listening()
        for number in range(12):
            streamed = False if rng.random() < 0.5 else rng.choice([None, 0.3])
            scenario.say(rng.uniform(0, 300), str(number), streamed=streamed)
            scenario.world.after(rng.uniform(0, 300), scenario.server.cut)
            scenario.world.after(rng.uniform(0, 300), partial(scenario.chat.send, f"hello {number}"))
        scenario.run(900)
        scenario.chat.check()
        assert max(message.at for message in scenario.chat.handed) < 600


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("old", [0, 300])
@pytest.mark.parametrize("wait", [2.0, 20.0])
def test_a_message_left_out_before_the_first_send_is_found(newest_first: bool, old: int, wait: float) -> None:
    """A stream leaves out a message that the agent sends before the client's first message: a scan finds it."""
    for cut_after in (0.0, 0.5, 30.0):
        scenario = Scenario(newest_first=newest_first, old=old, life=None).listening()
        scenario.say(5, "left out", streamed=False)
        scenario.run(5 + wait)
        scenario.world.run_until(scenario.chat.send("hello"))
        scenario.say(1, "reply")
        scenario.world.after(cut_after, scenario.server.cut)
        scenario.run(10 * MINUTE)
        scenario.chat.check()


def test_a_stream_that_brings_messages_during_a_scan_is_healthy() -> None:
    """A stream that brings a message while a slow scan runs is healthy: the client keeps it, and does not poll."""
    scenario = Scenario(agent=lambda text: [(0.5, f"re: {text}")], heartbeat=None, life=None, stream_way=(0.3, 0.5))
    scenario.listening()
    for number in range(30):
        scenario.server.fault("listMessages", late_answer(3.0))
        scenario.chat.send(str(number))
        # The silences have many lengths, so a scan is often running when a message comes.
        scenario.say(4.9 + number / 10, f"more {number}")
        scenario.run(13)
    scenario.run(MINUTE)
    scenario.chat.check()
    assert scenario.server.cost()["streamMessages"] == 1
    assert scenario.chat.late() < 2.1


def test_a_stream_may_be_slower_than_the_list() -> None:
    """The list shows a message a second before the stream brings it: the client keeps the stream."""
    scenario = Scenario(stream_way=(1.0, 1.0), life=None, heartbeat=None).listening()
    for number in range(20):
        scenario.chat.send(str(number))
        scenario.say(5.0, f"re: {number}")
        scenario.run(20 + number / 7)
    scenario.run(MINUTE)
    scenario.chat.check()
    assert scenario.server.cost()["streamMessages"] == 1


def test_one_fault_of_a_stream_or_a_list_loses_no_message() -> None:
    """One request for a stream or a list fails in any way: each message is handed out less than 25 seconds late."""
    faults: list[Fault] = [silence(), slow(5.0), stale(), lost_after(), status(429, retry_after="1"), status(500)]
    for operation in ("streamMessages", "listMessages"):
        for fault in faults:
            scenario = Scenario(life=(20.0, 25.0)).listening()
            scenario.run(12)
            scenario.server.fault(operation, fault)
            for number in range(10):
                scenario.say(number, str(number))
            scenario.run(200)
            scenario.chat.check()
            assert scenario.chat.late() < 25, (operation, fault)
            assert KEY not in scenario.server.refused


# The list shows a message late.


@pytest.mark.parametrize("newest_first", [False, True])
def test_messages_that_a_list_shows_late_in_any_order(newest_first: bool) -> None:
    """Without a stream, the list shows each message up to eight seconds late and in any order: each is handed out."""
    for seed in range(10):
        scenario = Scenario(seed=seed, stream_status=404, newest_first=newest_first, lag=(0.0, 8.0), old=40).listening()
        for number in range(30):
            scenario.say(scenario.world.random.uniform(0, 120), str(number))
        scenario.run(400)
        scenario.chat.check()
        assert scenario.chat.late() < 60


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("stamps", ["millisecond", "second"])
@pytest.mark.parametrize("skew", [-1.4, -0.4, 0.4, 1.4])
def test_messages_of_one_moment_do_not_hide_the_order_of_a_list(newest_first: bool, stamps: Any, skew: float) -> None:
    """Nearly equal times do not tell the order of the list: the client still hands out each message.

    Pages are small, and messages of the client and of the agent get their times from two clocks.
    """
    for streams in (404, 200):
        scenario = Scenario(
            agent=lambda text: [(0.02, f"re: {text}.0"), (0.05, f"re: {text}.1")],
            newest_first=newest_first,
            stamps=stamps,
            outbound_skew=skew,
            largest_page=2,
            stream_status=streams,
            mute=streams == 200,
        ).listening()
        for number in range(8):
            scenario.chat.send(f"{number}a")
            scenario.chat.send(f"{number}b")
            scenario.run(40)
        scenario.run(6 * MINUTE)
        scenario.chat.check()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("largest_page", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("direction", [INBOUND, OUTBOUND], ids=["inbound", "outbound"])
def test_no_message_is_settled_before_an_older_one(newest_first: bool, largest_page: int, direction: str) -> None:
    """The list shows a message seconds after a scan has read ten younger ones: it is handed out.

    Pages are small, so a scan ends where it meets settled messages.
    """
    for shift in range(0, 4000, 250):
        scenario = Scenario(stream_status=404, newest_first=newest_first, old=12, largest_page=largest_page).listening()
        scenario.world.run_until(scenario.chat.send("hello"))
        scenario.say(0.5, "older", listed_after=4.0 + shift / 1000)
        for number in range(10):
            scenario.say(0.6 + number / 100, f"younger {number}", direction=direction)
        # These messages cause more scans.
        for number in range(8):
            scenario.say(2.0 + number * 2, f"later {number}")
        scenario.run(3 * MINUTE)
        scenario.chat.check()


# Known messages are deleted.


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("any_cursor", [False, True])
@pytest.mark.parametrize("newest_first", [False, True])
def test_known_messages_may_be_deleted(bad_cursor: Any, any_cursor: bool, newest_first: bool) -> None:
    """The last one, two or six messages are deleted again and again: each later message is found."""
    for gone in (1, 2, 6):
        scenario = Scenario(
            old=9,
            largest_page=3,
            life=(12.0, 15.0),
            bad_cursor=bad_cursor,
            any_cursor=any_cursor,
            newest_first=newest_first,
        ).listening()
        for number in range(8):
            scenario.world.run_until(scenario.chat.send(f"hello {number}"))
            scenario.say(2, str(number), streamed=False)
            scenario.run(45)
            for row in scenario.server.rows[scenario.thread_id][-gone:]:
                scenario.server.delete(row)
        assert scenario.chat.texts == [str(number) for number in range(8)], gone


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("streams", [pytest.param(200, marks=pytest.mark.slow), 404])
def test_a_cursor_may_be_refused_in_the_middle_of_a_scan(bad_cursor: Any, newest_first: bool, streams: int) -> None:
    """A message is deleted just before the client uses its id as a cursor: no other message is lost."""
    for nth in range(1, 7):
        scenario = Scenario(
            old=9,
            largest_page=3,
            bad_cursor=bad_cursor,
            newest_first=newest_first,
            stream_status=streams,
            mute=True,
            life=(12.0, 15.0),
        ).listening()
        server, asked = scenario.server, count(1)
        gone: list[Row] = []

        def delete(call: Call, _: random.Random, server: ModelServer = server, nth: int = nth) -> None:
            row = server._by_id.get(call.params.get("cursor", ""))
            if row is not None and next(asked) % nth == 0 and len(gone) < 6:  # noqa: B023 - used within this iteration
                gone.append(row)  # noqa: B023
                server.delete(row)

        server.plan = delete
        for number in range(6):
            scenario.chat.send(f"hello {number}")
            scenario.say(1.5, str(number))
            scenario.run(60)
        scenario.run(6 * MINUTE)
        scenario.chat.check(or_not=gone)
