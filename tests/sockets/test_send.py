"""Sent once: what becomes of a message whose answer was lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import AGENT_ID, THREAD_ID, Kind, count
from featherhq import (
    APIConnectionError,
    APIStatusError,
    AsyncFeather,
    BadRequestError,
    DeliveryUnknownError,
    Feather,
    FeatherError,
    ResponseDecodeError,
    ServerError,
)
from featherhq._threads.ledger import Match, Sending, SendLedger
from featherhq.models import Message
from featherhq.sandbox import Body, CutAfter, CutBefore, Garbage, Html, Lag, Sandbox, Stall, Status

# After these the server is probably done, but for a 500 in the contract's own form, which is proof.
DONE = [500, 502, 503, 520, 521, 522, 523, 525, 526, 527, 530]
WORKING = [408, 504, 524]


def texts(sandbox: Sandbox, thread: Any) -> list[str]:
    return [message.text for message in sandbox.messages(thread.id) if message.direction == "INBOUND"]


class Sends:
    """Messages sent at the same time, each in a thread of its own, so that their waits are one wait.

    Args:
        kind: By threads or by tasks.
        sandbox: Where to.
        options: Of the client.
    """

    def __init__(self, kind: Kind, sandbox: Sandbox, **options: Any) -> None:
        self._kind, self._sandbox = kind, sandbox
        self._options: dict[str, Any] = {"base_url": sandbox.url, "rate_limit": None, "timeout": 14, **options}
        self.took: list[float] = []

    def new_thread(self, *faults: Any) -> str:
        """A thread in which messages go wrong, one after the other."""
        thread_id: str = self._sandbox._app.state.create(AGENT_ID, {}, {})["id"]
        for fault in faults:
            self._sandbox.inject("sendMessage", fault, thread_id=thread_id)
        return thread_id

    def to(self, thread_ids: Sequence[str], text: str = "hello", **options: Any) -> list[Any]:
        """The receipts, or the errors."""
        if self._kind.asynchronous:
            sent: list[tuple[Any, float]] = self._kind.run(self._tasks(thread_ids, text, options))
        else:
            sent = self._threads(thread_ids, text, options)
        self.took = [seconds for _, seconds in sent]
        return [outcome for outcome, _ in sent]

    def messages(self, thread_id: str) -> list[str]:
        """What stands in a thread."""
        return [said.text for said in self._sandbox.messages(thread_id)]

    def attempts(self, thread_id: str) -> int:
        """How often it was sent there."""
        return sum(thread_id in seen.path and seen.operation == "sendMessage" for seen in self._sandbox.requests)

    async def _tasks(self, thread_ids: Sequence[str], text: str, options: Any) -> list[tuple[Any, float]]:
        async with AsyncFeather(self._sandbox.api_key, **self._options) as feather:

            async def one(thread_id: str) -> tuple[Any, float]:
                began = time.monotonic()
                try:
                    outcome: Any = await feather.thread(thread_id).send(text, **options)
                except FeatherError as error:
                    outcome = error
                return outcome, time.monotonic() - began

            return list(await asyncio.gather(*map(one, thread_ids)))

    def _threads(self, thread_ids: Sequence[str], text: str, options: Any) -> list[tuple[Any, float]]:
        with Feather(self._sandbox.api_key, **self._options) as feather, ThreadPoolExecutor(len(thread_ids)) as pool:

            def one(thread_id: str) -> tuple[Any, float]:
                began = time.monotonic()
                try:
                    outcome: Any = feather.thread(thread_id).send(text, **options)
                except FeatherError as error:
                    outcome = error
                return outcome, time.monotonic() - began

            return list(pool.map(one, thread_ids))


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


def test_a_message_that_did_not_land_is_sent_again(kind: Kind, sandbox: Sandbox) -> None:
    """Where the server is only probably done with it, six seconds after it left, if the thread does not show it by
    then: it stands there once.
    """
    sends = Sends(kind, sandbox)
    faults = [CutBefore(), Garbage(), Html(502), Status(523), Status(500, body=b"{}"), Html(500), Status(503)]
    thread_ids = [sends.new_thread(fault) for fault in faults]
    for thread_id, sent in zip(thread_ids, sends.to(thread_ids), strict=True):
        assert not isinstance(sent, FeatherError)
        assert not sent.reconciled
        assert sends.messages(thread_id)[0] == "hello"
        assert sends.attempts(thread_id) == 2
    assert all(5.9 < seconds < 8 for seconds in sends.took)


@pytest.mark.parametrize("fault", [CutBefore(), Status(500)], ids=repr)
def test_where_the_server_is_proven_to_be_done_two_seconds_are_enough(
    thread: Any, sandbox: Sandbox, fault: Any
) -> None:
    """By a 500 in the contract's own form, or as a connection used before was closed at once, as idle ones are: then
    the message is looked for for two seconds.
    """
    sandbox.inject("sendMessage", fault)
    began = time.monotonic()
    sent = thread.send("hello")
    assert 1.9 < time.monotonic() - began < 4
    assert not sent.reconciled
    assert texts(sandbox, thread) == ["hello"]
    assert count(sandbox, "sendMessage") == 2
    assert count(sandbox, "listMessages") >= 3


def test_all_statuses_are_told_apart(kind: Kind, sandbox: Sandbox) -> None:
    """After those that say that the server was done it is sent again; after 408, 504 and 524 never."""
    sends = Sends(kind, sandbox)
    thread_ids = [sends.new_thread(Status(status)) for status in DONE]
    for thread_id, sent in zip(thread_ids, sends.to(thread_ids), strict=True):
        assert not isinstance(sent, FeatherError)
        assert not sent.reconciled
        assert sends.messages(thread_id)[0] == "hello"
        assert sends.attempts(thread_id) == 2
    assert 1.9 < sends.took[0] < 4
    assert all(5.9 < seconds < 8 for seconds in sends.took[1:])
    thread_ids = [sends.new_thread(Status(status)) for status in WORKING]
    for thread_id, error in zip(thread_ids, sends.to(thread_ids, timeout=3), strict=True):
        assert isinstance(error, DeliveryUnknownError)
        assert isinstance(error.__cause__, APIStatusError)
        assert error.delivered is None
        assert "was not found in the thread" in error.__notes__[0]
        assert sends.messages(thread_id) == []
        assert sends.attempts(thread_id) == 1
    assert all(2.5 < seconds < 3.2 for seconds in sends.took)


def test_a_server_that_never_takes_it(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """After max_retries, and as the thread does not show it, the error is the server's own: it may be sent again."""
    thread = connect(timeout=9, max_retries=1).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(500), 9)
    with pytest.raises(ServerError) as caught:
        thread.send("hello")
    assert caught.value.attempts == 2
    assert caught.value.delivered is False
    assert caught.value.__notes__ == ["The thread was read: the message has not arrived, and may be sent again."]
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
        assert caught.value.delivered is None
        assert caught.value.text == "hello"
        assert caught.value.thread_id == thread.id
    assert count(sandbox, "sendMessage") == 5


@pytest.mark.parametrize("fault", [Status(403), Status(404), Status(500), Html(200), Stall()], ids=repr)
def test_a_history_that_cannot_be_read(connect: Callable[..., Any], sandbox: Sandbox, fault: Any) -> None:
    """Nobody can tell: no second copy, whatever the first answer was. The error says that the message was not looked
    for, why, and what made it necessary to look.
    """
    thread = connect(timeout=3, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", CutBefore())
    sandbox.inject("listMessages", fault, 99)
    began = time.monotonic()
    with pytest.raises(DeliveryUnknownError) as caught:
        thread.send("hello")
    if fault in (Status(403), Status(404)):
        # Another look will not mend it.
        assert time.monotonic() - began < 1
    assert count(sandbox, "sendMessage") == 1
    assert caught.value.delivered is None
    assert "so the message was not looked for" in caught.value.__notes__[0]
    looking = caught.value.__cause__
    assert isinstance(looking, FeatherError)
    assert looking.method == "GET"
    assert type(looking) is not DeliveryUnknownError
    sending = looking.__cause__
    assert isinstance(sending, APIConnectionError)
    assert sending.method == "POST"


def test_a_look_that_succeeds_is_a_look(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """Where one look in many could be made, the error is about the message, and not about the looks that failed."""
    thread = connect(timeout=3, max_retries=0).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Status(504))
    sandbox.inject("listMessages", Lag(1))
    sandbox.inject("listMessages", Status(500), 99)
    with pytest.raises(DeliveryUnknownError) as caught:
        thread.send("hello")
    assert "was not found in the thread" in caught.value.__notes__[0]
    assert isinstance(caught.value.__cause__, ServerError)
    assert caught.value.__cause__.status_code == 504


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
    sandbox.inject("listMessages", Lag(2), 99)
    shown = threading.Timer(1.0, sandbox.forget_faults)
    shown.start()
    assert thread.send("hello").reconciled
    shown.join()
    assert texts(sandbox, thread) == ["hello"]


def test_a_message_that_lands_late(connect: Callable[..., Any], sandbox: Sandbox) -> None:
    """The answer did not come in time, and the message was accepted afterwards: it is found."""
    thread = connect(timeout=3).threads.create(AGENT_ID)
    sandbox.inject("sendMessage", Stall(2.3))
    sent = thread.send("hello")
    assert sent.reconciled
    assert texts(sandbox, thread) == ["hello"]


def test_an_older_message_of_the_same_text_is_not_taken_for_it(kind: Kind, sandbox: Sandbox) -> None:
    """Neither one that stood there long before this client came, nor one that this client had confirmed."""
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


def test_what_may_be_the_message_keeps_it_from_being_sent_again(kind: Kind, sandbox: Sandbox) -> None:
    """An equal text of a few minutes ago, since clocks may differ, or another text that has come meanwhile, since
    servers may alter texts: then nobody can tell, and the error says so.
    """
    sends = Sends(kind, sandbox, timeout=4)
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


@pytest.mark.parametrize("refusal", [400, 409])
def test_a_resend_that_is_refused_leaves_the_first_one_unknown(kind: Kind, sandbox: Sandbox, refusal: int) -> None:
    """It was not refused itself, and may have landed late: it is looked for once more, and found, or nobody knows."""
    sends = Sends(kind, sandbox, timeout=9)
    late, never = (sends.new_thread(Status(500), Status(refusal)) for _ in range(2))

    def land() -> None:
        sandbox.wait_for_requests(4, "sendMessage", timeout=9)
        sandbox._app.state.accept(late, "hello")

    lander = threading.Thread(target=land)
    lander.start()
    found, unknown = sends.to([late, never])
    lander.join()
    assert not isinstance(found, FeatherError)
    assert found.reconciled
    assert isinstance(unknown, DeliveryUnknownError)
    assert unknown.delivered is None
    assert isinstance(unknown.__cause__, APIStatusError)
    assert unknown.__cause__.status_code == refusal
    assert [sends.attempts(thread_id) for thread_id in (late, never)] == [2, 2]


def test_a_refusal_of_the_first_attempt_is_a_plain_error(thread: Any, sandbox: Sandbox) -> None:
    """It was not delivered, so there is nothing to look for."""
    sandbox.inject("sendMessage", Status(400))
    with pytest.raises(BadRequestError) as caught:
        thread.send("hello")
    assert caught.value.delivered is False
    assert count(sandbox, "listMessages") == 0


UNREADABLE = [Html(200), Body(b""), Body(b'{"messageId": '), Body(b"[]"), Body(b'{"status": "SENT"}')]
UNREADABLE += [Body(b'{"messageId": null}', code=202), Body(b'{"messageId": true}')]


def test_a_success_that_cannot_be_read_is_looked_for(kind: Kind, sandbox: Sandbox) -> None:
    """It was announced that the message is there: it is found, or nobody knows, and there is no second copy."""
    sends = Sends(kind, sandbox)
    thread_ids = [sends.new_thread(fault) for fault in UNREADABLE]
    late = sends.new_thread(Html(200))
    landing = threading.Timer(3.0, sandbox._app.state.accept, (late, "hello"))
    landing.start()
    found, *errors = sends.to([late, *thread_ids])
    landing.join()
    assert not isinstance(found, FeatherError)
    assert found.reconciled
    for thread_id, error in zip(thread_ids, errors, strict=True):
        assert isinstance(error, DeliveryUnknownError)
        assert isinstance(error.__cause__, ResponseDecodeError)
        assert error.delivered is None
        assert "It was not sent twice" in error.__notes__[0]
        assert sends.messages(thread_id) == []
        assert sends.attempts(thread_id) == 1
    assert all(5.9 < seconds < 8 for seconds in sends.took[1:])


def test_a_message_that_waits_to_be_sent_again_leaves_in_time(kind: Kind, sandbox: Sandbox) -> None:
    """No copy goes out with less time left than it takes to find out what becomes of it."""
    sends = Sends(kind, sandbox)
    thread_id = sends.new_thread(Status(502))
    (error,) = sends.to([thread_id], timeout=8)
    assert isinstance(error, ServerError)
    assert error.delivered is False
    assert sends.attempts(thread_id) == 1
    assert sends.messages(thread_id) == []


# The ledger itself, without sockets.


def message(number: int, at: float | None, text: str = "yes", direction: str = "INBOUND") -> Message:
    return Message(str(number), text, direction, None if at is None else datetime.fromtimestamp(at, UTC))


def find(ledger: SendLedger, sending: Sending, *listed: Message, now: float = 12.0) -> Message | Match:
    return ledger.find(sending, listed, now)


def begun() -> SendLedger:
    """A ledger that knows the server's clock: 1000 at 0."""
    ledger = SendLedger()
    ledger.heard_time(1000, 0)
    return ledger


def test_the_servers_clock_is_known_by_its_dates() -> None:
    """The highest that fits its dates, until it is set back; without any date there is no telling."""
    ledger = SendLedger()
    assert ledger.floor(10) is None
    assert ledger.server_time(10) is None
    ledger.heard_time(None, 10)
    assert ledger.floor(10) is None
    for date, now, offset in ((1000, 10, 990), (1001, 11.5, 990), (1002, 11.6, 990.4), (900, 12, 888)):
        ledger.heard_time(date, now)
        assert ledger.offset == pytest.approx(offset)
    assert ledger.floor(10) == pytest.approx(896)
    assert ledger.server_time(10) == pytest.approx(898)


def test_a_floor_stays_where_it_was() -> None:
    """What a message under way can be is told by the clock as it was when it began, or when that was first known."""
    ledger = SendLedger()
    with ledger.sending("t", "yes", 10) as early:
        assert early.floor is None
        ledger.heard_time(1011, 11)
        assert early.floor == pytest.approx(1008)
        ledger.heard_time(2012, 12)
        assert early.floor == pytest.approx(1008)
        with ledger.sending("t", "yes", 13) as later:
            assert later.floor == pytest.approx(2011)


def test_whose_a_message_is() -> None:
    """Not the agent's, not a rival's who may yet be answered, and nobody's twice."""
    ledger = begun()
    with ledger.sending("t", "yes", 10) as first, ledger.sending("t", " yes\n", 10) as second:
        listed = [message(1, 1010), message(2, 1011, direction="OUTBOUND")]
        first.waiting, first.finished = False, True
        assert find(ledger, first, *listed) is Match.UNSURE
        second.waiting = False
        # The server is done with the first, and may be at work on the second: it rather is the first's.
        assert find(ledger, second, *listed) is Match.UNSURE
        assert find(ledger, first, *listed) == listed[0]
        first.finished = False
        assert find(ledger, second, *listed) is Match.ABSENT
        assert find(ledger, second, *listed, message(5, None)) is Match.UNSURE
        assert find(ledger, second, *listed, message(6, 1012)) == message(6, 1012)


def test_what_was_listed_before_is_not_this_message() -> None:
    """Whatever its text and its time."""
    ledger = begun()
    ledger.saw("t", [message(7, 1012), message(8, 1012, "other"), message(9, None)], 13)
    with ledger.sending("t", "yes", 14) as sending:
        sending.waiting = False
        assert find(ledger, sending, message(7, 1012), message(8, 1012, "other"), message(9, None)) is Match.ABSENT
        # Listed since, it may be.
        ledger.saw("t", [message(10, 1015)], 15)
        assert find(ledger, sending, message(10, 1015)) == message(10, 1015)


@pytest.mark.parametrize(
    ("at", "text", "match"),
    [
        (1008.1, "yes", None),
        (1007.9, "yes", Match.UNSURE),
        (409, "yes", Match.UNSURE),
        (407, "yes", Match.ABSENT),
        (None, "yes", Match.UNSURE),
        (1008.1, "YES", Match.UNSURE),
        (1007.9, "YES", Match.ABSENT),
        (None, "YES", Match.UNSURE),
        (1008.1, "a rival's", Match.ABSENT),
        (None, "a rival's", Match.ABSENT),
    ],
)
def test_what_is_unexplained_leaves_it_unsure(at: float | None, text: str, match: Match | None) -> None:
    """An equal text up to ten minutes too old, or another text that may have been this one and is nobody else's."""
    ledger = begun()
    with ledger.sending("t", "yes", 10) as sending, ledger.sending("t", "a rival's", 10):
        sending.waiting = False
        listed = message(1, at, text)
        assert find(ledger, sending, listed) == (listed if match is None else match)
        agents = message(1, at, text, "OUTBOUND")
        assert find(ledger, sending, agents, now=13) is Match.ABSENT if match is not None else True


def test_a_server_that_has_not_told_its_time() -> None:
    """Then every text that is unexplained may be it."""
    ledger = SendLedger()
    with ledger.sending("t", "yes", 10) as sending:
        sending.waiting = False
        assert find(ledger, sending) is Match.ABSENT
        assert find(ledger, sending, message(1, 1010)) is Match.UNSURE
        assert find(ledger, sending, message(1, 1010, "no")) is Match.UNSURE


def test_a_list_that_lacks_what_was_confirmed_proves_nothing() -> None:
    """It may lack this one too."""
    ledger = begun()
    with ledger.sending("t", "yes", 14) as sending:
        sending.waiting = False
        with ledger.sending("t", "other", 14) as other:
            ledger.confirm(other, "8", 15)
        assert find(ledger, sending, now=16) is Match.UNSURE
        assert find(ledger, sending, message(8, 1014, "other"), now=16) is Match.ABSENT


def test_a_clock_that_is_not_that_of_the_dates_proves_nothing() -> None:
    """One of our own messages has another time than it should: so may an equal text that is far too old."""
    ledger = begun()
    with ledger.sending("t", "yes", 14) as sending:
        sending.waiting = False
        with ledger.sending("t", "other", 14) as other:
            ledger.confirm(other, "8", 15)
        assert find(ledger, sending, message(8, 500, "other"), message(9, 300), now=16) is Match.UNSURE
        assert find(ledger, sending, message(8, 1014, "other"), message(9, 300), now=16) is Match.ABSENT


def test_texts_are_compared_as_servers_may_store_them() -> None:
    """Trimmed, with other white space, or normalised."""
    ledger = begun()
    for number, (sent, stored) in enumerate([(" a  b\n", "a b"), ("cafe\u0301", "caf\xe9"), ("a\r\nb", "a\nb")]):
        with ledger.sending("t", sent, 10) as sending:
            sending.waiting = False
            listed = message(number, 1010, stored)
            assert find(ledger, sending, listed) == listed


def test_what_is_known_is_forgotten_after_a_while() -> None:
    """Thirty seconds after it became known, unless it became a call's own meanwhile."""
    ledger = begun()
    with ledger.sending("t", "yes", 100) as last:
        ledger.confirm(last, "10", 101)
    assert ledger.known("t") == {"10": 101}
    # Listed, and a moment later found to be a call's own: known since then.
    ledger.saw("t", [message(12, 1000)], 102)
    with ledger.sending("t", "yes", 102) as found:
        ledger.confirm(found, "12", 103)
        ledger.confirm(found, "13", 103)
        ledger.confirm(found, "13", 103)
    ledger.saw("t", [message(14, 1000)], 132.5)
    assert set(ledger.known("t")) == {"12", "13", "14"}
    ledger.saw("u", [message(11, 1000)], 170)
    assert ledger.known("t") == {}
    assert ledger.known("u") == {"11": 170}


def test_what_is_remembered_has_an_end() -> None:
    """Of messages that were confirmed, the last thirty seconds and the last thousands; so memory does not grow."""
    ledger = SendLedger()
    for number in range(20_000):
        with ledger.sending(THREAD_ID, "hello", number / 1000) as sending:
            ledger.confirm(sending, str(number), number / 1000)
    known = ledger.known(THREAD_ID)
    assert len(known) == 8_000
    assert "19999" in known
    assert "11999" not in known
    with ledger.sending("another", "hello", 60) as sending:
        ledger.confirm(sending, "later", 60)
    assert ledger.known(THREAD_ID) == {}
