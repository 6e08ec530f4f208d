"""Errors of a conversation: invalid arguments, a closed conversation, a second reader, and interruptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from featherhq import InvalidArgumentError, UsageError
from featherhq._core.effects import Closed, Effect, Flow, Receive, SendRequest
from featherhq._settings import Settings
from featherhq._threads.conversation import ConversationFlow
from flow_caller import NOW, THREAD, Caller, receipt
from test_flows import Scenario, quiet

__all__ = ["quiet"]


def usage_error(flow: Flow[Any]) -> UsageError:
    """The error with which a flow ends before it yields an effect."""
    with pytest.raises(UsageError) as error:
        next(flow)
    return error.value


def calls(flow: ConversationFlow, settings: Settings) -> Iterator[Flow[Any]]:
    """One call of each kind."""
    yield flow.send("x", settings.deadline(5))
    yield flow.ask("x", settings.deadline(5))
    yield flow.next(1.0)


def test_the_timeout_must_be_a_positive_number_or_none() -> None:
    """A call waits for the next message for any time, or for a positive number of seconds. Other values are errors."""
    flow = ConversationFlow(Caller().settings, THREAD)
    assert flow.patience(None) is None
    assert flow.patience(5) == 5.0
    for wrong in (0, -1, "5", float("nan")):
        with pytest.raises(InvalidArgumentError, match=r"^timeout: "):
            flow.patience(wrong)


def test_each_call_needs_an_open_conversation() -> None:
    """If the conversation was not opened, each call raises an error that says so."""
    settings = Caller().settings
    for call in calls(ConversationFlow(settings, THREAD), settings):
        assert "is not open" in str(usage_error(call))


@pytest.mark.parametrize(
    ("what", "told"),
    [("client", "this client was closed"), ("thread", "was closed by this program"), ("process", "another process")],
)
def test_a_conversation_may_be_closed_from_outside(what: str, told: str) -> None:
    """If something else has closed the conversation, the errors of later calls say what it was, and what to do. The
    conversation cannot be opened again.
    """
    scenario = Scenario().listening()
    chat = scenario.chat
    scenario.run(1)
    if what == "process":
        chat.flow.forked()
    else:
        chat.mailbox.post(Closed(what))
        scenario.run(1)
    (send_again, ask_again, _) = calls(chat.flow, scenario.client)
    for call in (send_again, ask_again):
        error = usage_error(call)
        assert told in str(error)
        assert (what == "thread") is (scenario.thread_id in str(error))
        assert error.__notes__
    assert "was open before" in str(usage_error(chat.flow.open()))


def test_an_exception_that_ends_an_ask_gets_a_note() -> None:
    """If an exception ends an `ask` after its message was accepted, a note says not to send it again. Before that,
    there is no such note. An invalid text is refused before the first effect.
    """
    for accepted in (False, True):
        caller = Caller()
        settings = caller.settings
        flow = ConversationFlow(settings, THREAD).ask_once("hello", settings.deadline(60))
        effect: Effect[Any] = next(flow)
        while not isinstance(effect, SendRequest):
            # There is no notice, and no stream is opened.
            caller.now += effect.seconds if isinstance(effect, Receive) else 0.0
            assert caller.now < NOW + 60
            effect = flow.send(None)
        effect.exchange.is_ours = True
        if accepted:
            flow.send(receipt())
        with pytest.raises(KeyboardInterrupt) as ending:
            flow.throw(KeyboardInterrupt())
        notes = getattr(ending.value, "__notes__", [])
        assert any("accepted (1): do not send it again" in note for note in notes) is accepted
    with pytest.raises(InvalidArgumentError, match=r"^text: "):
        next(ConversationFlow(settings, THREAD).ask_once("", settings.deadline(5)))


def test_only_one_caller_may_read_a_conversation() -> None:
    """A second caller who reads the conversation gets an error, and the first one goes on."""
    scenario = Scenario().listening()
    second = scenario.chat.replies(1.0)
    scenario.run(0.1)
    assert isinstance(second.error, UsageError)
    scenario.say(1, "one")
    scenario.run(5)
    assert scenario.chat.texts == ["one"]
