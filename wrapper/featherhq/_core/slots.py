"""A request in the queue of the rate limit: how urgent it is, and for how long it counts.

A server counts a request when it arrives, which is some time after it was sent. So a request counts from when its slot
was taken until one second after its response. Without a response it counts until two seconds after its first byte was
sent. That byte may come late: the key, the connection and TLS take their time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from featherhq._core.exchange import Exchange
    from featherhq._core.rate_limit import RateLimit

# Seconds after its first byte, after which a request has certainly arrived, even without a response.
_LONGEST_TRIP: Final = 1.0
# Seconds after which a request that is still not sent holds up no other requests.
_LONGEST_SETUP: Final = 5.0


class Priority(IntEnum):
    """How urgent a request is. The request with the lowest number goes first."""

    RECONCILE = 0
    """Somebody waits, and it is unknown whether a message has arrived."""
    NOW = 1
    """Somebody waits for this response."""
    OWED = 2
    """A conversation with an unanswered message needs it."""
    REOPEN = 3
    """A conversation in which nobody waits opens its stream."""
    CHECK = 4
    """A conversation in which nobody waits scans its list. It takes only spare slots."""
    RENEW = 5
    """The next stream is opened before the last one ends. It takes only spare slots, however long it waits."""


@define(eq=False)
class Urgency:
    """How urgent a piece of work is. It may become more urgent while its request waits in the queue.

    Attributes:
        priority: The priority of its requests.
    """

    priority: Priority
    _slot: Slot | None = field(default=None, init=False, repr=False)

    def raise_to(self, priority: Priority) -> None:
        """Raise it to this priority, if that is more urgent. Its request in the queue moves up."""
        if priority < self.priority:
            self.priority = priority
            if self._slot is not None:
                self._slot.limit.move(self._slot)

    def waits(self, slot: Slot | None) -> None:
        """Remember which of its slots is in the queue now, or `None` if none is."""
        self._slot = slot


@define(eq=False)
class Slot:
    """The place of one request in the queue and in the window. All times are in seconds of the monotonic clock.

    Attributes:
        limit: The rate limit that it belongs to.
        urgency: How urgent the request is.
        again: Whether the request is a retry. Then it goes to the front of its class.
        priority: The class in which it waits, or has waited.
        joined_at: When it first asked.
        taken_at: When it was taken; `inf` before that.
        exchange: What its request has done on its connection; `None` before it has one.
        counts_until: The time from which the server certainly no longer counts it.
    """

    limit: RateLimit = field(repr=False)
    urgency: Urgency
    again: bool = False
    priority: Priority = field(init=False)
    joined_at: float = math.inf
    taken_at: float = math.inf
    exchange: Exchange | None = None
    counts_until: float = math.inf
    _wake: Callable[[], None] = field(default=lambda: None)

    def __attrs_post_init__(self) -> None:
        self.priority = self.urgency.priority

    def join(self, wake: Callable[[], None]) -> None:
        """Join the queue. `wake` is called, from any thread, when the caller should ask again."""
        self._wake = wake
        self.limit.join(self)

    def ask(self, now: float, until: float) -> float | bool:
        """Ask for the slot.

        Args:
            now: The time on the monotonic clock, in seconds.
            until: The latest time for the slot.

        Returns:
            `True` if the slot is taken now; `False` if it cannot come in time; else the seconds after which to ask
            again, if the caller is not woken before.
        """
        return self.limit.ask(self, now, until)

    def leave(self) -> None:
        """Leave the queue. A slot that was taken stays taken."""
        self.limit.leave(self)

    @property
    def may_have_left(self) -> bool:
        """Whether the server may have seen a part of the request."""
        return self.exchange is not None and self.exchange.may_have_left

    @property
    def latest_arrival(self) -> float:
        """The time from which the request has certainly arrived, or must hold up no other request."""
        exchange = self.exchange
        if exchange is None or not exchange.may_have_left:
            return self.taken_at + _LONGEST_SETUP
        # A transport of somebody else does not tell when it sends.
        return (exchange.sent_at if exchange.is_ours else self.taken_at) + _LONGEST_TRIP

    def answered(self, now: float) -> None:
        """The response has come, so the server has counted the request by now."""
        self.limit.answered(self, now)

    def unsent(self, now: float) -> None:
        """The attempt has ended before a byte of the request was sent.

        Its slot counts as if the request had arrived at once. So failing connections do not come faster than the rate.
        """
        self.limit.unsent(self, now)

    def wake(self) -> None:
        """Tell the waiting caller to ask again."""
        self._wake()
