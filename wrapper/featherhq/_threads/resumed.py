"""What is known about the messages of a conversation that goes on after a bookmark or a message. Pure.

The first scan reads what stands after the anchor (`bookmark.py`). All of the agent's messages there are new, except
those that were handed out before. From then on, the conversation is like any other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from featherhq._threads.history import Anchor
from featherhq._threads.messages import Messages
from featherhq._threads.own import Own, made_at
from featherhq._threads.resume import ResumeScan
from featherhq.models import INBOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from featherhq._core.events import Listener
    from featherhq._threads.bookmark import After
    from featherhq._threads.experience import Experience
    from featherhq._threads.history import HistoryScan
    from featherhq.models import Message


class ResumedMessages(Messages):
    """As `Messages`, for a conversation that goes on.

    Args:
        experience: As for `Messages`. This and the next four.
        server_time: See above.
        now: See above.
        wall_time: See above.
        listen: See above.
        after: Where the conversation goes on.

    Attributes:
        misses: How many scans have not found the anchor, though the server has not shown before that it exists.
    """

    def __init__(
        self,
        experience: Experience,
        server_time: Callable[[float], float | None],
        now: float,
        wall_time: float,
        listen: Listener,
        after: After,
    ) -> None:
        super().__init__(experience, server_time, {}, now, wall_time, listen, after)
        self.is_resuming, self.misses = True, 0
        self._after = after
        self._starts_at = after.starts_at
        if after.anchor is not None:
            self._known[after.anchor] = -math.inf
            if after.is_sure:
                self._settled.add(after.anchor)

    def expect_reply(self, now: float) -> Own:
        """Somebody waits for the reply to the anchor, which is a message of ours."""
        after = self._after
        assert after.anchor is not None  # noqa: S101 - it is the id that the caller has given
        own = self._owns[after.anchor] = Own(after.anchor, now, after.anchor_at)
        return own

    def hear(self, message: Message, opened_at: float, at: float) -> bool:
        """As `Messages.hear`."""
        return not self._was_given(message, at) and super().hear(message, opened_at, at)

    def scan(self, now: float, *, partial: bool) -> tuple[HistoryScan, Own | None]:
        """As `Messages.scan`."""
        if not self.is_resuming:
            return super().scan(now, partial=partial)
        after = self._after
        # A scan from an anchor that is not sure leaves out a part.
        behind = None if after.is_sure or after.anchor is None else Own(after.anchor, math.inf, None)
        return ResumeScan(self._experience, after, self._starts_at, self._known), behind

    def read(self, scan: HistoryScan, began: float, now: float, *, partial: bool) -> tuple[list[Message], bool]:
        """As `Messages.read`."""
        for message in scan.listed:
            self._was_given(message, began)
        if not isinstance(scan, ResumeScan):
            return super().read(scan, began, now, partial=partial)
        if not scan.has_anchor and not self._after.is_proven:
            # A list may lag. So the next one may show the anchor.
            self.misses += 1
            return [], True
        return self._resume(scan, began, now, partial=partial)

    def _resume(self, scan: ResumeScan, began: float, now: float, *, partial: bool) -> tuple[list[Message], bool]:
        """Take in what stands after the anchor."""
        listed, after = scan.listed, scan.after_anchor if scan.has_anchor else []
        self._order = scan.order
        ids = {message.id for message in after}
        if self._starts_at is None:
            # The first time that is certainly new.
            times = [made for message in after if (made := made_at(message)) is not None]
            self._starts_at = min(times, default=None)
        if not scan.has_anchor or not self._after.is_sure:
            # The place does not tell, or not for all messages. So times do.
            ids |= {message.id for message in listed if (made_at(message) or -math.inf) >= self._new_from}
        fresh, others = [], []
        before = set() if self._after.anchor is None else {self._after.anchor}
        for message in listed:
            if message.id in self._known:
                continue
            if message.id not in ids:
                others.append((message.id, -math.inf))
            elif message.direction == INBOUND:
                others.append((message.id, now))
            else:
                self._put(self._placed(message, before, now))
                fresh.append(message)
        # The stream may have repeated messages that stand before the anchor.
        self.inbox.drop({message.id for message in listed} - ids)
        self._keep_others(others, scan, began)
        self.inbox.put_in_order(listed, began)
        self.inbox.keep_all()
        self.is_resuming = False
        if self._after.anchor is not None and self._after.is_sure and scan.has_anchor:
            # Where the next scan begins, until a better place is known.
            self._anchor = Anchor(self._after.anchor)
        if not partial:
            self._settle(listed, scan, began)
        return fresh, not scan.has_anchor

    def _read(self, listed: Sequence[Message], scan: HistoryScan, began: float, now: float) -> list[Message]:
        # What stands before the anchor is not new, whatever its time.
        place = next((place for place, message in enumerate(scan.rows) if message.id == self._after.anchor), 0)
        ids = {message.id for message in scan.rows[place if self._after.is_sure else 0 :]}
        return super()._read([message for message in listed if message.id in ids], scan, began, now)

    def _is_new(self, made: float | None, *, is_after_ours: bool) -> bool:
        # What has the time of a sure anchor is new only if it stands after that.
        is_anchors = self._after.is_sure and made is not None and made == self._starts_at
        return super()._is_new(made, is_after_ours=is_after_ours) and (is_after_ours or not is_anchors)

    @property
    def _new_from(self) -> float:
        return super()._new_from if self._starts_at is None else self._starts_at

    def _was_given(self, message: Message, now: float) -> bool:
        """Whether an earlier conversation has handed this message out."""
        known_at = self.progress.given_at(message.id, now)
        if known_at is None:
            return False
        self._know(message.id, known_at)
        return True
