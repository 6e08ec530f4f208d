"""Messages with keys, for both kinds of client and with each ledger: sent once, found, and refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import AGENT_ID, Kind, count
from featherhq import (
    BadRequestError,
    DeliveryUnknownError,
    Feather,
    InvalidArgumentError,
    LedgerError,
    RedisLedger,
    UsageError,
)
from featherhq.sandbox import Body, CutAfter, Sandbox, Stall, Status
from once_helpers import maker, redis_server
from once_workers import MemoryLedger


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> Callable[..., Any]:
    return maker(request.param, server, tmp_path)


@pytest.fixture
def memory() -> MemoryLedger:
    return MemoryLedger(lambda: datetime.now(UTC).timestamp())


def test_a_key_sends_once(connect: Callable[..., Any], sandbox: Sandbox, make: Callable[..., Any]) -> None:
    """The same key gives the same receipt, also from another client with another ledger on the same store. Without a
    crash, a key costs no request more.
    """
    first = connect(ledger=make()).threads.create(AGENT_ID)
    before = len(sandbox.requests)
    sent = first.send("Pay 100", key="task-17")
    assert [request.operation for request in sandbox.requests[before:]] == ["sendMessage"]
    assert not sent.reconciled
    again = connect(ledger=make()).thread(first.id)
    assert again.send("Pay 100", key="task-17") == sent
    assert again.send(" Pay  100", key="task-17") == sent
    assert len(sandbox.requests) == before + 1
    assert again.send("Pay 100", key="task-18").message_id != sent.message_id
    assert count(sandbox, "listMessages") == 0


def test_a_receipt_tells_more(thread: Any, sandbox: Sandbox) -> None:
    """A receipt has the id of the request, and the server's time when the attempt left."""
    sandbox.inject("sendMessage", Body(b'{"messageId": "m-1"}'))
    began = datetime.now(UTC)
    sent = thread.send("hello")
    assert sent.request_id
    assert sent.sent_at.utcoffset() == timedelta(0)
    assert abs(sent.sent_at - began) < timedelta(seconds=5)


def test_all_ways_to_send_take_a_key(connect: Callable[..., Any], sandbox: Sandbox, memory: MemoryLedger) -> None:
    """`ask` and the methods of a conversation send a message once, too."""
    thread = connect(ledger=memory).threads.create(AGENT_ID)
    assert thread.ask("one", key="1").text == "echo: one"
    with thread.conversation() as chat:
        assert chat.ask("two", key="2").text == "echo: two"
        assert chat.send("three", key="3") == chat.send("three", key="3")
        assert chat.send("one", key="1").message_id == sandbox.messages(thread.id)[0].id
    assert count(sandbox, "sendMessage") == 3


def test_a_key_needs_a_ledger(thread: Any, sandbox: Sandbox) -> None:
    """Without a ledger, a key is an error that says what to pass, before any request."""
    before = len(sandbox.requests)
    for call in (thread.send, thread.ask):
        with pytest.raises(UsageError, match="key: this client has no ledger") as caught:
            call("hello", key="1")
        assert "Feather(ledger=SQLiteLedger" in caught.value.__notes__[0]
        assert caught.value.delivered is False
    assert len(sandbox.requests) == before


@pytest.mark.parametrize("key", ["", "a\n", "x" * 257, 17, b"key"])
def test_an_invalid_key(connect: Callable[..., Any], sandbox: Sandbox, memory: MemoryLedger, key: Any) -> None:
    """A key is a printable string with 1 to 256 characters."""
    thread = connect(ledger=memory).threads.create(AGENT_ID)
    with pytest.raises(InvalidArgumentError, match="key: expected a printable string"):
        thread.send("hello", key=key)
    assert count(sandbox, "sendMessage") == 0


def test_a_key_belongs_to_one_message(connect: Callable[..., Any], sandbox: Sandbox, make: Callable[..., Any]) -> None:
    """A key that was used for another text or thread is refused before any request."""
    client = connect(ledger=make())
    thread, other = client.threads.create(AGENT_ID), client.threads.create(AGENT_ID)
    thread.send("hello", key="1")
    with pytest.raises(InvalidArgumentError, match="'1' was used before, for another text"):
        thread.send("goodbye", key="1")
    with pytest.raises(InvalidArgumentError, match="'1' was used before, for another thread"):
        other.send("hello", key="1")
    assert count(sandbox, "sendMessage") == 1


def test_workers_with_one_key_at_once(sandbox: Sandbox, make: Callable[..., Any]) -> None:
    """Of four workers that send with one key at once, one sends. All get its receipt, without other requests."""
    with Feather(sandbox.api_key, base_url=sandbox.url, ledger=make()) as feather:
        thread = feather.threads.create(AGENT_ID)
        sandbox.inject("sendMessage", Stall(0.2, after=True))
        with ThreadPoolExecutor(4) as pool:
            receipts = list(pool.map(lambda _: thread.send("hello", key="1"), range(4)))
    assert len(set(receipts)) == 1
    assert len(sandbox.requests) == 2


def test_a_lost_response_is_recorded(connect: Callable[..., Any], sandbox: Sandbox, make: Callable[..., Any]) -> None:
    """A message that was found in the thread has a receipt for later calls with its key."""
    thread = connect(ledger=make()).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutAfter())
    sent = thread.send("hello", key="1")
    assert sent.reconciled
    assert thread.send("hello", key="1") == sent
    assert count(sandbox, "sendMessage") == 1


def test_a_refused_message_may_be_sent_again_at_once(
    connect: Callable[..., Any], sandbox: Sandbox, make: Callable[..., Any]
) -> None:
    """After a definite failure, the next call with the key does not wait and does not look."""
    thread = connect(ledger=make()).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(400))
    with pytest.raises(BadRequestError) as caught:
        thread.send("hello", key="1")
    assert caught.value.delivered is False
    assert not thread.send("hello", key="1").reconciled
    assert count(sandbox, "listMessages") == 0


def test_an_unknown_message_is_looked_for_by_the_next_call(
    connect: Callable[..., Any], sandbox: Sandbox, make: Callable[..., Any]
) -> None:
    """`DeliveryUnknownError` says to call again with the key. The next call, of another client, finds the message."""
    thread = connect(ledger=make()).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutAfter())
    sandbox.inject("listMessages", Status(403))
    with pytest.raises(DeliveryUnknownError) as caught:
        thread.send("hello", key="1")
    assert "again with the same key" in caught.value.__notes__[0]
    assert caught.value.sent_at is not None
    sent = connect(ledger=make()).thread(thread.id).send("hello", key="1")
    assert sent.message_id == sandbox.messages(thread.id)[0].id
    assert sent.reconciled
    assert count(sandbox, "sendMessage") == 1


def test_find_sent(thread: Any, sandbox: Sandbox) -> None:
    """`find_sent` takes the time of an error, and finds the oldest message of the user with this text, or nothing."""
    sandbox.inject("sendMessage", CutAfter())
    sandbox.inject("listMessages", Status(403))
    with pytest.raises(DeliveryUnknownError) as caught:
        thread.send("hello")
    since = caught.value.sent_at
    assert since is not None
    assert "thread.find_sent(text, since=error.sent_at)" in caught.value.__notes__[0]
    before = len(sandbox.requests)
    assert thread.find_sent(" hello", since=since).id == sandbox.messages(thread.id)[0].id
    assert thread.find_sent("echo: hello", since=since) is None
    assert thread.find_sent("hello", since=since + timedelta(hours=1), timeout=3) is None
    assert {request.operation for request in sandbox.requests[before:]} == {"listMessages"}


@pytest.mark.parametrize("since", [None, datetime(2026, 1, 1), 17.0])  # noqa: DTZ001 - it must be refused
def test_find_sent_needs_a_time_with_a_zone(thread: Any, since: Any) -> None:
    """A time without a time zone says nothing about the server's time."""
    with pytest.raises(InvalidArgumentError, match="since: expected a datetime with a time zone"):
        thread.find_sent("hello", since=since)


class Failing(MemoryLedger):
    """A ledger whose method of this name raises."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(lambda: datetime.now(UTC).timestamp())

        def fail(*_: object) -> Any:
            raise error

        setattr(self, name, fail)


@pytest.mark.parametrize("error", [LedgerError("no disk"), ValueError("no disk")], ids=["ours", "theirs"])
def test_a_ledger_that_fails_before_the_request(
    connect: Callable[..., Any], sandbox: Sandbox, error: Exception
) -> None:
    """The call ends with the ledger's error, or with the exception of a ledger of the caller. Nothing was sent."""
    thread = connect(ledger=Failing("begin", error)).threads.create(AGENT_ID)
    with pytest.raises(type(error), match="no disk") as caught:
        thread.send("hello", key="1")
    assert any("the same key" in note for note in caught.value.__notes__)
    if isinstance(caught.value, LedgerError):
        assert caught.value.delivered is False
    assert count(sandbox, "sendMessage") == 0


@pytest.mark.parametrize("error", [LedgerError("no disk"), ValueError("no disk")], ids=["ours", "theirs"])
def test_a_ledger_that_fails_after_the_response(
    connect: Callable[..., Any], sandbox: Sandbox, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The receipt of an accepted message is returned, and a warning is logged. The next call finds the message."""
    ledger = Failing("done", error)
    thread = connect(ledger=ledger).threads.create(AGENT_ID)
    sent = thread.send("hello", key="1")
    assert sent.message_id == sandbox.messages(thread.id)[0].id
    assert "the ledger could not note what came of a message" in caplog.text
    del ledger.done
    assert thread.send("hello", key="1").message_id == sent.message_id
    assert count(sandbox, "sendMessage") == 1


def test_a_ledger_that_hangs(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """A ledger that does not answer holds no call beyond its deadline."""
    over = threading.Event()
    ledger = MemoryLedger(lambda: datetime.now(UTC).timestamp())
    ledger.begin = lambda *_: over.wait(20)  # type: ignore[assignment, method-assign]
    thread = connect(ledger=ledger).threads.create(AGENT_ID)
    with pytest.raises(LedgerError, match=r"did not answer within 0\.\d+ s"):
        thread.send("hello", key="1", timeout=0.3)
    over.set()
    assert count(sandbox, "sendMessage") == 0


def test_a_redis_that_is_gone(kind: Kind, sandbox: Sandbox, dead_url: str) -> None:
    """Without its Redis, a call with a key ends at once, and a call without a key works."""
    client = kind.client(base_url=sandbox.url, ledger=RedisLedger(dead_url.replace("http", "redis")))
    thread = client.threads.create(AGENT_ID)
    with pytest.raises(LedgerError, match="the ledger failed for the key '1': Redis: ConnectionError"):
        thread.send("hello", key="1")
    assert thread.send("hello").message_id


def test_a_ledger_that_returns_another_receipt(connect: Callable[..., Any], memory: MemoryLedger) -> None:
    """A receipt that this client has not written is an error of the ledger."""
    thread = connect(ledger=memory).threads.create(AGENT_ID)
    thread.send("hello", key="1")
    for text in ("", "[]", json.dumps({"sent_at": None, "odd": 1})):
        memory._entries["1"]["receipt"] = text
        with pytest.raises(LedgerError, match="a receipt that this client has not written"):
            thread.send("hello", key="1")
