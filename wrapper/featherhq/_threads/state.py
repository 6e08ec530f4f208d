"""What is known about one conversation: its streams, its scans, its messages. Pure: no I/O, no clock, no HTTP library.

The flow that drives it (`conversation.py`) tells it what has happened, asks for `commands`, and waits at most until
`due`. The states are in `table.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from featherhq._threads.messages import Messages
from featherhq._threads.resumed import ResumedMessages
from featherhq._threads.scans import AskPage, Scans
from featherhq._threads.situation import Situation
from featherhq._threads.streams import Connect, Drop, Streams
from featherhq._threads.table import Stream, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from featherhq._core.effects import Accepted
    from featherhq._core.events import Listener
    from featherhq._threads.bookmark import After
    from featherhq._threads.experience import Experience
    from featherhq._threads.inbox import Heard
    from featherhq._threads.own import Own
    from featherhq.models import Message

# Seconds that messages of a stream wait for what the list may show before them.
_LONGEST_HOLD: Final = 2.0
# Seconds. The clocks are read this often, because only they show that the machine was asleep.
_CLOCKS_READ: Final = 30.0

Command = Connect | Drop | AskPage


class ConversationState:
    """What is known about one conversation.

    Args:
        thread_id: The id of its thread.
        experience: What is known about the server, shared by all conversations of a client.
        random: Gives a number from 0 to 1, for the jitter.
        server_time: Gives the server's time in seconds since 1970 for a time of the monotonic clock, or `None`.
        known: Ids of messages that were known before, each with when it became known.
        now: The time now, in seconds of the monotonic clock. It has the same meaning in all methods.
        wall_time: The time now, in seconds since 1970. It has the same meaning in all methods.
        listen: Hears of events.
        after: Where the conversation goes on, or `None` if it begins with new messages.

    Attributes:
        messages: What is known about the messages.
        streams: Its streams.
        scans: Its scans of the list.
        regions: The states.
    """

    def __init__(
        self,
        thread_id: str,
        experience: Experience,
        random: Callable[[], float],
        server_time: Callable[[float], float | None],
        known: Mapping[str, float],
        now: float,
        wall_time: float,
        listen: Listener,
        after: After | None = None,
    ) -> None:
        self.messages = (
            Messages(experience, server_time, known, now, wall_time, listen)
            if after is None
            else ResumedMessages(experience, server_time, now, wall_time, listen, after)
        )
        self._situation = Situation(now, experience, self.messages, random, listen)
        self.regions = self._situation.regions
        self.streams = Streams(thread_id, self._situation, wall_time)
        self.scans = Scans(self._situation)
        if after is not None:
            # The list has to show what came before now.
            self.regions.miss(Trigger.NO_STREAM, now)

    # What to do, and what to return.

    def commands(self, now: float, wall_time: float) -> list[Command]:
        """What must be started or ended now. Each command is given once."""
        self.messages.time_is_known()
        return [*self.streams.commands(now, wall_time), *self.scans.commands(now)]

    def due(self, now: float) -> float:
        """When to ask for commands or messages again, if nothing happens before."""
        times = [*self.streams.due(), self.scans.due(now), now + _CLOCKS_READ]
        if (since := self.messages.inbox.waiting_since) is not None:
            held_until = since + (self._situation.experience.lag if self.is_asking else _LONGEST_HOLD)
            times.append(held_until if held_until > now else math.inf)
        return min(times)

    def take(self, now: float) -> Message | None:
        """Take the next message for the caller, if there is one."""
        since = self.messages.inbox.waiting_since
        held = since is not None and self.scans.holds_messages and now < since + _LONGEST_HOLD
        return None if held else self.messages.inbox.take()

    def replies(self, own: Own, now: float, *, last: bool = False) -> list[Heard]:
        """The messages that were made after one of ours, as far as they may be taken.

        Args:
            own: Our message.
            now: The time now.
            last: Whether the time is up, so that there is nothing more to wait for.
        """
        if self.scans.holds_messages and self.scans.gap_matters and not last:
            return []
        return self.messages.inbox.replies(own, now, last=last)

    @property
    def is_asking(self) -> bool:
        """Whether somebody waits for a reply."""
        return self._situation.asking

    @property
    def is_open(self) -> bool:
        """Whether there is an open stream, so that new messages are received."""
        return self.regions.is_open

    @property
    def is_opening(self) -> bool:
        """Whether there is no stream, and one is being opened."""
        return self.regions.stream is Stream.OPENING

    # What has happened to our own messages, and who waits.

    def accepted(self, accepted: Accepted, now: float, *, expects_more: bool = False) -> Own:
        """A message of ours was accepted.

        Args:
            accepted: The message.
            now: The time now.
            expects_more: Whether somebody waits for all that the agent says to it, and not only for the first message.
        """
        own = self.messages.accepted(accepted, now, asking=self.is_asking)
        own.expects_more = expects_more
        if accepted.began < self._situation.began:
            # An earlier call with the same key has sent it. So its reply may have come before this conversation.
            self.regions.miss(Trigger.NO_STREAM, now)
        self._situation.active_at, self._situation.scans = now, 0
        if not self.is_open:
            self.streams.expect_reply(now)
        self.streams.raise_urgency(now)
        return own

    def begin_without_stream(self, now: float) -> None:
        """The conversation begins without a stream, so the list has to show what comes."""
        self.regions.miss(Trigger.NO_STREAM, now)

    def ask(self, now: float) -> None:
        """Somebody is about to send a message and to wait for its reply."""
        self._situation.asking = True
        self.streams.hurry(now)
        self.streams.raise_urgency(now)

    def asked(self) -> None:
        """Nobody waits for a reply any more."""
        self.note_waiting(somebody=False)
        self.scans.want_by(math.inf)
        self.messages.inbox.trim()

    def note_waiting(self, *, somebody: bool) -> None:
        """Somebody waits for this conversation now, or nobody does. It decides how urgent its requests are."""
        self._situation.asking = somebody
