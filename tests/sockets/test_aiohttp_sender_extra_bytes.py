"""Bytes that belong to no request of the aiohttp sender. They never count as the response to the next request."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from aiohttp_sender_helpers import Route, chunked_response, connected, exchange_of, http_response, request_to
from raw_server import Peer

pytest_plugins = ["aiohttp_sender_helpers"]

SECOND = http_response(b"for nobody")


@pytest.mark.parametrize("second", [SECOND, SECOND[:20], b"\r\n", b"x"], ids=["whole", "half", "a line", "garbage"])
@pytest.mark.parametrize(
    "first",
    [http_response(b"first"), chunked_response(b"first"), http_response(b"", status="204 No Content", length=False)],
)
def test_bytes_on_an_idle_connection(route: Route, client_tls: ssl.SSLContext, first: bytes, second: bytes) -> None:
    """If a server sends bytes on an idle connection, the next request goes out on a new connection only."""
    may_speak, has_spoken = threading.Event(), threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes | None:
        if b"/first" not in request:
            return http_response(b"next")
        connection.sendall(first)
        may_speak.wait(5)
        connection.sendall(second)
        has_spoken.set()
        return b""

    server, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
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
@pytest.mark.parametrize(
    "first", [http_response(b"first"), chunked_response(b"first"), http_response(b"", status="304 Same", length=False)]
)
def test_a_second_response_in_the_same_piece(
    route: Route, client_tls: ssl.SSLContext, first: bytes, second: bytes
) -> None:
    """Two responses arrive together. The first one answers the request, and the connection is not used again."""

    def answer(request: bytes, _: socket.socket) -> bytes:
        return first + second if b"/first" in request else http_response(b"next")

    server, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            assert (await client.send(request_to(f"{url}/first"))).content in {b"first", b""}
            assert (await client.send(request_to(f"{url}/next"))).content == b"next"

    asyncio.run(program())
    assert server.connections == 2


def test_garbage_after_a_response(route: Route, client_tls: ssl.SSLContext) -> None:
    """Garbage after a response with a length is ignored. The connection is not used again."""
    server, url, proxy = route.to(http_response(b"first") + b"x")

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            for _ in range(2):
                assert (await client.send(request_to(url))).content == b"first"

    asyncio.run(program())
    assert server.connections == 2


@pytest.mark.parametrize(
    "second",
    [SECOND, http_response(b"for nobody\r\n\r\n"), SECOND[:20]],
    ids=["whole", "with the end of a chunk", "half"],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_second_response_while_a_body_is_read(
    route: Route, client_tls: ssl.SSLContext, chunked: bool, second: bytes
) -> None:
    """The body ends at its own end, although a second response follows. The connection is not used again."""
    body = b"a" * 100_000
    whole = chunked_response(body) if chunked else http_response(body)
    may_go_on = threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes:
        if b"/first" not in request:
            return http_response(b"next")
        connection.sendall(whole[:1000])
        may_go_on.wait(5)
        return whole[1000:] + second

    server, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            async with client.stream("GET", f"{url}/first") as response:
                chunks = response.aiter_raw()
                begun = await anext(chunks)
                may_go_on.set()
                assert begun + b"".join([chunk async for chunk in chunks]) == body
            assert (await client.get(f"{url}/next")).content == b"next"

    asyncio.run(program())
    assert server.connections == 2


class PatientLoop(asyncio.SelectorEventLoop):
    """An event loop that finishes a new connection only after the server has sent bytes."""

    has_spoken = threading.Event()

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        await super().sock_connect(sock, address)
        assert await asyncio.to_thread(self.has_spoken.wait, 5)
        self.has_spoken.clear()


class EarlyPeer(Peer):
    """A server that sends bytes before any request."""

    def _serve(self, plain: socket.socket) -> None:
        plain.sendall(SECOND)
        PatientLoop.has_spoken.set()
        super()._serve(plain)


def test_bytes_before_any_request(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """If a server sends bytes on a new connection before any request, the request fails, and nothing of it was sent."""
    PatientLoop.has_spoken.clear()
    server = make_peer(kind=EarlyPeer)

    async def program() -> None:
        async with connected(client_tls) as client:
            for method in ("GET", "POST"):
                request = request_to(server.url, method)
                with pytest.raises(httpx.TransportError):
                    await client.send(request)
                assert exchange_of(request) == (False, False, False)

    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        runner.run(program())
