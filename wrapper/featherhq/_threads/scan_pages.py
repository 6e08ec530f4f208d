"""Read pages of a list for a scan, in the foreground: for the search for a message, and for `messages(after=…)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featherhq._core.pagination import EndlessListError
from featherhq._threads.flows import list_messages
from featherhq.errors import BadRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.effects import Flow
    from featherhq._core.retry import Deadline
    from featherhq._core.slots import Urgency
    from featherhq._settings import Settings
    from featherhq._threads.flows import Listing
    from featherhq._threads.history import HistoryScan


def read_pages(
    settings: Settings,
    listing: Listing,
    scan: HistoryScan,
    deadline: Callable[[], Deadline],
    *,
    urgency: Urgency | None = None,
    floor: Callable[[], float | None] | None = None,
) -> Flow[None]:
    """Read pages until a scan has seen enough.

    Args:
        settings: The client's settings.
        listing: What to list.
        scan: The scan.
        deadline: Gives the deadline of the next page.
        urgency: How urgent it is. Default: somebody waits for it.
        floor: Gives the floor of the scan, which may become known only with the first page.

    Raises:
        ResponseDecodeError: as in `list_messages`, or too many pages in a row bring nothing new.
    """
    while True:
        try:
            page = yield from list_messages(settings, listing, scan.cursor, deadline(), urgency)
        except (BadRequestError, NotFoundError):
            # The server may have refused the cursor, because the message of that id is gone.
            if not scan.may_begin_again:
                raise
            scan.refused()
            continue
        if floor is not None:
            scan.has_floor(floor())
        try:
            if scan.add(page.messages, page.next_cursor):
                return
        except EndlessListError as error:
            problem = str(error)
        else:
            continue
        raise page.response.not_as_promised(problem)
