"""Threads: create, get, update and close a thread, send to it, ask in it and list its messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import AGENT_ID, Kind, count
from featherhq import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    NotFoundError,
    ReplyTimeoutError,
)
from featherhq.sandbox import Body, CutStream, Duplicate, Html, Reorder, Sandbox, Stall, Status


def test_a_thread_is_created_read_updated_and_closed(connect: Callable[..., Any]) -> None:
    """A thread can be created, read, updated and closed. `details` is the model in the last response."""
    client = connect()
    made = client.threads.create(AGENT_ID, metadata={"a": "1"}, variables={"name": "Ada"})
    assert made.details.agent_id == AGENT_ID
    assert client.thread(made.id).details is None
    found = client.threads.get(made.id)
    assert found.details.metadata.to_dict() == {"a": "1"}
    assert found.update(metadata={"b": "2"}).details.metadata.to_dict() == {"a": "1", "b": "2"}
    assert found.update(variables={"name": "Bo"}).details.variables.to_dict() == {"name": "Bo"}
    assert found.close("done").details.closed_reason == "done"
    assert made.refresh().details.is_active is False
    assert made.id in repr(made)
    assert client.threads.create(AGENT_ID).close().details.closed_reason is None


def test_send_returns_a_receipt(thread: Any, sandbox: Sandbox) -> None:
    """The receipt has the id of the message in the thread. It has `window_expires_in` as the server sent it."""
    sent = thread.send("hello")
    assert sandbox.messages(thread.id)[0].id == sent.message_id
    assert sent.thread_id == thread.id
    assert sent.window_expires_in == 3600


def test_ask_costs_two_requests(thread: Any, sandbox: Sandbox) -> None:
    """`ask()` needs two requests: it opens the stream and sends the message. The reply comes over the stream."""
    before = len(sandbox.requests)
    reply = thread.ask("hello")
    assert reply.text == "echo: hello"
    assert reply.direction == "OUTBOUND"
    assert reply.created_at.tzinfo is not None
    assert reply.raw["messageBody"] == reply.text
    assert [request.operation for request in sandbox.requests[before:]] == ["streamMessages", "sendMessage"]


@pytest.mark.parametrize("envelope", [None, "message", "data"])
def test_ask_reads_messages_in_every_envelope(kind: Kind, envelope: str | None) -> None:
    """`ask()` reads a message with or without an envelope, also between heartbeats."""
    with Sandbox(rate_limit=None, envelope=envelope, heartbeat=0.05) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        assert thread.ask("Hello").text == "Hello! What can I do for you?"
        assert count(sandbox, "listMessages") == 0


NO_STREAM: list[Any] = [
    Status(404),
    Status(405),
    Status(501),
    Status(403),
    Html(200),
    Body(b"{}"),
    CutStream(after_events=0),
    CutStream(after_events=0, clean=True),
    CutStream(after_bytes=40),
]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("fault", NO_STREAM, ids=repr)
def test_ask_without_a_stream_reads_the_history(kind: Kind, fault: Any, newest_first: bool) -> None:
    """If the stream is refused, is not an event stream or breaks, `ask()` finds the reply in the history. The order of
    the history does not matter.
    """
    with Sandbox(lambda text, _: [f"1 {text}", f"2 {text}"], rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        thread.send("before")
        sandbox.inject("streamMessages", fault)
        sandbox.inject("listMessages", Status(500))
        assert thread.ask("hello").text == "1 hello"


def test_ask_reads_all_pages_of_the_history(kind: Kind, sandbox: Sandbox) -> None:
    """`ask()` finds a reply if the thread has more than one page of older messages."""
    thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
    for number in range(120):
        sandbox.say(thread.id, str(number))
    sandbox.inject("streamMessages", Status(404))
    assert thread.ask("hello").text == "echo: hello"


def test_ask_with_a_stream_that_never_opens(kind: Kind, sandbox: Sandbox) -> None:
    """If the stream never opens, `ask()` waits for it for a part of its time. Then it sends the message."""
    thread = kind.client(base_url=sandbox.url, timeout=3, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("streamMessages", Stall())
    assert thread.ask("hello").text == "echo: hello"


def test_ask_with_an_event_that_is_too_large(thread: Any, sandbox: Sandbox) -> None:
    """If an event is too large, `ask()` closes the stream and reads the history."""
    sandbox.inject("streamMessages", Body(b"data: " + b"x" * 2_000_000, content_type="text/event-stream"))
    assert thread.ask("hello").text == "echo: hello"


def test_events_that_are_no_replies_are_skipped(thread: Any, sandbox: Sandbox) -> None:
    """A conversation skips events of other kinds, the user's own messages and invalid JSON."""
    inbound = {"id": "1", "messageBody": "mine", "direction": "INBOUND"}
    reply = {"id": "2", "messageBody": "yours"}
    events = ["{", "[]", '"x"', "{}", json.dumps({"data": inbound}), json.dumps({"data": {"message": reply}})]
    stream = "".join(f"data: {event}\n\n" for event in events).encode()
    sandbox.inject("streamMessages", Body(stream, content_type="Text/Event-Stream; charset=utf-8"))
    with thread.conversation() as chat:
        assert next(chat.replies(timeout=5)).id == "2"


def test_ask_with_events_that_come_twice(thread: Any, sandbox: Sandbox) -> None:
    """If each event comes twice, `ask()` returns the first one. The next `ask()` returns its own reply."""
    sandbox.inject("streamMessages", Duplicate())
    assert thread.ask("one").text == "echo: one"
    assert thread.ask("two").text == "echo: two"


@pytest.mark.parametrize("stream", [None, Status(404)], ids=["stream", "polling"])
def test_ask_without_a_reply_before_the_deadline(kind: Kind, stream: Any) -> None:
    """If no reply comes before the deadline, the error has the id of the accepted message. Heartbeats do not move the
    deadline.
    """
    with Sandbox(lambda *_: [], rate_limit=None, heartbeat=0.1) as sandbox:
        thread = kind.client(base_url=sandbox.url).threads.create(AGENT_ID)
        if stream is not None:
            sandbox.inject("streamMessages", stream)
        with pytest.raises(ReplyTimeoutError) as caught:
            thread.ask("hello", timeout=1)
        assert caught.value.message_id == sandbox.messages(thread.id)[0].id
        assert caught.value.thread_id == thread.id
        assert "Do not send it again" in caught.value.__notes__[0]


def test_ask_ends_if_the_history_is_forbidden(thread: Any, sandbox: Sandbox) -> None:
    """If the history is forbidden, `ask()` does not read it again. The error says that the message was accepted."""
    sandbox.inject("streamMessages", Status(404))
    sandbox.inject("listMessages", Status(403))
    with pytest.raises(ReplyTimeoutError) as caught:
        thread.ask("hello")
    assert caught.value.message_id
    assert count(sandbox, "listMessages") == 1


def test_ask_with_a_wrong_key_no_network_or_an_unknown_thread(kind: Kind, sandbox: Sandbox, dead_url: str) -> None:
    """If `ask()` could not send the message, it raises the error of that cause."""
    with pytest.raises(AuthenticationError):
        kind.client("wrong", base_url=sandbox.url).thread(AGENT_ID).ask("hello")
    assert count(sandbox, "sendMessage") == 0
    with pytest.raises(APIConnectionError):
        kind.client(base_url=dead_url, max_retries=0).thread(AGENT_ID).ask("hello")
    with pytest.raises(NotFoundError):
        kind.client(base_url=sandbox.url).thread(AGENT_ID).ask("hello")


def test_ask_without_a_slot_before_the_deadline(kind: Kind, sandbox: Sandbox) -> None:
    """If the rate limit has no free slot before the deadline, `ask()` raises APITimeoutError and sends nothing."""
    client = kind.client(base_url=sandbox.url, rate_limit=1)
    thread = client.threads.create(AGENT_ID)
    with pytest.raises(APITimeoutError, match="not sent"):
        thread.ask("hello", timeout=0.1)
    assert count(sandbox, "sendMessage") == 0


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("page_size", [1, 2, 100])
def test_messages_are_oldest_first(kind: Kind, newest_first: bool, page_size: int) -> None:
    """`messages()` returns each message once, oldest first. The server's order and the page size do not matter."""
    with Sandbox(lambda *_: [], rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url).threads.create(AGENT_ID)
        ticking = iter(range(1_700_000_000, 1_800_000_000))
        object.__setattr__(sandbox._app.state, "clock", lambda: next(ticking))
        for number in range(5):
            thread.send(str(number))
            sandbox.say(thread.id, f"re {number}")
        texts = [text for number in range(5) for text in (str(number), f"re {number}")]
        assert [message.text for message in thread.messages(page_size=page_size)] == texts
        inbound = thread.messages(direction="INBOUND", status="RECEIVED", page_size=page_size)
        assert [message.text for message in inbound] == texts[::2]
        assert list(thread.messages(direction="OUTBOUND", status="FAILED")) == []


def test_messages_are_sorted_by_time(thread: Any, sandbox: Sandbox) -> None:
    """If the server lists messages in random order, `messages()` returns them in the order of their times."""
    ticking = iter(range(1_700_000_000, 1_800_000_000))
    object.__setattr__(sandbox._app.state, "clock", lambda: next(ticking))
    for number in range(6):
        sandbox.say(thread.id, str(number))
    sandbox.inject("listMessages", Reorder(seed=3))
    assert [message.text for message in thread.messages()] == list("012345")


def test_a_repeated_cursor_ends_the_list(thread: Any, sandbox: Sandbox) -> None:
    """If the server sends a cursor again and no new message, the list ends."""
    page = {"messages": [{"id": "1", "messageBody": "a"}], "pagination": {"nextCursor": "1"}}
    sandbox.inject("listMessages", Body(json.dumps({"thread": page}).encode()), 9)
    assert [message.id for message in thread.messages()] == ["1"]
    assert count(sandbox, "listMessages") == 2


def test_pages_are_requested_when_they_are_needed(thread: Any, sandbox: Sandbox) -> None:
    """If the server lists the oldest messages first, the first message needs one request. Each further page needs one
    more.
    """
    ticking = iter(range(1_700_000_000, 1_800_000_000, 60))
    object.__setattr__(sandbox._app.state, "clock", lambda: next(ticking))
    for number in range(60):
        sandbox.say(thread.id, str(number))
    messages = thread.messages(page_size=20)
    assert next(messages).text == "0"
    assert count(sandbox, "listMessages") == 1
    # The last message of a page waits: the next page may begin with an older one.
    assert [next(messages).text for _ in range(18)] == [str(number) for number in range(1, 19)]
    assert count(sandbox, "listMessages") == 1
    assert next(messages).text == "19"
    assert count(sandbox, "listMessages") == 2
