"""How long a conversation waits for the head of its stream before it goes on without one."""

from __future__ import annotations

import math

import pytest
from featherhq._core.effects import JobDone, Receive, SendRequest, Start
from featherhq._core.responses import Response
from featherhq._threads.conversation import ConversationFlow
from flow_caller import THREAD, Caller

EVENTS = Response(200, {"content-type": "text/event-stream"}, is_stream=True)


def opens_within(caller: Caller, comes_after: float = math.inf) -> float:
    """Open a new conversation of the caller's client. Returns the seconds that this takes.

    Args:
        caller: The caller.
        comes_after: The head of the stream comes after so many seconds.
    """
    flow, began, job = ConversationFlow(caller.settings, THREAD).open(), caller.now, ""
    notice: JobDone | None = None
    while True:
        try:
            effect = flow.send(notice)
        except StopIteration:
            return caller.now - began
        notice = None
        if isinstance(effect, Start):
            job = effect.job
        else:
            assert isinstance(effect, Receive), effect
            until = min(caller.now + effect.seconds, began + comes_after)
            if until == began + comes_after:
                notice = JobDone(job, EVENTS)
            caller.now = until


def sends_within(caller: Caller) -> float:
    """Ask a question in a new conversation, and let no head come. Returns the seconds until the question is sent."""
    settings = caller.settings
    flow, began = ConversationFlow(settings, THREAD).ask_once("hello", settings.deadline(60.0)), caller.now
    while not isinstance(effect := flow.send(None), SendRequest):
        caller.now += effect.seconds if isinstance(effect, Receive) else 0.0
    flow.close()
    return caller.now - began


def test_a_conversation_waits_for_its_stream_as_long_as_a_call_may_take() -> None:
    """If the head of a stream is slow, a `with` block waits for it, up to the client's `timeout`. Then messages come
    over the stream from the beginning.
    """
    caller = Caller(timeout=30.0)
    assert opens_within(caller, 20.0) == pytest.approx(20.0)
    assert opens_within(caller) == pytest.approx(30.0)


def test_only_the_first_conversation_waits_long_for_a_head_that_never_comes() -> None:
    """A proxy may hold back the heads of streams. Once one has not come in time, `with` blocks and questions of the
    same client wait for only half a second.
    """
    caller = Caller(timeout=30.0)
    assert opens_within(caller) == pytest.approx(30.0)
    assert opens_within(caller) == pytest.approx(0.5)
    assert sends_within(caller) == pytest.approx(0.5)


def test_a_question_shows_too_that_heads_do_not_come() -> None:
    """The first question waits for five seconds, and then conversations wait for half a second."""
    caller = Caller(timeout=30.0)
    assert sends_within(caller) == pytest.approx(5.0)
    assert sends_within(caller) == pytest.approx(0.5)
    assert opens_within(caller) == pytest.approx(0.5)


def test_a_head_that_comes_in_time_ends_the_short_waits() -> None:
    """If a head comes within the half second, heads come again. So later conversations wait for them as at first."""
    caller = Caller(timeout=30.0)
    opens_within(caller)
    assert opens_within(caller, 0.2) == pytest.approx(0.2)
    assert opens_within(caller, 20.0) == pytest.approx(20.0)
    assert sends_within(caller) == pytest.approx(5.0)
