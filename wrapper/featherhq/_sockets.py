"""Deadlines for synchronous calls. httpx times each read of a socket; a deadline times the call.

A server that drips a byte a second never runs into a read timeout. Tasks can be cancelled from outside;
a thread that waits in `recv` cannot. So each operation on a socket is given what is left of the call's time
and no more. httpcore has a place for that, its network backend, and httpx 0.28 no argument to hand one
in: `Client` puts it there (hence the upper bound on httpx). Where a future httpx has no such place,
httpx's own timeouts remain.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx

from featherhq._transport import came

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

# Bytes that are written at a time: each piece has what is left of the time, and no more.
_PIECE: Final = 16 * 1024


class InterruptedJobError(BaseException):
    """A job was ended from another thread. No `Exception`, so that nothing takes it for a failure of the connection."""


class Interrupt:
    """Ends, from another thread, whatever a job waits for."""

    def __init__(self) -> None:
        self.is_set = False
        self._flag = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def set(self) -> None:
        """End it."""
        with self._lock:
            self.is_set = True
            self._flag.set()
            shut_down(self._socket)

    def wake(self) -> None:
        """Have the job look whether there is something new."""
        self._flag.set()

    def wait(self, seconds: float) -> None:
        """Wait, for so long or until `wake` or `set`.

        Raises:
            InterruptedJobError: it was set.
        """
        self._flag.wait(min(seconds, threading.TIMEOUT_MAX))
        self._flag.clear()
        self.check()

    def sleep(self, seconds: float) -> None:
        """Wait for so long, whatever wakes it, or until `set`.

        Raises:
            InterruptedJobError: it was set.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.wait(left)

    def check(self) -> None:
        """Go on only if it was not set.

        Raises:
            InterruptedJobError: it was set.
        """
        if self.is_set:
            raise InterruptedJobError

    @contextmanager
    def reaching(self, raw: object) -> Iterator[None]:
        """A socket that is to be shut down where it is set within the block."""
        with self._lock:
            self.check()
            self._socket = raw if isinstance(raw, socket.socket) else None
        try:
            yield
        finally:
            with self._lock:
                self._socket = None


class Operation:
    """What a thread does on sockets for one request: until when it may, and what came of it.

    Attributes:
        until: The moment of the monotonic clock at which it ends, in seconds.
        used: Whether it used a connection of ours.
        connected: Whether it made a new one.
        received: Whether a byte came.
    """

    def __init__(self, seconds: float, interrupt: Interrupt) -> None:
        self.until = time.monotonic() + seconds
        self.interrupt = interrupt
        self.used = self.connected = self.received = False

    @property
    def stale(self) -> bool:
        """Whether it used a connection from before, and no byte came."""
        return self.used and not self.connected and not self.received

    def left(self, timeout: float | None, error: type[Exception]) -> float:
        """What the next step may take: its own timeout, and no more than is left of the request's time."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise error
        return timeout if timeout is not None and timeout < left else min(left, threading.TIMEOUT_MAX)


_current: Final[ContextVar[Operation | None]] = ContextVar("featherhq_operation", default=None)


@contextmanager
def operation(seconds: float, interrupt: Interrupt) -> Iterator[Operation]:
    """Whatever this thread does on a socket within the block ends after so many seconds, or when it is interrupted."""
    begun = Operation(seconds, interrupt)
    token = _current.set(begun)
    try:
        yield begun
    finally:
        _current.reset(token)


def shut_down(raw: object) -> bool:
    """End whatever waits for a socket, in another thread; whether it is one. Closing it would not."""
    if not isinstance(raw, socket.socket):
        return False
    with suppress(OSError):
        # Past the TLS layer, which the other thread is using.
        socket.socket.shutdown(raw, socket.SHUT_RDWR)
    return True


class Client(httpx.Client):
    """An `httpx.Client` whose sockets keep to `operation`, those through proxies too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for transport in (self._transport, *self._mounts.values()):
            pool = getattr(transport, "_pool", None)
            if isinstance(pool, httpcore.ConnectionPool):
                pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001 - see above

    def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """As httpx does it, but for what requests of ours never ask for: redirects, authentication, hooks."""
        answer = self._transport_for_url(request.url).handle_request(request)
        return came(answer, request, self.cookies)


def _reading() -> Operation:
    # A stream is read after its operation has ended, for as long as it takes.
    return _current.get() or Operation(math.inf, Interrupt())


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        options = None if socket_options is None else list(socket_options)
        # One address after the other, each with its part of what is left: the system would give each the whole.
        *others, last = _addresses(host, port)
        for number, address in enumerate(others):
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._connect(address, port, timeout, len(others) + 1 - number, local_address, options)
        return self._connect(last, port, timeout, 1, local_address, options)

    def _connect(
        self, address: str, port: int, timeout: float | None, parts: int, local_address: str | None, options: Any
    ) -> httpcore.NetworkStream:
        current = _reading()
        current.interrupt.check()
        part = current.left(timeout, httpcore.ConnectTimeout) / parts
        made = self._inner.connect_tcp(address, port, part, local_address, options)
        current.used = current.connected = True
        return _Stream(made)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found)) or [host]


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        current = _reading()
        with current.interrupt.reaching(self.get_extra_info("socket")):
            data = self._inner.read(max_bytes, current.left(timeout, httpcore.ReadTimeout))
        current.used = True
        current.received = current.received or bool(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        current = _reading()
        current.used = True
        with current.interrupt.reaching(self.get_extra_info("socket")):
            for start in range(0, len(buffer), _PIECE):
                piece = buffer[start : start + _PIECE]
                self._inner.write(piece, current.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _reading().left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
