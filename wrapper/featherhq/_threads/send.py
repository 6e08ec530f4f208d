"""Send a message once.

The API has no idempotency key. If the response to a message is lost, the client first looks for the message in the
thread (`search.py`). It sends the message again only if the server is done with the first request and the thread does
not show the message. The rules and numbers are in `_core/retry.py`. With a key, the attempts of other calls and of
other processes count too (`once.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from featherhq import _validation
from featherhq._core.attempts import attempts, noting
from featherhq._core.calls import Call, calling
from featherhq._core.effects import Accepted, Sleep
from featherhq._core.events import MessageSentAgain, SearchStarted
from featherhq._core.responses import Response
from featherhq._core.retry import Outcome, Retry, ServerWork, Stop
from featherhq._core.slots import Priority, Urgency
from featherhq._threads.flows import in_path
from featherhq._threads.once import AGAIN, Once
from featherhq._threads.receipts import as_answered, read_receipt
from featherhq._threads.search import Found, Search
from featherhq.errors import BadRequestError, DeliveryUnknownError, FeatherError, UsageError, settled
from featherhq.models import SentMessage

if TYPE_CHECKING:
    from featherhq_api.models import SendMessageBody

    from featherhq._core.effects import Flow
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings
    from featherhq._threads.ledger import Sending
    from featherhq.ledgers import Ledger

_MAY_BE_CLOSED: Final = (
    "Feather's message says what it did not accept. Nothing was done. The thread may be closed: check "
    "thread.refresh().details."
)


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


def send(settings: Settings, thread_id: str, text: object, deadline: Deadline, key: object = None) -> Flow[Sent]:
    """Send a user's message once.

    Args:
        settings: The client's settings.
        thread_id: The thread's id.
        text: The message.
        deadline: The end of the call.
        key: The caller's key for it, or `None`. All calls with the same key and ledger send it once.

    Raises:
        UsageError: there is a key, but no ledger.
        InvalidArgumentError: the text or the key is invalid, or the key was used for another message.
        DeliveryUnknownError: it is unknown whether the message has arrived.
        FeatherError: the message has not arrived; `delivered` is `False`.
    """
    message, checked = _validation.text("text", text), check_key(settings, key)
    once = None if checked is None else Once(settings, *checked, thread_id, message, deadline)
    ledger, made = settings.ledger, Call("send", thread_id)
    with (
        calling(settings, made),
        ledger.sending(thread_id, message, settings.clock(), once.key if once else None) as sending,
    ):
        sent = yield from _Send(settings, sending, message, deadline, once).run()
        made.message_id, made.reconciled = sent.receipt.message_id, sent.receipt.reconciled
        return sent


def check_key(settings: Settings, key: object) -> tuple[Ledger, str] | None:
    """The ledger and the key, or `None` if there is no key.

    Raises:
        UsageError: there is a key, but no ledger.
        InvalidArgumentError: the key is invalid.
    """
    if key is None:
        return None
    if settings.key_ledger is None:
        raise UsageError(
            "key: this client has no ledger, which remembers what was sent",
            hint="Pass one to the client: Feather(ledger=SQLiteLedger('feather.db')). Nothing was sent.",
        )
    return settings.key_ledger, _validation.message_key(key)


def was_begun(settings: Settings, thread_id: str, text: object, deadline: Deadline, key: object) -> Flow[bool]:
    """Whether an earlier call with the same key has begun to send the message. It asks the ledger and not the server.

    Raises:
        FeatherError: as in `send`.
    """
    message, checked = _validation.text("text", text), check_key(settings, key)
    if checked is None:
        return False
    return (yield from Once(settings, *checked, thread_id, message, deadline).exists())


def request_for(thread_id: str, text: str) -> dict[str, Any]:
    """The request of a message, as generated code makes it."""
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
        sending: Its entry in the client's own ledger.
        text: The message.
        deadline: The end of the call.
        once: Its key, if it has one.
    """

    def __init__(self, settings: Settings, sending: Sending, text: str, deadline: Deadline, once: Once | None) -> None:
        self._settings = settings
        self._sending = sending
        self._text = text
        self._deadline = deadline
        self._once = once
        self._search = Search(settings, sending, deadline, once)
        self._request = request_for(sending.thread_id, text)
        url = settings.base_url + self._request["url"]
        self._retry = Retry("POST", url, settings.max_retries, deadline, settings.random, reserving=True)
        if once is not None:
            self._retry.begin = once.begin
        self._urgency = Urgency(Priority.NOW)
        # When the first attempt of unknown outcome began: the message may come from that one.
        self._unknown_since: float | None = None

    def run(self) -> Flow[Sent]:
        """Send the message. An exception from outside gets a note if the message may have left."""
        with noting(self._retry.note):
            try:
                earlier = yield from self._earlier()
                return earlier or (yield from self._run())
            except FeatherError as error:
                if self._once is not None and error.delivered is False:
                    yield from self._once.release()
                raise

    def _earlier(self) -> Flow[Sent | None]:
        """What other calls with the same key have done. Returns `None` if the message may be sent now."""
        once, retry = self._once, self._retry
        if once is None:
            return None
        receipt = yield from once.look_patiently()
        if receipt is None and once.is_anothers:
            # What is said to an exception from outside must hold for the attempts of the other call too.
            may_have_left, retry.may_have_left = retry.may_have_left, True
            self._settings.listen(
                SearchStarted(f"another call with the key {once.key!r} has begun to send the message")
            )
            found = yield from self._search.run(None, once.began)
            receipt = found.receipt
            if receipt is None and not found.absent:
                raise self._unknown(found, None)
            retry.may_have_left = may_have_left
            self._sending.waiting, self._sending.finished = True, False
        return None if receipt is None else self._recorded(receipt)

    def _run(self) -> Flow[Sent]:
        retry = self._retry
        while True:
            result = yield from self._attempt()
            if isinstance(result, Sent):
                return result
            # After an attempt of unknown outcome, a later failure proves nothing about that attempt.
            if self._unknown_since is None and result.outcome is not Outcome.UNKNOWN:
                if isinstance(result.error, BadRequestError):
                    raise settled(result.error, _MAY_BE_CLOSED, delivered=False)
                raise result.error
            found = yield from self._look_for(result)
            if found.receipt is not None:
                return self._recorded(found.receipt)
            delay = None
            # If the status was a success, the server has probably accepted the message, although the thread does not
            # show it. So it is not sent again.
            if found.absent and result.outcome is Outcome.UNKNOWN and not result.announced:
                delay = retry.once_more(self._settings.clock())
            if delay is None:
                raise self._undelivered(result, found)
            self._settings.listen(MessageSentAgain(retry.method, retry.url))
            yield from Sleep(delay)
            self._sending.waiting, self._sending.finished = True, False

    def _attempt(self) -> Flow[Sent | Stop]:
        """Send the request, with the retries that are safe. Returns what was sent, or why that is not known."""
        settings, once = self._settings, self._once
        while True:
            result = yield from attempts(
                settings, self._request, self._deadline, retry=self._retry, urgency=self._urgency
            )
            if isinstance(result, Response):
                return (yield from self._answered(result))
            if once is None or not once.overtaken:
                return result
            if (earlier := (yield from self._earlier())) is not None:
                return earlier

    def _look_for(self, stop: Stop) -> Flow[Found]:
        """Look for the message after an attempt of unknown outcome, or after a later one."""
        sending, once, began = self._sending, self._once, self._began(stop.began)
        self._unknown_since, self._retry.may_have_left = began, True
        # Other calls that search for an equal text read these.
        sending.waiting, sending.finished = False, stop.work is not ServerWork.PERHAPS
        self._urgency = Urgency(Priority.RECONCILE)
        self._settings.listen(SearchStarted(str(stop.error)))
        if once is not None and (stop.work is ServerWork.PERHAPS or stop.announced):
            yield from once.prolong()
        return (yield from self._search.run(stop, began))

    def _began(self, began: float) -> float:
        """When the first attempt began that the message may come from, if the last one began then."""
        return began if self._unknown_since is None else self._unknown_since

    def _answered(self, response: Response) -> Flow[Sent | Stop]:
        """A response with a success has come. Returns what was sent, or why that is still unknown."""
        settings, began = self._settings, self._began(response.began)
        sent_at = settings.ledger.moment(began)
        receipt = read_receipt(response, self._sending.thread_id, sent_at)
        if not isinstance(receipt, SentMessage):
            # The status is a success, but the receipt cannot be read. The search may still find the message.
            return Stop(receipt, Outcome.UNKNOWN, ServerWork.PROBABLY_DONE, response.began, announced=True)
        settings.experience.accepted(settings.clock() - response.began)
        settings.ledger.confirm(self._sending, receipt.message_id, settings.clock())
        if self._once is not None:
            kept = yield from self._once.record(receipt, answered=True)
            if kept is None:
                # This process was stopped for so long that another key has taken the message for its own.
                problem = response.not_as_promised("a message that belongs to another key by now")
                return Stop(problem, Outcome.UNKNOWN, ServerWork.DONE, response.began)
            receipt = kept
        return self._sent(receipt, began, response)

    def _recorded(self, receipt: SentMessage) -> Sent:
        """A message that was found in the thread, or that another call has sent."""
        began = self._began(self._settings.clock()) if self._once is None else self._once.began
        return self._sent(receipt, began, as_answered(receipt))

    def _sent(self, receipt: SentMessage, began: float, response: Response) -> Sent:
        self._settings.owed.accepted(self._sending.thread_id, self._settings.clock())
        accepted = Accepted(receipt.message_id, began, self._settings.ledger.server_time(began))
        return Sent(receipt, accepted, response)

    def _undelivered(self, stop: Stop, search: Found) -> FeatherError:
        """The error for a message that was not found in the thread."""
        if search.absent and stop.outcome in {Outcome.UNKNOWN, Outcome.NEVER_SENT} and not stop.announced:
            return settled(
                stop.error,
                "The thread was read: the message has not arrived, and may be sent again.",
                delivered=False,
            )
        return self._unknown(search, stop.error)

    def _unknown(self, search: Found, error: FeatherError | None) -> DeliveryUnknownError:
        """The error for a message of unknown fate.

        Args:
            search: The search for it.
            error: The error of the last attempt of this call. `None`: another call has made the last attempt.
        """
        once, retry, ledger = self._once, self._retry, self._settings.ledger
        began = self._unknown_since if once is None else once.began
        sent_at = None if began is None else ledger.moment(began)
        if once is not None:
            advice = AGAIN
        elif sent_at is None:
            advice = "Look for it in thread.messages(direction='INBOUND') before you send it again."
        else:
            advice = "Look for it with thread.find_sent(text, since=error.sent_at) before you send it again."
        if not search.scanned:
            hint = f"The thread could not be read, so the message was not looked for. {advice}"
        elif search.doubt:
            hint = f"The thread shows messages that may be this one, or does not show all messages yet. {advice}"
        else:
            hint = f"The message was not found in the thread, but may still arrive. It was not sent twice. {advice}"
        what = f"{retry.method} {retry.url}: another call with this key has begun to send the message"
        unknown = DeliveryUnknownError(
            f"{what if error is None else error}; the message may or may not have reached Feather",
            thread_id=self._sending.thread_id,
            text=self._text,
            sent_at=sent_at,
            hint=hint,
            method=retry.method,
            url=retry.url,
            attempts=retry.attempts,
        )
        unknown.__cause__ = error if search.scanned or search.error is None else _chained(search.error, error)
        return unknown


def _chained(scan: FeatherError, before: FeatherError | None) -> FeatherError:
    """The error of the last scan, caused by the error that made the search necessary."""
    below: BaseException = scan
    while below.__cause__ is not None:
        below = below.__cause__
    below.__cause__ = before
    return scan
