"""What is known about the messages of a conversation: which are new, and which of them reply to which of ours. Pure.

Messages are told apart by their ids. A message is *known* if it was returned, sent, or known before. Some known
messages are *others*: they stood in the thread before the conversation and do not concern it. A message is new if it is
not known, and if by its time or by its place in the list it is not older than the conversation.

A known message is *settled* if a scan has read past it, and if it had been known for ten seconds by then. Only a scan
settles messages, and the next scan reads back to the settled ones. So the next scan finds what a stream has left out.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from featherhq._core.pagination import OLDEST_FIRST, UNKNOWN
from featherhq._threads.history import Anchor, HistoryScan
from featherhq._threads.inbox import Heard, Inbox
from featherhq._threads.lateness import Lateness
from featherhq._threads.own import Own, made_at
from featherhq._threads.progress import SETTLING, Progress
from featherhq.models import INBOUND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from featherhq._core.effects import Accepted
    from featherhq._core.events import Listener
    from featherhq._threads.bookmark import After
    from featherhq._threads.experience import Experience
    from featherhq.models import Message

# All in seconds, unless a comment says otherwise.
# The clocks of the server may differ by this much, and its times may be cut to whole seconds.
_SLACK: Final = 3.0
# The time of a reply may lie this much before the time of its question.
_EARLY_REPLY: Final = 2.0
# If a message with an old time comes so soon after a stream opened, the server has sent it again.
_GREETING: Final = 3.0
# A message whose time is older than this is not new, whatever else is known.
_OLD: Final = 600.0
# Messages. If this many have one and the same time, it says nothing.
_MANY_OF_ONE_TIME: Final = 10
# The times of live messages run behind the clock of the `Date` header by no more than this. More is a delay.
_LONGEST_LIVE_BEHIND: Final = 10.0
# After this long without a reply, a message no longer makes its conversation urgent.
_LONGEST_OWED: Final = 60.0
# Ids that are remembered; others that one list may add; messages of ours that wait for a reply.
_MOST_KNOWN: Final = 2000
_MOST_OTHERS: Final = 50
_MOST_AWAITED: Final = 100
# After this many scans that found nothing after a message of ours, the next one checks whether that still exists.
_DOUBTED: Final = 3
# Of the remembered ids, this many of the oldest serve as an anchor and its witnesses.
_OLDEST: Final = 6


class Messages:
    """What is known about the messages of one conversation.

    Args:
        experience: What is known about the server, shared by all conversations of a client.
        server_time: Gives the server's time in seconds since 1970 for a time of the monotonic clock, or `None`.
        known: Ids of messages that were known before, each with when it became known.
        now: The time now, in seconds of the monotonic clock. It has the same meaning in all methods.
        wall_time: The time now, in seconds since 1970.
        listen: Hears of events.
        after: Where the conversation goes on, or `None` if it begins with new messages.

    Attributes:
        inbox: The messages that wait for the caller.
        progress: How far the caller has come.
        is_resuming: Whether the list was not read yet from where the conversation goes on.
    """

    is_resuming = False

    def __init__(
        self,
        experience: Experience,
        server_time: Callable[[float], float | None],
        known: Mapping[str, float],
        now: float,
        wall_time: float,
        listen: Listener,
        after: After | None = None,
    ) -> None:
        self.progress = Progress(experience, server_time, after, now)
        self.inbox = Inbox(experience, listen, self.progress.took)
        self._experience = experience
        self._server_time = server_time
        # The server's time when the conversation began (until it is known, ours): what is older is not new.
        self._began, self._began_by_wall = now, wall_time
        self._floor = server_time(now)
        self._known: OrderedDict[str, float] = OrderedDict(known)
        self._others = dict(known)  # with when each was first seen
        self._settled: set[str] = set()
        self._lateness = Lateness(experience)
        self._owns: dict[str, Own] = {}
        self._heard_live_at = now
        self._forgot = False
        # Whether a scan has once read the whole list. Then a message that it did not show is new, also without a time.
        self._all_seen = False
        # Where the next scan may begin, and how many scans have found nothing there.
        self._anchor: Anchor | None = None
        self._doubts, self._order = 0, UNKNOWN

    # Messages of ours.

    def unanswered(self, now: float) -> list[Own]:
        """Messages of ours that wait for a reply, and have not waited too long."""
        return [own for own in self._owns.values() if not own.answered and now < own.began + _LONGEST_OWED]

    def is_unanswered_since(self, moment: float) -> bool:
        """Whether a message of ours that was sent before a time waits for its reply."""
        return any(not own.answered and own.began < moment for own in self._owns.values())

    def accepted(self, accepted: Accepted, now: float, *, asking: bool) -> Own:
        """A message of ours was accepted.

        Args:
            accepted: The message.
            now: The time now.
            asking: Whether somebody waits for its reply. Then nothing that came before was the reply.
        """
        own = Own(accepted.message_id, accepted.began, accepted.server_time)
        own.answered = not asking and self._heard_live_at > own.began
        self._owns[own.id] = own
        if len(self._owns) > _MOST_AWAITED:
            del self._owns[next(iter(self._owns))]
        self._others.pop(own.id, None)
        self._know(own.id, now)
        return own

    def after(self, now: float) -> After:
        """Where another conversation can go on. Any thread may ask, so it works on copies."""
        waiting = self.inbox.ids
        known = {id_: at for id_, at in dict(self._known).items() if id_ not in self._others and id_ not in waiting}
        return self.progress.after(now, self._new_from, known, list(self._others), waits=bool(waiting))

    # Messages that a stream has brought.

    def time_is_known(self) -> None:
        """The server may have told its time for the first time."""
        if self._floor is None:
            self._floor = self._server_time(self._began)

    def hear(self, message: Message, opened_at: float, at: float) -> bool:
        """Take in a message that a stream has brought.

        Args:
            message: The message.
            opened_at: When the stream opened.
            at: When the message came.

        Returns:
            Whether it is new.
        """
        made = made_at(message)
        live = at > opened_at + _GREETING
        new = made is None or made >= self._new_from or live
        if message.id in self._known or not new:
            return False
        self._experience.delivers = True
        self._heard_live_at = at
        server_time = self._server_time(at)
        if live and made is not None and server_time is not None and server_time - made <= _LONGEST_LIVE_BEHIND:
            self._experience.stamped(server_time - made)
        after = frozenset(
            own.id
            for own in self._owns.values()
            if not own.answered and own.began <= at and own.may_precede(message, self._early)
        )
        self._put(Heard(message, at, after, after))
        return True

    # Messages that a scan has listed.

    def scan(self, now: float, *, partial: bool) -> tuple[HistoryScan, Own | None]:
        """A new scan, and the message of ours after which it may begin, if it does so.

        Args:
            now: The time now.
            partial: Whether the last scan has left out a part. Then this one reads everything, unless somebody waits.
        """
        anchor, behind = self._anchor, None
        if self._forgot and (anchor is None or anchor.cursor not in self._known):
            # What was forgotten is not read again.
            oldest = list(islice(self._known, _OLDEST))
            anchor = Anchor(oldest[0], frozenset(oldest[1:]))
            self._settled.add(oldest[0])
        if (partial or self._doubts >= _DOUBTED) and not self.unanswered(now):
            anchor = None
        elif anchor is None and self._owns:
            # The first one, so that the scan also finds what streams have left out since then.
            behind = next(iter(self._owns.values()))
            anchor = Anchor(behind.id)
        scan = HistoryScan(
            self._experience,
            ranks=self._known,
            before=self._others,
            settled=self._settled,
            floor=self._new_from,
            anchor=anchor,
            order=self._order,
        )
        return scan, behind

    def refuse_anchor(self) -> None:
        """The server no longer accepts the anchor as a cursor."""
        self._anchor = None

    def read(self, scan: HistoryScan, began: float, now: float, *, partial: bool) -> tuple[list[Message], bool]:
        """Take in what a scan has listed.

        Args:
            scan: The scan.
            began: When it began.
            now: The time now.
            partial: Whether it has left out a part. Then it settles no message.

        Returns:
            The new messages in it, and whether the list lags: it lacks a message that is known to exist.
        """
        listed = scan.listed
        ids = {message.id for message in listed}
        both = not ids.isdisjoint(self._others) and not ids.isdisjoint(self._owns)
        if both and len({message.created_at for message in listed}) == 1 and scan.way == OLDEST_FIRST:
            # Our own message stands after the others. (A wrong guess of the other way would lose messages.)
            self._order = OLDEST_FIRST
        lags = self._lateness.note(scan, began, self._known, self._others)
        fresh = self._read(listed, scan, began, now)
        self.inbox.put_in_order(listed, began)
        self._doubts = self._doubts + 1 if scan.found_nothing else 0
        if not partial:
            self._settle(listed, scan, began)
        return fresh, lags

    def _settle(self, listed: Sequence[Message], scan: HistoryScan, began: float) -> None:
        """Settle messages that have been known for a while and were read past now. They need not be read again."""
        by = began - SETTLING
        for message in listed:
            made = made_at(message)
            old = message.id in self._others and made is not None and made < self._new_from - SETTLING
            if old or self._others.get(message.id, self._known.get(message.id, math.inf)) <= by:
                self._settled.add(message.id)
        self._settled &= self._known.keys()
        self.progress.scanned(scan, self._settled, self.inbox.ids, began)
        self._anchor = scan.next_anchor(self._settled) or self._anchor

    def _read(self, listed: Sequence[Message], scan: HistoryScan, began: float, now: float) -> list[Message]:
        """The new messages in a list."""
        fresh, others = [], []
        # After a message of this conversation, every unknown message is new, whatever its time.
        is_after_ours = False
        # After an anchor, the same holds for what stands after all messages that were there before.
        behind = max((place for place, message in enumerate(listed) if message.id in self._others), default=-1)
        follows_anchor = scan.from_anchor and not self._forgot
        # If many messages have one time, it says nothing.
        tells = len(listed) < _MANY_OF_ONE_TIME or len({message.created_at for message in listed}) > 1
        before: set[str] = {id_ for id_ in self._owns if scan.from_anchor and scan.begins_after(id_)}
        for place, message in enumerate(listed):
            own, made = self._owns.get(message.id), made_at(message) if tells else None
            if own is not None:
                own.listed = True
                self._learn_time(own, made)
                before.add(own.id)
            is_known = message.id in self._known
            ours = own is not None or (scan.order != UNKNOWN and is_known and message.id not in self._others)
            is_after_ours = is_after_ours or ours or (follows_anchor and place > behind)
            if is_known or (self._forgot and not is_after_ours):
                # Known, or older than all that is remembered.
                continue
            if message.direction == INBOUND or not self._is_new(made, is_after_ours=is_after_ours):
                # With the time at which it was made, on our clock, as far as that is known.
                since = 0.0 if made is None or self._floor is None else max(0.0, made - self._floor)
                others.append((message.id, self._began + since))
            else:
                self._put(self._placed(message, before, now))
                fresh.append(message)
        self._keep_others(others, scan, began)
        return fresh

    def _is_new(self, made: float | None, *, is_after_ours: bool) -> bool:
        """Whether an unknown message is new, by its time if that says anything."""
        if made is None:
            return is_after_ours or self._all_seen
        return made >= self._new_from - (_OLD if is_after_ours else 0)

    def _keep_others(self, others: list[tuple[str, float]], scan: HistoryScan, began: float) -> None:
        """Remember the first and last messages that do not concern us: the next scan stops at them."""
        kept = others if len(others) <= _MOST_OTHERS else [*others[: _MOST_OTHERS // 2], *others[-_MOST_OTHERS // 2 :]]
        for id_, at in reversed(kept):
            self._others[id_] = began
            self._known[id_] = at
            self._known.move_to_end(id_, last=False)
        self._all_seen = self._all_seen or (scan.is_whole and len(kept) == len(others))

    def _placed(self, message: Message, before: set[str], now: float) -> Heard:
        """A listed message, with the messages of ours that it was made after by its place or its time."""
        follows, may_follow, made = set(), set(), made_at(message)
        for own in self._owns.values():
            if own.answered:
                continue
            by_time = own.listed and made is not None and own.made_at is not None and made >= own.made_at
            if by_time or own.id in before:
                follows.add(own.id)
            elif own.may_precede(message, self._early):
                may_follow.add(own.id)
        return Heard(message, now, frozenset(follows), frozenset(may_follow))

    @property
    def _early(self) -> float:
        """Seconds that the time of a reply may lie before the time of its question."""
        return _EARLY_REPLY + self._experience.behind

    def _learn_time(self, own: Own, made: float | None) -> None:
        if made is None:
            return
        if own.made_at is not None:
            self._experience.stamped(own.made_at - made)
        own.made_at = made

    @property
    def _new_from(self) -> float:
        """Messages are new if they were made at this time or later, in seconds since 1970."""
        floor = self._began_by_wall if self._floor is None else self._floor
        return floor - _SLACK - self._experience.behind

    def _put(self, heard: Heard) -> None:
        self._know(heard.message.id, heard.at)
        self.inbox.put(heard)
        for id_ in heard.follows:
            self._owns[id_].answered = not self._owns[id_].expects_more

    def _know(self, message_id: str, at: float) -> None:
        self._known[message_id] = at
        if len(self._known) > _MOST_KNOWN:
            forgotten, _ = self._known.popitem(last=False)
            self._settled.discard(forgotten)
            self._others.pop(forgotten, None)
            self._forgot = True
