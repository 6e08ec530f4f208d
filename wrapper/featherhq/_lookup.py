"""One look into a thread's history, for what is new in it: page after page, as far as it must and no further. Pure.

The vendor's pages do not say which way the list runs. From the newest on, it is read until it comes to what is
known. From the oldest on, a known message's id serves as the cursor (a cursor is the id of the last message of the
page before), so that a long thread need not be read through.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from featherhq._models import INBOUND
from featherhq._replies import in_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featherhq._models import Message

# Of the pairs of messages that tell which way a list runs, so many have to agree: a shuffled page tells nothing.
_AGREEMENT: Final = 0.9
# Messages too old to be new, after which there is no use in looking for one that should have come long ago.
_ENOUGH_OLD: Final = 100


class Lookup:
    """One look.

    Args:
        settled: The id of a message up to which everything is known.
        mark: The id of a message of ours that is in the thread, where there is none up to which all is known.
        floor: The server's time in seconds since 1970 before which nothing is new.
        order: Which way the list runs: 1 from the oldest on, -1 from the newest on, 0 where that is not known.
        ranks: Ids of known messages, with numbers that rise as they became known.

    Attributes:
        cursor: What to ask for next.
        order: As above, as far as it was found out.
    """

    def __init__(
        self,
        *,
        settled: str | None = None,
        mark: str | None = None,
        floor: float | None = None,
        order: int = 0,
        ranks: Mapping[str, float] | None = None,
    ) -> None:
        self.order = order
        self._settled = settled
        self._mark = mark
        self._floor = floor
        self._ranks = ranks or {}
        self._known = settled or mark
        self._jumped = order > 0 and self._known is not None
        self.cursor = self._known if self._jumped else None
        self._cursors = {self.cursor}
        self._listed: dict[str, Message] = {}

    @property
    def whole(self) -> bool:
        """Whether the list was read from one of its ends, so that it lacks nothing that is new."""
        return not self._jumped

    def add(self, page: Sequence[Message], next_cursor: str | None) -> bool:
        """Take in the page that `cursor` asked for; whether the look is over."""
        self._listed.update((message.id, message) for message in page)
        if next_cursor is None or next_cursor in self._cursors:
            return True
        self.order = self.order or _order(list(self._listed.values()), self._ranks)
        if self.order < 0 and self._reached():
            return True
        if self.order > 0 and not self._jumped and self._known is not None and self._known not in self._listed:
            # It lies far ahead: what stands between is older, and of no interest.
            self._jumped = True
            self._listed.clear()
            next_cursor = self._known
        self.cursor = next_cursor
        self._cursors.add(next_cursor)
        return False

    def _reached(self) -> bool:
        """Whether a list that runs from the newest on has come to what is known."""
        if self._settled is not None and self._settled in self._listed:
            return True
        old = sum(self._is_old(message) for message in self._listed.values())
        return bool(old) and (old >= _ENOUGH_OLD or self._known is None or self._known in self._listed)

    def _is_old(self, message: Message) -> bool:
        return (
            self._floor is not None and message.created_at is not None and message.created_at.timestamp() < self._floor
        )

    def listed(self) -> list[Message]:
        """All that was listed, oldest first."""
        listed = list(self._listed.values())
        return in_time(listed if self._way(listed) >= 0 else listed[::-1])

    def last_old(self) -> str | None:
        """The id of the last message that is older than the floor, where the list runs from the oldest on."""
        old = [message.id for message in self.listed() if self.order > 0 and self._is_old(message)]
        return old[-1] if old else None

    def new(self) -> list[Message]:
        """What was listed and may be new, oldest first: what stands after the settled message; else what stands after
        the mark, or is younger than the floor.
        """
        ordered = self.listed()
        ids = [message.id for message in ordered]
        if len(ids) > 1 and not (self.order or _order(ordered, self._ranks)):
            # All of one time, and nothing tells which way they run: then any of them may be new.
            return ordered
        if self._settled in ids:
            return ordered[ids.index(self._settled) + 1 :]
        if self._jumped:
            return ordered
        after = ids.index(self._mark) if self._mark in ids else len(ids)
        return [
            message
            for place, message in enumerate(ordered)
            if place > after or (message.created_at is not None and not self._is_old(message))
        ]

    def _way(self, listed: Sequence[Message]) -> int:
        way = self.order or _order(listed, self._ranks)
        if way:
            return way
        # Nothing tells but this: what is known is older than what is not.
        known = [place for place, message in enumerate(listed) if message.id in self._ranks]
        return -1 if known and 2 * sum(known) > len(known) * (len(listed) - 1) else 1


def _order(listed: Sequence[Message], ranks: Mapping[str, float]) -> int:
    """Which way a list runs, by its times, or where they are all the same by what is known of its messages."""
    times = [message.created_at for message in listed if message.created_at is not None]
    rising = sum(later > earlier for earlier, later in pairwise(times))
    falling = sum(later < earlier for earlier, later in pairwise(times))
    if not rising + falling:
        # What was sent and what was heard became known in their own orders, and not in one.
        for sent in (True, False):
            known = [ranks[said.id] for said in listed if said.id in ranks and (said.direction == INBOUND) == sent]
            rising += sum(later > earlier for earlier, later in pairwise(known))
            falling += sum(later < earlier for earlier, later in pairwise(known))
    return (rising > _AGREEMENT * (rising + falling)) - (falling > _AGREEMENT * (rising + falling))
