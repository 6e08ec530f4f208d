"""Small parts of responses: hints and counts in errors, a wait of zero seconds, and a very short body."""

from __future__ import annotations

from typing import Any

import pytest
from featherhq._core.bodies import Unpacker, UnreadableBodyError
from featherhq._core.call_errors import no_time
from featherhq._core.headers import read_retry_after
from featherhq._core.responses import Response
from featherhq._core.retry import Deadline, Outcome, Retry, Stop


def error_of(response: Response, **options: Any) -> Any:
    """The error of a call that stops with this response."""
    given = {"max_retries": 0, "deadline": Deadline(60, 60.0), "random": lambda: 0.0, **options}
    stopped = Retry("POST", "http://x", **given).next(response, 0, 0, 0)
    assert isinstance(stopped, Stop)
    return stopped.error


def test_the_hint_of_a_status_tells_the_wait_and_the_proxy() -> None:
    """The hint says how long the server asks to wait, and which proxy the response came through."""
    (hint,) = error_of(Response(429, {"retry-after": "7"}, via="http://proxy:3128")).__notes__
    assert hint.startswith("Wait for 7 s (`retry_after`). ")
    assert hint.endswith(" The response came through the proxy http://proxy:3128.")
    (hint,) = error_of(Response(429, {})).__notes__
    assert "Wait for" not in hint
    assert "proxy http" not in hint


def test_only_an_error_about_time_tells_the_timeout() -> None:
    """The error of a status does not show the timeout of the call. If a call has no timeout, no error shows one."""
    assert str(error_of(Response(404, {}))).endswith("(1 attempt)")
    endless = Retry("GET", "http://x", 2, Deadline(100), lambda: 0.0, attempts=3)
    assert "(3 attempts)" in str(no_time(endless))


def test_a_wait_of_zero_seconds_is_a_wait() -> None:
    """`Retry-After: 0` means that the request may be repeated at once. It is not the same as no `Retry-After`."""
    for name in ("retry-after", "retry-after-ms"):
        assert read_retry_after({name: "0"}, 1e9) == 0.0
    assert error_of(Response(429, {"retry-after": "0"})).retry_after == 0.0
    refused = Retry("POST", "http://x", 0, Deadline(60), lambda: 0.0).next(Response(503, {"retry-after": "0"}), 0, 0, 0)
    assert isinstance(refused, Stop)
    assert refused.outcome is Outcome.REFUSED


def test_a_broken_body_of_two_bytes_is_an_error() -> None:
    """Two bytes are enough to see that a deflated body is broken. One byte more is not waited for."""
    with pytest.raises(UnreadableBodyError):
        list(Unpacker("deflate").feed(b"\xff\xff"))


@pytest.mark.parametrize("status", [199, 300, 302])
def test_only_statuses_of_two_hundred_and_more_are_successes(status: int) -> None:
    """A status below 200 or from 300 on is an error, and the request was not done."""
    error = error_of(Response(status, {}))
    assert (error.status_code, error.delivered) == (status, False)
