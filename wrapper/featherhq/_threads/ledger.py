"""The send ledger: what a client knows about the messages that it sends.

If the response to a message was lost, the client looks for the message in the thread's history. The API has no
idempotency key. So a message is recognised by its thread, its text, its direction, and its time on the server's clock.

Several calls may send the same text. A message in the list cannot belong to a call if its response has come to another
call, if another call has found it, or if it was listed before the call began. The messages that remain are assigned by
counting.

A message counts as *absent* only if every message in the list is explained. Servers may alter texts, and clocks may
differ, so an unexplained message may be the one that was sent. Pure except for its lock.
"""

from __future__ import annotations

import math
import unicodedata
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum, auto
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import define

from featherhq import _forks
from featherhq.ledgers import Claims
from featherhq.models import OUTBOUND, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CLOCK_SLACK: Final = 2.0
"""Seconds. The clocks of the server's machines may differ by this, and times may be cut to whole seconds."""

UNSURE_WITHIN: Final = 600.0
"""Seconds. If an equal text that belongs to no call is older than the floor by less than this, the result is unsure."""

# Seconds. What became known this long before the oldest open call began is too old to match that call.
_REMEMBERED: Final = 30.0
# Messages. A client cannot send so many within the slack. If an older one is forgotten, its time still shows that it is
# too old. If the list shows no times, the result is unsure.
_MOST_REMEMBERED: Final = 8_000
_NO_CLAIMS: Final = Claims()


class Match(Enum):
    """What a list shows about a message that was not found in it."""

    ABSENT = auto()
    """The message is not in the list."""
    UNSURE = auto()
    """A message in the list may be this one, or the list may not show all messages yet."""


@define(eq=False)
class Sending:
    """A message that a call is sending now.

    Attributes:
        thread_id: The id of its thread.
        text: Its text, in the form in which texts are compared.
        began: When the call began, in seconds of the monotonic clock.
        floor: The server's time when the call began, in seconds since 1970, minus a slack. An older message is not this
            one. `None` while the server's time is not known. Later changes of the clocks do not change it.
        waiting: Whether its response may still come.
        finished: Whether the server is done with it, as far as is known.
        key: The caller's key for it. Calls with the same key send the same message.
        ends: The time on the monotonic clock after which no attempt can put it into the thread any more.
    """

    thread_id: str
    text: str
    began: float
    floor: float | None
    waiting: bool = True
    finished: bool = False
    key: str | None = None
    ends: float = math.inf


@define(eq=False, weakref_slot=False)
class _KnownMessage:
    """A message that was confirmed, found or listed. There may be thousands of these, so they are kept small.

    Attributes:
        thread_id: The id of its thread.
        message_id: Its id.
        since: When it became known, in seconds of the monotonic clock.
        is_own: Whether a call of this client has sent it.
        floor: The floor of that call.
        key: The key of that call.
    """

    thread_id: str
    message_id: str
    since: float
    is_own: bool = False
    floor: float | None = None
    key: str | None = None


class SendLedger:
    """The messages that a client sends and has seen. All calls of the client and of its views share it.

    Attributes:
        offset: The server's time in seconds since 1970, minus the monotonic clock. `None` if it is not known. It is a
            lower bound: a `Date` header is cut to whole seconds, and is a little old when it arrives.
        longest_lag: The longest lag of a list, in seconds: from the response to a message until a list first showed it,
            if an earlier list did not show it.
    """

    def __init__(self) -> None:
        self.offset: float | None = None
        self.longest_lag = 0.0
        self._lock = Lock()
        # Ids of our own messages that the last list of their thread did not show.
        self._unlisted: set[str] = set()
        # The messages that are being sent, in the order in which their calls began.
        self._open: dict[Sending, None] = {}
        self._known: dict[str, dict[str, _KnownMessage]] = {}
        # The same messages, in the order in which they became known, so that the oldest can be forgotten.
        self._by_age: deque[_KnownMessage] = deque()
        _forks.renew(self)

    def forked(self) -> None:
        """As `Forkable.forked`: the messages that are being sent belong to calls of the parent."""
        self._lock = Lock()
        self._open.clear()

    def heard_time(self, date: float | None, now: float) -> None:
        """Take in the time of the server from a response that has just come.

        Args:
            date: The header `Date`, in seconds since 1970, or `None` if there is none.
            now: The time now, in seconds of the monotonic clock.
        """
        if date is None:
            return
        with self._lock:
            least = date - now
            # Each value is a lower bound, so the highest is the best. A much lower one means that the server's clock
            # was set back.
            if self.offset is None or least > self.offset or least < self.offset - CLOCK_SLACK:
                self.offset = least
            for sending in self._open:
                if sending.floor is None:
                    sending.floor = self.floor(sending.began)

    @contextmanager
    def sending(self, thread_id: str, text: str, now: float, key: str | None = None) -> Iterator[Sending]:
        """Note a message as being sent while the block runs."""
        begun = Sending(thread_id, _comparable(text), now, self.floor(now), key=key)
        with self._lock:
            self._open[begun] = None
        try:
            yield begun
        finally:
            with self._lock:
                self._open.pop(begun, None)

    def began_before(self, sending: Sending, began: float) -> None:
        """An earlier call has begun to send this message, at this time of the monotonic clock."""
        with self._lock:
            sending.began, sending.floor = began, self.floor(began)

    def confirm(self, sending: Sending, message_id: str, now: float) -> None:
        """The response to a message has come, so the message with this id belongs to this call."""
        with self._lock:
            self._learn(_own(sending, message_id, now))

    def saw(self, thread_id: str, messages: Iterable[Message], now: float) -> None:
        """Messages were listed or streamed. A call that begins later cannot have sent one of them."""
        with self._lock:
            for message in messages:
                if message.id not in self._known.get(thread_id, ()):
                    self._learn(_KnownMessage(thread_id, message.id, now))

    def known(self, thread_id: str) -> dict[str, float]:
        """The ids of a thread's recent messages. Each has the time when it became known, on the monotonic clock."""
        with self._lock:
            return {message_id: known.since for message_id, known in self._known.get(thread_id, {}).items()}

    def server_time(self, now: float) -> float | None:
        """The server's time at a moment of the monotonic clock, in seconds since 1970, or `None` if it is not known."""
        return None if self.offset is None else now + self.offset

    def moment(self, now: float) -> datetime | None:
        """As `server_time`, in UTC."""
        time = self.server_time(now)
        try:
            return None if time is None else datetime.fromtimestamp(time, UTC)
        except (ValueError, OverflowError, OSError):
            # A server may say any time.
            return None

    def floor(self, began: float) -> float | None:
        """The server's time, in seconds since 1970, before which no message can belong to a call that began then."""
        return None if self.offset is None else began + self.offset - CLOCK_SLACK

    def find(
        self, sending: Sending, listed: Sequence[Message], now: float, claims: Claims = _NO_CLAIMS
    ) -> Message | Match:
        """Look for the message of a call in a list that was just read.

        Args:
            sending: The message.
            listed: The listed messages, oldest first. They must reach back to `UNSURE_WITHIN` before the call's floor.
            now: The time now, in seconds of the monotonic clock.
            claims: What the ledger of keys knows about the other keys of the thread. It was read after the list.

        Returns:
            The listed message, which belongs to this call from now on. If it was not found, what the list shows.
        """
        with self._lock:
            theirs = self._known.get(sending.thread_id, {})
            rivals = [other for other in self._open if _is_rival(other, sending)]
            equals = [other for other in rivals if other.text == sending.text]
            # A message with the text of another open call may belong to that call.
            explained = {other.text for other in rivals} - {sending.text}
            # A list that lacks a confirmed message may lack this message too.
            lags = self._note_lag(theirs, listed, now) or _lags(claims, listed)
            candidates = [message for message in listed if not _is_anothers(message, theirs, claims, sending)]
            clock_holds = not any(_disagrees(theirs.get(message.id), message) for message in listed)
            recent, unsure = self._judged(sending, candidates, explained, claims, clock_holds=clock_holds)
            # Other calls may have sent the same text. If the server may still be at work on this message, the first
            # matches more likely belong to the calls that the server is done with. If the response to another call may
            # still come, it will show which match belongs to that call. So no match is assigned before that.
            first = 0 if sending.finished else sum(other.finished for other in equals)
            if len(recent) > first and not any(other.waiting for other in equals) and not claims.busy:
                self._learn(_own(sending, recent[first].id, now))
                return recent[first]
            return Match.UNSURE if recent or unsure or lags else Match.ABSENT

    def _judged(
        self, sending: Sending, candidates: list[Message], explained: set[str], claims: Claims, *, clock_holds: bool
    ) -> tuple[list[Message], bool]:
        """The messages that match by text and time, and whether another one may be the message too."""
        recent, unsure = [], False
        ends = None if self.offset is None else sending.ends + self.offset + 2 * CLOCK_SLACK
        for message in candidates:
            text, age = _comparable(message.text), _age(message, sending.floor)
            if text == sending.text and age is not None and age <= 0:
                recent.append(message)
            elif text in explained or _explains(claims, sending.thread_id, text):
                # It may belong to another call, or to another key that has no receipt.
                continue
            elif text == sending.text:
                # It seems to be older than this call. But clocks may be wrong.
                unsure = unsure or age is None or age <= UNSURE_WITHIN or not clock_holds
            else:
                # It may be this message, if the server has altered its text.
                unsure = unsure or age is None or (age <= 0 and not _is_later(message, ends))
        return recent, unsure

    def _note_lag(self, theirs: dict[str, _KnownMessage], listed: Sequence[Message], now: float) -> bool:
        """Whether the list lacks one of our own messages, which the server has accepted.

        If the list shows a message that an earlier list lacked, that shows how long lists lag.
        """
        ids = {message.id for message in listed}
        lags = False
        for id_, known in theirs.items():
            if id_ in ids and id_ in self._unlisted:
                self._unlisted.discard(id_)
                self.longest_lag = max(self.longest_lag, now - known.since)
            elif id_ not in ids and known.is_own:
                self._unlisted.add(id_)
                lags = True
        return lags

    def _learn(self, known: _KnownMessage) -> None:
        """Remember a message, and forget messages that are too old to matter to any open call."""
        self._known.setdefault(known.thread_id, {})[known.message_id] = known
        self._by_age.append(known)
        oldest = next((sending.began for sending in self._open), known.since) - _REMEMBERED
        while self._by_age[0].since < oldest or len(self._by_age) > _MOST_REMEMBERED:
            old = self._by_age.popleft()
            messages = self._known.get(old.thread_id, {})
            # The entry may have been replaced by a newer one, for example when a call found it.
            if messages.get(old.message_id) is old:
                del messages[old.message_id]
                self._unlisted.discard(old.message_id)
            if not messages:
                self._known.pop(old.thread_id, None)


def text_hash(thread_id: str, text: str) -> str:
    """The hash of a text of a thread, for the ledger of keys. Texts that compare as equal have equal hashes."""
    return sha256(f"{thread_id.lower()}\n{_comparable(text)}".encode()).hexdigest()


def same_text(one: str, other: str) -> bool:
    """Whether two texts compare as equal."""
    return _comparable(one) == _comparable(other)


def _own(sending: Sending, message_id: str, now: float) -> _KnownMessage:
    return _KnownMessage(sending.thread_id, message_id, now, is_own=True, floor=sending.floor, key=sending.key)


def _is_rival(other: Sending, sending: Sending) -> bool:
    """Whether another open call sends another message to the same thread."""
    same = other is sending or (other.key is not None and other.key == sending.key)
    return not same and other.thread_id == sending.thread_id


def _is_anothers(message: Message, theirs: dict[str, _KnownMessage], claims: Claims, sending: Sending) -> bool:
    """Whether a message belongs to somebody else, or was there before this call began."""
    if message.direction == OUTBOUND or message.id in claims.ids:
        return True
    known = theirs.get(message.id)
    if known is None or (known.is_own and known.key is not None and known.key == sending.key):
        return False
    return known.is_own or known.since < sending.began


def _explains(claims: Claims, thread_id: str, text: str) -> bool:
    """Whether a message with this text may belong to another key without a receipt."""
    return bool(claims.open) and text_hash(thread_id, text) in claims.open


def _lags(claims: Claims, listed: Sequence[Message]) -> bool:
    """Whether a list lacks a message that another key has got a moment ago."""
    recent = {message_id for message_id, age in claims.ids.items() if age <= _REMEMBERED}
    return not recent <= {message.id for message in listed}


def _is_later(message: Message, time: float | None) -> bool:
    return time is not None and message.created_at is not None and message.created_at.timestamp() > time


def _age(message: Message, floor: float | None) -> float | None:
    """How many seconds before the floor a message was made, or `None` if one of the times is not known."""
    return None if floor is None or message.created_at is None else floor - message.created_at.timestamp()


def _disagrees(known: _KnownMessage | None, message: Message) -> bool:
    """Whether one of our own messages seems to be older than its call. Then the times in the list are wrong."""
    if known is None or not known.is_own:
        return False
    age = _age(message, known.floor)
    return age is not None and age > 0


def _comparable(text: str) -> str:
    """A text in the form in which texts are compared, because a server may trim or normalise what it stores."""
    return " ".join(unicodedata.normalize("NFC", text).split())
