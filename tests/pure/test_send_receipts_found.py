"""A message whose response is lost: what the client reports, when it sends the message again, and what others learn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from fake_time import EPOCH
from featherhq import APIConnectionError, DeliveryUnknownError, InvalidArgumentError
from featherhq._core.effects import Effect, SendRequest
from featherhq._core.events import Event, SearchFailed, SearchStarted
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.slots import Priority
from featherhq._threads.ledger import Match
from featherhq._threads.send import send
from featherhq.models import SentMessage
from flow_caller import LOST, NOW, THREAD, Caller, ok, page, receipt, rows
from message_stamps import stamped

# A search after a lost response scans an empty thread so often before its absence is proven, and takes six seconds.
SEARCH = [page([])] * 5


def sent(caller: Caller, *responses: Response | TransportFailure, seconds: float = 30.0) -> Any:
    """The result of sending a message with these responses, or the error."""
    return caller.run(send(caller.settings, THREAD, "hello", caller.settings.deadline(seconds)), *responses)


def methods(caller: Caller) -> str:
    """The first letters of the methods of all requests."""
    return "".join(request["method"][0].upper() for request in caller.requests)


def listening(caller: Caller) -> list[Event]:
    """The events of this caller's client, which become known as they happen."""
    heard: list[Event] = []
    caller.settings = attrs.evolve(caller.settings, listen=heard.append)
    return heard


def test_an_invalid_text_is_named() -> None:
    """The error about an invalid message names the argument `text`, and nothing is sent."""
    caller = Caller()
    error = caller.run(send(caller.settings, THREAD, "", caller.settings.deadline(5)))
    assert isinstance(error, InvalidArgumentError)
    assert str(error).startswith("text: ")
    assert caller.requests == []


def test_an_accepted_message_is_known_to_the_client() -> None:
    """If the server accepts a message, the client notes its id, how long the server took, and the server's time when
    the attempt began. So a later search cannot take this message for another one with the same text.
    """
    caller = Caller(takes=2.0)
    caller.settings.ledger.heard_time(EPOCH + NOW, NOW)
    accepted = sent(caller, receipt()).accepted
    assert (accepted.message_id, accepted.began, accepted.server_time) == ("1", NOW, EPOCH + NOW)
    assert caller.settings.experience.slowest_post == 2.0
    assert caller.settings.ledger.known(THREAD) == {"1": NOW + 2.0}
    error = sent(caller, LOST, page(rows(1, direction="INBOUND", messageBody="hello")))
    assert isinstance(error, APIConnectionError)
    assert error.delivered is False


def test_a_message_that_was_found_has_a_receipt() -> None:
    """If the response was lost and the message was found in the thread, its receipt has the status that the thread
    shows, and says that the message was found.
    """
    caller = Caller()
    caller.settings.ledger.heard_time(EPOCH + NOW, NOW)
    shown = page(rows(1, direction="INBOUND", messageBody="hello", status="SENT"))
    found = sent(caller, LOST, shown)
    sent_at = datetime.fromtimestamp(EPOCH + NOW, UTC)
    assert found.receipt == SentMessage("1", THREAD, "SENT", None, reconciled=True, sent_at=sent_at)
    assert (found.accepted.message_id, found.accepted.began) == ("1", NOW)


def test_a_message_that_has_not_arrived_is_sent_again() -> None:
    """The client sends a message again as soon as its absence is proven: six seconds after the attempt. These attempts
    are as urgent as the search. The message may also come from the first attempt, so its beginning counts.
    """
    caller = Caller(max_retries=2, rate_limit=10.0)
    result = sent(caller, LOST, *SEARCH, LOST, *SEARCH, receipt())
    assert methods(caller) == "P" + "G" * 5 + "P" + "G" * 5 + "P"
    assert caller.now == NOW + 12.0
    assert result.receipt.message_id == "1"
    assert result.accepted.began == NOW
    assert [slot.urgency.priority for slot in caller.slots] == [Priority.NOW] + [Priority.RECONCILE] * 12


def test_a_success_without_a_readable_receipt_ends_after_one_search() -> None:
    """If the receipt cannot be read and the thread does not show the message, the client looks for it for six seconds,
    and not until its time is up.
    """
    caller = Caller(max_retries=2)
    error = sent(caller, receipt(messageId=None), page([]))
    assert isinstance(error, DeliveryUnknownError)
    assert any("may still arrive" in note for note in error.__notes__)
    assert caller.now == NOW + 6.0


def test_an_exception_during_a_search_gets_a_note() -> None:
    """If an exception ends the search after an unreadable receipt, it gets a note that Feather may have the message."""
    caller = Caller()

    flow = send(caller.settings, THREAD, "hello", caller.settings.deadline(30))
    effect: Effect[Any] = next(flow)
    assert isinstance(effect, SendRequest)
    effect.exchange.sent_at = 0.0
    effect = flow.send(receipt(messageId=None))
    assert isinstance(effect, SendRequest)
    assert effect.request["method"].upper() == "GET"
    with pytest.raises(KeyboardInterrupt) as ending:
        flow.throw(KeyboardInterrupt())
    assert any("may have done it" in note for note in getattr(ending.value, "__notes__", []))


@pytest.mark.parametrize(("at", "match"), [("search", "second"), ("second attempt", "unsure")])
def test_a_call_that_searches_lets_others_find_their_messages(at: str, match: str) -> None:
    """While a call searches, the first message with its text belongs to it, and the second one to another call that
    has sent the same text. While it sends the message again, its response may still come, so nothing is certain.
    """
    caller = Caller(max_retries=2)
    ledger = caller.settings.ledger
    ledger.heard_time(EPOCH, 0.0)
    listed = [stamped(id_, NOW + 6.0, "hello", "INBOUND") for id_ in ("first", "second")]
    found: list[str] = []

    def look(method: str) -> None:
        asked.append(method)
        if found or not (method == "GET" if at == "search" else asked.count("POST") == 2):
            return
        with ledger.sending(THREAD, "hello", caller.now) as other:
            other.waiting = False
            shown = ledger.find(other, listed, caller.now)
            found.append("unsure" if shown is Match.UNSURE else getattr(shown, "id", "absent"))

    asked: list[str] = []
    caller.look = look
    sent(caller, LOST, *SEARCH, receipt())
    assert found == [match]


def test_the_client_tells_why_it_searches_and_why_that_fails() -> None:
    """The event about a search has the reason why the outcome is unknown. If a scan fails, an event has that reason."""
    caller = Caller()
    heard = listening(caller)
    sent(caller, LOST, ok({}, 500), page([]))
    (started,) = (event for event in heard if isinstance(event, SearchStarted))
    (failed,) = (event for event in heard if isinstance(event, SearchFailed))
    assert "lost" in started.problem
    assert "500" in failed.problem
    assert failed.lasting is False


def test_a_list_without_an_end_fails_a_search() -> None:
    """If page after page brings nothing new and names another page, the scan ends, and the event says so."""
    caller = Caller()
    heard = listening(caller)
    sent(caller, LOST, *(page([], f"cursor {number}") for number in range(400)), seconds=5.0)
    failed = [event for event in heard if isinstance(event, SearchFailed)]
    assert "bring nothing new" in failed[0].problem


def test_a_scan_whose_cursor_is_refused_begins_again() -> None:
    """If the server refuses a cursor during a search, the client reads the list from its beginning, and finds the
    message there.
    """
    caller = Caller()
    caller.settings.ledger.heard_time(EPOCH + NOW, NOW)
    shown = page(rows(1, direction="INBOUND", messageBody="hello"))
    found = sent(caller, LOST, page(rows(-1), "gone"), ok({}, 400), shown)
    assert found.receipt.message_id == "1"
    assert [request["params"].get("cursor") for request in caller.requests[1:]] == [None, "gone", None]
    assert caller.now == NOW
