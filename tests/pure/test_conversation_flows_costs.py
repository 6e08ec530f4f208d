"""Conversations in fake time: how many requests they send, in silence and in large numbers."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from statistics import median, quantiles
from typing import Any

import pytest
from fake_time import Process
from featherhq import ReplyTimeoutError
from featherhq.models import Message
from flow_scenarios import HOUR, MINUTE, Scenario, ask_and_wait, quiet

__all__ = ["quiet"]

# One conversation.


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}, {}], ids=["mute", "polling", "healthy"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_minute_of_silence_in_a_long_thread(options: dict[str, Any], newest_first: bool) -> None:
    """Once the client has read a long thread, a minute without a reply costs at most six requests."""
    scenario = Scenario(life=None, old=500, newest_first=newest_first, **options).listening()
    scenario.world.run_until(scenario.chat.send("first"))
    scenario.say(1, "reply")
    scenario.run(5 * MINUTE)
    scenario.world.run_until(scenario.chat.send("hello"))
    sent = scenario.world.now
    waits = sum(scenario.world.waits.values())
    scenario.run(MINUTE)
    assert scenario.cost(sent, sent + MINUTE) <= 6
    assert sum(scenario.world.waits.values()) - waits < 100


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}, {}], ids=["mute", "polling", "healthy"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("seconds", [1.0, 4.0, 60.0])
def test_an_ask_without_a_reply_is_cheap(options: dict[str, Any], newest_first: bool, seconds: float) -> None:
    """An `ask` without a reply sends few requests, and reads a thread of five hundred messages at most once."""
    for old in (0, 500):
        scenario = Scenario(old=old, newest_first=newest_first, **options)
        scenario.chat.open()
        waits, cost = sum(scenario.world.waits.values()), scenario.cost()
        asked = ask_and_wait(scenario, scenario.chat, "hello", seconds)
        assert isinstance(asked.error, ReplyTimeoutError)
        assert asked.took < seconds + 0.01
        assert sum(scenario.world.waits.values()) - waits < 60
        # The requests are the message, six scans and a stream. The rest reads the thread once.
        assert scenario.cost() - cost <= 1 + 6 + 1 + old // 100


@pytest.mark.parametrize("heartbeat", [None, 15.0])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("life", [pytest.param((48.0, 72.0), marks=pytest.mark.slow), (280.0, 320.0)])
def test_an_idle_conversation_for_hours(heartbeat: float | None, newest_first: bool, life: tuple[float, float]) -> None:
    """An idle conversation costs two requests for each stream, also in a thread of five thousand messages.

    Between these there is one scan every five minutes, until a stream has proven that it brings messages.
    """
    scenario = Scenario(old=5000, heartbeat=heartbeat, newest_first=newest_first, life=life).listening()
    scenario.run(10 * MINUTE)
    since, streams, waits = scenario.world.now, len(scenario.server.streams), sum(scenario.world.waits.values())
    scenario.run(3 * HOUR)
    streams = len(scenario.server.streams) - streams
    assert scenario.cost(since) <= 2.0 * streams + 1
    assert sum(scenario.world.waits.values()) - waits < 3 * HOUR / 5
    opened = [stream.opened_at for stream in scenario.server.streams if stream.opened_at is not None]
    between = [
        call
        for call in scenario.server.calls
        if call.at > since and not any(at - 6 <= call.at <= at + 6 for at in opened)
    ]
    assert len(between) <= 3 * HOUR / (5 * MINUTE) + 1


@pytest.mark.parametrize("streams", [200, 404])
@pytest.mark.parametrize("newest_first", [False, True])
def test_ten_silent_minutes_in_a_very_long_thread(streams: int, newest_first: bool) -> None:
    """The client reads a thread of five thousand messages at most once, with a stream and without."""
    scenario = Scenario(old=5000, stream_status=streams, newest_first=newest_first).listening()
    scenario.world.run_until(scenario.chat.send("hello"))
    scenario.say(1, "reply")
    scenario.run(10 * MINUTE)
    scenario.chat.check()
    # Fifty pages, then one scan every thirty seconds, or two requests for each stream.
    assert scenario.cost() <= 50 + 30 + 10
    before = scenario.world.now
    scenario.run(10 * MINUTE)
    assert scenario.cost(before) <= 2 * 10 + 4


@pytest.mark.parametrize("stamps", ["millisecond", "second", "same", "none"])
@pytest.mark.parametrize("streams", [200, 404])
@pytest.mark.parametrize("newest_first", [False, True])
def test_old_messages_of_a_very_long_thread_are_not_handed_out(stamps: Any, streams: int, newest_first: bool) -> None:
    """A thread has more messages than the client remembers: new messages are handed out once, and old ones never."""
    scenario = Scenario(old=2500, stamps=stamps, stream_status=streams, newest_first=newest_first).listening()
    scenario.run(5)
    for number in range(4):
        scenario.say(3 + 60.0 * number, str(number))
        scenario.world.after(60.0 * number, partial(scenario.chat.send, f"hello {number}"))
    scenario.run(10 * MINUTE)
    scenario.chat.check()
    assert scenario.cost() <= 200


@pytest.mark.parametrize("heartbeat", [None, 15.0])
@pytest.mark.parametrize("life", [None, (280.0, 320.0)])
def test_an_ask_every_ninety_seconds(heartbeat: float | None, life: tuple[float, float] | None) -> None:
    """An `ask` every ninety seconds costs the request for its message, and few others."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], heartbeat=heartbeat, life=life)
    scenario.chat.open()
    for number in range(60):
        asked = ask_and_wait(scenario, scenario.chat, str(number))
        assert asked.value().text == f"re: {number}"
        scenario.run(90 - asked.took)
    streams = len(scenario.server.streams)
    assert scenario.cost() <= 60 + 2 * streams + (60 if life is None else 0)
    assert scenario.server.cost()["sendMessage"] == 60


# Many conversations.


@pytest.mark.slow
def test_a_thousand_streams_that_are_cut_at_once_open_slowly() -> None:
    """A thousand streams are cut within a second: even without a rate limit, they open again over some seconds."""
    scenario = Scenario(counting=None, life=None, client={"rate_limit": None})
    scenario.world.most_effects = 200_000
    chats = [scenario.conversation(thread_id=scenario.server.thread()) for _ in range(1000)]
    for chat in chats:
        chat.open_and_listen()
    scenario.run(30)
    cut_at = scenario.world.now
    for chat in chats:
        scenario.world.after(scenario.world.random.random(), partial(scenario.server.cut, chat.thread_id))
        at = scenario.world.random.uniform(1, 10)
        scenario.world.after(at, partial(scenario.server.say, chat.thread_id, "meanwhile"))
    scenario.run(30)
    tenths = Counter(math.floor((call.at - cut_at) * 10) for call in scenario.server.calls if call.at > cut_at)
    assert max(tenths.values()) <= 60
    assert len(scenario.server.open_streams()) == 1000
    assert all(chat.texts == ["meanwhile"] for chat in chats)
    # Each has a stream and a scan. A second scan follows if a message came while the list might show it late.
    assert scenario.cost(cut_at) <= 2.5 * 1000


@pytest.mark.slow
@pytest.mark.parametrize("counting", ["bucket", "sliding", "fixed"])
@pytest.mark.parametrize(("conversations", "most"), [(200, 0.3), (400, 0.5)])
def test_many_conversations_a_quarter_of_which_ask(counting: Any, conversations: int, most: float) -> None:
    """With hundreds of conversations, a quarter of which ask, a reply comes hardly later than the agent sends it.

    Streams live for a minute, the limit is ten requests a second, and there are 1.6 calls of `ask` a second.
    """
    scenario = Scenario(counting=counting, life=(48.0, 72.0), agent=lambda text: [(1.0, f"re: {text}")])
    scenario.world.most_effects = 100_000
    chats = [scenario.conversation(thread_id=scenario.server.thread()) for _ in range(conversations)]
    asking = chats[: conversations // 4]
    for chat in chats:
        chat.open_soon() if chat in asking else chat.open_and_listen()
    scenario.run(MINUTE)
    asks: list[Process[Message]] = []
    for number in range(240):
        asks.append(asking[number % len(asking)].ask(str(number)))
        scenario.run(1 / 1.6)
    scenario.run(15)
    waits = sorted(asked.took - 1.0 for asked in asks)
    assert [asked.value().text for asked in asks] == [f"re: {number}" for number in range(240)]
    assert median(waits) <= 0.05 + 0.06
    assert quantiles(waits, n=10)[-1] <= most
    assert waits[-1] <= 2
    assert not scenario.server.refused
