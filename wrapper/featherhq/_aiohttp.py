"""What an `AsyncFeather` speaks through: a transport for `httpx.AsyncClient`, over aiohttp's connections.

httpx's own asynchronous pool gets slower the more tasks there are, and dies for good when many are cancelled at once,
as web frameworks do when browsers go away. httpx still builds the requests and reads the answers; aiohttp connects,
sends and receives. `make bench` measures both, and the package httpx-aiohttp, which reports a connection that was lost
after a POST had been sent as one that was never made.
"""

from __future__ import annotations

import asyncio
import math
import re
import sys
from base64 import b64encode
from contextlib import suppress
from contextvars import ContextVar
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from featherhq._arguments import KEY_HEADER
from featherhq._exchange import EXCHANGE, Exchange
from featherhq._transport import forget_variables, no_loop
from featherhq.errors import UsageError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

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
_BELOW: Final = (aiohttp.ClientError, HttpProcessingError, OSError)
# httpx has set these, or left them out on purpose.
_NOT_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_LEFT_OUT: Final = frozenset({KEY_HEADER.lower().encode(), b"transfer-encoding"})
_PROXY_HEADER: Final = "Proxy-Authorization"
# Bytes of an answer's head, and of all that come before it: as many as httpx takes.
_LARGEST_HEAD: Final = 100 * 1024
# Bytes of a body: more than that is sent in pieces.
_LARGE: Final = 1 << 20
# Seconds; to aiohttp, 0 would be for ever.
_LEAST: Final = 0.001

_VERSION: Final = b"HTTP/"
_HEAD_ENDS: Final = re.compile(rb"\n\r?\n")
_LENGTH: Final = re.compile(rb"\nContent-Length:([^\n]*)", re.IGNORECASE)
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")
_LAST_CHUNK_ENDS: Final = b"\r\n\r\n"


class ProxyLike(Protocol):
    """What has to be known of a proxy.

    Attributes:
        shown: Its URL without credentials.
        username: For the proxy itself, or nothing. So is `password`.
    """

    @property
    def shown(self) -> str: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...


class Transport(httpx.AsyncBaseTransport):
    """Sends requests of one event loop, the first that it was used in.

    It heeds the timeouts `pool` and `connect`; whoever asks cuts the rest short by a cancellation. What a request has
    done is told in its `Exchange`. The key of a request stands in no local variable while anything is waited for.

    Args:
        tls: What servers and proxies show their certificates to.
        limits: Of connections, as httpx has them.
        proxy: What all requests go through.
        refuses: Called with the host of a request before a connection is made for it, through a proxy too; what it
            raises comes out as it is.

    Raises:
        ImportError: the proxy is one of SOCKS, and httpx's extra for that is not installed.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        limits: httpx.Limits,
        proxy: ProxyLike | None = None,
        refuses: Callable[[str], None] | None = None,
    ) -> None:
        self._tls = tls
        self._keepalive = limits.keepalive_expiry
        # A queue of our own, since in aiohttp's those who wait are overtaken by those who come, some for seconds.
        self._free = asyncio.Semaphore(limits.max_connections or sys.maxsize)
        self._proxy = proxy
        self._proxy_url = None if proxy is None else URL(proxy.shown)
        self._refuses = refuses
        self._socks: httpx.AsyncHTTPTransport | None = None
        if proxy is not None and proxy.shown.startswith("socks"):
            # aiohttp has no SOCKS.
            auth = (proxy.username or "", proxy.password or "") if proxy.username or proxy.password else None
            self._socks = httpx.AsyncHTTPTransport(tls, limits=limits, proxy=httpx.Proxy(proxy.shown, auth=auth))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._open: AsyncGenerator[None] | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx has it.

        Raises:
            UsageError: there is no event loop of asyncio, or it is another one than before, or this is closed.
        """
        self._check()
        exchange: Exchange = request.extensions.setdefault(EXCHANGE, Exchange())
        exchange.is_ours = True
        if self._socks is not None:
            await self._keep_open(self._socks.aclose)
            return await self._send_through(self._socks, request, exchange)
        seconds = request.extensions.get("timeout", {})
        connect = seconds.get("connect")
        until = math.inf if connect is None else asyncio.get_running_loop().time() + connect
        await self._take_place(seconds.get("pool"))
        try:
            # Of the idle connections, some may have been closed.
            await _notice()
            self._check()
            answer = await self._send(request, exchange, until)
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
        """Close all connections."""
        self._closed = True
        if self._loop is not None and self._loop is not _running_loop():
            self.abandon()
            return
        held, self._open = self._open, None
        if held is not None:
            _held.discard(held)
            await held.aclose()

    def abandon(self) -> None:
        """Close all connections, from any thread and without waiting for it, also when their loop has been closed."""
        self._closed = True
        # The loop closes them once nobody holds this, or has done so at its own end.
        if self._open is not None:
            _held.discard(self._open)
        self._open = None
        connector = None if self._session is None else self._session.connector
        if self._session is None or connector is None or self._loop is None or not self._loop.is_closed():
            return
        # A loop that was closed without a word to its asynchronous generators.
        self._session.detach()
        with suppress(StopIteration):
            # There is nothing to wait for without a loop: this runs to its end.
            next(connector.close().__await__())

    def _check(self) -> None:
        loop = _running_loop()
        self._loop = self._loop or loop
        if loop is None:
            raise no_loop()
        if self._loop is not loop:
            problem = "this AsyncFeather was used in another event loop before, to which its connections belong"
            hint = "Make one within each asyncio.run(…)."
        elif self._closed:
            problem = "this client is closed"
            hint = "Make the call before its `with` block ends."
        else:
            return
        raise UsageError(problem, hint=f"{hint} Nothing was sent.")

    async def _take_place(self, seconds: float | None) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout(str(error)) from error

    async def _send(self, request: httpx.Request, exchange: Exchange, until: float) -> aiohttp.ClientResponse:
        content = await request.aread()
        session = await self._opened()
        call = _Call(request, exchange, self._proxy, self._refuses)
        token = _current.set(call)
        try:
            while True:
                exchange.reused = False
                try:
                    return await session.request(
                        request.method,
                        URL(str(request.url), encoded=True),
                        headers=call.headers(),
                        # Else aiohttp warns of a body that the loop would be busy with.
                        data=BytesIO(content) if len(content) > _LARGE else content or None,
                        allow_redirects=False,
                        proxy=self._proxy_url,
                        # What comes after the connection is timed by whoever asked. Not rounded up to whole seconds.
                        timeout=aiohttp.ClientTimeout(
                            total=None,
                            connect=None
                            if until == math.inf
                            else max(_LEAST, until - asyncio.get_running_loop().time()),
                            ceil_threshold=math.inf,
                        ),
                    )
                except Exception as error:
                    # A connection from before that cannot be used is gone from the pool, and was no attempt.
                    cannot = isinstance(error, aiohttp.ClientError) and exchange.reused and not exchange.sent
                    if call.refusal is None and not cannot:
                        if isinstance(error, _BELOW):
                            raise _in_httpxs_terms(error) from error
                        raise
                if call.refusal is not None:
                    raise call.refusal
        finally:
            _current.reset(token)

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=self._keepalive),
                # httpx keeps cookies and decodes bodies, and whoever made this has looked for proxies.
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                request_class=_Request,
                skip_auto_headers=_NOT_ADDED,
                trace_configs=[] if self._refuses is None else [_asked_before_connecting()],
                # All that is in a head is counted before aiohttp sees it.
                max_line_size=_LARGEST_HEAD,
                max_field_size=_LARGEST_HEAD,
                max_headers=_LARGEST_HEAD,
            )
            # Else it repeats a GET whose connection was lost, which would be no attempt that anybody counts.
            self._session._retry_connection = False  # noqa: SLF001
            await self._keep_open(self._session.close)
        return self._session

    async def _keep_open(self, close: Callable[[], Awaitable[None]]) -> None:
        if self._open is None:
            self._open = _open_until_dropped(close)
            _held.add(self._open)
            await anext(self._open)

    async def _send_through(
        self, socks: httpx.AsyncHTTPTransport, request: httpx.Request, exchange: Exchange
    ) -> httpx.Response:
        connected = False

        async def note(event: str, _: object) -> None:
            nonlocal connected
            if event.endswith(".connect_tcp.started"):
                connected = True
                if self._refuses is not None:
                    self._refuses(request.url.host)
            elif event.endswith(".send_request_headers.started"):
                exchange.reused, exchange.sent = not connected, True
            elif event.endswith(".receive_response_headers.complete"):
                exchange.received = True

        request.extensions["trace"] = note
        try:
            return await socks.handle_async_request(request)
        except BaseException as error:
            forget_variables(error)
            if type(error).__module__.partition(".")[0] == "socksio":
                # An answer of the proxy that is none, which httpx leaves as it is.
                raise httpx.ProxyError(str(error)) from error
            raise


class _Call:
    """A request on its way. What is secret of it is handed out where it is sent, and stands nowhere else."""

    def __init__(
        self,
        request: httpx.Request,
        exchange: Exchange,
        proxy: ProxyLike | None,
        refuses: Callable[[str], None] | None,
    ) -> None:
        self.exchange = exchange
        self.refusal: Exception | None = None
        self._request = request
        self._proxy = proxy
        self._refuses = refuses

    def headers(self) -> list[tuple[str, str]]:
        """The headers, but for what is secret, and what aiohttp decides by the body that it has at hand."""
        encoding = self._request.headers.encoding
        return [
            (name.decode("ascii"), value.decode(encoding))
            for name, value in self._request.headers.raw
            if name.lower() not in _LEFT_OUT
        ]

    def key(self) -> dict[str, str]:
        """The header that is secret."""
        key = self._request.headers.get(KEY_HEADER)
        return {} if key is None else {KEY_HEADER: key}

    def proxys(self) -> dict[str, str]:
        """The header that is for the proxy alone."""
        if self._proxy is None or not (self._proxy.username or self._proxy.password):
            return {}
        credentials = f"{self._proxy.username or ''}:{self._proxy.password or ''}"
        return {_PROXY_HEADER: f"Basic {b64encode(credentials.encode()).decode()}"}

    def ask(self) -> None:
        """A connection is about to be made."""
        assert self._refuses is not None  # noqa: S101 - else nothing of aiohttp's calls this
        try:
            self._refuses(self._request.url.host)
        except Exception as error:
            self.refusal = error
            raise


_current: Final[ContextVar[_Call]] = ContextVar("featherhq_call")


class _Request(aiohttp.ClientRequest):
    """A request that sees its connection before anything is written. aiohttp's CONNECT to a proxy is none of these."""

    def update_proxy(self, proxy: Any, proxy_auth: Any, proxy_headers: Any) -> None:
        super().update_proxy(proxy, proxy_auth, {**proxy_headers, **_current.get().proxys()} if proxy else None)

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        call = _current.get()
        exchange, protocol, transport = call.exchange, conn.protocol, conn.transport
        guard = None if transport is None else transport.get_protocol()
        exchange.reused = isinstance(guard, _Guard)
        if not exchange.reused:
            # On a new one, the server may have spoken.
            await _notice()
        if transport is None or transport.is_closing() or protocol is None or protocol.should_close:
            raise aiohttp.ClientConnectionError("the connection ended, or the server spoke, before it was asked")
        if not isinstance(guard, _Guard):
            guard = _Guard(protocol, transport)
            transport.set_protocol(guard)
        guard.begin(exchange, has_body=self.method != "HEAD")
        conn.add_callback(guard.end)
        # A body is written by a task, and the head with it.
        exchange.sent = not self.body
        self._reveal(call)
        try:
            guard.answer = await super().send(conn)
        except ValueError as error:
            # A header that cannot be, found before anything is written.
            exchange.sent = False
            raise httpx.LocalProtocolError(str(error)) from error
        finally:
            self.headers.pop(KEY_HEADER, None)
            self.headers.pop(_PROXY_HEADER, None)
        return guard.answer

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        _current.get().exchange.sent |= not conn.closed
        await super().write_bytes(writer, conn, content_length)

    def _reveal(self, call: _Call) -> None:
        self.headers.update(call.key())
        if not self.is_ssl():
            self.headers.update(call.proxys())


class _Guard(asyncio.Protocol):
    """Stands before a connection's protocol, aiohttp's, and looks at answers: whether each was asked for, and its head.

    Once a head has passed, the rest of its answer is but counted.
    """

    def __init__(self, protocol: ResponseHandler, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self._exchange: Exchange | None = None
        self._has_body = True
        self._in_head = True
        self._partial = b""
        self._size = 0
        # What is left of a body whose length is known, and how a chunked one has ended.
        self._left: int | None = None
        self._last = b""
        # aiohttp's own, for what is of no interest here.
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.answer: aiohttp.ClientResponse | None = None

    def begin(self, exchange: Exchange, *, has_body: bool) -> None:
        """A request is about to be sent; whether its answer may have a body."""
        self._exchange = exchange
        self._has_body = has_body
        self._in_head = True
        self._partial = b""
        self._size = 0
        self._left = None
        self._last = b""

    def end(self) -> None:
        """The connection is no longer the request's: nothing may come until the next begins."""
        self._exchange = self.answer = None
        if self._protocol.should_close or (self._left != 0 and self._last != _LAST_CHUNK_ENDS):
            # It is not to be kept, something came after the answer, or the answer did not come to its end. Over TLS, a
            # connection that is closed in good order would wait for the server, perhaps beyond the event loop's end.
            self._transport.abort()
            self._protocol.force_close()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio has it."""
        self._protocol.connection_lost(exc)
        content = None if self.answer is None else self.answer.content
        if content is not None and not content.is_eof() and content.exception() is None:
            # aiohttp closes a connection on which a chunk is broken, and says nothing to whoever reads.
            content.set_exception(aiohttp.ClientPayloadError("the connection ended before the answer did"))

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or not exchange.sent:
            # Nobody has asked.
            self._transport.abort()
            return
        if self._in_head:
            exchange.received = True
            try:
                data = self._read_heads(data)
            except httpx.RemoteProtocolError as error:
                self._exchange = None
                # What has come stands in the local variables.
                self._protocol.set_exception(error.with_traceback(None))
                self._transport.abort()
                return
        else:
            data = self._of_body(data)
        if data:
            self._protocol.data_received(data)

    def _of_body(self, data: bytes) -> bytes:
        """What of it is the answer's, as far as its length is known."""
        if self._left is None:
            self._last = (self._last + data[-len(_LAST_CHUNK_ENDS) :])[-len(_LAST_CHUNK_ENDS) :]
            return data
        asked_for = self._left
        self._left -= len(data)
        return data if self._left >= 0 else data[: max(asked_for, 0)]

    def _read_heads(self, data: bytes) -> bytes:
        """What aiohttp may have of all that has come, in a form that it takes: nothing until a head is whole."""
        searched = max(len(self._partial) - 2, 0)
        data, self._partial = self._partial + data, b""
        whole = b""
        while self._in_head:
            if not _VERSION.startswith(data[: len(_VERSION)]):
                raise httpx.RemoteProtocolError("an answer begins with its version")
            end = _HEAD_ENDS.search(data, searched)
            size = len(data) if end is None else end.end()
            if self._size + size > _LARGEST_HEAD:
                raise httpx.RemoteProtocolError("the head of an answer is too long")
            if end is None:
                self._partial = data
                return whole
            self._size += size
            whole += self._judge(data[:size])
            data, searched = data[size:], 0
        return whole + self._of_body(data)

    def _judge(self, head: bytes) -> bytes:
        """A whole head, with one length at the most, where all that it names are equal."""
        status = head[9:12]
        if status == b"101":
            raise httpx.RemoteProtocolError("a switch of protocols, and nobody asked for it")
        if status.startswith(b"1"):
            return head
        self._in_head = False
        named = _LENGTH.findall(head)
        lengths = {length.strip() for line in named for length in line.split(b",")}
        length = lengths.pop() if len(lengths) == 1 else b""
        if not self._has_body or status in {b"204", b"304"}:
            self._left = 0
        elif _NUMBER.fullmatch(length):
            self._left = int(length)
        if length and (len(named) > 1 or b"," in named[0]):
            first, _, rest = _LENGTH.sub(b"", head).partition(b"\n")
            head = b"%b\nContent-Length: %b\r\n%b" % (first, length, rest)
        return head


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse, release: Callable[[], None]) -> None:
        self._answer = answer
        self._release = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except _BELOW as error:
            raise _in_httpxs_terms(error) from error

    async def aclose(self) -> None:
        # Read to its end, the connection is in the pool by now, and this does nothing to it.
        self._answer.close()
        self._release()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _notice() -> None:
    """Give the loop the two turns in which it sees what servers have done by now."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


# Held until they are to be closed: what is collected together with all that it holds, cannot close it first.
_held: Final[set[AsyncGenerator[None]]] = set()


async def _open_until_dropped(close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """Closes at its end. An event loop ends such a generator when nobody holds it any more, and before it closes."""
    try:
        yield
    finally:
        await close()


def _asked_before_connecting() -> aiohttp.TraceConfig:
    async def ask(*_: object) -> None:
        _current.get().ask()

    asked = aiohttp.TraceConfig()
    asked.on_connection_create_start.append(ask)
    return asked


def _in_httpxs_terms(error: Exception) -> httpx.TransportError:
    meaning = next(meaning for kind, meaning in _MEANINGS if isinstance(error, kind))
    # aiohttp's own words name its objects, or a status that no server sent; what is behind it says it better.
    told: object = error.__cause__ or error
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        told = error.message
    if isinstance(error, aiohttp.ClientHttpProxyError):
        told = f"{error.status} {error.message}"
    if isinstance(error, aiohttp.ClientResponseError):
        # Of a CONNECT, with the proxy's password.
        error.request_info = error.request_info._replace(headers=CIMultiDictProxy(CIMultiDict()))
        error.args = ()
    forget_variables(error)
    return meaning(str(told))
