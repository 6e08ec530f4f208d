"""Connections of the aiohttp sender: which ones are used again, and which request gets the next free one."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from aiohttp_sender_helpers import (
    Route,
    chunked_response,
    closes,
    connected,
    exchange_of,
    http_response,
    request_to,
    resets,
)
from raw_server import Peer

pytest_plugins = ["aiohttp_sender_helpers"]


@pytest.mark.parametrize("end", [closes, resets])
def test_an_idle_connection_that_the_server_has_closed(route: Route, client_tls: ssl.SSLContext, end: Any) -> None:
    """If the server has closed an idle connection, the next request uses a new one."""
    may_end, has_ended = threading.Event(), threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes | None:
        if b"/first" not in request:
            return http_response(b"next")
        connection.sendall(http_response(b"first"))
        may_end.wait(5)
        end(request, connection)
        connection.close()
        has_ended.set()
        return None

    server, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            await client.send(request_to(f"{url}/first"))
            may_end.set()
            await asyncio.to_thread(has_ended.wait)
            request = request_to(f"{url}/next")
            assert (await client.send(request)).content == b"next"
            assert exchange_of(request) == (False, True, True)

    asyncio.run(program())
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "method", "kept"),
    [
        (http_response(b"yes"), "GET", True),
        (chunked_response(b"yes"), "GET", True),
        (http_response(b"yes")[:-3], "HEAD", True),
        (http_response(b"", status="204 No Content", length=False), "POST", True),
        (http_response(b"yes", "Connection: close"), "GET", False),
    ],
)
def test_which_connections_are_kept(
    route: Route, client_tls: ssl.SSLContext, answer: bytes, method: str, kept: bool
) -> None:
    """A connection is kept if its response is complete and the server does not close the connection."""
    server, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            for _ in range(3):
                assert (await client.send(request_to(url, method))).is_success

    asyncio.run(program())
    assert server.connections == (1 if kept else 3)


def test_a_response_that_is_closed_early(route: Route, client_tls: ssl.SSLContext) -> None:
    """If a response is closed before its end, its connection is closed too. The next request uses a new one."""
    has_closed = threading.Event()

    def answer(request: bytes, connection: socket.socket) -> bytes | None:
        if b"/first" not in request:
            return http_response(b"next")
        connection.sendall(http_response(b"first")[:-1])
        with suppress(OSError):
            assert connection.recv(1) == b""
        has_closed.set()
        return None

    server, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy, limits=httpx.Limits(max_connections=1)) as client:
            async with client.stream("GET", f"{url}/first") as response:
                assert await anext(response.aiter_raw()) == b"firs"
            assert await asyncio.to_thread(has_closed.wait, 5)
            assert (await client.get(f"{url}/next")).content == b"next"

    asyncio.run(program())
    assert server.connections == 2


def test_requests_get_free_connections_in_order(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """Requests wait for a free connection, and get it in order. A request that waits too long was not sent."""
    may_answer = threading.Event()

    def answer(request: bytes, _: socket.socket) -> bytes:
        if b"/slow" in request:
            may_answer.wait(5)
        return http_response(b"yes")

    server = make_peer(answer)

    async def program() -> None:
        async with connected(client_tls, limits=httpx.Limits(max_connections=1)) as client:
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


def test_many_cancelled_requests(route: Route, client_tls: ssl.SSLContext) -> None:
    """After many cancellations, each request gets its own response, and all connections can be used."""

    def answer(request: bytes, _: socket.socket) -> bytes:
        return chunked_response(request.rpartition(b"\r\n\r\n")[2] * 50)

    _, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy, limits=httpx.Limits(max_connections=5)) as client:

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
