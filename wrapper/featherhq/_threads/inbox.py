"""The messages of a conversation that wait for the caller to take them, in order. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from attrs import evolve

from featherhq._core.events import MessagesDropped
from featherhq._core.pagination import OLDEST_FIRST, oldest_first

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from featherhq._core.events import Listener
    from featherhq._threads.experience import Experience
    from featherhq._threads.own import Own
    from featherhq.models import Message

# This many messages wait at most.
_MOST_UNREAD: Final = 256
# Two messages with one id are told apart among this many ids.
_MOST_TOLD_APART: Final = 256
# Stands between the server's id and what tells a second message with that id from the first. No id contains it.
_APART: Final = "\0"


class Heard(NamedTuple):
    """A message for the caller.

    Attributes:
        message: The message.
        at: When it came, in seconds of the monotonic clock.
        follows: Ids of the messages of ours that it was certainly made after.
        may_follow: Ids of those that it may have been made after.
    """

    message: Message
    at: float
    follows: frozenset[str]
    may_follow: frozenset[str]


class Inbox:
    """The messages that wait.

    Args:
        experience: What is known about the server.
        listen: Hears of events.
        took: Hears of each message that the caller takes, or that is dropped: its id, and when it came.
    """

    def __init__(
        self, experience: Experience, listen: Listener, took: Callable[[str, float], None] = lambda _id, _at: None
    ) -> None:
        self._experience = experience
        self._listen = listen
        self._took = took
        self._most = _MOST_UNREAD
        self._waiting: deque[Heard] = deque()
        self._overflowed = False
        # For each id, the time of its first message and a hash of its text.
        self._first_of: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting_since(self) -> float | None:
        """When the first waiting message came."""
        return self._waiting[0].at if self._waiting else None

    @property
    def is_full(self) -> bool:
        """Whether so many messages wait that no more should be read now."""
        return len(self._waiting) >= _MOST_UNREAD

    def told_apart(self, message: Message) -> Message:
        """The message, under an id that no other message has: a server may give one id to two messages.

        They count as two if both their texts and their times differ. A text alone may be altered, or be shown in parts.
        """
        if message.created_at is None:
            return message
        at, text = self._first_of.setdefault(message.id, (message.created_at, hash(message.text)))
        if len(self._first_of) > _MOST_TOLD_APART:
            self._first_of.popitem(last=False)
        if text == hash(message.text) or _is_same_time(at, message.created_at):
            return message
        return evolve(message, id=f"{message.id}{_APART}{message.created_at.timestamp()}")

    def put(self, heard: Heard) -> None:
        """Add a message."""
        self._waiting.append(heard)

    def take(self) -> Message | None:
        """Take the next message."""
        return self.take_one(self._waiting[0]) if self._waiting else None

    def replies(self, own: Own, now: float, *, last: bool = False) -> list[Heard]:
        """The messages that were made after one of ours, in order.

        Args:
            own: Our message.
            now: The time now, in seconds of the monotonic clock.
            last: Whether the time is up, so that there is nothing more to wait for.
        """
        waited = [last or now >= heard.at + self._experience.lag for heard in self._waiting]
        return [
            heard
            for heard, has_waited in zip(self._waiting, waited, strict=True)
            if own.id in heard.follows or (own.listed and own.id in heard.may_follow and has_waited)
        ]

    def take_one(self, heard: Heard) -> Message:
        """Take one of the messages."""
        self._waiting.remove(heard)
        self._took(heard.message.id, heard.at)
        return _with_server_id(heard)

    @property
    def ids(self) -> set[str]:
        """The ids of the messages."""
        return {heard.message.id for heard in list(self._waiting)}

    def drop(self, ids: Collection[str]) -> None:
        """Drop messages that are not for the caller."""
        self._waiting = deque(heard for heard in self._waiting if heard.message.id not in ids)

    def keep_all(self) -> None:
        """From now on, drop no messages because as many wait as now."""
        self._most = max(_MOST_UNREAD, len(self._waiting))

    def trim(self) -> None:
        """Drop the oldest messages if too many wait: calls of `ask` may pass over messages for ever."""
        if len(self._waiting) <= self._most:
            return
        while len(self._waiting) > self._most:
            self.take()
        if not self._overflowed:
            self._overflowed = True
            self._listen(MessagesDropped(self._most))

    def put_in_order(self, listed: Sequence[Message], began: float) -> None:
        """Put the waiting messages in order: by their times, or by the list if times do not tell.

        Args:
            listed: What a scan has listed.
            began: When that scan began, in seconds of the monotonic clock.
        """
        places = {message.id: place for place, message in enumerate(listed)}
        older = began - self._experience.lag
        waiting = sorted(
            self._waiting, key=lambda heard: places.get(heard.message.id, -1 if heard.at < older else len(places))
        )
        by_id = {heard.message.id: heard for heard in waiting}
        self._waiting = deque(
            by_id[message.id] for message in oldest_first([heard.message for heard in waiting], OLDEST_FIRST)
        )


def _is_same_time(first: datetime, second: datetime) -> bool:
    """Whether two times are the same, perhaps with one of them cut to whole seconds."""
    cut = 0 in {first.microsecond, second.microsecond}
    return first == second or (cut and first.replace(microsecond=0) == second.replace(microsecond=0))


def _with_server_id(heard: Heard) -> Message:
    """The message under the server's own id."""
    message = heard.message
    return evolve(message, id=message.id.partition(_APART)[0]) if _APART in message.id else message
