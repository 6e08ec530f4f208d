"""SOCKS proxies for an `AsyncFeather`: httpx's own transport, because aiohttp has none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx

from featherhq._core.exchange import EXCHANGE, Exchange
from featherhq._http.connections import bare_options
from featherhq._http.loops import LoopBound
from featherhq._http.requests import readable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from featherhq._http.aiohttp_request import ProxyLike


class SocksClient(httpx.AsyncClient, LoopBound):
    """An httpx client that goes through a SOCKS proxy, and notes in exchanges what its requests have done.

    Args:
        tls: Checks certificates.
        limits: Limits of connections.
        proxy: The proxy.
        refuses: As in `AiohttpSender`.

    Raises:
        ImportError: httpx's extra for SOCKS proxies is not installed.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        limits: httpx.Limits,
        proxy: ProxyLike,
        refuses: Callable[[str], None] | None = None,
    ) -> None:
        LoopBound.__init__(self)
        auth = (proxy.username or "", proxy.password or "") if proxy.username or proxy.password else None
        self._socks = httpx.AsyncHTTPTransport(tls, limits=limits, proxy=httpx.Proxy(proxy.shown, auth=auth))
        self._refuses = refuses
        super().__init__(transport=_Transport(self), **bare_options())
        # Each request brings its own.
        del self.headers["Accept"], self.headers["Accept-Encoding"], self.headers["User-Agent"]

    async def aclose(self) -> None:
        """Close the connections."""
        await LoopBound.aclose(self)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        self.check_loop()
        exchange: Exchange = request.extensions.setdefault(EXCHANGE, Exchange())
        exchange.is_ours = True
        await self.close_with_loop(self._socks.aclose)
        connected = False

        async def note(event: str, _: object) -> None:
            nonlocal connected
            if event.endswith(".connect_tcp.started"):
                connected = True
                if self._refuses is not None:
                    self._refuses(request.url.host)
            elif event.endswith(".send_request_headers.started"):
                exchange.reused, exchange.sent_at = not connected, time.monotonic()
            elif event.endswith(".receive_response_headers.complete"):
                exchange.received = True

        request.extensions["trace"] = note
        try:
            response = await self._socks.handle_async_request(request)
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "socksio":
                # An invalid response of the proxy. httpx does not translate this error.
                raise httpx.ProxyError(str(error)) from error
            raise
        response.headers = httpx.Headers(readable(response.headers.raw, request))
        return response


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, client: SocksClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._client.handle(request)
