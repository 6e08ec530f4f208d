"""Conversations read the history if the stream is missing, silent, late or cut."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from conftest import AGENT_ID, Kind, count
from featherhq import (
    PermissionDeniedError,
)
from featherhq.sandbox import (
    CutStream,
    Hide,
    Lag,
    Mute,
    Reorder,
    Sandbox,
    Stall,
    Status,
)

pytest_plugins = ["conversation_helpers"]
pytestmark = pytest.mark.usefixtures("no_stream_threads_remain")


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("stream", [CutStream(after_events=0), Status(405)], ids=repr)
def test_an_ask_does_not_read_a_whole_long_thread(kind: Kind, newest_first: bool, stream: Any) -> None:
    """In a thread of ten thousand messages, `ask()` needs only a few requests for the history."""
    with Sandbox(lambda text, _: f"re {text}", rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
        object.__setattr__(sandbox._app.state, "clock", iter(range(1_600_000_000, 1_700_000_000)).__next__)
        for number in range(10_000):
            sandbox._app.state.say(thread.id, str(number))
        object.__setattr__(sandbox._app.state, "clock", time.time)
        sandbox.inject("streamMessages", stream, 2)
        assert thread.ask("one").text == "re one"
        with thread.conversation() as chat:
            assert chat.ask("two").text == "re two"
        assert count(sandbox, "listMessages") <= 6


def test_without_a_stream_the_conversation_reads_the_history(kind: Kind) -> None:
    """If there is no stream, the conversation reads the history: soon at first, then less and less often."""
    with Sandbox(lambda *_: [], rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        sandbox.inject("streamMessages", Status(501))
        with thread.conversation() as chat:
            threading.Timer(0.3, sandbox.say, [thread.id, "hello"]).start()
            began = time.monotonic()
            assert next(chat.replies(timeout=5)).text == "hello"
            assert time.monotonic() - began < 1.5
        assert count(sandbox, "streamMessages") == 1


def test_a_silent_stream_is_replaced_by_the_history(kind: Kind, sandbox: Sandbox) -> None:
    """If the stream does not send a message that the history has, `ask()` finds it before its deadline. Then the
    conversation reads the history instead of the stream.
    """
    sandbox.inject("streamMessages", Mute(), 9)
    thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
    assert thread.ask("hello", timeout=1.2).text == "echo: hello"
    with thread.conversation() as chat:
        assert chat.ask("one", timeout=1.2).text == "echo: one"
        assert chat.ask("two", timeout=3).text == "echo: two"
        assert chat.ask("three", timeout=3).text == "echo: three"
        assert list(chat.replies(timeout=0.3)) == []
    assert count(sandbox, "streamMessages") == 3


def test_a_stream_that_does_not_open_does_not_block_an_ask(kind: Kind, sandbox: Sandbox) -> None:
    """If the stream does not open, the conversation waits for a part of its time. Then it reads the history."""
    thread = kind.client(base_url=sandbox.url, timeout=2).threads.create(AGENT_ID)
    sandbox.inject("streamMessages", Stall())
    with thread.conversation() as chat:
        assert chat.ask("hello", timeout=5).text == "echo: hello"


@pytest.mark.parametrize("reply_expected", [True, False])
def test_a_message_after_a_cut_stream_comes_soon(kind: Kind, reply_expected: bool) -> None:
    """After the stream was cut, a message comes from the history. If a reply is expected, the scan begins when the
    stream is open again. If not, it begins two seconds later, when the list can show all messages of the gap.
    """
    with Sandbox(lambda *_: [], rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
        sandbox.inject("streamMessages", CutStream(after_events=1))
        with thread.conversation() as chat:
            replies = chat.replies(timeout=5)
            sandbox.say(thread.id, "one")
            assert next(replies).text == "one"
            if reply_expected:
                chat.send("hello")
            sandbox.say(thread.id, "two")
            began = time.monotonic()
            assert next(replies).text == "two"
            assert time.monotonic() - began < (1.5 if reply_expected else 2.5)


def test_a_gap_with_a_history_that_fails(kind: Kind, sandbox: Sandbox) -> None:
    """A new message from the stream waits for the messages of the gap, for a limited time. No message is lost."""
    thread = kind.client(base_url=sandbox.url, timeout=30, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("streamMessages", CutStream(after_events=0))
    sandbox.inject("listMessages", Status(500), 2)
    with thread.conversation() as chat:
        assert chat.ask("one").text == "echo: one"
        sandbox.inject("listMessages", Reorder(1), 2)
        sandbox.inject("listMessages", Lag(1))
        assert chat.ask("two").text == "echo: two"


def test_a_gap_with_a_list_that_is_late(kind: Kind) -> None:
    """If the list does not show a message of the gap yet, a scan two seconds later finds it. Other messages from the
    stream do not change that.
    """
    with Sandbox(lambda text, _: [] if text == "hello" else f"re: {text}", rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
        sandbox.inject("streamMessages", CutStream(after_events=0))
        sandbox.inject("listMessages", Hide("two"))
        with thread.conversation() as chat:
            # A reply is expected. So the scan begins as soon as the stream is open again.
            chat.send("hello")
            sandbox.say(thread.id, "two")

            def say_more() -> None:
                sandbox.wait_for_requests(1, "listMessages")
                sandbox.say(thread.id, "three")

            talker = threading.Thread(target=say_more)
            talker.start()
            replies = chat.replies(timeout=9)
            began = time.monotonic()
            assert {next(replies).text, next(replies).text} == {"two", "three"}
            assert time.monotonic() - began < 4
            talker.join()
            assert chat.ask("four").text == "re: four"


def test_a_forbidden_history_beside_an_open_stream(thread: Any, sandbox: Sandbox) -> None:
    """If only the history is forbidden, the stream still brings messages. If there is no stream either, the caller gets
    the error.
    """
    sandbox.inject("streamMessages", CutStream(after_events=0))
    sandbox.inject("listMessages", Status(403), 99)
    with thread.conversation() as chat:
        sandbox.wait_for_requests(1, "streamMessages")
        threading.Timer(4.5, sandbox.say, [thread.id, "hello"]).start()
        assert next(chat.replies(timeout=9)).text == "hello"
    sandbox.inject("streamMessages", Status(404), 99)
    with thread.conversation() as chat, pytest.raises(PermissionDeniedError, match="403"):
        next(chat.replies(timeout=5))
