"""The core of a conversation: it is told what happened, and says what to do next and which messages to hand out.

It is told of bytes from the event stream, of its opening and its end, of silence, of pages of the thread's history,
of messages sent, and of the time. Each of the agent's messages comes out of it once, and in order, whatever the
stream does: what a stream may have missed is looked up in the history, and what was given already is known by its id.
Pure: no sockets, no clock of its own, no httpx.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

from attrs import frozen

from featherhq._log import logger
from featherhq._lookup import Lookup
from featherhq._models import INBOUND, Message
from featherhq._replies import agent_message
from featherhq._retry import backoff
from featherhq._sse import EventDecoder, EventTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# All in seconds. A stream is checked against the history after a silence, soon while it has proved nothing yet,
# and ever more seldom while nothing comes: requests are scarce.
_FIRST_CHECK: Final = 5.0
_FIRST_CHECK_OF_PROVEN: Final = 20.0
_LONGEST_CHECK: Final = 300.0
# A list may lag: a gap is looked into once more when the stream has been open for so long.
_LAG: Final = 2.0
# Where there is no stream: soon at first, then seldom. A minute of silence costs five looks.
_FIRST_POLL: Final = 1.0
_LONGEST_POLL: Final = 30.0
_GROWTH: Final = 2.0
# Connections die without a word. A stream on which not even a heartbeat comes is opened anew.
_FIRST_STALL: Final = 60.0
_LONGEST_STALL: Final = 600.0
# What comes sooner than this after the opening is no heartbeat.
_GREETING: Final = 1.0
# How often a stream may be silent on what the history shows, before it is left for good.
_SILENT_TOO_OFTEN: Final = 2
# How often the history may fail while the stream brings later messages that wait for what it would show before them.
_FAILURES_WAITED_FOR: Final = 3
# After this long without a reply, a turn no longer keeps a long history from being read through.
_LONGEST_TURN: Final = 60.0
# How long a stream that brings nothing keeps from being opened again, whoever asks for it.
_LONGEST_DELAY: Final = 30.0


@frozen
class Connect:
    """Open the stream."""


@frozen
class Look:
    """Ask for a page of the history.

    Attributes:
        cursor: The cursor; `None` for the first page.
    """

    cursor: str | None


@frozen
class Listen:
    """Read from the stream, for so many seconds."""

    seconds: float


@frozen
class Rest:
    """Nothing to do, for so many seconds."""

    seconds: float


Action = Connect | Look | Listen | Rest


@frozen
class _Heard:
    """A message to hand out.

    Attributes:
        message: The message.
        turn: How many of the messages that were sent stand before it.
    """

    message: Message
    turn: int


class Talk:
    """What is known of one conversation.

    Args:
        random: Gives a number from 0 to 1, for the jitter.
        floor: Gives the server's time in seconds since 1970 before which nothing is new, as far as it is known.
        known: Ids of messages that were known before it began, each with when; what is not new is not handed out.
        now: The time on the monotonic clock, in seconds; as in all that follows.

    Attributes:
        connected: Whether there is a stream.
    """

    def __init__(
        self, random: Callable[[], float], floor: Callable[[], float | None], known: Mapping[str, float], now: float
    ) -> None:
        self.connected = False
        self._random = random
        self._floor = floor
        self._inbox: deque[_Heard] = deque()
        # Every message that was given out, sent, or known before, with when it became so.
        self._ranks: dict[str, float] = dict(known)
        self._newest_rank = now
        self._turns: dict[str, int] = {}
        self._settled: str | None = None
        self._settled_turn = 0
        self._mark: str | None = None
        self._skipped = False
        self._last_turn = 0
        self._sent_at = now
        self._order = 0
        self._lookup: Lookup | None = None
        self._decoder = EventDecoder()
        # Whether there may be messages that no stream has brought, and that the list did not show yet.
        self._gap = self._doubtful = False
        self._polling = False
        self._proven = False
        self._quiet = False
        self._strikes = 0
        self._fruitless = 0
        self._look_failures = 0
        self._interval = _FIRST_CHECK
        self._stall = _FIRST_STALL
        self._connect_at = now
        self._look_at = math.inf
        self._opened_at = self._stall_at = math.inf
        self._looked_at = now

    # What to do, and what to hand out.

    def next(self, now: float) -> Action:
        """What to do next."""
        if self._lookup is not None:
            return Look(self._lookup.cursor)
        if not self.connected and not self._polling and now >= self._connect_at:
            return Connect()
        # Not before what the stream has brought meanwhile is read; but a gap is filled before what comes after it.
        if now >= self._look_at and (self._gap or self._quiet or not self.connected):
            self._looked_at = now
            mark = None if self._may_read_all(now) else self._mark
            self._lookup = Lookup(
                settled=self._settled, mark=mark, floor=self._floor(), order=self._order, ranks=self._ranks
            )
            return Look(self._lookup.cursor)
        if self.connected and not self._waits_for_history():
            return Listen(max(0.0, min(self._look_at, self._stall_at) - now))
        return Rest(max(0.0, min(self._look_at, math.inf if self.connected else self._connect_at) - now))

    def _may_read_all(self, now: float) -> bool:
        """Whether the turn no longer waits for what would cost a request a page."""
        answered = self._last_turn == len(self._turns)
        return self._skipped and (answered or now > self._sent_at + _LONGEST_TURN)

    def _waits_for_history(self) -> bool:
        return self._gap and self._look_failures < _FAILURES_WAITED_FOR

    def take(self, turn: int = 0) -> Message | None:
        """Hand out the next message, or the next that stands after so many of those that were sent."""
        for heard in self._inbox:
            if heard.turn >= turn:
                self._inbox.remove(heard)
                return heard.message
        return None

    # What happened: the stream.

    def opened(self, now: float) -> None:
        """The stream is open."""
        self.connected, self._quiet = True, False
        self._decoder = EventDecoder()
        self._opened_at, self._stall_at = now, now + self._stall
        self._doubtful = self._gap
        if self._gap:
            self._look_at = now
        else:
            self._expect(now)

    def heard(self, chunk: bytes, now: float) -> list[Message]:
        """The stream has brought something: the new messages in it, which are then to be handed out."""
        self._quiet = False
        if now > self._opened_at + _GREETING:
            # It has heartbeats, or messages: so its silences are to be taken seriously.
            self._stall = _FIRST_STALL
        self._stall_at = now + self._stall
        fresh: list[Message] = []
        try:
            for event in self._decoder.feed(chunk):
                message = agent_message(event)
                if message is None:
                    continue
                self._fruitless = self._strikes = 0
                self._proven = True
                if not self._add(message, len(self._turns), self._next_rank(now)):
                    continue
                fresh.append(message)
                if not self._gap and not self._skipped and not self._doubtful:
                    # In order, and nothing missed: whatever the server made before it is known too.
                    self._settle(message.id, len(self._turns))
        except EventTooLargeError as error:
            self.ended(str(error), now)
        if fresh:
            self._expect(now)
        return fresh

    def silent(self, now: float) -> None:
        """The stream has brought nothing for as long as was listened."""
        self._quiet = True
        if now >= self._stall_at:
            self._stall = min(self._stall * _GROWTH, _LONGEST_STALL)
            self._fruitless = 0
            self.ended("silent for too long", now)

    def ended(self, why: str, now: float, wait: float | None = None) -> None:
        """The stream has ended, or could not be opened.

        Args:
            why: In a few words.
            now: The time.
            wait: Seconds that the server asks to wait, if it does.
        """
        was_open, self.connected = self.connected, False
        delay = max(backoff(self._fruitless, self._random, _LONGEST_DELAY), wait or 0.0, self._asked_for())
        self._fruitless += 1
        self._connect_at = now + delay
        self._gap = True
        self._proven = False
        # What it has missed shows when it is open again, or else now.
        self._look_at = math.inf if was_open else min(now, self._look_at)
        if not was_open and self._look_failures:
            self._look_at = now + backoff(self._look_failures, self._random)
        logger.warning("stream: %s; again in %.2f s", why, delay)

    def refused(self, why: str, now: float) -> None:
        """There is no stream to be had: from now on the history is looked at instead."""
        logger.warning("stream: %s; polling instead", why)
        self.connected, self._polling, self._gap = False, True, True
        self._connect_at = self._stall_at = math.inf
        self._expect(now)

    def _asked_for(self) -> float:
        """Seconds that the stream itself asks to wait before it is opened again."""
        return min((self._decoder.retry or 0) / 1000, _LONGEST_DELAY)

    # What happened: the history, and what was sent.

    def page(self, messages: Sequence[Message], next_cursor: str | None, now: float) -> list[Message]:
        """A page of the history has come: the new messages that are then to be handed out."""
        lookup = self._lookup
        if lookup is None or not lookup.add(messages, next_cursor):
            return []
        self._lookup = None
        self._order = lookup.order
        self._look_failures = 0
        fresh, turn = [], self._settled_turn
        # One for all, as the list may not tell their order.
        new, rank = lookup.new(), self._next_rank(now)
        # Sent, and not listed yet: then what is listed tells nothing of the order, and counts as come just now.
        unlisted = bool(self._turns) and next(reversed(self._turns)) not in {message.id for message in new}
        for message in new:
            turn = self._turns.get(message.id, turn)
            if message.direction != INBOUND and self._add(message, len(self._turns) if unlisted else turn, rank):
                fresh.append(message)
        checked = self.connected and not self._gap and not self._doubtful and not (self._skipped and lookup.whole)
        # From our own message on, in a long list that runs from the oldest on: what came shortly before it is yet to
        # be read, when nobody waits any more.
        self._skipped = self._settled is None and not lookup.whole
        self._gap = not self.connected
        self._doubtful = self._doubtful and self._looked_at < self._opened_at + _LAG
        trusted = self._polling or (self.connected and not self._doubtful and not (checked and fresh))
        if new and trusted and not self._skipped:
            self._settle(new[-1].id, turn)
        if checked and fresh:
            self._missed(now)
        elif fresh:
            self._expect(now)
        else:
            longest = _LONGEST_CHECK if self.connected else _LONGEST_POLL
            self._look_at = now + self._interval
            self._interval = min(self._interval * _GROWTH, longest)
        if not self.connected and not self._polling:
            # The next look comes when the stream is open again, or cannot be opened.
            self._look_at = math.inf
        elif self.connected and self._doubtful:
            self._look_at = self._opened_at + _LAG
        self._quiet = False
        return fresh

    def _missed(self, now: float) -> None:
        """The history shows what an open stream did not bring."""
        self._strikes += 1
        if self._strikes < _SILENT_TOO_OFTEN:
            self.ended("silent on what the history shows", now)
        else:
            self.refused("silent on what the history shows, again", now)

    def unreadable(self, now: float) -> None:
        """A page of the history could not be had this time."""
        self._lookup = None
        # Where a stream goes on without the history, there is no hurry.
        longest = _LONGEST_POLL if self._waits_for_history() or not self.connected else _LONGEST_CHECK
        delay = backoff(self._look_failures, self._random, longest)
        self._look_failures += 1
        self._look_at = now + delay

    def sent(self, message_id: str, now: float) -> int:
        """A message was accepted: how many were, by now."""
        turn = len(self._turns) + 1
        self._turns[message_id] = turn
        self._ranks[message_id] = self._next_rank(now)
        self._sent_at = now
        self._mark = self._mark or message_id
        self._connect_at = min(self._connect_at, now + backoff(0, self._random))
        self._expect(now)
        return turn

    def starts_here(self, message_id: str) -> None:
        """What stands before this message is of no interest."""
        self._settle(message_id, len(self._turns))

    def look_by(self, moment: float) -> None:
        """Look into the history at that time, if not before."""
        self._look_at = min(self._look_at, moment)

    def _expect(self, now: float) -> None:
        """Something has happened, so that more may soon."""
        if self.connected:
            self._interval = _FIRST_CHECK_OF_PROVEN if self._proven else _FIRST_CHECK
        else:
            self._interval = _FIRST_POLL
        if self.connected and (self._gap or self._doubtful):
            return
        if self.connected or self._polling:
            self._look_at = now + self._interval
            self._interval *= _GROWTH

    def _add(self, message: Message, turn: int, rank: float) -> bool:
        if message.id in self._ranks:
            return False
        self._ranks[message.id] = rank
        self._last_turn = max(self._last_turn, turn)
        self._inbox.append(_Heard(message, turn))
        return True

    def _next_rank(self, now: float) -> float:
        self._newest_rank = max(now, math.nextafter(self._newest_rank, math.inf))
        return self._newest_rank

    def _settle(self, message_id: str, turn: int) -> None:
        self._settled, self._settled_turn = message_id, turn
