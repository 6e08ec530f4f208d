"""The transport of `AsyncFeather`, on its own: what it tells of an exchange, and what it never takes for an answer."""

from __future__ import annotations

import asyncio
import base64
import gc
import secrets
import socket
import ssl
import struct
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any

import httpx
import pytest
import trustme
from attrs import field, frozen
from featherhq._core.exchange import EXCHANGE, Exchange
from featherhq.errors import UsageError
from httpx_face import Transport
from raw_server import Answer, Peer, TLSPeer, black_hole, read_request

KEY = secrets.token_hex(20)
PASSWORD = secrets.token_hex(20)
LIMITS = httpx.Limits(max_connections=100, keepalive_expiry=4)
FLOOD = 100 * 1024 * 1024


@frozen
class Proxy:
    url: str = field(repr=False)
    shown: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def http(body: bytes, *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    """An answer, whole."""
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def in_chunks(body: bytes) -> bytes:
    return http(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), "Transfer-Encoding: chunked", length=False)


YES = http(b"yes")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "feather.example").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What the transport trusts."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def peer() -> Iterator[Callable[..., Any]]:
    """Makes servers."""
    made: list[Peer] = []

    def make(answer: Answer = YES, kind: type[Peer] = Peer, **options: Any) -> Peer:
        made.append(kind(answer, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Way:
    """How a server is reached: its URL, and the proxy before it."""

    def __init__(self, make: Callable[..., Peer], name: str, server_tls: ssl.SSLContext) -> None:
        self._make = make
        self.name = name
        self._server_tls = server_tls

    def to(self, answer: Answer) -> tuple[Peer, str, Proxy | None]:
        if self.name == "plain":
            peer = self._make(answer)
            return peer, peer.url, None
        if self.name == "TLS":
            peer = self._make(answer, TLSPeer, tls=self._server_tls)
            return peer, f"https://localhost:{peer.port}", None
        peer = self._make(answer, tls=self._server_tls)
        proxy = Proxy(peer.url, peer.url)
        return peer, "https://feather.example" if self.name == "tunnel" else "http://feather.example", proxy


@pytest.fixture(params=["plain", "TLS", "tunnel", "proxy"])
def way(request: pytest.FixtureRequest, peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> Way:
    return Way(peer, request.param, server_tls)


@asynccontextmanager
async def connected(tls: ssl.SSLContext, *arguments: Any, limits: httpx.Limits = LIMITS) -> AsyncIterator[Any]:
    """A client over the transport; and how a request goes: its answer's body, and the exchange."""
    async with httpx.AsyncClient(transport=Transport(tls, limits, *arguments), trust_env=False) as client:
        yield client


def request_to(url: str, method: str = "POST", **options: Any) -> httpx.Request:
    options.setdefault("content", b"a question" if method == "POST" else None)
    extensions = {EXCHANGE: Exchange(), "timeout": options.pop("timeout", {"connect": 5, "pool": 5})}
    return httpx.Request(method, url, headers={"X-API-Key": KEY}, extensions=extensions, **options)


def exchange_of(request: httpx.Request) -> tuple[bool, bool, bool]:
    """Whether its connection was used before, it was sent, and anything came."""
    exchange = request.extensions[EXCHANGE]
    assert exchange.is_ours
    return exchange.reused, exchange.sent, exchange.received


def shown(error: BaseException) -> str:
    """All that a reporter may print of an error and of those behind it, with the local variables of each frame."""
    told: list[str] = []
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        told += [repr(one), str(one), repr(vars(one))]
        at: TracebackType | None = one.__traceback__
        while at is not None:
            told += [
                f"{at.tb_frame.f_code.co_filename} {name}={value!r}" for name, value in at.tb_frame.f_locals.items()
            ]
            at = at.tb_next
        todo += [one.__cause__, one.__context__]
    return "\n".join(told)


def test_an_exchange(way: Way, tls: ssl.SSLContext) -> None:
    """The answer comes as it is; requests share a connection; each says what it has done on it."""
    server, url, proxy = way.to(http(b"yes", "X-Two: 1", "X-Two: 2"))

    async def program() -> None:
        async with connected(tls, proxy) as client:
            for number, method in enumerate(("POST", "GET", "POST")):
                request = request_to(url, method)
                answer = await client.send(request)
                assert (answer.status_code, answer.content, answer.http_version) == (200, b"yes", "HTTP/1.1")
                assert answer.headers.get_list("x-two") == ["1", "2"]
                assert exchange_of(request) == (number > 0, True, True)

    asyncio.run(program())
    assert server.connections == 1
    first, second, third = (one for one in server.seen if not one.startswith(b"CONNECT"))
    assert first == third
    for asked in (first, second):
        assert asked.count(f"X-API-Key: {KEY}\r\n".encode()) == 1
        assert b"user-agent" not in asked.lower()
        assert b"accept" not in asked.lower()
    assert first.endswith(b"\r\n\r\na question")
    assert all(KEY.encode() not in one for one in server.seen if one.startswith(b"CONNECT"))


def test_a_client_that_says_nothing_of_exchanges_and_timeouts(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """It is served as well."""

    async def program() -> None:
        async with connected(tls) as client:
            request = httpx.Request("GET", peer().url)
            assert (await client.send(request)).content == b"yes"
            assert exchange_of(request) == (False, True, True)
            chunked = httpx.Request("POST", peer().url, content=iter_bytes())
            assert (await client.send(chunked)).content == b"yes"

    async def iter_bytes() -> AsyncIterator[bytes]:
        yield b"a "
        yield b"question"

    asyncio.run(program())


@pytest.mark.parametrize("tunnel", [True, False])
@pytest.mark.parametrize(
    ("user", "password"), [(None, None), ("user", PASSWORD), ("user", None)], ids=["none", "both", "name"]
)
def test_a_proxys_own_name_and_password(
    peer: Callable[..., Peer],
    tls: ssl.SSLContext,
    server_tls: ssl.SSLContext,
    tunnel: bool,
    user: str | None,
    password: str | None,
) -> None:
    """They go to the proxy and no further, with each request that it sees."""
    server = peer(tls=server_tls)
    proxy = Proxy(f"http://user:secret@127.0.0.1:{server.port}", server.url, user, password)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            for _ in range(2):
                await client.send(request_to(f"http{'s' if tunnel else ''}://feather.example"))

    asyncio.run(program())
    credentials = base64.b64encode(f"{user}:{password or ''}".encode())
    tunnels = [one for one in server.seen if one.startswith(b"CONNECT")]
    requests = [one for one in server.seen if not one.startswith(b"CONNECT")]
    assert (len(tunnels), len(requests), server.connections) == (tunnel, 2, 1)
    for one in tunnels or requests:
        assert (b"Proxy-Authorization: Basic %b\r\n" % credentials in one) == (user is not None)
        assert one.lower().count(b"proxy-authorization") == (user is not None)
    assert not tunnels or all(b"proxy-authorization" not in one.lower() for one in requests)


def test_a_proxy_with_tls(peer: Callable[..., Peer], tls: ssl.SSLContext, server_tls: ssl.SSLContext) -> None:
    """It shows its own certificate."""
    server = peer(kind=TLSPeer, tls=server_tls)
    trusted, other = (f"https://{host}:{server.port}" for host in ("localhost", "127.0.0.1"))

    async def program() -> None:
        async with connected(tls, Proxy(trusted, trusted)) as client:
            assert (await client.send(request_to("http://feather.example"))).content == b"yes"
        async with connected(tls, Proxy(other, other)) as client:
            request = request_to("http://feather.example")
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await client.send(request)
            assert exchange_of(request) == (False, False, False)

    asyncio.run(program())
    assert server.seen[0].startswith(b"POST http://feather.example")


def closes(_: bytes, __: socket.socket) -> None:
    """An answer that is none."""


def resets(_: bytes, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_proxy_that_makes_no_tunnel(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """Its CONNECT is none of the request: nothing was sent."""
    refusal = http(b"", status="407 Proxy Authentication Required")
    cases: list[tuple[Any, type[Exception]]] = [
        (closes, httpx.RemoteProtocolError),
        (resets, httpx.TransportError),
        (refusal, httpx.ProxyError),
        (http(b"", length=False), httpx.ConnectTimeout),
    ]

    async def program() -> None:
        for answer, kind in cases:
            server = peer(answer)
            async with connected(tls, Proxy(server.url, server.url, "user", PASSWORD)) as client:
                request = request_to("https://feather.example", timeout={"connect": 0.3})
                with pytest.raises(kind) as caught:
                    await client.send(request)
                assert exchange_of(request) == (False, False, False)
                assert server.seen[0].startswith(b"CONNECT")
                told = shown(caught.value)
                assert KEY not in told
                assert base64.b64encode(f"user:{PASSWORD}".encode()).decode() not in told

    asyncio.run(program())


def test_no_connection(
    peer: Callable[..., Peer], tls: ssl.SSLContext, server_tls: ssl.SSLContext, dead_url: str
) -> None:
    """Nobody listens, the handshake fails, there is no such host, no such kind, or no time: nothing was sent."""

    class Closing(Peer):
        def _serve(self, plain: socket.socket) -> None:
            plain.close()

    secure = peer(kind=TLSPeer, tls=server_tls)
    with black_hole() as nowhere:
        cases: list[tuple[str, type[Exception]]] = [
            (dead_url, httpx.ConnectError),
            (f"https://127.0.0.1:{secure.port}", httpx.ConnectError),
            (f"https://127.0.0.1:{peer(kind=Closing).port}", httpx.ConnectError),
            ("http://nothing.invalid", httpx.ConnectError),
            ("ftp://127.0.0.1", httpx.UnsupportedProtocol),
            (f"http://127.0.0.1:{nowhere}", httpx.ConnectTimeout),
        ]

        async def program() -> None:
            for url, kind in cases:
                async with connected(tls) as client:
                    request = request_to(url, timeout={"connect": 0.2})
                    with pytest.raises(kind) as caught:
                        await client.send(request)
                    assert caught.value.__cause__ is not None
                    assert exchange_of(request) == (False, False, False)
                    assert KEY not in shown(caught.value)

        asyncio.run(program())


def test_a_header_that_cannot_be(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """Nothing is sent, with a body or without."""

    async def program() -> None:
        async with connected(tls) as client:
            for method in ("GET", "POST"):
                request = request_to(peer().url, method)
                request.headers["X-Other"] = "a\x00b"
                with pytest.raises(httpx.LocalProtocolError) as caught:
                    await client.send(request)
                assert exchange_of(request) == (False, False, False)
                assert KEY not in shown(caught.value)

    asyncio.run(program())


def test_who_may_refuse_a_connection(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """Asked before each is made, and for none that is there; what is raised comes out as it is, whatever it is."""
    asked: list[str] = []
    refusals: list[Exception] = [OSError("no"), TimeoutError("no"), ValueError("no"), UsageError("no", hint="none")]
    todo: list[Exception | None] = [None, *refusals]

    def refuses(host: str) -> None:
        asked.append(host)
        if (problem := todo.pop(0)) is not None:
            raise problem

    async def program() -> None:
        server, other = peer(), peer()
        async with connected(tls, None, refuses) as client:
            for _ in range(2):
                await client.send(request_to(server.url))
            assert asked == ["127.0.0.1"]
            for problem in refusals:
                request = request_to(f"http://localhost:{other.port}")
                with pytest.raises(type(problem)) as caught:
                    await client.send(request)
                assert caught.value is problem
                assert problem.__cause__ is None
                assert exchange_of(request) == (False, False, False)
        assert asked[1:] == ["localhost"] * 4
        assert other.connections == 0

    asyncio.run(program())


SECOND = http(b"for nobody")


@pytest.mark.parametrize("second", [SECOND, SECOND[:20], b"\r\n", b"x"], ids=["whole", "half", "a line", "garbage"])
@pytest.mark.parametrize(
    "first", [http(b"first"), in_chunks(b"first"), http(b"", status="204 No Content", length=False)]
)
def test_an_answer_that_nobody_asked_for(way: Way, tls: ssl.SSLContext, first: bytes, second: bytes) -> None:
    """On a connection that is kept: the next request takes another one, and nothing was sent on the first."""
    may_speak, has_spoken = threading.Event(), threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes | None:
        if b"/first" not in request:
            return http(b"next")
        connection.sendall(first)
        may_speak.wait(5)
        connection.sendall(second)
        has_spoken.set()
        return b""

    server, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            await client.send(request_to(f"{url}/first"))
            may_speak.set()
            await asyncio.to_thread(has_spoken.wait)
            request = request_to(f"{url}/next")
            assert (await client.send(request)).content == b"next"
            assert exchange_of(request) == (False, True, True)

    asyncio.run(program())
    assert server.connections == 2
    assert sum(b"/next" in one for one in server.seen) == 1


@pytest.mark.parametrize("second", [SECOND, SECOND[:20]], ids=["whole", "half"])
@pytest.mark.parametrize("first", [http(b"first"), in_chunks(b"first"), http(b"", status="304 Same", length=False)])
def test_an_answer_too_many_in_one_piece(way: Way, tls: ssl.SSLContext, first: bytes, second: bytes) -> None:
    """Two answers at once: the first is the request's, and the connection is not used again."""

    def answer(request: bytes, _: socket.socket) -> bytes:
        return first + second if b"/first" in request else http(b"next")

    server, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            assert (await client.send(request_to(f"{url}/first"))).content in {b"first", b""}
            assert (await client.send(request_to(f"{url}/next"))).content == b"next"

    asyncio.run(program())
    assert server.connections == 2


def test_garbage_after_an_answer(way: Way, tls: ssl.SSLContext) -> None:
    """It is left where it is, after an answer with a length; and the connection is not used again."""
    server, url, proxy = way.to(http(b"first") + b"x")

    async def program() -> None:
        async with connected(tls, proxy) as client:
            for _ in range(2):
                assert (await client.send(request_to(url))).content == b"first"

    asyncio.run(program())
    assert server.connections == 2


@pytest.mark.parametrize(
    "second", [SECOND, http(b"for nobody\r\n\r\n"), SECOND[:20]], ids=["whole", "as chunks end", "half"]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_too_many_while_a_body_is_read(way: Way, tls: ssl.SSLContext, chunked: bool, second: bytes) -> None:
    """The body ends where it ends, and the connection is not used again."""
    body = b"a" * 100_000
    whole = in_chunks(body) if chunked else http(body)
    may_go_on = threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes:
        if b"/first" not in request:
            return http(b"next")
        connection.sendall(whole[:1000])
        may_go_on.wait(5)
        return whole[1000:] + second

    server, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            async with client.stream("GET", f"{url}/first") as response:
                chunks = response.aiter_raw()
                begun = await anext(chunks)
                may_go_on.set()
                assert begun + b"".join([chunk async for chunk in chunks]) == body
            assert (await client.get(f"{url}/next")).content == b"next"

    asyncio.run(program())
    assert server.connections == 2


class PatientLoop(asyncio.SelectorEventLoop):
    """Goes on with a new connection only once the server has spoken."""

    has_spoken = threading.Event()

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        await super().sock_connect(sock, address)
        assert await asyncio.to_thread(self.has_spoken.wait, 5)
        self.has_spoken.clear()


class Impatient(Peer):
    """Speaks before it is asked."""

    def _serve(self, plain: socket.socket) -> None:
        plain.sendall(SECOND)
        PatientLoop.has_spoken.set()
        super()._serve(plain)


def test_a_server_that_answers_before_it_is_asked(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """On a new connection: it fails, and nothing was sent."""
    PatientLoop.has_spoken.clear()
    server = peer(kind=Impatient)

    async def program() -> None:
        async with connected(tls) as client:
            for method in ("GET", "POST"):
                request = request_to(server.url, method)
                with pytest.raises(httpx.TransportError):
                    await client.send(request)
                assert exchange_of(request) == (False, False, False)

    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        runner.run(program())


@pytest.mark.parametrize("end", [closes, resets])
def test_a_kept_connection_that_the_server_has_closed(way: Way, tls: ssl.SSLContext, end: Any) -> None:
    """The next request takes another one."""
    may_end, has_ended = threading.Event(), threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes | None:
        if b"/first" not in request:
            return http(b"next")
        connection.sendall(http(b"first"))
        may_end.wait(5)
        end(request, connection)
        connection.close()
        has_ended.set()
        return None

    server, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            await client.send(request_to(f"{url}/first"))
            may_end.set()
            await asyncio.to_thread(has_ended.wait)
            request = request_to(f"{url}/next")
            assert (await client.send(request)).content == b"next"
            assert exchange_of(request) == (False, True, True)

    asyncio.run(program())
    assert server.connections == 2


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Content-Length: 5"],
        ["content-length:5", "X-Other: 7", "CONTENT-LENGTH: \t5 ", "Content-Length: 5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: 5,5", "X-Other: 7", "Content-Length: 5"],
    ],
    ids=" | ".join,
)
def test_a_length_that_is_repeated(way: Way, tls: ssl.SSLContext, lines: list[str]) -> None:
    """It is one, where all are equal; and the connection is used again, also where the head comes in pieces."""
    whole = http(b"first", "X-Before: 1", *lines, "X-After: 2", length=False)

    def answer(_: bytes, connection: socket.socket) -> bytes:
        for at in range(0, len(whole), 3):
            connection.sendall(whole[at : at + 3])
        return b""

    server, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            for _ in range(2):
                response = await client.send(request_to(url))
                assert response.content == b"first"
                assert response.headers["x-before"] + response.headers["x-after"] == "12"
                assert response.headers["content-length"] == "5"

    asyncio.run(program())
    assert server.connections == 1


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Content-Length: 4"],
        ["Content-Length: 5, 4"],
        ["Content-Length: five"],
        [f"Content-Length: {'5' * 5000}"],
        ["Content-Length: -5"],
        ["Content-Length: "],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ],
    ids=lambda lines: " | ".join(lines)[:40],
)
def test_lengths_that_cannot_be(way: Way, tls: ssl.SSLContext, lines: list[str]) -> None:
    """They are an error."""
    _, url, proxy = way.to(http(b"first", *lines, length=False))

    async def program() -> None:
        async with connected(tls, proxy) as client:
            request = request_to(url)
            with pytest.raises(httpx.RemoteProtocolError):
                await client.send(request)
            assert exchange_of(request) == (False, True, True)

    asyncio.run(program())


@pytest.mark.parametrize(
    "head",
    [
        http(b"", *[f"X-{number}: 1" for number in range(7000)]),
        http(b"", f"X-Long: {'x' * 90_000}"),
        http(b"", status="100 Continue", length=False) * 3 + http(b""),
    ],
    ids=["many lines", "a long line", "interim answers"],
)
def test_heads_that_are_read(way: Way, tls: ssl.SSLContext, head: bytes) -> None:
    """Of some tens of kilobytes, in whatever lines, and after interim answers."""
    server, url, proxy = way.to(head)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            for _ in range(2):
                assert (await client.send(request_to(url))).status_code == 200

    asyncio.run(program())
    assert server.connections == 1


@pytest.mark.parametrize("piece", [b"X: 1\r\n", b"x" * 1000, b"\r\nHTTP/1.1 100 Continue\r\n"])
def test_heads_without_end(way: Way, tls: ssl.SSLContext, piece: bytes) -> None:
    """Lines, a line, or interim answers that do not end: after 100 KiB they are an error."""

    def answer(_: bytes, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n")
        while True:
            connection.sendall(piece)

    _, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            with pytest.raises(httpx.RemoteProtocolError, match="head of an answer is too long") as caught:
                await client.send(request_to(url))
            assert KEY not in shown(caught.value)

    asyncio.run(program())


@pytest.mark.parametrize(
    "answer",
    [b"220 SMTP", b"\r\n" + http(b""), http(b"", "Upgrade: x", status="101 Switching Protocols", length=False)],
)
def test_what_is_no_answer(way: Way, tls: ssl.SSLContext, answer: bytes) -> None:
    """It is an error at once, also where the server waits."""
    has_failed = threading.Event()

    def waits(_: bytes, connection: socket.socket) -> None:
        connection.sendall(answer)
        has_failed.wait(5)

    _, url, proxy = way.to(waits)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            request = request_to(url)
            with pytest.raises(httpx.RemoteProtocolError):
                await client.send(request)
            assert exchange_of(request) == (False, True, True)
        has_failed.set()

    asyncio.run(program())


BROKEN_BODIES = {
    "a body cut short": http(b"first")[:-2],
    "no chunk": http(b"nothing\r\n", "Transfer-Encoding: chunked", length=False),
    "a broken chunk": http(b"5\r\nfirst\r\nnothing\r\n", "Transfer-Encoding: chunked", length=False),
    "chunks without end": in_chunks(b"first")[:-5],
}


@pytest.mark.parametrize("end", [closes, resets])
@pytest.mark.parametrize("answer", [b"", http(b"")[:20], *BROKEN_BODIES.values()], ids=["no", "half", *BROKEN_BODIES])
def test_what_breaks_off(way: Way, tls: ssl.SSLContext, answer: bytes, end: Any) -> None:
    """The error is one of httpx's, over aiohttp's own; what came is told; and no key stands in it."""

    def breaks(request: bytes, connection: socket.socket) -> None:
        connection.sendall(answer)
        end(request, connection)

    _, url, proxy = way.to(breaks)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            request = request_to(url)
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as caught:
                await client.send(request)
            assert caught.value.__cause__ is not None
            reused, sent, received = exchange_of(request)
            assert (reused, sent) == (False, True)
            # What is on its way when a connection is reset may be lost.
            assert received == bool(answer) or end is resets
            assert KEY not in shown(caught.value)

    asyncio.run(program())


def test_a_request_that_is_cut_while_it_is_written(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """What was being written stands in no frame of the error."""

    class Resetting(Peer):
        def _serve(self, plain: socket.socket) -> None:
            plain.recv(10)
            resets(b"", plain)
            plain.close()

    server = peer(kind=Resetting)

    async def program() -> None:
        async with connected(tls) as client:
            for content in (b"short", b"x" * 20_000_000):
                request = request_to(server.url, content=content)
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as caught:
                    await client.send(request)
                assert exchange_of(request) == (False, True, False)
                assert KEY not in shown(caught.value)

    asyncio.run(program())


class Staying(Peer):
    """Says so much, once it is asked or at once, and then nothing."""

    def __init__(self, says: bytes, *, asked: bool = True) -> None:
        self.has_come = threading.Event()
        self._may_end = threading.Event()
        self._asked = asked
        super().__init__(says)

    def close(self) -> None:
        self._may_end.set()
        super().close()

    def _serve(self, plain: socket.socket) -> None:
        with plain:
            if self._asked:
                read_request(plain)
            assert isinstance(self._answer, bytes)
            plain.sendall(self._answer)
            self.has_come.set()
            self._may_end.wait(5)


@pytest.mark.parametrize(
    ("where", "says", "url", "sent"),
    [
        ("connecting", b"", "http://127.0.0.1:{}", False),
        ("in a handshake", b"", "https://127.0.0.1:{}", False),
        ("in a tunnel", b"", "https://feather.example", False),
        ("waiting", b"", "http://feather.example", True),
        ("in a head", YES[:20], "http://feather.example", True),
        ("in a body", YES[:-2], "http://127.0.0.1:{}", True),
    ],
)
def test_no_key_in_a_task_that_is_cancelled(
    peer: Callable[..., Any], tls: ssl.SSLContext, where: str, says: bytes, url: str, sent: bool
) -> None:
    """Wherever it waits, the local variables of its frames show no key, and no password of a proxy."""
    server = peer(says, Staying, asked=where != "in a handshake")
    proxy = Proxy(server.url, server.url, "user", PASSWORD) if "example" in url else None

    async def program(port: int) -> None:
        async with connected(tls, proxy) as client:
            request = request_to(url.format(port))

            async def work() -> None:
                async with AsyncExitStack() as open_:
                    response = await client.send(request, stream=True)
                    open_.push_async_callback(response.aclose)
                    await response.aread()

            task = asyncio.create_task(work())
            if where == "connecting":
                await asyncio.sleep(0)
            else:
                assert await asyncio.to_thread(server.has_come.wait, 5)
            for _ in range(10):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            told = shown(caught.value)
            assert "aiohttp" in told
            assert KEY not in told
            assert PASSWORD not in told
            assert base64.b64encode(f"user:{PASSWORD}".encode()).decode() not in told
            assert exchange_of(request) == (False, sent, bool(says))

    with black_hole() as nowhere:
        asyncio.run(program(nowhere if where == "connecting" else server.port))


def test_requests_wait_for_a_connection_in_their_order(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """As many at once as the limits have it; who waits too long was never sent, nor one that is cancelled."""
    may_answer = threading.Event()

    def answer(request: bytes, _: socket.socket) -> bytes:
        if b"/slow" in request:
            may_answer.wait(5)
        return http(b"yes")

    server = peer(answer)

    async def program() -> None:
        async with connected(tls, limits=httpx.Limits(max_connections=1)) as client:
            slow = asyncio.create_task(client.send(request_to(f"{server.url}/slow")))
            await asyncio.sleep(0)
            late = request_to(server.url, timeout={"pool": 0.05})
            with pytest.raises(httpx.PoolTimeout) as caught:
                await client.send(late)
            assert isinstance(caught.value.__cause__, TimeoutError)
            assert exchange_of(late) == (False, False, False)
            order: list[int] = []

            async def one(number: int) -> None:
                await client.send(request_to(server.url))
                order.append(number)

            tasks = [asyncio.create_task(one(number)) for number in range(20)]
            await asyncio.sleep(0)
            tasks[7].cancel()
            may_answer.set()
            await asyncio.gather(slow, *tasks, return_exceptions=True)
            assert order == [number for number in range(20) if number != 7]

    asyncio.run(program())
    assert server.connections == 1


def test_many_that_are_cancelled(way: Way, tls: ssl.SSLContext) -> None:
    """Whoever is left gets the answer to his own request, and the connections are as many as before."""

    def answer(request: bytes, _: socket.socket) -> bytes:
        return in_chunks(request.rpartition(b"\r\n\r\n")[2] * 50)

    _, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy, limits=httpx.Limits(max_connections=5)) as client:

            async def one(number: int, *, timeout: float | None = 5) -> bool:
                content = b"%d," % number
                with suppress(TimeoutError):
                    async with asyncio.timeout(timeout):
                        response = await client.send(request_to(url, content=content))
                        assert response.content == content * 50
                        return True
                return False

            for wave in range(5):
                waits = [number * wave / 5000 for number in range(40)]
                await asyncio.gather(*(one(number, timeout=wait) for number, wait in enumerate(waits)))
            assert all(await asyncio.gather(*(one(number) for number in range(50))))

    asyncio.run(program())


def test_an_answer_that_is_closed_early(way: Way, tls: ssl.SSLContext) -> None:
    """Its connection is closed with it, so that the rest is nobody's."""
    has_closed = threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes | None:
        if b"/first" not in request:
            return http(b"next")
        connection.sendall(http(b"first")[:-1])
        with suppress(OSError):
            assert connection.recv(1) == b""
        has_closed.set()
        return None

    server, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy, limits=httpx.Limits(max_connections=1)) as client:
            async with client.stream("GET", f"{url}/first") as response:
                assert await anext(response.aiter_raw()) == b"firs"
            assert await asyncio.to_thread(has_closed.wait, 5)
            assert (await client.get(f"{url}/next")).content == b"next"

    asyncio.run(program())
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "method", "kept"),
    [
        (http(b"yes"), "GET", True),
        (in_chunks(b"yes"), "GET", True),
        (http(b"yes")[:-3], "HEAD", True),
        (http(b"", status="204 No Content", length=False), "POST", True),
        (http(b"yes", "Connection: close"), "GET", False),
    ],
)
def test_which_connections_are_kept(way: Way, tls: ssl.SSLContext, answer: bytes, method: str, kept: bool) -> None:
    """Those whose answer has come to its end."""
    server, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            for _ in range(3):
                assert (await client.send(request_to(url, method))).is_success

    asyncio.run(program())
    assert server.connections == (1 if kept else 3)


def test_an_answer_that_ends_with_its_connection(way: Way, tls: ssl.SSLContext) -> None:
    """It has neither length nor chunks, and is whole."""

    def answer(_: bytes, connection: socket.socket) -> None:
        connection.sendall(http(b"yes", length=False))

    _, url, proxy = way.to(answer)

    async def program() -> None:
        async with connected(tls, proxy) as client:
            for _ in range(2):
                assert (await client.get(url)).content == b"yes"

    asyncio.run(program())


def test_a_flood_that_nobody_reads(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """The server has to wait: less than 10 MB of it are held. Read, it comes in pieces that are no larger."""
    is_full = threading.Event()

    def answer(_: bytes, connection: socket.socket) -> None:
        piece = memoryview(bytes(1 << 20))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % FLOOD)
        left, connection_is_full = FLOOD, False
        connection.settimeout(0.3)
        while left:
            try:
                left -= connection.send(piece[: min(left, len(piece))])
            except TimeoutError:
                assert not connection_is_full
                connection_is_full = True
                is_full.set()
                connection.settimeout(10)

    async def program() -> None:
        async with connected(tls) as client, client.stream("GET", peer(answer).url) as response:
            tracemalloc.start()
            assert await asyncio.to_thread(is_full.wait, 10)
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
            tracemalloc.stop()
            sizes = [len(chunk) async for chunk in response.aiter_raw()]
            assert sum(sizes) == FLOOD
            assert max(sizes) < 2_000_000

    asyncio.run(program())


def test_another_event_loop_or_none(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """A transport belongs to the loop that it was first used in; elsewhere it says so, and nothing is sent."""
    server = peer()
    transport = Transport(tls, LIMITS)

    async def use() -> None:
        response = await transport.handle_async_request(request_to(server.url))
        await response.aread()
        await response.aclose()

    with pytest.raises(UsageError, match="needs a running event loop of asyncio"):
        use().send(None)
    with asyncio.Runner() as runner:
        runner.run(use())
        with asyncio.Runner() as other, pytest.raises(UsageError, match="another event loop") as caught:
            other.run(use())
        assert "Nothing was sent" in str(caught.value.__notes__)
        runner.run(use())
        # From elsewhere, it is closed by its own loop.
        with pytest.raises(StopIteration):
            transport.aclose().send(None)
        with pytest.raises(UsageError, match="closed"):
            runner.run(use())
    assert len(server.seen) == 2


def test_closing_while_a_request_waits(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """The request fails, and nothing of it was sent. Closing again does nothing, nor closing what was never used."""
    server = peer()

    async def program() -> None:
        transport = Transport(tls, httpx.Limits(max_connections=1))
        open_ = await transport.handle_async_request(request_to(server.url))
        request = request_to(server.url)
        waiting = asyncio.ensure_future(transport.handle_async_request(request))
        await asyncio.sleep(0)
        await transport.aclose()
        await transport.aclose()
        await open_.aclose()
        with pytest.raises(UsageError, match="closed"):
            await waiting
        assert exchange_of(request) == (False, False, False)
        await Transport(tls, LIMITS).aclose()

    asyncio.run(program())


@pytest.mark.parametrize("abandoned", [True, False])
@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("end", ["while its loop runs", "after its loop"])
def test_a_transport_that_is_never_closed(
    peer: Callable[..., Peer], tls: ssl.SSLContext, server_tls: ssl.SSLContext, end: str, secure: bool, abandoned: bool
) -> None:
    """Its connections are closed without a word: when it is dropped, or before its loop ends."""
    has_closed = threading.Event()

    def answer(_: bytes, connection: socket.socket) -> None:
        connection.sendall(http(b"yes"))
        with suppress(OSError):
            assert connection.recv(1) == b""
        has_closed.set()

    server = peer(answer, TLSPeer if secure else Peer, tls=server_tls)
    held: list[Transport] = []

    def drop() -> None:
        if abandoned:
            held[0].abandon()
        held.clear()
        gc.collect()

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: pytest.fail(str(context)))
        held.append(Transport(tls, LIMITS))
        request = request_to(f"http{'s' if secure else ''}://localhost:{server.port}")
        response = await held[0].handle_async_request(request)
        await response.aread()
        await response.aclose()
        del response, request
        if end == "while its loop runs":
            drop()
            assert await asyncio.to_thread(has_closed.wait, 5)

    asyncio.run(program())
    assert has_closed.wait(5)
    if end == "after its loop":
        drop()


@pytest.mark.filterwarnings("ignore:unclosed (transport )?<:ResourceWarning")
def test_a_loop_that_is_closed_as_it_is(peer: Callable[..., Peer], tls: ssl.SSLContext) -> None:
    """Without a word to what runs in it: the one warning that is left is asyncio's own, of its transport."""
    loop = asyncio.new_event_loop()
    transport = Transport(tls, LIMITS)
    response = loop.run_until_complete(transport.handle_async_request(request_to(peer().url)))
    loop.run_until_complete(response.aread())
    loop.run_until_complete(response.aclose())
    loop.close()
    transport.abandon()
    transport.abandon()
    del transport, response
    gc.collect()


def test_a_socks_proxy_without_the_extra_of_httpx(tls: ssl.SSLContext) -> None:
    """It cannot be, and says so at once."""
    with pytest.raises(ImportError, match="socks"):
        Transport(tls, LIMITS, Proxy("socks5://u:p@127.0.0.1:1", "socks5://127.0.0.1:1", "u", "p"))


@pytest.mark.parametrize("user", ["user", None])
def test_a_socks_proxy(
    peer: Callable[..., Peer], tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    """A transport of httpx speaks to it, and the exchange is told of just the same. Here it goes without the proxy."""
    given: list[tuple[str, bool]] = []

    class WithoutProxy(httpx.AsyncHTTPTransport):
        def __init__(self, verify: ssl.SSLContext, *, limits: httpx.Limits, proxy: httpx.Proxy) -> None:
            given.append((str(proxy.url), proxy.raw_auth == (b"user", PASSWORD.encode())))
            super().__init__(verify, limits=limits)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/malformed":
                raise type("ProtocolError", (Exception,), {"__module__": "socksio.exceptions"})
            return await super().handle_async_request(request)

    monkeypatch.setattr(httpx, "AsyncHTTPTransport", WithoutProxy)
    server, cut = peer(), peer(closes)
    todo: list[Exception | None] = [None, None, UsageError("no", hint="none")]

    def refuses(host: str) -> None:
        assert host == "127.0.0.1"
        if (problem := todo.pop(0)) is not None:
            raise problem

    async def program() -> None:
        proxy = Proxy("socks5h://proxy:1080", "socks5h://proxy:1080", user, user and PASSWORD)
        async with AsyncExitStack() as open_:
            client = await open_.enter_async_context(connected(tls, proxy, refuses))
            for number in range(2):
                request = request_to(server.url)
                assert (await client.send(request)).content == b"yes"
                assert exchange_of(request) == (number > 0, True, True)
            for path, error, sent in (
                ("", httpx.RemoteProtocolError, True),
                ("", UsageError, False),
                ("/malformed", httpx.ProxyError, False),
            ):
                request = request_to(cut.url + path)
                with pytest.raises(error) as caught:
                    await client.send(request)
                assert exchange_of(request) == (False, sent, False)
                assert KEY not in shown(caught.value)
            unguarded = await open_.enter_async_context(connected(tls, proxy))
            assert (await unguarded.get(server.url)).content == b"yes"

    asyncio.run(program())
    assert given == [("socks5h://proxy:1080", user is not None)] * 2
