"""What a thread can do, each as a plan: the request from the generated code, the reading of its answer from us.

Generated code is imported by whatever needs it, when it is first called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import frozen

from featherhq import _arguments
from featherhq._call import attempts, call
from featherhq._deliveries import Verdict
from featherhq._errors import (
    AuthenticationError,
    ConfigurationError,
    DeliveryUnknownError,
    FeatherError,
    NotFoundError,
    PermissionDeniedError,
)
from featherhq._log import logger
from featherhq._lookup import Lookup
from featherhq._models import INBOUND, Message, SentMessage, read_id, read_message
from featherhq._retry import Fate, GiveUp, Retry
from featherhq._steps import Answer, Sleep

if TYPE_CHECKING:
    from uuid import UUID

    from featherhq_api.models import Thread as ThreadDetails

    from featherhq._deliveries import Sending
    from featherhq._retry import Deadline
    from featherhq._settings import Settings
    from featherhq._steps import Plan

# All in seconds. A list may lag: what it does not show after this long is not there.
_GRACE: Final = 2.0
# Between the looks for a message of unknown fate: within the grace, and then until the deadline.
_PAUSES: Final = (0.2, 0.6, 1.25, 1.0, 2.0, 4.0)
_LONGEST_PAUSE: Final = 5.0
# How long before the deadline the last look begins.
_LAST_LOOK: Final = 0.25
# Of the time that is left, what one look may take, so that a history that says nothing leaves time for another.
_LOOK_SHARE: Final = 1 / 2

LASTING: Final = (AuthenticationError, PermissionDeniedError, NotFoundError, ConfigurationError)
"""Errors that another look will not mend."""


@frozen
class Page:
    """A page of history, in the server's order."""

    messages: list[Message]
    next_cursor: str | None


@frozen
class Listing:
    """What to list of a thread: checked once, for all of its pages."""

    thread_id: str
    direction: str | None = None
    status: str | None = None
    page_size: int = 100

    @classmethod
    def read(cls, thread_id: str, direction: object, status: object, page_size: object) -> Listing:
        """A listing from a caller's arguments.

        Raises:
            InvalidArgumentError: one is not what the contract takes.
        """
        from featherhq_api.models import ListMessagesDirection, ListMessagesStatus

        return cls(
            thread_id,
            _arguments.choice("direction", direction, tuple(ListMessagesDirection)),
            _arguments.choice("status", status, tuple(ListMessagesStatus)),
            _arguments.page_size(page_size),
        )


def create_thread(
    settings: Settings, agent_id: object, metadata: object, variables: object
) -> Plan[tuple[str, ThreadDetails]]:
    """Make a web chat thread; its id and what Feather says of it."""
    from featherhq_api.api.threads import create_thread as api
    from featherhq_api.models import CreateThreadBody

    given = {
        "agentId": _arguments.identifier("agent_id", agent_id),
        **_maps(metadata, variables),
    }
    request = api._get_kwargs(body=CreateThreadBody.from_dict(given))  # noqa: SLF001
    answer = yield from call(settings, request, settings.deadline(None))
    details = _thread(answer)
    thread_id = read_id(details.id)
    if thread_id is None or not thread_id.strip("."):
        raise answer.not_as_promised("a thread without an id")
    return thread_id, details


def get_thread(settings: Settings, thread_id: str) -> Plan[ThreadDetails]:
    """What Feather says of a thread."""
    from featherhq_api.api.threads import get_thread as api

    return _details(settings, api._get_kwargs(_in_path(thread_id)))  # noqa: SLF001


def update_thread(settings: Settings, thread_id: str, metadata: object, variables: object) -> Plan[ThreadDetails]:
    """Merge metadata and variables into a thread."""
    from featherhq_api.api.threads import update_thread as api
    from featherhq_api.models import UpdateThreadBody

    body = UpdateThreadBody.from_dict(_maps(metadata, variables))
    return _details(settings, api._get_kwargs(_in_path(thread_id), body=body))  # noqa: SLF001


def close_thread(settings: Settings, thread_id: str, reason: object) -> Plan[ThreadDetails]:
    """Close a thread."""
    from featherhq_api.api.threads import close_thread as api
    from featherhq_api.models import CloseThreadBody

    checked = _arguments.optional_text("reason", reason)
    body = CloseThreadBody.from_dict({} if checked is None else {"reason": checked})
    return _details(settings, api._get_kwargs(_in_path(thread_id), body=body))  # noqa: SLF001


def list_messages(settings: Settings, listing: Listing, cursor: str | None, deadline: Deadline) -> Plan[Page]:
    """A page of a thread's messages.

    Raises:
        ResponseDecodeError: one has no id or no text, or there is no list at all.
    """
    from featherhq_api.api.threads import list_messages as api
    from featherhq_api.models import ListMessagesDirection, ListMessagesStatus
    from featherhq_api.types import UNSET

    request = api._get_kwargs(  # noqa: SLF001
        _in_path(listing.thread_id),
        limit=str(listing.page_size),
        cursor=UNSET if cursor is None else cursor,
        direction=UNSET if listing.direction is None else ListMessagesDirection(listing.direction),
        status=UNSET if listing.status is None else ListMessagesStatus(listing.status),
    )
    answer = yield from call(settings, request, deadline)
    thread = _inside(answer, "thread")
    listed = thread.get("messages")
    if not isinstance(listed, list):
        raise answer.not_as_promised("no list of messages")
    messages = [read_message(item) for item in listed]
    if None in messages:
        raise answer.not_as_promised("a message that has no id or no text")
    pagination = thread.get("pagination")
    following = read_id(pagination.get("nextCursor")) if isinstance(pagination, Mapping) else None
    return Page(cast("list[Message]", messages), following)


def send(settings: Settings, thread_id: str, text: object, deadline: Deadline) -> Plan[SentMessage]:
    """Send a user's message, once.

    Where it is unknown whether it has arrived, it is looked for in the thread before anything else is done. It is
    sent again only where the server was done with it and the thread does not show it.

    Raises:
        DeliveryUnknownError: nobody can tell whether it has arrived.
        FeatherError: it has not.
    """
    from featherhq_api.api.threads import send_message as api
    from featherhq_api.models import SendMessageBody

    message = _arguments.text("text", text)
    request = api._get_kwargs(  # noqa: SLF001
        _in_path(thread_id), body=SendMessageBody(message=message)
    )
    url = settings.base_url + request["url"]
    retry = Retry("POST", url, settings.max_retries, deadline, settings.random)
    with settings.deliveries.sending(thread_id, message, settings.clock()) as sending:
        while True:
            outcome = yield from attempts(settings, request, deadline, retry=retry, reserving=True)
            if isinstance(outcome, Answer):
                sent = _receipt(outcome, thread_id)
                settings.deliveries.confirm(sending, sent.message_id, settings.clock())
                return sent
            if outcome.fate is not Fate.UNKNOWN:
                raise outcome.error
            sending.waiting, sending.finished = False, outcome.finished
            logger.warning("%s; looking whether it has arrived", outcome.error)
            found = yield from _find(settings, sending, deadline)
            if isinstance(found, Message):
                return SentMessage(found.id, thread_id, found.status, reconciled=True)
            delay = retry.once_more(settings.clock(), _GRACE) if found is Verdict.ABSENT else None
            if delay is None:
                raise _undelivered(outcome, found, thread_id, message)
            logger.warning("POST %s: it has not arrived; sending it again", url)
            yield Sleep(delay)
            sending.waiting, sending.finished = True, False


def _receipt(answer: Answer, thread_id: str) -> SentMessage:
    receipt = answer.data()
    if not isinstance(receipt, dict) or (message_id := read_id(receipt.get("messageId"))) is None:
        raise answer.not_as_promised("no messageId (the message was accepted: do not send it again)")
    status, expires = receipt.get("status"), receipt.get("windowExpiresIn")
    return SentMessage(
        message_id=message_id,
        thread_id=read_id(receipt.get("threadId")) or thread_id,
        status=status if isinstance(status, str) else None,
        window_expires_in=expires if isinstance(expires, int | float) else None,
    )


def _find(settings: Settings, sending: Sending, deadline: Deadline) -> Plan[Message | Verdict]:
    """Look for a message of unknown fate: the message, or what can be said of it.

    `ABSENT` means that the server was done with it, and that the thread did not show it at the end of the grace.
    Where the server may still be at work on it, or the history tells nothing, the look goes on until the deadline.
    """
    trusted_from = settings.clock() + _GRACE
    pauses = iter(_PAUSES)
    last: str | None = None
    while True:
        began = settings.clock()
        verdict: Message | Verdict = Verdict.UNSURE
        try:
            lookup = Lookup(mark=last, floor=settings.deliveries.floor(sending.began), order=1 if last else 0)
            yield from _look(settings, Listing(sending.thread_id, INBOUND), lookup, deadline)
        except LASTING as error:
            logger.warning("%s; so nobody can tell whether the message has arrived", error)
            return Verdict.UNSURE
        except FeatherError as error:
            logger.warning("%s; looking again", error)
        else:
            now = settings.clock()
            listed = lookup.listed()
            verdict = settings.deliveries.find(sending, listed, now, complete=lookup.whole)
            settings.deliveries.saw(sending.thread_id, listed, now)
            # A list that runs from the oldest on is read through once; then from the last that is too old to be it.
            last = lookup.last_old() or last
        if isinstance(verdict, Message):
            return verdict
        if verdict is Verdict.ABSENT and sending.finished and began >= trusted_from:
            return verdict
        now = settings.clock()
        left = deadline.remaining(now)
        if left <= _LAST_LOOK:
            return Verdict.UNSURE
        yield Sleep(min(next(pauses, _LONGEST_PAUSE), left - _LAST_LOOK))


def _look(settings: Settings, listing: Listing, lookup: Lookup, deadline: Deadline) -> Plan[None]:
    """Read pages until a look has seen what it must."""
    until = deadline.share(settings.clock(), _LOOK_SHARE)
    while True:
        page = yield from list_messages(settings, listing, lookup.cursor, until)
        if lookup.add(page.messages, page.next_cursor):
            return


def open_stream(settings: Settings, thread_id: str, deadline: Deadline, max_retries: int) -> Plan[Answer | GiveUp]:
    """Open the event stream."""
    from featherhq_api.api.threads import stream_messages as api

    request = api._get_kwargs(_in_path(thread_id))  # noqa: SLF001
    retry = Retry("GET", settings.base_url + request["url"], max_retries, deadline, settings.random)
    return attempts(settings, request, deadline, streaming=True, retry=retry)


def _undelivered(outcome: GiveUp, found: Message | Verdict, thread_id: str, text: str) -> FeatherError:
    """What to raise for a message that was not found in the thread."""
    if found is Verdict.ABSENT:
        outcome.error.add_note("The thread was looked through: the message has not arrived, and may be sent again.")
        return outcome.error
    unknown = DeliveryUnknownError(
        f"{outcome.error}; the message may or may not have reached Feather",
        thread_id=thread_id,
        text=text,
        hint="It was looked for in vain, and not sent twice. Look for it in thread.messages(direction='INBOUND') "
        "before you send it again.",
        method=outcome.error.method,
        url=outcome.error.url,
        attempts=outcome.error.attempts,
    )
    unknown.__cause__ = outcome.error
    return unknown


def _maps(metadata: object, variables: object) -> dict[str, Any]:
    checked = {
        "metadata": _arguments.string_map("metadata", metadata),
        "variables": _arguments.string_map("variables", variables),
    }
    return {name: value for name, value in checked.items() if value is not None}


def _details(settings: Settings, request: dict[str, Any]) -> Plan[ThreadDetails]:
    return _thread((yield from call(settings, request, settings.deadline(None))))


def _thread(answer: Answer) -> ThreadDetails:
    from featherhq_api.models import Thread as ThreadDetails

    return ThreadDetails.from_dict(_inside(answer, "thread"))


def _inside(answer: Answer, name: str) -> dict[str, Any]:
    """The object that an answer holds under a name.

    Raises:
        ResponseDecodeError: it holds none.
    """
    data = answer.data()
    inner = data.get(name) if isinstance(data, dict) else None
    if not isinstance(inner, dict):
        raise answer.not_as_promised(f"no object {name!r} in it")
    return inner


def _in_path(thread_id: str) -> UUID:
    # The generated code asks for a UUID and makes a string of it; ids that Feather gave us are taken as they are.
    return cast("UUID", thread_id)
