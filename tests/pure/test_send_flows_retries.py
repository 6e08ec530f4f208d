"""Sending in fake time: when a message is sent again, and when it is not."""

from __future__ import annotations

from typing import Any

import pytest
from featherhq import BadRequestError, ConflictError, DeliveryUnknownError, FeatherError
from model_server import Fault, cut_body, lost_before, proxy_cut, slow, stale, status, unreadable
from send_checks import check_told, proxy_page
from test_flows import MINUTE, Scenario, quiet

__all__ = ["quiet"]

# A message that is not found in the thread is sent again.


@pytest.mark.parametrize("fault", [status(500), stale()], ids=["500", "stale"])
def test_a_message_is_sent_again_soon_if_the_server_is_proven_to_be_done(fault: Fault) -> None:
    """The message is sent again after two seconds in which the thread does not show it."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", fault)
    process = scenario.world.run_until(scenario.send("hello"))
    assert not process.value().receipt.reconciled
    assert process.took < 3
    check_told(scenario, process)


@pytest.mark.parametrize("fault", [lost_before(), proxy_page(502), proxy_page(503), status(503), proxy_page(521)])
def test_a_message_is_sent_again_later_if_the_server_is_probably_done(fault: Fault) -> None:
    """The message is sent again after six seconds in which the thread does not show it."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", fault)
    process = scenario.world.run_until(scenario.send("hello"))
    assert not process.value().receipt.reconciled
    assert 5.9 < process.took < 8
    check_told(scenario, process)


def test_a_slow_server_gets_more_time() -> None:
    """If an earlier message took five seconds, the client waits that long for this one, even after a 500."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", slow(5.0), status(500, work=4.0))
    scenario.world.run_until(scenario.send("first")).value()
    process = scenario.world.run_until(scenario.send("hello"))
    assert process.value().receipt.reconciled
    check_told(scenario, process)


@pytest.mark.parametrize("lag", [3.0, 5.0, 8.0])
def test_a_list_that_lags_gets_more_time(lag: float) -> None:
    """If a conversation has seen the list lag, the client looks longer for a message after a 500, and finds it."""
    scenario = Scenario(old=5, life=None, lag=(lag, lag)).listening()
    scenario.world.run_until(scenario.chat.send("first")).value()
    scenario.run(1)
    scenario.server.cut()
    scenario.run(MINUTE)
    scenario.server.fault("sendMessage", status(500, work=0.0))
    process = scenario.world.run_until(scenario.send("hello"))
    assert process.value().receipt.reconciled
    check_told(scenario, process)


# The retry is refused.


@pytest.mark.parametrize("code", [400, 404, 409, 403])
@pytest.mark.parametrize("work", [6.4, 7.0])
def test_a_message_is_found_even_if_its_retry_is_refused(code: int, work: float) -> None:
    """If the first copy arrives just before the server refuses the second one, the client finds the first copy."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", proxy_cut(work=work), status(code))
    process = scenario.world.run_until(scenario.send("hello"))
    assert process.value().receipt.reconciled
    check_told(scenario, process)


@pytest.mark.parametrize("code", [400, 404, 409])
def test_the_outcome_is_unknown_if_the_retry_of_a_lost_message_is_refused(code: int) -> None:
    """If the server refuses the second copy, the first one may still arrive, so the outcome is unknown."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", proxy_cut(work=30.0), status(code))
    process = scenario.world.run_until(scenario.send("hello", 20.0))
    assert isinstance(process.error, DeliveryUnknownError)
    scenario.run(MINUTE)
    check_told(scenario, process)


@pytest.mark.parametrize(("code", "kind"), [(400, BadRequestError), (409, ConflictError)])
def test_a_message_whose_first_attempt_is_refused_was_not_delivered(code: int, kind: type[FeatherError]) -> None:
    """If the server refuses the first attempt, the client does not look for the message and raises that error."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", status(code))
    process = scenario.world.run_until(scenario.send("hello"))
    assert isinstance(process.error, kind)
    assert process.error.delivered is False
    assert scenario.cost() == 1
    check_told(scenario, process)


# The status is a success, but its body is lost.


@pytest.mark.parametrize("fault", [unreadable(), cut_body()], ids=["unreadable", "cut off"])
def test_a_message_whose_receipt_is_lost_is_found(fault: Fault) -> None:
    """If the status is 200 but the body is lost, the client finds the message in the thread."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", fault)
    process = scenario.world.run_until(scenario.send("hello"))
    assert process.value().receipt.reconciled
    check_told(scenario, process)


@pytest.mark.parametrize("kind", ["unreadable", "cut body"])
def test_a_message_with_a_success_status_is_never_sent_again(kind: Any) -> None:
    """If the status is 200 but the thread does not show the message, its outcome is unknown, and it is not repeated."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", Fault(kind=kind, work=45.0))
    process = scenario.world.run_until(scenario.send("hello", 30.0))
    assert isinstance(process.error, DeliveryUnknownError)
    assert process.error.delivered is None
    scenario.run(MINUTE)
    check_told(scenario, process)
    assert scenario.server.cost()["sendMessage"] == 1


# The rate limit of the server refuses the message.


def test_a_429_does_not_count_as_a_retry() -> None:
    """A client with two retries sends a message after ten 429s, if the deadline allows it."""
    scenario = Scenario()
    scenario.server.fault("sendMessage", *[status(429, retry_after="1")] * 10)
    process = scenario.world.run_until(scenario.send("hello", 60.0))
    process.value()
    assert process.took < 20
    check_told(scenario, process)


def test_after_429s_all_retries_are_left_for_other_failures() -> None:
    """After three 429s, a client with two retries still makes both of them after two 503s with `Retry-After`."""
    scenario = Scenario()
    scenario.server.fault("sendMessage", *[status(429, retry_after="1")] * 3, *[status(503, retry_after="1")] * 2)
    process = scenario.world.run_until(scenario.send("hello", 60.0))
    process.value()
    check_told(scenario, process)
