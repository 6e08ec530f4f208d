"""How far the caller of a conversation has come, for its bookmark. Pure.

The *anchor* is a message up to which, in the order of the list, everything was handed out. It moves on with the scans:
only the list shows what stands before a message. It moves to the last message that has been known for so long that
nothing more will appear before it, if no message before it waits for the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from featherhq._core.pagination import UNKNOWN
from featherhq._threads.bookmark import After, hashed
from featherhq._threads.own import made_at
from featherhq.models import INBOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from featherhq._threads.experience import Experience
    from featherhq._threads.history import HistoryScan
    from featherhq.models import Message

# All times are in seconds.
# What has been known for this long has its final place in the list, and nothing more will appear before it.
SETTLING: Final = 10.0
# What the list does not show, though it has been known for this long, is gone.
_GONE: Final = 30.0
# Rows. A few rows of the list may change places, so they are remembered although they stand before the anchor.
_MARGIN: Final = 3
# Messages. If this many were handed out beyond the anchor, a scan is due to move it: a bookmark must stay short.
_MANY_BEYOND: Final = 32
# This many are remembered: if the list cannot be read for long, and if nobody has asked for a bookmark yet.
_MOST_BEYOND: Final = 2000
_MOST_UNASKED: Final = 256


class Progress:
    """How far the caller has come.

    Args:
        experience: What is known about the server.
        server_time: Gives the server's time in seconds since 1970 for a time of the monotonic clock, or `None`.
        after: Where the conversation goes on, or `None` if it begins with new messages.
        now: The time now, in seconds of the monotonic clock. It has the same meaning in all methods.

    Attributes:
        is_wanted: Whether the caller has asked for a bookmark, so that it must stay short.
        given: What earlier conversations handed out beyond the anchor: hashes of ids, each with the server's time when
            that id became known, or `None`.
    """

    def __init__(
        self, experience: Experience, server_time: Callable[[float], float | None], after: After | None, now: float
    ) -> None:
        self._began = now
        self.is_wanted = after is not None
        self.given = {} if after is None else dict(after.given)
        self._experience = experience
        self._server_time = server_time
        sure = after is not None and after.is_sure
        self._anchor = after.anchor if after is not None and sure else None
        self._anchor_at = after.anchor_at if after is not None and sure else None
        self._order = UNKNOWN if after is None else after.order
        # Ids that were handed out beyond the anchor, each with when it became known, on the monotonic clock.
        self._taken: dict[str, float] = {}
        # The last of them that is no longer remembered, with when it became known.
        self._forgotten: tuple[str, float] | None = None

    @property
    def needs_scan(self) -> bool:
        """Whether a scan is due, so that bookmarks stay short."""
        return self.is_wanted and len(self._taken) + len(self.given) > _MANY_BEYOND

    def took(self, message_id: str, known_at: float) -> None:
        """The caller was given a message, or it was dropped because too many waited."""
        self._taken[message_id] = known_at
        if len(self._taken) > (_MOST_BEYOND if self.is_wanted else _MOST_UNASKED):
            oldest = next(iter(self._taken))
            self._forgotten = oldest, self._taken.pop(oldest)

    def given_at(self, message_id: str, now: float) -> float | None:
        """When a message became known that an earlier conversation has handed out; `None` if none has.

        From now on the message is one of this conversation.
        """
        if not self.given or (key := hashed(message_id)) not in self.given:
            return None
        known_at = self._known_at(self.given.pop(key), now)
        self.took(message_id, known_at)
        return known_at

    def scanned(self, scan: HistoryScan, settled: Collection[str], waiting: Collection[str], began: float) -> None:
        """Move the anchor on, after a scan that has left nothing out.

        Args:
            scan: The scan.
            settled: Ids of messages before which nothing more will appear.
            waiting: Ids of messages that wait for the caller.
            began: When the scan began.
        """
        gone = began - max(_GONE, self._patience)
        self.given = {key: at for key, at in self.given.items() if self._known_at(at, began) > gone}
        if not scan.is_order_known:
            return
        rows, self._order = scan.rows, self._experience.order
        ids = [message.id for message in rows]
        # Nothing may wait before the anchor, neither by the place in the list nor by the time.
        free = _before_first(waiting, ids) & _before_first(waiting, [message.id for message in scan.listed])
        old = began - self._patience
        settles = [id_ in free and id_ in settled and self._taken.get(id_, old) <= old for id_ in ids]
        if True in settles:
            self._move_to(rows, len(rows) - 1 - settles[::-1].index(True))
        place = ids.index(self._anchor) if self._anchor in ids else -1
        # What stands beyond the anchor and does not wait was handed out, or is not for the caller.
        beyond = {
            message.id: self._taken.get(message.id, old)
            for message in rows[max(0, place + 1 - _MARGIN) :]
            if message.id in self._taken
            or message.id == self._anchor
            or (place >= 0 and message.direction != INBOUND and message.id not in waiting)
        }
        self._taken = beyond | {id_: at for id_, at in self._taken.items() if id_ not in ids and at > gone}

    @property
    def _patience(self) -> float:
        """After this many seconds, the place of a message in the list is final."""
        return max(SETTLING, self._experience.longest_lag + self._experience.behind)

    def _move_to(self, rows: Sequence[Message], place: int) -> None:
        """Move the anchor to a row, but never back: what was handed out before the anchor is not remembered."""
        if all(message.id != self._anchor for message in rows[place:]):
            self._anchor, self._anchor_at = rows[place].id, made_at(rows[place])
            self._forgotten = None

    def _known_at(self, at: float | None, now: float) -> float:
        """When an id became known that an earlier conversation handed out, on the monotonic clock."""
        server_time = self._server_time(now)
        return self._began if at is None or server_time is None else now - max(0.0, server_time - at)

    def after(
        self, now: float, since: float, known: Mapping[str, float], others: Sequence[str], *, waits: bool
    ) -> After:
        """Where another conversation can go on.

        Args:
            now: The time now.
            since: The server's time, in seconds since 1970, from which on this conversation's messages are new.
            known: Ids of messages of this conversation that do not wait for the caller, each with when it became known.
            others: Ids of messages that do not concern it.
            waits: Whether messages wait for the caller.
        """
        self.is_wanted = True
        taken = dict(self._taken)
        given = {**self.given, **{hashed(id_): self._server_time(at) for id_, at in taken.items()}}
        if self._anchor is not None and self._forgotten is None:
            return After(self._anchor, self._anchor_at, order=self._order, given=given)
        # No scan has shown an anchor yet. The first known message tells the next conversation where to begin in a long
        # list. If it is not certain that nothing is missing before that message, times tell what is new.
        first, at = self._forgotten or next(iter(known.items()), (None, now))
        given = {**dict.fromkeys(map(hashed, others[-_MANY_BEYOND:])), **given}
        is_sure = first is not None and at <= now - SETTLING and not waits
        return After(first, since, since, is_sure=is_sure, order=self._order, given=given)


def _before_first(waiting: Collection[str], ids: list[str]) -> set[str]:
    """The ids before the first that waits. The last of them are left out: rows may change places."""
    place = next((place for place, id_ in enumerate(ids) if id_ in waiting), None)
    return set(ids if place is None else ids[: max(0, place - _MARGIN)])
