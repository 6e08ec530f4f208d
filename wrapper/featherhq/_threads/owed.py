"""Which threads wait for a reply to a message of this client, also between its conversations. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from featherhq.models import INBOUND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from featherhq.models import Message

# Seconds after which a message that was not answered no longer counts.
_LONGEST: Final = 60.0
# Threads that are remembered.
_MOST: Final = 1000


class Owed:
    """The threads of a client in which the last message is its own, as far as it knows. Threads need no lock."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def accepted(self, thread_id: str, now: float) -> None:
        """A message of ours was accepted.

        Args:
            thread_id: The thread's id.
            now: The time now, in seconds of the monotonic clock.
        """
        self._since.pop(thread_id, None)
        self._since[thread_id] = now
        for oldest in list(self._since)[:-_MOST]:
            self._since.pop(oldest, None)

    def saw(self, thread_id: str, messages: Iterable[Message]) -> None:
        """New messages have come."""
        if any(message.direction != INBOUND for message in messages):
            self._since.pop(thread_id, None)

    def is_unanswered(self, thread_id: str, now: float) -> bool:
        """Whether a message of ours waits for its reply, and has not waited too long."""
        since = self._since.get(thread_id)
        return since is not None and now < since + _LONGEST
