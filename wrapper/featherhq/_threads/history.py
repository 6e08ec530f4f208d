"""One scan of a thread's history, for what is new in it: page after page, as far as it must and no further. Pure.

From the newest on, a list is read until it comes to what is known. From the oldest on, it is read from an *anchor*: a
known message whose id serves as the cursor, so that a long thread need not be read through. (A cursor is the id of the
last message of the page before.) An anchor is a guess, as the server did not hand it out as a cursor just now, and its
message may be gone. So it has *witnesses*, known messages that have to come after it. Where none of them does, the
guess was wrong, and the list is read from its end.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from attrs import frozen

from featherhq._core.pagination import NEWEST_FIRST, OLDEST_FIRST, UNKNOWN, Pages, oldest_first, order_for_all, order_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from featherhq._threads.experience import Experience
    from featherhq.models import Message

# Rows may stand a little out of order: what is so many seconds older than the floor is behind it for sure.
_FAR: Final = 10.0
# And so many that are older than the floor are enough, however little.
_ENOUGH_OLD: Final = 20
# How often a scan is begun anew.
_ANEW: Final = 3
# A list of no more than so many messages holds little that has stood there for long.
_SHORT: Final = 10
# An anchor has so many witnesses, that one of them may be deleted.
_WITNESSES: Final = 5


@frozen
class Anchor:
    """Where to begin in a list that runs from the oldest on.

    Attributes:
        cursor: The id of a message.
        witnesses: Ids of messages after it. Where there are none, an empty page proves nothing.
    """

    cursor: str
    witnesses: frozenset[str] = frozenset()


class HistoryScan:
    """One scan.

    Args:
        experience: What is known of this server's lists; what this one shows is added to it.
        ranks: Ids of known messages, with numbers that rise as they became known.
        before: Those of them that stood there before whatever else is known.
        settled: Those of them up to which the list has been read before.
        floor: The server's time, in seconds since 1970, before which nothing is new, as far as it is known.
        anchor: Where to begin, if there is anything to begin at.
        order: Which way the list runs, where nothing is known of all lists and this one has been read before.

    Attributes:
        order: Which way the list runs, as far as it was found out.
        found_nothing: Whether it began at an anchor without witnesses, and found nothing behind it.
        from_anchor: Whether what was listed begins after the anchor, and not at an end of the list.
        is_whole: Whether all that the list has was listed.
    """

    def __init__(
        self,
        experience: Experience,
        *,
        ranks: Mapping[str, float] | None = None,
        before: Collection[str] = (),
        settled: Collection[str] = (),
        floor: float | None = None,
        anchor: Anchor | None = None,
        order: int = UNKNOWN,
    ) -> None:
        self.order = experience.order or order
        self.found_nothing = self.is_whole = False
        # Two messages of the list's first page, to find out whether ids serve as cursors.
        self._probe: Anchor | None = None
        self._probing = False
        self._begun_again = 0
        self._experience = experience
        self._ranks = ranks or {}
        self._before = before
        self._settled = settled
        self._floor = floor
        self._anchor = anchor
        self._listed: dict[str, Message] = {}
        # Cursors that the server has handed out, each with how many messages were listed by then.
        self._handed_out: list[tuple[str, int]] = []
        self.from_anchor = self.order == OLDEST_FIRST and self._may_jump
        self._pages = Pages(anchor.cursor if anchor is not None and self.from_anchor else None)

    @property
    def cursor(self) -> str | None:
        """What to ask for next."""
        return self._pages.cursor

    @property
    def has_begun(self) -> bool:
        """Whether it has listed something."""
        return bool(self._listed)

    @property
    def guesses(self) -> bool:
        """Whether the cursor to ask for next is a guess."""
        return self._anchor is not None and self.cursor == self._anchor.cursor

    def add(self, page: Sequence[Message], next_cursor: str | None) -> bool:
        """Take in the page that `cursor` asked for; whether the scan is over.

        Raises:
            EndlessListError: as in `Pages.follow`.
        """
        if self.guesses and not self._is_honoured(page):
            return self._judge_guess(page)
        if self._probing or (self.guesses and self._anchor is not None and not self._anchor.witnesses):
            self._experience.ids_are_cursors = True
        if self._probing:
            self.found_nothing = True
            return True
        before = len(self._listed)
        self._listed.update((message.id, message) for message in page)
        if not self._learn_order():
            # Behind an anchor stands what is older: it was asked for as if the list ran the other way.
            self.refused()
            return False
        if self.order == NEWEST_FIRST and self._has_reached_known():
            return True
        if not self._pages.follow(next_cursor, brought_something=len(self._listed) > before) or next_cursor is None:
            self.is_whole = next_cursor is None and not self.from_anchor
            return True
        self._handed_out.append((next_cursor, len(self._listed)))
        if self.order == OLDEST_FIRST and not self.from_anchor and self._may_jump and not self._is_listed(self._anchor):
            # It lies far ahead: what stands between is older, and of no interest.
            assert self._anchor is not None  # noqa: S101 - else there would be no jump
            self.from_anchor = True
            if len(page) > 1:
                self._probe = Anchor(page[-2].id, frozenset({page[-1].id}))
            self._clear()
            self._pages = Pages(self._anchor.cursor)
        return False

    def _learn_order(self) -> bool:
        """Find out which way the list runs; whether it was read that way so far."""
        listed = list(self._listed.values())
        found = order_for_all(listed)
        if found != UNKNOWN:
            self._experience.order = found
        # Times overrule whatever was thought before.
        self.order = found or order_of(listed) or self.order or order_of(listed, self._ranks)
        return not (self.from_anchor and self.order == NEWEST_FIRST)

    def _judge_guess(self, page: Sequence[Message]) -> bool:
        """A guess was not honoured, or there is nothing behind it: whether the scan is over."""
        anchor = self._anchor
        if self._probing:
            self._experience.ids_are_cursors = False
        elif anchor is not None and not anchor.witnesses and not page:
            # Nothing comes after it, if ids serve as cursors at all.
            if self._experience.ids_are_cursors:
                self.found_nothing = True
                return True
            if self._probe is not None:
                self._probing = True
                self._anchor = self._probe
                self._pages = Pages(self._probe.cursor)
                return False
        self.refused()
        return False

    @property
    def may_begin_again(self) -> bool:
        """Whether the list may be read from its end, where the cursor to ask for next is not taken."""
        return self.cursor is not None and self._begun_again < _ANEW

    def refused(self) -> None:
        """The guess was wrong, or the message of a cursor is gone: read the list from its end."""
        self._begun_again += 1
        self._anchor, self.from_anchor, self._probing = None, False, False
        self._clear()
        self._pages = Pages()

    def _clear(self) -> None:
        self._listed.clear()
        self._handed_out.clear()

    @property
    def way(self) -> int:
        """Which way the list runs, by all that may tell; never `UNKNOWN`."""
        listed = list(self._listed.values())
        return self.order or order_of(listed, self._ranks, apart=0.0) or self._order_by_places(listed)

    @property
    def listed(self) -> list[Message]:
        """All that was listed, oldest first."""
        listed = list(self._listed.values())
        return oldest_first(listed, self.way)

    def _order_by_places(self, listed: Sequence[Message]) -> int:
        """Which way a list runs of which no times tell, by where in it known messages stand."""
        ids = [message.id for message in listed]
        before = [place for place, id_ in enumerate(ids) if id_ in self._before]
        known = [place for place, id_ in enumerate(ids) if id_ in self._ranks and id_ not in self._before]
        if not known:
            return OLDEST_FIRST
        # What was there before stands before it. Where that is not known: in a short list, what is known is older than
        # what is not; in a long one, which has stood there for long, it is younger.
        middle = _mean(before) if before else (len(ids) - 1) / 2
        late = (_mean(known) > middle) == bool(before or len(ids) > _SHORT)
        return OLDEST_FIRST if late else NEWEST_FIRST

    def next_anchor(self, ids: Collection[str]) -> Anchor | None:
        """Where the next scan may begin, so that it lists what comes after the last of these.

        A cursor that the server has handed out is best, as it may take no others; else the id of a message.
        """
        runs_on = self.order == OLDEST_FIRST
        rows = list(self._listed) if runs_on else [message.id for message in self.listed]
        places = [place for place, id_ in enumerate(rows) if id_ in ids]
        if not places:
            return None
        for cursor, place in reversed(self._handed_out if runs_on else []):
            if place <= places[-1]:
                return Anchor(cursor, self._witnesses(rows[place:], ids))
        if self.from_anchor and self._anchor is not None:
            return Anchor(self._anchor.cursor, self._witnesses(rows, ids))
        if len(places) == 1 or self._experience.ids_are_cursors is False:
            return None
        first = places[max(0, len(places) - 1 - _WITNESSES)]
        return Anchor(rows[first], self._witnesses(rows[first + 1 :], ids))

    @staticmethod
    def _witnesses(rows: list[str], ids: Collection[str]) -> frozenset[str]:
        # The first of them, which are on the first page.
        return frozenset(islice((id_ for id_ in rows if id_ in ids), _WITNESSES))

    def begins_after(self, message_id: str) -> bool:
        """Whether a known message stands before all that was listed."""
        if self._anchor is None or not self.from_anchor:
            return False
        never = float("inf")
        return self._ranks.get(message_id, never) <= self._ranks.get(self._anchor.cursor, -never)

    @property
    def _may_jump(self) -> bool:
        if self._anchor is None:
            return False
        if self._anchor.witnesses:
            return True
        # Not proven yet: only where the list's first page is at hand, to prove it.
        return self._experience.ids_are_cursors is not False and (
            bool(self._listed) or self._experience.ids_are_cursors is True
        )

    def _is_honoured(self, page: Sequence[Message]) -> bool:
        """Whether a page can be what comes after the anchor."""
        assert self._anchor is not None  # noqa: S101 - only guesses are judged
        ids = {message.id for message in page}
        if self._anchor.witnesses:
            return not ids.isdisjoint(self._anchor.witnesses)
        anchored = self._ranks.get(self._anchor.cursor, float("-inf"))
        earlier = any(self._ranks.get(id_, anchored) < anchored for id_ in ids)
        return bool(page) and not earlier and not any(self.is_old(message, _FAR) for message in page)

    def _is_listed(self, anchor: Anchor | None) -> bool:
        return anchor is not None and anchor.cursor in self._listed

    def _has_reached_known(self) -> bool:
        """Whether a list that runs from the newest on has come to what is known."""
        if self._settled:
            return any(id_ in self._listed for id_ in self._settled)
        if self._is_listed(self._anchor) and self._floor is None:
            return True
        old = [message for message in self._listed.values() if self.is_old(message)]
        return len(old) >= _ENOUGH_OLD or any(self.is_old(message, _FAR) for message in old)

    def is_old(self, message: Message, far: float = 0.0) -> bool:
        at = message.created_at
        return self._floor is not None and at is not None and at.timestamp() < self._floor - far


def _mean(places: Sequence[int]) -> float:
    # `statistics` would do, but it imports `decimal` and `fractions`.
    return sum(places) / len(places)
