"""Deadlines for synchronous calls. httpx times each read of a socket; a deadline times the call.

A server that drips a byte a second never runs into a read timeout. Tasks can be cancelled from outside;
a thread that waits in `recv` cannot. So each operation on a socket is given what is left of the call's time
and no more. httpcore has a place for that, its network backend, and httpx 0.28 no argument to hand one
in: `Client` puts it there (hence the upper bound on httpx). Where a future httpx has no such place,
httpx's own timeouts remain.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx

from featherhq._transport import came

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator


_until: Final = ContextVar("featherhq_until", default=math.inf)


@contextmanager
def limited_to(seconds: float) -> Iterator[None]:
    """Whatever this thread does on a socket within the block ends after so many seconds."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


class Client(httpx.Client):
    """An `httpx.Client` whose sockets keep to `limited_to`, those through proxies too."""

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


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    """What an operation may take: its own timeout, and no more than is left of the call's time."""
    left = _until.get() - time.monotonic()
    if left <= 0:
        raise error
    return timeout if timeout is not None and timeout < left else min(left, threading.TIMEOUT_MAX)


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
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, left, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
