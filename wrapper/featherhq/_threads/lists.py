"""What callers list: the messages of a thread, and the threads. Each list is read page by page, as flows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from featherhq import _validation
from featherhq._core.attempts import call
from featherhq._core.calls import Call, as_call, calling
from featherhq._core.pagination import EndlessListError, History, Pages
from featherhq._threads.bookmark import After, hashed
from featherhq._threads.flows import Listing, in_path, list_messages
from featherhq._threads.own import made_at
from featherhq._threads.resume import ResumeScan
from featherhq._threads.scan_pages import read_pages
from featherhq.models import read_id

if TYPE_CHECKING:
    from featherhq_api.models import Thread as ThreadDetails

    from featherhq._core.effects import Flow
    from featherhq._core.responses import Response
    from featherhq._core.retry import Deadline
    from featherhq._settings import Settings
    from featherhq.models import Message

# Seconds. A conversation takes messages for new if they are not older than a few seconds.
_RECENT: Final = 30.0


class MessageList:
    """The messages of a thread, for `messages()`.

    Args:
        settings: The client's settings.
        thread_id: The thread's id.
        direction: Only messages of this direction, or `None` for all.
        status: Only messages of this status, or `None` for all.
        after: Only messages after this place, or `None` for all.
        newest_first: Whether to give the newest message first.
        page_size: The most messages of a page.
        timeout: Seconds until the next messages must be there; `None` for the client's timeout.

    Attributes:
        is_over: Whether there are no more messages.

    Raises:
        InvalidArgumentError: an argument is invalid.
    """

    def __init__(
        self,
        settings: Settings,
        thread_id: str,
        *,
        direction: object = None,
        status: object = None,
        after: object = None,
        newest_first: object = False,
        page_size: object = 100,
        timeout: float | None = None,
    ) -> None:
        self.is_over = False
        self._settings = settings
        self._listing = Listing.read(thread_id, direction, status, page_size)
        self._after = None if after is None else After.read(thread_id, after)
        self._newest_first = bool(_validation.flag("newest_first", newest_first))
        self._history = History(newest_first=self._newest_first)
        self._timeout = timeout
        settings.deadline(timeout)

    def next(self) -> Flow[list[Message]]:
        """The next messages, from as many pages as needed. None if the list is over.

        Pages that bring nothing new share one timeout.

        Raises:
            InvalidArgumentError: the message to begin after is not in the thread.
            ResponseDecodeError: as in `list_messages`, or too many pages in a row bring nothing new.
        """
        return as_call(self._settings, Call("messages", self._listing.thread_id), self._next())

    def _next(self) -> Flow[list[Message]]:
        if self._after is not None:
            self.is_over = True
            return (yield from self._all_after(self._after))
        history, settings = self._history, self._settings
        ready: list[Message] = []
        deadline = settings.deadline(self._timeout)
        while not ready and not history.is_over:
            page = yield from list_messages(settings, self._listing, history.next_cursor, deadline)
            self._note(page.messages)
            held = history.count
            try:
                ready = history.add(page.messages, page.next_cursor)
            except EndlessListError as error:
                problem = str(error)
            else:
                deadline = settings.deadline(self._timeout) if history.count > held else deadline
                continue
            raise page.response.not_as_promised(problem)
        self.is_over = history.is_over
        return ready

    def _note(self, messages: list[Message]) -> None:
        """Remember the messages of the last seconds: for a conversation that begins now, they are not new."""
        ledger, now = self._settings.ledger, self._settings.clock()
        recent = math.inf if (server_time := ledger.server_time(now)) is None else server_time - _RECENT
        ledger.saw(self._listing.thread_id, [one for one in messages if (made_at(one) or -math.inf) > recent], now)

    def _all_after(self, after: After) -> Flow[list[Message]]:
        """All messages after a place."""
        if not after.is_sure:
            # Something may be missing before its anchor, so only times tell.
            after = evolve(after, anchor=None)
        scan = ResumeScan(self._settings.experience, after, after.starts_at)
        # Without direction and status: the message to begin after may have others.
        listing = Listing(self._listing.thread_id, page_size=self._listing.page_size)
        # Each page has a timeout of its own.
        yield from read_pages(self._settings, listing, scan, lambda: self._settings.deadline(self._timeout))
        if not scan.has_anchor and not after.is_proven:
            raise after.not_in(listing.thread_id)
        found = scan.after_anchor if scan.has_anchor else _made_from(scan.listed, after.starts_at)
        wanted = self._listing
        ready = [
            message
            for message in found
            if hashed(message.id) not in after.given
            and wanted.direction in (None, message.raw.get("direction"))
            and wanted.status in (None, message.status)
        ]
        return ready[::-1] if self._newest_first else ready


class ThreadList:
    """The threads of the organization, for `threads.list()`.

    Args:
        settings: The client's settings.
        agent_id: Only threads with this agent, or `None` for all.
        is_active: Only active threads (`True`), only closed ones (`False`), or `None` for all.
        page_size: The most threads of a page.
        timeout: Seconds until the next threads must be there; `None` for the client's timeout.

    Attributes:
        is_over: Whether there are no more threads.

    Raises:
        InvalidArgumentError: an argument is invalid.
    """

    def __init__(
        self, settings: Settings, agent_id: object, is_active: object, page_size: object, timeout: float | None
    ) -> None:
        self.is_over = False
        self._settings = settings
        self._agent_id = None if agent_id is None else _validation.identifier("agent_id", agent_id)
        self._is_active = _validation.flag("is_active", is_active)
        self._page_size = _validation.page_size(page_size)
        self._pages = Pages()
        self._seen: set[str] = set()
        self._timeout = timeout
        settings.deadline(timeout)

    def next(self) -> Flow[list[tuple[str, ThreadDetails]]]:
        """The ids and details of the next threads, from as many pages as needed. None if the list is over.

        Raises:
            ResponseDecodeError: there is no list, or a thread has no valid id, or the list has no end.
        """
        ready: list[tuple[str, ThreadDetails]] = []
        deadline = self._settings.deadline(self._timeout)
        with calling(self._settings, Call("list")):
            while not ready and not self.is_over:
                ready = yield from self._page(deadline)
        return ready

    def _page(self, deadline: Deadline) -> Flow[list[tuple[str, ThreadDetails]]]:
        from featherhq_api.models import Thread as ThreadDetails

        from featherhq import _unset  # noqa: F401

        response = yield from call(self._settings, self._request(), deadline)
        problem, rows, cursor = _read_threads(response)
        if problem is None:
            fresh = {id_: row for id_, row in rows if id_ not in self._seen}
            self._seen.update(fresh)
            try:
                self.is_over = not self._pages.follow(cursor, brought_something=bool(fresh))
            except EndlessListError as error:
                problem = str(error)
            else:
                return [(id_, ThreadDetails.from_dict(row)) for id_, row in fresh.items()]
        raise response.not_as_promised(problem)

    def _request(self) -> dict[str, Any]:
        from featherhq_api.api.threads import list_threads as api
        from featherhq_api.types import UNSET

        return api._get_kwargs(  # noqa: SLF001
            limit=str(self._page_size),
            cursor=UNSET if self._pages.cursor is None else self._pages.cursor,
            agent_id=UNSET if self._agent_id is None else in_path(self._agent_id),
            # A string in the contract.
            is_active=UNSET if self._is_active is None else str(self._is_active).lower(),
        )


def _read_threads(response: Response) -> tuple[str | None, list[tuple[str, dict[str, Any]]], str | None]:
    """What is wrong with a page of threads, or `None`; its threads by their ids; the cursor of the next page.

    The vendor's page does not show the shape. So `threads` may stand inside another object, and `pagination` beside
    `threads` or outside.
    """
    data = response.data()
    places = [data, *(data.values() if isinstance(data, dict) else ())]
    around = next((one for one in places if isinstance(one, dict) and isinstance(one.get("threads"), list)), None)
    if around is None:
        return "no list of threads", [], None
    rows = [(read_id(row.get("id")) if isinstance(row, dict) else None, row) for row in around["threads"]]
    if not all(id_ is not None and id_.strip(".") for id_, _ in rows):
        return "a thread without a valid id", [], None
    paginations = [one.get("pagination") for one in (around, data) if isinstance(one, dict)]
    cursor = next((one.get("nextCursor") for one in paginations if isinstance(one, dict)), None)
    following = read_id(cursor)
    if following is None and isinstance(cursor, str) and cursor:
        return "an invalid cursor: too long, or not printable", [], None
    return None, [(str(id_), row) for id_, row in rows], following


def _made_from(messages: list[Message], moment: float | None) -> list[Message]:
    """The messages that were made at a time or later, or that have no time."""
    return [one for one in messages if moment is None or (at := made_at(one)) is None or at >= moment]
