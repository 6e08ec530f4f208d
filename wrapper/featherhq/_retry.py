"""Whether a request is repeated, and when. Pure: no sockets, no clock of its own, no httpx.

The rule is one sentence: a request is repeated where that is safe and fits the deadline. Safe is what never
reached the server, what it refused before any work, and, for methods that may be repeated, what became of
nobody knows what.
"""

from __future__ import annotations

import email.utils
import math
from enum import Enum, auto
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from featherhq._errors import (
    APIConnectionError,
    APITimeoutError,
    FeatherError,
    class_for_status,
    hint_for_status,
    one_line,
    phrase,
)
from featherhq._steps import Answer, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_ATTEMPT: Final = 20.0
"""Seconds that one attempt may take, so that a long deadline leaves time for others."""

# What an attempt to send a message leaves of a call's time, to find out what became of it.
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

# Of those, the ones that say that whoever was at work on the request no longer is.
_FINISHED: Final = frozenset({500, 502, 503, 520, 521, 522, 523, 525, 526, 527, 530})

_REQUEST_ID_HEADERS: Final = ("x-request-id", "request-id", "x-correlation-id", "cf-ray")


class Fate(Enum):
    """What became of a request."""

    DONE = auto()
    NEVER_SENT = auto()
    REFUSED = auto()
    UNKNOWN = auto()
    DENIED = auto()


@frozen
class Deadline:
    """A moment of the monotonic clock, in seconds, that a call does not outlive."""

    at: float

    def remaining(self, now: float) -> float:
        """Seconds left; never less than 0."""
        return max(0.0, self.at - now)

    def attempt(self, now: float) -> float:
        """Seconds that an attempt begun now may take."""
        return min(LONGEST_ATTEMPT, self.remaining(now))

    def reserved(self, now: float) -> Deadline:
        """A deadline that leaves some time to find out what became of the attempt."""
        return Deadline(self.at - min(_LONGEST_RESERVE, self.remaining(now) * _RESERVED_PART))

    def share(self, now: float, part: float) -> Deadline:
        """A deadline of its own for something that must not use up the whole."""
        return Deadline(now + self.remaining(now) * part)


@frozen
class Again:
    """Repeat the request after so many seconds."""

    delay: float


@frozen
class GiveUp:
    """Do not repeat the request.

    Attributes:
        error: What to raise.
        fate: What became of the last attempt.
        finished: Whether the server is done with it, so that what has not happened by now will not.
    """

    error: FeatherError
    fate: Fate
    finished: bool = True


def backoff(failures: int, random: Callable[[], float], longest: float = _LONGEST_DELAY) -> float:
    """Seconds to wait: half a second, doubled each time, and up to a quarter less so that callers spread out."""
    return min(_FIRST_DELAY * 2.0 ** min(failures, _ENOUGH_DOUBLINGS), longest) * (1 - _JITTER * random())


def fate_of(outcome: Answer | Failure, retry_after: float | None) -> Fate:
    """What became of a request, told from its outcome alone."""
    if isinstance(outcome, Failure):
        return Fate.UNKNOWN if outcome.sent else Fate.NEVER_SENT
    if _is_success(outcome):
        return Fate.DONE
    status = outcome.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Fate.REFUSED
    if status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after is not None:
        return Fate.REFUSED
    return Fate.UNKNOWN if status in _UNKNOWN else Fate.DENIED


def _is_success(answer: Answer) -> bool:
    return HTTPStatus.OK <= answer.status_code < HTTPStatus.MULTIPLE_CHOICES


def is_finished(outcome: Answer | Failure) -> bool:
    """Whether the server is done with a request of unknown fate. After a timeout it may still be at work on it."""
    if isinstance(outcome, Failure):
        return not outcome.timed_out
    return outcome.status_code in _FINISHED


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
    except (ValueError, OverflowError):
        return None


@define
class Retry:
    """The attempts of one call.

    Attributes:
        method: The HTTP method, in capitals.
        url: The URL without its query.
        max_retries: Attempts after the first.
        deadline: When the call ends.
        random: Gives a number from 0 to 1, for the jitter.
        attempts: How many were made.
    """

    method: str
    url: str
    max_retries: int
    deadline: Deadline
    random: Callable[[], float]
    attempts: int = 0

    def next(self, outcome: Answer | Failure, now: float, wall_time: float) -> Again | GiveUp | None:
        """What to do after an attempt.

        Args:
            outcome: What came of it.
            now: The time on the monotonic clock, in seconds.
            wall_time: The time in seconds since 1970.

        Returns:
            `None` where it succeeded; else whether to repeat it.
        """
        self.attempts += 1
        retry_after = None
        if isinstance(outcome, Answer) and not _is_success(outcome):
            retry_after = read_retry_after(outcome.headers, wall_time)
        fate = fate_of(outcome, retry_after)
        if fate is Fate.DONE:
            return None
        safe = fate in {Fate.NEVER_SENT, Fate.REFUSED} or (fate is Fate.UNKNOWN and self.method in _REPEATABLE)
        delay = self._backoff() if retry_after is None else retry_after
        if safe and self.attempts <= self.max_retries and delay < self.deadline.remaining(now):
            return Again(delay)
        return GiveUp(self._error(outcome, retry_after), fate, is_finished(outcome))

    def out_of_turns(self, rate: float, pace: float) -> GiveUp:
        """The end of a call that its client's own rate limit leaves no time for.

        Args:
            rate: The limit, in requests a second.
            pace: The requests a second that are allowed just now: fewer, after 429s.
        """
        slowed = "" if pace >= rate else f", slowed down to {pace:.2g} after 429s,"
        error = APITimeoutError(
            f"{self.method} {self.url}: not sent, since this client's limit of {rate:g} requests a second{slowed} "
            f"has no turn free before the deadline ({self._count()})",
            hint="Raise timeout=, or rate_limit= if your plan allows more requests a second."
            if pace >= rate
            else "Do other processes share this key? Give each its part in rate_limit=; or raise timeout=.",
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )
        return GiveUp(error, Fate.NEVER_SENT)

    def once_more(self, now: float, looked: float) -> float | None:
        """Seconds to wait before a message that is known not to have arrived is sent again; `None` for not at all.

        Args:
            now: The time on the monotonic clock, in seconds.
            looked: Seconds that it was looked for, and that have to be left to find out what becomes of the next.
        """
        delay = max(0.0, self._backoff() - looked)
        fits = delay + looked < self.deadline.remaining(now)
        return delay if self.attempts <= self.max_retries and fits else None

    def _backoff(self) -> float:
        return backoff(self.attempts - 1, self.random)

    def _count(self) -> str:
        return "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"

    def _error(self, outcome: Answer | Failure, retry_after: float | None) -> FeatherError:
        if isinstance(outcome, Failure):
            return self._no_answer(outcome)
        headers = {name.lower(): outcome.redact(value) for name, value in outcome.headers.items()}
        status, body = outcome.status_code, outcome.body
        said = body if isinstance(body, dict) else {}
        code, message = said.get("code"), said.get("message")
        code = code if isinstance(code, str) and code else None
        message = message if isinstance(message, str) and message else phrase(status)
        request_id = next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)
        known_as = f"request id {request_id}, " if request_id else ""
        summary = " ".join(filter(None, (str(status), code and one_line(code))))
        return class_for_status(status)(
            f"{self.method} {self.url}: {summary}: {one_line(message)} ({known_as}{self._count()})",
            status_code=status,
            code=code,
            server_message=message,
            request_id=request_id,
            body=body,
            headers=headers,
            retry_after=retry_after,
            hint=hint_for_status(status, headers),
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )

    def _no_answer(self, failure: Failure) -> FeatherError:
        kind = APITimeoutError if failure.timed_out else APIConnectionError
        hint = (
            "Nothing reached Feather. Check the network, DNS, proxies (HTTPS_PROXY) and base_url."
            if not failure.sent
            else "The request may have reached Feather. "
            + (
                "It is safe to repeat."
                if self.method in _REPEATABLE
                else "Look before you repeat it: Feather may have done it."
            )
        )
        error = kind(
            f"{self.method} {self.url}: {one_line(failure.reason)} ({self._count()})",
            hint=hint,
            method=self.method,
            url=self.url,
            attempts=self.attempts,
        )
        error.__cause__ = failure.cause
        return error
