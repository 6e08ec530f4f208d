"""The attempts of one call: their headers, their slots, their keys, their events, and what the client learns."""

from __future__ import annotations

import math
from typing import Any, cast

import attrs
import pytest
from fake_time import at_once
from featherhq import APIConnectionError, APITimeoutError, InvalidArgumentError
from featherhq._core.attempts import attempts, call
from featherhq._core.effects import AskKey, SendRequest, Sleep, TakeSlot
from featherhq._core.events import AttemptBegan, AttemptEnded, Event, KeyRefused, RetryPlanned
from featherhq._core.key import Key
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.retry import Deadline
from featherhq._core.slots import Priority, Urgency
from flow_caller import LOST, NOW, URL, Caller, ok
from rate_limit_slots import join

GET = {"method": "get", "url": "/a/b"}
POST = {"method": "post", "url": "/a/b", "json": {"c": 1}}
FINE = ok({})
NEVER_SENT = TransportFailure(sent=False, timed_out=False, reason="refused")


def test_a_request_is_completed() -> None:
    """A request gets the host and the headers. The client's own headers go before those of the library, and those of
    the request before both. A stream is asked for without compression.
    """
    caller = Caller(headers={"X-Team": "ours", "X-Both": "client"})
    request = {**POST, "headers": {"X-Both": "request"}}
    caller.run(call(caller.settings, request, Deadline(NOW + 9)), FINE)
    (sent,) = caller.requests
    assert {name: value for name, value in sent.items() if name != "headers"} == {**POST, "url": f"{URL}/a/b"}
    headers = {name: str(value) for name, value in sent["headers"].items()}
    assert headers.pop("X-Team") == "ours"
    assert headers.pop("X-Both") == "request"
    key = {name: value for name, value in headers.items() if value == "***"}
    assert len(key) == 1
    plain = {"User-Agent": caller.settings.user_agent, "Accept-Encoding": "gzip, deflate"}
    assert headers == {**plain, "Accept": "application/json", **key}
    effect = next(attempts(caller.settings, GET, Deadline(NOW + 9), streaming=True))
    assert isinstance(effect, SendRequest)
    assert effect.streaming
    assert effect.request["headers"]["Accept"] == "text/event-stream"
    assert effect.request["headers"]["Accept-Encoding"] == "identity"
    effect = next(attempts(caller.settings, GET, Deadline(NOW + 9)))
    assert isinstance(effect, SendRequest)
    assert not effect.streaming


@pytest.mark.parametrize("part", [".", ".."])
def test_an_id_that_would_change_the_path_is_an_error(part: str) -> None:
    """An id of one or two dots would lead to another path, so it is an error, and nothing is sent."""
    caller = Caller()
    for url in (f"/a/{part}/b", f"/a/{part}"):
        assert isinstance(
            caller.run(call(caller.settings, {**GET, "url": url}, Deadline(NOW + 9)), FINE), InvalidArgumentError
        )
    assert not caller.requests


def test_only_a_repetition_goes_to_the_front() -> None:
    """The first attempt of a call joins the end of the queue. Its repetitions go before the others of its class."""
    caller = Caller(rate_limit=10.0, max_retries=2)
    caller.run(call(caller.settings, GET, Deadline(NOW + 60)), LOST, LOST, FINE)
    assert [(slot.again, slot.priority) for slot in caller.slots] == [
        (again, Priority.NOW) for again in (False, True, True)
    ]
    caller.run(call(caller.settings, GET, Deadline(NOW + 60), Urgency(Priority.CHECK)), FINE)
    assert (caller.slots[-1].again, caller.slots[-1].priority) == (False, Priority.CHECK)


@pytest.mark.parametrize(("sent", "gap"), [(False, 0.1002), (True, 0.1252)])
def test_only_a_request_that_was_sent_tells_how_long_a_round_trip_takes(sent: bool, gap: float) -> None:
    """An attempt fails after two seconds. If nothing was sent, its slot counts from when it was taken, and reopenings
    are spread as before. If it was sent after one second, it counts until its end, and they are spread more.
    """
    caller = Caller(rate_limit=10.0)
    limit = caller.settings.limit
    assert limit is not None
    flow = call(caller.settings, GET, Deadline(NOW + 60))
    slot = cast("TakeSlot", next(flow)).slot
    slot.join(lambda: None)
    assert slot.ask(NOW, math.inf) is True
    exchange = cast("SendRequest", flow.send(True)).exchange
    exchange.is_ours, exchange.sent_at = True, NOW + 1.0 if sent else math.inf
    caller.now += 2.0
    with pytest.raises(APIConnectionError):
        flow.send(LOST if sent else NEVER_SENT)
    assert slot.counts_until == pytest.approx((caller.now if sent else NOW) + 1.002)
    first, second = join(limit, Priority.REOPEN), join(limit, Priority.REOPEN)
    assert first.ask(caller.now + 12.0, math.inf) is True
    assert second.ask(caller.now + 12.0, math.inf) == pytest.approx(gap, abs=0.0001)


def test_an_attempt_begins_as_long_as_any_time_is_left() -> None:
    """A request is sent even if only a part of a second is left, and may take that long. At the deadline nothing is
    sent.
    """
    caller = Caller()
    effect = next(call(caller.settings, GET, Deadline(NOW + 0.25)))
    assert isinstance(effect, SendRequest)
    assert effect.seconds == 0.25
    assert isinstance(caller.run(call(caller.settings, GET, Deadline(NOW)), FINE), APITimeoutError)
    assert not caller.requests


def test_a_key_is_waited_for_until_the_deadline() -> None:
    """A call waits for the key until its deadline and no longer, also if the server has refused an earlier key. A new
    key gets one attempt, and the response counts all attempts.
    """
    caller = Caller(max_retries=2)
    keys = iter(["one", "two"])
    events: list[Event] = []
    settings = attrs.evolve(caller.settings, key=Key(lambda: next(keys)), listen=events.append)
    flow = call(settings, GET, Deadline(NOW + 0.75))
    asked = next(flow)
    assert isinstance(asked, AskKey)
    assert asked.seconds == 0.75
    assert isinstance(flow.send(asked.ask(at_once)), SendRequest)
    waiting = flow.send(NEVER_SENT)
    assert isinstance(waiting, Sleep)
    assert isinstance(next(flow), SendRequest)
    caller.now += 0.5
    asked = flow.send(Response(401, {}))
    assert isinstance(asked, AskKey)
    assert asked.seconds == 0.25
    assert isinstance(flow.send(asked.ask(at_once)), SendRequest)
    with pytest.raises(StopIteration) as end:
        flow.send(ok({}))
    assert (end.value.value.attempts, end.value.value.began) == (3, NOW + 0.5)
    assert KeyRefused("GET", "/a/b") in events


def test_a_listener_hears_of_each_attempt_and_each_wait() -> None:
    """Each attempt is an event with its result and how long it took. Each wait before a repetition is one too."""
    caller = Caller(takes=2.0, max_retries=2)
    events: list[Event] = []
    settings = attrs.evolve(caller.settings, listen=events.append)
    result = caller.run(call(settings, GET, Deadline(NOW + 60)), LOST, Response(503, {}), FINE)
    assert events == [
        AttemptBegan("GET", "/a/b", 0, {}),
        AttemptEnded("GET", "/a/b", "lost", 2.0, 0, "unknown", None, "connection"),
        RetryPlanned("GET", "/a/b", "lost", 0.5),
        AttemptBegan("GET", "/a/b", 1, {}),
        AttemptEnded("GET", "/a/b", "503", 2.0, 1, "unknown", 503, None),
        RetryPlanned("GET", "/a/b", "503", 1.0),
        AttemptBegan("GET", "/a/b", 2, {}),
        AttemptEnded("GET", "/a/b", "200", 2.0, 2, "done", 200, None),
    ]
    assert (result.method, result.url, result.attempts, result.began) == ("GET", f"{URL}/a/b", 3, NOW + 5.5)


def test_only_a_429_slows_a_client_down() -> None:
    """After a 429 the rate limit halves its pace, and holds all requests for as long as the server asks. No other
    status does that.
    """
    for status, pace, wait in ((200, 10.0, 0.0), (503, 10.0, 0.0), (429, 5.0, 3.0)):
        caller = Caller(rate_limit=10.0)
        caller.run(call(caller.settings, GET, Deadline(NOW + 60)), Response(status, {"retry-after": "3"}, b"{}"))
        limit = caller.settings.limit
        assert limit is not None
        assert limit.pace(NOW) == pytest.approx(pace)
        slot = limit.slot(Urgency(Priority.NOW))
        slot.join(lambda: None)
        given = slot.ask(NOW, NOW + 60)
        assert given is True if wait == 0 else given == pytest.approx(wait)


def test_a_client_learns_the_time_of_the_server() -> None:
    """The header `Date` of each response tells the time of the server when the response has come."""
    caller = Caller(takes=2.0)
    response = Response(200, {"date": "Thu, 01 Jan 1970 02:00:00 GMT"}, b"{}")
    assert caller.settings.ledger.offset is None
    caller.run(call(caller.settings, GET, Deadline(NOW + 60)), response)
    assert caller.settings.ledger.offset == 7200 - (NOW + 2)


@pytest.mark.parametrize(("ours", "sent", "noted"), [(True, False, False), (True, True, True), (False, False, True)])
def test_an_interrupted_call_tells_whether_its_request_may_have_left(ours: bool, sent: bool, noted: bool) -> None:
    """If an exception from outside ends a call that must not be repeated, its note says that the request may have been
    done. There is no note if no byte of it was sent.
    """
    caller = Caller()
    flow = call(caller.settings, POST, Deadline(NOW + 9))
    effect: Any = next(flow)
    effect.exchange.is_ours, effect.exchange.sent_at = ours, 0.0 if sent else math.inf
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        flow.throw(error)
    assert any("POST" in note for note in getattr(error, "__notes__", [])) is noted
