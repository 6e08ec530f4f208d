"""What a client knows of the messages it has sent: enough to recognise one whose answer was lost in a thread's history.

The API has no idempotency key, so a message is recognised by its thread, its text, its direction and its time on
the server's clock. Equal texts are told apart by counting: a message that had an answer, that was found by
another call, or that was listed before a call began, cannot be that call's. That a message is *absent* is said only
where nothing in the list is unexplained: servers alter texts, and clocks disagree. Pure but for its lock.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from contextlib import contextmanager
from enum import Enum, auto
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import define

from featherhq import _forks
from featherhq.models import OUTBOUND, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CLOCK_SLACK: Final = 2.0
"""Seconds by which clocks within the server may differ, and by which a time cut to whole seconds falls short."""

NEARLY: Final = 600.0
"""Seconds below the floor within which an equal text, that nobody has claimed, may be the message all the same."""

# What is older than this, in seconds, lies before any time at which a call that is begun now could match it.
_REMEMBERED: Final = 30.0
# More than a client can send within the slack. Whoever is so fast need not remember the rest: what is not known any
# more is told apart by its time, or, where the list tells none, leaves a call unsure.
_MOST_REMEMBERED: Final = 8_000


class Match(Enum):
    """What a list says of a message of unknown outcome that is not found in it."""

    ABSENT = auto()
    UNSURE = auto()


@define(eq=False)
class Sending:
    """A message under way.

    Attributes:
        thread_id: Its thread.
        text: Its text, in the form in which texts are compared.
        began: When its sending began, in seconds of the monotonic clock.
        floor: The server's time then, in seconds since 1970, less some slack: what is older is not this message.
            `None` before the server has told its time. It stays as it is, whatever becomes of clocks later.
        waiting: Whether an answer to it may still come.
        finished: Whether the server is known to be done with it.
    """

    thread_id: str
    text: str
    began: float
    floor: float | None
    waiting: bool = True
    finished: bool = False


@define(eq=False, weakref_slot=False)
class _Known:
    """A message that was confirmed, found or listed: since when, whether a call has sent it, and that call's floor.

    There may be many thousands of these, so that every byte counts.
    """

    thread_id: str
    message_id: str
    since: float
    is_own: bool = False
    floor: float | None = None


class SendLedger:
    """Shared by all calls of a client and its views.

    Attributes:
        offset: What to add to the monotonic clock for the server's time in seconds since 1970, at the least: a date
            is cut to whole seconds, and was on its way for a while. `None` before the server has told its time.
        longest_lag: How many seconds after it was confirmed a message was first seen in a list, where an earlier list
            had lacked it; the longest of these.
    """

    def __init__(self) -> None:
        self.offset: float | None = None
        self.longest_lag = 0.0
        self._lock = Lock()
        # Ids of confirmed messages that a list did not show yet.
        self._lacking: set[str] = set()
        # Those under way, in the order in which they began.
        self._open: dict[Sending, None] = {}
        self._known: dict[str, dict[str, _Known]] = {}
        # The same once more, in the order in which it came to be known, for forgetting it.
        self._by_age: deque[_Known] = deque()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: what is under way, is so in the parent."""
        self._lock = Lock()
        self._open.clear()

    def heard_time(self, date: float | None, now: float) -> None:
        """Take in the date of an answer that has just come."""
        if date is None:
            return
        with self._lock:
            least = date - now
            # The highest is the nearest to the truth, but for a server whose clock was set back.
            if self.offset is None or least > self.offset or least < self.offset - CLOCK_SLACK:
                self.offset = least
            for sending in self._open:
                if sending.floor is None:
                    sending.floor = self.floor(sending.began)

    @contextmanager
    def sending(self, thread_id: str, text: str, now: float) -> Iterator[Sending]:
        """A message is under way within the block."""
        begun = Sending(thread_id, _comparable(text), now, self.floor(now))
        with self._lock:
            self._open[begun] = None
        try:
            yield begun
        finally:
            with self._lock:
                self._open.pop(begun, None)

    def confirm(self, sending: Sending, message_id: str, now: float) -> None:
        """A message is this call's: its answer came."""
        with self._lock:
            self._learn(_Known(sending.thread_id, message_id, now, is_own=True, floor=sending.floor))

    def saw(self, thread_id: str, messages: Iterable[Message], now: float) -> None:
        """Messages were listed or streamed: no call that begins from now on can have sent one of them."""
        with self._lock:
            for message in messages:
                if message.id not in self._known.get(thread_id, ()):
                    self._learn(_Known(thread_id, message.id, now))

    def known(self, thread_id: str) -> dict[str, float]:
        """The ids of a thread's messages that became known a short time ago, each with when, on the monotonic clock."""
        with self._lock:
            return {message_id: known.since for message_id, known in self._known.get(thread_id, {}).items()}

    def server_time(self, now: float) -> float | None:
        """The server's time at a moment of the monotonic clock, in seconds since 1970, or `None` if it is not known."""
        return None if self.offset is None else now + self.offset

    def floor(self, began: float) -> float | None:
        """The server's time, in seconds since 1970, before which nothing can belong to what began then."""
        return None if self.offset is None else began + self.offset - CLOCK_SLACK

    def find(self, sending: Sending, listed: Sequence[Message], now: float) -> Message | Match:
        """The message of a call in a history that was just listed.

        Args:
            sending: The call's.
            listed: What was listed, back to `NEARLY` below the call's floor at the least.
            now: The time on the monotonic clock.

        Returns:
            The message, which then is this call's; or why there is none.
        """
        with self._lock:
            theirs = self._known.get(sending.thread_id, {})
            rivals = [other for other in self._open if other is not sending and other.thread_id == sending.thread_id]
            equals = [other for other in rivals if other.text == sending.text]
            explained = {other.text for other in rivals} - {sending.text}
            recent, unsure = [], self._note_lag(theirs, listed, now)
            clock_holds = not any(_disagrees(theirs.get(message.id), message) for message in listed)
            for message in listed:
                known = theirs.get(message.id)
                mine = known is not None and (known.is_own or known.since < sending.began)
                if mine or message.direction == OUTBOUND:
                    continue
                text, age = _comparable(message.text), _age(message, sending.floor)
                if text == sending.text and age is not None and age <= 0:
                    recent.append(message)
                elif text == sending.text:
                    unsure = unsure or age is None or age <= NEARLY or not clock_holds
                elif text not in explained:
                    # It may be this one, with its text altered by the server.
                    unsure = unsure or age is None or age <= 0
            # Where the server may still be at work on this one, what is there rather belongs to those it is done with.
            first = 0 if sending.finished else sum(other.finished for other in equals)
            if len(recent) > first and not any(other.waiting for other in equals):
                self._learn(_Known(sending.thread_id, recent[first].id, now, is_own=True, floor=sending.floor))
                return recent[first]
            return Match.UNSURE if recent or unsure else Match.ABSENT

    def _note_lag(self, theirs: dict[str, _Known], listed: Sequence[Message], now: float) -> bool:
        """Whether the list lacks what the server has confirmed: then it may lack another too.

        What shows up now, and was lacking before, tells by how much it lags.
        """
        ids = {message.id for message in listed}
        lags = False
        for id_, known in theirs.items():
            if id_ in ids and id_ in self._lacking:
                self._lacking.discard(id_)
                self.longest_lag = max(self.longest_lag, now - known.since)
            elif id_ not in ids and known.is_own:
                self._lacking.add(id_)
                lags = True
        return lags

    def _learn(self, known: _Known) -> None:
        self._known.setdefault(known.thread_id, {})[known.message_id] = known
        self._by_age.append(known)
        oldest = next((sending.began for sending in self._open), known.since) - _REMEMBERED
        while self._by_age[0].since < oldest or len(self._by_age) > _MOST_REMEMBERED:
            old = self._by_age.popleft()
            messages = self._known.get(old.thread_id, {})
            # It may have become known once more, as some call's own.
            if messages.get(old.message_id) is old:
                del messages[old.message_id]
                self._lacking.discard(old.message_id)
            if not messages:
                self._known.pop(old.thread_id, None)


def _age(message: Message, floor: float | None) -> float | None:
    """How many seconds below the floor a message was made; `None` where nobody can tell."""
    return None if floor is None or message.created_at is None else floor - message.created_at.timestamp()


def _disagrees(known: _Known | None, message: Message) -> bool:
    """Whether one of our own messages, whose time we know, has another by the server's own clock."""
    if known is None or not known.is_own:
        return False
    age = _age(message, known.floor)
    return age is not None and age > 0


def _comparable(text: str) -> str:
    """A text as it is compared: a server may trim or normalise what it stores."""
    return " ".join(unicodedata.normalize("NFC", text).split())
