"""What a conversation promises, with servers of many kinds: flows in fake time, against a model of the server."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
from flow_scenarios import HOUR, KEY, MINUTE, Agent, Chat, Scenario, quiet
from model_server import drawn, mishaps, status

# Other tests import these names from here.
__all__ = ["HOUR", "KEY", "MINUTE", "Agent", "Chat", "Scenario", "quiet"]

# Each message is handed out once and in order.


def test_a_message_that_the_stream_leaves_out_comes_with_the_next_scan() -> None:
    """A message that the stream leaves out comes with the next scan, at the latest when the stream ends."""
    scenario = Scenario().listening()
    scenario.say(1, "one")
    scenario.say(2, "two", streamed=False)
    scenario.say(3, "three")
    scenario.run(100)
    assert sorted(scenario.chat.texts) == ["one", "three", "two"]
    scenario.chat.check()
    assert scenario.chat.late() < 3


def test_a_cut_between_two_events_out_of_order() -> None:
    """The stream brings the second message and is cut before it brings the first: each is handed out once."""
    scenario = Scenario().listening()
    scenario.say(1, "one", streamed=0.4)
    scenario.say(1.1, "two")
    scenario.world.after(1.3, scenario.server.cut)
    scenario.run(100)
    assert sorted(scenario.chat.texts) == ["one", "two"]
    scenario.chat.check()
    assert scenario.chat.late() < 3


@pytest.mark.parametrize("newest_first", [False, True])
def test_an_older_message_that_the_list_shows_later(newest_first: bool) -> None:
    """Without a stream, a message is found though the list shows it 150 ms after a younger one.

    The test tries this at many times between two scans.
    """
    for shift in range(0, 3000, 130):
        scenario = Scenario(stream_status=404, newest_first=newest_first, old=5).listening()
        asked = scenario.chat.send("hello")
        scenario.world.run_until(asked)
        scenario.say(shift / 1000, "older", listed_after=0.2)
        scenario.say(shift / 1000 + 0.05, "younger", listed_after=0.0)
        scenario.run(120)
        assert sorted(scenario.chat.texts) == ["older", "younger"], shift
        scenario.chat.check()


def test_a_scan_in_the_queue_delays_no_reply() -> None:
    """While a scan waits in the queue for its slot, the stream stays open and brings a reply at once."""
    scenario = Scenario(life=None, heartbeat=None, client={"rate_limit": 1.0}).listening()
    scenario.world.run_until(scenario.chat.send("hello"))
    for _ in range(50):
        # A caller waits for each of these openings, so they get their slots before any scan.
        scenario.conversation(thread_id=scenario.server.thread()).open_soon()
    scenario.say(20, "reply")
    scenario.run(100)
    assert scenario.chat.texts == ["reply"]
    assert scenario.chat.late() < 0.1
    assert scenario.server.cost(thread_id=scenario.thread_id)["streamMessages"] == 1


def test_a_long_retry_after_stops_no_messages() -> None:
    """The server refuses a stream with a `Retry-After` of an hour: until then, scans of the list find new messages."""
    scenario = Scenario(life=(10, 10)).listening()
    scenario.run(5)
    scenario.server.refuse_streams(503, retry_after="3600")
    scenario.say(20, "one")
    scenario.say(200, "two")
    scenario.run(400)
    assert scenario.chat.texts == ["one", "two"]
    assert scenario.chat.late() < 31


@pytest.mark.parametrize("asleep", [30.0, HOUR, 12 * HOUR])
def test_no_message_is_lost_while_the_machine_sleeps(asleep: float) -> None:
    """Messages that the agent sends while the client's machine sleeps are handed out soon after it wakes."""
    scenario = Scenario(life=None).listening()
    scenario.run(20)
    scenario.world.fall_asleep(asleep)
    scenario.say(asleep / 2, "meanwhile")
    scenario.say(asleep + 5, "after")
    scenario.run(asleep + 200)
    assert scenario.chat.texts == ["meanwhile", "after"]
    woke = 20 + asleep
    assert all(message.at < woke + 100 for message in scenario.chat.handed)


def test_the_last_known_message_may_be_deleted() -> None:
    """The last known message is deleted: the client still finds later messages, and hands out no old ones."""
    for newest_first in (False, True):
        scenario = Scenario(old=7, largest_page=3, stream_status=404, newest_first=newest_first).listening()
        scenario.say(5, "one")
        scenario.run(60)
        assert scenario.chat.texts == ["one"]
        scenario.server.delete(scenario.server.expected(scenario.thread_id)[-1])
        scenario.say(5, "two")
        scenario.run(120)
        assert scenario.chat.texts == ["one", "two"]


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_guessed_cursors_may_be_refused(bad_cursor: int | str, newest_first: bool) -> None:
    """The server refuses cursors that it did not give out, or lists nothing after them.

    The client then reads the list from its beginning, and hands out each message.
    """
    options: dict[str, Any] = {"any_cursor": False, "bad_cursor": bad_cursor, "newest_first": newest_first}
    scenario = Scenario(old=250, stream_status=404, **options).listening()
    for number in range(5):
        scenario.say(30 * number, str(number))
    scenario.run(300)
    assert scenario.chat.texts == ["0", "1", "2", "3", "4"]
    assert scenario.chat.late() < 40


# Which message is the reply.


@pytest.mark.parametrize("streams", [200, 404])
def test_a_reply_may_have_an_earlier_time_than_its_message(streams: int) -> None:
    """A reply is returned though its time is two seconds before that of its message: two clocks made these times."""
    skews: dict[str, Any] = {"inbound_skew": 1.0, "outbound_skew": -1.0}
    scenario = Scenario(agent=lambda text: [(0.3, f"re: {text}")], old=4, stream_status=streams, **skews)
    scenario.chat.open()
    for text in ("one", "two"):
        assert scenario.world.run_until(scenario.chat.ask(text)).value().text == f"re: {text}"
    once = scenario.conversation().ask_once("three")
    assert scenario.world.run_until(once).value().text == "re: three"


@pytest.mark.parametrize("once", [False, True])
def test_an_old_message_that_the_stream_repeats_is_no_reply(once: bool) -> None:
    """The stream sends messages of yesterday again when it opens: none of them is returned as the reply."""
    scenario = Scenario(agent=lambda _: [(2.0, "reply")], old=6, replay=3)
    if once:
        asked = scenario.chat.ask_once("hello")
    else:
        scenario.chat.open()
        asked = scenario.chat.ask("hello")
    assert scenario.world.run_until(asked).value().text == "reply"


def test_old_messages_with_one_time_are_not_new() -> None:
    """All messages have the same time, or none: those from before the conversation are not handed out."""
    for stamps in ("same", "none"):
        scenario = Scenario(old=20, stamps=stamps, life=(20, 20)).listening()
        scenario.say(50, "new")
        scenario.run(200)
        assert scenario.chat.texts == ["new"]


# How many requests it costs, and how soon a message comes.


def test_an_idle_conversation_costs_two_requests_for_each_stream() -> None:
    """An idle hour costs at most two requests for each stream, and few waits."""
    scenario = Scenario(old=10).listening()
    scenario.run(HOUR)
    streams = len(scenario.server.streams)
    assert streams > 40
    assert scenario.cost() <= 2 * streams + 2
    assert sum(scenario.world.waits.values()) < 10 * HOUR / 15


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}], ids=["mute", "polling"])
def test_a_reply_comes_without_a_stream(options: dict[str, Any]) -> None:
    """If the stream brings nothing, or there is none, a reply is returned within six seconds."""
    for delay in (0.1, 1.0, 3.0):
        scenario = Scenario(agent=lambda text: [(float(text), "reply")], **options)
        scenario.chat.open()
        asked = scenario.world.run_until(scenario.chat.ask(str(delay)))
        assert asked.value().text == "reply"
        assert asked.took < delay + 6


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}, {}], ids=["mute", "polling", "healthy"])
def test_a_minute_of_silence_costs_six_requests(options: dict[str, Any]) -> None:
    """In the minute after a message without a reply, the client sends at most six requests."""
    scenario = Scenario(life=None, **options).listening()
    scenario.world.run_until(scenario.chat.send("hello"))
    sent = scenario.world.now
    scenario.run(MINUTE)
    assert scenario.cost(sent, sent + MINUTE) <= 6


def test_a_404_for_a_new_stream_does_not_end_streaming() -> None:
    """During a deploy the server answers 404 to a new stream for a minute: later the client opens a stream again.

    Then messages come at once again.
    """
    scenario = Scenario(life=(20, 20)).listening()
    scenario.say(1, "one")
    scenario.run(10)
    scenario.server.refuse_streams(404, seconds=60)
    scenario.run(10 * MINUTE)
    since = scenario.world.now
    for number in range(20):
        scenario.say(13.0 * number, str(number))
    scenario.run(300)
    assert len(scenario.chat.handed) == 21
    assert scenario.chat.late() < 31
    late = [message.at - since - 13.0 * int(message.text) for message in scenario.chat.handed[1:]]
    assert sorted(late)[10] < 0.1


def test_a_cancelled_call_loses_no_message() -> None:
    """A caller may give up at any time: the next call hands out each message once."""
    for tenths in range(0, 60, 3):
        scenario = Scenario(life=(3, 3), counting=None)
        scenario.chat.open()
        for number in range(5):
            scenario.say(number + 0.5, str(number))
        listener = scenario.chat.listen()
        scenario.world.after(tenths / 10, listener.cancel)
        scenario.run(tenths / 10 + 0.01)
        scenario.chat.listen()
        scenario.run(100)
        assert scenario.chat.texts == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("counting", ["bucket", "sliding", "fixed"])
def test_a_deploy_cuts_all_streams_at_once(counting: str) -> None:
    """A deploy cuts the streams of a hundred conversations with one key, one of which waits for a reply.

    That reply comes first. The server refuses no request, and no conversation loses a message.
    """
    scenario = Scenario(counting=counting, life=None)
    chats = [scenario.conversation(thread_id=scenario.server.thread()) for _ in range(100)]
    for chat in chats:
        chat.open_soon()
    scenario.run(30)
    for chat in chats[:-1]:
        chat.listen()
    asked = chats[-1].ask("hello")
    scenario.run(1)
    assert scenario.server.received(chats[-1].thread_id) == ["hello"]
    assert scenario.server.cut() == 100
    for chat in chats:
        scenario.world.after(0.5, partial(scenario.server.say, chat.thread_id, "meanwhile"))
    assert scenario.world.run_until(asked).took < 5
    scenario.run(120)
    for chat in chats:
        assert chat.texts == ["meanwhile"]
    assert not scenario.server.refused


# With servers of all kinds.


@pytest.mark.parametrize("seed", range(40))
def test_each_message_is_sent_and_handed_out_once(seed: int) -> None:
    """With a random server and random faults, no message is lost, handed out twice or sent twice."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    scenario = Scenario(
        seed=seed,
        agent=lambda text: [(rng.uniform(0, 5), f"{text}.{number}") for number in range(rng.choice([0, 1, 1, 3]))],
        old=rng.choice([0, 5, 300]),
        server=drawn(rng),
    )
    scenario.server.fault("streamMessages", *[status(503, retry_after="0")] * rng.randint(0, 2))
    scenario.listening()
    scenario.server.plan = mishaps(rng.choice([0.0, 0.02, 0.2]), "sendMessage", "listMessages", "streamMessages")
    sent = []
    for number in range(20):
        scenario.run(rng.choice([0.0, 0.1, 3.0, 30.0]))
        sent.append(scenario.chat.send(str(number)))
        if rng.random() < 0.1:
            scenario.server.cut(ending=rng.choice(["ended", "lost", "died"]))
    scenario.server.plan = None
    scenario.run(20 * MINUTE)
    received = scenario.server.received(scenario.thread_id)
    new = [text for text in received if not text.startswith("old")]
    assert len(new) == len(set(new))
    assert all(process.done for process in sent)
    assert {str(number) for number, process in enumerate(sent) if process.error is None} <= set(new)
    scenario.chat.check()
