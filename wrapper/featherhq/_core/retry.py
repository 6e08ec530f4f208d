"""Every rule of retries: whether a request is repeated, when, and what its outcome says about the server's work. Pure.

In one sentence: a request is repeated if that is safe and fits the deadline. It is safe if the request never reached
the server, or if the server refused it before any work. With methods that may be repeated, it is also safe if the
outcome is unknown. A message of unknown outcome is looked for first (`_threads/send.py`, by the rules below).
"""

from __future__ import annotations

import math
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from attrs import define

from featherhq._core import call_errors
from featherhq._core.headers import read_retry_after
from featherhq._core.responses import Response, TransportFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.effects import Flow
    from featherhq.errors import FeatherError


class RetryPolicy(NamedTuple):
    """The numbers of the rules. All times are in seconds."""

    longest_attempt: float = 20.0
    """One attempt may take this long. So a long deadline leaves time for others."""

    first_delay: float = 0.5
    """The wait before the first retry. It is doubled each time."""

    longest_delay: float = 8.0
    """The longest of these waits."""

    jitter: float = 0.25
    """A wait is shortened by a random part up to this, so that many callers do not retry at once."""

    repeatable: frozenset[str] = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH"})
    """Methods for which twice is the same as once: RFC 9110 section 9.2.2, and PATCH, because Feather merges it."""

    unknown: frozenset[int] = frozenset({408, 500, 502, 503, 504, *range(520, 530), 530})
    """Statuses that leave the outcome unknown. 520 to 527 and 530 are Cloudflare's: something failed on the way."""

    probably_done: frozenset[int] = frozenset({500, 502, 503, 520, 521, 522, 523, 525, 526, 527, 530})
    """Those of them after which the server is probably no longer at work on the request."""

    own_code: str = "INTERNAL_SERVER_ERROR"
    """The code in the body of Feather's own 500. It proves that the server is done."""

    stale_within: float = 1.0
    """If a reused connection closes within this time, without a byte, the server had closed it before the request."""

    longest_reserve: float = 3.0
    """An attempt to send a message leaves this much of the deadline to find out its outcome, ..."""

    reserved_part: float = 1 / 3
    """... but not more than this part of the time."""

    grace: float = 2.0
    """How long a message is looked for at least after the server is proven to be done: a list may lag."""

    grace_after_loss: float = 6.0
    """How long after the request left it is looked for at least, if the server is only probably done."""

    search_pauses: tuple[float, ...] = (0.5, 1.5, 2.0, 2.5)
    """The waits between two scans for a message."""

    longest_search_pause: float = 5.0
    """The wait after those."""

    last_search: float = 0.25
    """The last scan begins this long before the deadline."""

    search_share: float = 1 / 2
    """One scan may take this part of the time that is left. So a list that hangs leaves time for another scan."""

    longest_work: float = 60.0
    """With a key: if the server may still be at work on a message, another call may send it only after this time."""

    ledger_patience: float = 5.0
    """The ledger of keys may take this long for one answer."""

    first_looks: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.35)
    """If another call sends the message of a key, the ledger is asked after these waits, before the list is read ..."""

    later_looks: float = 1.0
    """... and after that at least this often."""


POLICY: Final = RetryPolicy()

# 0.5 s doubled this often is more than any limit here.
_ENOUGH_DOUBLINGS: Final = 16


class Outcome(Enum):
    """What happened to a request."""

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
    """A connection was lost, or a proxy gave up. The server may still go on for a few seconds."""
    PERHAPS = auto()
    """It is not known."""


class Deadline(NamedTuple):
    """The end of a call.

    Attributes:
        at: The time, in seconds of the monotonic clock.
        seconds: How long the call had when it began.
    """

    at: float
    seconds: float = math.inf

    def remaining(self, now: float) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self.at - now)

    def attempt(self, now: float) -> float:
        """Seconds that an attempt may take if it begins now."""
        return min(POLICY.longest_attempt, self.remaining(now))

    def reserved(self, now: float) -> Deadline:
        """A deadline for an attempt that begins now and leaves time to find out its outcome."""
        return Deadline(self.at - min(POLICY.longest_reserve, self.remaining(now) * POLICY.reserved_part))

    @property
    def last_start(self) -> float:
        """The latest time to send a message, so that time is left to find out its outcome."""
        return self.at - min(POLICY.longest_reserve, self.seconds * POLICY.reserved_part)

    def share(self, now: float, part: float) -> Deadline:
        """A deadline for something that may take only a part of the time."""
        return Deadline(now + self.remaining(now) * part)


class RetryAfter(NamedTuple):
    """Repeat the request after this many seconds."""

    delay: float


class Stop(NamedTuple):
    """Do not repeat the request.

    Attributes:
        error: The error to raise.
        outcome: What happened to the last attempt.
        work: Whether the server may still be at work on it.
        began: When the last attempt began, in seconds of the monotonic clock.
        announced: Whether the status was a success, and only the body is missing or cannot be read.
    """

    error: FeatherError
    outcome: Outcome
    work: ServerWork = ServerWork.DONE
    began: float = math.inf
    announced: bool = False

    def absence_trusted_from(self, known_at: float, longest_lag: float) -> float:
        """When a scan must begin to prove that the message of this request is not in the thread; `inf` for never.

        Args:
            known_at: When the outcome was known, in seconds of the monotonic clock.
            longest_lag: Seconds by which a list or an acceptance may be late, as far as is known.
        """
        grace = max(POLICY.grace, longest_lag)
        if self.outcome is not Outcome.UNKNOWN or self.work is ServerWork.DONE:
            return known_at + grace
        if self.work is ServerWork.PROBABLY_DONE:
            return max(self.began + POLICY.grace_after_loss, known_at + grace)
        return math.inf


def backoff(failures: int, random: Callable[[], float], longest: float = POLICY.longest_delay) -> float:
    """Seconds to wait after this many failures: doubled each time up to the longest, and shortened by the jitter."""
    return min(POLICY.first_delay * 2.0 ** min(failures, _ENOUGH_DOUBLINGS), longest) * (1 - POLICY.jitter * random())


def outcome_of(result: Response | TransportFailure, retry_after: float | None) -> Outcome:
    """What happened to a request, from its result alone."""
    if isinstance(result, TransportFailure):
        return Outcome.UNKNOWN if result.sent else Outcome.NEVER_SENT
    if _is_success(result):
        return Outcome.DONE
    status = result.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome.REFUSED
    if status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after is not None:
        return Outcome.REFUSED
    return Outcome.UNKNOWN if status in POLICY.unknown else Outcome.DENIED


def work_of(result: Response | TransportFailure, took: float) -> ServerWork:
    """Whether the server may still be at work on a request of unknown outcome.

    Args:
        result: The result of the request.
        took: Seconds until the result came.
    """
    if isinstance(result, TransportFailure):
        if result.timed_out:
            return ServerWork.PERHAPS
        stale = result.stale and took < POLICY.stale_within
        return ServerWork.DONE if stale else ServerWork.PROBABLY_DONE
    if result.status_code not in POLICY.probably_done:
        return ServerWork.PERHAPS
    body = result.body
    own = result.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and isinstance(body, dict)
    return ServerWork.DONE if own and body.get("code") == POLICY.own_code else ServerWork.PROBABLY_DONE  # type: ignore[attr-defined]


def _is_success(result: Response | TransportFailure) -> bool:
    """Whether the status is a success. A failure has one too, if only the body did not come."""
    return result.status_code is not None and HTTPStatus.OK <= result.status_code < HTTPStatus.MULTIPLE_CHOICES


@define
class Retry:
    """The attempts of one call.

    Attributes:
        method: The HTTP method, in capitals.
        url: The URL without its query.
        max_retries: Attempts after the first. A 429 does not count, unless this is 0.
        deadline: The end of the call.
        random: Gives a number from 0 to 1, for the jitter.
        reserving: Whether each attempt leaves time to find out its outcome.
        seconds: If given, the deadline comes this long after the rate limit has let the first attempt through.
        attempts: How many attempts were made.
        limited: How many of them were refused by the server's rate limit.
        may_have_left: Whether the server may have done the request: the outcome of an attempt is unknown.
        begin: Called just before each attempt leaves, with the seconds that it may take. Returns why it must not leave,
            or `None`.
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
    begin: Callable[[float], Flow[Stop | None]] | None = None

    def note(self) -> str | None:
        """A note for an exception that has ended the call from outside, or `None` if there is nothing to say."""
        if self.is_repeatable or not self.may_have_left:
            return None
        return (
            f"{self.method} {self.url}: the request was under way, so Feather may have done it. "
            "Check before you repeat it."
        )

    @property
    def is_repeatable(self) -> bool:
        """Whether doing it twice has the same effect as doing it once."""
        return self.method in POLICY.repeatable

    def next(
        self, result: Response | TransportFailure, began: float, now: float, wall_time: float
    ) -> RetryAfter | Stop | None:
        """What to do after an attempt.

        Args:
            result: The result of the attempt.
            began: When the attempt began, in seconds of the monotonic clock.
            now: The time now, in seconds of the monotonic clock.
            wall_time: The time now, in seconds since 1970.

        Returns:
            `None` if it succeeded, else whether to repeat it.
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
        safe = outcome in {Outcome.NEVER_SENT, Outcome.REFUSED} or (outcome is Outcome.UNKNOWN and self.is_repeatable)
        failures = self.limited if limited else self._counted
        delay = backoff(failures - 1, self.random) if retry_after is None else retry_after
        if safe and (limited or self._may_go_on) and now + delay < self.last_start:
            return RetryAfter(delay)
        error = (
            call_errors.connection_error(self, result)
            if isinstance(result, TransportFailure)
            else call_errors.status_error(self, result, retry_after)
        )
        error.delivered = None if outcome is Outcome.UNKNOWN else False
        return Stop(error, outcome, work_of(result, now - began), began, _is_success(result))

    def once_more(self, now: float, searched: float = POLICY.grace) -> float | None:
        """Seconds to wait before a message that has not arrived is sent again; `None` for not at all.

        Args:
            now: The time now, in seconds of the monotonic clock.
            searched: Seconds that it was looked for. As many must be left to find out the outcome of the next attempt.
        """
        delay = max(0.0, backoff(self._counted - 1, self.random) - searched)
        fits = now + delay < self.last_start and delay + searched < self.deadline.remaining(now)
        return delay if self._may_go_on and fits else None

    @property
    def last_start(self) -> float:
        """The latest time at which an attempt may begin."""
        return self.deadline.last_start if self.reserving else self.deadline.at

    def seconds_for(self, began: float) -> float:
        """Seconds that an attempt may take if it begins then."""
        if self.seconds is not None and not self.attempts:
            self.deadline = Deadline(began + self.seconds)
        return (self.deadline.reserved(began) if self.reserving else self.deadline).attempt(began)

    @property
    def _counted(self) -> int:
        return self.attempts - self.limited

    @property
    def _may_go_on(self) -> bool:
        return self._counted <= self.max_retries
