"""What one request has done on its connection: evidence of what the server can have seen of it.

Our own transports write it; what an error means is read from it. A transport of somebody else's writes nothing.
"""

from __future__ import annotations

from typing import Final

from attrs import define

EXCHANGE: Final = "featherhq.exchange"
"""Where a request carries its own: the name among an httpx request's extensions."""


@define(eq=False)
class Exchange:
    """One request on one connection.

    Attributes:
        is_ours: Whether a transport of ours has it, so that the rest tells something.
        reused: Whether the connection was used before.
        sent: Whether a byte of the request was handed to the connection; those that set up a proxy's tunnel or TLS are
            none of the request's.
        received: Whether a byte of an answer to it has come.
    """

    is_ours: bool = False
    reused: bool = False
    sent: bool = False
    received: bool = False

    @property
    def may_have_left(self) -> bool:
        """Whether the server may have seen something of the request."""
        return self.sent or not self.is_ours
