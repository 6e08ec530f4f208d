"""Conversations: each message of the agent comes once, in order and soon."""

from __future__ import annotations

import threading
import time
from statistics import median
from typing import Any

import pytest
from conftest import AGENT_ID, Kind, count
from conversation_helpers import texts
from featherhq import (
    ReplyTimeoutError,
)
from featherhq.sandbox import (
    Body,
    CutStream,
    Duplicate,
    Html,
    Sandbox,
    Status,
)

pytest_plugins = ["conversation_helpers"]
pytestmark = pytest.mark.usefixtures("no_stream_threads_remain")


BROKEN: list[Any] = [
    CutStream(after_events=0),
    CutStream(after_events=1),
    CutStream(after_events=1, clean=True),
    CutStream(after_bytes=300),
    CutStream(after_bytes=700),
    Status(404),
    Status(406),
    Status(503),
    Html(200),
    Duplicate(),
    Body(b"data: " + b"x" * 2_000_000, content_type="text/event-stream"),
]


def test_an_ask_in_an_open_conversation_needs_one_request(thread: Any, sandbox: Sandbox) -> None:
    """A hundred calls of `ask()` need a hundred requests, in addition to the opening."""
    with thread.conversation() as chat:
        opened = len(sandbox.requests)
        for number in range(100):
            assert chat.ask(str(number)).text == f"echo: {number}"
        assert len(sandbox.requests) - opened == 100


def test_messages_come_as_the_agent_makes_them(kind: Kind) -> None:
    """The agent may send several messages after one message of the user, or none. A new iteration continues where the
    last one stopped.
    """
    with Sandbox(lambda text, _: [f"{text}{n}" for n in range(3)], rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        sandbox.say(thread.id, "before")
        with thread.conversation() as chat:
            assert chat.send("a").message_id == sandbox.messages(thread.id)[1].id
            iterator = iter(chat)
            assert [next(iterator).text for _ in range(2)] == ["a0", "a1"]
            assert next(chat.replies(timeout=5)).text == "a2"
            sandbox.say(thread.id, "by the way")
            assert next(iter(chat)).text == "by the way"
            assert list(chat.replies(timeout=0.2)) == []
            # Further messages after a reply stay for the iteration. They are no reply to the next `ask()`.
            assert chat.ask("b").text == "b0"
            assert texts(chat.replies(timeout=0.3)) == ["b1", "b2"]
            chat.send("c")
            sandbox.wait_for_requests(3, "sendMessage")
            kind.sleep(0.2)
            assert chat.ask("d").text == "d0"
            assert texts(chat.replies(timeout=0.3)) == ["c0", "c1", "c2", "d1", "d2"]
        assert count(sandbox, "streamMessages") == 1
        assert count(sandbox, "listMessages") == 0


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: repr(fault)[:40])
def test_each_reply_comes_once_and_in_order(kind: Kind, fault: Any, newest_first: bool) -> None:
    """Each reply comes once and in order, whatever fault the stream has and whatever the order of the list is."""
    with Sandbox(
        lambda text, _: [f"{text}{n}" for n in range(3)], rate_limit=None, newest_first=newest_first
    ) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
        sandbox.inject("streamMessages", fault)
        with thread.conversation() as chat:
            chat.send("a")
            replies = chat.replies(timeout=5)
            assert [next(replies).text for _ in range(3)] == ["a0", "a1", "a2"]
            assert chat.ask("b").text == "b0"
            assert [next(replies).text for _ in range(2)] == ["b1", "b2"]
            assert list(chat.replies(timeout=0.3)) == []


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("same_time", [False, True])
def test_each_order_of_the_list_gives_the_same_messages(kind: Kind, newest_first: bool, same_time: bool) -> None:
    """The messages and their order stay the same: with pages of one message, in both orders, and with equal times."""
    with Sandbox(
        lambda text, _: [f"{text}{n}" for n in range(2)], rate_limit=None, newest_first=newest_first, largest_page=1
    ) as sandbox:
        if same_time:
            frozen = time.time()
            object.__setattr__(sandbox._app.state, "clock", lambda: frozen)
        thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
        sandbox.inject("streamMessages", CutStream(after_events=0), 2)
        with thread.conversation() as chat:
            for text in "ab":
                chat.send(text)
                replies = chat.replies(timeout=5)
                assert [next(replies).text for _ in range(2)] == [f"{text}0", f"{text}1"]
            assert list(chat.replies(timeout=0.3)) == []
        sandbox.inject("streamMessages", CutStream(after_events=0))
        assert thread.ask("c").text == "c0"


def test_a_message_comes_within_milliseconds(thread: Any, sandbox: Sandbox) -> None:
    """A message from the server reaches the caller in a few milliseconds."""
    left: dict[str, float] = {}
    taken: dict[str, float] = {}
    with thread.conversation() as chat:

        def talk() -> None:
            for number in range(20):
                said = str(number)
                left[said] = time.perf_counter()
                sandbox.say(thread.id, said)
                arrived.wait(5)
                arrived.clear()

        arrived = threading.Event()
        talker = threading.Thread(target=talk)
        talker.start()
        for message in chat.replies(timeout=5):
            taken[message.text] = time.perf_counter()
            arrived.set()
            if message.text == "19":
                break
        talker.join()
    # The promise is 5 ms, and the benchmark measures it. A busy machine needs a larger limit.
    assert median(taken[said] - left[said] for said in left) < 0.1


def test_many_messages_are_read_in_order(kind: Kind, sandbox: Sandbox) -> None:
    """If there are more messages than the mailbox can hold, they come in order. The end of the block does not wait for
    the others.
    """
    thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
    with thread.conversation() as chat:
        for number in range(600):
            sandbox.say(thread.id, str(number))
        replies = chat.replies(timeout=5)
        assert [next(replies).text for _ in range(100)] == [str(number) for number in range(100)]


def test_heartbeats_do_not_move_the_deadline_of_an_ask(kind: Kind) -> None:
    """With `timeout=3`, `ask()` ends within 3.3 s if the stream has only heartbeats. The error has the id of the
    accepted message.
    """
    with Sandbox(lambda *_: [], rate_limit=None, heartbeat=0.05) as sandbox:
        thread = kind.client(base_url=sandbox.url).threads.create(AGENT_ID)
        began = time.monotonic()
        with pytest.raises(ReplyTimeoutError) as caught:
            thread.ask("hello", timeout=3)
        assert time.monotonic() - began < 3.3
        assert caught.value.message_id == sandbox.messages(thread.id)[0].id
