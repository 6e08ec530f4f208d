"""Conversations that go on: bookmarks, places in the thread, and lists of what comes after a place."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import InvalidArgumentError
from featherhq.sandbox import CutStream, Sandbox

ORDERS = pytest.mark.parametrize("newest_first", [False, True])


def texts(messages: Any) -> list[str]:
    return [message.text for message in messages]


@ORDERS
def test_a_conversation_goes_on_from_a_bookmark(kind: Kind, newest_first: bool) -> None:
    """What the agent says while there is no conversation comes in the next one, once and in order, and then what it
    says live. The bookmark may come from another client.
    """
    with Sandbox(rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        sandbox.say(thread.id, "old")
        assert texts(thread.messages()) == ["old"]
        with thread.conversation() as chat:
            for number in range(3):
                sandbox.say(thread.id, str(number))
            assert texts(next(iter(chat)) for _ in range(2)) == ["0", "1"]
            bookmark = chat.bookmark
        assert chat.bookmark == bookmark
        assert texts(thread.messages(after=bookmark)) == ["2"]
        sandbox.say(thread.id, "3")
        again = kind.client(base_url=sandbox.url, timeout=5).thread(thread.id)
        with again.conversation(after=bookmark) as chat:
            sandbox.say(thread.id, "4")
            assert texts(next(iter(chat)) for _ in range(3)) == ["2", "3", "4"]
            assert texts(chat.replies(timeout=0.2)) == []
            last = chat.bookmark
        with again.conversation(after=last) as chat:
            assert texts(chat.replies(timeout=0.2)) == []


@ORDERS
def test_a_conversation_goes_on_from_a_message(kind: Kind, newest_first: bool) -> None:
    """A message, its id and a receipt are places too. The user's own messages are not handed out."""
    with Sandbox(lambda text, _: f"re: {text}", rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        replies = [thread.ask(str(number)) for number in range(3)]
        sent = thread.send("last")
        thread.wait_for_reply(sent)
        for after in (replies[1], replies[1].id):
            with thread.conversation(after=after) as chat:
                assert texts(chat.replies(timeout=0.2)) == ["re: 2", "re: last"]
        with thread.conversation(after=sent) as chat:
            assert texts(chat.replies(timeout=0.2)) == ["re: last"]


def test_bookmarks_hold_with_broken_streams(kind: Kind) -> None:
    """If the stream breaks after each message, the bookmarks still say what was handed out."""
    with Sandbox(rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        sandbox.inject("streamMessages", CutStream(after_events=1), times=50)
        with thread.conversation() as chat:
            bookmark = chat.bookmark
        seen: list[str] = []
        for number in range(8):
            sandbox.say(thread.id, f"{number} a")
            with thread.conversation(after=bookmark) as chat:
                sandbox.say(thread.id, f"{number} b")
                while len(seen) < 2 * number + 2:
                    seen.append(next(iter(chat)).text)
                    bookmark = chat.bookmark
        assert seen == [f"{number} {part}" for number in range(8) for part in "ab"]


def test_places_that_are_none_fail_before_any_request(kind: Kind, thread: Any, sandbox: Sandbox) -> None:
    """A place in another thread, a damaged bookmark and a value of another type fail before any request."""
    other = kind.client(base_url=sandbox.url).thread(THREAD_ID)
    with other.conversation() as chat:
        bookmark = chat.bookmark
    before = len(sandbox.requests)
    for after in (bookmark, bookmark[:-4], 7):
        with pytest.raises(InvalidArgumentError):
            thread.conversation(after=after)
        with pytest.raises(InvalidArgumentError):
            thread.messages(after=after)
    for arguments in ({"timeout": 0}, {"newest_first": "yes"}, {"page_size": 0}):
        with pytest.raises(InvalidArgumentError):
            thread.messages(**arguments)
    with pytest.raises(InvalidArgumentError):
        thread.conversation(timeout=-1)
    with pytest.raises(InvalidArgumentError):
        thread.wait_for_reply(bookmark[:0])
    assert len(sandbox.requests) == before


def test_a_message_of_no_thread_is_an_error_at_the_beginning_of_the_block(thread: Any, sandbox: Sandbox) -> None:
    """An id that the thread does not have is found out when the block is entered."""
    sandbox.say(thread.id, "hello")
    chat = thread.conversation(after=THREAD_ID)
    with pytest.raises(InvalidArgumentError, match=f"after: message {THREAD_ID} is not in thread"), chat:
        pass
    with pytest.raises(InvalidArgumentError, match="is not in thread"):
        list(thread.messages(after=THREAD_ID))


@ORDERS
def test_messages_after_a_place_cost_the_pages_after_it(kind: Kind, newest_first: bool) -> None:
    """`messages(after=…)` lists both directions after the place, with the filters that were given, and fetches no
    more than three pages of a long thread.
    """
    with Sandbox(lambda text, _: f"re: {text}", rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        for number in range(1000):
            sandbox.say(thread.id, f"old {number}")
        for number in range(3):
            thread.ask(str(number))
        wanted = ["re: 1", "2", "re: 2"]
        place = sandbox.messages(thread.id)[-4].id
        cases: list[tuple[dict[str, Any], list[str]]] = [
            ({}, wanted),
            ({"newest_first": True}, wanted[::-1]),
            ({"direction": "INBOUND"}, ["2"]),
            ({"status": "SENT"}, ["re: 1", "re: 2"]),
        ]
        for after in (place, sandbox.messages(thread.id)[-4]):
            for arguments, expected in cases:
                before = count(sandbox, "listMessages")
                assert texts(thread.messages(after=after, **arguments)) == expected
                assert count(sandbox, "listMessages") - before <= 3
        with thread.conversation(after=place) as chat:
            next(iter(chat))
            assert texts(thread.messages(after=chat.bookmark)) == ["2", "re: 2"]


@ORDERS
def test_the_newest_messages_come_first(kind: Kind, newest_first: bool) -> None:
    """With `newest_first`, the last messages come first. If the server lists them first too, they cost one request."""
    with Sandbox(rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        for number in range(330):
            sandbox.say(thread.id, str(number))
        messages = iter(thread.messages(newest_first=True))
        assert texts(next(messages) for _ in range(20)) == [str(329 - number) for number in range(20)]
        assert count(sandbox, "listMessages") == (1 if newest_first else 4)
        assert texts(messages) == [str(309 - number) for number in range(310)]
        assert texts(thread.messages()) == [str(number) for number in range(330)]
