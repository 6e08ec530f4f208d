"""What a thread does on sockets for one request: how long it may take, and what it has done so far."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from featherhq._core.exchange import Exchange
from featherhq._http.interrupt import Interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator


class Operation:
    """What a thread does on sockets for one request.

    Args:
        seconds: How long it may take.
        interrupt: What else ends it.
        exchange: Where it notes what was sent and received.

    Attributes:
        connected: Whether it has made a connection.
        layer: How many layers of TLS lie below the request.
    """

    def __init__(self, seconds: float, interrupt: Interrupt, exchange: Exchange) -> None:
        self.until = time.monotonic() + seconds
        self.interrupt = interrupt
        self.exchange = exchange
        self.connected = False
        self.layer = 0

    def left(self, timeout: float | None, error: type[Exception]) -> float:
        """Seconds for the next step: its own timeout, but no more than is left of the request's time.

        Raises:
            Exception: an `error`, if no time is left.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise error("")
        return timeout if timeout is not None and timeout < left else min(left, threading.TIMEOUT_MAX)

    def wrote(self) -> None:
        """A byte of the request may be on its way."""
        if not self.exchange.sent:
            self.exchange.sent_at, self.exchange.reused = time.monotonic(), not self.connected


_current: Final[ContextVar[Operation | None]] = ContextVar("featherhq_operation", default=None)


@contextmanager
def operation(seconds: float, interrupt: Interrupt, exchange: Exchange) -> Iterator[Operation]:
    """Within the block, what this thread does on sockets ends after this many seconds, or when it is interrupted."""
    begun = Operation(seconds, interrupt, exchange)
    token = _current.set(begun)
    try:
        yield begun
    finally:
        _current.reset(token)


def current() -> Operation:
    """The operation of this thread. A stream is read after its operation, and that has no time limit."""
    return _current.get() or Operation(math.inf, Interrupt(), Exchange())
