"""One call: its turns, attempts, waits and end. Every request of this library comes by here.

A plan (see `_steps.py`), written once for threads and for tasks.
"""

from __future__ import annotations

from contextlib import nullcontext
from http import HTTPStatus
from logging import DEBUG
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from featherhq._arguments import KEY_HEADER
from featherhq._errors import InvalidArgumentError
from featherhq._limit import Turn, nap
from featherhq._log import logger
from featherhq._retry import Deadline, GiveUp, Retry, read_date, read_retry_after
from featherhq._steps import Answer, Exchange, Failure, Plan, Sleep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featherhq._settings import Settings


def call(
    settings: Settings, request: Mapping[str, Any], deadline: Deadline, *, streaming: bool = False
) -> Plan[Answer]:
    """Make a request, repeat it where that is safe, and raise what is no success.

    Args:
        settings: The client's.
        request: What a generated `_get_kwargs` gives: `method`, `url` (a path), `json`, `params`, `headers`…
        deadline: When it has to be over.
        streaming: Whether the answer may be an event stream, to be left open.

    Raises:
        FeatherError: whatever kept it from succeeding.
    """
    outcome = yield from attempts(settings, request, deadline, streaming=streaming)
    if isinstance(outcome, GiveUp):
        raise outcome.error
    return outcome


def attempts(
    settings: Settings,
    request: Mapping[str, Any],
    deadline: Deadline,
    *,
    streaming: bool = False,
    retry: Retry | None = None,
    reserving: bool = False,
) -> Plan[Answer | GiveUp]:
    """As `call`, but what is no success is handed back, for those who would look into it first.

    Args:
        settings: The client's.
        request: As in `call`.
        deadline: When it has to be over.
        streaming: As in `call`.
        retry: The attempts of an earlier call, where this one goes on with them.
        reserving: Whether each attempt leaves some of the time, to find out what became of it.
    """
    method, path = request["method"].upper(), request["url"]
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise InvalidArgumentError(f"no id is '.' or '..': {path}", hint="Nothing was sent.")
    retry = retry or Retry(method, settings.base_url + path, settings.max_retries, deadline, settings.random)
    renewed = False
    while True:
        outcome = yield from _attempt(settings, request, retry, streaming=streaming, reserving=reserving)
        if isinstance(outcome, GiveUp):
            return outcome
        if _has_status(outcome, HTTPStatus.UNAUTHORIZED) and not renewed and settings.key.renew(outcome.secret):
            # A refused key did no work, so this is safe for any method; a new key deserves one try.
            renewed = True
            retry.attempts += 1
            logger.warning("%s %s: the key was refused; trying once with a new one", method, path)
            continue
        decision = retry.next(outcome, settings.clock(), settings.wall_clock())
        if decision is None:
            return cast("Answer", outcome)
        if isinstance(decision, GiveUp):
            return decision
        logger.warning("%s %s: %s; again in %.2f s", method, path, _told(outcome), decision.delay)
        yield Sleep(decision.delay)


def _attempt(
    settings: Settings, request: Mapping[str, Any], retry: Retry, *, streaming: bool, reserving: bool
) -> Plan[Answer | Failure | GiveUp]:
    """One attempt, when its turn under the rate limit has come."""
    limit = settings.limit
    with nullcontext() if limit is None else limit.turn() as turn:
        if turn is not None and not (yield from _wait_for(turn, settings, retry.deadline)):
            return retry.out_of_turns(turn.limit.rate, turn.limit.pace(settings.clock()))
        key = settings.key.current()
        began = settings.clock()
        until = retry.deadline.reserved(began) if reserving else retry.deadline
        outcome: Answer | Failure = yield Exchange(
            _complete(settings, request, key, streaming=streaming), until.attempt(began), streaming
        )
        now = settings.clock()
        if turn is not None:
            turn.answered(now)
    if isinstance(outcome, Answer):
        outcome.method, outcome.url, outcome.attempts, outcome.secret = retry.method, retry.url, retry.attempts + 1, key
        settings.deliveries.heard_time(read_date(outcome.headers.get("date")), now)
        if limit is not None and outcome.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            limit.refused(now, read_retry_after(outcome.headers, settings.wall_clock()))
    if logger.isEnabledFor(DEBUG):
        logger.debug("%s %s: %s in %.0f ms", retry.method, request["url"], _told(outcome), (now - began) * 1000)
    return outcome


def _wait_for(turn: Turn, settings: Settings, deadline: Deadline) -> Plan[bool]:
    """Wait for a turn under the client's rate limit; whether it comes before the deadline."""
    while wait := turn.wait(now := settings.clock()):
        if wait > deadline.remaining(now):
            return False
        yield Sleep(nap(wait))
    return True


def _complete(settings: Settings, request: Mapping[str, Any], key: str, *, streaming: bool) -> Mapping[str, Any]:
    """The request with all that the generated code leaves to us: the host, the key, the headers."""
    headers = {
        "User-Agent": settings.user_agent,
        "Accept": "text/event-stream" if streaming else "application/json",
        **settings.headers,
        **request.get("headers", {}),
        KEY_HEADER: key,
    }
    return {**request, "url": settings.base_url + request["url"], "headers": headers}


def _has_status(outcome: Answer | Failure, status: HTTPStatus) -> TypeGuard[Answer]:
    return isinstance(outcome, Answer) and outcome.status_code == status


def _told(outcome: Answer | Failure) -> str:
    return outcome.reason if isinstance(outcome, Failure) else str(outcome.status_code)
