"""What `send()` does after each response: find the message, send it again, raise an error, or say "unknown"."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import AGENT_ID, Kind, count
from featherhq import (
    APIStatusError,
    AsyncFeather,
    BadRequestError,
    DeliveryUnknownError,
    FeatherError,
    ResponseDecodeError,
    ServerError,
)
from featherhq.sandbox import Body, CutAfter, CutBefore, Garbage, Html, Sandbox, Stall, Status
from send_helpers import ParallelSends, texts

# The server work is probably over after these statuses. A 500 in the contract's own form is proof of it.
OVER = [500, 502, 503, 520, 521, 522, 523, 525, 526, 527, 530]
# The server may still be at work after these statuses.
WORKING = [408, 504, 524]
UNREADABLE = [Html(200), Body(b""), Body(b'{"messageId": '), Body(b"[]"), Body(b'{"status": "SENT"}')]
UNREADABLE += [Body(b'{"messageId": null}', code=202), Body(b'{"messageId": true}')]


def test_a_message_that_was_not_accepted_is_sent_again(kind: Kind, sandbox: Sandbox) -> None:
    """If the server work is probably over, the call reads the thread for six seconds. If the thread does not have the
    message by then, the call sends it again. The thread then has it once.
    """
    sends = ParallelSends(kind, sandbox)
    faults = [CutBefore(), Garbage(), Html(502), Status(523), Status(500, body=b"{}"), Html(500), Status(503)]
    thread_ids = [sends.new_thread(fault) for fault in faults]
    for thread_id, sent in zip(thread_ids, sends.to(thread_ids), strict=True):
        assert not isinstance(sent, FeatherError)
        assert not sent.reconciled
        assert sends.messages(thread_id)[0] == "hello"
        assert sends.attempts(thread_id) == 2
    assert all(5.9 < seconds < 12 for seconds in sends.took)


@pytest.mark.parametrize("fault", [CutBefore(), Status(500)], ids=repr)
def test_two_seconds_are_enough_if_the_server_work_is_over(thread: Any, sandbox: Sandbox, fault: Any) -> None:
    """The server work is over after a 500 in the contract's own form, or if an idle connection was closed at once. Then
    the call reads the thread for two seconds before it sends the message again.
    """
    sandbox.inject("sendMessage", fault)
    began = time.monotonic()
    sent = thread.send("hello")
    assert 1.9 < time.monotonic() - began < 4
    assert not sent.reconciled
    assert texts(sandbox, thread) == ["hello"]
    assert count(sandbox, "sendMessage") == 2
    assert count(sandbox, "listMessages") >= 3


def test_the_status_decides_whether_a_message_is_sent_again(kind: Kind, sandbox: Sandbox) -> None:
    """A message is sent again after a status which says that the server work is over. It is never sent again after 408,
    504 or 524.
    """
    sends = ParallelSends(kind, sandbox)
    thread_ids = [sends.new_thread(Status(status)) for status in OVER]
    for thread_id, sent in zip(thread_ids, sends.to(thread_ids), strict=True):
        assert not isinstance(sent, FeatherError)
        assert not sent.reconciled
        assert sends.messages(thread_id)[0] == "hello"
        assert sends.attempts(thread_id) == 2
    assert 1.9 < sends.took[0] < 5.5
    assert all(5.9 < seconds < 12 for seconds in sends.took[1:])
    thread_ids = [sends.new_thread(Status(status)) for status in WORKING]
    for thread_id, error in zip(thread_ids, sends.to(thread_ids, timeout=3), strict=True):
        assert isinstance(error, DeliveryUnknownError)
        assert isinstance(error.__cause__, APIStatusError)
        assert error.delivered is None
        assert "was not found in the thread" in error.__notes__[0]
        assert sends.messages(thread_id) == []
        assert sends.attempts(thread_id) == 1
    assert all(2.5 < seconds < 3.2 for seconds in sends.took)


def test_a_server_that_never_accepts_the_message(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """After `max_retries` the call raises the server's own error. It says that the message is not in the thread and may
    be sent again.
    """
    thread = connect(timeout=9, max_retries=1).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(500), 9)
    with pytest.raises(ServerError) as caught:
        thread.send("hello")
    assert caught.value.attempts == 2
    assert caught.value.delivered is False
    assert caught.value.__notes__ == ["The thread was read: the message has not arrived, and may be sent again."]
    assert count(sandbox, "sendMessage") == 2


@pytest.mark.parametrize("refusal", [400, 409])
def test_a_refused_second_attempt_does_not_decide_the_first(kind: Kind, sandbox: Sandbox, refusal: int) -> None:
    """If the second attempt is refused, the first one may still be accepted late. The call makes another scan: it finds
    the message, or the outcome is unknown.
    """
    sends = ParallelSends(kind, sandbox, timeout=9)
    late, never = (sends.new_thread(Status(500), Status(refusal)) for _ in range(2))

    def accept_late() -> None:
        sandbox.wait_for_requests(4, "sendMessage", timeout=9)
        sandbox._app.state.accept(late, "hello")

    acceptance = threading.Thread(target=accept_late)
    acceptance.start()
    found, unknown = sends.to([late, never])
    acceptance.join()
    assert not isinstance(found, FeatherError)
    assert found.reconciled
    assert isinstance(unknown, DeliveryUnknownError)
    assert unknown.delivered is None
    assert isinstance(unknown.__cause__, APIStatusError)
    assert unknown.__cause__.status_code == refusal
    assert [sends.attempts(thread_id) for thread_id in (late, never)] == [2, 2]


def test_a_refused_first_attempt_needs_no_scan(thread: Any, sandbox: Sandbox) -> None:
    """If the first attempt is refused, the message was not delivered. The call does not read the history."""
    sandbox.inject("sendMessage", Status(400))
    with pytest.raises(BadRequestError) as caught:
        thread.send("hello")
    assert caught.value.delivered is False
    assert count(sandbox, "listMessages") == 0


def test_an_unreadable_success_needs_a_scan(kind: Kind, sandbox: Sandbox) -> None:
    """If the response is a success and cannot be read, the call looks for the message in the thread. It finds it, or
    the outcome is unknown. It does not send it again.
    """
    sends = ParallelSends(kind, sandbox)
    thread_ids = [sends.new_thread(fault) for fault in UNREADABLE]
    late = sends.new_thread(Html(200))
    acceptance = threading.Timer(3.0, sandbox._app.state.accept, (late, "hello"))
    acceptance.start()
    found, *errors = sends.to([late, *thread_ids])
    acceptance.join()
    assert not isinstance(found, FeatherError)
    assert found.reconciled
    for thread_id, error in zip(thread_ids, errors, strict=True):
        assert isinstance(error, DeliveryUnknownError)
        assert isinstance(error.__cause__, ResponseDecodeError)
        assert error.delivered is None
        assert "It was not sent twice" in error.__notes__[0]
        assert sends.messages(thread_id) == []
        assert sends.attempts(thread_id) == 1
    assert all(5.9 < seconds < 12 for seconds in sends.took[1:])


def test_no_second_attempt_without_time_for_a_scan(kind: Kind, sandbox: Sandbox) -> None:
    """The call does not send the message again if too little time is left to learn the outcome."""
    sends = ParallelSends(kind, sandbox)
    thread_id = sends.new_thread(Status(502))
    (error,) = sends.to([thread_id], timeout=8)
    assert isinstance(error, ServerError)
    assert error.delivered is False
    assert sends.attempts(thread_id) == 1
    assert sends.messages(thread_id) == []


def test_a_cancelled_send_does_not_delay_the_next_one(sandbox: Sandbox) -> None:
    """A cancelled send may have been accepted or not. It does not delay the next message of the same text."""

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=9) as feather:
            thread = await feather.threads.create(AGENT_ID)
            sandbox.inject("sendMessage", Stall())
            task = asyncio.create_task(thread.send("hello"))
            await asyncio.to_thread(sandbox.wait_for_requests, 1, "sendMessage")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            sandbox.inject("sendMessage", CutAfter())
            assert (await thread.send("hello")).reconciled

    asyncio.run(program())
