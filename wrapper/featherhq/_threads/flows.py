"""The operations on a thread, each as a flow. Generated code makes the request, and this module reads the response.

Generated code is imported when it is first needed, so that the import of this package is fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import evolve, field, frozen

from featherhq import _validation
from featherhq._core.attempts import attempts, call
from featherhq._core.bodies import SHOWN
from featherhq._core.calls import Call, as_call, calling
from featherhq._core.effects import Announce, Closed
from featherhq._core.events import OthersLeftOut
from featherhq._core.retry import POLICY, Deadline, Retry, Stop
from featherhq.errors import AuthenticationError, ConfigurationError, NotFoundError, PermissionDeniedError, UsageError
from featherhq.models import Message, is_of, read_id, read_message

if TYPE_CHECKING:
    from uuid import UUID

    from featherhq_api.models import Thread as ThreadDetails

    from featherhq._core.effects import Flow
    from featherhq._core.responses import Response
    from featherhq._core.slots import Urgency
    from featherhq._settings import Settings

# The opening of a stream may take this part of the client's timeout, after the rate limit has let the request through.
_OPENING_PART: Final = 0.95

LASTING: Final = (AuthenticationError, PermissionDeniedError, NotFoundError, ConfigurationError, UsageError)
"""Errors after which another scan would fail in the same way."""


@frozen
class Page:
    """A page of the list of messages.

    Attributes:
        messages: Its messages, in the server's order.
        next_cursor: The cursor of the next page, or `None` on the last page.
        response: The response that it was read from.
    """

    messages: list[Message]
    next_cursor: str | None
    response: Response = field(repr=False)


@frozen
class Listing:
    """Which messages of a thread to list. The arguments are checked once, and not for each page.

    Attributes:
        thread_id: The thread's id.
        direction: Only messages of this direction, or `None` for all.
        status: Only messages of this status, or `None` for all.
        page_size: The most messages of a page.
    """

    thread_id: str
    direction: str | None = None
    status: str | None = None
    page_size: int = 100

    @classmethod
    def read(cls, thread_id: str, direction: object, status: object, page_size: object) -> Listing:
        """A listing from the caller's arguments.

        Raises:
            InvalidArgumentError: an argument is invalid.
        """
        from featherhq_api.models import ListMessagesDirection, ListMessagesStatus

        return cls(
            thread_id,
            _validation.choice("direction", direction, tuple(ListMessagesDirection)),
            _validation.choice("status", status, tuple(ListMessagesStatus)),
            _validation.page_size(page_size),
        )


def create_thread(
    settings: Settings, agent_id: object, metadata: object, variables: object, timeout: float | None = None
) -> Flow[tuple[str, ThreadDetails]]:
    """Make a web chat thread. Returns its id, and its details."""
    from featherhq_api.api.threads import create_thread as api
    from featherhq_api.models import CreateThreadBody

    given = {
        "agentId": _validation.identifier("agent_id", agent_id),
        **_maps(metadata, variables),
    }
    request = api._get_kwargs(body=CreateThreadBody.from_dict(given))  # noqa: SLF001
    with calling(settings, Call("create")) as made:
        response = yield from call(settings, request, settings.deadline(timeout))
        details = _thread(response)
        made.thread_id = thread_id = read_id(details.id)
        if thread_id is None or not thread_id.strip("."):
            raise response.not_as_promised("a thread without a valid id")
    return thread_id, details


def get_thread(settings: Settings, thread_id: str, timeout: float | None = None) -> Flow[ThreadDetails]:
    """The details of a thread."""
    from featherhq_api.api.threads import get_thread as api

    return _details(settings, Call("get", thread_id), api._get_kwargs(in_path(thread_id)), timeout)  # noqa: SLF001


def update_thread(
    settings: Settings, thread_id: str, metadata: object, variables: object, timeout: float | None = None
) -> Flow[ThreadDetails]:
    """Merge metadata and variables into a thread."""
    from featherhq_api.api.threads import update_thread as api
    from featherhq_api.models import UpdateThreadBody

    body = UpdateThreadBody.from_dict(_maps(metadata, variables))
    request = api._get_kwargs(in_path(thread_id), body=body)  # noqa: SLF001
    return _details(settings, Call("update", thread_id), request, timeout)


def close_thread(
    settings: Settings, thread_id: str, reason: object, timeout: float | None = None
) -> Flow[ThreadDetails]:
    """Close a thread, and end the conversations that this client has in it."""
    from featherhq_api.api.threads import close_thread as api
    from featherhq_api.models import CloseThreadBody

    checked = _validation.optional_text("reason", reason)
    body = CloseThreadBody.from_dict({} if checked is None else {"reason": checked})
    request = api._get_kwargs(in_path(thread_id), body=body)  # noqa: SLF001
    details = yield from _details(settings, Call("close", thread_id), request, timeout)
    yield from Announce(thread_id, Closed("thread"))
    return details


def list_messages(
    settings: Settings, listing: Listing, cursor: str | None, deadline: Deadline, urgency: Urgency | None = None
) -> Flow[Page]:
    """A page of a thread's messages.

    Raises:
        ResponseDecodeError: a message has no id or no text, or there is no list.
    """
    return _page(settings, (yield from call(settings, _list_request(listing, cursor), deadline, urgency)), listing)


def scan_page(
    settings: Settings, listing: Listing, cursor: str | None, urgency: Urgency, opener: Call | None = None
) -> Flow[Page]:
    """As `list_messages`, but without retries, for a background job. It may wait any time for a slot."""
    scan = Call("scan", listing.thread_id, opener=opener)
    return as_call(settings, scan, _scan_page(settings, listing, cursor, urgency))


def _scan_page(settings: Settings, listing: Listing, cursor: str | None, urgency: Urgency) -> Flow[Page]:
    request = _list_request(listing, cursor)
    retry = Retry("GET", settings.base_url + request["url"], 0, Deadline(math.inf), settings.random)
    retry.seconds = POLICY.longest_attempt
    result = yield from attempts(settings, request, retry.deadline, urgency=urgency, retry=retry)
    if isinstance(result, Stop):
        raise result.error
    return _page(settings, result, listing)


def _list_request(listing: Listing, cursor: str | None) -> dict[str, Any]:
    from featherhq_api.api.threads import list_messages as api
    from featherhq_api.models import ListMessagesDirection, ListMessagesStatus
    from featherhq_api.types import UNSET

    return api._get_kwargs(  # noqa: SLF001
        in_path(listing.thread_id),
        limit=str(listing.page_size),
        cursor=UNSET if cursor is None else cursor,
        direction=UNSET if listing.direction is None else ListMessagesDirection(listing.direction),
        status=UNSET if listing.status is None else ListMessagesStatus(listing.status),
    )


def _page(settings: Settings, response: Response, listing: Listing) -> Page:
    page = _read_page(response)
    if isinstance(page, str):
        raise response.not_as_promised(page)
    kept = [message for message in page.messages if is_of(message, listing.thread_id)]
    if len(kept) < len(page.messages):
        settings.listen(OthersLeftOut("list", len(page.messages) - len(kept)))
    return evolve(page, messages=kept)


def _read_page(response: Response) -> Page | str:
    """The page in a response, or a text that says what is wrong with it."""
    thread = _inside(response, "thread")
    listed = thread.get("messages")
    if not isinstance(listed, list):
        return "no list of messages"
    messages = [read_message(item) for item in listed]
    if None in messages:
        return "a message that has no id or no text"
    pagination = thread.get("pagination")
    cursor = pagination.get("nextCursor") if isinstance(pagination, Mapping) else None
    following = read_id(cursor)
    if following is None and isinstance(cursor, str) and cursor:
        return "an invalid cursor: too long, or not printable"
    # An error shows only the beginning of the body, and a page keeps its response. So the rest is released.
    response.content = response.content[:SHOWN]
    return Page(cast("list[Message]", messages), following, response)


def open_stream(
    settings: Settings,
    thread_id: str,
    urgency: Urgency,
    max_retries: int,
    seconds: float | None = None,
    opener: Call | None = None,
) -> Flow[Response | Stop]:
    """Open the event stream of a thread.

    Args:
        settings: The client's settings.
        thread_id: The thread's id.
        urgency: How urgent it is.
        max_retries: Attempts after the first.
        seconds: How long it may take after the rate limit has let it through. The default is a little less than the
            client's timeout.
        opener: The call that opened the conversation, if a conversation needs it.
    """
    from featherhq_api.api.threads import stream_messages as api

    request = api._get_kwargs(in_path(thread_id))  # noqa: SLF001
    retry = Retry("GET", settings.base_url + request["url"], max_retries, Deadline(math.inf), settings.random)
    retry.seconds = settings.timeout * _OPENING_PART if seconds is None else seconds
    opening = attempts(settings, request, retry.deadline, urgency=urgency, streaming=True, retry=retry)
    return as_call(settings, Call("stream", thread_id, opener=opener), opening)


def _maps(metadata: object, variables: object) -> dict[str, Any]:
    checked = {
        "metadata": _validation.string_map("metadata", metadata),
        "variables": _validation.string_map("variables", variables),
    }
    return {name: value for name, value in checked.items() if value is not None}


def _details(
    settings: Settings, made: Call, request: dict[str, Any], timeout: float | None = None
) -> Flow[ThreadDetails]:
    """Make a call that returns the thread that it is about."""
    with calling(settings, made):
        response = yield from call(settings, request, settings.deadline(timeout))
        details = _thread(response)
        theirs = details.id
        if isinstance(theirs, str) and theirs.lower() != str(made.thread_id).lower():
            raise response.not_as_promised("another thread than the requested one")
    return details


def _thread(response: Response) -> ThreadDetails:
    from featherhq_api.models import Thread as ThreadDetails

    from featherhq import _unset  # noqa: F401

    return ThreadDetails.from_dict(_inside(response, "thread"))


def _inside(response: Response, name: str) -> dict[str, Any]:
    """The object that a response holds under a name.

    Raises:
        ResponseDecodeError: there is no such object.
    """
    inner = _object_in(response.data(), name)
    if inner is None:
        raise response.not_as_promised(f"no object {name!r} in it")
    return inner


def _object_in(data: object, name: str) -> dict[str, Any] | None:
    # A separate function, so that no local variable holds the server's data in the frame that raises an error.
    inner = data.get(name) if isinstance(data, dict) else None
    return inner if isinstance(inner, dict) else None


def in_path(thread_id: str) -> UUID:
    """A thread's id for generated code, which expects a UUID and only makes a string from it.

    So ids from Feather are passed without a change, even if they are not UUIDs.
    """
    return cast("UUID", thread_id)
