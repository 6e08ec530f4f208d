"""One request over aiohttp: what it does on its connection, its secrets, and what aiohttp's errors mean."""

from __future__ import annotations

import math
import time
from base64 import b64encode
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from featherhq._http.answer_guard import AnswerGuard
from featherhq._http.loops import has_input, yield_to_loop
from featherhq._validation import KEY_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.connector import Connection

    from featherhq._core.exchange import Exchange
    from featherhq._core.secrets import Secret

BELOW: Final = (aiohttp.ClientError, HttpProcessingError, OSError)
"""The errors of aiohttp, and those that it lets through."""

_MEANINGS: Final[tuple[tuple[type[Exception], type[httpx.TransportError]], ...]] = (
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.NonHttpUrlClientError, httpx.UnsupportedProtocol),
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ClientOSError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
    (HttpProcessingError, httpx.RemoteProtocolError),
    (OSError, httpx.ReadError),
)
_PROXY_HEADER: Final = "Proxy-Authorization"


class ProxyLike(Protocol):
    """What must be known about a proxy.

    Attributes:
        shown: Its URL without credentials.
        username: For the proxy itself, or nothing. The same holds for `password`.
    """

    @property
    def shown(self) -> str: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...


class Call:
    """One request on its way. It gives out its secrets only when they are sent.

    Args:
        url: The URL.
        key: The API key, if there is one.
        exchange: Where it notes what it has done on its connection.
        proxy: The proxy that it goes through, if there is one.
        refuses: Called with the host before a connection is made. It raises to refuse the host.
    """

    def __init__(
        self,
        url: URL,
        key: Secret | None,
        exchange: Exchange,
        proxy: ProxyLike | None,
        refuses: Callable[[str], None] | None,
    ) -> None:
        self.exchange = exchange
        self.refusal: Exception | None = None
        self._url = url
        self._key = key
        self._proxy = proxy
        self._refuses = refuses

    def key(self) -> dict[str, str]:
        """The header with the key."""
        return {} if self._key is None else {KEY_HEADER: self._key.reveal()}

    def proxy_credentials(self) -> dict[str, str]:
        """The header for the proxy alone."""
        if self._proxy is None or not (self._proxy.username or self._proxy.password):
            return {}
        credentials = f"{self._proxy.username or ''}:{self._proxy.password or ''}"
        return {_PROXY_HEADER: f"Basic {b64encode(credentials.encode()).decode()}"}

    def may_connect(self) -> None:
        """A connection is about to be made."""
        assert self._refuses is not None  # noqa: S101 - without it, nothing calls this
        try:
            self._refuses(self._url.host or "")
        except Exception as error:
            self.refusal = error
            raise


current_call: Final[ContextVar[Call]] = ContextVar("featherhq_call")


class Request(aiohttp.ClientRequest):
    """A request that sees its connection before anything is written. aiohttp's CONNECT to a proxy is none of these."""

    def update_proxy(self, proxy: Any, proxy_auth: Any, proxy_headers: Any) -> None:
        headers = {**proxy_headers, **current_call.get().proxy_credentials()} if proxy else None
        super().update_proxy(proxy, proxy_auth, headers)

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        call = current_call.get()
        exchange, protocol, transport = call.exchange, conn.protocol, conn.transport
        guard = None if transport is None else transport.get_protocol()
        exchange.reused = isinstance(guard, AnswerGuard)
        if not exchange.reused or has_input(transport):
            # On a new connection, the server may have spoken first. On a used one, it may have closed it since.
            await yield_to_loop()
        if transport is None or transport.is_closing() or protocol is None or protocol.should_close:
            raise aiohttp.ClientConnectionError(
                "the connection ended before the request was sent, or the server sent something first"
            )
        if not isinstance(guard, AnswerGuard):
            guard = AnswerGuard(protocol, transport)
            transport.set_protocol(guard)
        guard.begin(exchange, has_body=self.method != "HEAD")
        conn.add_callback(guard.end)
        # A task writes a body, and the head with it (`write_bytes`).
        exchange.sent_at = math.inf if self.body else time.monotonic()
        self._reveal(call)
        try:
            guard.answer = await super().send(conn)
        except ValueError as error:
            # An invalid header, found before anything was written.
            exchange.sent_at = math.inf
            raise httpx.LocalProtocolError(str(error)) from error
        finally:
            self.headers.pop(KEY_HEADER, None)
            self.headers.pop(_PROXY_HEADER, None)
        return guard.answer

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        exchange = current_call.get().exchange
        exchange.sent_at = min(exchange.sent_at, math.inf if conn.closed else time.monotonic())
        await super().write_bytes(writer, conn, content_length)

    def _reveal(self, call: Call) -> None:
        self.headers.update(call.key())
        if not self.is_ssl():
            self.headers.update(call.proxy_credentials())


def as_httpx_error(error: Exception) -> httpx.TransportError:
    """An error of aiohttp, in httpx's terms."""
    meaning = next(meaning for kind, meaning in _MEANINGS if isinstance(error, kind))
    # aiohttp's text names its own objects, or a status that no server has sent. The cause says it better.
    text: object = error.__cause__ or error
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        text = error.message
    if isinstance(error, aiohttp.ClientHttpProxyError):
        text = f"{error.status} {error.message}"
    if isinstance(error, aiohttp.ClientResponseError):
        # The headers of a CONNECT hold the password of the proxy.
        error.request_info = error.request_info._replace(headers=CIMultiDictProxy(CIMultiDict()))
        error.args = ()
    return meaning(str(text))
