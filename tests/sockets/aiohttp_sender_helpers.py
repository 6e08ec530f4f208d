"""What the tests of the aiohttp sender share: servers, routes to them, requests, and what exchanges say.

A test module imports the functions, and loads this module as a plugin for its fixtures. pytest cannot rewrite the
assertions of a module that was imported before. The next word stops its warning: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import httpx
import pytest
import trustme
from attrs import field, frozen
from featherhq._core.exchange import EXCHANGE, Exchange
from httpx_face import Transport
from raw_server import Answer, Peer, TLSPeer

KEY = secrets.token_hex(20)
PASSWORD = secrets.token_hex(20)
LIMITS = httpx.Limits(max_connections=100, keepalive_expiry=4)


@frozen
class Proxy:
    """A proxy, as the sender needs it."""

    url: str = field(repr=False)
    shown: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def http_response(body: bytes, *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def chunked_response(body: bytes) -> bytes:
    """A whole response with a chunked body."""
    return http_response(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body), "Transfer-Encoding: chunked", length=False)


YES = http_response(b"yes")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The authority that issues all certificates."""
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """The TLS settings of a server, with its certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "feather.example").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """The TLS settings of the client, which trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def make_peer() -> Iterator[Callable[..., Any]]:
    """A function that starts servers."""
    made: list[Peer] = []

    def make(answer: Answer = YES, kind: type[Peer] = Peer, **options: Any) -> Peer:
        made.append(kind(answer, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Route:
    """How the client reaches a server: the server's URL, and the proxy before it."""

    def __init__(self, make: Callable[..., Peer], name: str, server_tls: ssl.SSLContext) -> None:
        self._make = make
        self.name = name
        self._server_tls = server_tls

    def to(self, answer: Answer) -> tuple[Peer, str, Proxy | None]:
        """Start a server. Return it with its URL and its proxy."""
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
def route(request: pytest.FixtureRequest, make_peer: Callable[..., Peer], server_tls: ssl.SSLContext) -> Route:
    """Each kind of route."""
    return Route(make_peer, request.param, server_tls)


@asynccontextmanager
async def connected(client_tls: ssl.SSLContext, *arguments: Any, limits: httpx.Limits = LIMITS) -> AsyncIterator[Any]:
    """An httpx client that sends through the transport under test."""
    async with httpx.AsyncClient(transport=Transport(client_tls, limits, *arguments), trust_env=False) as client:
        yield client


def request_to(url: str, method: str = "POST", **options: Any) -> httpx.Request:
    """A request with a key, an exchange and timeouts."""
    options.setdefault("content", b"some content" if method == "POST" else None)
    extensions = {EXCHANGE: Exchange(), "timeout": options.pop("timeout", {"connect": 5, "pool": 5})}
    return httpx.Request(method, url, headers={"X-API-Key": KEY}, extensions=extensions, **options)


def exchange_of(request: httpx.Request) -> tuple[bool, bool, bool]:
    """Whether the connection was used before, the request was sent, and bytes of a response came."""
    exchange = request.extensions[EXCHANGE]
    assert exchange.is_ours
    return exchange.reused, exchange.sent, exchange.received


def all_text_of(error: BaseException) -> str:
    """All text that a reporter may print of an error and its causes, with the local variables of all frames."""
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


def closes(_: bytes, __: socket.socket) -> None:
    """Send no response. The server then closes the connection."""


def resets(_: bytes, connection: socket.socket) -> None:
    """Send no response. When the server closes the connection, it resets it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
