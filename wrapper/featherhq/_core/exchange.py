"""What one request has done on its connection. It shows what the server can have seen of the request.

Our own transports write it. What an error means is read from it. A transport of somebody else writes nothing.
"""

from __future__ import annotations

import math
from typing import Final

from attrs import define

EXCHANGE: Final = "featherhq.exchange"
"""The name under which an httpx request carries its exchange in its extensions."""


@define(eq=False)
class Exchange:
    """One request on one connection.

    Attributes:
        is_ours: Whether a transport of ours has it. Only then do the other attributes say anything.
        reused: Whether the connection was used before.
        sent_at: When the first byte of the request was given to the connection, in seconds of the monotonic clock;
            `inf` before that. The bytes that set up TLS or the tunnel of a proxy do not count.
        received: Whether a byte of the response has arrived.
    """

    is_ours: bool = False
    reused: bool = False
    sent_at: float = math.inf
    received: bool = False

    @property
    def sent(self) -> bool:
        """Whether a byte of the request was given to the connection."""
        return self.sent_at < math.inf

    @property
    def may_have_left(self) -> bool:
        """Whether the server may have seen a part of the request."""
        return self.sent or not self.is_ours
