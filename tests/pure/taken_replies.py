"""Take the first reply to a message of ours, as `ask` does."""

from __future__ import annotations

from featherhq._threads.inbox import Inbox
from featherhq._threads.own import Own
from featherhq._threads.state import ConversationState
from featherhq.models import Message


def take_reply(source: Inbox | ConversationState, own: Own, now: float, *, last: bool = False) -> Message | None:
    """Take the first message that was made after one of ours, if there is one."""
    inbox = source if isinstance(source, Inbox) else source.messages.inbox
    heard = source.replies(own, now, last=last)
    return inbox.take_one(next((one for one in heard if own.id in one.follows), heard[0])) if heard else None
