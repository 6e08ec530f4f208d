"""What is known of a conversation's messages: which are new, and which of them answer which of ours. Pure.

Messages are told apart by their ids. Those that were handed out, sent, or known before are *known*, each with when.
Some of those are *others*: no concern of the conversation's, as they stood in the thread before it. A message is new
where it is not known, and not older than the conversation by its stamp or by its place in the list.

Known messages that a scan of the list has read past, and that had been known for ten seconds by then, are *settled*:
only a scan moves that mark, and the next one reads back to it. So what a stream has left out is found by the next one.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, frozen

from featherhq._core.pagination import OLDEST_FIRST, UNKNOWN, oldest_first
from featherhq._log import logger
from featherhq._threads.history import Anchor, HistoryScan
from featherhq.models import INBOUND, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from featherhq._core.effects import Accepted
    from featherhq._threads.experience import Experience

# All in seconds, but for what is called otherwise.
# Messages of the server may be stamped by clocks that differ by so much, and cut to whole seconds.
_SLACK: Final = 3.0
# A reply may be stamped so much before its question.
_EARLY_REPLY: Final = 2.0
# A message with an old stamp that comes so soon after a stream opened is one that the server sends again.
_GREETING: Final = 3.0
# Older than this by its stamp, a message is new by no evidence.
_OLD: Final = 600.0
# Where so many bear one time, it tells nothing.
_MANY_OF_ONE_TIME: Final = 10
# Times of live messages run behind the clock of the `Date` header by no more than this; more is a delay.
_LONGEST_LIVE_BEHIND: Final = 10.0
# What has been known for so long is where it belongs in the list, and nothing will show up before it any more.
_SETTLING: Final = 10.0
# What has not shown in the list for so long is not late, but gone.
_GONE: Final = 30.0
# A list that shows what is not older than this is fresh.
_A_MOMENT_AGO: Final = 0.5
# After this long without an answer, a message no longer makes its conversation more urgent than others.
_LONGEST_OWED: Final = 60.0
# Ids that are remembered, and others that one list may add to them; messages that wait to be handed out; messages of
# ours whose answers are awaited.
_MOST_KNOWN: Final = 2000
_MOST_OTHERS: Final = 50
_MOST_UNREAD: Final = 256
_MOST_AWAITED: Final = 100
# So many ids are remembered for that.
_MOST_TOLD_APART: Final = 256
# Between the server's id and what tells a second message of that id from the first. No id has it in it.
_APART: Final = "\0"
# So many scans in a row may find nothing behind a message of ours, before it is looked whether that is still there.
_DOUBTED: Final = 3
# Of what is remembered, so many of the oldest serve as an anchor and its witnesses.
_OLDEST: Final = 6


@define(eq=False)
class Own:
    """A message of ours that was accepted.

    Attributes:
        id: Its id.
        began: When its last attempt began, on the monotonic clock.
        made_at: The server's time then, in seconds since 1970; its stamp, once the list has shown it; or `None`.
        listed: Whether the list has shown it.
        answered: Whether a message of the agent's has come that was made after it.
    """

    id: str
    began: float
    made_at: float | None
    listed: bool = False
    answered: bool = False


@frozen
class _Heard:
    """A message to hand out.

    Attributes:
        message: The message.
        at: When it came, on the monotonic clock.
        follows: Ids of the messages of ours that it was made after, as far as can be told.
        may_follow: Ids of those that it may have been made after.
    """

    message: Message
    at: float
    follows: frozenset[str]
    may_follow: frozenset[str]


class Messages:
    """What is known of one conversation's messages.

    Args:
        experience: What is known of the server, shared by all conversations of a client.
        server_time: Gives the server's time at a moment of the monotonic clock, in seconds since 1970, or `None`.
        known: Ids of messages that were known before it began, each with when.
        now: The time on the monotonic clock, in seconds, here and in all that follows.
        wall_time: The time in seconds since 1970.
    """

    def __init__(
        self,
        experience: Experience,
        server_time: Callable[[float], float | None],
        known: Mapping[str, float],
        now: float,
        wall_time: float,
    ) -> None:
        self._experience = experience
        self._server_time = server_time
        # The server's time when it began: what is older is not new. Ours is the best there is until the server tells.
        self._began, self._began_by_wall = now, wall_time
        self._floor = server_time(now)
        self._known: OrderedDict[str, float] = OrderedDict(known)
        # Each with when it was first seen.
        self._others = dict(known)
        self._settled: set[str] = set()
        self._missing: dict[str, float] = {}
        self._inbox: deque[_Heard] = deque()
        # Of the first message of each id, its time and a hash of its text.
        self._first_of: OrderedDict[str, tuple[datetime, int]] = OrderedDict()
        self._owns: dict[str, Own] = {}
        self._heard_live_at = now
        self._forgot = self._overflowed = False
        # Whether the whole list was read once, so that what it did not show then is new, though no time tells so.
        self._all_seen = False
        # Where the next scan may begin, and how many have found nothing there.
        self._anchor: Anchor | None = None
        self._doubts = 0
        self._order = UNKNOWN

    # What waits to be handed out.

    @property
    def waiting_since(self) -> float | None:
        """When the first of those came that wait to be handed out."""
        return self._inbox[0].at if self._inbox else None

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be handed out that no more need be read just now."""
        return len(self._inbox) >= _MOST_UNREAD

    def told_apart(self, message: Message) -> Message:
        """The message, under an id that no other has: a server may give one id to two messages.

        They are two where both their texts and their times differ: a text alone may be altered, or be shown in parts.
        """
        if message.created_at is None:
            return message
        at, text = self._first_of.setdefault(message.id, (message.created_at, hash(message.text)))
        if len(self._first_of) > _MOST_TOLD_APART:
            self._first_of.popitem(last=False)
        if text == hash(message.text) or _is_one_moment(at, message.created_at):
            return message
        return evolve(message, id=f"{message.id}{_APART}{message.created_at.timestamp()}")

    def take(self) -> Message | None:
        """Hand out the next message."""
        return _as_it_came(self._inbox.popleft()) if self._inbox else None

    def take_reply(self, own: Own, now: float, *, last: bool = False) -> Message | None:
        """Hand out the first message that was made after one of ours.

        Args:
            own: Our message.
            now: The time.
            last: Whether time is up, so that there is nothing more to wait for.
        """
        for heard in self._inbox:
            if own.id in heard.follows:
                return self._hand_out(heard)
        for heard in self._inbox:
            if own.listed and own.id in heard.may_follow and (last or now >= heard.at + self._experience.lag):
                return self._hand_out(heard)
        return None

    def _hand_out(self, heard: _Heard) -> Message:
        self._inbox.remove(heard)
        return _as_it_came(heard)

    def trim(self) -> None:
        """Let what one `ask` after the other has passed over not pile up for ever."""
        if len(self._inbox) <= _MOST_UNREAD:
            return
        while len(self._inbox) > _MOST_UNREAD:
            self._inbox.popleft()
        if not self._overflowed:
            self._overflowed = True
            logger.warning(
                "more than %d messages of a conversation were not taken; the oldest are left to thread.messages()",
                _MOST_UNREAD,
            )

    # Messages of ours.

    def unanswered(self, now: float) -> list[Own]:
        """Messages of ours that wait for an answer, and have not waited too long."""
        return [own for own in self._owns.values() if not own.answered and now < own.began + _LONGEST_OWED]

    def is_unanswered_since(self, moment: float) -> bool:
        """Whether a message of ours that was sent before a moment waits for its answer."""
        return any(not own.answered and own.began < moment for own in self._owns.values())

    def accepted(self, accepted: Accepted, now: float, *, asking: bool) -> Own:
        """A message of ours was accepted.

        Args:
            accepted: The message.
            now: The time.
            asking: Whether somebody waits for its reply, so that nothing that came before was one.
        """
        own = Own(accepted.message_id, accepted.began, accepted.server_time)
        own.answered = not asking and self._heard_live_at > own.began
        self._owns[own.id] = own
        if len(self._owns) > _MOST_AWAITED:
            del self._owns[next(iter(self._owns))]
        self._others.pop(own.id, None)
        self._know(own.id, now)
        return own

    # What a stream has brought.

    def time_is_known(self) -> None:
        """The server has told its time, perhaps for the first time."""
        if self._floor is None:
            self._floor = self._server_time(self._began)

    def hear(self, message: Message, opened_at: float, at: float) -> bool:
        """Take in a message that a stream has brought, which opened then; whether it is new."""
        stamp = _stamp(message)
        live = at > opened_at + _GREETING
        new = stamp is None or stamp >= self._new_from or live
        if message.id in self._known or not new:
            return False
        self._experience.delivers = True
        self._heard_live_at = at
        server_time = self._server_time(at)
        if live and stamp is not None and server_time is not None and server_time - stamp <= _LONGEST_LIVE_BEHIND:
            self._experience.stamped(server_time - stamp)
        after = frozenset(
            own.id
            for own in self._owns.values()
            if not own.answered and own.began <= at and _may_be_after(message, own, self._early)
        )
        self._put(_Heard(message, at, after, after))
        return True

    # What a scan has listed.

    def scan(self, now: float, *, partial: bool) -> tuple[HistoryScan, Own | None]:
        """A new scan, and the message of ours behind which it may begin, if that is where it does.

        Args:
            now: The time.
            partial: Whether the last one has read a part only, so that this one reads all, if nobody waits for it.
        """
        anchor, behind = self._anchor, None
        if self._forgot and (anchor is None or anchor.cursor not in self._known):
            # What is forgotten is not read again.
            oldest = list(islice(self._known, _OLDEST))
            anchor = Anchor(oldest[0], frozenset(oldest[1:]))
            self._settled.add(oldest[0])
        if (partial or self._doubts >= _DOUBTED) and not self.unanswered(now):
            anchor = None
        elif anchor is None and self._owns:
            # The first: what streams have left out since then is to be found too.
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
        """The server does not take it as a cursor any more."""
        self._anchor = None

    def read(self, scan: HistoryScan, began: float, now: float, *, partial: bool) -> tuple[list[Message], bool]:
        """Take in what a scan has listed.

        Args:
            scan: The scan.
            began: When it began.
            now: The time.
            partial: Whether it has left a part out, so that the mark stays where it is.

        Returns:
            The new messages in it; and whether the list lacks what is known to be there, so that it lags.
        """
        listed = scan.listed
        times = {message.created_at for message in listed}
        known = any(message.id in self._others for message in listed) and any(
            message.id in self._owns for message in listed
        )
        if known and len(times) == 1 and scan.way == OLDEST_FIRST:
            # Seen by where ours stands: behind what was there before. (A wrong guess of the other way would lose some.)
            self._order = OLDEST_FIRST
        lags = self._note_lag(listed, scan, began)
        fresh = self._read(listed, scan, began, now)
        self._put_in_order(listed, began)
        self._doubts = self._doubts + 1 if scan.found_nothing else 0
        if not partial:
            self._settle(listed, scan, began)
        return fresh, lags

    def _note_lag(self, listed: Sequence[Message], scan: HistoryScan, began: float) -> bool:
        """See whether the list lacks what is known to be there; what shows up now tells by how much it lags."""
        ids = {message.id for message in listed}
        for id_ in ids & self._missing.keys():
            self._experience.list_lagged(self._missing.pop(id_), began - self._known[id_])
        lags = False
        self._missing = {}
        for id_, at in reversed(self._known.items()):
            if at < began - _GONE or (scan.from_anchor and scan.begins_after(id_)):
                break
            if began - _A_MOMENT_AGO < at < began and id_ in ids:
                self._experience.list_was_fresh()
            if at < began and id_ not in ids and id_ not in self._others:
                self._missing[id_] = began - at
                lags = True
        return lags

    def _settle(self, listed: Sequence[Message], scan: HistoryScan, began: float) -> None:
        """Move the mark: what has been known for a while, and was read past now, need not be read again."""
        by = began - _SETTLING
        for message in listed:
            stamp = _stamp(message)
            old = message.id in self._others and stamp is not None and stamp < self._new_from - _SETTLING
            if old or self._others.get(message.id, self._known.get(message.id, math.inf)) <= by:
                self._settled.add(message.id)
        self._settled &= self._known.keys()
        self._anchor = scan.next_anchor(self._settled) or self._anchor

    def _read(self, listed: Sequence[Message], scan: HistoryScan, began: float, now: float) -> list[Message]:
        """The new messages in a list."""
        fresh, others = [], []
        # After one of this conversation's own, whatever is not known is new, whatever its stamp.
        is_after_ours = False
        # Behind an anchor, so is what stands behind all that was there before.
        behind = max((place for place, message in enumerate(listed) if message.id in self._others), default=-1)
        follows_anchor = scan.from_anchor and not self._forgot
        # Where many bear one time, it tells nothing.
        tells = len(listed) < _MANY_OF_ONE_TIME or len({message.created_at for message in listed}) > 1
        before: set[str] = {id_ for id_ in self._owns if scan.from_anchor and scan.begins_after(id_)}
        for place, message in enumerate(listed):
            own = self._owns.get(message.id)
            stamp = _stamp(message) if tells else None
            if own is not None:
                own.listed = True
                self._learn_stamp(own, stamp)
                before.add(own.id)
            is_known = message.id in self._known
            ours = own is not None or (scan.order != UNKNOWN and is_known and message.id not in self._others)
            is_after_ours = is_after_ours or ours or (follows_anchor and place > behind)
            if self._forgot and not is_after_ours:
                # Older than all that is remembered.
                continue
            new = (
                is_after_ours or self._all_seen
                if stamp is None
                else stamp >= self._new_from - (_OLD if is_after_ours else 0)
            )
            if is_known:
                continue
            if message.direction == INBOUND or not new:
                # When it was made, on our clock, as far as that can be told.
                since = 0.0 if stamp is None or self._floor is None else max(0.0, stamp - self._floor)
                others.append((message.id, self._began + since))
            else:
                self._put(self._placed(message, before, now))
                fresh.append(message)
        # Nothing for us; but the last of them are known next time, and tell where to stop.
        # (Where it is not known which way the list runs, the last may be the first.)
        kept = others if len(others) <= _MOST_OTHERS else [*others[: _MOST_OTHERS // 2], *others[-_MOST_OTHERS // 2 :]]
        for id_, made_at in reversed(kept):
            self._others[id_] = began
            self._known[id_] = made_at
            self._known.move_to_end(id_, last=False)
        self._all_seen = self._all_seen or (scan.is_whole and len(kept) == len(others))
        return fresh

    def _put_in_order(self, listed: Sequence[Message], began: float) -> None:
        """Put what waits to be handed out in order: by the list, where times do not tell."""
        places = {message.id: place for place, message in enumerate(listed)}
        older = began - self._experience.lag
        waiting = sorted(
            self._inbox, key=lambda heard: places.get(heard.message.id, -1 if heard.at < older else len(places))
        )
        ids = {heard.message.id: heard for heard in waiting}
        self._inbox = deque(
            ids[message.id] for message in oldest_first([heard.message for heard in waiting], OLDEST_FIRST)
        )

    def _placed(self, message: Message, before: set[str], now: float) -> _Heard:
        """A listed message, with the messages of ours that it was made after by its place or its stamp."""
        follows, may_follow, stamp = set(), set(), _stamp(message)
        for own in self._owns.values():
            if own.answered:
                continue
            by_time = own.listed and stamp is not None and own.made_at is not None and stamp >= own.made_at
            if by_time or own.id in before:
                follows.add(own.id)
            elif _may_be_after(message, own, self._early):
                may_follow.add(own.id)
        return _Heard(message, now, frozenset(follows), frozenset(may_follow))

    @property
    def _early(self) -> float:
        """How much before its question a reply may be stamped."""
        return _EARLY_REPLY + self._experience.behind

    def _learn_stamp(self, own: Own, stamp: float | None) -> None:
        if stamp is None:
            return
        if own.made_at is not None:
            self._experience.stamped(own.made_at - stamp)
        own.made_at = stamp

    @property
    def _new_from(self) -> float:
        """The stamp from which on messages are new, in seconds since 1970."""
        floor = self._began_by_wall if self._floor is None else self._floor
        return floor - _SLACK - self._experience.behind

    def _put(self, heard: _Heard) -> None:
        self._know(heard.message.id, heard.at)
        self._inbox.append(heard)
        for id_ in heard.follows:
            self._owns[id_].answered = True

    def _know(self, message_id: str, at: float) -> None:
        self._known[message_id] = at
        if len(self._known) > _MOST_KNOWN:
            forgotten, _ = self._known.popitem(last=False)
            self._settled.discard(forgotten)
            self._others.pop(forgotten, None)
            self._forgot = True


def _is_one_moment(first: datetime, second: datetime) -> bool:
    """Whether two times are the same, one of them cut to whole seconds, perhaps."""
    cut = 0 in {first.microsecond, second.microsecond}
    return first == second or (cut and first.replace(microsecond=0) == second.replace(microsecond=0))


def _as_it_came(heard: _Heard) -> Message:
    """A message, under the server's own id for it."""
    message = heard.message
    return evolve(message, id=message.id.partition(_APART)[0]) if _APART in message.id else message


def _stamp(message: Message) -> float | None:
    return None if message.created_at is None else message.created_at.timestamp()


def _may_be_after(message: Message, own: Own, early: float) -> bool:
    """Whether a message may be an answer to ours, by its stamp."""
    stamp = _stamp(message)
    return stamp is None or own.made_at is None or stamp >= own.made_at - early
