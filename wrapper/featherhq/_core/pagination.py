"""Lists in pages: which way they run, where to go on, and when to stop. Pure.

The vendor's pages do not say which way a list runs, so that is told from the messages' own times. Everything that lists
messages asks here: `messages()`, conversations, and the search for a message of unknown outcome.
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

# Of the pairs of messages that tell which way a list runs, so many have to agree: a shuffled page tells nothing.
_AGREEMENT: Final = 0.9
# Times that differ by less, in seconds, may be out of order by the clocks that wrote them alone.
_CLOCKS_APART: Final = 3.0
# So many pairs are enough to believe it of all lists of this server.
_MANY: Final = 8
# Rows may stand a little out of order, also across two pages: what is so many seconds older than the newest of the
# list so far stands where it belongs.
_SETTLED: Final = 10.0
# So many pages in a row may bring nothing new: a server may look through a long list for few messages.
_MOST_FRUITLESS: Final = 100


class EndlessListError(Exception):
    """Page after page of a list brings nothing new, and each names a next one."""


class Pages:
    """Where to go on in a list, from page to page, never in a circle, and not for ever.

    Args:
        first: The cursor of the first page to ask for; `None` for the list's own first.

    Attributes:
        cursor: What to ask for next.
        fruitless: How many pages in a row have brought nothing new.
    """

    def __init__(self, first: str | None = None) -> None:
        self.cursor = first
        self.fruitless = 0
        self._asked = {first}

    def follow(self, next_cursor: str | None, *, brought_something: bool) -> bool:
        """Go on to the page that the last one names; whether there is one that was not asked for yet.

        Args:
            next_cursor: Its cursor.
            brought_something: Whether the last page had anything new in it.

        Raises:
            EndlessListError: so many pages in a row had not.
        """
        self.fruitless = 0 if brought_something else self.fruitless + 1
        # A cursor that comes again would only bring what is here already.
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
    """Which way a list runs: by its times, or where they are all the same by what is known of its messages.

    Args:
        listed: Messages, as the server listed them.
        ranks: For known messages, numbers that rise as they became known.
        apart: Seconds that times have to differ by, to tell. By less than the default, clocks of the server may.

    Returns:
        `OLDEST_FIRST`, `NEWEST_FIRST` or `UNKNOWN`.
    """
    times = _times(listed)
    rising, falling = _evidence(times, apart)
    if len(set(times)) <= 1 and ranks:
        # What was sent and what was heard became known in their own orders, and not in one.
        for sent in (True, False):
            known = [ranks[said.id] for said in listed if said.id in ranks and (said.direction == INBOUND) == sent]
            more = _evidence(known, apart if times else 0.0, least=0.0)
            rising, falling = rising + more[0], falling + more[1]
    return _judge(rising, falling)


def order_for_all(listed: Sequence[Message]) -> int:
    """As `order_of`, where the list has enough of evidence to speak for all lists of its server."""
    rising, falling = _evidence(_times(listed), _CLOCKS_APART)
    return _judge(rising, falling) if rising + falling >= _MANY else UNKNOWN


def _times(listed: Sequence[Message]) -> list[float]:
    return [message.created_at.timestamp() for message in listed if message.created_at is not None]


def _evidence(values: Sequence[float], apart: float, *, least: float = 0.5) -> tuple[int, int]:
    """How many pairs rise and how many fall, by more than that. Each is compared with the one half a list on, so that
    neighbours may be out of order. Where less than the least part of the pairs tells, none does: a few may have changed
    places.
    """
    step = max(1, len(values) // 2)
    pairs = list(zip(values, values[step:], strict=False))
    rising = sum(later > earlier + apart for earlier, later in pairs)
    falling = sum(later < earlier - apart for earlier, later in pairs)
    return (rising, falling) if rising + falling >= least * len(pairs) else (0, 0)


def _judge(rising: int, falling: int) -> int:
    return (rising > _AGREEMENT * (rising + falling)) - (falling > _AGREEMENT * (rising + falling))


def oldest_first(listed: Sequence[Message], order: int = UNKNOWN) -> list[Message]:
    """Messages in the order they were made.

    Times decide; messages of the same time, or of none, keep the server's order, turned round where the list as a whole
    runs from the newest on.

    Args:
        listed: Messages, as the server listed them.
        order: Which way the list runs, where that is known.
    """
    order = order or order_of(listed, apart=0.0)
    return _in_time(list(reversed(listed)) if order == NEWEST_FIRST else list(listed))


def _in_time(ordered: list[Message]) -> list[Message]:
    if any(message.created_at is None for message in ordered):
        return ordered
    return sorted(ordered, key=attrgetter("created_at"))


class History:
    """A thread's messages, oldest first, from pages that may come either way round.

    Attributes:
        next_cursor: What to ask for next; `None` before the first page, and where there is no more.
        is_over: Whether there is no more.
    """

    def __init__(self) -> None:
        self.next_cursor: str | None = None
        self.is_over = False
        self._pages = Pages()
        # A server may give one id to two messages; what makes one message is all that we read of it.
        self._seen: set[tuple[object, ...]] = set()
        self._held: list[Message] = []
        self._order = UNKNOWN

    @property
    def count(self) -> int:
        """How many messages it has seen."""
        return len(self._seen)

    def add(self, page: Iterable[Message], next_cursor: str | None) -> list[Message]:
        """Take in a page, in the server's order.

        Args:
            page: Its messages.
            next_cursor: The cursor that asks for the next one, or `None` on the last.

        Returns:
            The messages that can be handed out by now: none before the list is known to run from the oldest on, and
            then all but those that the next page may have to be put before.

        Raises:
            EndlessListError: as in `Pages.follow`.
        """
        before = len(self._seen)
        for message in page:
            identity = (message.id, message.created_at, message.text)
            if identity not in self._seen:
                self._seen.add(identity)
                self._held.append(message)
        # Rows may have changed places, so a few do not tell.
        self._order = self._order or order_for_all(self._held)
        goes_on = self._pages.follow(next_cursor, brought_something=len(self._seen) > before)
        self.next_cursor, self.is_over = self._pages.cursor if goes_on else None, not goes_on
        if self.is_over:
            ready, self._held = oldest_first(self._held, self._order), []
            return ready
        if self._order != OLDEST_FIRST:
            return []
        ordered = _in_time(self._held)
        newest = ordered[-1].created_at
        ready = list(takewhile(lambda message: not _may_be_overtaken(message, newest), ordered))
        self._held = ordered[len(ready) :]
        return ready


def _may_be_overtaken(message: Message, newest: datetime | None) -> bool:
    """Whether a later page may hold a message that stands before this one."""
    if message.created_at is None or newest is None:
        return False
    return (newest - message.created_at).total_seconds() <= _SETTLED
