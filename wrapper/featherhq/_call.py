"""One call: its turns, attempts, waits and end. Every request of this library comes by here.

A plan (see `_steps.py`), written once for threads and for tasks.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from attrs import evolve

from featherhq._arguments import KEY_HEADER
from featherhq._errors import InvalidArgumentError
from featherhq._log import logger
from featherhq._retry import Deadline, GiveUp, Retry, read_date
from featherhq._settings import USER_AGENT, Settings
from featherhq._steps import Answer, Exchange, Failure, Plan, Sleep

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        if settings.limit is not None:
            now = settings.clock()
            wait = settings.limit.reserve(now, deadline.remaining(now))
            if wait is None:
                return retry.out_of_turns(settings.limit.rate)
            if wait:
                yield Sleep(wait)
        key = settings.key.current()
        began = settings.clock()
        until = deadline.reserved(began) if reserving else deadline
        outcome: Answer | Failure = yield Exchange(
            _complete(settings, request, key, streaming=streaming), until.attempt(began), streaming
        )
        now = settings.clock()
        if isinstance(outcome, Answer):
            settings.deliveries.heard_time(read_date(outcome.headers.get("date")), now)
            outcome = evolve(outcome, method=method, url=retry.url, attempts=retry.attempts + 1, secret=key)
        logger.debug("%s %s: %s in %.0f ms", method, path, _told(outcome), (now - began) * 1000)
        if _is_unauthorized(outcome) and not renewed and settings.key.renew(key):
            # A refused key did no work, so this is safe for any method; a new key deserves one try.
            renewed = True
            retry.attempts += 1
            logger.warning("%s %s: the key was refused; trying once with a new one", method, path)
            continue
        decision = retry.next(outcome, now, settings.wall_clock())
        if decision is None:
            return cast("Answer", outcome)
        if isinstance(decision, GiveUp):
            return decision
        logger.warning("%s %s: %s; again in %.2f s", method, path, _told(outcome), decision.delay)
        yield Sleep(decision.delay)


def _complete(settings: Settings, request: Mapping[str, Any], key: str, *, streaming: bool) -> Mapping[str, Any]:
    """The request with all that the generated code leaves to us: the host, the key, the headers."""
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "text/event-stream" if streaming else "application/json",
        **settings.headers,
        **request.get("headers", {}),
        KEY_HEADER: key,
    }
    return {**request, "url": settings.base_url + request["url"], "headers": headers}


def _is_unauthorized(outcome: Answer | Failure) -> bool:
    return isinstance(outcome, Answer) and outcome.status_code == HTTPStatus.UNAUTHORIZED


def _told(outcome: Answer | Failure) -> str:
    return outcome.reason if isinstance(outcome, Failure) else str(outcome.status_code)
