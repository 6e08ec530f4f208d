"""One call: its slots, attempts, waits and end. Every request of this library goes through here.

A flow (see `effects.py`), written once for threads and for tasks.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from featherhq._core import call_errors
from featherhq._core.bodies import ACCEPTED
from featherhq._core.effects import Flow, SendRequest, Sleep, TakeSlot
from featherhq._core.events import AttemptBegan, AttemptEnded, KeyRefused, RetryPlanned, SlotAwaited
from featherhq._core.headers import read_date, read_retry_after
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.retry import Outcome, Retry, Stop, outcome_of
from featherhq._core.slots import Priority, Urgency
from featherhq._validation import KEY_HEADER
from featherhq.errors import FeatherError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from featherhq._core.retry import Deadline
    from featherhq._core.secrets import Secret
    from featherhq._core.slots import Slot
    from featherhq._settings import Settings


def call(
    settings: Settings, request: Mapping[str, Any], deadline: Deadline, urgency: Urgency | None = None
) -> Flow[Response]:
    """Make a request, repeat it if that is safe, and raise an error if it does not succeed.

    Args:
        settings: The client's.
        request: What a generated `_get_kwargs` returns: `method`, `url` (a path), `json`, `params`, `headers`…
        deadline: The end of the call.
        urgency: How urgent it is. Default: somebody waits for it.

    Raises:
        FeatherError: it did not succeed.
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
    """If an exception from outside ends a call, add a note that its catcher needs: for example, what has been sent.

    Such an exception comes from a signal handler (the time limit of a task queue), from a cancelled task, or from a
    hook of an `http_client=`.

    Args:
        note: Returns the note, or `None` if there is nothing to add.
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
    """As `call`, but a failure is returned and not raised, for callers that look into it first.

    Args:
        settings: The client's.
        request: As in `call`.
        deadline: The end of the call.
        urgency: As in `call`.
        streaming: Whether the response may be an event stream, which is left open.
        retry: The attempts of an earlier call, if this one continues it.
    """
    method, path = request["method"].upper(), request["url"]
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise InvalidArgumentError(f"an id must not be '.' or '..': {path}", hint="Nothing was sent.")
    retry = retry or Retry(method, settings.base_url + path, settings.max_retries, deadline, settings.random)
    urgency = urgency or Urgency(Priority.NOW)
    renewed = again = False
    while True:
        result, began = yield from _attempt(settings, request, retry, urgency, streaming=streaming, again=again)
        if isinstance(result, Stop):
            return result
        again = True
        if isinstance(result, Response) and result.status_code == HTTPStatus.UNAUTHORIZED and not renewed:
            # The server did no work, so a repetition is safe with any method. A new key gets one attempt.
            left = retry.last_start - settings.clock()
            renewed = (yield from settings.key.get(max(0.0, left), result.secret)) is not None
            if renewed:
                retry.attempts += 1
                settings.listen(KeyRefused(method, path))
                continue
        decision = retry.next(result, began, settings.clock(), settings.wall_clock())
        if decision is None:
            return cast("Response", result)
        if isinstance(decision, Stop):
            return decision
        settings.listen(RetryPlanned(method, path, _summary(result), decision.delay))
        yield from Sleep(decision.delay)


def _attempt(
    settings: Settings, request: Mapping[str, Any], retry: Retry, urgency: Urgency, *, streaming: bool, again: bool
) -> Flow[tuple[Response | TransportFailure | Stop, float]]:
    """One attempt, as soon as the rate limit has a slot for it. Returns its result, and when it began."""
    limit = settings.limit
    if limit is None:
        return (yield from _exchange(settings, request, retry, None, streaming=streaming))
    slot, asked = limit.slot(urgency, again=again), settings.clock()
    taken = yield from TakeSlot(slot, retry.last_start)
    try:
        settings.listen(SlotAwaited(slot.priority.name.lower(), settings.clock() - asked, taken))
        if not taken:
            return _unsent(call_errors.no_slot(retry, limit.rate, limit.pace(settings.clock()), limit.label))
        return (yield from _exchange(settings, request, retry, slot, streaming=streaming))
    finally:
        if taken and not slot.may_have_left:
            slot.unsent(settings.clock())


def _exchange(
    settings: Settings, request: Mapping[str, Any], retry: Retry, slot: Slot | None, *, streaming: bool
) -> Flow[tuple[Response | TransportFailure | Stop, float]]:
    """Ask for the key, and send the request. Returns as `_attempt`."""
    key = yield from settings.key.get(max(0.0, retry.last_start - settings.clock()))
    if key is None:
        return _unsent(call_errors.no_key(retry, settings.key.name))
    began = settings.clock()
    seconds = retry.seconds_for(began)
    if seconds > 0 and retry.begin is not None:
        if (stop := (yield from retry.begin(seconds))) is not None:
            return stop, math.inf
        # Its time runs since before it was noted. So it ends in time, even if the process was stopped meanwhile.
        seconds -= settings.clock() - began
    if seconds <= 0:
        return _unsent(call_errors.no_time(retry))
    added: dict[str, str] = {}
    settings.listen(AttemptBegan(retry.method, request["url"], retry.attempts, added))
    effect = SendRequest(_complete(settings, request, key, added, streaming=streaming), seconds, streaming)
    if slot is not None:
        slot.exchange = effect.exchange
    try:
        result = yield from effect
    except BaseException:
        retry.may_have_left = retry.may_have_left or effect.exchange.may_have_left
        raise
    now, wait = settings.clock(), None
    if slot is not None and slot.may_have_left:
        slot.answered(now)
    if isinstance(result, Response):
        result.method, result.url, result.attempts, result.began = retry.method, retry.url, retry.attempts + 1, began
        result.secret, result.redactor = key, settings.key.redactor
        settings.ledger.heard_time(read_date(result.headers.get("date")), now)
        wait = read_retry_after(result.headers, settings.wall_clock())
        if settings.limit is not None and result.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            settings.limit.refused(now, wait)
    settings.listen(_ended(retry, request["url"], result, wait, now - began))
    return result, began


def _ended(
    retry: Retry, path: str, result: Response | TransportFailure, retry_after: float | None, seconds: float
) -> AttemptEnded:
    failure = None
    if isinstance(result, TransportFailure):
        failure = "timeout" if result.timed_out else "connection"
    outcome = outcome_of(result, retry_after).name.lower()
    return AttemptEnded(
        retry.method, path, _summary(result), seconds, retry.attempts, outcome, result.status_code, failure
    )


def _unsent(error: FeatherError) -> tuple[Stop, float]:
    return Stop(error, Outcome.NEVER_SENT), math.inf


def _complete(
    settings: Settings, request: Mapping[str, Any], key: Secret, added: Mapping[str, str], *, streaming: bool
) -> Mapping[str, Any]:
    """The request with what the generated code leaves to us: the host, the key, the headers."""
    headers = {
        "User-Agent": settings.user_agent,
        "Accept": "text/event-stream" if streaming else "application/json",
        # Compression may hold back the messages of a stream.
        "Accept-Encoding": "identity" if streaming else ACCEPTED,
    }
    key_header = {KEY_HEADER: key} if settings.sends_key else {}
    # Names are compared without case (RFC 9110 section 5.1). A header that is sent twice confuses some proxies.
    named = {
        name.lower(): (name, value)
        for given in (headers, added, settings.headers, request.get("headers", {}), key_header)
        for name, value in given.items()
    }
    return {**request, "url": settings.base_url + request["url"], "headers": dict(named.values())}


def _summary(result: Response | TransportFailure) -> str:
    return result.reason if isinstance(result, TransportFailure) else str(result.status_code)
