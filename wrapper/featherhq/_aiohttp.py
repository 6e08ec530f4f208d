"""httpx's API over aiohttp's connections: what an `AsyncFeather` speaks through. Imported when one is made.

httpx's own asynchronous pool gets slower the more tasks there are, and dies for good when many are cancelled at once,
as web frameworks do when browsers go away. httpx still builds the requests, reads the answers, and finds proxies and
certificates; aiohttp connects, sends and receives. `make bench` measures both, and the package httpx-aiohttp, which
reports a connection that was lost after a POST had been sent as one that was never made.
"""

from __future__ import annotations

import asyncio
import math
import sys
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import httpx
from yarl import URL

from featherhq._transport import came
from featherhq.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

# aiohttp raises the first three while it connects, so that nothing can have been sent, and all others after it.
_MEANINGS: Final[tuple[tuple[type[Exception], type[httpx.TransportError]], ...]] = (
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ClientOSError, httpx.ReadError),
    (aiohttp.ClientError, httpx.RemoteProtocolError),
)
# httpx has set these, or left them out on purpose.
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
# Bytes of a line of an answer's head: as many as httpx takes for all of it.
_LONGEST_LINE: Final = 100 * 1024
# Where a request says that its connection was used before.
_REUSED: Final = "featherhq.reused"
# Seconds; to aiohttp, 0 would be for ever.
_LEAST: Final = 0.001


class AsyncClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` that connects through aiohttp, directly and through the environment's HTTP proxies."""

    _loop: asyncio.AbstractEventLoop | None = None

    def build_request(self, *arguments: Any, **options: Any) -> httpx.Request:
        """As httpx does it, for one event loop.

        Raises:
            ConfigurationError: it is not the loop of the connections.
        """
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise ConfigurationError(
                "this AsyncFeather was used in another event loop before, to which its connections belong",
                hint="Make one within each asyncio.run(…). Nothing was sent.",
            )
        return super().build_request(*arguments, **options)

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """As httpx does it, but for what requests of ours never ask for: redirects, authentication, hooks."""
        answer = await self._transport_for_url(request.url).handle_async_request(request)
        return came(answer, request, self.cookies)

    def _init_transport(self, *_: Any, **options: Any) -> httpx.AsyncBaseTransport:
        return _Transport(options["verify"], options["limits"])

    def _init_proxy_transport(self, proxy: httpx.Proxy, *_: Any, **options: Any) -> httpx.AsyncBaseTransport:
        if proxy.url.scheme.startswith("socks"):
            # aiohttp has no SOCKS.
            return super()._init_proxy_transport(proxy, **options)
        return _Transport(options["verify"], options["limits"], proxy)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, tls: Any, limits: httpx.Limits, proxy: httpx.Proxy | None = None) -> None:
        self._tls = tls
        self._keepalive = limits.keepalive_expiry
        # A queue of our own, since in aiohttp's those who wait are overtaken by those who come, some for seconds.
        self._free = asyncio.Semaphore(limits.max_connections or sys.maxsize)
        self._proxy = None if proxy is None else URL(str(proxy.url))
        self._proxy_headers = {} if proxy is None else _proxy_headers(proxy)
        self._opened: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        seconds = request.extensions["timeout"]
        until = asyncio.get_running_loop().time() + seconds["connect"]
        try:
            async with asyncio.timeout(seconds["pool"] if self._free.locked() else None):
                await self._free.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout(str(error)) from None
        try:
            # Two turns of the loop, in which it notices which of the idle connections the server has closed.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            with _in_httpxs_terms():
                answer = await self._send(request, until)
        except BaseException:
            self._free.release()
            raise
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, self._free.release),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _send(self, request: httpx.Request, until: float) -> aiohttp.ClientResponse:
        content = await request.aread()
        headers = request.headers
        # The body is at hand, and aiohttp finds its length.
        headers.pop("transfer-encoding", None)
        own = {} if request.url.scheme == "https" else self._proxy_headers
        return await self._session().request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=[*headers.multi_items(), *own.items()],
            skip_auto_headers=_NOT_ADDED,
            data=content or None,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
            # What comes after the connection is timed by whoever asked. Seconds, and not rounded up to whole ones.
            trace_request_ctx=request.extensions,
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=max(_LEAST, until - asyncio.get_running_loop().time()),
                ceil_threshold=math.inf,
            ),
        )

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=self._keepalive),
                # httpx keeps cookies, decodes bodies and looks for proxies.
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                trace_configs=[_reuse_noted()],
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            )
            # Else it repeats a GET whose connection was lost, which would be no attempt that anybody counts.
            self._opened._retry_connection = False  # noqa: SLF001
        return self._opened


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse, release: Callable[[], None]) -> None:
        self._answer = answer
        self._release = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_httpxs_terms():
            async for chunk in self._answer.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        # Read to its end, the connection is in the pool by now, and this does nothing to it.
        self._answer.close()
        self._release()


def is_stale(request: httpx.Request, error: Exception) -> bool:
    """Whether a request failed on a connection that was used before, without a byte of an answer."""
    below = error.__cause__
    # What had come of an answer, if anything had, stands in the place of aiohttp's own words.
    closed = isinstance(below, aiohttp.ServerDisconnectedError) and isinstance(below.message, str)
    return bool(request.extensions.get(_REUSED)) and (closed or isinstance(below, aiohttp.ClientOSError))


def _reuse_noted() -> aiohttp.TraceConfig:
    async def reused(_: aiohttp.ClientSession, context: Any, __: Any) -> None:
        context.trace_request_ctx[_REUSED] = True

    noted = aiohttp.TraceConfig()
    noted.on_connection_reuseconn.append(reused)
    return noted


@contextmanager
def _in_httpxs_terms() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientError as error:
        meaning = next(meaning for kind, meaning in _MEANINGS if isinstance(error, kind))
        # aiohttp's own words name its objects, or a status that no server sent; what is behind it says it better.
        told = error.message if isinstance(error, aiohttp.ClientResponseError) else error.__cause__ or error
        raise meaning(str(told)) from error


def _proxy_headers(proxy: httpx.Proxy) -> dict[str, str]:
    headers = dict(proxy.headers)
    if proxy.raw_auth is not None:
        headers["Proxy-Authorization"] = f"Basic {b64encode(b':'.join(proxy.raw_auth)).decode()}"
    return headers
