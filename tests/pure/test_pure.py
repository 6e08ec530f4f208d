"""The core, without sockets: what is repeated and when, events out of bytes, messages out of events."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import sys
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from featherhq._core.bodies import read_json
from featherhq._core.call_errors import no_slot
from featherhq._core.headers import read_retry_after
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.retry import (
    Deadline,
    Outcome,
    Retry,
    RetryAfter,
    ServerWork,
    Stop,
    outcome_of,
    work_of,
)
from featherhq._core.secrets import Secret
from featherhq._core.sse import LARGEST_EVENT, EventDecoder, EventTooLargeError, StreamEvent
from featherhq._threads.replies import agent_message
from featherhq.errors import APITimeoutError, FeatherError, phrase
from featherhq.models import read_id, read_message, read_time
from hypothesis import given, strategies as st


def decode(*chunks: bytes) -> list[StreamEvent]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        # The WHATWG specification's own examples (section 9.2.6).
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [StreamEvent("YHOO\n+2\n10")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [StreamEvent("first event", id="1"), StreamEvent("second event"), StreamEvent(" third event")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [StreamEvent(""), StreamEvent("\n")]),
        (b"data:test\n\ndata: test\n\n", [StreamEvent("test"), StreamEvent("test")]),
        # And what else it says.
        (b"\xef\xbb\xbfdata: a\n\n", [StreamEvent("a")]),
        (b"data: a\r\rdata: b\r\n\r\n", [StreamEvent("a"), StreamEvent("b")]),
        (b"event: add\ndata: a\n\ndata: b\n\n", [StreamEvent("a", "add"), StreamEvent("b")]),
        (b"id: 1\ndata: a\n\n: heartbeat\n\ndata: b\n\n", [StreamEvent("a", id="1"), StreamEvent("b", id="1")]),
        (b"id: 1\n\nid: a\0b\ndata: c\n\n", [StreamEvent("c", id="1")]),
        (b"colour: red\ndata: a\n\n", [StreamEvent("a")]),
        ("data: a\u2028b\u0085c\n\n".encode(), [StreamEvent("a\u2028b\u0085c")]),
        (b"data: unfinished\n", []),
        (b"data: unfinished", []),
    ],
)
def test_events_after_the_specification(stream: bytes, events: list[StreamEvent]) -> None:
    """The same events whether the bytes come at once or one at a time."""
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events


@given(
    st.lists(st.sampled_from([b"data", b"id", b"event", b":", b" ", b"\r", b"\n", b"x", b"\xc3\xa9", b"\0"])), st.data()
)
def test_where_the_bytes_are_cut_makes_no_difference(parts: list[bytes], data: st.DataObject) -> None:
    """Also within a character, and between CR and LF."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    chunks = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    assert decode(*chunks) == decode(stream)


def test_the_streams_wish_for_a_delay() -> None:
    """`retry` is kept if it is digits alone."""
    decoder = EventDecoder()
    assert list(decoder.feed(b"retry: 1500\n\nretry: 1s\n\nretry: \xc2\xb2\n\n")) == []
    assert decoder.retry == 1500


def test_an_event_too_large_is_an_error() -> None:
    """In one line or in many; but a stream may heartbeat for ever, and send many events that are small."""
    for piece in (b"x", b"data: x\n"):
        with pytest.raises(EventTooLargeError):
            decode(*[piece * 1024] * (LARGEST_EVENT // 1024 + 1))
    decoder = EventDecoder()
    for _ in range(LARGEST_EVENT // 1024 + 5):
        list(decoder.feed(b": " + b"x" * 1022 + b"\n"))
        assert len(list(decoder.feed(b"data: a\n\n"))) == 1


def test_messages_in_events() -> None:
    """Bare or in envelopes; what is not the agent's is passed over."""
    bare = {"id": "1", "messageBody": "hi", "direction": "OUTBOUND"}
    for data in (bare, {"message": bare}, {"data": bare}, {"data": {"message": bare}}, {"message": "x", "data": bare}):
        message = agent_message(StreamEvent(json.dumps(data)))
        assert message is not None
        assert (message.id, message.raw) == ("1", bare)
    for other in ({**bare, "direction": "INBOUND"}, {"id": "1"}, {"data": {"data": {"data": bare}}}, [bare], None):
        assert agent_message(StreamEvent(json.dumps(other))) is None
    assert agent_message(StreamEvent("not json")) is None


def test_ids_and_times() -> None:
    """What the server sends is read kindly, and what is neither is None."""
    assert [read_id(value) for value in ("a", 7, "", None, True, 1.5)] == ["a", "7", None, None, None, None]
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert read_time("2026-01-02T03:04:05Z") == moment
    assert read_time("2026-01-02T04:04:05.000+01:00") == moment
    assert read_time("2026-01-02T03:04:05") == moment
    assert read_time("yesterday") is None
    assert read_time(5) is None
    assert read_message(["no"]) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT", "date": "Thu, 01 Jan 1970 00:01:30 GMT"}, 10),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    """RFC 9110 section 10.2.3, with the server's own clock where it shows it."""
    assert read_retry_after(headers, wall_time=10) == seconds


NEVER_SENT = TransportFailure(sent=False, timed_out=False, reason="refused")
LOST = TransportFailure(sent=True, timed_out=False, reason="lost")
LATE = TransportFailure(sent=True, timed_out=True, reason="late")
STALE = TransportFailure(sent=True, timed_out=False, reason="closed", stale=True)
CUT_SHORT = TransportFailure(sent=True, timed_out=False, reason="cut short", status_code=200)
OWN = b'{"status": 0, "message": "Something broke", "code": "INTERNAL_SERVER_ERROR", "success": false}'


def policy(method: str = "GET", **options: Any) -> Retry:
    return Retry(method, "http://x", **{"max_retries": 2, "deadline": Deadline(100), "random": lambda: 0.0, **options})


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_what_is_repeated(method: str) -> None:
    """The table of the design, cell by cell."""
    repeatable = method != "POST"
    answers = {status: Response(status, {}) for status in (400, 401, 403, 404, 409, 418, 422, 429, 501, 505, 599)}
    unknown = (408, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 528, 529, 530)
    cases: list[tuple[Response | TransportFailure, bool, Outcome]] = [(NEVER_SENT, True, Outcome.NEVER_SENT)]
    cases += [(failure, repeatable, Outcome.UNKNOWN) for failure in (LOST, LATE, STALE, CUT_SHORT)]
    cases += [(Response(status, {}), repeatable, Outcome.UNKNOWN) for status in unknown]
    for status, answer in answers.items():
        cases += [(answer, status == 429, Outcome.REFUSED if status == 429 else Outcome.DENIED)]
    cases += [(Response(503, {"retry-after": "1"}), True, Outcome.REFUSED)]
    for result, repeated, outcome in cases:
        decision = policy(method).next(result, 0, 0, 0)
        assert isinstance(decision, RetryAfter if repeated else Stop), result
        given_up = policy(method, max_retries=0).next(result, 0, 0, 0)
        assert isinstance(given_up, Stop)
        assert given_up.outcome is outcome
        assert given_up.error.delivered is (None if outcome is Outcome.UNKNOWN else False)
    assert policy(method).next(Response(204, {}), 0, 0, 0) is None
    assert outcome_of(Response(503, {}), None) is Outcome.UNKNOWN
    assert outcome_of(Response(503, {}), 1.0) is Outcome.REFUSED


def test_whether_the_server_may_still_be_at_work() -> None:
    """Proof that it is not: the contract's own 500, or a reused connection that was closed at once. A lost connection
    or a proxy that gave up proves nothing, and where time was up it rather is at work.
    """
    assert work_of(Response(500, {}, OWN), 9) is ServerWork.DONE
    assert work_of(STALE, 0.9) is ServerWork.DONE
    probably: list[Response | TransportFailure] = [
        LOST,
        CUT_SHORT,
        Response(500, {}),
        Response(500, {}, b'{"code": "OTHER"}'),
        Response(502, {}, OWN),
    ]
    probably += [Response(status, {}) for status in (503, 520, 521, 522, 523, 525, 526, 527, 530)]
    probably += [Response(500, {}, b"[]"), Response(500, {}, b"<html>INTERNAL_SERVER_ERROR</html>")]
    for result in probably:
        assert work_of(result, 0) is ServerWork.PROBABLY_DONE, result
    assert work_of(STALE, 1) is ServerWork.PROBABLY_DONE
    perhaps: list[Response | TransportFailure] = [LATE]
    perhaps += [Response(status, {}) for status in (408, 504, 524, 528, 529)]
    for result in perhaps:
        assert work_of(result, 0) is ServerWork.PERHAPS, result


def test_an_end_tells_what_is_known() -> None:
    """When the last attempt began, whether the server is still at it, and whether a success was announced."""
    stopped = policy("POST").next(STALE, 5.0, 5.5, 0)
    assert isinstance(stopped, Stop)
    assert (stopped.began, stopped.work, stopped.announced) == (5.0, ServerWork.DONE, False)
    stopped = policy("POST").next(STALE, 5.0, 6.5, 0)
    assert isinstance(stopped, Stop)
    assert stopped.work is ServerWork.PROBABLY_DONE
    stopped = policy("POST").next(CUT_SHORT, 5.0, 5.5, 0)
    assert isinstance(stopped, Stop)
    assert stopped.announced


@given(st.integers(0, 12), st.floats(0, 1))
def test_delays_double_up_to_eight_seconds(before: int, random: float) -> None:
    """0.5 · 2ⁿ seconds, at most 8, times 0.75 to 1."""
    decision = policy(max_retries=99, attempts=before, random=lambda: random).next(LOST, 0, 0, 0)
    assert isinstance(decision, RetryAfter)
    full = min(0.5 * 2**before, 8)
    assert 0.75 * full <= decision.delay <= full


@given(st.floats(0, 200), st.floats(0, 200))
def test_no_delay_beyond_the_deadline(now: float, wanted: float) -> None:
    """Whatever the server asks for."""
    decision = policy().next(Response(429, {"retry-after": str(wanted)}), now, now, 0)
    if isinstance(decision, RetryAfter):
        assert wanted <= decision.delay
        assert now + decision.delay < 100
    else:
        assert isinstance(decision, Stop)
        assert isinstance(decision.error, FeatherError)


def test_refusals_of_the_rate_limit_use_up_no_retries() -> None:
    """A 429 is repeated as long as there is time, with delays that double; where there are to be no retries, never."""
    retry, delays = policy("POST", max_retries=1, deadline=Deadline(1000)), []
    for _ in range(9):
        decision = retry.next(Response(429, {}), 0, 0, 0)
        assert isinstance(decision, RetryAfter)
        delays.append(decision.delay)
    assert delays == [0.5, 1, 2, 4, 8, 8, 8, 8, 8]
    assert isinstance(retry.next(NEVER_SENT, 0, 0, 0), RetryAfter)
    stopped = retry.next(NEVER_SENT, 0, 0, 0)
    assert isinstance(stopped, Stop)
    assert stopped.error.attempts == 11
    assert isinstance(policy(max_retries=0).next(Response(429, {}), 0, 0, 0), Stop)


def test_an_attempt_has_twenty_seconds_and_no_more_than_is_left() -> None:
    """So that a long deadline leaves time for others."""
    deadline = Deadline(60)
    assert [deadline.attempt(now) for now in (0, 45, 70)] == [20, 15, 0]
    assert deadline.share(30, 0.5) == Deadline(45)


def test_a_message_leaves_time_to_find_out_what_becomes_of_it() -> None:
    """An attempt leaves three seconds, or a third of what is left; none begins when no more than that remains."""
    for seconds, reserve in ((60.0, 3.0), (9.0, 3.0), (6.0, 2.0), (0.6, 0.2)):
        deadline = Deadline(100 + seconds, seconds)
        assert deadline.last_start == pytest.approx(100 + seconds - reserve)
        assert deadline.reserved(100).at == pytest.approx(100 + seconds - reserve)
        sending, reading = policy("POST", deadline=deadline, reserving=True), policy(deadline=deadline)
        assert sending.last_start == deadline.last_start
        assert reading.last_start == deadline.at
        assert sending.seconds_for(100) == pytest.approx(min(20, seconds - reserve))
        assert reading.seconds_for(100) == pytest.approx(min(20, seconds))


def test_a_deadline_may_begin_with_the_first_attempt() -> None:
    """For what waits in the line of the rate limit for as long as it takes, and then has its own time."""
    retry = policy(deadline=Deadline(float("inf")), seconds=10.0)
    assert retry.last_start == float("inf")
    assert retry.seconds_for(500) == 10
    retry.next(LOST, 500, 504, 0)
    assert retry.seconds_for(504) == 6
    assert retry.last_start == 510


def test_another_copy_is_sent_only_if_there_is_time_to_look_for_it() -> None:
    """The time that a message was looked for counts as the wait; max_retries holds."""
    retry = policy("POST", deadline=Deadline(30, 30), reserving=True, attempts=1)
    assert retry.once_more(0, 2.0) == 0
    assert retry.once_more(27.0, 2.0) is None
    assert policy("POST", deadline=Deadline(30, 30), attempts=3).once_more(0, 2.0) is None
    assert policy("POST", deadline=Deadline(30, 30), attempts=4, limited=2).once_more(0, 0.25) == 0.75


def test_no_slot_is_no_delivery() -> None:
    """Who has to leave the line of the rate limit was not sent, and is told why."""
    error = no_slot(policy("POST"), 10.0, 10.0)
    assert isinstance(error, APITimeoutError)
    assert error.delivered is False
    assert "limit of 10 requests per second has no free slot before the deadline" in str(error)
    assert "slowed down to 2.5 after 429s" in str(no_slot(policy(), 10.0, 2.5))


def test_phrases() -> None:
    """Also for statuses that the standard library does not know."""
    assert phrase(404) == "Not Found"
    assert phrase(522) == "Unknown status"


def test_json_where_the_stack_is_nearly_full() -> None:
    """A caller may be deep in calls of his own: what cannot be parsed then is no JSON, and no RecursionError."""
    content = b"[" * 90 + b"]" * 90
    assert read_json(content)

    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        else:
            with pytest.raises(ValueError, match="nested too deeply"):
                read_json(content)

    left = sys.getrecursionlimit() - len(inspect.stack())
    deep(left - 60)


def test_a_key_is_not_pickled() -> None:
    """Nor copied, nor shown."""
    secret = Secret("key")
    assert (repr(secret), str(secret), f"{secret}", secret.reveal()) == ("***", "***", "***", "key")
    for make in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            make(secret)
