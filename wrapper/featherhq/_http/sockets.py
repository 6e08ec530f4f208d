"""The connections of a `Feather`: those of httpcore, with a deadline for the whole call.

httpx limits the time of each read from a socket, but a deadline limits the whole call. If a server sends one byte per
second, no read ever times out. A task can be cancelled from outside, but a thread that waits in `recv` cannot. So each
operation on a socket may take only the rest of the call's time. httpcore has a public interface for that: the network
backend.

This module is imported when the first connection is needed.
"""

from __future__ import annotations

import socket
import traceback
import weakref
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx

from featherhq._core.exchange import EXCHANGE, Exchange
from featherhq._http import guard
from featherhq._http.connections import bare_options
from featherhq._http.operation import current
from featherhq._http.requests import readable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    from featherhq._http.proxies import Proxy

# Bytes that are written at a time. Each piece may take only the rest of the call's time.
_PIECE: Final = 16 * 1024

# The error of httpx for each error of httpcore.
_HTTPX_ERRORS: Final = {
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


class SocketClient(httpx.Client):
    """A plain httpx client over our transport. So tools that patch httpx (such as tracers) see its requests.

    Args:
        tls: Checks certificates.
        limits: How many connections there may be, and how long an idle one is kept.
        proxy: The proxy for all requests, if there is one.

    Raises:
        ImportError: the proxy is a SOCKS proxy, and httpx's extra for SOCKS is not installed.
    """

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits, proxy: Proxy | None) -> None:
        self._sockets = SocketTransport(tls, limits, proxy)
        super().__init__(transport=self._sockets, **bare_options())
        # Each request sets these itself. To replace a default of httpx takes longer than to set a new header.
        del self.headers["Accept"], self.headers["Accept-Encoding"], self.headers["User-Agent"]

    def abandon(self) -> None:
        """As `Transport.abandon`."""
        self._sockets.close()

    def forked(self) -> bool:
        """As `Transport.forked`."""
        self._sockets.let_go()
        return True


class SocketTransport(httpx.BaseTransport):
    """Sends each request within the `operation` of its thread. The arguments are those of `SocketClient`."""

    def __init__(self, tls: ssl.SSLContext, limits: httpx.Limits, proxy: Proxy | None) -> None:
        self._streams: weakref.WeakSet[_Stream] = weakref.WeakSet()
        # The number of TLS layers below a request: one of its proxy if that uses https, and one of its server (added in
        # `handle_request`). Only bytes above all layers belong to the request.
        self._layers = int(proxy is not None and proxy.shown.startswith("https:"))
        if proxy is not None and proxy.shown.startswith("socks"):
            # It is an optional dependency of httpx. Without this import, the first request would fail.
            import_module("socksio")
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            proxy=None
            if proxy is None
            else httpcore.Proxy(
                proxy.shown,
                auth=(proxy.username, proxy.password) if proxy.username else None,
                ssl_context=tls if self._layers else None,
            ),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(self._streams),
        )

    def let_go(self) -> None:
        """In a forked child: close the child's copies of the parent's sockets, without sending a byte."""
        for stream in list(self._streams):
            stream.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx's own transport does it."""
        exchange = request.extensions.setdefault(EXCHANGE, Exchange())
        mocked = httpx.HTTPTransport.handle_request
        exchange.is_ours = mocked.__qualname__ == "HTTPTransport.handle_request"
        if not exchange.is_ours:
            # A test tool such as pytest-httpx has replaced this function to intercept requests. Its function is called.
            return mocked(httpx.HTTPTransport(), request)
        return _inside_tracers(mocked, self)(request)

    def send(self, request: httpx.Request) -> httpx.Response:
        """As `handle_request`, without tracers."""
        current().layer = self._layers + (request.url.scheme == "https")
        with _as_httpx_errors():
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
        # httpx logs this text from the server, and it may contain the key.
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


def _inside_tracers(function: Any, transport: SocketTransport) -> Callable[[httpx.Request], httpx.Response]:
    """How a transport sends, inside the tracers (such as OpenTelemetry's) that have wrapped httpx's own function.

    They wrap with the package wrapt, which keeps the wrapping function under this name.
    """
    tracer = getattr(function, "_self_wrapper", None)
    if tracer is None:
        return transport.send
    inner = _inside_tracers(function.__wrapped__, transport)

    return lambda request: tracer(inner, transport, (request,), {})


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """Raise errors of httpcore as errors of httpx."""
    try:
        yield
    except tuple(_HTTPX_ERRORS) as error:
        meaning = next(meaning for kind, meaning in _HTTPX_ERRORS.items() if isinstance(error, kind))
        raise meaning(str(error)) from error


class _Body(httpx.SyncByteStream):
    """The body of a response. Errors while it is read are errors of httpx."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx_errors():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _Backend(httpcore.NetworkBackend):
    """Opens connections within the deadline of the current operation."""

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
        guard.check(host)
        options = None if socket_options is None else list(socket_options)
        # Each address gets a share of the time that is left. The standard library would give each of them the whole
        # time, one after another.
        *others, last = _addresses(host, port)
        for number, address in enumerate(others):
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._connect(address, port, timeout, len(others) + 1 - number, local_address, options)
        return self._connect(last, port, timeout, 1, local_address, options)

    def _connect(
        self, address: str, port: int, timeout: float | None, parts: int, local_address: str | None, options: Any
    ) -> httpcore.NetworkStream:
        operation = current()
        operation.interrupt.check()
        part = operation.left(timeout, httpcore.ConnectTimeout) / parts
        try:
            made = self._inner.connect_tcp(address, port, part, local_address, options)
        except BaseException as error:
            # The standard library closes its socket after an `OSError`, but not after another exception (of a signal).
            for frame, _ in traceback.walk_tb(error.__traceback__):
                if isinstance(left_open := frame.f_locals.get("sock"), socket.socket):
                    left_open.close()
            raise
        operation.connected = True
        return _Stream(made, self._streams)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found)) or [host]


class _Stream(httpcore.NetworkStream):
    """One connection, or one TLS layer on it. Each read and write may take only the rest of the call's time."""

    def __init__(self, inner: httpcore.NetworkStream, streams: weakref.WeakSet[_Stream], layer: int = 0) -> None:
        self._inner = inner
        self._streams = streams
        self._layer = layer
        streams.add(self)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        operation = current()
        with operation.interrupt.reaching(self.get_extra_info("socket")):
            data = self._inner.read(max_bytes, operation.left(timeout, httpcore.ReadTimeout))
        if data and self._layer == operation.layer:
            operation.exchange.received = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        operation = current()
        if self._layer == operation.layer:
            operation.wrote()
        try:
            with operation.interrupt.reaching(self.get_extra_info("socket")):
                for start in range(0, len(buffer), _PIECE):
                    self._inner.write(buffer[start : start + _PIECE], operation.left(timeout, httpcore.WriteTimeout))
        finally:
            # It contains the key. A traceback with local variables would show it.
            buffer = b""

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = current().left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._streams, self._layer + 1)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
