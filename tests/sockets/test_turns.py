"""Whole turns, and replies to messages that were sent before."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import InvalidArgumentError, LedgerError, ReplyTimeoutError, SQLiteLedger
from featherhq.sandbox import CutStream, Sandbox, Status


def texts(messages: Any) -> list[str]:
    return [message.text for message in messages]


@pytest.fixture
def talking(kind: Kind) -> Any:
    """A sandbox whose agent answers in three parts, and a function that makes threads in it."""
    with Sandbox(lambda text, _: [f"{text} {part}" for part in "abc"], rate_limit=None) as sandbox:
        yield sandbox, lambda: kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)


def test_a_turn_has_all_that_the_agent_says(talking: Any) -> None:
    """A turn has the receipt and all replies in order, and costs what `ask` costs."""
    sandbox, make = talking
    thread = make()
    before = len(sandbox.requests)
    turn = thread.turn("x", quiet=0.2)
    assert texts(turn.replies) == ["x a", "x b", "x c"]
    assert turn.text == "x a\nx b\nx c"
    assert turn.sent.message_id == sandbox.messages(thread.id)[0].id
    assert not turn.in_doubt
    assert [request.operation for request in sandbox.requests[before:]] == ["streamMessages", "sendMessage"]
    with thread.conversation() as chat:
        before = len(sandbox.requests)
        assert texts(chat.turn("y", quiet=0.2).replies) == ["y a", "y b", "y c"]
        assert len(sandbox.requests) == before + 1
        chat.send("z")
        assert texts(chat.replies(timeout=0.2)) == ["z a", "z b", "z c"]


def test_a_late_part_belongs_to_the_turn(kind: Kind) -> None:
    """The turn goes on while each message comes within `quiet` seconds after the last one."""
    with Sandbox(lambda _, __: "now", rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        late = threading.Timer(0.5, lambda: sandbox.say(thread.id, "late"))
        late.start()
        assert texts(thread.turn("x", quiet=1.5).replies) == ["now", "late"]
        late.join()


@pytest.mark.parametrize("fault", [Status(404), CutStream(after_events=1), CutStream(after_events=2)], ids=repr)
def test_a_turn_without_a_whole_stream_is_read_from_the_history(talking: Any, fault: Any) -> None:
    """If there is no stream, or if it breaks in the middle of a turn, the history shows the rest."""
    sandbox, make = talking
    thread = make()
    sandbox.inject("streamMessages", fault)
    assert texts(thread.turn("x", quiet=0.3).replies) == ["x a", "x b", "x c"]


def test_a_turn_ends_by_its_deadline(kind: Kind) -> None:
    """If the agent goes on talking, the turn ends with its timeout and has what came until then. If the agent says
    nothing, it is a `ReplyTimeoutError`.
    """
    with Sandbox(lambda _, __: "first", rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        began = time.monotonic()
        assert texts(thread.turn("x", quiet=30, timeout=1).replies) == ["first"]
        assert time.monotonic() - began < 4
    with Sandbox(lambda _, __: [], rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        with pytest.raises(ReplyTimeoutError, match=r"was accepted, but no reply came within 0\.5 s"):
            thread.turn("x", timeout=0.5)


def test_a_turn_says_if_an_earlier_message_was_unanswered(kind: Kind) -> None:
    """If an earlier message had no answer yet, the turn is in doubt: its replies may belong to that one."""
    with Sandbox(lambda text, _: [] if text == "silence" else f"re: {text}", rate_limit=None) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        with thread.conversation() as chat:
            chat.send("silence")
            assert chat.turn("x", quiet=0.1).in_doubt
            assert not chat.turn("y", quiet=0.1).in_doubt
        with pytest.raises(ReplyTimeoutError):
            thread.ask("silence", timeout=0.3)
        assert thread.turn("x", quiet=0.1).in_doubt
        assert not thread.turn("y", quiet=0.1).in_doubt


def test_arguments_of_a_turn_are_checked_before_any_request(thread: Any, sandbox: Sandbox) -> None:
    """An empty text, or a `quiet` or `timeout` that is no time, fails before any request."""
    before = len(sandbox.requests)
    for arguments in (
        {"text": ""},
        {"text": "x", "quiet": 0},
        {"text": "x", "quiet": "2"},
        {"text": "x", "timeout": -1},
    ):
        with pytest.raises(InvalidArgumentError):
            thread.turn(**arguments)
    assert len(sandbox.requests) == before


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_reply_to_an_earlier_message_is_found(kind: Kind, newest_first: bool) -> None:
    """The reply is found whether it has come already or comes later, by the receipt or by the id."""
    with Sandbox(lambda _, __: [], rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        sandbox.say(thread.id, "before")
        sent = thread.send("hello")
        with pytest.raises(ReplyTimeoutError, match=f"no reply to message {sent.message_id} came within 0.5 s"):
            thread.wait_for_reply(sent, timeout=0.5)
        later = threading.Timer(0.3, lambda: sandbox.say(thread.id, "reply"))
        later.start()
        assert thread.wait_for_reply(sent.message_id).text == "reply"
        later.join()
        sandbox.say(thread.id, "more")
        other = kind.client(base_url=sandbox.url, timeout=5).thread(thread.id)
        assert other.wait_for_reply(sent.message_id).text == "reply"
        assert other.wait_for_reply(sent).text == "reply"


def test_a_reply_in_another_thread_is_refused(kind: Kind, thread: Any, sandbox: Sandbox) -> None:
    """The receipt of another thread's message, or what is no message, is an error before any request."""
    sent = thread.send("hello")
    before = len(sandbox.requests)
    with pytest.raises(InvalidArgumentError, match="message_id: expected the id of a message"):
        thread.wait_for_reply(7)
    with pytest.raises(InvalidArgumentError, match=f"does not belong to thread {THREAD_ID}"):
        kind.client(base_url=sandbox.url).thread(THREAD_ID).wait_for_reply(sent)
    assert len(sandbox.requests) == before


def test_waiting_for_a_reply_costs_two_requests(thread: Any, sandbox: Sandbox) -> None:
    """To wait for a reply costs a request for the stream and one for the list, if the thread is short."""
    sent = thread.send("hello")
    before = len(sandbox.requests)
    assert thread.wait_for_reply(sent).text == "echo: hello"
    assert sorted(request.operation or "" for request in sandbox.requests[before:]) == [
        "listMessages",
        "streamMessages",
    ]
    assert count(sandbox, "sendMessage") == 1


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_reply_to_a_message_with_a_key_is_found_again(kind: Kind, tmp_path: Any, newest_first: bool) -> None:
    """If a call with a key is repeated, the message is not sent again, and the reply is found: by the same client, by
    another one, and in an open conversation. A turn has all replies again.
    """
    ledger = SQLiteLedger(tmp_path / "keys.db")
    agent: Any = lambda text, _: [f"{text} {part}" for part in "ab"]  # noqa: E731 - shorter so
    with Sandbox(agent, rate_limit=None, newest_first=newest_first) as sandbox:
        client = kind.client(base_url=sandbox.url, timeout=5, ledger=ledger)
        thread = client.threads.create(AGENT_ID)
        assert thread.ask("x", key="1").text == "x a"
        assert [request.operation for request in sandbox.requests[1:]] == ["streamMessages", "sendMessage"]
        assert thread.ask("x", key="1").text == "x a"
        other = kind.client(base_url=sandbox.url, timeout=5, ledger=ledger).thread(thread.id)
        assert other.ask("x", key="1").text == "x a"
        assert texts(other.turn("x", key="1", quiet=0.2).replies) == ["x a", "x b"]
        with kind.client(base_url=sandbox.url, timeout=5, ledger=ledger).thread(thread.id).conversation() as chat:
            assert chat.ask("x", key="1").text == "x a"
            assert texts(chat.turn("y", key="2", quiet=0.2).replies) == ["y a", "y b"]
        assert count(sandbox, "sendMessage") == 2
        assert client.thread(thread.id).ask("y", key="2").text == "y a"
        with pytest.raises(InvalidArgumentError):
            thread.turn("z", key="2")


def test_no_reply_to_a_message_with_a_key_is_a_timeout_again(kind: Kind, tmp_path: Any) -> None:
    """If the agent has not answered, the repeated call waits for its reply, and ends by its deadline."""
    ledger = SQLiteLedger(tmp_path / "keys.db")
    with Sandbox(lambda _, __: [], rate_limit=None) as sandbox:
        client = kind.client(base_url=sandbox.url, timeout=5, ledger=ledger)
        thread = client.threads.create(AGENT_ID)
        for _ in range(2):
            with pytest.raises(ReplyTimeoutError, match="was accepted, but no reply came"):
                thread.ask("x", key="1", timeout=0.5)
        later = threading.Timer(0.3, lambda: sandbox.say(thread.id, "reply"))
        later.start()
        assert thread.turn("x", key="1", quiet=0.1).text == "reply"
        later.join()
        assert count(sandbox, "sendMessage") == 1


def test_a_question_with_a_key_fails_with_its_ledger(kind: Kind, tmp_path: Any, sandbox: Sandbox) -> None:
    """If the ledger cannot be read, `ask` sends nothing, and its error says so."""
    ledger = SQLiteLedger(tmp_path / "keys.db")
    thread = kind.client(base_url=sandbox.url, timeout=5, ledger=ledger).threads.create(AGENT_ID)
    ledger.close()
    (tmp_path / "keys.db").write_bytes(b"no database" * 1000)
    before = len(sandbox.requests)
    with pytest.raises(LedgerError) as caught:
        thread.ask("x", key="1")
    assert caught.value.delivered is False
    assert len(sandbox.requests) == before
