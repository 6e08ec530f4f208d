"""How `send()` looks for a message in the thread: scans that fail or are late, and possible matches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from conftest import AGENT_ID, Kind, count
from featherhq import (
    APIConnectionError,
    APIStatusError,
    AsyncFeather,
    DeliveryUnknownError,
    FeatherError,
    ServerError,
)
from featherhq.sandbox import CutAfter, CutBefore, Garbage, Html, Lag, Sandbox, Stall, Status
from send_helpers import ParallelSends, texts


@pytest.mark.parametrize(
    "fault", [CutAfter(), Status(500, after=True), Status(504, after=True), Status(530, after=True)], ids=repr
)
@pytest.mark.parametrize("newest_first", [False, True])
def test_an_accepted_message_is_found_after_a_lost_response(kind: Kind, fault: Any, newest_first: bool) -> None:
    """If the server accepted the message and the response was lost, the call finds the message in the thread. It does
    not send the message again.
    """
    with Sandbox(lambda *_: [], rate_limit=None, newest_first=newest_first) as sandbox:
        thread = kind.client(base_url=sandbox.url, timeout=5).threads.create(AGENT_ID)
        thread.send("before")
        sandbox.inject("sendMessage", fault)
        sent = thread.send("hello")
        assert sent.reconciled
        assert sent.message_id == sandbox.messages(thread.id)[-1].id
        assert texts(sandbox, thread) == ["before", "hello"]
        assert count(sandbox, "sendMessage") == 2
        assert not thread.send("hello").reconciled
        assert texts(sandbox, thread) == ["before", "hello", "hello"]


def test_the_outcome_is_unknown_without_time_to_read_the_thread(thread: Any, sandbox: Sandbox) -> None:
    """If the thread could not be read for long enough, the outcome is unknown."""
    for fault in (CutBefore(), CutAfter(), Garbage(), Stall(), Status(500)):
        sandbox.inject("sendMessage", fault)
        sandbox.inject("listMessages", Lag(9), 9)
        began = time.monotonic()
        with pytest.raises(DeliveryUnknownError) as caught:
            thread.send("hello", timeout=0.6)
        assert time.monotonic() - began < 0.8
        assert isinstance(caught.value.__cause__, APIConnectionError | APIStatusError)
        assert caught.value.delivered is None
        assert caught.value.text == "hello"
        assert caught.value.thread_id == thread.id
    assert count(sandbox, "sendMessage") == 5


@pytest.mark.parametrize("fault", [Status(403), Status(404), Status(500), Html(200), Stall()], ids=repr)
def test_the_outcome_is_unknown_if_the_history_cannot_be_read(
    connect: Callable[..., Any], sandbox: Sandbox, fault: Any
) -> None:
    """If the history cannot be read, the outcome is unknown and the message is not sent again. The error's causes are
    the failed scan and the failed attempt.
    """
    thread = connect(timeout=3, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutBefore())
    sandbox.inject("listMessages", fault, 99)
    began = time.monotonic()
    with pytest.raises(DeliveryUnknownError) as caught:
        thread.send("hello")
    if fault in (Status(403), Status(404)):
        # Another scan would fail in the same way.
        assert time.monotonic() - began < 1
    assert count(sandbox, "sendMessage") == 1
    assert caught.value.delivered is None
    assert "so the message was not looked for" in caught.value.__notes__[0]
    scan_error = caught.value.__cause__
    assert isinstance(scan_error, FeatherError)
    assert scan_error.method == "GET"
    assert type(scan_error) is not DeliveryUnknownError
    send_error = scan_error.__cause__
    assert isinstance(send_error, APIConnectionError)
    assert send_error.method == "POST"


def test_one_complete_scan_counts_as_a_search(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """If one of many scans succeeded, the error is about the message. It is not about the failed scans."""
    thread = connect(timeout=3, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(504))
    sandbox.inject("listMessages", Lag(1))
    sandbox.inject("listMessages", Status(500), 99)
    with pytest.raises(DeliveryUnknownError) as caught:
        thread.send("hello")
    assert "was not found in the thread" in caught.value.__notes__[0]
    assert isinstance(caught.value.__cause__, ServerError)
    assert caught.value.__cause__.status_code == 504


def test_a_failed_scan_is_repeated(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """If a scan fails, the call makes another one and finds the message."""
    thread = connect(timeout=5, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutAfter())
    sandbox.inject("listMessages", Status(502), 2)
    assert thread.send("hello").reconciled
    assert count(sandbox, "sendMessage") == 1


def test_a_message_that_is_listed_late_is_found(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """If the history shows the message a second late, the call finds it and does not send it again."""
    thread = connect(timeout=8).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutAfter())
    sandbox.inject("listMessages", Lag(2), 99)
    shown = threading.Timer(1.0, sandbox.forget_faults)
    shown.start()
    assert thread.send("hello").reconciled
    shown.join()
    assert texts(sandbox, thread) == ["hello"]


def test_a_message_that_is_accepted_late_is_found(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """If the server accepts the message after the attempt's time, the call finds it."""
    thread = connect(timeout=3).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Stall(2.3))
    sent = thread.send("hello")
    assert sent.reconciled
    assert texts(sandbox, thread) == ["hello"]


def test_an_older_message_of_the_same_text_is_not_a_match(kind: Kind, sandbox: Sandbox) -> None:
    """The call does not match the text of a message from long ago, or of a message that this client
    already confirmed.
    """
    thread = kind.client(base_url=sandbox.url, timeout=8).threads.create(AGENT_ID)
    thread.send("hello")
    now = time.time()
    object.__setattr__(sandbox._app.state, "clock", lambda: now - 660)
    other = kind.client(base_url=sandbox.url).thread(thread.id)
    other.send("hello")
    object.__setattr__(sandbox._app.state, "clock", time.time)
    sandbox.inject("sendMessage", CutBefore())
    assert not thread.send("hello").reconciled
    assert texts(sandbox, thread) == ["hello"] * 3
    sandbox.inject("sendMessage", CutAfter())
    sent = thread.send("hello")
    assert sent.reconciled
    assert sent.message_id == [said.id for said in sandbox.messages(thread.id) if said.direction == "INBOUND"][-1]
    assert count(sandbox, "sendMessage") == 5


def test_a_possible_match_prevents_a_second_attempt(kind: Kind, sandbox: Sandbox) -> None:
    """A possible match is an equal text of a few minutes ago, because clocks may differ. It is also a new message with
    another text, because servers may change texts. Then the outcome is unknown, and the message is not sent again.
    """
    sends = ParallelSends(kind, sandbox, timeout=4)
    now = time.time()
    thread_ids = [sends.new_thread(Status(500)) for _ in range(4)]
    equal_and_old, other_and_old, equal_and_older, other_and_new = thread_ids
    for thread_id, text, ago in (
        (equal_and_old, "hello", 500),
        (other_and_old, "something else", 60),
        (equal_and_older, "hello", 660),
        (other_and_new, "hello!", -1),
    ):
        object.__setattr__(sandbox._app.state, "clock", lambda ago=ago: now - ago)
        sandbox._app.state.accept(thread_id, text)
    object.__setattr__(sandbox._app.state, "clock", time.time)
    outcomes = dict(zip(thread_ids, sends.to(thread_ids, timeout=9), strict=True))
    for thread_id in (equal_and_old, other_and_new):
        error = outcomes[thread_id]
        assert isinstance(error, DeliveryUnknownError)
        assert error.delivered is None
        assert "messages that may be this one" in error.__notes__[0]
        assert sends.attempts(thread_id) == 1
    for thread_id in (other_and_old, equal_and_older):
        assert not isinstance(outcomes[thread_id], FeatherError)
        assert sends.attempts(thread_id) == 2


def test_an_equal_text_without_a_time_is_a_possible_match(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """If a message has an equal text and no time, the outcome is unknown. The message is not sent again."""
    thread = connect(timeout=3).threads.create(AGENT_ID)
    thread.send("hello")
    sandbox._app.state.get(thread.id).messages[0]["createdAt"] = None
    other = connect(timeout=3).thread(thread.id)
    sandbox.inject("sendMessage", CutBefore())
    with pytest.raises(DeliveryUnknownError):
        other.send("hello")
    assert texts(sandbox, thread) == ["hello"]


@pytest.mark.parametrize("accepted", [True, False])
def test_two_equal_messages_at_the_same_time(kind: Kind, accepted: bool) -> None:
    """If two threads or tasks send the same text at the same time and both responses are lost, the thread has two
    messages. Each receipt has another id.
    """
    with Sandbox(lambda *_: [], rate_limit=None) as sandbox:
        sandbox.inject("sendMessage", CutAfter() if accepted else CutBefore(), 2)
        if kind.asynchronous:

            async def program() -> list[Any]:
                async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=14) as feather:
                    thread = await feather.threads.create(AGENT_ID)
                    return list(await asyncio.gather(*(thread.send("yes") for _ in range(2))))

            sent = kind.run(program())
        else:
            thread = kind.client(base_url=sandbox.url, timeout=14).threads.create(AGENT_ID)
            sent = []
            workers = [threading.Thread(target=lambda: sent.append(thread.send("yes"))) for _ in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        there = {message.id for message in sandbox.messages(sent[0].thread_id)}
        assert {one.message_id for one in sent} == there
        assert len(there) == 2
        assert [one.reconciled for one in sent] == [accepted] * 2


def test_twelve_messages_of_two_texts_under_faults(sandbox: Sandbox) -> None:
    """If half of twelve messages at the same time meet a fault, the thread has each of the twelve once."""
    faults: list[Any] = [
        CutAfter(),
        CutBefore(),
        Status(500),
        Status(502, after=True),
        Stall(0.5, after=True),
        Status(429),
    ]

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=15) as feather:
            thread = await feather.threads.create(AGENT_ID)
            for fault in faults:
                sandbox.inject("sendMessage", fault)
            sent = await asyncio.gather(*(thread.send("ab"[number % 2]) for number in range(12)))
            assert Counter(texts(sandbox, thread)) == {"a": 6, "b": 6}
            assert len({one.message_id for one in sent}) == 12

    asyncio.run(program())


def test_a_scan_does_not_read_a_whole_long_thread(kind: Kind) -> None:
    """If the list begins with the newest message, a scan reads one page. If it begins with the oldest, the first scan
    reads all pages, and a later scan begins at the end.
    """
    for newest_first, most in ((True, 6), (False, 10)):
        with Sandbox(lambda *_: [], rate_limit=None, newest_first=newest_first) as sandbox:
            thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
            object.__setattr__(sandbox._app.state, "clock", iter(range(1_600_000_000, 1_700_000_000)).__next__)
            for number in range(450):
                sandbox._app.state.accept(thread.id, str(number))
            object.__setattr__(sandbox._app.state, "clock", time.time)
            sandbox.inject("sendMessage", CutBefore())
            assert not thread.send("hello").reconciled
            assert count(sandbox, "listMessages") <= most
