"""A message of ours, and what may be a reply to it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from featherhq.models import Message


@define(eq=False)
class Own:
    """A message of ours that was accepted.

    Attributes:
        id: Its id.
        began: When its last attempt began, in seconds of the monotonic clock.
        made_at: The server's time then, in seconds since 1970. Once the list has shown the message: its own time.
        listed: Whether the list has shown it.
        answered: Whether a message of the agent has come that was made after it.
        expects_more: Whether somebody waits for all that the agent says to it. Then the first reply does not settle it.
    """

    id: str
    began: float
    made_at: float | None
    listed: bool = False
    answered: bool = False
    expects_more: bool = False

    def may_precede(self, message: Message, early: float) -> bool:
        """Whether a message may be a reply to this one, by its time.

        Args:
            message: The message.
            early: Seconds that the time of a reply may lie before this one.
        """
        made = made_at(message)
        return made is None or self.made_at is None or made >= self.made_at - early


def made_at(message: Message) -> float | None:
    """When a message was made, in seconds since 1970, or `None` if the server does not say."""
    return None if message.created_at is None else message.created_at.timestamp()
