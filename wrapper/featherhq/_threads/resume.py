"""The scan with which a conversation goes on after a bookmark or a message. Pure.

It reads what stands after an *anchor* in the list, and not the whole list. If the list is newest first, that is its
beginning. If the list is oldest first, the anchor's id is the cursor of the first page to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from featherhq._core.pagination import OLDEST_FIRST, UNKNOWN, judge, oldest_first, order_of_many
from featherhq._threads.bookmark import hashed
from featherhq._threads.history import Anchor, HistoryScan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featherhq._threads.bookmark import After
    from featherhq._threads.experience import Experience
    from featherhq.models import Message

# Ranks of what was handed out before lie this much below the times of the monotonic clock.
_BELOW_ALL: Final = 1e9


class ResumeScan(HistoryScan):
    """One scan that reads what comes after an anchor.

    Args:
        experience: As for `HistoryScan`.
        after: Where to go on.
        floor: As for `HistoryScan`.
        ranks: As for `HistoryScan`. The anchor has the lowest.
    """

    def __init__(
        self, experience: Experience, after: After, floor: float | None, ranks: dict[str, float] | None = None
    ) -> None:
        self._after = after
        # Ids on the first page. A page that begins after the anchor shows none of them.
        self._first: set[str] = set()
        self._own_ranks = dict(ranks or {})
        super().__init__(experience, ranks=self._own_ranks, floor=floor, anchor=self._wanted, order=after.order)
        # What was handed out before became known before all that this conversation knows.
        latest = max((at for at in after.given.values() if at is not None), default=0.0)
        self._given = {key: at - latest - _BELOW_ALL for key, at in after.given.items() if at is not None}
        if self.from_anchor and not after.is_proven:
            # The first page may show whether there is such a message.
            self.refused()
            self._anchor = self._wanted

    def add(self, page: Sequence[Message], next_cursor: str | None) -> bool:
        """As `HistoryScan.add`."""
        self._own_ranks.update((message.id, rank) for message in page if (rank := self._given.get(hashed(message.id))))
        if self.cursor is None:
            self._first = {message.id for message in page}
        is_over = super().add(page, next_cursor)
        if self.found_nothing and not self._after.is_proven:
            # The anchor is the last message, or the server does not know it. Only the whole list can tell.
            self.found_nothing = False
            self.refused()
            return False
        return is_over

    @property
    def has_anchor(self) -> bool:
        """Whether the scan has found the anchor, or what comes after it."""
        return self.from_anchor or self.found_nothing or self._is_listed(self._wanted)

    @property
    def after_anchor(self) -> list[Message]:
        """The messages after the anchor, oldest first. If the anchor is not listed, all that were listed."""
        rows = self.rows
        place = next((place for place, message in enumerate(rows) if message.id == self._after.anchor), -1)
        return oldest_first(rows[place + 1 :], OLDEST_FIRST)

    @property
    def _wanted(self) -> Anchor | None:
        return None if self._after.anchor is None else Anchor(self._after.anchor)

    def _learn_order(self) -> bool:
        ok = super()._learn_order()
        if self.order == UNKNOWN and not self.from_anchor:
            self.order = self._order_by_anchor() or order_of_many(list(self._listed.values()))
        return ok

    def _order_by_anchor(self) -> int:
        """The order, if the anchor is not on the first pages: those are its oldest messages, or its newest."""
        at = self._after.anchor_at
        if at is None or self._is_listed(self._wanted):
            return UNKNOWN
        times = [message.created_at.timestamp() for message in self._listed.values() if message.created_at is not None]
        return judge(sum(time < at for time in times), sum(time > at for time in times))

    def _is_honoured(self, page: Sequence[Message]) -> bool:
        is_first_again = not self._probing and not self._first.isdisjoint(message.id for message in page)
        return not is_first_again and super()._is_honoured(page)

    def _has_reached_known(self) -> bool:
        # If the anchor is not sure, the list is read back to the floor.
        return (self._after.is_sure and self._is_listed(self._wanted)) or super()._has_reached_known()
