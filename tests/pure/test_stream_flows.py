"""Streams in fake time: the client renews them, survives their faults, and sends few requests in silence."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flow_scenarios import HOUR, MINUTE, Scenario, quiet
from model_server import late_answer, slow, status

__all__ = ["quiet"]


@pytest.mark.parametrize(("asked", "kept"), [(5000, 5.0), (99_999_999, 30.0)])
def test_the_retry_field_of_a_stream_is_obeyed(asked: int, kept: float) -> None:
    """The client opens the next stream after the time in the stream's `retry` field, but after 30 seconds at most.

    A message from that time is handed out.
    """
    scenario = Scenario(life=(20, 20), greeting=f"retry: {asked}\n\n".encode()).listening()
    scenario.say(21, "meanwhile")
    scenario.run(100)
    first, second = scenario.server.streams[:2]
    assert first.opened_at is not None
    assert second.since - first.lost_at == pytest.approx(kept, abs=0.1)
    assert scenario.chat.texts == ["meanwhile"]
    scenario.chat.check()


@pytest.mark.parametrize("newest_first", [False, True])
def test_streams_and_lists_fail_for_ten_minutes(newest_first: bool) -> None:
    """The client tries both again, each after a growing wait. Later it hands out each message, in order."""
    scenario = Scenario(newest_first=newest_first).listening()
    scenario.run(5)
    scenario.server.refuse_streams(500, seconds=10 * MINUTE)
    scenario.server.cut()
    scenario.server.fault("listMessages", *[status(500)] * 1000)
    since = scenario.world.now
    for number in range(5):
        scenario.say(60.0 * number + 30, str(number))
    scenario.run(10 * MINUTE)
    assert scenario.chat.texts == []
    cost = scenario.server.cost(since)
    # The wait grows to half a minute for each of the two.
    assert 20 <= cost["streamMessages"] <= 40
    assert 15 <= cost["listMessages"] <= 30
    scenario.server._faults.clear()
    scenario.run(2 * MINUTE)
    assert scenario.chat.texts == ["0", "1", "2", "3", "4"]
    scenario.chat.check()


@pytest.mark.parametrize(
    "options",
    [{"mute": True}, {"stream_status": 404}, {"heartbeat": None}, {"heartbeat": 1.0}],
    ids=["mute", "polling", "silent", "heartbeats"],
)
def test_an_hour_of_silence_costs_a_request_a_minute(options: dict[str, Any]) -> None:
    """After a message without a reply, an hour costs at most one request a minute, or three without a stream."""
    scenario = Scenario(life=None, **options).listening()
    scenario.world.run_until(scenario.chat.send("hello"))
    sent = scenario.world.now
    scenario.run(HOUR)
    assert scenario.cost(sent, sent + MINUTE) <= 6
    assert scenario.cost(sent, sent + HOUR) <= (180 if "stream_status" in options else 60)


def test_an_event_cut_at_any_byte() -> None:
    """A stream is cut at any byte of an event, also within a character: the message comes whole from the list, once."""
    text = "né 💬"
    for size in range(0, 300, 7):
        scenario = Scenario(life=None).listening()
        scenario.run(5)
        (stream,) = scenario.server.open_streams()
        row = scenario.server.say(scenario.thread_id, text, streamed=False)
        assert stream.connection is not None
        stream.connection.write(scenario.server._event(row)[:size])
        scenario.world.after(0.1, partial(scenario.server.cut, scenario.thread_id))
        scenario.run(30)
        assert scenario.chat.texts == [text], size


@pytest.mark.parametrize("delivered", [False, True])
@pytest.mark.parametrize("cut_before", [0.0, 0.3, 1.0, 3.0, 10.0])
def test_a_reply_is_found_after_a_cut_before_its_message(cut_before: float, delivered: bool) -> None:
    """The stream is cut shortly before the message is sent, and the next stream leaves out the reply: a scan finds it.

    The scan starts five seconds after the message, or twenty if the stream has delivered messages before.
    """
    scenario = Scenario(life=None).listening()
    if delivered:
        scenario.say(1, "before")
    scenario.run(30)
    scenario.server.cut()
    scenario.run(cut_before + 0.1)
    scenario.world.run_until(scenario.chat.send("hello"))
    sent = scenario.world.now
    scenario.say(2, "reply", streamed=False)
    scenario.run(MINUTE)
    assert scenario.chat.texts[-1:] == ["reply"]
    assert scenario.chat.handed[-1].at - sent < (22 if delivered else 7)


def test_a_stream_that_brings_nothing_is_given_up() -> None:
    """A stream twice leaves out what the list shows: for the next minute the client only scans, but more often."""
    scenario = Scenario(life=None, mute=True).listening()
    for number in range(10):
        scenario.world.run_until(scenario.chat.send(str(number)))
        scenario.say(0.5, f"re {number}")
        scenario.run(MINUTE)
    assert scenario.chat.texts == [f"re {number}" for number in range(10)]
    assert scenario.server.cost()["streamMessages"] <= 10
    took = [message.at - (scenario.chat.began + MINUTE * number) for number, message in enumerate(scenario.chat.handed)]
    assert all(seconds < 6 for seconds in took)
    assert [seconds < 2 for seconds in took] == [False, False, True] * 3 + [False]
    scenario.chat.check()


def test_a_dead_stream_is_replaced() -> None:
    """A stream dies without a sign: the client drops it after three missing heartbeats, though no caller needs a reply.

    The client then hands out the messages that the stream did not bring.
    """
    scenario = Scenario(life=None, heartbeat=15.0).listening()
    scenario.say(1, "before")
    scenario.run(7 * MINUTE)
    scenario.server.cut(ending="died")
    scenario.say(1, "meanwhile")
    scenario.run(MINUTE)
    assert scenario.chat.texts == ["before", "meanwhile"]
    scenario.chat.check()


def test_a_list_made_before_the_stream_opened_covers_no_gap() -> None:
    """The server makes a list, then the agent sends a message, then a stream opens, then the list arrives.

    The list lacks the message, so the client scans once more, and hands out the message soon.
    """
    scenario = Scenario(life=None).listening()
    scenario.run(5)
    scenario.server.refuse_streams(503, retry_after="1")
    scenario.server.cut()
    scenario.run(2 * MINUTE)
    scans = scenario.server.cost()["listMessages"]
    scenario.server.fault("listMessages", late_answer(15.0))
    while scenario.server.cost()["listMessages"] == scans:
        scenario.run(0.1)
    scenario.run(0.1)
    scenario.say(0, "between")
    scenario.server.refuse_streams(200)
    scenario.run(14)
    assert scenario.server.open_streams()
    scenario.run(5)
    assert scenario.chat.texts == ["between"]
    scenario.chat.check()


@pytest.mark.parametrize("stamps", ["millisecond", "second", "none"])
def test_a_message_from_a_gap_comes_before_later_messages(stamps: str) -> None:
    """The new stream brings a later message before a slow list shows an earlier one: both are handed out in order.

    Without times, the order follows from an earlier scan.
    """
    scenario = Scenario(life=None, stamps=stamps).listening()
    scenario.say(1, "before")
    scenario.run(6 * MINUTE)
    scenario.server.fault("listMessages", late_answer(1.0))
    scenario.server.fault("streamMessages", slow(0.5))
    scenario.server.cut()
    scenario.say(0.1, "in the gap")
    scenario.say(0.9, "later")
    scenario.run(10)
    assert scenario.chat.texts == ["before", "in the gap", "later"]
    assert scenario.chat.handed[-1].at < 6 * MINUTE + 5


def test_the_old_stream_is_read_to_its_end_after_a_renewal() -> None:
    """The next stream is open while messages are still on their way over the old one: they are handed out at once."""
    scenario = Scenario(life=(20.0, 20.0), stream_way=(0.5, 0.5)).listening()
    scenario.run(2 * MINUTE)
    for number in range(200):
        scenario.say(number / 5, str(number))
    scenario.run(MINUTE)
    assert sorted(scenario.chat.texts, key=int) == [str(number) for number in range(200)]
    assert scenario.chat.late() < 1
    assert len(scenario.server.streams) > 6


def test_a_renewal_that_never_works_is_given_up() -> None:
    """A server allows one stream for each thread: after three refused renewals the client tries no more.

    It opens each stream after the end of the one before, and loses no message.
    """
    scenario = Scenario(life=(20.0, 20.0), one_stream="refuse").listening()
    scenario.run(10 * MINUTE)
    streams = len(scenario.server.streams)
    assert streams > 25
    assert scenario.server.cost()["streamMessages"] <= streams + 6
    for number in range(100):
        scenario.say(number / 2, str(number))
    scenario.run(2 * MINUTE)
    assert scenario.chat.texts == [str(number) for number in range(100)]
    scenario.chat.check()
