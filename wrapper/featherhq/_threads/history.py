"""One scan of a thread's history: it reads as few pages as needed to find what is new. Pure.

If the list is newest first, a scan reads from its beginning until it reaches known messages.

If the list is oldest first, the new messages are at its end, and a long list has many pages before them. So a scan
begins at an *anchor*, in the middle of the list. An anchor is a cursor: one that the server has handed out before, or
the id of a known message. (In this API, a cursor is the id of the last message of the page before.)

An anchor is a guess. The server may accept only cursors that it has handed out, and the message of the anchor may have
been deleted. A server that does not know a cursor may send an error, an empty page, or the first page.
So an anchor has *witnesses*: known messages that must come after it. If the page contains none of them, the guess was
wrong, and the scan reads the list from its beginning.
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

# Seconds. Rows may be a little out of order. After a message that is this much older than the floor, nothing is new.
_FAR: Final = 10.0
# After this many messages that are older than the floor at all, nothing is new either.
_ENOUGH_OLD: Final = 20
# How often one scan may begin again.
_MOST_RESTARTS: Final = 3
# If a list has no more messages than this, few of them are older than the conversation.
_SHORT: Final = 10
# An anchor has several witnesses, because some of them may be deleted.
_WITNESSES: Final = 5


@frozen
class Anchor:
    """Where to begin in a list that is oldest first.

    Attributes:
        cursor: A cursor that the server has handed out, or the id of a known message.
        witnesses: Ids of known messages after it. If there are none, an empty page proves nothing.
    """

    cursor: str
    witnesses: frozenset[str] = frozenset()


class HistoryScan:
    """One scan.

    Args:
        experience: What is known about the server's lists. The scan adds what this list shows.
        ranks: For ids of known messages, numbers that rise in the order in which the messages became known.
        before: Ids of known messages that were in the thread before all other known messages.
        settled: Ids of known messages up to which the list was read before.
        floor: The server's time, in seconds since 1970, before which no message is new. `None` if it is not known.
        anchor: Where to begin if the list is oldest first, or `None` for its beginning.
        order: The order of this list from an earlier scan. It is used if the order of all lists is not known.

    Attributes:
        order: The order of the list, or `UNKNOWN`.
        found_nothing: Whether the scan began at an anchor without witnesses, and nothing comes after that anchor.
        from_anchor: Whether the listed messages begin after the anchor, and not at the beginning of the list.
        is_whole: Whether the scan has listed the whole list.
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
        # An anchor with a witness on the first page. Its page shows whether the server accepts ids as cursors.
        self._probe: Anchor | None = None
        self._probing = False
        self._restarts = 0
        self._experience = experience
        self._ranks = {} if ranks is None else ranks
        self._before = before
        self._settled = settled
        self._floor = floor
        self._anchor = anchor
        self._listed: dict[str, Message] = {}
        # Cursors that the server has handed out, each with the number of messages that were listed before it.
        self._handed_out: list[tuple[str, int]] = []
        self.from_anchor = self.order == OLDEST_FIRST and self._may_jump
        self._pages = Pages(anchor.cursor if anchor is not None and self.from_anchor else None)

    @property
    def cursor(self) -> str | None:
        """The cursor of the page to request next."""
        return self._pages.cursor

    def has_floor(self, floor: float | None) -> None:
        """Set the floor, if it has become known since the scan began."""
        if self._floor is None:
            self._floor = floor

    @property
    def has_begun(self) -> bool:
        """Whether it has listed a message."""
        return bool(self._listed)

    @property
    def guesses(self) -> bool:
        """Whether the cursor of the page to request next is a guess."""
        return self._anchor is not None and self.cursor == self._anchor.cursor

    def add(self, page: Sequence[Message], next_cursor: str | None) -> bool:
        """Take in the page that was requested with `cursor`. Returns whether the scan is over.

        Raises:
            EndlessListError: as in `Pages.follow`.
        """
        if self.guesses and not self._is_honoured(page):
            return self._judge_guess(page)
        # An anchor with witnesses may be a cursor that the server has handed out. So only a probe, or an anchor without
        # witnesses, proves that any id is accepted.
        if self._probing or (self.guesses and self._anchor is not None and not self._anchor.witnesses):
            self._experience.ids_are_cursors = True
        if self._probing:
            # Ids are accepted as cursors. So the empty page after the anchor was right: nothing comes after it.
            self.found_nothing = True
            return True
        before = len(self._listed)
        self._listed.update((message.id, message) for message in page)
        if not self._learn_order():
            # The list is newest first, so the messages after the anchor are older than it. None of them is new.
            self.refused()
            return False
        if self.order == NEWEST_FIRST and self._has_reached_known():
            return True
        if not self._pages.follow(next_cursor, brought_something=len(self._listed) > before) or next_cursor is None:
            self.is_whole = next_cursor is None and not self.from_anchor
            return True
        self._handed_out.append((next_cursor, len(self._listed)))
        if self.order == OLDEST_FIRST and not self.from_anchor and self._may_jump and not self._is_listed(self._anchor):
            # The anchor is further on. The messages before it are older and known, so their pages are skipped.
            assert self._anchor is not None  # noqa: S101 - without an anchor, `_may_jump` is false
            self.from_anchor = True
            if len(page) > 1:
                self._probe = Anchor(page[-2].id, frozenset({page[-1].id}))
            self._clear()
            self._pages = Pages(self._anchor.cursor)
        return False

    def _learn_order(self) -> bool:
        """Find out the order of the list. Returns `False` if an anchor was used although the list is newest first."""
        listed = list(self._listed.values())
        found = order_for_all(listed)
        if found != UNKNOWN:
            self._experience.order = found
        # The times of messages count more than earlier guesses. The order in which messages became known counts least.
        self.order = found or order_of(listed) or self.order or order_of(listed, self._ranks)
        return not (self.from_anchor and self.order == NEWEST_FIRST)

    def _judge_guess(self, page: Sequence[Message]) -> bool:
        """Handle a page that does not fit the guess. Returns whether the scan is over."""
        anchor = self._anchor
        if self._probing:
            self._experience.ids_are_cursors = False
        elif anchor is not None and not anchor.witnesses and not page:
            # Either nothing comes after the anchor, or the server does not accept an id as a cursor.
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
        """Whether the scan may begin again if the server refuses the cursor."""
        return self.cursor is not None and self._restarts < _MOST_RESTARTS

    def refused(self) -> None:
        """The guess was wrong, or the message of a cursor was deleted: read the list from its beginning."""
        self._restarts += 1
        self._anchor, self.from_anchor, self._probing = None, False, False
        self._clear()
        self._pages = Pages()

    def _clear(self) -> None:
        self._listed.clear()
        self._handed_out.clear()

    @property
    def way(self) -> int:
        """The order of the list, by the best evidence there is. It is never `UNKNOWN`."""
        listed = list(self._listed.values())
        return self.order or order_of(listed, self._ranks, apart=0.0) or self._order_by_places(listed)

    @property
    def is_order_known(self) -> bool:
        """Whether `way` is more than a guess."""
        return self.order != UNKNOWN or order_of(list(self._listed.values()), self._ranks, apart=0.0) != UNKNOWN

    @property
    def rows(self) -> list[Message]:
        """All messages that were listed, in the order of the list, turned round if the list is newest first."""
        listed = list(self._listed.values())
        return listed if self.way == OLDEST_FIRST else listed[::-1]

    @property
    def listed(self) -> list[Message]:
        """All messages that were listed, oldest first."""
        listed = list(self._listed.values())
        return oldest_first(listed, self.way)

    def _order_by_places(self, listed: Sequence[Message]) -> int:
        """The order of a list without useful times, by the places of known messages in it."""
        ids = [message.id for message in listed]
        before = [place for place, id_ in enumerate(ids) if id_ in self._before]
        known = [place for place, id_ in enumerate(ids) if id_ in self._ranks and id_ not in self._before]
        if not known:
            return OLDEST_FIRST
        # Messages from before the conversation are older than its own messages. If none of them is known, the order is
        # guessed: in a short list, the unknown messages are probably new, so the known ones are older. In a long list,
        # most unknown messages are probably from before the conversation, so the known ones are newer.
        middle = _mean(before) if before else (len(ids) - 1) / 2
        late = (_mean(known) > middle) == bool(before or len(ids) > _SHORT)
        return OLDEST_FIRST if late else NEWEST_FIRST

    def next_anchor(self, ids: Collection[str]) -> Anchor | None:
        """Where the next scan may begin, so that it lists everything after the last message of `ids`.

        A cursor that the server has handed out is best, because the server may accept no others. The second choice is
        the id of a message. The anchor lies before the last messages of `ids`, so that these can be its witnesses.
        """
        runs_on = self.order == OLDEST_FIRST
        rows = list(self._listed) if runs_on else [message.id for message in self.listed]
        places = [place for place, id_ in enumerate(rows) if id_ in ids]
        if not places:
            return None
        for cursor, place in reversed(self._handed_out if runs_on else []):
            # At least one message of `ids` must come after the cursor, as a witness.
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
        # Only the first ones: witnesses must be on the first page after the anchor.
        return frozenset(islice((id_ for id_ in rows if id_ in ids), _WITNESSES))

    def begins_after(self, message_id: str) -> bool:
        """Whether a known message stands at the anchor or before it, so that this scan cannot list it."""
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
        # An empty page after an anchor without witnesses has to be checked by a probe. The probe needs the first page.
        return self._experience.ids_are_cursors is not False and (
            bool(self._listed) or self._experience.ids_are_cursors is True
        )

    def _is_honoured(self, page: Sequence[Message]) -> bool:
        """Whether a page can be the one after the anchor."""
        assert self._anchor is not None  # noqa: S101 - only guesses are judged
        ids = {message.id for message in page}
        if self._anchor.witnesses:
            return not ids.isdisjoint(self._anchor.witnesses)
        # Without witnesses, a page fits if it is not empty and shows no message that is older than the anchor.
        anchored = self._ranks.get(self._anchor.cursor, float("-inf"))
        earlier = any(self._ranks.get(id_, anchored) < anchored for id_ in ids)
        return bool(page) and not earlier and not any(self.is_old(message, _FAR) for message in page)

    def _is_listed(self, anchor: Anchor | None) -> bool:
        return anchor is not None and anchor.cursor in self._listed

    def _has_reached_known(self) -> bool:
        """Whether a list that is newest first was read back to messages that are known or too old."""
        if self._settled:
            return any(id_ in self._listed for id_ in self._settled)
        if self._is_listed(self._anchor) and self._floor is None:
            return True
        old = [message for message in self._listed.values() if self.is_old(message)]
        return len(old) >= _ENOUGH_OLD or any(self.is_old(message, _FAR) for message in old)

    def is_old(self, message: Message, far: float = 0.0) -> bool:
        """Whether a message was made more than `far` seconds before the floor."""
        at = message.created_at
        return self._floor is not None and at is not None and at.timestamp() < self._floor - far


def _mean(places: Sequence[int]) -> float:
    # `statistics` would do, but it imports `decimal` and `fractions`.
    return sum(places) / len(places)
