"""What a `Feather` speaks through: httpcore's connections, with a deadline for the call. Imported when one is made.

httpx times each read of a socket; a deadline times the call. A server that drips a byte a second never runs into a read
timeout. Tasks can be cancelled from outside; a thread that waits in `recv` cannot. So each operation on a socket is
given what is left of the call's time and no more. httpcore has a place for that, its network backend.
"""

from __future__ import annotations

import math
import socket
import threading
import time
import traceback
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx

from featherhq import _guard
from featherhq._exchange import EXCHANGE, Exchange
from featherhq._transport import forget_variables, readable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    from featherhq._proxies import Proxy

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

    Args:
        seconds: How long it may take.
        interrupt: What else ends it.
        exchange: Where to note what was sent and received.

    Attributes:
        connected: Whether it has made a connection.
        layer: How many layers of TLS are below the request.
    """

    def __init__(self, seconds: float, interrupt: Interrupt, exchange: Exchange) -> None:
        self.until = time.monotonic() + seconds
        self.interrupt = interrupt
        self.exchange = exchange
        self.connected = False
        self.layer = 0

    def left(self, timeout: float | None, error: type[Exception]) -> float:
        """What the next step may take: its own timeout, and no more than is left of the request's time.

        Raises:
            Exception: of the kind of `error`, where nothing is left.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise error("")
        return timeout if timeout is not None and timeout < left else min(left, threading.TIMEOUT_MAX)

    def wrote(self) -> None:
        """A byte of the request may be on its way."""
        if not self.exchange.sent:
            self.exchange.sent, self.exchange.reused = True, not self.connected


_current: Final[ContextVar[Operation | None]] = ContextVar("featherhq_operation", default=None)


@contextmanager
def operation(seconds: float, interrupt: Interrupt, exchange: Exchange) -> Iterator[Operation]:
    """Whatever this thread does on a socket within the block ends after so many seconds, or when it is interrupted."""
    begun = Operation(seconds, interrupt, exchange)
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


# What httpcore raises, by what httpx calls it.
_MEANINGS: Final = {
    getattr(httpcore, name): getattr(httpx, name)
    for name in (
        "ConnectTimeout",
        "ReadTimeout",
        "WriteTimeout",
        "PoolTimeout",
        "ConnectError",
        "ReadError",
        "WriteError",
        "ProxyError",
        "UnsupportedProtocol",
        "LocalProtocolError",
        "RemoteProtocolError",
    )
}


class Transport(httpx.BaseTransport):
    """Sends requests, each as its `operation` has it.

    Args:
        tls: What certificates are checked with.
        limits: How many connections there may be, and for how long an idle one is kept.
        proxy: What they go through, if anything.
    """

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits, proxy: Proxy | None) -> None:
        self._streams: weakref.WeakSet[_Stream] = weakref.WeakSet()
        self._tls, self._limits, self._proxy = tls, limits, proxy
        # A request comes after the TLS of its proxy, if there is one, and that of its server.
        self._layers = int(proxy is not None and proxy.shown.startswith("https:"))
        if proxy is not None and proxy.shown.startswith("socks"):
            # An extra of httpx, which httpcore would miss in the first request alone.
            import_module("socksio")
        self._pool = self._made()

    def let_go(self) -> None:
        """In a forked child: close this process's hold on the parent's sockets, without a byte to anybody."""
        for stream in list(self._streams):
            stream.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx's own transport does it."""
        mocked = httpx.HTTPTransport.handle_request
        if mocked.__qualname__ != "HTTPTransport.handle_request":
            # Tools that intercept the requests of tests (pytest-httpx) put theirs in its place.
            return mocked(httpx.HTTPTransport(), request)
        exchange = request.extensions.setdefault(EXCHANGE, Exchange())
        exchange.is_ours = True
        _reading().layer = self._layers + (request.url.scheme == "https")
        try:
            with _in_httpxs_terms():
                answer = self._pool.handle_request(
                    httpcore.Request(
                        request.method,
                        httpcore.URL(
                            scheme=request.url.raw_scheme,
                            host=request.url.raw_host,
                            port=request.url.port,
                            target=request.url.raw_path,
                        ),
                        headers=request.headers.raw,
                        content=request.stream,
                        extensions=request.extensions,
                    )
                )
        except BaseException as error:
            if exchange.sent or _was_writing(error):
                # The key is among what was written, and a signal may have struck just then.
                forget_variables(error)
            raise
        # Without the server's own words beside the status, which httpx logs: the key may be among them.
        answer.extensions.pop("reason_phrase", None)
        return httpx.Response(
            answer.status,
            headers=readable(answer.headers, request),
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    abandon = close

    def _made(self) -> httpcore.ConnectionPool:
        proxy, limits = self._proxy, self._limits
        return httpcore.ConnectionPool(
            ssl_context=self._tls,
            proxy=None
            if proxy is None
            else httpcore.Proxy(
                proxy.shown,
                auth=(proxy.username, proxy.password) if proxy.username else None,
                ssl_context=self._tls if self._layers else None,
            ),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(self._streams),
        )


def _was_writing(error: BaseException) -> bool:
    """Whether it was raised while the head of a request was made or written."""
    return any(frame.f_code.co_name == "_send_request_headers" for frame, _ in traceback.walk_tb(error.__traceback__))


def _reading() -> Operation:
    # A stream is read after its operation has ended, for as long as it takes.
    return _current.get() or Operation(math.inf, Interrupt(), Exchange())


@contextmanager
def _in_httpxs_terms() -> Iterator[None]:
    try:
        yield
    except tuple(_MEANINGS) as error:
        meaning = next(meaning for kind, meaning in _MEANINGS.items() if isinstance(error, kind))
        raise meaning(str(error)) from error


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _in_httpxs_terms():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _Backend(httpcore.NetworkBackend):
    def __init__(self, streams: weakref.WeakSet[_Stream]) -> None:
        self._streams = streams
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        _guard.check(host)
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
        try:
            made = self._inner.connect_tcp(address, port, part, local_address, options)
        except BaseException as error:
            # The standard library closes its socket where connecting fails, and not where a signal ends it.
            for frame, _ in traceback.walk_tb(error.__traceback__):
                if isinstance(left_open := frame.f_locals.get("sock"), socket.socket):
                    left_open.close()
            raise
        current.connected = True
        return _Stream(made, self._streams)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found)) or [host]


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, streams: weakref.WeakSet[_Stream], layer: int = 0) -> None:
        self._inner = inner
        self._streams = streams
        self._layer = layer
        streams.add(self)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        current = _reading()
        with current.interrupt.reaching(self.get_extra_info("socket")):
            data = self._inner.read(max_bytes, current.left(timeout, httpcore.ReadTimeout))
        if data and self._layer == current.layer:
            current.exchange.received = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        current = _reading()
        if self._layer == current.layer:
            current.wrote()
        try:
            with current.interrupt.reaching(self.get_extra_info("socket")):
                for start in range(0, len(buffer), _PIECE):
                    self._inner.write(buffer[start : start + _PIECE], current.left(timeout, httpcore.WriteTimeout))
        finally:
            # The key is in it, and an error would show it.
            buffer = b""

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _reading().left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._streams, self._layer + 1)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
