"""Failed connections: what the client sends again, and what its errors say about the delivery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import AGENT_ID, count
from featherhq import APIConnectionError, DeliveryUnknownError
from featherhq.sandbox import CutAfter, CutBefore, Garbage, Sandbox, Stall, Status


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (CutBefore(), "the connection was lost"),
        (CutAfter(), "the connection was lost"),
        (Garbage(), "the response is not valid HTTP"),
        (Stall(), "no response in time"),
    ],
    ids=repr,
)
def test_a_post_that_may_have_arrived_is_not_sent_again(
    connect: Callable[..., Any], sandbox: Sandbox, fault: Any, what: str
) -> None:
    """The connection fails after a POST was sent, on a new connection or on a used one. The POST is not sent again."""
    client = connect(timeout=1, max_retries=3)
    for used_before in (False, True):
        sandbox.inject("createThread", fault)
        with pytest.raises(APIConnectionError, match=what) as caught:
            client.threads.create(AGENT_ID)
        assert caught.value.attempts == 1
        assert "may have reached Feather" in str(caught.value.__notes__)
        if not used_before:
            client.threads.create(AGENT_ID)
    assert count(sandbox, "createThread") == 3


def test_a_message_that_was_accepted_before_the_connection_was_lost(
    connect: Callable[..., Any], sandbox: Sandbox
) -> None:
    """The client finds the message in the history, and does not send it again."""
    thread = connect(timeout=8).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutAfter())
    sent = thread.send("once")
    assert sent.reconciled
    said = [message for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]
    assert [(message.id, message.text) for message in said] == [(sent.message_id, "once")]
    assert count(sandbox, "sendMessage") == 1


def test_each_retry_is_counted(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """After a lost connection, only the retries of the client send a GET again. The attempts include each request."""
    client = connect(max_retries=1, timeout=5)
    thread = client.threads.create(AGENT_ID)
    sandbox.inject("getThread", CutBefore(), 2)
    with pytest.raises(APIConnectionError) as caught:
        thread.refresh()
    assert caught.value.attempts == 2
    assert count(sandbox, "getThread") == 2


def test_an_unknown_delivery_is_not_a_failed_delivery(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Without a response and a readable history, the outcome is unknown. Without a connection, the message was not
    sent.
    """
    thread = connect(timeout=1, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Stall())
    sandbox.inject("listMessages", Status(403), 9)
    with pytest.raises(DeliveryUnknownError):
        thread.send("hello")
    sandbox.stop()
    with pytest.raises(APIConnectionError, match="could not connect"):
        thread.send("hello")
