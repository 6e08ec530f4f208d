"""A message, sent once.

The API has no idempotency key. So a message whose answer was lost is looked for in the thread before anything else is
done, and is sent again only where the server is done with it and the thread does not show it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from attrs import evolve, frozen

from featherhq import _arguments
from featherhq._core.attempts import attempts, noting
from featherhq._core.effects import Accepted, Response, Sleep
from featherhq._core.limit import Priority, Urgency
from featherhq._core.pagination import EndlessListError
from featherhq._core.retry import Outcome, Retry, ServerWork, Stop
from featherhq._log import logger
from featherhq._threads.flows import LASTING, Listing, in_path, list_messages
from featherhq._threads.history import Anchor, HistoryScan
from featherhq._threads.ledger import NEARLY, Match
from featherhq.errors import (
    BadRequestError,
    DeliveryUnknownError,
    FeatherError,
    NotFoundError,
    ResponseDecodeError,
    settled,
)
from featherhq.models import INBOUND, Message, SentMessage, read_id

if TYPE_CHECKING:
    from featherhq._core.effects import Flow
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings
    from featherhq._threads.ledger import Sending

# All in seconds. How long a message is looked for at the least, once the server is proven to be done with it; and
# how long after the request left, where the server only probably is.
_GRACE: Final = 2.0
_GRACE_AFTER_LOSS: Final = 6.0
# Between the looks for a message of unknown outcome.
_PAUSES: Final = (0.5, 1.5, 2.0, 2.5)
_LONGEST_PAUSE: Final = 5.0
# How long before the deadline the last look begins.
_LAST_LOOK: Final = 0.25
# Of the time that is left, what one look may take, so that a history that says nothing leaves time for another.
_LOOK_SHARE: Final = 1 / 2
_MAY_BE_CLOSED: Final = (
    "Feather's message says what it did not accept; nothing was done. The thread may be closed: "
    "thread.refresh().details tells."
)
# Stands for any thread's id, to find what the path of the operation is.
_ANY_THREAD: Final = "any-thread"


@frozen
class Sent:
    """A message that was accepted, with what a conversation wants to know of it, and the answer that said so."""

    receipt: SentMessage
    accepted: Accepted
    response: Response


def send(settings: Settings, thread_id: str, text: object, deadline: Deadline) -> Flow[Sent]:
    """Send a user's message, once.

    Raises:
        DeliveryUnknownError: nobody can tell whether it has arrived.
        FeatherError: it has not; `delivered` is `False`.
    """
    message = _arguments.text("text", text)
    with settings.ledger.sending(thread_id, message, settings.clock()) as sending:
        return (yield from _Send(settings, sending, message, deadline).run())


def send_request(settings: Settings, request: Mapping[str, Any], deadline: Deadline) -> Flow[Response] | None:
    """As `send`, for a request of a generated function; `None` where it is of another operation.

    Where the answer was lost and the message was found, the answer is made of what the thread shows.

    Args:
        settings: The client's.
        request: As in `call`.
        deadline: When it has to be over.
    """
    before, _, after = _request(_ANY_THREAD, "")["url"].partition(_ANY_THREAD)
    path, body = request["url"], request.get("json")
    thread_id = path.removeprefix(before).removesuffix(after)
    is_one = request["method"].upper() == "POST" and path == before + thread_id + after and "/" not in thread_id
    if not is_one or not isinstance(body, Mapping):
        return None
    return _response(settings, unquote(thread_id), body.get("message"), deadline)


def _response(settings: Settings, thread_id: str, text: object, deadline: Deadline) -> Flow[Response]:
    return (yield from send(settings, thread_id, text, deadline)).response


def _request(thread_id: str, text: str) -> dict[str, Any]:
    from featherhq_api.api.threads import send_message as api
    from featherhq_api.models import SendMessageBody

    return api._get_kwargs(in_path(thread_id), body=SendMessageBody(message=text))  # noqa: SLF001


class _Send:
    """One message on its way.

    Args:
        settings: The client's.
        sending: Its entry in the ledger.
        text: The message.
        deadline: When it has to be over.
    """

    def __init__(self, settings: Settings, sending: Sending, text: str, deadline: Deadline) -> None:
        self._settings = settings
        self._sending = sending
        self._text = text
        self._deadline = deadline
        self._request = _request(sending.thread_id, text)
        url = settings.base_url + self._request["url"]
        self._retry = Retry("POST", url, settings.max_retries, deadline, settings.random, reserving=True)
        self._urgency = Urgency(Priority.NOW)

    def run(self) -> Flow[Sent]:
        """Send it."""
        with noting(self._retry.note):
            return (yield from self._run())

    def _run(self) -> Flow[Sent]:
        sending, retry = self._sending, self._retry
        # When the first attempt of unknown outcome began, if there was one: the message may be that one's.
        unknown_since: float | None = None
        while True:
            result = yield from attempts(
                self._settings, self._request, self._deadline, retry=retry, urgency=self._urgency
            )
            if isinstance(result, Response):
                receipt = _receipt(result, sending.thread_id)
                if isinstance(receipt, SentMessage):
                    self._settings.experience.accepted(self._settings.clock() - result.began)
                    began = result.began if unknown_since is None else unknown_since
                    return self._accepted(receipt, began, result)
                result = Stop(receipt, Outcome.UNKNOWN, ServerWork.PROBABLY_DONE, result.began, announced=True)
            if unknown_since is None and result.outcome is not Outcome.UNKNOWN:
                if isinstance(result.error, BadRequestError):
                    raise settled(result.error, _MAY_BE_CLOSED, delivered=False)
                raise result.error
            unknown_since = result.began if unknown_since is None else unknown_since
            retry.may_have_left = True
            sending.waiting, sending.finished = False, result.work is not ServerWork.PERHAPS
            self._urgency = Urgency(Priority.RECONCILE)
            logger.warning("%s; looking whether the message has arrived", result.error)
            search = yield from self._search(result)
            if search.found is not None:
                found = SentMessage(search.found.id, sending.thread_id, search.found.status, reconciled=True)
                return self._accepted(found, unknown_since, _as_answered(search.found, sending.thread_id))
            delay = None
            # Where a success was announced, a second one must not be sent, whatever became of the first.
            if search.absent and result.outcome is Outcome.UNKNOWN and not result.announced:
                delay = retry.once_more(self._settings.clock(), _GRACE)
            if delay is None:
                raise self._undelivered(result, search)
            logger.warning("%s %s: it has not arrived; sending it again", retry.method, retry.url)
            yield from Sleep(delay)
            sending.waiting, sending.finished = True, False

    def _accepted(self, receipt: SentMessage, began: float, response: Response) -> Sent:
        ledger = self._settings.ledger
        if not receipt.reconciled:
            ledger.confirm(self._sending, receipt.message_id, self._settings.clock())
        return Sent(receipt, Accepted(receipt.message_id, began, ledger.server_time(began)), response)

    def _trusted_from(self, stop: Stop, since: float) -> float:
        """When a look has to begin for its word to be taken that the message is not there.

        Args:
            stop: What became of the last attempt.
            since: When that was known.
        """
        experience, ledger = self._settings.experience, self._settings.ledger
        grace = max(_GRACE, experience.longest_lag, ledger.longest_lag, experience.slowest_post)
        if stop.outcome is not Outcome.UNKNOWN or stop.work is ServerWork.DONE:
            return since + grace
        if stop.work is ServerWork.PROBABLY_DONE:
            return max(stop.began + _GRACE_AFTER_LOSS, since + grace)
        return math.inf

    def _search(self, stop: Stop) -> Flow[_Search]:
        """Look for the message, until a look can be trusted that does not show it, or time is up."""
        settings, sending, deadline = self._settings, self._sending, self._deadline
        pauses = iter(_PAUSES)
        search, since = _Search(), settings.clock()
        anchor: Anchor | None = None
        while True:
            began = settings.clock()
            result: Message | Match = Match.UNSURE
            floor = None if sending.floor is None else sending.floor - NEARLY
            scan = HistoryScan(settings.experience, floor=floor, anchor=anchor)
            try:
                yield from self._look(scan)
            except FeatherError as error:
                search = evolve(search, error=error)
                if isinstance(error, LASTING):
                    logger.warning("%s; so nobody can tell whether the message has arrived", error)
                    return search
                logger.warning("%s; looking again", error)
            else:
                listed, now = scan.listed, settings.clock()
                result = settings.ledger.find(sending, listed, now)
                settings.ledger.saw(sending.thread_id, listed, now)
                anchor = scan.next_anchor([message.id for message in listed if scan.is_old(message)])
                search = evolve(search, looked=True, doubt=result is Match.UNSURE)
                # There may be much of it, and the next look brings as much again.
                del listed
            if isinstance(result, Message):
                return evolve(search, found=result)
            # Anew each time: this look may have shown by how much lists lag.
            trusted_from = self._trusted_from(stop, since)
            if result is Match.ABSENT and began >= trusted_from:
                return evolve(search, absent=True)
            now = settings.clock()
            left = deadline.remaining(now)
            if left <= _LAST_LOOK:
                return search
            until_trusted = trusted_from - now if now < trusted_from else math.inf
            yield from Sleep(min(next(pauses, _LONGEST_PAUSE), until_trusted, left - _LAST_LOOK))

    def _look(self, scan: HistoryScan) -> Flow[None]:
        """Read pages until a scan has seen what it must."""
        settings = self._settings
        until = self._deadline.share(settings.clock(), _LOOK_SHARE)
        listing = Listing(self._sending.thread_id, INBOUND)
        while True:
            try:
                page = yield from list_messages(settings, listing, scan.cursor, until, Urgency(Priority.RECONCILE))
            except (BadRequestError, NotFoundError):
                if not scan.may_begin_anew:
                    raise
                scan.refused()
                continue
            try:
                if scan.add(page.messages, page.next_cursor):
                    return
            except EndlessListError as error:
                problem = str(error)
            else:
                continue
            raise page.response.not_as_promised(problem)

    def _undelivered(self, stop: Stop, search: _Search) -> FeatherError:
        """What to raise for a message that was not found in the thread."""
        error = stop.error
        if search.absent and stop.outcome in {Outcome.UNKNOWN, Outcome.NEVER_SENT} and not stop.announced:
            return settled(
                error,
                "The thread was looked through: the message has not arrived, and may be sent again.",
                delivered=False,
            )
        advice = "Look for it in thread.messages(direction='INBOUND') before you send it again."
        if not search.looked:
            hint = f"The thread could not be read, so it was not looked for. {advice}"
        elif search.doubt:
            hint = f"The thread shows messages that may be it, or does not show all of them yet. {advice}"
        else:
            hint = f"It was looked for and not found, but may still arrive. It was not sent twice. {advice}"
        unknown = DeliveryUnknownError(
            f"{error}; the message may or may not have reached Feather",
            thread_id=self._sending.thread_id,
            text=self._text,
            hint=hint,
            method=error.method,
            url=error.url,
            attempts=error.attempts,
        )
        unknown.__cause__ = _chained(search.error, error) if not search.looked and search.error is not None else error
        return unknown


@frozen
class _Search:
    """What has come of looking for a message.

    Attributes:
        found: The message.
        absent: Whether it is known not to be there.
        looked: Whether any look succeeded.
        doubt: Whether the last one that did was unsure.
        error: The error of the last look that failed.
    """

    found: Message | None = None
    absent: bool = False
    looked: bool = False
    doubt: bool = False
    error: FeatherError | None = None


def _receipt(response: Response, thread_id: str) -> SentMessage | ResponseDecodeError:
    """The receipt in an answer, or the error of one that cannot be read."""
    try:
        receipt = response.data()
    except ResponseDecodeError as error:
        return error
    if not isinstance(receipt, dict) or (message_id := read_id(receipt.get("messageId"))) is None:
        return response.not_as_promised("no messageId that can be one")
    theirs = receipt.get("threadId")
    if isinstance(theirs, str) and theirs.lower() != thread_id.lower():
        return response.not_as_promised("the receipt of another thread")
    status, expires = receipt.get("status"), receipt.get("windowExpiresIn")
    return SentMessage(
        message_id=message_id,
        thread_id=read_id(receipt.get("threadId")) or thread_id,
        status=status if isinstance(status, str) else None,
        window_expires_in=expires if isinstance(expires, int | float) else None,
    )


def _as_answered(found: Message, thread_id: str) -> Response:
    """The answer to a message whose own was lost, as far as the thread shows it."""
    receipt = {"messageId": found.id, "threadId": thread_id, "status": found.status}
    known = {name: value for name, value in receipt.items() if value is not None}
    return Response(HTTPStatus.OK, {"content-type": "application/json"}, json.dumps(known).encode())


def _chained(look: FeatherError, before: FeatherError) -> FeatherError:
    """The error of the last look, as what came after the error that made looking necessary."""
    below: BaseException = look
    while below.__cause__ is not None:
        below = below.__cause__
    below.__cause__ = before
    return look
