"""Requests of the aiohttp sender: what is sent, what is not sent, and what the exchange says about it."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from aiohttp_sender_helpers import (
    KEY,
    PASSWORD,
    YES,
    Proxy,
    Route,
    all_text_of,
    connected,
    exchange_of,
    http_response,
    request_to,
    resets,
)
from featherhq.errors import UsageError
from raw_server import Peer, TLSPeer, black_hole, read_request

pytest_plugins = ["aiohttp_sender_helpers"]


def test_requests_share_a_connection(route: Route, client_tls: ssl.SSLContext) -> None:
    """Responses come unchanged. Requests share a connection, and each exchange says so."""
    server, url, proxy = route.to(http_response(b"yes", "X-Two: 1", "X-Two: 2"))

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
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
    assert first.endswith(b"\r\n\r\nsome content")
    assert all(KEY.encode() not in one for one in server.seen if one.startswith(b"CONNECT"))


def test_a_request_without_an_exchange_and_timeouts(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """A request that has no exchange and no timeouts is sent, and it gets an exchange."""

    async def program() -> None:
        async with connected(client_tls) as client:
            request = httpx.Request("GET", make_peer().url)
            assert (await client.send(request)).content == b"yes"
            assert exchange_of(request) == (False, True, True)
            chunked = httpx.Request("POST", make_peer().url, content=iter_bytes())
            assert (await client.send(chunked)).content == b"yes"

    async def iter_bytes() -> AsyncIterator[bytes]:
        yield b"some "
        yield b"content"

    asyncio.run(program())


def test_an_invalid_header(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """A request with an invalid header is not sent, with a body and without one."""

    async def program() -> None:
        async with connected(client_tls) as client:
            for method in ("GET", "POST"):
                request = request_to(make_peer().url, method)
                request.headers["X-Other"] = "a\x00b"
                with pytest.raises(httpx.LocalProtocolError) as caught:
                    await client.send(request)
                assert exchange_of(request) == (False, False, False)
                assert KEY not in all_text_of(caught.value)

    asyncio.run(program())


def test_no_connection(
    make_peer: Callable[..., Peer], client_tls: ssl.SSLContext, server_tls: ssl.SSLContext, dead_url: str
) -> None:
    """If no connection can be made, nothing was sent, and the error shows no key."""

    class Closing(Peer):
        def _serve(self, plain: socket.socket) -> None:
            plain.close()

    secure = make_peer(kind=TLSPeer, tls=server_tls)
    with black_hole() as nowhere:
        cases: list[tuple[str, type[Exception]]] = [
            (dead_url, httpx.ConnectError),
            (f"https://127.0.0.1:{secure.port}", httpx.ConnectError),
            (f"https://127.0.0.1:{make_peer(kind=Closing).port}", httpx.ConnectError),
            ("http://nothing.invalid", httpx.ConnectError),
            ("ftp://127.0.0.1", httpx.UnsupportedProtocol),
            (f"http://127.0.0.1:{nowhere}", httpx.ConnectTimeout),
        ]

        async def program() -> None:
            for url, kind in cases:
                async with connected(client_tls) as client:
                    request = request_to(url, timeout={"connect": 0.2})
                    with pytest.raises(kind) as caught:
                        await client.send(request)
                    assert caught.value.__cause__ is not None
                    assert exchange_of(request) == (False, False, False)
                    assert KEY not in all_text_of(caught.value)

        asyncio.run(program())


def test_a_function_that_refuses_connections(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """The function is called before each new connection, but not for an open one. Its error is raised unchanged."""
    asked: list[str] = []
    refusals: list[Exception] = [OSError("no"), TimeoutError("no"), ValueError("no"), UsageError("no", hint="none")]
    todo: list[Exception | None] = [None, *refusals]

    def refuses(host: str) -> None:
        asked.append(host)
        if (problem := todo.pop(0)) is not None:
            raise problem

    async def program() -> None:
        server, other = make_peer(), make_peer()
        async with connected(client_tls, None, refuses) as client:
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


def test_a_connection_that_is_reset_while_a_request_is_sent(
    make_peer: Callable[..., Peer], client_tls: ssl.SSLContext
) -> None:
    """The connection is reset while the request is being sent. No frame of the error shows the key."""

    class Resetting(Peer):
        def _serve(self, plain: socket.socket) -> None:
            plain.recv(10)
            resets(b"", plain)
            plain.close()

    server = make_peer(kind=Resetting)

    async def program() -> None:
        async with connected(client_tls) as client:
            for content in (b"short", b"x" * 20_000_000):
                request = request_to(server.url, content=content)
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as caught:
                    await client.send(request)
                assert exchange_of(request) == (False, True, False)
                assert KEY not in all_text_of(caught.value)

    asyncio.run(program())


class StuckPeer(Peer):
    """A server that sends some bytes, after a request or at once, and then nothing more."""

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
def test_no_key_in_a_cancelled_task(
    make_peer: Callable[..., Any], client_tls: ssl.SSLContext, where: str, says: bytes, url: str, sent: bool
) -> None:
    """Wherever a cancelled request waits, the local variables of its frames show no key and no password of a proxy."""
    server = make_peer(says, StuckPeer, asked=where != "in a handshake")
    proxy = Proxy(server.url, server.url, "user", PASSWORD) if "example" in url else None

    async def program(port: int) -> None:
        async with connected(client_tls, proxy) as client:
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
            told = all_text_of(caught.value)
            assert "/aiohttp/" in told
            assert KEY not in told
            assert PASSWORD not in told
            assert base64.b64encode(f"user:{PASSWORD}".encode()).decode() not in told
            assert exchange_of(request) == (False, sent, bool(says))

    with black_hole() as nowhere:
        asyncio.run(program(nowhere if where == "connecting" else server.port))
