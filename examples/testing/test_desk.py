"""Tests of the support desk. They need no network, no API key and no mocks."""

from __future__ import annotations

import desk
import pytest
from featherhq import AsyncFeather
from featherhq.sandbox import CutAfter, Sandbox, Stall, Status

QUESTION = "Where is my order?"
ANSWER = "Order 1042 left our warehouse this morning."


def test_a_question_is_answered(feather_environment: Sandbox) -> None:
    """The ordinary case: the default agent of the sandbox knows about orders."""
    assert desk.answer("Ada", QUESTION) == ANSWER
    assert feather_environment.sent() == [QUESTION]


@pytest.mark.feather_sandbox(agent=lambda text, _: text.upper())
def test_another_agent(feather_environment: Sandbox) -> None:
    """The marker gives arguments to the sandbox of a test, here its agent."""
    assert desk.answer("Ada", "hello") == "HELLO"
    assert feather_environment.replies() == ["HELLO"]


def test_feather_is_down_for_a_moment(feather_environment: Sandbox) -> None:
    """A fault: the first request for a thread is refused. The customer does not notice."""
    feather_environment.inject("createThread", Status(503, headers={"Retry-After": "0"}))
    assert desk.answer("Ada", QUESTION) == ANSWER


def test_feather_is_down(feather_environment: Sandbox) -> None:
    """The question has certainly not arrived, so the customer may ask again."""
    feather_environment.inject("sendMessage", Status(503, headers={"Retry-After": "60"}))
    assert desk.answer("Ada", QUESTION) == desk.AGAIN
    assert feather_environment.sent() == []


def test_a_lost_response(feather_environment: Sandbox) -> None:
    """The question arrives, and its response is lost. It is not sent twice."""
    feather_environment.inject("sendMessage", CutAfter())
    assert desk.answer("Ada", QUESTION) == ANSWER
    assert feather_environment.sent() == [QUESTION]


def test_nobody_knows(feather_environment: Sandbox) -> None:
    """The server takes the question and never responds: whether it arrived is not known in time."""
    feather_environment.inject("sendMessage", Stall())
    assert desk.answer("Ada", QUESTION, timeout=2) == desk.UNSURE
    assert feather_environment.sent() == []


@pytest.mark.feather_sandbox(agent=lambda *_: [])
def test_the_agent_says_nothing(feather_environment: Sandbox) -> None:
    """A timeout: the question has arrived, and there is no reply in time."""
    assert desk.answer("Ada", QUESTION, timeout=2) == desk.LATER
    assert feather_environment.sent() == [QUESTION]


def test_the_rate_limit(feather_environment: Sandbox) -> None:
    """Others use the same key, so the question is refused once. It is sent again when the server says so."""
    feather_environment.inject("sendMessage", Status(429, headers={"Retry-After": "1"}))
    assert desk.answer("Ada", QUESTION) == ANSWER
    statuses = [request.status for request in feather_environment.requests if request.operation == "sendMessage"]
    assert statuses == [429, 200]


async def test_in_an_event_loop(feather_environment: Sandbox, async_feather: AsyncFeather) -> None:
    """The asynchronous version. `async_feather` is a client for the test itself: the plugin enters and closes it."""
    assert await desk.answer_async("Ada", QUESTION) == ANSWER
    thread = async_feather.thread(feather_environment.threads[0])
    assert [message.text async for message in thread.messages()] == [QUESTION, ANSWER]
