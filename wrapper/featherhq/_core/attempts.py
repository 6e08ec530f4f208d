"""One call: its slots, attempts, waits and end. Every request of this library comes by here.

A flow (see `effects.py`), written once for threads and for tasks.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from http import HTTPStatus
from logging import DEBUG
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from featherhq._arguments import KEY_HEADER
from featherhq._core.bodies import ACCEPTED
from featherhq._core.effects import Flow, Response, SendRequest, Sleep, TakeSlot, TransportFailure
from featherhq._core.limit import Priority, Urgency
from featherhq._core.retry import Retry, Stop, read_date, read_retry_after
from featherhq._log import logger
from featherhq.errors import FeatherError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from featherhq._core.retry import Deadline
    from featherhq._core.secrets import Secret
    from featherhq._settings import Settings


def call(
    settings: Settings, request: Mapping[str, Any], deadline: Deadline, urgency: Urgency | None = None
) -> Flow[Response]:
    """Make a request, repeat it where that is safe, and raise what is no success.

    Args:
        settings: The client's.
        request: What a generated `_get_kwargs` gives: `method`, `url` (a path), `json`, `params`, `headers`…
        deadline: When it has to be over.
        urgency: How urgent it is; somebody waits for it, by default.

    Raises:
        FeatherError: whatever kept it from succeeding.
    """
    retry = Retry(
        request["method"].upper(), settings.base_url + request["url"], settings.max_retries, deadline, settings.random
    )
    with noting(retry.note):
        result = yield from attempts(settings, request, deadline, urgency=urgency, retry=retry)
    if isinstance(result, Stop):
        raise result.error
    return result


@contextmanager
def noting(note: Callable[[], str | None]) -> Iterator[None]:
    """Where a call is ended from outside, add to that exception what its catcher cannot know, such as what has left.

    That may be a signal's handler (the time limit of a task queue), a cancelled task, a hook of an `http_client=`.

    Args:
        note: Gives it, or `None` where there is nothing to add.
    """
    try:
        yield
    except (FeatherError, GeneratorExit):
        raise
    except BaseException as error:
        if (added := note()) is not None:
            error.add_note(added)
        raise


def attempts(
    settings: Settings,
    request: Mapping[str, Any],
    deadline: Deadline,
    *,
    urgency: Urgency | None = None,
    streaming: bool = False,
    retry: Retry | None = None,
) -> Flow[Response | Stop]:
    """As `call`, but what is no success is handed back, for those who would look into it first.

    Args:
        settings: The client's.
        request: As in `call`.
        deadline: When it has to be over.
        urgency: As in `call`.
        streaming: Whether the answer may be an event stream, to be left open.
        retry: The attempts of an earlier call, where this one goes on with them.
    """
    method, path = request["method"].upper(), request["url"]
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise InvalidArgumentError(f"no id is '.' or '..': {path}", hint="Nothing was sent.")
    retry = retry or Retry(method, settings.base_url + path, settings.max_retries, deadline, settings.random)
    urgency = urgency or Urgency(Priority.NOW)
    renewed = again = False
    while True:
        result, began = yield from _attempt(settings, request, retry, urgency, streaming=streaming, again=again)
        if isinstance(result, Stop):
            return result
        again = True
        if _has_status(result, HTTPStatus.UNAUTHORIZED) and not renewed:
            # A refused key did no work, so this is safe for any method; a new key deserves one try.
            left = retry.last_start - settings.clock()
            renewed = (yield from settings.key.get(max(0.0, left), result.secret)) is not None
            if renewed:
                retry.attempts += 1
                logger.warning("%s %s: the key was refused; trying once with a new one", method, path)
                continue
        decision = retry.next(result, began, settings.clock(), settings.wall_clock())
        if decision is None:
            return cast("Response", result)
        if isinstance(decision, Stop):
            return decision
        logger.warning("%s %s: %s; again in %.2f s", method, path, _told(result), decision.delay)
        yield from Sleep(decision.delay)


def _attempt(
    settings: Settings, request: Mapping[str, Any], retry: Retry, urgency: Urgency, *, streaming: bool, again: bool
) -> Flow[tuple[Response | TransportFailure | Stop, float]]:
    """One attempt, when the rate limit has a slot for it; what came of it, and when it began."""
    limit, slot = settings.limit, None
    if limit is not None:
        slot = limit.slot(urgency, again=again)
        if not (yield from TakeSlot(slot, retry.last_start)):
            return retry.no_slot(limit.rate, limit.pace(settings.clock())), math.inf
    key = yield from settings.key.get(max(0.0, retry.last_start - settings.clock()))
    if key is None:
        return retry.no_key(settings.key.name), math.inf
    began = settings.clock()
    seconds = retry.seconds_for(began)
    if seconds <= 0:
        return retry.no_time(), math.inf
    effect = SendRequest(_complete(settings, request, key, streaming=streaming), seconds, streaming)
    try:
        result = yield from effect
    except BaseException:
        retry.may_have_left = retry.may_have_left or effect.exchange.may_have_left
        raise
    now = settings.clock()
    if slot is not None:
        slot.answered(now)
    if isinstance(result, Response):
        result.method, result.url, result.attempts, result.began = retry.method, retry.url, retry.attempts + 1, began
        result.secret, result.redactor = key, settings.key.redactor
        settings.ledger.heard_time(read_date(result.headers.get("date")), now)
        if limit is not None and result.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            limit.refused(now, read_retry_after(result.headers, settings.wall_clock()))
    if logger.isEnabledFor(DEBUG):
        logger.debug("%s %s: %s in %.0f ms", retry.method, request["url"], _told(result), (now - began) * 1000)
    return result, began


def _complete(settings: Settings, request: Mapping[str, Any], key: Secret, *, streaming: bool) -> Mapping[str, Any]:
    """The request with all that the generated code leaves to us: the host, the key, the headers."""
    headers = {
        "User-Agent": settings.user_agent,
        "Accept": "text/event-stream" if streaming else "application/json",
        # Compression may hold a stream's messages back.
        "Accept-Encoding": "identity" if streaming else ACCEPTED,
        **settings.headers,
        **request.get("headers", {}),
        KEY_HEADER: key,
    }
    return {**request, "url": settings.base_url + request["url"], "headers": headers}


def _has_status(result: Response | TransportFailure, status: HTTPStatus) -> TypeGuard[Response]:
    return isinstance(result, Response) and result.status_code == status


def _told(result: Response | TransportFailure) -> str:
    return result.reason if isinstance(result, TransportFailure) else str(result.status_code)
