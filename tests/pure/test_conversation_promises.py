"""What a conversation promises to its caller: what it sends, how long it waits, and what its errors say."""

from __future__ import annotations

import pytest
from featherhq import APIConnectionError, AuthenticationError, UsageError
from flow_scenarios import Scenario, quiet
from model_server_faults import never_sent, status

__all__ = ["quiet"]


def test_a_conversation_sends_the_given_text() -> None:
    """`send` sends the text that it is given, and returns the receipt of this message."""
    scenario = Scenario().listening()
    receipt = scenario.world.run_until(scenario.chat.send("hello")).value()
    assert scenario.server.received(scenario.thread_id) == ["hello"]
    assert receipt.thread_id == scenario.thread_id


def test_the_next_message_is_awaited_as_long_as_the_caller_wants() -> None:
    """If no message comes in the given time, the iteration ends at the end of this time, and not sooner."""
    scenario = Scenario()
    scenario.chat.open()
    assert scenario.world.run_until(scenario.chat.replies(5.0)).took == pytest.approx(5.0, abs=0.2)
    assert not scenario.chat.handed
    replies = scenario.chat.replies(5.0)
    scenario.say(4.0, "late")
    scenario.run(30.0)
    assert scenario.chat.texts == ["late"]
    assert replies.took == pytest.approx(9.0, abs=0.3)


def test_a_short_wait_is_not_longer_than_asked_for() -> None:
    """A wait of less than a second is as short as the caller asks for."""
    scenario = Scenario()
    scenario.chat.open()
    scenario.run(5.0)
    assert scenario.world.run_until(scenario.chat.replies(0.4)).took == pytest.approx(0.4, abs=0.05)


def test_a_conversation_does_not_open_if_the_server_cannot_be_reached() -> None:
    """If no request can be sent, opening the conversation raises an error."""
    scenario = Scenario()
    scenario.server.fault("*", *[never_sent()] * 3)
    opening = scenario.world.run_until(scenario.chat.open_soon())
    assert isinstance(opening.error, APIConnectionError)


def test_a_conversation_does_not_open_with_a_refused_key() -> None:
    """If the key is refused, opening the conversation raises an error, and this error is not raised again later."""
    scenario = Scenario()
    scenario.server.fault("*", status(401))
    opening = scenario.world.run_until(scenario.chat.open_soon())
    assert isinstance(opening.error, AuthenticationError)
    assert scenario.world.run_until(scenario.chat.replies(3.0)).error is None


def test_a_conversation_learns_whether_heads_are_held_back() -> None:
    """A conversation waits for the head of its stream. Once a head came too late for a question, the next
    conversations wait only half a second, until a head comes in time again.
    """
    scenario = Scenario(head=(8.0, 8.0), life=None)

    def opens_within() -> float:
        return scenario.world.run_until(scenario.conversation().open_soon()).took

    assert opens_within() == pytest.approx(8.0, abs=0.2)
    scenario.conversation().ask_once("hello", 30.0)
    scenario.run(6.0)
    assert opens_within() == pytest.approx(0.5, abs=0.2)
    scenario.server.options.head = (0.0, 0.0)
    assert opens_within() == pytest.approx(0.0, abs=0.2)
    scenario.server.options.head = (8.0, 8.0)
    assert opens_within() == pytest.approx(8.0, abs=0.2)


@pytest.mark.parametrize(("seconds", "sent_after"), [(3.0, 1.0), (60.0, 5.0)])
def test_a_question_waits_for_its_stream_for_a_third_of_its_time(seconds: float, sent_after: float) -> None:
    """If the head of a stream is held back, the message is sent after a third of the time, at most after 5 seconds."""
    scenario = Scenario(head=None)
    scenario.chat.ask_once("hello", seconds)
    scenario.run(sent_after - 0.1)
    assert not scenario.server.received(scenario.thread_id)
    scenario.run(0.3)
    assert scenario.server.received(scenario.thread_id) == ["hello"]


def test_a_question_returns_a_possible_reply_at_its_end() -> None:
    """A message that was made just before the question may be its reply. If no other one comes, it is returned when
    the time is up.
    """
    scenario = Scenario(life=None)
    scenario.chat.open()
    scenario.say(0.5, "possible", streamed=False)
    scenario.run(1.0)
    asked = scenario.chat.ask("hello", 4.5)
    scenario.run(10.0)
    assert asked.value().text == "possible"
    assert asked.took == pytest.approx(4.5, abs=0.1)


def test_an_error_says_why_the_conversation_is_over() -> None:
    """Whoever uses a conversation after its client was closed is told so, in these words."""
    scenario = Scenario()
    scenario.chat.open()
    scenario.chat.close_client()
    listener = scenario.chat.listen()
    scenario.run(1.0)
    assert listener.done
    sending = scenario.chat.send("hello")
    scenario.run(1.0)
    assert isinstance(sending.error, UsageError)
    assert str(sending.error) == "this client was closed"
