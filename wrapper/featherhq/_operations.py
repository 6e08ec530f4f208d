"""What a thread can do, each as a plan: the request from the generated code, the reading of its answer from us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import frozen
from featherhq_api.api.threads import (
    close_thread as api_close_thread,
    create_thread as api_create_thread,
    get_thread as api_get_thread,
    list_messages as api_list_messages,
    send_message as api_send_message,
    stream_messages as api_stream_messages,
    update_thread as api_update_thread,
)
from featherhq_api.models import (
    CloseThreadBody,
    CreateThreadBody,
    ListMessagesDirection,
    ListMessagesStatus,
    SendMessageBody,
    Thread as ThreadDetails,
    UpdateThreadBody,
)
from featherhq_api.types import UNSET

from featherhq import _arguments
from featherhq._call import attempts, call
from featherhq._errors import (
    AuthenticationError,
    DeliveryUnknownError,
    FeatherError,
    NotFoundError,
    PermissionDeniedError,
    ReplyTimeoutError,
)
from featherhq._log import logger
from featherhq._models import Message, SentMessage, read_id, read_message
from featherhq._replies import History, agent_message, first_reply
from featherhq._retry import Fate, GiveUp
from featherhq._sse import EventDecoder, EventTooLargeError
from featherhq._steps import Answer, Failure, ReadStream, Sleep

if TYPE_CHECKING:
    from uuid import UUID

    from featherhq._retry import Deadline
    from featherhq._settings import Settings
    from featherhq._steps import Plan

# Of an `ask`'s time, what opening the stream may take before polling has to do.
_STREAM_SHARE: Final = 1 / 3
# Seconds between two looks at the history where there is no stream: soon at first, then seldom.
_FIRST_POLL: Final = 0.5
_POLL_GROWTH: Final = 1.5
_LONGEST_POLL: Final = 5.0

# Errors that another look will not mend.
_LASTING: Final = (AuthenticationError, PermissionDeniedError, NotFoundError)

_DIRECTIONS: Final = tuple(ListMessagesDirection)
_STATUSES: Final = tuple(ListMessagesStatus)


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
        return cls(
            thread_id,
            _arguments.choice("direction", direction, _DIRECTIONS),
            _arguments.choice("status", status, _STATUSES),
            _arguments.page_size(page_size),
        )


def create_thread(
    settings: Settings, agent_id: object, metadata: object, variables: object
) -> Plan[tuple[str, ThreadDetails]]:
    """Make a web chat thread; its id and what Feather says of it."""
    given = {
        "agentId": _arguments.identifier("agent_id", agent_id),
        **_maps(metadata, variables),
    }
    request = api_create_thread._get_kwargs(body=CreateThreadBody.from_dict(given))  # noqa: SLF001
    answer = yield from call(settings, request, settings.deadline(None))
    details = _thread(answer)
    thread_id = read_id(details.id)
    if thread_id is None or not thread_id.strip("."):
        raise answer.not_as_promised("a thread without an id")
    return thread_id, details


def get_thread(settings: Settings, thread_id: str) -> Plan[ThreadDetails]:
    """What Feather says of a thread."""
    return _details(settings, api_get_thread._get_kwargs(_in_path(thread_id)))  # noqa: SLF001


def update_thread(settings: Settings, thread_id: str, metadata: object, variables: object) -> Plan[ThreadDetails]:
    """Merge metadata and variables into a thread."""
    body = UpdateThreadBody.from_dict(_maps(metadata, variables))
    return _details(settings, api_update_thread._get_kwargs(_in_path(thread_id), body=body))  # noqa: SLF001


def close_thread(settings: Settings, thread_id: str, reason: object) -> Plan[ThreadDetails]:
    """Close a thread."""
    checked = _arguments.optional_text("reason", reason)
    body = CloseThreadBody.from_dict({} if checked is None else {"reason": checked})
    return _details(settings, api_close_thread._get_kwargs(_in_path(thread_id), body=body))  # noqa: SLF001


def list_messages(settings: Settings, listing: Listing, cursor: str | None, deadline: Deadline) -> Plan[Page]:
    """A page of a thread's messages.

    Raises:
        ResponseDecodeError: one has no id or no text, or there is no list at all.
    """
    request = api_list_messages._get_kwargs(  # noqa: SLF001
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
    """Send a user's message, at most once.

    Raises:
        DeliveryUnknownError: nobody can tell whether it has arrived.
        FeatherError: it has not.
    """
    message = _arguments.text("text", text)
    request = api_send_message._get_kwargs(  # noqa: SLF001
        _in_path(thread_id), body=SendMessageBody(message=message)
    )
    outcome = yield from attempts(settings, request, deadline)
    if isinstance(outcome, GiveUp):
        raise _undelivered(outcome, thread_id, message)
    receipt = outcome.data()
    if not isinstance(receipt, dict) or (message_id := read_id(receipt.get("messageId"))) is None:
        raise outcome.not_as_promised("no messageId (the message was accepted: do not send it again)")
    status, expires = receipt.get("status"), receipt.get("windowExpiresIn")
    return SentMessage(
        message_id=message_id,
        thread_id=read_id(receipt.get("threadId")) or thread_id,
        status=status if isinstance(status, str) else None,
        window_expires_in=expires if isinstance(expires, int | float) else None,
    )


def ask(settings: Settings, thread_id: str, text: object, deadline: Deadline) -> Plan[Message]:
    """Send a user's message and wait for the agent's first message after it.

    The stream is opened before the message is sent, so that a reply that comes at once is not missed.
    Where there is no stream, or it breaks, the thread's history is looked at instead.

    Raises:
        ReplyTimeoutError: the message was accepted, and no reply came in time.
        FeatherError: as `send`.
    """
    _arguments.text("text", text)
    stream = yield from _open_stream(settings, thread_id, deadline)
    sent = yield from send(settings, thread_id, text, deadline)
    if stream is not None:
        reply = yield from _from_stream(settings, stream, deadline)
        if reply is not None:
            return reply
    return (yield from _from_history(settings, thread_id, sent, deadline))


def _open_stream(settings: Settings, thread_id: str, deadline: Deadline) -> Plan[Answer | None]:
    request = api_stream_messages._get_kwargs(_in_path(thread_id))  # noqa: SLF001
    share = deadline.share(settings.clock(), _STREAM_SHARE)
    outcome = yield from attempts(settings, request, share, streaming=True)
    if isinstance(outcome, Answer):
        if outcome.stream is not None:
            return outcome
        logger.warning("stream: %d without an event stream; polling instead", outcome.status_code)
        return None
    if outcome.fate is Fate.NEVER_SENT or isinstance(outcome.error, AuthenticationError):
        # The message would fare no better, and nothing was sent yet.
        raise outcome.error
    logger.warning("stream: %s; polling instead", outcome.error)
    return None


def _from_stream(settings: Settings, stream: Answer, deadline: Deadline) -> Plan[Message | None]:
    """The first message that the stream brings; `None` where it ends or breaks before."""
    decoder = EventDecoder()
    while left := deadline.remaining(settings.clock()):
        chunk = yield ReadStream(stream.stream, left)
        if isinstance(chunk, Failure) or not chunk:
            told = chunk.reason if isinstance(chunk, Failure) else "it ended"
            logger.warning("stream: %s; polling instead", told)
            return None
        try:
            for event in decoder.feed(chunk):
                message = agent_message(event)
                if message is not None:
                    return message
        except EventTooLargeError as error:
            logger.warning("stream: %s; polling instead", error)
            return None
    return None


def _from_history(settings: Settings, thread_id: str, sent: SentMessage, deadline: Deadline) -> Plan[Message]:
    """The first of the agent's messages after the one that was sent, by looking again and again."""
    pause, trouble = _FIRST_POLL, None
    while deadline.remaining(settings.clock()):
        try:
            history = yield from _whole_history(settings, Listing(thread_id), deadline)
            reply, trouble = first_reply(history, sent.message_id), None
        except FeatherError as error:
            # Kept for the end: what counts then is that the message was accepted.
            reply, trouble = None, error
        if reply is not None:
            return reply
        if isinstance(trouble, _LASTING):
            break
        yield Sleep(min(pause, deadline.remaining(settings.clock())))
        pause = min(pause * _POLL_GROWTH, _LONGEST_POLL)
    raise ReplyTimeoutError(
        f"thread {thread_id}: message {sent.message_id} was accepted, and no reply came in time",
        thread_id=thread_id,
        message_id=sent.message_id,
        hint="Do not send it again. The reply may still come: thread.messages() will show it; or raise timeout=.",
    ) from trouble


def _whole_history(settings: Settings, listing: Listing, deadline: Deadline) -> Plan[list[Message]]:
    history, messages = History(), []
    while True:
        page = yield from list_messages(settings, listing, history.next_cursor, deadline)
        messages += history.add(page.messages, page.next_cursor)
        if history.next_cursor is None:
            return messages


def _undelivered(outcome: GiveUp, thread_id: str, text: str) -> FeatherError:
    """What to raise for a message that was not confirmed."""
    if outcome.fate is not Fate.UNKNOWN:
        return outcome.error
    unknown = DeliveryUnknownError(
        f"{outcome.error}; the message may or may not have reached Feather",
        thread_id=thread_id,
        text=text,
        hint="It was not sent twice. Look for it in thread.messages(direction='INBOUND') before you send it again.",
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
