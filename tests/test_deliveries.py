"""Sent once: what becomes of a message whose answer was lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import APIConnectionError, APIStatusError, AsyncFeather, DeliveryUnknownError, FeatherError, ServerError
from featherhq._deliveries import Deliveries, Verdict
from featherhq._models import Message
from featherhq.sandbox import CutAfter, CutBefore, Garbage, Html, Lag, Sandbox, Stall, Status

DONE = [500, 502, 503, 520, 521, 522, 523, 525, 526, 527, 530]
WORKING = [408, 504, 524]


def texts(sandbox: Sandbox, thread: Any) -> list[str]:
    return [message.text for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]


@pytest.mark.parametrize(
    "fault", [CutAfter(), Status(500, after=True), Status(504, after=True), Status(530, after=True)], ids=repr
)
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_message_that_landed_is_found(kind: Kind, fault: Any, newest_first: bool) -> None:
    """Its answer was lost: it is returned as the one in the thread, and not sent again."""
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


@pytest.mark.parametrize("fault", [CutBefore(), Garbage(), Html(502), Status(523)], ids=repr)
def test_a_message_that_did_not_land_is_sent_again(thread: Any, sandbox: Sandbox, fault: Any) -> None:
    """The server was done with it, and the thread does not show it for two seconds: it stands there once."""
    sandbox.inject("sendMessage", fault)
    sent = thread.send("hello")
    assert not sent.reconciled
    assert texts(sandbox, thread) == ["hello"]
    assert count(sandbox, "sendMessage") == 2
    assert count(sandbox, "listMessages") >= 3


def test_all_statuses_are_told_apart(sandbox: Sandbox) -> None:
    """After those that say that the server was done it is sent again; after 408, 504 and 524 never."""

    async def one(feather: AsyncFeather, status: int) -> None:
        thread = await feather.threads.create(AGENT_ID)
        sandbox.inject("sendMessage", Status(status), thread_id=thread.id)
        if status in DONE:
            assert not (await thread.send("hello")).reconciled
        else:
            with pytest.raises(DeliveryUnknownError):
                await thread.send("hello")
        assert texts(sandbox, thread) == ["hello"] * (status in DONE)

    async def program() -> None:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=5) as feather:
            await asyncio.gather(*(one(feather, status) for status in DONE + WORKING))

    asyncio.run(program())
    assert count(sandbox, "sendMessage") == 2 * len(DONE) + len(WORKING)


def test_a_server_that_never_takes_it(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """After max_retries, and as the thread does not show it, the error is the server's own: it may be sent again."""
    thread = connect(timeout=9, max_retries=1).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(500), 9)
    with pytest.raises(ServerError) as caught:
        thread.send("hello")
    assert caught.value.attempts == 2
    assert "may be sent again" in caught.value.__notes__[-1]
    assert count(sandbox, "sendMessage") == 2


def test_no_time_to_find_out(thread: Any, sandbox: Sandbox) -> None:
    """A thread that could not be looked at for long enough tells nothing."""
    for fault in (CutBefore(), CutAfter(), Garbage(), Stall(), Status(500)):
        sandbox.inject("sendMessage", fault)
        sandbox.inject("listMessages", Lag(9), 9)
        began = time.monotonic()
        with pytest.raises(DeliveryUnknownError) as caught:
            thread.send("hello", timeout=0.6)
        assert time.monotonic() - began < 0.8
        assert isinstance(caught.value.__cause__, APIConnectionError | APIStatusError)
        assert caught.value.text == "hello"
        assert caught.value.thread_id == thread.id
    assert count(sandbox, "sendMessage") == 5


@pytest.mark.parametrize("fault", [Status(403), Status(404), Status(500), Html(200), Stall()], ids=repr)
def test_a_history_that_cannot_be_read(connect: Callable[..., Any], sandbox: Sandbox, fault: Any) -> None:
    """Nobody can tell: no second copy, whatever the first answer was."""
    thread = connect(timeout=3, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutBefore())
    sandbox.inject("listMessages", fault, 99)
    with pytest.raises(DeliveryUnknownError):
        thread.send("hello")
    assert count(sandbox, "sendMessage") == 1


def test_a_history_that_fails_at_first(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Looking again is worth it."""
    thread = connect(timeout=5, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutAfter())
    sandbox.inject("listMessages", Status(502), 2)
    assert thread.send("hello").reconciled
    assert count(sandbox, "sendMessage") == 1


def test_a_list_that_lags(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """A message that is listed a second late is found, and not sent again."""
    thread = connect(timeout=8).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutAfter())
    sandbox.inject("listMessages", Lag(2), 3)
    assert thread.send("hello").reconciled
    assert texts(sandbox, thread) == ["hello"]


def test_a_message_that_lands_late(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """The answer did not come in time, and the message was accepted afterwards: it is found."""
    thread = connect(timeout=3).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Stall(2.3))
    sent = thread.send("hello")
    assert sent.reconciled
    assert texts(sandbox, thread) == ["hello"]


def test_an_older_message_of_the_same_text_is_not_taken_for_it(kind: Kind, sandbox: Sandbox) -> None:
    """Neither one that stood there before this client came, nor one that this client had confirmed."""
    thread = kind.client(base_url=sandbox.url, timeout=8).threads.create(AGENT_ID)
    thread.send("hello")
    now = time.time()
    object.__setattr__(sandbox._app.state, "clock", lambda: now - 60)
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


def test_messages_without_times(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """An equal text of unknown time may be it or not: unknown, and not sent again."""
    thread = connect(timeout=3).threads.create(AGENT_ID)
    thread.send("hello")
    sandbox._app.state.get(thread.id).messages[0]["createdAt"] = None
    other = connect(timeout=3).thread(thread.id)
    sandbox.inject("sendMessage", CutBefore())
    with pytest.raises(DeliveryUnknownError):
        other.send("hello")
    assert texts(sandbox, thread) == ["hello"]


@pytest.mark.parametrize("landed", [True, False])
def test_two_equal_messages_at_once_are_two(kind: Kind, landed: bool) -> None:
    """Sent by two threads or tasks at the same time, both answers lost: two stand in the thread, each of them once."""
    with Sandbox(lambda *_: [], rate_limit=None) as sandbox:
        sandbox.inject("sendMessage", CutAfter() if landed else CutBefore(), 2)
        if kind.asynchronous:

            async def program() -> list[Any]:
                async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=None, timeout=9) as feather:
                    thread = await feather.threads.create(AGENT_ID)
                    return list(await asyncio.gather(*(thread.send("yes") for _ in range(2))))

            sent = kind.run(program())
        else:
            thread = kind.client(base_url=sandbox.url, timeout=9).threads.create(AGENT_ID)
            sent = []
            workers = [threading.Thread(target=lambda: sent.append(thread.send("yes"))) for _ in range(2)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        there = {message.id for message in sandbox.messages(sent[0].thread_id)}
        assert {one.message_id for one in sent} == there
        assert len(there) == 2
        assert [one.reconciled for one in sent] == [landed] * 2


def test_random_equal_messages_under_faults(sandbox: Sandbox) -> None:
    """Twelve at once of two texts, half of them going wrong: as many stand in the thread as were sent."""
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


def test_a_long_thread_is_not_read_for_each_look(kind: Kind) -> None:
    """From the newest on, a page a look; from the oldest on, once through and then from its end."""
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


# The counting itself, without sockets.


def message(number: int, at: float | None, text: str = "yes", direction: str = "INBOUND") -> Message:
    return Message(str(number), text, direction, None if at is None else datetime.fromtimestamp(at, UTC))


def test_the_servers_clock_is_known_by_its_dates() -> None:
    """The highest that fits its dates, until it is set back; without any date there is no telling."""
    deliveries = Deliveries()
    assert deliveries.floor(10) is None
    deliveries.heard_time(None, 10)
    assert deliveries.floor(10) is None
    for date, now, offset in ((1000, 10, 990), (1001, 11.5, 990), (1002, 11.6, 990.4), (900, 12, 888)):
        deliveries.heard_time(date, now)
        assert deliveries.offset == pytest.approx(offset)
    assert deliveries.floor(10) == pytest.approx(896)


def test_whose_a_message_is() -> None:
    """Not one that was listed before, not the agent's, not a rival's who may yet be answered, and nobody's twice."""
    deliveries = Deliveries()
    deliveries.heard_time(1000, 0)
    with deliveries.sending("t", "yes", 10) as first, deliveries.sending("t", " yes\n", 10) as second:
        listed = [message(1, 1010), message(2, 1011, direction="OUTBOUND"), message(3, 1011, "no"), message(4, 900)]

        def find(sending: Any, listed: list[Message] = listed) -> Message | Verdict:
            return deliveries.find(sending, listed, 12, complete=True)

        first.waiting, first.finished = False, True
        assert find(first) is Verdict.UNSURE
        second.waiting = False
        # The server is done with the first, and may be at work on the second: it rather is the first's.
        assert find(second) is Verdict.UNSURE
        assert find(first) == listed[0]
        first.finished = False
        assert find(second) is Verdict.ABSENT
        assert find(second, [*listed, message(5, None)]) is Verdict.UNSURE
        assert find(second, [*listed, message(6, 1012)]) == message(6, 1012)
    deliveries.saw("t", [message(7, 1012)], 13)
    with deliveries.sending("t", "yes", 14) as third:
        third.waiting = False
        assert deliveries.find(third, [message(7, 1012)], 15, complete=False) is Verdict.ABSENT
        # The list lacks what was confirmed a moment ago, so it may lack this one too.
        with deliveries.sending("t", "other", 14) as other:
            deliveries.confirm(other, "8", 15)
        assert deliveries.find(third, [message(7, 1012)], 16, complete=True) is Verdict.UNSURE
        assert deliveries.find(third, [message(8, 1014)], 16, complete=True) is Verdict.ABSENT
        # The server's times are not those of its dates: they tell nothing of an equal text.
        assert deliveries.find(third, [message(8, 500), message(9, 501)], 16, complete=True) is Verdict.UNSURE
    with deliveries.sending("t", "yes", 100) as last:
        deliveries.confirm(last, "10", 101)
    assert deliveries.known("t") == {"10": 101}
    # Listed, and a moment later found to be a call's own: known since then.
    deliveries.saw("t", [message(12, 1000)], 102)
    with deliveries.sending("t", "yes", 102) as found:
        deliveries.confirm(found, "12", 103)
        deliveries.confirm(found, "13", 103)
        deliveries.confirm(found, "13", 103)
    deliveries.saw("t", [message(14, 1000)], 132.5)
    assert set(deliveries.known("t")) == {"12", "13", "14"}
    deliveries.saw("u", [message(11, 1000)], 170)
    assert deliveries.known("t") == {}
    assert deliveries.known("u") == {"11": 170}


def test_a_send_that_is_cancelled_is_no_longer_in_flight(sandbox: Sandbox) -> None:
    """It may have landed or not, and the next of the same text is not held up by it."""

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


def test_a_resend_that_never_leaves_is_no_unknown(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """What is known not to have arrived, and then is refused, is a plain error."""
    thread = connect(timeout=8).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(500))
    sandbox.inject("sendMessage", Status(400))
    with pytest.raises(FeatherError, match="400") as caught:
        thread.send("hello")
    assert not isinstance(caught.value, DeliveryUnknownError)


def test_what_is_remembered_has_an_end() -> None:
    """Of messages that were confirmed, the last thirty seconds and the last thousands; so memory does not grow."""
    deliveries = Deliveries()
    for number in range(20_000):
        with deliveries.sending(THREAD_ID, "hello", number / 1000) as sending:
            deliveries.confirm(sending, str(number), number / 1000)
    known = deliveries.known(THREAD_ID)
    assert len(known) == 8_000
    assert "19999" in known
    assert "11999" not in known
    with deliveries.sending("another", "hello", 60) as sending:
        deliveries.confirm(sending, "later", 60)
    assert deliveries.known(THREAD_ID) == {}
