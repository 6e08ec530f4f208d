"""Read lists page by page: find out their order, follow their cursors, and know when to stop. Pure.

The vendor's pages do not say whether a list begins with the oldest or the newest message. So the order is found out
from the times of the messages. Everything that lists messages uses this module: `messages()`, conversations, and the
search for a message of unknown outcome.
"""

from __future__ import annotations

from itertools import takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from featherhq.models import INBOUND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from featherhq.models import Message

OLDEST_FIRST: Final = 1
NEWEST_FIRST: Final = -1
UNKNOWN: Final = 0

# More than this part of the pairs of messages must show the same order. A shuffled page shows no order.
_AGREEMENT: Final = 0.9
# Seconds. The servers that set the times may have different clocks. So a smaller difference does not show an order.
_CLOCKS_APART: Final = 3.0
# If this many pairs show an order, it is assumed for all lists of this server.
_MANY: Final = 8
# This many messages show their order also if their times differ by less than clocks may differ.
_ENOUGH: Final = 16
# Seconds. Rows may be a little out of order, also across two pages. A message that is this much older than the newest
# one so far has its final place: no later page brings an older message.
_SETTLED: Final = 10.0
# This many pages in a row may bring nothing new. A server may filter a long list, and find few messages in it.
_MOST_FRUITLESS: Final = 100


class EndlessListError(Exception):
    """Too many pages in a row bring nothing new, and each names a next page."""


class Pages:
    """The cursors of one list. No cursor is requested twice, and a list without an end is an error.

    Args:
        first: The cursor of the first page to request, or `None` for the beginning of the list.

    Attributes:
        cursor: The cursor of the page to request next.
        fruitless: How many pages in a row have brought nothing new.
    """

    def __init__(self, first: str | None = None) -> None:
        self.cursor = first
        self.fruitless = 0
        self._asked = {first}

    def follow(self, next_cursor: str | None, *, brought_something: bool) -> bool:
        """Go on to the next page. Returns whether there is one that was not requested yet.

        Args:
            next_cursor: The cursor that the last page names, or `None`.
            brought_something: Whether the last page contained anything new.

        Raises:
            EndlessListError: too many pages in a row brought nothing new.
        """
        self.fruitless = 0 if brought_something else self.fruitless + 1
        # A repeated cursor would only bring a page that is known already.
        if next_cursor is None or next_cursor in self._asked:
            return False
        if self.fruitless >= _MOST_FRUITLESS:
            raise EndlessListError(f"{self.fruitless} pages in a row bring nothing new, without an end")
        self.cursor = next_cursor
        self._asked.add(next_cursor)
        return True


def order_of(
    listed: Sequence[Message], ranks: Mapping[str, float] | None = None, *, apart: float = _CLOCKS_APART
) -> int:
    """The order of a list, from the times of its messages. If all times are equal, from the order of known messages.

    Args:
        listed: Messages in the server's order.
        ranks: For ids of known messages, numbers that rise in the order in which the messages became known.
        apart: Seconds. Two times show an order only if they differ by more than this. A smaller difference than the
            default may come from different clocks.

    Returns:
        `OLDEST_FIRST`, `NEWEST_FIRST` or `UNKNOWN`.
    """
    times = _times(listed)
    rising, falling = _evidence(times, apart)
    if len(set(times)) <= 1 and ranks:
        # Sent messages and received messages are compared separately: a reply may become known before the message that
        # it answers, if the response to that message is slow.
        for sent in (True, False):
            known = [ranks[said.id] for said in listed if said.id in ranks and (said.direction == INBOUND) == sent]
            more = _evidence(known, apart if times else 0.0, least=0.0)
            rising, falling = rising + more[0], falling + more[1]
    return judge(rising, falling)


def order_for_all(listed: Sequence[Message]) -> int:
    """As `order_of`, but only if the list shows it clearly enough to assume it for all lists of the server."""
    rising, falling = _evidence(_times(listed), _CLOCKS_APART)
    return judge(rising, falling) if rising + falling >= _MANY else UNKNOWN


def order_of_many(listed: Sequence[Message]) -> int:
    """As `order_of`, with times that differ by less than clocks may differ, if there are enough of them."""
    return order_of(listed, apart=0.0) if len(listed) >= _ENOUGH else UNKNOWN


def _times(listed: Sequence[Message]) -> list[float]:
    return [message.created_at.timestamp() for message in listed if message.created_at is not None]


def _evidence(values: Sequence[float], apart: float, *, least: float = 0.5) -> tuple[int, int]:
    """How many pairs of values rise, and how many fall, by more than `apart`.

    Each value is compared with the value half a list later, because neighbours may be out of order. If less than the
    part `least` of the pairs rises or falls, both counts are 0: a few rows may just have changed places.
    """
    step = max(1, len(values) // 2)
    pairs = list(zip(values, values[step:], strict=False))
    rising = sum(later > earlier + apart for earlier, later in pairs)
    falling = sum(later < earlier - apart for earlier, later in pairs)
    return (rising, falling) if rising + falling >= least * len(pairs) else (0, 0)


def judge(rising: int, falling: int) -> int:
    """The order that most pairs agree on, or `UNKNOWN` if too few agree."""
    return (rising > _AGREEMENT * (rising + falling)) - (falling > _AGREEMENT * (rising + falling))


def oldest_first(listed: Sequence[Message], order: int = UNKNOWN) -> list[Message]:
    """Messages in the order in which they were made.

    They are sorted by their times. Messages with the same time keep the order of the list, or the reverse order if the
    list is newest first. If a message has no time, no message is sorted by its time.

    Args:
        listed: Messages in the server's order.
        order: The order of the list, if it is known.
    """
    order = order or order_of(listed, apart=0.0)
    return _in_time(list(reversed(listed)) if order == NEWEST_FIRST else list(listed))


def _in_time(ordered: list[Message]) -> list[Message]:
    if any(message.created_at is None for message in ordered):
        return ordered
    return sorted(ordered, key=attrgetter("created_at"))


class History:
    """The messages of a thread, from a list in either order.

    Args:
        newest_first: Whether to give the newest message first, and not the oldest.

    Attributes:
        next_cursor: The cursor of the page to request next. `None` before the first page and after the last page.
        is_over: Whether there are no more pages.
    """

    def __init__(self, *, newest_first: bool = False) -> None:
        self._newest_first = newest_first
        self.next_cursor: str | None = None
        self.is_over = False
        self._pages = Pages()
        # A server may give one id to two messages. So two rows are the same message only if their ids, times and texts
        # are equal.
        self._seen: set[tuple[object, ...]] = set()
        self._held: list[Message] = []
        self._order = UNKNOWN

    @property
    def count(self) -> int:
        """How many different messages the pages have brought."""
        return len(self._seen)

    def add(self, page: Iterable[Message], next_cursor: str | None) -> list[Message]:
        """Take in a page.

        Args:
            page: Its messages in the server's order.
            next_cursor: The cursor of the next page, or `None` on the last page.

        Returns:
            The messages whose place in the history is final. Before the last page, there are none until the list is
            known to run in the wanted direction. If that is oldest first, the newest ones are held back: the next page
            may bring messages that belong before those.

        Raises:
            EndlessListError: as in `Pages.follow`.
        """
        before = len(self._seen)
        for message in page:
            identity = (message.id, message.created_at, message.text)
            if identity not in self._seen:
                self._seen.add(identity)
                self._held.append(message)
        # A few rows may have changed places, so only a clear order counts.
        self._order = self._order or order_for_all(self._held)
        goes_on = self._pages.follow(next_cursor, brought_something=len(self._seen) > before)
        self.next_cursor, self.is_over = self._pages.cursor if goes_on else None, not goes_on
        if self.is_over:
            ready, self._held = oldest_first(self._held, self._order), []
            return ready[::-1] if self._newest_first else ready
        if self._newest_first:
            return self._newest()
        if self._order != OLDEST_FIRST:
            return []
        ordered = _in_time(self._held)
        newest = ordered[-1].created_at
        ready = list(takewhile(lambda message: not _may_be_overtaken(message, newest), ordered))
        self._held = ordered[len(ready) :]
        return ready

    def _newest(self) -> list[Message]:
        """The messages so far, newest first. None if the list is not known to run that way."""
        # The caller wants a few messages, so their times count also if they differ by little.
        self._order = self._order or order_of_many(self._held)
        if self._order != NEWEST_FIRST:
            return []
        ready, self._held = oldest_first(self._held, NEWEST_FIRST), []
        return ready[::-1]


def _may_be_overtaken(message: Message, newest: datetime | None) -> bool:
    """Whether a later page may bring a message that belongs before this one."""
    if message.created_at is None or newest is None:
        return False
    return (newest - message.created_at).total_seconds() <= _SETTLED
