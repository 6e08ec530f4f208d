"""The rules of retries: which requests are repeated, when, and what an error tells about the outcome."""

from __future__ import annotations

from typing import Any

import pytest
from featherhq._core.call_errors import no_slot
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.retry import Deadline, Outcome, Retry, RetryAfter, ServerWork, Stop, outcome_of, work_of
from featherhq.errors import APITimeoutError, FeatherError
from hypothesis import given, strategies as st

NEVER_SENT = TransportFailure(sent=False, timed_out=False, reason="refused")
LOST = TransportFailure(sent=True, timed_out=False, reason="lost")
LATE = TransportFailure(sent=True, timed_out=True, reason="late")
STALE = TransportFailure(sent=True, timed_out=False, reason="closed", stale=True)
CUT_SHORT = TransportFailure(sent=True, timed_out=False, reason="cut short", status_code=200)
# The body of Feather's own 500.
OWN = b'{"status": 0, "message": "Something broke", "code": "INTERNAL_SERVER_ERROR", "success": false}'


def policy(method: str = "GET", **options: Any) -> Retry:
    """The attempts of one call, with two retries and 100 seconds unless the options say otherwise."""
    return Retry(method, "http://x", **{"max_retries": 2, "deadline": Deadline(100), "random": lambda: 0.0, **options})


# Which requests are repeated.


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_each_result_is_repeated_only_if_that_is_safe(method: str) -> None:
    """Each status and each failure is repeated, and has an outcome, as the design's table says."""
    repeatable = method != "POST"
    responses = {status: Response(status, {}) for status in (400, 401, 403, 404, 409, 418, 422, 429, 501, 505, 599)}
    unknown = (408, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 528, 529, 530)
    cases: list[tuple[Response | TransportFailure, bool, Outcome]] = [(NEVER_SENT, True, Outcome.NEVER_SENT)]
    cases += [(failure, repeatable, Outcome.UNKNOWN) for failure in (LOST, LATE, STALE, CUT_SHORT)]
    cases += [(Response(status, {}), repeatable, Outcome.UNKNOWN) for status in unknown]
    for status, response in responses.items():
        cases += [(response, status == 429, Outcome.REFUSED if status == 429 else Outcome.DENIED)]
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


def test_429s_do_not_count_as_retries() -> None:
    """A 429 is repeated until the deadline with delays that double, unless `max_retries` is 0."""
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


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_a_429_is_repeated_as_often_as_fits_the_deadline(jitter: float) -> None:
    """A send with a deadline of 3 s makes three attempts. It leaves out the fourth, which would begin too late to find
    out its outcome.
    """
    retry, now = policy("POST", deadline=Deadline(3, 3), random=lambda: jitter, reserving=True), 0.0
    while isinstance(decision := retry.next(Response(429, {}), now, now, 0), RetryAfter):
        now += decision.delay
        assert now <= 2
    assert isinstance(decision, Stop)
    assert decision.error.attempts == 3


# What a result says about the outcome.


def test_a_result_says_whether_the_server_may_still_be_at_work() -> None:
    """Feather's own 500 and a stale connection prove that the server is done.

    After a lost connection or a response of a proxy, the server is probably done. After a timeout it may be at work.
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


def test_a_call_that_stops_tells_about_its_last_attempt() -> None:
    """`Stop` tells when the last attempt began, what the server work is, and whether the status was a success."""
    stopped = policy("POST").next(STALE, 5.0, 5.5, 0)
    assert isinstance(stopped, Stop)
    assert (stopped.began, stopped.work, stopped.announced) == (5.0, ServerWork.DONE, False)
    stopped = policy("POST").next(STALE, 5.0, 6.5, 0)
    assert isinstance(stopped, Stop)
    assert stopped.work is ServerWork.PROBABLY_DONE
    stopped = policy("POST").next(CUT_SHORT, 5.0, 5.5, 0)
    assert isinstance(stopped, Stop)
    assert stopped.announced


def test_a_request_without_a_slot_was_not_delivered() -> None:
    """The error of a request that gets no slot says that it was not sent, and why."""
    error = no_slot(policy("POST"), 10.0, 10.0)
    assert isinstance(error, APITimeoutError)
    assert error.delivered is False
    assert "limit of 10 requests per second has no free slot before the deadline" in str(error)
    assert "slowed down to 2.5 after 429s" in str(no_slot(policy(), 10.0, 2.5))


# Delays and deadlines.


@given(st.integers(0, 12), st.floats(0, 1))
def test_delays_double_up_to_eight_seconds(before: int, random: float) -> None:
    """The delay after n failures is 0.5 · 2ⁿ seconds, at most 8, and jitter shortens it by at most a quarter."""
    decision = policy(max_retries=99, attempts=before, random=lambda: random).next(LOST, 0, 0, 0)
    assert isinstance(decision, RetryAfter)
    full = min(0.5 * 2**before, 8)
    assert 0.75 * full <= decision.delay <= full


@given(st.floats(0, 200), st.floats(0, 200))
def test_no_delay_passes_the_deadline(now: float, wanted: float) -> None:
    """A call waits as long as `Retry-After` asks, but if that passes the deadline, it stops at once."""
    decision = policy().next(Response(429, {"retry-after": str(wanted)}), now, now, 0)
    if isinstance(decision, RetryAfter):
        assert wanted <= decision.delay
        assert now + decision.delay < 100
    else:
        assert isinstance(decision, Stop)
        assert isinstance(decision.error, FeatherError)


def test_an_attempt_has_twenty_seconds_and_no_more_than_is_left() -> None:
    """An attempt has twenty seconds at most, so a long deadline leaves time for other attempts."""
    deadline = Deadline(60)
    assert [deadline.attempt(now) for now in (0, 45, 70)] == [20, 15, 0]
    assert deadline.share(30, 0.5) == Deadline(45)


def test_an_attempt_to_send_leaves_time_to_find_out_its_outcome() -> None:
    """An attempt leaves three seconds or a third of the time, whichever is less, and begins no later than that."""
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
    """A request may wait in the queue for as long as needed, and its own seconds begin with the first attempt."""
    retry = policy(deadline=Deadline(float("inf")), seconds=10.0)
    assert retry.last_start == float("inf")
    assert retry.seconds_for(500) == 10
    retry.next(LOST, 500, 504, 0)
    assert retry.seconds_for(504) == 6
    assert retry.last_start == 510


def test_a_message_is_sent_again_only_if_there_is_time_to_look_for_it() -> None:
    """The time of the search counts as part of the delay, and `max_retries` still holds."""
    retry = policy("POST", deadline=Deadline(30, 30), reserving=True, attempts=1)
    assert retry.once_more(0, 2.0) == 0
    assert retry.once_more(27.0, 2.0) is None
    assert policy("POST", deadline=Deadline(30, 30), attempts=3).once_more(0, 2.0) is None
    assert policy("POST", deadline=Deadline(30, 30), attempts=4, limited=2).once_more(0, 0.25) == 0.75
