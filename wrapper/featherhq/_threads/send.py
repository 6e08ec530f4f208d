"""Send a message once.

The API has no idempotency key. If the response to a message is lost, the client first looks for the message in the
thread. It sends the message again only if the server is done with the first request and the thread does not show the
message. The rules and numbers are in `_core/retry.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from attrs import evolve, frozen

from featherhq import _validation
from featherhq._core.attempts import attempts, noting
from featherhq._core.calls import Call, calling
from featherhq._core.effects import Accepted, Sleep
from featherhq._core.events import MessageSentAgain, SearchFailed, SearchStarted
from featherhq._core.pagination import EndlessListError
from featherhq._core.responses import Response
from featherhq._core.retry import POLICY, Outcome, Retry, ServerWork, Stop
from featherhq._core.slots import Priority, Urgency
from featherhq._threads.flows import LASTING, Listing, in_path, list_messages
from featherhq._threads.history import Anchor, HistoryScan
from featherhq._threads.ledger import UNSURE_WITHIN, Match
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
    from featherhq_api.models import SendMessageBody

    from featherhq._core.effects import Flow
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings
    from featherhq._threads.ledger import Sending

_MAY_BE_CLOSED: Final = (
    "Feather's message says what it did not accept. Nothing was done. The thread may be closed: check "
    "thread.refresh().details."
)
# A placeholder for the id of a thread. With it, the path of the operation is found in the generated code.
_ANY_THREAD: Final = "any-thread"


@frozen
class Sent:
    """A message that was accepted.

    Attributes:
        receipt: Its receipt.
        accepted: A notice for the conversations of its thread.
        response: The response.
    """

    receipt: SentMessage
    accepted: Accepted
    response: Response


def send(settings: Settings, thread_id: str, text: object, deadline: Deadline) -> Flow[Sent]:
    """Send a user's message once.

    Raises:
        DeliveryUnknownError: it is unknown whether the message has arrived.
        FeatherError: the message has not arrived; `delivered` is `False`.
    """
    message = _validation.text("text", text)
    made = Call("send", thread_id)
    with calling(settings, made), settings.ledger.sending(thread_id, message, settings.clock()) as sending:
        sent = yield from _Send(settings, sending, message, deadline).run()
        made.message_id, made.reconciled = sent.receipt.message_id, sent.receipt.reconciled
        return sent


def send_request(settings: Settings, request: Mapping[str, Any], deadline: Deadline) -> Flow[Response] | None:
    """As `send`, for a request of a generated function. Returns `None` if the request belongs to another operation.

    If the response was lost and the message was found, the response is made from what the thread shows.

    Args:
        settings: The client's settings.
        request: As in `call`.
        deadline: The end of the call.
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
    make, body = _operation()
    return make(in_path(thread_id), body=body(message=text))


@cache
def _operation() -> tuple[Callable[..., dict[str, Any]], type[SendMessageBody]]:
    """The generated function for the request, and the class of its body. Cached, because an import takes a while."""
    from featherhq_api.api.threads import send_message
    from featherhq_api.models import SendMessageBody

    return send_message._get_kwargs, SendMessageBody  # noqa: SLF001


class _Send:
    """The sending of one message, with retries and searches.

    Args:
        settings: The client's settings.
        sending: Its entry in the ledger.
        text: The message.
        deadline: The end of the call.
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
        """Send the message. An exception from outside gets a note if the message may have left."""
        with noting(self._retry.note):
            return (yield from self._run())

    def _run(self) -> Flow[Sent]:
        sending, retry = self._sending, self._retry
        # When the first attempt of unknown outcome began: the message may come from that one.
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
                # The status is a success, but the receipt cannot be read. The search may still find the message.
                result = Stop(receipt, Outcome.UNKNOWN, ServerWork.PROBABLY_DONE, result.began, announced=True)
            # After an attempt of unknown outcome, a later failure proves nothing about that attempt.
            if unknown_since is None and result.outcome is not Outcome.UNKNOWN:
                if isinstance(result.error, BadRequestError):
                    raise settled(result.error, _MAY_BE_CLOSED, delivered=False)
                raise result.error
            unknown_since = result.began if unknown_since is None else unknown_since
            retry.may_have_left = True
            # Other calls that search for an equal text read these.
            sending.waiting, sending.finished = False, result.work is not ServerWork.PERHAPS
            self._urgency = Urgency(Priority.RECONCILE)
            self._settings.listen(SearchStarted(str(result.error)))
            search = yield from self._search(result)
            if search.found is not None:
                found = SentMessage(search.found.id, sending.thread_id, search.found.status, reconciled=True)
                return self._accepted(found, unknown_since, _as_answered(search.found, sending.thread_id))
            delay = None
            # If the status was a success, the server has probably accepted the message, although the thread does not
            # show it. So it is not sent again.
            if search.absent and result.outcome is Outcome.UNKNOWN and not result.announced:
                delay = retry.once_more(self._settings.clock())
            if delay is None:
                raise self._undelivered(result, search)
            self._settings.listen(MessageSentAgain(retry.method, retry.url))
            yield from Sleep(delay)
            sending.waiting, sending.finished = True, False

    def _accepted(self, receipt: SentMessage, began: float, response: Response) -> Sent:
        ledger = self._settings.ledger
        if not receipt.reconciled:
            ledger.confirm(self._sending, receipt.message_id, self._settings.clock())
        return Sent(receipt, Accepted(receipt.message_id, began, ledger.server_time(began)), response)

    def _longest_lag(self) -> float:
        """The longest lag of a list, or time to accept a message, that this client has seen, in seconds."""
        experience, ledger = self._settings.experience, self._settings.ledger
        return max(experience.longest_lag, ledger.longest_lag, experience.slowest_post)

    def _search(self, stop: Stop) -> Flow[_Search]:
        """Look for the message until it is found, until its absence is proven, or until the time is up."""
        settings, sending, deadline = self._settings, self._sending, self._deadline
        pauses = iter(POLICY.search_pauses)
        search, since = _Search(), settings.clock()
        anchor: Anchor | None = None
        while True:
            began = settings.clock()
            result: Message | Match = Match.UNSURE
            floor = None if sending.floor is None else sending.floor - UNSURE_WITHIN
            scan = HistoryScan(settings.experience, floor=floor, anchor=anchor)
            try:
                yield from self._scan(scan)
            except FeatherError as error:
                search = evolve(search, error=error)
                lasting = isinstance(error, LASTING)
                settings.listen(SearchFailed(str(error), lasting))
                if lasting:
                    return search
            else:
                listed, now = scan.listed, settings.clock()
                result = settings.ledger.find(sending, listed, now)
                settings.ledger.saw(sending.thread_id, listed, now)
                # The next scan need not read messages again that are older than this call.
                anchor = scan.next_anchor([message.id for message in listed if scan.is_old(message)])
                search = evolve(search, scanned=True, doubt=result is Match.UNSURE)
                # The list may be long. Its memory is released before the next scan reads as much again.
                del listed
            if isinstance(result, Message):
                return evolve(search, found=result)
            # It is computed each time, because this scan may have shown a longer lag.
            trusted_from = stop.absence_trusted_from(since, self._longest_lag())
            if result is Match.ABSENT and began >= trusted_from:
                return evolve(search, absent=True)
            now = settings.clock()
            left = deadline.remaining(now)
            if left <= POLICY.last_search:
                return search
            # If possible, the next scan begins exactly when the absence of the message can be trusted.
            until_trusted = trusted_from - now if now < trusted_from else math.inf
            pause = next(pauses, POLICY.longest_search_pause)
            yield from Sleep(min(pause, until_trusted, left - POLICY.last_search))

    def _scan(self, scan: HistoryScan) -> Flow[None]:
        """Read pages until a scan has seen enough."""
        settings = self._settings
        # A scan gets only a part of the time, so that time is left for another scan.
        until = self._deadline.share(settings.clock(), POLICY.search_share)
        listing = Listing(self._sending.thread_id, INBOUND)
        while True:
            try:
                page = yield from list_messages(settings, listing, scan.cursor, until, Urgency(Priority.RECONCILE))
            except (BadRequestError, NotFoundError):
                # The server may have refused the cursor, because the message of that id is gone.
                if not scan.may_begin_again:
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
        """The error for a message that was not found in the thread."""
        error = stop.error
        if search.absent and stop.outcome in {Outcome.UNKNOWN, Outcome.NEVER_SENT} and not stop.announced:
            hint = "The thread was read: the message has not arrived, and may be sent again."
            return settled(error, hint, delivered=False)
        advice = "Look for it in thread.messages(direction='INBOUND') before you send it again."
        if not search.scanned:
            hint = f"The thread could not be read, so the message was not looked for. {advice}"
        elif search.doubt:
            hint = f"The thread shows messages that may be this one, or does not show all messages yet. {advice}"
        else:
            hint = f"The message was not found in the thread, but may still arrive. It was not sent twice. {advice}"
        unknown = DeliveryUnknownError(
            f"{error}; the message may or may not have reached Feather",
            thread_id=self._sending.thread_id,
            text=self._text,
            hint=hint,
            method=error.method,
            url=error.url,
            attempts=error.attempts,
        )
        unknown.__cause__ = _chained(search.error, error) if not search.scanned and search.error is not None else error
        return unknown


@frozen
class _Search:
    """The result of a search for a message.

    Attributes:
        found: The message, if it was found.
        absent: Whether it is proven that the message is not in the thread.
        scanned: Whether a scan succeeded.
        doubt: Whether the result of the last successful scan was unsure.
        error: The error of the last scan that failed.
    """

    found: Message | None = None
    absent: bool = False
    scanned: bool = False
    doubt: bool = False
    error: FeatherError | None = None


def _receipt(response: Response, thread_id: str) -> SentMessage | ResponseDecodeError:
    """The receipt in a response, or the error if it cannot be read."""
    try:
        receipt = response.data()
    except ResponseDecodeError as error:
        return error
    if not isinstance(receipt, dict) or (message_id := read_id(receipt.get("messageId"))) is None:
        return response.not_as_promised("no valid messageId")
    theirs = receipt.get("threadId")
    if isinstance(theirs, str) and theirs.lower() != thread_id.lower():
        return response.not_as_promised("a receipt for another thread")
    status, expires = receipt.get("status"), receipt.get("windowExpiresIn")
    return SentMessage(
        message_id=message_id,
        thread_id=read_id(receipt.get("threadId")) or thread_id,
        status=status if isinstance(status, str) else None,
        window_expires_in=expires if isinstance(expires, int | float) else None,
    )


def _as_answered(found: Message, thread_id: str) -> Response:
    """The response to a message whose own response was lost, as far as the thread shows it."""
    receipt = {"messageId": found.id, "threadId": thread_id, "status": found.status}
    known = {name: value for name, value in receipt.items() if value is not None}
    return Response(HTTPStatus.OK, {"content-type": "application/json"}, json.dumps(known).encode())


def _chained(scan: FeatherError, before: FeatherError) -> FeatherError:
    """The error of the last scan, caused by the error that made the search necessary."""
    below: BaseException = scan
    while below.__cause__ is not None:
        below = below.__cause__
    below.__cause__ = before
    return scan
