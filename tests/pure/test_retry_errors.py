"""The end of a call: what its errors and notes tell, and which delays still fit its deadline."""

from __future__ import annotations

from typing import Any

import pytest
from featherhq import InvalidArgumentError
from featherhq._core.attempts import noting
from featherhq._core.call_errors import no_key, no_slot, no_time
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.retry import Deadline, Retry, Stop, backoff


def retry(method: str = "POST", **options: Any) -> Retry:
    """The attempts of one call, with two retries and 100 seconds unless the options say otherwise."""
    return Retry(method, "http://x", **{"max_retries": 2, "deadline": Deadline(100), "random": lambda: 0.0, **options})


def test_an_exception_from_outside_gets_a_note() -> None:
    """If an exception from outside ends a call, it gets the note, if there is one. The library's own errors get no
    note.
    """

    def ended(by: BaseException, note: str | None) -> list[str]:
        with pytest.raises(type(by)), noting(lambda: note):
            raise by
        return getattr(by, "__notes__", [])

    assert ended(KeyboardInterrupt(), "it has left") == ["it has left"]
    assert ended(ValueError(), "it has left") == ["it has left"]
    assert ended(ValueError(), None) == []
    assert ended(GeneratorExit(), "it has left") == []
    assert ended(InvalidArgumentError("x"), "it has left") == []


def test_a_note_tells_that_a_request_may_have_been_done() -> None:
    """If a request may have reached the server and must not be repeated, the note tells it. Otherwise there is no
    note.
    """
    sent = TransportFailure(sent=True, timed_out=False, reason="lost")
    unsent = TransportFailure(sent=False, timed_out=False, reason="refused")
    for method, results, noted in (
        ("POST", [unsent], False),
        ("POST", [sent], True),
        ("POST", [sent, unsent], True),
        ("GET", [sent], False),
    ):
        made = retry(method)
        for result in results:
            made.next(result, 0, 0, 0)
        note = made.note()
        assert (note is not None) is noted
        assert note is None or note.startswith("POST http://x: ")


def test_the_error_of_a_status_tells_what_the_server_said() -> None:
    """The error tells everything that the server said, in one line and in its attributes. It also tells the number
    of attempts.
    """
    headers = {"cf-ray": "ray", "request-id": "7\n8", "retry-after": "70"}
    body = b'{"code": "SLOW", "message": "too\\nmany"}'
    stopped = retry(attempts=1).next(Response(429, headers, body), 90.0, 95.0, 0)
    assert isinstance(stopped, Stop)
    error: Any = stopped.error
    assert str(error).startswith("POST http://x: 429 SLOW: too")
    assert "2 attempts" in str(error)
    assert str(error).count("request id 7") == 1
    assert (error.status_code, error.code, error.retry_after) == (429, "SLOW", 70.0)
    assert error.body == {"code": "SLOW", "message": "too\nmany"}
    assert (error.method, error.url, error.attempts) == ("POST", "http://x", 2)
    assert error.headers["cf-ray"] == "ray"
    assert error.request_id.startswith("7")
    assert error.message.startswith("too")


def test_the_error_of_an_unknown_body_tells_the_status() -> None:
    """If the body has no valid code and no valid message, the error shows the name of the status."""
    for body in (b"", b"[]", b'{"code": 5, "message": ["x"]}', b'{"code": "", "message": ""}'):
        stopped = retry().next(Response(404, {}, body), 0, 0, 0)
        assert isinstance(stopped, Stop)
        error: Any = stopped.error
        assert str(error) == "POST http://x: 404: Not Found (1 attempt)"
        assert (error.code, error.request_id, error.message) == (None, None, "Not Found")
    odd: Any = retry().next(Response(418, {}), 0, 0, 0)
    assert odd.error.status_code == 418


@pytest.mark.parametrize(
    ("method", "sent", "hint"),
    [
        ("GET", False, "Nothing reached"),
        ("GET", True, "It is safe to repeat"),
        ("POST", True, "Check before you repeat"),
    ],
)
def test_the_error_without_a_response_tells_whether_to_repeat(method: str, sent: bool, hint: str) -> None:
    """The error tells whether the request may have reached the server, and whether it is safe to repeat. The
    system's own error is its cause.
    """
    cause = OSError("no route")
    for timed_out in (False, True):
        failure = TransportFailure(sent=sent, timed_out=timed_out, reason="no\nroute", cause=cause)
        stopped = retry(method, deadline=Deadline(60, 60.0), max_retries=0).next(failure, 0, 0, 0)
        assert isinstance(stopped, Stop)
        assert stopped.error.__cause__ is cause
        assert any(hint in note for note in stopped.error.__notes__)
        assert isinstance(stopped.error, TimeoutError) is timed_out
        assert ("timeout 60 s" in str(stopped.error)) is timed_out
        assert (stopped.error.method, stopped.error.url, stopped.error.attempts) == (method, "http://x", 1)


def test_a_message_is_sent_again_only_if_another_search_fits() -> None:
    """The delay must end before the latest start of an attempt, and another search of the same length must fit after
    it.
    """
    for reserving, now, delay in ((True, 26.2, 0.75), (True, 26.3, None), (False, 28.9, 0.75), (False, 29.0, None)):
        made = retry(deadline=Deadline(30, 30.0), attempts=4, limited=2, reserving=reserving)
        assert made.once_more(now, 0.25) == delay


def test_the_error_without_a_request_tells_why() -> None:
    """The error tells why no request was sent, how long the call had, and how many attempts it made before."""
    made = retry(deadline=Deadline(60, 60.0), attempts=2)
    for error, told in (
        (no_time(made), "no time is left"),
        (no_key(made, "mine"), "the callable mine returned no key"),
        (no_slot(made, 10.0, 10.0), "no free slot"),
    ):
        assert str(error).startswith("POST http://x: ")
        assert told in str(error)
        assert "(2 attempts, timeout 60 s)" in str(error)
        assert (error.method, error.url, error.attempts, error.delivered) == ("POST", "http://x", 2, False)


def test_a_delay_must_end_before_the_deadline() -> None:
    """If a delay ends exactly at the deadline, there is no time for an attempt, so the call stops. Delays are
    doubled up to the longest one, and jitter shortens them.
    """
    limited = Response(429, {"retry-after": "10"})
    assert not isinstance(retry().next(limited, 89.0, 89.9, 0), Stop)
    assert isinstance(retry().next(limited, 89.0, 90.0, 0), Stop)
    assert backoff(0, lambda: 1.0) == 0.375
    assert backoff(3, lambda: 0.0) == 4.0
    assert backoff(99, lambda: 0.0, 30.0) == 30.0
