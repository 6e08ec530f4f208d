"""Conversations in fake time: how soon a message is handed out, with and without streams."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest
from flow_scenarios import HOUR, MINUTE, Scenario, ask_and_wait, quiet
from model_server import lost_after, never_sent, status

__all__ = ["quiet"]


@pytest.mark.parametrize("options", [{"mute": True}, {"stream_status": 404}], ids=["mute", "polling"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("old", [0, 500])
def test_a_reply_without_a_stream(options: dict[str, Any], newest_first: bool, old: int) -> None:
    """Without a stream, a reply is returned within six seconds, also in a long thread.

    A reply that the agent sends after five seconds may take nine.
    """
    for delay in (0.1, 0.5, 1.0, 2.0, 3.0, 5.0):
        scenario = Scenario(
            agent=lambda text: [(float(text), f"re: {text}")], old=old, newest_first=newest_first, **options
        )
        scenario.chat.open()
        asked = ask_and_wait(scenario, scenario.chat, str(delay))
        assert asked.value().text == f"re: {delay}"
        late = 6 if delay <= 3 else 9
        assert asked.took < delay + late
        again = ask_and_wait(scenario, scenario.chat, str(delay))
        assert again.took < delay + late


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("once", [False, True])
def test_a_reply_is_found_though_guessed_cursors_fail(bad_cursor: Any, newest_first: bool, once: bool) -> None:
    """The server refuses cursors that it did not give out, or lists nothing after them: `ask` soon finds its reply."""
    for options in ({"mute": True}, {"stream_status": 404}):
        scenario = Scenario(
            agent=lambda text: [(1.0, f"re: {text}")],
            old=250,
            any_cursor=False,
            bad_cursor=bad_cursor,
            newest_first=newest_first,
            **options,
        )
        if not once:
            scenario.chat.open()
        for number in range(3):
            chat = scenario.conversation() if once else scenario.chat
            asked = scenario.world.run_until(chat.ask_once(str(number)) if once else chat.ask(str(number)))
            assert asked.value().text == f"re: {number}"
            assert asked.took < 12
            scenario.run(30)


@pytest.mark.parametrize("streams", [404, 405, 501, "html"])
@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_messages_come_at_once_after_a_refusal_of_streams(streams: int | str, seconds: float) -> None:
    """A deploy refuses new streams for a time, with a status or a page of HTML: later, messages come at once again."""
    scenario = Scenario(life=(20.0, 20.0)).listening()
    scenario.say(1, "one")
    scenario.run(10)
    if streams == "html":
        scenario.server.refuse_streams(200, html=True, seconds=seconds + 10)
    else:
        assert isinstance(streams, int)
        scenario.server.refuse_streams(streams, seconds=seconds + 10)
    scenario.run(10 * MINUTE)
    since = scenario.world.now
    for number in range(20):
        scenario.say(13.0 * number, str(number))
    scenario.run(300)
    late = [message.at - since - 13.0 * int(message.text) for message in scenario.chat.handed[1:]]
    assert len(late) == 20
    assert median(late) < 0.1
    # While there is no stream, a scan finds the messages.
    assert max(late) < 4


def test_one_refused_stream_delays_messages_by_seconds() -> None:
    """One request for a stream fails, but earlier ones did not: messages from that time come within four seconds."""
    for refusal in (status(404), status(405), status(500), status(503), never_sent(), lost_after()):
        scenario = Scenario(life=(20.0, 20.0)).listening()
        scenario.say(1, "one")
        scenario.run(10)
        scenario.server.fault("streamMessages", refusal)
        for number in range(20):
            scenario.say(10 + number, str(number))
        scenario.run(MINUTE)
        scenario.chat.check()
        assert scenario.chat.late() < 4


def test_one_refused_stream_is_tried_again_at_once() -> None:
    """One request for a stream gets a 404, 405 or 501, but earlier ones did not: the client tries again at once."""
    for code in (404, 405, 501):
        scenario = Scenario(life=(20.0, 20.0)).listening()
        scenario.say(1, "one")
        scenario.run(10)
        scenario.server.fault("streamMessages", status(code))
        scenario.say(12, "two")
        scenario.run(MINUTE)
        assert scenario.chat.texts == ["one", "two"]
        assert scenario.chat.handed[1].at - 22 < 0.2


def test_streams_that_were_refused_for_hours_are_tried_again() -> None:
    """The server refuses streams for hours and then allows them: the client opens one within eleven minutes."""
    scenario = Scenario(stream_status=404).listening()
    scenario.run(5 * HOUR)
    assert scenario.server.cost()["streamMessages"] < 5 * 8
    scenario.server.options.stream_status = 200
    scenario.run(11 * MINUTE)
    assert scenario.server.open_streams()
    scenario.say(5, "at once")
    scenario.run(10)
    assert scenario.chat.late() < 0.1


@pytest.mark.parametrize("life", [(55.0, 55.0), (6.0, 7.0), (48.0, 72.0)])
@pytest.mark.parametrize("heartbeat", [None, 15.0])
def test_messages_that_answer_no_question_are_not_late(life: tuple[float, float], heartbeat: float | None) -> None:
    """The client opens the next stream at once, whether the last one has brought messages or not."""
    scenario = Scenario(life=life, heartbeat=heartbeat).listening()
    scenario.run(10 * MINUTE)
    began = scenario.world.now
    for number in range(120):
        scenario.say(5.0 * number, str(number))
    scenario.run(12 * MINUTE)
    scenario.chat.check()
    late = [message.at - began - 5.0 * int(message.text) for message in scenario.chat.handed]
    assert median(late) < 0.1
    assert max(late) < 2.5


def test_only_the_first_ask_waits_for_response_headers_that_never_come() -> None:
    """A proxy holds back the response headers of streams: the first `ask` waits for them, and later ones do not."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], head=None)
    took = []
    for number in range(5):
        thread_id = scenario.server.thread()
        asked = scenario.conversation(thread_id=thread_id).ask_once(str(number), 30.0)
        took.append(scenario.world.run_until(asked).took)
        assert asked.value().text == f"re: {number}"
    assert took[0] < 5 + 6
    assert max(took[1:]) < 5


def test_a_stream_with_late_response_headers_brings_the_reply() -> None:
    """The response headers of a stream come three seconds late: the stream still brings the reply."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], head=(3.0, 3.0))
    for number in range(4):
        asked = scenario.world.run_until(scenario.conversation().ask_once(str(number), 30.0))
        assert asked.value().text == f"re: {number}"
        assert asked.took < 6


def test_a_reply_at_the_moment_of_a_cut() -> None:
    """A reply is sent just after a cut: in half of all cases, `ask` returns it within a quarter of a second."""
    late = []
    for seed in range(60):
        scenario = Scenario(seed=seed, life=None)
        scenario.chat.open()
        asked = scenario.chat.ask("hello")
        scenario.world.after(5.0, scenario.server.cut)
        scenario.say(5.005, "reply")
        scenario.world.run_until(asked).value()
        row = scenario.server.expected(scenario.thread_id)[0]
        assert row.pushed_at is None
        late.append(scenario.world.now - row.made_at)
    assert median(late) <= 0.25
    assert max(late) <= 2.5


@pytest.mark.parametrize("minutes", [1, 5, 30, 90])
@pytest.mark.parametrize("heartbeat", [None, 15.0])
def test_time_between_calls_does_not_end_a_healthy_stream(minutes: float, heartbeat: float | None) -> None:
    """A caller does not listen for minutes, and the client keeps the stream: that time is no silence of the stream."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], life=None, heartbeat=heartbeat)
    scenario.chat.open()
    for number in range(3):
        asked = ask_and_wait(scenario, scenario.chat, str(number))
        assert asked.value().text == f"re: {number}"
        assert asked.took < 1.3
        scenario.run(minutes * MINUTE)
    assert scenario.server.cost()["streamMessages"] == 1
    # After a message, at most one scan every five minutes checks the stream.
    assert scenario.cost() <= 1 + 3 + (2 if minutes >= 5 else 0)


def test_pieces_of_events_are_no_heartbeats() -> None:
    """Events that arrive in two pieces show no heartbeats: the client keeps the stream in the silence after them."""
    scenario = Scenario(life=None, heartbeat=None, split=1.0).listening()
    for number in range(300):
        scenario.say(number, str(number))
    scenario.run(300 + 8 * MINUTE)
    scenario.chat.check()
    assert scenario.server.cost()["streamMessages"] == 1
