"""Checks that all tests of sending share: what the sender is told is true, and the thread has the message only once."""

from __future__ import annotations

from typing import Any

from fake_time import Process
from featherhq import DeliveryUnknownError, FeatherError
from model_server import Fault
from test_flows import Scenario


def proxy_page(code: int, *, work: float | None = None) -> Fault:
    """A response of a proxy: this status, and an HTML page that is not in the contract's form."""
    return Fault(kind="status", status=code, after=0.2, work=work, html=True)


def check_told(scenario: Scenario, process: Process[Any], text: str = "hello") -> None:
    """The sender was told the truth, and the message is in the thread at most once."""
    copies = scenario.server.received(scenario.thread_id).count(text)
    assert process.done
    assert copies <= 1, f"the message is in the thread {copies} times"
    if process.error is None:
        assert copies
        return
    assert isinstance(process.error, FeatherError), process.error
    delivered = process.error.delivered
    assert delivered is None or delivered == bool(copies), f"delivered={delivered}, but the thread has {copies} copies"
    check_note(process.error)


def check_note(error: FeatherError) -> None:
    """The error has one note, and the note says the same as `delivered`."""
    assert len(error.__notes__) == 1
    note = error.__notes__[0].lower()
    if error.delivered is None:
        assert "look for it" in note or not isinstance(error, DeliveryUnknownError)
        assert "may be sent again" not in note
        assert "safe to repeat" not in note
    else:
        assert "may still arrive" not in note
        assert "look before" not in note
        assert "may have reached" not in note
    if error.delivered:
        assert "do not send it again" in note
