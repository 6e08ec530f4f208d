"""Sending in fake time: whatever goes wrong, the thread never has two copies of one message."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from featherhq import DeliveryUnknownError
from model_server import INBOUND, Fault, cut_body, lost_after, lost_before, mishaps, proxy_cut, silence, stale, status
from send_checks import check_told, proxy_page
from test_flows import HOUR, MINUTE, Scenario, quiet

__all__ = ["quiet"]

CLOCKS: list[dict[str, Any]] = [
    {"inbound_skew": -4.0},
    {"inbound_skew": -1.2, "stamps": "second"},
    {"date_skew": 4.0},
    {"inbound_skew": -120.0, "outbound_skew": -120.0},
    {"inbound_skew": 4.0},
]


@pytest.mark.parametrize("options", CLOCKS)
@pytest.mark.parametrize("fault", [lost_after(), status(500, work=0.0)], ids=["lost", "500"])
@pytest.mark.parametrize("talked", [False, True])
def test_server_clocks_that_differ_cause_no_duplicate(options: dict[str, Any], fault: Fault, talked: bool) -> None:
    """A lost message is not duplicated if the server's clock for messages differs from its clock for `Date`."""
    scenario = Scenario(old=5, **options)
    if talked:
        scenario.world.run_until(scenario.send("first")).value()
        scenario.run(5)
    scenario.server.fault("sendMessage", fault)
    check_told(scenario, scenario.world.run_until(scenario.send("hello")))


@pytest.mark.parametrize("asleep", [4.0, 30.0, HOUR])
@pytest.mark.parametrize("resets", [False, True])
def test_a_machine_that_sleeps_causes_no_duplicate(asleep: float, resets: bool) -> None:
    """A message is not duplicated if the machine sleeps after the request and its clock falls behind the server's."""
    scenario = Scenario(old=5)
    scenario.world.run_until(scenario.send("first")).value()
    scenario.run(5)
    scenario.server.fault("sendMessage", silence(0.0))
    process = scenario.send("hello")
    scenario.run(1)
    scenario.world.fall_asleep(asleep, resets=resets)
    check_told(scenario, scenario.world.run_until(process))


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("old", [5, 500])
@pytest.mark.parametrize("before", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("seconds", [12.0, 60.0])
def test_a_list_that_lags_causes_no_duplicate(newest_first: bool, old: int, before: float, seconds: float) -> None:
    """A message is not sent again if the list lacks an earlier message that the server has confirmed.

    Such a list lags, so it may lack the message too.
    """
    scenario = Scenario(old=old, newest_first=newest_first, lag=(15.0, 15.0))
    scenario.world.run_until(scenario.send("first")).value()
    scenario.run(before)
    scenario.server.fault("sendMessage", lost_after())
    process = scenario.world.run_until(scenario.send("hello", seconds))
    check_told(scenario, process)
    if seconds > 20:
        assert process.value().receipt.reconciled


@pytest.mark.parametrize("work", [0.0, 1.0, 3.0, 5.0])
@pytest.mark.parametrize(
    "fault",
    [
        proxy_cut(),
        proxy_page(502),
        proxy_page(503),
        proxy_page(520),
        proxy_page(530),
        proxy_page(500),
        status(503),
        stale(1.5),
        cut_body(),
    ],
    ids=["cut", "502", "503", "520", "530", "500 of a proxy", "503 in form", "closed after a while", "cut body"],
)
def test_a_server_that_continues_its_work_causes_no_duplicate(fault: Fault, work: float) -> None:
    """The client finds a message that appears in the thread seconds after the request failed.

    A lost connection or a response of a proxy does not prove that the server is done.
    """
    scenario = Scenario(old=5)
    fault = Fault(
        kind=fault.kind,
        work=work,
        after=fault.after,
        status=fault.status,
        retry_after=fault.retry_after,
        html=fault.html,
    )
    scenario.server.fault("sendMessage", fault)
    process = scenario.world.run_until(scenario.send("hello"))
    check_told(scenario, process)
    assert process.value().receipt.reconciled
    assert process.took < work + 3


@pytest.mark.parametrize("text", ["Fish & chips", "one  two", " spaces\n", "cafe\u0301"])
@pytest.mark.parametrize("fault", [lost_after(), status(500, work=0.0)], ids=["lost", "500"])
@pytest.mark.parametrize("talked", [False, True])
def test_a_server_that_changes_texts_causes_no_duplicate(text: str, fault: Fault, talked: bool) -> None:
    """A message is not sent again if the thread shows an unexplained user's message with a different text.

    The server may have changed the text of our message.
    """
    scenario = Scenario(old=5, escape=True)
    if talked:
        scenario.world.run_until(scenario.send("first")).value()
    scenario.server.fault("sendMessage", fault)
    process = scenario.world.run_until(scenario.send(text, 20.0))
    check_told(scenario, process, text.replace("&", "&amp;"))


def test_a_server_date_that_jumps_during_the_search_causes_no_duplicate() -> None:
    """The client looks for messages made after sending began, even if the server's date jumps ahead later."""
    for skew in (5.0, 30.0, 900.0):
        scenario = Scenario(old=5)
        scenario.world.run_until(scenario.send("first")).value()
        scenario.run(30)
        scenario.server.fault("sendMessage", proxy_cut(after=0.2, work=0.1))
        process = scenario.send("hello")
        scenario.world.after(0.15, partial(setattr, scenario.server.options, "date_skew", skew))
        check_told(scenario, scenario.world.run_until(process))


def test_equal_texts_are_counted() -> None:
    """Of five equal messages sent at once, none is duplicated, and every confirmed one is in the thread."""
    for seed in range(40):
        scenario = Scenario(seed=seed, old=5, newest_first=bool(seed % 2))
        scenario.server.plan = mishaps(0.5, "sendMessage")
        sends = [scenario.send("same", 60.0) for _ in range(5)]
        scenario.run(2 * MINUTE)
        copies = scenario.server.received(scenario.thread_id).count("same")
        receipts = [process.result.receipt.message_id for process in sends if process.result is not None]
        not_sent = sum(process.error is not None and process.error.delivered is False for process in sends)  # type: ignore[attr-defined]
        assert len(receipts) == len(set(receipts))
        assert len(receipts) <= copies <= len(sends) - not_sent, seed


def test_an_equal_message_of_another_client_is_not_ours() -> None:
    """If another client sent the same text before, our lost message is sent again, or its outcome is unknown."""
    scenario = Scenario(old=5)
    scenario.world.run_until(scenario.send("first")).value()
    scenario.server.say(scenario.thread_id, "hello", direction=INBOUND)
    scenario.run(MINUTE)
    scenario.server.fault("sendMessage", lost_before())
    process = scenario.world.run_until(scenario.send("hello", 30.0))
    copies = scenario.server.received(scenario.thread_id).count("hello")
    if process.error is None:
        assert copies == 2
    else:
        assert isinstance(process.error, DeliveryUnknownError)
        assert copies == 1
