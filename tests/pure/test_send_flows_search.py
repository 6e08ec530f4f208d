"""Sending in fake time: how the client searches the thread for a lost message, and how many requests that costs."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
from featherhq import DeliveryUnknownError, ServerError
from model_server import INBOUND, Call, Row, proxy_cut, silence
from send_checks import check_told
from test_flows import Scenario, quiet

__all__ = ["quiet"]


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_message_is_found_even_if_the_server_refuses_cursors(bad_cursor: Any, newest_first: bool) -> None:
    """The client finds a lost message in a long thread if the server does not accept the cursors of the search."""
    options: dict[str, Any] = {"any_cursor": False, "bad_cursor": bad_cursor, "newest_first": newest_first}
    scenario = Scenario(old=250, largest_page=20, **options)
    scenario.server.fault("sendMessage", proxy_cut(work=4.0))
    process = scenario.send("hello")
    # All messages whose ids were given as cursors are deleted during the search.
    for row in scenario.server.rows[scenario.thread_id][200:]:
        scenario.world.after(2.0, partial(scenario.server.delete, row))
    scenario.world.run_until(process)
    check_told(scenario, process)
    assert process.value().receipt.reconciled


@pytest.mark.parametrize("bad_cursor", [400, 404, "empty"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_message_is_found_even_if_a_cursor_is_deleted_during_the_search(bad_cursor: Any, newest_first: bool) -> None:
    """The client reads the list again if the message whose id is the next cursor was deleted."""
    scenario = Scenario(old=100, largest_page=10, bad_cursor=bad_cursor, newest_first=newest_first)
    for row in scenario.server.rows[scenario.thread_id]:
        # All messages are from this hour, so the search reads more than one page.
        row.stamp = scenario.server._stamp(scenario.world.now - 100 + row.number, INBOUND)
    gone: list[Row] = []

    def delete(call: Call, _: random.Random) -> None:
        row = scenario.server._by_id.get(call.params.get("cursor", ""))
        if row is not None and len(gone) < 2:
            gone.append(row)
            scenario.server.delete(row)

    scenario.server.fault("sendMessage", proxy_cut(work=1.0))
    scenario.server.plan = delete
    process = scenario.world.run_until(scenario.send("hello"))
    assert process.value().receipt.reconciled
    assert gone
    check_told(scenario, process)


def test_a_search_for_a_message_costs_few_requests() -> None:
    """A client that gets no response to a message scans the thread at most every five seconds."""
    scenario = Scenario(old=5)
    scenario.server.fault("sendMessage", silence())
    process = scenario.world.run_until(scenario.send("hello", 60.0))
    assert isinstance(process.error, DeliveryUnknownError)
    assert scenario.cost() <= 1 + 12
    assert not isinstance(process.error, ServerError)


def test_a_search_in_a_long_thread_reads_few_pages() -> None:
    """In a thread of two thousand messages, in either order, a lost response costs few pages."""
    for newest_first in (False, True):
        scenario = Scenario(old=2000, newest_first=newest_first)
        scenario.world.run_until(scenario.send("first")).value()
        scenario.server.fault("sendMessage", proxy_cut(work=3.0))
        process = scenario.world.run_until(scenario.send("hello"))
        assert process.value().receipt.reconciled
        # If the list begins with the oldest message, the first scan reads all pages.
        assert scenario.server.cost()["listMessages"] <= (30 if not newest_first else 6)
        check_told(scenario, process)
