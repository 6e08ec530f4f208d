"""Reads one stream of a conversation: bytes in, messages of its thread out. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attrs import define, field

from featherhq._core.sse import EventDecoder
from featherhq._threads.replies import agent_message
from featherhq.models import is_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq.models import Message


@define(eq=False)
class StreamReader:
    """One stream. All times are in seconds of the monotonic clock.

    Attributes:
        job: The name of the job that reads it.
        decoder: Decodes its events.
        opened_at: When it was opened.
        heard_at: When its last bytes came.
        delivered: Whether it has brought a new message.
        fruitless: Bytes since its last new message.
        renew_part: Part of the usual life of a stream after which it is renewed. It differs, so that not all are
            renewed at once.
        renew_from: It is not renewed before this time.
        foreign: How many messages of other threads it has brought.
    """

    job: str
    decoder: EventDecoder = field(factory=EventDecoder)
    opened_at: float = math.inf
    heard_at: float = math.inf
    delivered: bool = False
    fruitless: int = 0
    renew_part: float = 1.0
    renew_from: float = float("-inf")
    foreign: int = 0

    def messages(self, data: bytes, thread_id: str) -> Iterator[Message]:
        """The agent's messages in these bytes. Messages of other threads are left out, and counted.

        Raises:
            EventTooLargeError: as in `EventDecoder.feed`.
        """
        for event in self.decoder.feed(data):
            message = agent_message(event)
            if message is None:
                continue
            if is_of(message, thread_id):
                yield message
            else:
                self.foreign += 1
