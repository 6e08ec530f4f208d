"""Conversations in fake time: only a reply to the caller's own message is returned as its reply."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from featherhq import ReplyTimeoutError
from featherhq._logging import logger
from flow_scenarios import MINUTE, Scenario, ask_and_wait, quiet
from model_server import late_answer

__all__ = ["quiet"]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("options", [{"stream_status": 404}, {}], ids=["polling", "stream"])
def test_a_list_may_show_a_reply_before_its_message(newest_first: bool, options: Any) -> None:
    """Times are whole seconds, and the list shows the reply before its message: `ask` still returns it."""
    for shift in range(0, 1000, 90):
        scenario = Scenario(stamps="second", newest_first=newest_first, old=6, **options)
        scenario.chat.open()
        scenario.run(shift / 1000)
        asked = scenario.chat.ask("hello")

        def reply(scenario: Scenario = scenario) -> None:
            row = scenario.server.say(scenario.thread_id, "reply")
            row.rank -= 1.5

        scenario.world.after(0.1, reply)
        assert scenario.world.run_until(asked).value().text == "reply"
        assert asked.took < 6, shift


@pytest.mark.parametrize("skew", [-2.0, -1.0, 0.0, 2.0])
@pytest.mark.parametrize("streams", [200, 404])
@pytest.mark.parametrize("once", [False, True])
def test_a_reply_may_have_a_time_of_another_clock(skew: float, streams: int, once: bool) -> None:
    """The time of a reply is up to two seconds too early or too late: the reply is returned within six seconds."""
    scenario = Scenario(agent=lambda text: [(0.4, f"re: {text}")], old=6, stream_status=streams, outbound_skew=skew)
    if not once:
        scenario.chat.open()
    for text in ("one", "two", "three"):
        chat = scenario.conversation() if once else scenario.chat
        asked = scenario.world.run_until(chat.ask_once(text) if once else chat.ask(text))
        assert asked.value().text == f"re: {text}"
        assert asked.took < 6
        scenario.run(20)


@pytest.mark.parametrize("replay", [1, 3, 50])
@pytest.mark.parametrize("stamps", ["millisecond", "second"])
def test_messages_that_a_stream_repeats_are_handed_out_once(replay: int, stamps: Any) -> None:
    """A stream sends earlier messages again when it opens: old ones are never handed out, and new ones once."""
    scenario = Scenario(
        agent=lambda text: [(1.5, f"re: {text}")], old=60, replay=replay, stamps=stamps, life=(9.0, 14.0)
    )
    scenario.chat.open()
    for number in range(6):
        assert ask_and_wait(scenario, scenario.chat, str(number)).value().text == f"re: {number}"
        scenario.run(10)
    scenario.chat.listen()
    scenario.run(60)
    scenario.chat.check()


@pytest.mark.parametrize("ago", [30.0, 500.0])
def test_messages_from_minutes_ago_that_a_stream_repeats_are_not_new(ago: float) -> None:
    """A stream sends messages again that are minutes older than the conversation: they are not handed out."""
    scenario = Scenario(agent=lambda _: [(2.0, "reply")], replay=4, life=(20.0, 20.0))
    scenario.server.old(scenario.thread_id, 6, ago=ago, every=5.0)
    scenario.chat.open()
    assert ask_and_wait(scenario, scenario.chat, "hello").value().text == "reply"
    scenario.chat.listen()
    scenario.run(MINUTE)
    scenario.chat.check()


@pytest.mark.parametrize("stamps", ["same", "none"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_without_times_old_messages_are_no_replies(stamps: Any, newest_first: bool) -> None:
    """Messages have no times, or all have the same: their places in the list tell that old messages are no replies."""
    for old in (1, 12, 150):
        scenario = Scenario(
            agent=lambda text: [(1.5, f"re: {text}")],
            old=old,
            stamps=stamps,
            newest_first=newest_first,
            stream_status=404,
        )
        scenario.chat.open()
        for number in range(3):
            assert ask_and_wait(scenario, scenario.chat, str(number)).value().text == f"re: {number}"


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_second_part_of_a_reply_is_no_reply_to_the_next_message(newest_first: bool) -> None:
    """The list shows the second part of the first reply, but not yet the second message: this part is not its reply."""
    for before in (3.0, 2.2, 2.6):
        scenario = Scenario(stream_status=404, newest_first=newest_first, old=5)
        scenario.chat.open()
        asked = scenario.chat.ask("Q1")
        scenario.say(0.3, "A1, first part")
        scenario.world.run_until(asked).value()
        scenario.say(0.1, "A1, second part")
        scenario.run(before)
        scenario.server.options.lag = (4.0, 4.0)
        asked = scenario.chat.ask("Q2")
        scenario.say(6.0, "A2")
        assert scenario.world.run_until(asked).value().text == "A2", before


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_message_from_just_before_is_no_reply(newest_first: bool) -> None:
    """The second part of a reply comes just before the next message, so its time does not exclude it.

    The client waits until the list shows its own message, and then returns the right reply.
    """
    scenario = Scenario(stream_status=404, newest_first=newest_first, old=5)
    scenario.chat.open()
    asked = scenario.chat.ask("Q1")
    scenario.say(0.3, "A1, first part")
    scenario.world.run_until(asked).value()
    scenario.say(0.1, "A1, second part")
    scenario.run(1.0)
    scenario.server.options.lag = (3.0, 3.0)
    asked = scenario.chat.ask("Q2")
    scenario.say(0.5, "A2")
    assert scenario.world.run_until(asked).value().text == "A2"


def test_an_earlier_message_without_a_reply_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """If an earlier message has no reply, a warning and the note of a timeout report it."""
    scenario = Scenario()
    scenario.chat.open()
    logger.setLevel("WARNING")
    try:
        first = ask_and_wait(scenario, scenario.chat, "Q1", 1.0)
        assert isinstance(first.error, ReplyTimeoutError)
        assert "earlier" not in first.error.__notes__[0]
        assert "unanswered" not in caplog.text
        second = ask_and_wait(scenario, scenario.chat, "Q2", 2.0)
    finally:
        logger.setLevel("ERROR")
    assert "1 earlier message(s) are unanswered" in caplog.text
    assert isinstance(second.error, ReplyTimeoutError)
    assert "earlier message" in second.error.__notes__[0]
    assert second.error.delivered is True


def test_an_earlier_message_with_a_reply_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    """If each earlier message has a reply, neither a warning nor the note of a timeout reports it."""
    scenario = Scenario(agent=lambda text: [(0.5, f"re: {text}")] if text != "Q3" else [])
    scenario.chat.open()
    logger.setLevel("WARNING")
    try:
        for text in ("Q1", "Q2"):
            ask_and_wait(scenario, scenario.chat, text).value()
        third = ask_and_wait(scenario, scenario.chat, "Q3", 2.0)
    finally:
        logger.setLevel("ERROR")
    assert "unanswered" not in caplog.text
    assert isinstance(third.error, ReplyTimeoutError)
    assert "earlier" not in third.error.__notes__[0]


@pytest.mark.parametrize("streams", [200, 404])
@pytest.mark.parametrize("newest_first", [False, True])
def test_an_ask_after_messages_that_are_accepted_in_reverse(streams: int, newest_first: bool) -> None:
    """The responses to three messages come in reverse order: an `ask` for the last one returns a reply."""
    scenario = Scenario(
        agent=lambda text: [(1.0, f"re: {text}")], stream_status=streams, newest_first=newest_first, old=5
    )
    scenario.chat.open()
    scenario.server.fault("sendMessage", late_answer(2.0), late_answer(1.0), late_answer(0.1))
    scenario.chat.send("one")
    scenario.run(0.05)
    scenario.chat.send("two")
    scenario.run(0.05)
    asked = ask_and_wait(scenario, scenario.chat, "three", 15.0)
    # The client cannot know which of the three replies it is.
    assert asked.value().text.startswith("re: ")
    assert asked.took < 6
    scenario.chat.listen()
    scenario.run(60)
    scenario.chat.check()


def test_conversations_of_two_clients_in_one_thread() -> None:
    """Two clients have a conversation in one thread: each hands out every reply once, also those to the other."""
    scenario = Scenario(agent=lambda text: [(1.0, f"re: {text}")], life=(20.0, 30.0), by_key=True)
    other = scenario.conversation(scenario.settings("another-key"))
    scenario.listening()
    other.open()
    other.listen()
    for number in range(10):
        (scenario.chat if number % 2 else other).send(str(number))
        scenario.run(11)
    scenario.run(MINUTE)
    scenario.chat.check()
    assert Counter(other.texts) == Counter(f"re: {number}" for number in range(10))
