"""What a client knows of the messages it has sent: enough to recognise one whose answer was lost in a thread's history.

The API has no idempotency key, so a message is recognised by its thread, its text, its direction and its time on
the server's clock. Equal texts are told apart by counting: a message that had an answer, that was found by
another call, or that was listed before a call began, cannot be that call's. Pure but for its lock.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from contextlib import contextmanager
from enum import Enum, auto
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import define

from featherhq._models import OUTBOUND, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CLOCK_SLACK: Final = 2.0
"""Seconds by which clocks within the server may differ, and by which a time cut to whole seconds falls short."""

# What is older than this, in seconds, lies before any time at which a call that is begun now could match it.
_REMEMBERED: Final = 30.0
# More than a client can send within the slack. Whoever is so fast need not remember the rest: what is not known any
# more is told apart by its time, or, where the list tells none, leaves a call unsure.
_MOST_REMEMBERED: Final = 8_000


class Verdict(Enum):
    """What a look into the history says of a message of unknown fate, where it is not found there."""

    ABSENT = auto()
    UNSURE = auto()


@define(eq=False)
class Sending:
    """A message under way.

    Attributes:
        thread_id: Its thread.
        text: Its text, in the form in which texts are compared.
        began: When its sending began, in seconds of the monotonic clock.
        waiting: Whether an answer to it may still come.
        finished: Whether the server is known to be done with it.
    """

    thread_id: str
    text: str
    began: float
    waiting: bool = True
    finished: bool = False


@define(eq=False, weakref_slot=False)
class _Known:
    """A message that was confirmed, found or listed: since when, whether it is some call's, and when that began.

    There may be many thousands of these, so that every byte counts.
    """

    thread_id: str
    message_id: str
    since: float
    began: float | None = None


class Deliveries:
    """Shared by all calls of a client and its views.

    Attributes:
        offset: What to add to the monotonic clock for the server's time in seconds since 1970, at the least: a date
            is cut to whole seconds, and was on its way for a while. `None` before the server has told its time.
    """

    def __init__(self) -> None:
        self.offset: float | None = None
        self._lock = Lock()
        # Those under way, in the order in which they began.
        self._open: dict[Sending, None] = {}
        self._known: dict[str, dict[str, _Known]] = {}
        # The same once more, in the order in which it came to be known, for forgetting it.
        self._line: deque[_Known] = deque()

    def heard_time(self, date: float | None, now: float) -> None:
        """Take in the date of an answer that has just come."""
        if date is None:
            return
        with self._lock:
            least = date - now
            # The highest is the nearest to the truth, but for a server whose clock was set back.
            if self.offset is None or least > self.offset or least < self.offset - CLOCK_SLACK:
                self.offset = least

    @contextmanager
    def sending(self, thread_id: str, text: str, now: float) -> Iterator[Sending]:
        """A message is under way within the block."""
        begun = Sending(thread_id, _comparable(text), now)
        with self._lock:
            self._open[begun] = None
        try:
            yield begun
        finally:
            with self._lock:
                del self._open[begun]

    def confirm(self, sending: Sending, message_id: str, now: float) -> None:
        """A message is this call's: its answer came."""
        with self._lock:
            self._learn(_Known(sending.thread_id, message_id, now, sending.began))

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

    def floor(self, began: float) -> float | None:
        """The server's time, in seconds since 1970, before which nothing can belong to what began then."""
        return None if self.offset is None else began + self.offset - CLOCK_SLACK

    def find(self, sending: Sending, listed: Sequence[Message], now: float, *, complete: bool) -> Message | Verdict:
        """The message of a call in a history that was just listed.

        Args:
            sending: The call's.
            listed: What was listed.
            now: The time on the monotonic clock.
            complete: Whether all is there that the server made since the call began.

        Returns:
            The message, which then is this call's; or why there is none.
        """
        floor = self.floor(sending.began)
        with self._lock:
            theirs = self._known.get(sending.thread_id, {})
            clock_holds = floor is not None
            equal = []
            for message in listed:
                known = theirs.get(message.id)
                at = None if message.created_at is None else message.created_at.timestamp()
                if known is not None and known.began is not None:
                    # One of our own, whose time we know: does the server's own clock agree?
                    least = self.floor(known.began)
                    clock_holds = clock_holds and (at is None or least is None or at >= least)
                elif known is not None and known.since < sending.began:
                    continue
                elif message.direction != OUTBOUND and _comparable(message.text) == sending.text:
                    equal.append((message, at))
            recent = [message for message, at in equal if at is not None and floor is not None and at >= floor]
            rivals = [
                other
                for other in self._open
                if other is not sending and (other.thread_id, other.text) == (sending.thread_id, sending.text)
            ]
            # Where the server may still be at work on this one, what is there rather belongs to those it is done with.
            first = 0 if sending.finished else sum(other.finished for other in rivals)
            if len(recent) > first and not any(other.waiting for other in rivals):
                self._learn(_Known(sending.thread_id, recent[first].id, now, sending.began))
                return recent[first]
            timeless = any(at is None for _, at in equal) or not clock_holds
            if recent or (equal and timeless) or (complete and self._lags(sending, theirs, listed)):
                return Verdict.UNSURE
            return Verdict.ABSENT

    def _lags(self, sending: Sending, theirs: dict[str, _Known], listed: Sequence[Message]) -> bool:
        """Whether the list lacks what the server has confirmed: then it may lack this one too."""
        ids = {message.id for message in listed}
        ours = {
            id_
            for id_, known in theirs.items()
            if known.began is not None and known.began >= sending.began - CLOCK_SLACK
        }
        return not ours <= ids

    def _learn(self, known: _Known) -> None:
        self._known.setdefault(known.thread_id, {})[known.message_id] = known
        self._line.append(known)
        oldest = next((sending.began for sending in self._open), known.since) - _REMEMBERED
        while self._line[0].since < oldest or len(self._line) > _MOST_REMEMBERED:
            old = self._line.popleft()
            messages = self._known.get(old.thread_id, {})
            # It may have become known once more, as some call's own.
            if messages.get(old.message_id) is old:
                del messages[old.message_id]
            if not messages:
                self._known.pop(old.thread_id, None)


def _comparable(text: str) -> str:
    """A text as it is compared: a server may trim or normalise what it stores."""
    return " ".join(unicodedata.normalize("NFC", text).split())
