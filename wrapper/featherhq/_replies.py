"""Finding the agent's messages: in a stream's events, and in a thread's history. Pure."""

from __future__ import annotations

import json
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from featherhq._models import INBOUND, Message, read_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featherhq._sse import Event

_ENVELOPES: Final = ("message", "data")


def agent_message(event: Event) -> Message | None:
    """The agent's message that an event carries, or `None` for anything else.

    The vendor's page does not say what an event's data holds, so a message is read bare or in an envelope
    (`message`, `data`), whatever the event's type, and what is no message is passed over.
    """
    try:
        data: Any = json.loads(event.data)
    except ValueError:
        return None
    candidates = [data]
    for _ in _ENVELOPES:  # one in the other, at the deepest
        inner = candidates[-1]
        if isinstance(inner, dict):
            candidates += [inner[name] for name in _ENVELOPES if isinstance(inner.get(name), dict)][:1]
    for candidate in candidates:
        message = read_message(candidate)
        if message is not None:
            # The stream carries nothing but the agent's messages, but for what says that it is not one.
            return message if message.direction != INBOUND else None
    return None


class History:
    """A thread's messages, oldest first, from pages that may come either way round.

    The vendor's page does not say which way the list runs, so that is told from the messages' own times.

    Attributes:
        next_cursor: What to ask for next; `None` before the first page, and where there is no more.
    """

    def __init__(self) -> None:
        self.next_cursor: str | None = None
        self._seen: set[str] = set()
        self._held: list[Message] = []
        self._cursors: set[str | None] = {None}
        self._pages = 0
        self._oldest_first = False

    def add(self, page: Sequence[Message], next_cursor: str | None) -> list[Message]:
        """Take in a page, in the server's order.

        Args:
            page: Its messages.
            next_cursor: The cursor that asks for the next one, or `None` on the last.

        Returns:
            The messages that can be handed out by now: all of the page where the list is known to run from
            the oldest on, none where everything has to be there first.
        """
        fresh = [message for message in page if message.id not in self._seen]
        self._seen.update(message.id for message in fresh)
        self._held += fresh
        if self._pages == 0:
            self._oldest_first = _direction(self._held) > 0
        self._pages += 1
        # A cursor that comes again would only bring what is here already.
        self.next_cursor = None if next_cursor in self._cursors else next_cursor
        self._cursors.add(next_cursor)
        if self.next_cursor is not None and not self._oldest_first:
            return []
        ready, self._held = oldest_first(self._held), []
        return ready


def oldest_first(messages: Sequence[Message]) -> list[Message]:
    """Messages in the order they were made.

    Times decide; messages of the same time, or of none, keep the server's order, turned round where the
    list as a whole runs from the newest on.
    """
    return in_time(list(messages) if _direction(messages) >= 0 else list(reversed(messages)))


def in_time(ordered: list[Message]) -> list[Message]:
    """Messages by their times; those of the same time as they stand, and all of them where one has no time."""
    if any(message.created_at is None for message in ordered):
        return ordered
    return sorted(ordered, key=attrgetter("created_at"))


def _direction(messages: Sequence[Message]) -> int:
    """Above 0 where times mostly rise, below 0 where they mostly fall, 0 where nothing tells."""
    times = [message.created_at for message in messages if message.created_at is not None]
    return sum((later > earlier) - (later < earlier) for earlier, later in pairwise(times))
