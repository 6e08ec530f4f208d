"""The connections of an `AsyncFeather`: aiohttp's. Imported when an `AsyncFeather` is made.

httpx's asynchronous connection pool gets slower with every task, and fails for good if many tasks are cancelled at
once, as web frameworks do when browsers disconnect. httpx over httpcore2 survives that, but takes a multiple of the CPU
time (`make bench` measures both). So aiohttp connects, sends and receives, and no object of httpx lies between. Only
the errors are httpx's, so that all transports speak one language.
"""

from __future__ import annotations

import asyncio
import math
import sys
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx
from yarl import URL

from featherhq._core.secrets import Secret
from featherhq._http.aiohttp_request import BELOW, Call, ProxyLike, Request, as_httpx_error, current_call
from featherhq._http.answer_guard import LARGEST_HEAD
from featherhq._http.loops import LoopBound
from featherhq._http.requests import encode
from featherhq._validation import KEY_HEADER

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Mapping

    from featherhq._core.effects import SendRequest

# aiohttp adds none of these: the request brings them, or leaves them out on purpose.
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
# Bytes. A larger body is sent in pieces: else aiohttp warns that it blocks the event loop.
_LARGE: Final = 1 << 20
# Seconds. To aiohttp, 0 means no limit.
_LEAST: Final = 0.001


class Answer:
    """A response whose head has come.

    Args:
        answer: aiohttp's response.
        release: Called when the connection is no longer needed.

    Attributes:
        status_code: The HTTP status.
        headers: Its headers. Names are compared without case.
        is_stream_consumed: Whether the body was read already: never, because no hook sees this response.
        content: The body, if it was read already.
    """

    is_stream_consumed = False
    content = b""

    def __init__(self, answer: aiohttp.ClientResponse, release: Callable[[], None]) -> None:
        self.status_code = answer.status
        self.headers = _headers(answer)
        self._answer = answer
        self._release: Callable[[], None] | None = release

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """The body as it comes, not unpacked.

        Raises:
            httpx.TransportError: the connection was lost, or what comes is not valid HTTP.
        """
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except BELOW as error:
            raise as_httpx_error(error) from error

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close the connection."""
        self._answer.close()
        release, self._release = self._release, None
        if release is not None:
            release()


class AiohttpSender(LoopBound):
    """Sends requests from one event loop, the first that it was used in.

    It keeps the timeouts `pool` and `connect`. Whoever calls it limits the rest by a cancellation. The exchange of a
    request says what the request has done. While anything is waited for, no local variable holds the key.

    Args:
        tls: Checks the certificates of servers and proxies.
        limits: Limits of connections, in httpx's form.
        proxy: The proxy for all requests, if there is one. Not a SOCKS proxy: aiohttp has none.
        refuses: Called with the host of a request before a connection is made, also through a proxy. What it raises is
            raised unchanged.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        limits: httpx.Limits,
        proxy: ProxyLike | None = None,
        refuses: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._tls = tls
        self._keepalive = limits.keepalive_expiry
        # A queue of our own. In aiohttp's queue, new requests overtake those that wait, some for seconds.
        self._free = asyncio.Semaphore(limits.max_connections or sys.maxsize)
        self._proxy = proxy
        self._proxy_url = None if proxy is None else URL(proxy.shown)
        self._refuses = refuses
        self._session: aiohttp.ClientSession | None = None

    async def send(self, effect: SendRequest) -> Answer:
        """Send a request, and wait for the head of its response.

        Raises:
            UsageError: there is no event loop of asyncio, or it is another one than before, or this is closed.
            InvalidArgumentError: no request can be made from this.
            httpx.TransportError: no response came.
        """
        self.check_loop()
        effect.exchange.is_ours = True
        timeouts = effect.timeouts
        until = asyncio.get_running_loop().time() + timeouts.get("connect", math.inf)
        await self._take_connection(timeouts.get("pool"))
        try:
            self.check_loop()
            return Answer(await self._send(effect, until), self._free.release)
        except BaseException:
            self._free.release()
            raise

    def abandon(self) -> None:
        """As `Transport.abandon`, also if the event loop has been closed."""
        super().abandon()
        connector = None if self._session is None else self._session.connector
        if self._session is None or connector is None or not self.outlives_loop:
            return
        # The loop was closed without an end to its asynchronous generators.
        self._session.detach()
        with suppress(StopIteration):
            # Without a loop there is nothing to wait for: this runs to its end.
            next(connector.close().__await__())

    async def _take_connection(self, seconds: float | None) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout(str(error)) from error

    async def _send(self, effect: SendRequest, until: float) -> aiohttp.ClientResponse:
        method, text, headers, body = encode(effect)
        url, key, exchange = URL(text, encoded=True), effect.request["headers"].get(KEY_HEADER), effect.exchange
        session = await self._opened()
        call = Call(url, key if isinstance(key, Secret) else None, exchange, self._proxy, self._refuses)
        token = current_call.set(call)
        try:
            while True:
                exchange.reused = False
                left = until - asyncio.get_running_loop().time()
                try:
                    return await session.request(
                        method,
                        url,
                        headers=headers,
                        data=BytesIO(body) if len(body) > _LARGE else body or None,
                        allow_redirects=False,
                        proxy=self._proxy_url,
                        # Whoever calls this limits the rest. Without the threshold, aiohttp rounds up to whole seconds.
                        timeout=aiohttp.ClientTimeout(
                            total=None, connect=max(_LEAST, left) if left < math.inf else None, ceil_threshold=math.inf
                        ),
                    )
                except Exception as error:
                    # An idle connection that turned out to be closed is gone from the pool now. That was no attempt.
                    was_closed = isinstance(error, aiohttp.ClientError) and exchange.reused and not exchange.sent
                    if call.refusal is None and not was_closed:
                        if isinstance(error, BELOW):
                            raise as_httpx_error(error) from error
                        raise
                if call.refusal is not None:
                    raise call.refusal
        finally:
            current_call.reset(token)

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=self._keepalive),
                # No cookie is needed. Bodies are unpacked elsewhere, and the proxy is known already.
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                request_class=Request,
                skip_auto_headers=_NOT_ADDED,
                trace_configs=[] if self._refuses is None else [_before_connecting()],
                # The guard counts all bytes of a head before aiohttp sees it.
                max_line_size=LARGEST_HEAD,
                max_field_size=LARGEST_HEAD,
                max_headers=LARGEST_HEAD,
            )
            # Else aiohttp repeats a GET whose connection was lost, and nobody would count that attempt.
            self._session._retry_connection = False  # noqa: SLF001
            await self.close_with_loop(self._session.close)
        return self._session


def _headers(answer: aiohttp.ClientResponse) -> Mapping[str, str]:
    """The headers. What aiohttp reads in another way than httpx is read by httpx, so that both clients see the same."""
    headers = answer.headers
    plain = len(headers) == len({name.lower() for name in headers}) and all(map(str.isascii, headers.values()))
    # httpx joins the values of a repeated header; aiohttp keeps them apart. They also decode differently.
    return headers if plain else httpx.Headers(answer.raw_headers)


def _before_connecting() -> aiohttp.TraceConfig:
    async def ask(*_: object) -> None:
        current_call.get().may_connect()

    traced = aiohttp.TraceConfig()
    traced.on_connection_create_start.append(ask)
    return traced
