"""What a conversation promises to its caller: what it sends, how long it waits, and what its errors say."""

from __future__ import annotations

import pytest
from featherhq import UsageError
from flow_scenarios import Scenario, quiet

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
