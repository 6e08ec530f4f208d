"""Ends what a thread waits for, from another thread."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# Whether to wait at `close`, and how long: for no time, so the connection is reset. Windows has shorter numbers.
_AT_ONCE: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class InterruptedJobError(BaseException):
    """A job was ended from another thread. It is not an `Exception`: nothing may take it for a lost connection."""


class Interrupt:
    """Ends, from another thread, whatever a job waits for."""

    def __init__(self) -> None:
        self.is_set = False
        self._flag = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def set(self) -> None:
        """End the job."""
        with self._lock:
            self.is_set = True
            self._flag.set()
            shut_down(self._socket)

    def wake(self) -> None:
        """Make the job check whether something has happened."""
        self._flag.set()

    def wait(self, seconds: float) -> None:
        """Wait this long, or until `wake` or `set`.

        Raises:
            InterruptedJobError: the job was ended.
        """
        self._flag.wait(min(seconds, threading.TIMEOUT_MAX))
        self._flag.clear()
        self.check()

    def sleep(self, seconds: float) -> None:
        """Wait this long, or until `set`. `wake` does not end it.

        Raises:
            InterruptedJobError: the job was ended.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.wait(left)

    def check(self) -> None:
        """Go on only if the job was not ended.

        Raises:
            InterruptedJobError: the job was ended.
        """
        if self.is_set:
            raise InterruptedJobError

    @contextmanager
    def reaching(self, raw: object) -> Iterator[None]:
        """Within the block, `set` shuts this socket down."""
        with self._lock:
            self.check()
            self._socket = raw if isinstance(raw, socket.socket) else None
        try:
            yield
        finally:
            with self._lock:
                self._socket = None


def shut_down(raw: object) -> bool:
    """End whatever another thread waits for on a socket. To close the socket would not end it.

    Returns:
        Whether this is a socket.
    """
    if not isinstance(raw, socket.socket):
        return False
    with suppress(OSError):
        # When the other thread closes it, the server is told at once. Without this, a server that waits because the
        # client did not read fast enough goes on waiting for seconds: after `shutdown`, Linux sends it no new window.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        # Below the TLS layer, because the other thread is using that.
        socket.socket.shutdown(raw, socket.SHUT_RDWR)
    return True
