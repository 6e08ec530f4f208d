"""Sending a message: generated requests, receipts, refusals, and the search for a lost message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_time import EPOCH
from featherhq import APIConnectionError, BadRequestError, DeliveryUnknownError, InvalidArgumentError
from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST
from featherhq._core.responses import Response
from featherhq._threads.send import send
from featherhq._threads.send_request import send_request
from flow_caller import LOST, NOW, OTHER, THREAD, URL, Caller, ok, page, receipt, rows


def posts(caller: Caller) -> int:
    """How many messages were sent."""
    return sum(request["method"].upper() == "POST" for request in caller.requests)


def cursors(caller: Caller) -> list[str | None]:
    """The cursors with which pages were requested."""
    return [request["params"].get("cursor") for request in caller.requests if request["method"].upper() == "GET"]


def test_a_generated_request_is_sent_as_a_message() -> None:
    """A generated request sends its message once, as `send` does. The id of its thread is taken from the path, and
    unescaped.
    """
    caller = Caller()
    settings = caller.settings
    for path, thread_id in ((THREAD, THREAD), ("a%20b", "a b")):
        request = {"method": "post", "url": f"/api/v1/threads/{path}/messages", "json": {"message": "hello"}}
        flow = send_request(settings, request, settings.deadline(5))
        assert flow is not None
        response = caller.run(flow, receipt(threadId=thread_id))
        assert isinstance(response, Response)
        assert response.data() == json.loads(receipt(threadId=thread_id).content)
        assert caller.last_request()[0] == "POST"
        assert caller.last_request()[2] == {"message": "hello"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/api/v1/threads/{THREAD}/messages", {"message": "x"}),
        ("POST", f"/api/v1/threads/{THREAD}/close", {"message": "x"}),
        ("POST", f"/api/v1/threads/{THREAD}/x/messages", {"message": "x"}),
        ("POST", f"/api/v1/threads/{THREAD}/messages", ["x"]),
        ("POST", f"/api/v1/threads/{THREAD}/messages", None),
        ("POST", "/api/v1/threads", {"message": "x"}),
        ("POST", f"/x/api/v1/threads/{THREAD}/messages", {"message": "x"}),
    ],
)
def test_a_generated_request_of_another_operation_is_left_alone(method: str, path: str, body: object) -> None:
    """`send_request` returns `None` for a generated request that does not send a message."""
    settings = Caller().settings
    assert send_request(settings, {"method": method, "url": path, "json": body}, settings.deadline(5)) is None


def test_a_generated_request_without_a_text_is_refused() -> None:
    """A generated request without a text is an invalid argument, as in `send`, and nothing is sent."""
    caller = Caller()
    request = {"method": "POST", "url": f"/api/v1/threads/{THREAD}/messages", "json": {"text": "x"}}
    flow = send_request(caller.settings, request, caller.settings.deadline(5))
    assert flow is not None
    assert isinstance(caller.run(flow), InvalidArgumentError)
    assert caller.requests == []


def test_generated_code_gets_the_receipt_of_a_message_that_was_found() -> None:
    """If the response was lost and the message was found in the thread, generated code gets a receipt with what the
    thread shows.
    """
    caller = Caller()
    settings = caller.settings
    settings.ledger.heard_time(EPOCH + NOW, NOW)
    shown = rows(1, direction="INBOUND", messageBody=" hello ", status="SENT")
    request = {"method": "POST", "url": f"/api/v1/threads/{THREAD}/messages", "json": {"message": "hello"}}
    flow = send_request(settings, request, settings.deadline(30))
    assert flow is not None
    response = caller.run(flow, LOST, page(shown))
    assert response.status_code == 200
    assert response.json() == {"messageId": "1", "threadId": THREAD, "status": "SENT"}
    assert response.headers["content-type"] == "application/json"
    (_, listed) = caller.requests
    assert str(listed["params"]["direction"]) == "INBOUND"


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({}, ("QUEUED", 5, THREAD)),
        ({"status": 5, "windowExpiresIn": "soon", "threadId": None}, (None, None, THREAD)),
        ({"windowExpiresIn": 1.5, "threadId": THREAD.upper()}, ("QUEUED", 1.5, THREAD.upper())),
    ],
)
def test_a_receipt_may_have_small_faults(fields: dict[str, Any], read: tuple[object, ...]) -> None:
    """A field of a receipt that is not as the contract says is left out. Only the id of the message must be valid."""
    caller = Caller()
    sent = caller.run(send(caller.settings, THREAD, "x", caller.settings.deadline(5)), receipt(**fields))
    assert (sent.receipt.status, sent.receipt.window_expires_in, sent.receipt.thread_id) == read
    assert (sent.receipt.message_id, sent.receipt.reconciled) == ("1", False)


@pytest.mark.parametrize(
    ("fields", "found"),
    [({"messageId": None}, "no valid messageId"), ({"threadId": OTHER}, "a receipt for another thread")],
)
def test_a_message_without_a_valid_receipt_is_not_sent_again(fields: dict[str, Any], found: str) -> None:
    """The status says that the message was accepted, so the client looks for it and never sends it again. If the
    client does not find it, the outcome is unknown.
    """
    caller = Caller(max_retries=5)
    flow = send(caller.settings, THREAD, "hello", caller.settings.deadline(30))
    error = caller.run(flow, receipt(**fields), page([]))
    assert isinstance(error, DeliveryUnknownError)
    assert found in str(error)
    assert sum(request["method"].upper() == "POST" for request in caller.requests) == 1
    assert (error.thread_id, error.text, error.attempts) == (THREAD, "hello", 1)
    assert (error.method, error.url) == ("POST", f"{URL}/api/v1/threads/{THREAD}/messages")


def test_a_refused_message_was_not_delivered() -> None:
    """The error says that the message was not delivered, and where to find the reason."""
    caller = Caller()
    error = caller.run(send(caller.settings, THREAD, "x", caller.settings.deadline(5)), ok({}, 400))
    assert isinstance(error, BadRequestError)
    assert error.delivered is False
    assert any("thread.refresh" in note for note in error.__notes__)


def test_a_search_reads_back_ten_minutes() -> None:
    """If the list begins with the newest message, a search reads back to a little more than ten minutes before the
    message was sent.
    """
    caller = Caller()
    caller.settings.ledger.heard_time(EPOCH + NOW, NOW)
    caller.settings.experience.order = NEWEST_FIRST
    # Each page is three minutes older than the page before. The fifth is the first one that is old enough.
    pages = [page(rows(-180 * number, direction="INBOUND"), str(number)) for number in range(9)]
    caller.run(send(caller.settings, THREAD, "hello", caller.settings.deadline(6)), LOST, *pages)
    assert cursors(caller)[:5] == [None, "0", "1", "2", "3"]
    assert cursors(caller)[5] is None


def test_a_scan_of_a_search_begins_where_the_last_one_ended() -> None:
    """If the list begins with the oldest message, each later scan of a search begins with the last page of the first
    scan.
    """
    caller = Caller()
    caller.settings.ledger.heard_time(EPOCH + NOW, NOW)
    caller.settings.experience.order = OLDEST_FIRST
    old = [page(rows(-5000, -4000, direction="INBOUND"), "a"), page(rows(-3000, -2000, direction="INBOUND"))]
    error = caller.run(send(caller.settings, THREAD, "hello", caller.settings.deadline(60)), LOST, *old)
    assert cursors(caller)[:4] == [None, "a", "a", "a"]
    assert isinstance(error, APIConnectionError)
    assert error.delivered is False
    assert posts(caller) == 1
    # The search goes on until the server is probably done with the request: six seconds after it was sent.
    assert caller.now - NOW >= 6
