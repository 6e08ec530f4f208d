"""What a test reads from a sandbox, and how it waits for it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import featherhq.sandbox
import pytest
from conftest import AGENT_ID
from featherhq import Feather
from featherhq.sandbox import CutBefore, RecordedRequest, Sandbox, Status

LOOSE: Any = featherhq.sandbox


@pytest.fixture
def feather(sandbox: Sandbox) -> Any:
    with Feather(sandbox.api_key, base_url=sandbox.url, rate_limit=None) as client:
        yield client


def test_the_texts_of_messages(sandbox: Sandbox, feather: Feather) -> None:
    """Those of the users and those of the agent, of one thread or of all, oldest first."""
    assert (sandbox.threads, sandbox.sent(), sandbox.replies()) == ([], [], [])
    first, second = feather.threads.create(AGENT_ID), feather.threads.create(AGENT_ID)
    assert sandbox.threads == [first.id, second.id]
    second.ask("b")
    first.ask("a")
    sandbox.say(first.id, "By the way")
    second.ask("c")
    assert sandbox.sent() == ["a", "b", "c"]
    assert sandbox.sent(first.id) == ["a"]
    assert sandbox.replies() == ["echo: a", "By the way", "echo: b", "echo: c"]
    assert sandbox.replies(UUID(first.id)) == ["echo: a", "By the way"]


def test_a_message_that_was_not_accepted_was_not_sent(sandbox: Sandbox, feather: Feather) -> None:
    """The request is there, with its fault, and the message is not."""
    thread = feather.threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(503, {"Retry-After": "0"}))
    thread.send("a")
    assert sandbox.sent() == ["a"]
    posts = [request for request in sandbox.requests if request.operation == "sendMessage"]
    assert [(post.fault, post.status, post.json()) for post in posts] == [
        (Status(503, {"Retry-After": "0"}), 503, {"message": "a"}),
        (None, 200, {"message": "a"}),
    ]
    with pytest.raises(ValueError, match="Expecting value"):
        RecordedRequest("", "GET", "/", {}, {}, {}, b"x", 0).json()


Wait = Callable[[Sandbox, int, str], list[str]]
WAITS: list[tuple[Wait, str]] = [
    (lambda sandbox, count, thread: sandbox.wait_for_sent(count, thread, 9), "sent"),
    (lambda sandbox, count, thread: sandbox.wait_for_replies(count, thread, 9), "replies"),
]


@pytest.mark.parametrize(("wait", "texts"), WAITS)
def test_waiting_for_messages(sandbox: Sandbox, feather: Feather, wait: Wait, texts: str) -> None:
    """The wait ends with so many messages, and returns them. A message of another thread does not count."""
    thread, other = feather.threads.create(AGENT_ID), feather.threads.create(AGENT_ID)
    returned: list[list[str]] = []
    waiter = threading.Thread(target=lambda: returned.append(wait(sandbox, 2, thread.id)))
    waiter.start()
    other.ask("x")
    thread.ask("a")
    assert waiter.is_alive()
    thread.ask("b")
    waiter.join(9)
    assert returned == [getattr(sandbox, texts)(thread.id)]
    assert wait(sandbox, 0, thread.id) == returned[0]


def test_messages_that_the_agent_owes(sandbox: Sandbox) -> None:
    """The wait ends with the message, without a client that reads it."""
    with Feather(sandbox.api_key, base_url=sandbox.url) as feather:
        thread = feather.threads.create(AGENT_ID)
        thread.send("a")
        assert sandbox.wait_for_replies(1) == ["echo: a"]
        sandbox.say(thread.id, "By the way")
        assert sandbox.wait_for_replies(2) == ["echo: a", "By the way"]


def test_a_wait_that_ends_in_vain(sandbox: Sandbox, feather: Feather) -> None:
    """The error says what was expected and what there is."""
    thread = feather.threads.create(AGENT_ID)
    sandbox.inject("streamMessages", CutBefore(), 100)
    thread.send("Pay 100")
    sandbox.wait_for_replies(1)
    with pytest.raises(TimeoutError) as caught:
        sandbox.wait_for_replies(2, timeout=0.01)
    assert str(caught.value) == "expected 2 messages of the agent within 0.01 s; there are 1: ['echo: Pay 100']"
    with pytest.raises(TimeoutError, match=r"expected 2 messages of users within 0 s; there are 1: \['Pay 100'\]"):
        sandbox.wait_for_sent(2, thread.id, timeout=0)
    with pytest.raises(TimeoutError, match=r"expected 9 sendMessage requests within 0 s; there are 1: \[Recorded"):
        sandbox.wait_for_requests(9, "send_message", timeout=0)


@pytest.mark.parametrize("name", ["wait_for_sent", "wait_for_replies"])
def test_invalid_arguments(sandbox: Sandbox, feather: Feather, name: str) -> None:
    """The error comes at once, and names the argument or the thread."""
    wait = getattr(LOOSE.Sandbox, name)
    feather.threads.create(AGENT_ID)
    began = time.monotonic()
    for arguments, kind, expected in (
        ((-1,), ValueError, "count: expected a whole number of at least 0, not -1"),
        (("1",), TypeError, "count: expected a whole number"),
        ((1, str(uuid4())), ValueError, "; existing threads (1): "),
        ((1, 1), TypeError, "thread_id: expected a thread's id"),
        ((1, None, -1), ValueError, "timeout: expected seconds, 0 or more, not -1"),
    ):
        with pytest.raises(kind, match=re.escape(expected)):
            wait(sandbox, *arguments)
    sandbox.stop()
    with pytest.raises(RuntimeError, match="this sandbox is not running"):
        wait(sandbox, 1)
    assert wait(sandbox, 0) == []
    assert time.monotonic() - began < 5


def test_a_request_shows_its_fault() -> None:
    """In its `repr`, as the section of a failed test and the errors of waits show it."""
    request = RecordedRequest("getThread", "GET", "/x", {"threadId": "1"}, {}, {}, b"", 0.0, None, CutBefore())
    assert repr(request).endswith("status=None, fault=CutBefore())")
