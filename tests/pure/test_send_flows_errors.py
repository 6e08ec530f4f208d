"""Sending in fake time: what an error tells the caller, and that each call keeps its deadline."""

from __future__ import annotations

import random
from typing import Any

import pytest
from featherhq import APITimeoutError, DeliveryUnknownError, FeatherError, ReplyTimeoutError, UsageError
from featherhq._threads.flows import create_thread
from featherhq._threads.send import _chained
from model_server import (
    AGENT_ID,
    Fault,
    cut_body,
    lost_after,
    lost_before,
    mishaps,
    never_sent,
    silence,
    status,
    unreadable,
)
from send_checks import check_note, check_told, proxy_page
from test_flows import MINUTE, Scenario, quiet

__all__ = ["quiet"]

# Whether the message was delivered.

TOLD: list[Any] = [
    pytest.param([never_sent()] * 9, False, id="never sent"),
    pytest.param([status(401)], False, id="401"),
    pytest.param([status(403)], False, id="403"),
    pytest.param([status(404)], False, id="404"),
    pytest.param([status(418)], False, id="another 4xx"),
    pytest.param([status(429)] * 99, False, id="429"),
    pytest.param([status(503, retry_after="1")] * 9, False, id="503 with Retry-After"),
    pytest.param([status(500)] * 9, False, id="500"),
    pytest.param([lost_before()] * 9, False, id="lost"),
    pytest.param([proxy_page(502)] * 9, False, id="502"),
    pytest.param([silence()] * 9, None, id="silence"),
    pytest.param([status(504, after=1.0)] * 9, None, id="504"),
    pytest.param([proxy_page(524)] * 9, None, id="524"),
    pytest.param([status(408)] * 9, None, id="408"),
]


@pytest.mark.parametrize(("faults", "delivered"), TOLD)
def test_each_error_tells_whether_the_message_arrived(faults: list[Fault], delivered: bool | None) -> None:
    """`delivered` tells whether the message arrived, and the error's one note says the same."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", *faults)
    process = scenario.world.run_until(scenario.send("hello", 30.0))
    scenario.run(MINUTE)
    assert isinstance(process.error, FeatherError)
    if process.error.delivered is not None:
        # The error may tell more than expected, if that is true.
        assert process.error.delivered is delivered
    check_told(scenario, process)
    if delivered is False:
        assert process.error.delivered is False
    assert (process.error.delivered is None) == isinstance(process.error, DeliveryUnknownError)


def test_a_message_that_gets_no_slot_in_time_was_not_sent() -> None:
    """If a message gets no slot before its deadline, its error says that it was not sent."""
    scenario = Scenario(client={"rate_limit": 0.1})
    scenario.world.run_until(scenario.send("first")).value()
    process = scenario.world.run_until(scenario.send("hello", 5.0))
    assert isinstance(process.error, APITimeoutError)
    assert process.error.delivered is False
    check_told(scenario, process)


@pytest.mark.parametrize(
    ("fault", "delivered"),
    [
        (status(400), False),
        (status(403), False),
        (never_sent(), False),
        (lost_after(), None),
        (lost_before(), None),
        (status(500), None),
        (status(502), None),
        (silence(0.0), None),
        (cut_body(), None),
        (unreadable(), None),
    ],
)
def test_each_error_of_create_tells_whether_there_is_a_thread(fault: Fault, delivered: bool | None) -> None:
    """If a thread may have been created, the outcome is unknown, and the client does not create it again.

    The client cannot look for a thread.
    """
    scenario = Scenario()
    scenario.server.fault("createThread", *[fault] * 9)
    process = scenario.world.spawn(create_thread(scenario.client, AGENT_ID, None, None))
    scenario.world.run_until(process)
    assert isinstance(process.error, FeatherError)
    assert process.error.delivered is delivered
    check_note(process.error)
    if delivered is None:
        assert scenario.server.cost()["createThread"] == 1


# What the search for a lost message has shown.


def causes_of(error: BaseException) -> list[BaseException]:
    """The causes of an error, from the last to the first."""
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    return causes[1:]


def test_an_error_says_that_the_thread_could_not_be_read() -> None:
    """If every scan failed, the error says so; its causes are the error of the last scan and the lost connection."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", lost_after())
    scenario.server.fault("listMessages", *[status(500)] * 99)
    process = scenario.world.run_until(scenario.send("hello", 20.0))
    assert isinstance(process.error, DeliveryUnknownError)
    assert "could not be read" in process.error.__notes__[0]
    causes = [str(cause) for cause in causes_of(process.error)]
    assert any("500" in cause for cause in causes)
    assert any("the connection was lost" in cause for cause in causes)
    check_told(scenario, process)


def test_an_error_says_that_the_message_was_not_found_in_the_thread() -> None:
    """If the scans did not show the message, the error says so; its cause is the failure of the request."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", silence())
    process = scenario.world.run_until(scenario.send("hello", 20.0))
    assert isinstance(process.error, DeliveryUnknownError)
    assert "was not found in the thread" in process.error.__notes__[0]
    assert isinstance(process.error.__cause__, APITimeoutError)
    check_told(scenario, process)


def test_an_error_says_that_a_message_in_the_thread_may_be_this_one() -> None:
    """If the thread shows what may be the message, the error does not say that the message was not found."""
    scenario = Scenario(old=5, escape=True)
    scenario.server.fault("sendMessage", lost_after())
    process = scenario.world.run_until(scenario.send("a & b", 20.0))
    assert isinstance(process.error, DeliveryUnknownError)
    assert "may be this one" in process.error.__notes__[0]
    assert "not found" not in process.error.__notes__[0]


def test_the_error_of_a_scan_is_chained_to_the_error_that_made_the_scan_necessary() -> None:
    """The earlier error becomes the cause of the scan's own deepest cause."""
    scan, before = FeatherError("scan", hint=""), FeatherError("before", hint="")
    scan.__cause__ = OSError("below")
    assert _chained(scan, before) is scan
    assert scan.__cause__.__cause__ is before


# Calls that wait for a reply.


def test_an_ask_without_a_reply_says_that_the_message_was_delivered() -> None:
    """If no reply comes in time, the error says that the message was delivered and must not be sent again."""
    scenario = Scenario().listening()
    for listener in scenario.world.processes:
        listener.cancel()
    process = scenario.world.run_until(scenario.chat.ask("hello", 5.0))
    assert isinstance(process.error, ReplyTimeoutError)
    assert process.error.delivered is True
    check_told(scenario, process)


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("with_client", [False, True])
def test_an_ask_that_is_closed_says_so(accepted: bool, with_client: bool) -> None:
    """If an `ask` is closed, its error says what was closed, and whether the message was accepted before that."""
    scenario = Scenario(head=(2.0, 2.0))
    process = scenario.chat.ask_once("hello", 30.0)
    scenario.run(4 if accepted else 1)
    if with_client:
        scenario.chat.close_client()
    else:
        scenario.chat.mailbox.post(scenario.chat.flow.close())
    scenario.run(0.1)
    assert isinstance(process.error, UsageError)
    assert "closed" in str(process.error)
    assert ("client" in str(process.error)) == with_client
    assert process.error.delivered is accepted
    check_told(scenario, process)


def test_a_message_before_the_last_attempt_is_no_reply() -> None:
    """What the agent says before a message's last attempt is not taken as the reply to the message."""
    for before in (0.2, 1.0, 2.4):
        scenario = Scenario(agent=lambda _: [(0.6, "reply")])
        scenario.chat.open()
        scenario.server.fault("sendMessage", *[status(503, retry_after="3")])
        process = scenario.chat.ask("hello")
        scenario.say(before, "of before")
        assert scenario.world.run_until(process).value().text == "reply", before


def test_a_message_that_comes_while_ours_waits_in_the_queue_is_no_reply() -> None:
    """What the agent says while a message waits for a slot is not taken as the reply to the message."""
    scenario = Scenario(agent=lambda _: [(0.6, "reply")], client={"rate_limit": 0.25}, life=None)
    scenario.chat.open()
    process = scenario.chat.ask("hello")
    scenario.say(1.0, "of before")
    assert scenario.world.run_until(process).value().text == "reply"


# Deadlines.


def test_each_send_keeps_its_deadline() -> None:
    """Whatever goes wrong, a send ends before its timeout."""
    for seed in range(60):
        rng = random.Random(seed)  # noqa: S311 - no secret
        scenario = Scenario(seed=seed, old=rng.choice([0, 300]), largest_page=rng.choice([5, 100]))
        scenario.server.plan = mishaps(0.7)
        seconds = rng.choice([0.3, 2.0, 10.0, 60.0])
        process = scenario.world.run_until(scenario.send("hello", seconds))
        assert process.took <= seconds + 0.1, seed
        scenario.server.plan = None
        scenario.run(10)
        check_told(scenario, process)
