"""What one call asks the ledger of keys, step by step: against prepared responses and a ledger in memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import attrs
import pytest
from fake_time import EPOCH, at_once
from featherhq import APITimeoutError, DeliveryUnknownError, LedgerError, SentMessage
from featherhq._core.effects import Consult
from featherhq._core.events import Event, LedgerFailed, SearchFailed, SearchStarted
from featherhq._core.responses import Response, TransportFailure
from featherhq._threads.ledger import SendLedger, text_hash
from featherhq._threads.once import Once
from featherhq._threads.receipts import from_text, to_text
from featherhq._threads.search import find_sent
from featherhq._threads.send import send
from featherhq.ledgers import Intent
from flow_caller import LOST, NOW, THREAD, Caller, ok, page, receipt, rows
from once_workers import MemoryLedger

INTENT = Intent("key", THREAD, text_hash(THREAD, "hello"))
TIMED_OUT = TransportFailure(sent=True, timed_out=True, reason="no response in time")
TEXT = to_text(SentMessage("7", THREAD))


class Worker(Caller):
    """A caller with a ledger in memory, and the events that its client tells."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ledger = MemoryLedger(lambda: self.now)
        self.events: list[Event] = []
        self.answers: Callable[[int], bool] = lambda _: True
        self.asked = 0
        tokens = iter("abcdefghij")
        self.settings = attrs.evolve(
            self.settings, key_ledger=self.ledger, listen=self.events.append, token=lambda: next(tokens)
        )
        self.settings.ledger.heard_time(EPOCH + NOW, NOW)
        self.consult = self._consult

    def _consult(self, effect: Consult) -> Future[object] | None:
        self.asked += 1
        return effect.ask(at_once) if self.answers(self.asked) else None

    def send(self, *responses: Response | TransportFailure, seconds: float = 60.0) -> Any:
        """The receipt of a message with the key, or the error."""
        result = self.run(send(self.settings, THREAD, "hello", self.settings.deadline(seconds), "key"), *responses)
        return getattr(result, "receipt", result)

    def methods(self) -> str:
        """The first letters of the methods of all requests."""
        return "".join(request["method"][0].upper() for request in self.requests)


def note(_: object) -> None:
    """For a lambda that returns nothing."""


def listed(*numbers: int, text: str = "hello") -> Response:
    return page(rows(*numbers, direction="INBOUND", messageBody=text))


def test_a_call_asks_three_times() -> None:
    """A call without a fault looks, notes its attempt, and records the receipt."""
    worker = Worker()
    assert worker.send(receipt()).message_id == "1"
    assert (worker.asked, worker.methods()) == (3, "P")


def test_a_worker_that_died_before_its_request() -> None:
    """The message is sent when the lease of the other attempt is over, and not before. The list is read meanwhile."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, 26.0)
    sent_at: list[float] = []
    worker.look = lambda method: sent_at.append(worker.now) if method == "POST" else None
    result = worker.send(*[page([])] * 9, receipt())
    assert isinstance(result, SentMessage), result
    assert sent_at[0] == pytest.approx(NOW + 26.0, abs=1.0)
    assert sent_at[0] >= NOW + 26.0
    assert worker.methods().endswith("P")


def test_a_worker_that_died_long_ago() -> None:
    """After the lease, one list without the message is enough."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, -1.0)
    assert worker.send(page([]), receipt()).message_id == "1"
    assert worker.methods() == "GP"
    assert worker.now == NOW


def test_a_short_call_ends_before_the_lease() -> None:
    """If the lease of the other attempt ends after the deadline, the outcome is unknown, and nothing is sent."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, 26.0)
    error = worker.send(page([]), seconds=5.0)
    assert isinstance(error, DeliveryUnknownError)
    assert "another call with this key has begun" in str(error)
    assert "again with the same key" in error.__notes__[0]
    assert error.sent_at is not None
    assert "P" not in worker.methods()


def test_another_call_records_its_receipt_during_the_search() -> None:
    """The receipt of the other call is returned as soon as the ledger has it."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, 26.0)
    worker.look = lambda _: note(worker.ledger.done(INTENT, "other", "7", TEXT))
    assert worker.send(page([])) == from_text(TEXT)
    assert worker.methods() == "G"


def test_another_call_records_its_receipt_before_the_first_scan() -> None:
    """If the other call is done when the search begins, the list is not read."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, 26.0)

    def answers(_: int) -> bool:
        if any(isinstance(event, SearchStarted) for event in worker.events):
            worker.ledger.done(INTENT, "other", "7", TEXT)
        return True

    worker.answers = answers
    assert worker.send().message_id == "7"
    assert worker.methods() == ""


def test_another_call_fails_during_the_search() -> None:
    """If the other call knows that its attempt has failed, the message is sent at once."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, 26.0)
    worker.look = lambda _: note(worker.ledger.done(INTENT, "other", None, ""))
    assert worker.send(page([]), receipt()).message_id == "1"
    assert worker.methods() == "GP"


def test_a_call_that_is_overtaken_does_not_send() -> None:
    """If another call notes its attempt first, this one waits for its receipt."""
    worker = Worker()

    def answers(number: int) -> bool:
        if number == 2:
            worker.ledger.begin(INTENT, "other", None, 26.0)
            worker.ledger.done(INTENT, "other", "7", TEXT)
        return True

    worker.answers = answers
    assert worker.send(receipt()) == from_text(TEXT)
    assert worker.requests == []


def test_a_call_that_is_overtaken_by_one_that_fails() -> None:
    """If the other call fails meanwhile, this one sends."""
    worker = Worker()

    def answers(number: int) -> bool:
        if number == 2:
            worker.ledger.begin(INTENT, "other", None, 26.0)
        if number == 3:
            worker.ledger.done(INTENT, "other", None, "")
        return True

    worker.answers = answers
    assert worker.send(receipt()).message_id == "1"
    assert worker.methods() == "P"


@pytest.mark.parametrize("number", [1, 2])
def test_a_ledger_that_does_not_answer_before_the_request(number: int) -> None:
    """Then nothing is sent, and the error says so."""
    worker = Worker()
    worker.answers = lambda asked: asked != number
    error = worker.send(receipt())
    assert isinstance(error, LedgerError)
    assert error.delivered is False
    assert "This call has sent nothing" in error.__notes__[0]
    assert worker.requests == []


def test_a_ledger_that_does_not_answer_after_the_response() -> None:
    """Then the receipt is returned, and an event tells of it. The same client finds its own message later."""
    worker = Worker()
    worker.answers = lambda asked: asked != 3
    assert worker.send(receipt()).message_id == "1"
    assert any(isinstance(event, LedgerFailed) for event in worker.events)
    assert worker.send(listed(1)).message_id == "1"
    assert worker.methods() == "PG"


def test_a_ledger_that_does_not_answer_during_a_search() -> None:
    """Then the search goes on. Nothing is sent again as long as the ledger is silent."""
    worker = Worker()
    worker.answers = lambda asked: asked <= 2
    error = worker.send(LOST, page([]), seconds=20.0)
    assert isinstance(error, DeliveryUnknownError)
    assert isinstance(error.__cause__, LedgerError)
    assert any(isinstance(event, SearchFailed) for event in worker.events)
    assert worker.methods().count("P") == 1


def test_a_server_that_may_be_at_work_gets_a_minute() -> None:
    """If no response came in time, no other call may send the message for a minute."""
    worker = Worker()
    error = worker.send(TIMED_OUT, page([]), seconds=10.0)
    assert isinstance(error, DeliveryUnknownError)
    entry = worker.ledger.begin(INTENT, None, None, 0.0)
    assert entry is not None
    assert 49.0 < entry.lease < 60.0


def test_a_lease_that_cannot_be_prolonged() -> None:
    """If the ledger is silent then, or another call has taken over, the search goes on."""
    worker = Worker()
    worker.answers = lambda asked: asked != 3
    assert isinstance(worker.send(TIMED_OUT, page([]), seconds=10.0), DeliveryUnknownError)
    worker = Worker()

    def overtake(number: int) -> bool:
        if number == 3:
            worker.ledger.begin(INTENT, "other", "a", 0.0)
        return True

    worker.answers = overtake
    assert isinstance(worker.send(TIMED_OUT, page([]), seconds=10.0), DeliveryUnknownError)


def test_a_response_whose_message_another_key_has() -> None:
    """A worker that was stopped until its lease was over gets another message than the one that was given away."""
    worker = Worker(max_retries=2)

    def stopped(number: int) -> bool:
        if number == 3:
            worker.now += 100.0
            worker.ledger.done(Intent("other", THREAD, INTENT.text_hash), None, "1", TEXT)
        return True

    worker.answers = stopped
    result = worker.send(receipt(messageId="1"), listed(1, 2), seconds=600.0)
    assert (result.message_id, result.reconciled) == ("2", True)
    assert worker.methods() == "PG"


def test_a_match_is_not_assigned_twice() -> None:
    """If another key is given the message between the list and the record, the search goes on."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, -1.0)
    real = worker.ledger.claimed

    def claimed(intent: Intent) -> Any:
        claims = real(intent)
        worker.ledger.done(Intent("other", THREAD, "other text"), None, "1", TEXT)
        return claims

    worker.ledger.claimed = claimed  # type: ignore[method-assign]
    assert worker.send(listed(1), listed(1), receipt(messageId="2")).message_id == "2"
    assert worker.methods() == "GGP"


def test_no_match_while_an_equal_text_is_under_way() -> None:
    """As long as another key may be sending this text, the message in the list is given to nobody."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, -1.0)
    worker.ledger.begin(Intent("other", THREAD, INTENT.text_hash), "b", None, 8.0)
    assert worker.send(listed(1)).message_id == "1"
    assert worker.now >= NOW + 8.0


def test_what_was_written_later_is_not_this_message() -> None:
    """A message with another text that came after the lease does not make the result unsure."""
    worker = Worker()
    worker.ledger.begin(INTENT, "other", None, 26.0)
    worker.now += 600.0
    assert worker.send(listed(500, text="later"), receipt()).message_id == "1"
    assert worker.methods() == "GP"


def test_a_definite_failure_leaves_no_entry() -> None:
    """If there was no time to send, the next call with the key finds nothing in the ledger."""
    worker = Worker(takes=0.0)
    worker.look = lambda _: None

    def slow(number: int) -> bool:
        worker.now += 30.0 if number == 2 else 0.0
        return True

    worker.answers = slow
    error = worker.send(receipt())
    assert isinstance(error, APITimeoutError)
    assert error.delivered is False
    assert worker.ledger.begin(INTENT, None, None, 0.0) is None
    assert worker.requests == []


def test_a_cursor_that_is_refused_while_looking() -> None:
    """`find_sent` begins again if the message of a cursor was deleted, and tells of a list without an end."""
    caller = Caller()
    flow = find_sent(caller.settings, THREAD, "hello", since(), caller.settings.deadline(30))
    first = page(rows(1, direction="INBOUND", messageBody="x"), "1")
    found = caller.run(flow, first, ok({"code": "BAD"}, 400), listed(1, 2))
    assert found.id == "1"
    flow = find_sent(caller.settings, THREAD, "hello", since(), caller.settings.deadline(30))
    assert caller.run(flow, ok({"code": "BAD"}, 400)).status_code == 400


def since() -> Any:
    """The server's time at the beginning."""
    ledger = SendLedger()
    ledger.heard_time(EPOCH + NOW, NOW)
    return ledger.moment(NOW)


@pytest.mark.parametrize("date", [1e12, -1e15])
def test_a_time_that_python_does_not_know(date: float) -> None:
    """A server may tell any time. Then no time is known."""
    ledger = SendLedger()
    assert ledger.moment(NOW) is None
    ledger.heard_time(date, NOW)
    assert ledger.moment(NOW) is None


def test_a_ledger_that_fails_in_a_pause() -> None:
    """If the ledger is silent between two scans, the pause goes on, and so does the search."""
    worker = Worker()
    worker.answers = lambda asked: asked != 5
    assert worker.send(LOST, page([]), listed(1)).message_id == "1"
    assert worker.now == NOW + 0.5
    assert worker.methods() == "PGG"


def test_a_lease_of_an_entry_that_another_call_has() -> None:
    """A call prolongs only its own lease."""
    worker = Worker()
    once = Once(worker.settings, worker.ledger, "key", THREAD, "hello", worker.settings.deadline(5))
    worker.run(once.prolong())
    worker.ledger.begin(INTENT, "other", None, 5.0)
    worker.run(once.look())
    worker.run(once.prolong())
    assert worker.asked == 1
