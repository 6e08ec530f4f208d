"""Whether a request is repeated, and when; and what its outcome says of the server's work. Pure.

The rule is one sentence: a request is repeated where that is safe and fits the deadline. Safe is what never
reached the server, what it refused before any work, and, for methods that may be repeated, what has an unknown
outcome.
"""

from __future__ import annotations

import email.utils
import math
from enum import Enum, auto
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from featherhq._core.effects import Response, TransportFailure
from featherhq.errors import (
    APIConnectionError,
    APITimeoutError,
    FeatherError,
    class_for_status,
    hint_for_status,
    one_line,
    phrase,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_ATTEMPT: Final = 20.0
"""Seconds that one attempt may take, so that a long deadline leaves time for others."""

# What an attempt to send a message leaves of a call's time, to find out what became of it: seconds, and a part.
_LONGEST_RESERVE: Final = 3.0
_RESERVED_PART: Final = 1 / 3

_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 8.0
_ENOUGH_DOUBLINGS: Final = 16
_JITTER: Final = 0.25

# RFC 9110 section 9.2.2, and PATCH: Feather's merges, so that twice is the same as once.
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH"})

# 520 to 527 and 530 are Cloudflare's: something between us and Feather failed, and who knows how far it got.
_UNKNOWN: Final = frozenset({408, 500, 502, 503, 504, *range(520, 530), 530})

# Of those, the ones that say that whoever was at work on the request probably no longer is.
_PROBABLY_DONE: Final = frozenset({500, 502, 503, 520, 521, 522, 523, 525, 526, 527, 530})

# What the contract's own 500 says in its body.
_OWN_CODE: Final = "INTERNAL_SERVER_ERROR"

# Seconds within which a connection that had been idle, and that the server had closed meanwhile, shows it.
_STALE_WITHIN: Final = 1.0

_REQUEST_ID_HEADERS: Final = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")


class Outcome(Enum):
    """What became of a request."""

    DONE = auto()
    NEVER_SENT = auto()
    REFUSED = auto()
    UNKNOWN = auto()
    DENIED = auto()


class ServerWork(Enum):
    """Whether the server may still be at work on a request of unknown outcome."""

    DONE = auto()
    """It is proven that it is not."""
    PROBABLY_DONE = auto()
    """A connection was lost, or a proxy gave up: the server may go on for a few seconds all the same."""
    PERHAPS = auto()
    """Nobody can tell."""


@frozen
class Deadline:
    """A moment of the monotonic clock, in seconds, that a call does not outlive.

    Attributes:
        at: The moment.
        seconds: How long the call had when it began.
    """

    at: float
    seconds: float = math.inf

    def remaining(self, now: float) -> float:
        """Seconds left; never less than 0."""
        return max(0.0, self.at - now)

    def attempt(self, now: float) -> float:
        """Seconds that an attempt begun now may take."""
        return min(LONGEST_ATTEMPT, self.remaining(now))

    def reserved(self, now: float) -> Deadline:
        """A deadline for an attempt begun now, that leaves some time to find out what became of it."""
        return Deadline(self.at - min(_LONGEST_RESERVE, self.remaining(now) * _RESERVED_PART))

    @property
    def last_start(self) -> float:
        """The last moment at which to let a message out, with enough time left to learn its fate."""
        return self.at - min(_LONGEST_RESERVE, self.seconds * _RESERVED_PART)

    def share(self, now: float, part: float) -> Deadline:
        """A deadline of its own for something that must not use up the whole."""
        return Deadline(now + self.remaining(now) * part)


@frozen
class RetryAfter:
    """Repeat the request after so many seconds."""

    delay: float


@frozen
class Stop:
    """Do not repeat the request.

    Attributes:
        error: What to raise.
        outcome: What became of the last attempt.
        work: Whether the server may still be at work on it.
        began: When the last attempt began, on the monotonic clock, in seconds.
        announced: Whether a success was announced, and only its body did not come or cannot be read.
    """

    error: FeatherError
    outcome: Outcome
    work: ServerWork = ServerWork.DONE
    began: float = math.inf
    announced: bool = False


def backoff(failures: int, random: Callable[[], float], longest: float = _LONGEST_DELAY) -> float:
    """Seconds to wait: half a second, doubled each time, and up to a quarter less so that callers spread out."""
    return min(_FIRST_DELAY * 2.0 ** min(failures, _ENOUGH_DOUBLINGS), longest) * (1 - _JITTER * random())


def outcome_of(result: Response | TransportFailure, retry_after: float | None) -> Outcome:
    """What became of a request, told from its result alone."""
    if isinstance(result, TransportFailure):
        return Outcome.UNKNOWN if result.sent else Outcome.NEVER_SENT
    if _is_success(result):
        return Outcome.DONE
    status = result.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome.REFUSED
    if status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after is not None:
        return Outcome.REFUSED
    return Outcome.UNKNOWN if status in _UNKNOWN else Outcome.DENIED


def work_of(result: Response | TransportFailure, took: float) -> ServerWork:
    """Whether the server may still be at work on a request of unknown outcome.

    Args:
        result: What came of it.
        took: How many seconds that took.
    """
    if isinstance(result, TransportFailure):
        if result.timed_out:
            return ServerWork.PERHAPS
        stale = result.stale and took < _STALE_WITHIN
        return ServerWork.DONE if stale else ServerWork.PROBABLY_DONE
    if result.status_code not in _PROBABLY_DONE:
        return ServerWork.PERHAPS
    body = result.body
    own = result.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and isinstance(body, dict)
    return ServerWork.DONE if own and body.get("code") == _OWN_CODE else ServerWork.PROBABLY_DONE  # type: ignore[attr-defined]


def _is_success(result: Response | TransportFailure) -> bool:
    """Whether a success was announced; of a failure, that is a head whose body did not come."""
    return result.status_code is not None and HTTPStatus.OK <= result.status_code < HTTPStatus.MULTIPLE_CHOICES


def read_retry_after(headers: Mapping[str, str], wall_time: float) -> float | None:
    """Seconds that the server asks to wait (RFC 9110 section 10.2.3), or `None`.

    Args:
        headers: The answer's headers.
        wall_time: The time now, in seconds since 1970, for a date in an answer that has no `Date`.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * scale
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    until = read_date(headers.get("retry-after"))
    if until is None:
        return None
    # Both from the server's clock where it tells it, so that ours may be wrong.
    now = read_date(headers.get("date"))
    return max(0.0, until - (wall_time if now is None else now))


@lru_cache(maxsize=16)
def read_date(value: str | None) -> float | None:
    """A date of HTTP (RFC 9110 section 5.6.7) in seconds since 1970, or `None` for what is not one."""
    try:
        return email.utils.parsedate_to_datetime(value or "").timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        # The last two are the library's own, on what is no date at all.
        return None


@define
class Retry:
    """The attempts of one call.

    Attributes:
        method: The HTTP method, in capitals.
        url: The URL without its query.
        max_retries: Attempts after the first. What the rate limit refused (429) does not count, unless it is 0.
        deadline: When the call ends.
        random: Gives a number from 0 to 1, for the jitter.
        reserving: Whether each attempt leaves some of the time, to find out what became of it.
        seconds: Where given, the deadline is so long after the rate limit has let the first attempt out.
        attempts: How many were made.
        limited: How many of them were refused by the rate limit.
        may_have_left: Whether the server may have done it: what became of an attempt is not known.
    """

    method: str
    url: str
    max_retries: int
    deadline: Deadline
    random: Callable[[], float]
    reserving: bool = False
    seconds: float | None = None
    attempts: int = 0
    limited: int = 0
    may_have_left: bool = False

    def note(self) -> str | None:
        """What to tell whoever catches an exception that has ended the call from outside, if there is anything."""
        if self.is_repeatable or not self.may_have_left:
            return None
        told = f"{self.method} {self.url}: the request was under way, so Feather may have done it."
        return f"{told} Look before you repeat it."

    @property
    def is_repeatable(self) -> bool:
        """Whether doing it twice does what once does."""
        return self.method in _REPEATABLE

    def next(
        self, result: Response | TransportFailure, began: float, now: float, wall_time: float
    ) -> RetryAfter | Stop | None:
        """What to do after an attempt.

        Args:
            result: What came of it.
            began: When it began, and
            now: the time, on the monotonic clock, in seconds.
            wall_time: The time in seconds since 1970.

        Returns:
            `None` where it succeeded; else whether to repeat it.
        """
        self.attempts += 1
        retry_after = None
        if isinstance(result, Response) and not _is_success(result):
            retry_after = read_retry_after(result.headers, wall_time)
        outcome = outcome_of(result, retry_after)
        self.may_have_left = self.may_have_left or outcome is Outcome.UNKNOWN
        if outcome is Outcome.DONE:
            return None
        limited = result.status_code == HTTPStatus.TOO_MANY_REQUESTS and self.max_retries > 0
        self.limited += limited
        safe = outcome in {Outcome.NEVER_SENT, Outcome.REFUSED}
        safe = safe or (outcome is Outcome.UNKNOWN and self.is_repeatable)
        failures = self.limited if limited else self._counted
        delay = backoff(failures - 1, self.random) if retry_after is None else retry_after
        if safe and (limited or self._may_go_on) and now + delay < self.last_start:
            return RetryAfter(delay)
        work = work_of(result, now - began)
        return Stop(self._error(result, outcome, retry_after), outcome, work, began, _is_success(result))

    def no_slot(self, rate: float, pace: float) -> Stop:
        """The end of a call for which its client's own rate limit has no slot in time.

        Args:
            rate: The limit, in requests a second.
            pace: The requests a second that are allowed just now: fewer, after 429s.
        """
        slowed = "" if pace >= rate else f", slowed down to {pace:.2g} after 429s,"
        return self._unsent(
            f"not sent, since this client's limit of {rate:g} requests a second{slowed} has no slot free before the "
            "deadline",
            "Raise timeout=, or rate_limit= if your plan allows more requests a second."
            if pace >= rate
            else "Do other processes share this key? Give each its part in rate_limit=; or raise timeout=.",
        )

    def no_key(self, name: str) -> Stop:
        """The end of a call for which the callable `api_key=` gives no key in time."""
        return self._unsent(
            f"api_key: the callable {name} has given no key in time",
            "Nothing was sent. Have it answer sooner, or raise timeout=.",
        )

    def no_time(self) -> Stop:
        """The end of a call that has no time left for another request."""
        return self._unsent("no time is left for another request", "Raise timeout=.")

    def _unsent(self, what: str, hint: str) -> Stop:
        error = APITimeoutError(
            f"{self.method} {self.url}: {what} ({self._count(timed=True)})",
            hint=hint,
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )
        error.delivered = False
        return Stop(error, Outcome.NEVER_SENT)

    def once_more(self, now: float, looked: float) -> float | None:
        """Seconds to wait before a message that is known not to have arrived is sent again; `None` for not at all.

        Args:
            now: The time on the monotonic clock, in seconds.
            looked: Seconds that it was looked for, and that have to be left to find out what becomes of the next.
        """
        delay = max(0.0, backoff(self._counted - 1, self.random) - looked)
        fits = now + delay < self.last_start and delay + looked < self.deadline.remaining(now)
        return delay if self._may_go_on and fits else None

    @property
    def last_start(self) -> float:
        """The last moment at which an attempt may begin."""
        return self.deadline.last_start if self.reserving else self.deadline.at

    def seconds_for(self, began: float) -> float:
        """Seconds that an attempt begun then may take."""
        if self.seconds is not None and not self.attempts:
            self.deadline = Deadline(began + self.seconds)
        return (self.deadline.reserved(began) if self.reserving else self.deadline).attempt(began)

    @property
    def _counted(self) -> int:
        return self.attempts - self.limited

    @property
    def _may_go_on(self) -> bool:
        return self._counted <= self.max_retries

    def _count(self, *, timed: bool = False) -> str:
        count = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        seconds = self.deadline.seconds
        return f"{count}, timeout {seconds:g} s" if timed and seconds < math.inf else count

    def _error(self, result: Response | TransportFailure, outcome: Outcome, retry_after: float | None) -> FeatherError:
        error = self._no_answer(result) if isinstance(result, TransportFailure) else self._not_done(result, retry_after)
        error.delivered = None if outcome is Outcome.UNKNOWN else False
        return error

    def _not_done(self, response: Response, retry_after: float | None) -> FeatherError:
        headers = {name: printable(value) for name, value in response.redactor.headers(response.headers).items()}
        status, body = response.status_code, response.body
        said = body if isinstance(body, dict) else {}
        code, message = said.get("code"), said.get("message")
        code = one_line(code) if isinstance(code, str) and code else None
        message = printable(message) if isinstance(message, str) and message else phrase(status)
        request_id = next((one_line(headers[name]) for name in _REQUEST_ID_HEADERS if headers.get(name)), None)
        known_as = f"request id {request_id}, " if request_id else ""
        summary = " ".join(filter(None, (str(status), code)))
        return class_for_status(status)(
            f"{self.method} {self.url}: {summary}: {one_line(message)} ({known_as}{self._count()})",
            status_code=status,
            code=code,
            server_message=message,
            request_id=request_id,
            body=body,
            headers=headers,
            retry_after=retry_after,
            hint=hint_for_status(status, headers, retry_after, response.via),
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )

    def _no_answer(self, failure: TransportFailure) -> FeatherError:
        kind = APITimeoutError if failure.timed_out else APIConnectionError
        hint = (
            "Nothing reached Feather. Check the network, DNS, proxies (HTTPS_PROXY) and base_url."
            if not failure.sent
            else "The request may have reached Feather. "
            + (
                "It is safe to repeat."
                if self.is_repeatable
                else "Look before you repeat it: Feather may have done it."
            )
        )
        error = kind(
            f"{self.method} {self.url}: {one_line(failure.reason)} ({self._count(timed=failure.timed_out)})",
            hint=hint,
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )
        error.__cause__ = failure.cause
        return error
