"""Responses to the aiohttp sender: lengths, heads and bodies, both valid and broken."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from aiohttp_sender_helpers import (
    KEY,
    Route,
    all_text_of,
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

FLOOD = 100 * 1024 * 1024


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
def test_a_repeated_length(route: Route, client_tls: ssl.SSLContext, lines: list[str]) -> None:
    """Equal lengths count as one length, also if the head comes in pieces. The connection is used again."""
    whole = http_response(b"first", "X-Before: 1", *lines, "X-After: 2", length=False)

    def answer(_: bytes, connection: socket.socket) -> bytes:
        for at in range(0, len(whole), 3):
            connection.sendall(whole[at : at + 3])
        return b""

    server, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
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
def test_invalid_lengths(route: Route, client_tls: ssl.SSLContext, lines: list[str]) -> None:
    """If the length of a response is invalid or ambiguous, the request fails."""
    _, url, proxy = route.to(http_response(b"first", *lines, length=False))

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            request = request_to(url)
            with pytest.raises(httpx.RemoteProtocolError):
                await client.send(request)
            assert exchange_of(request) == (False, True, True)

    asyncio.run(program())


@pytest.mark.parametrize(
    "head",
    [
        http_response(b"", *[f"X-{number}: 1" for number in range(7000)]),
        http_response(b"", f"X-Long: {'x' * 90_000}"),
        http_response(b"", status="100 Continue", length=False) * 3 + http_response(b""),
    ],
    ids=["many lines", "a long line", "interim responses"],
)
def test_large_heads(route: Route, client_tls: ssl.SSLContext, head: bytes) -> None:
    """The client reads a head of some tens of kilobytes, and a head after interim responses."""
    server, url, proxy = route.to(head)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            for _ in range(2):
                assert (await client.send(request_to(url))).status_code == 200

    asyncio.run(program())
    assert server.connections == 1


@pytest.mark.parametrize("piece", [b"X: 1\r\n", b"x" * 1000, b"\r\nHTTP/1.1 100 Continue\r\n"])
def test_heads_without_end(route: Route, client_tls: ssl.SSLContext, piece: bytes) -> None:
    """If a head does not end within 100 KiB, the request fails. Interim responses count too."""

    def answer(_: bytes, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n")
        while True:
            connection.sendall(piece)

    _, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            with pytest.raises(httpx.RemoteProtocolError, match="head of a response is too long") as caught:
                await client.send(request_to(url))
            assert KEY not in all_text_of(caught.value)

    asyncio.run(program())


@pytest.mark.parametrize(
    "answer",
    [
        b"220 SMTP",
        b"\r\n" + http_response(b""),
        http_response(b"", "Upgrade: x", status="101 Switching Protocols", length=False),
    ],
)
def test_unacceptable_responses(route: Route, client_tls: ssl.SSLContext, answer: bytes) -> None:
    """If the bytes are not an acceptable response, the request fails at once, even while the connection is open."""
    has_failed = threading.Event()

    def waits(_: bytes, connection: socket.socket) -> None:
        connection.sendall(answer)
        has_failed.wait(5)

    _, url, proxy = route.to(waits)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            request = request_to(url)
            with pytest.raises(httpx.RemoteProtocolError):
                await client.send(request)
            assert exchange_of(request) == (False, True, True)
        has_failed.set()

    asyncio.run(program())


BROKEN_BODIES = {
    "a body cut short": http_response(b"first")[:-2],
    "no chunk": http_response(b"nothing\r\n", "Transfer-Encoding: chunked", length=False),
    "a broken chunk": http_response(b"5\r\nfirst\r\nnothing\r\n", "Transfer-Encoding: chunked", length=False),
    "chunks without end": chunked_response(b"first")[:-5],
}


@pytest.mark.parametrize("end", [closes, resets])
@pytest.mark.parametrize(
    "answer", [b"", http_response(b"")[:20], *BROKEN_BODIES.values()], ids=["no", "half", *BROKEN_BODIES]
)
def test_responses_that_break_off(route: Route, client_tls: ssl.SSLContext, answer: bytes, end: Any) -> None:
    """The error is one of httpx. It has a cause and shows no key. The exchange says whether bytes came."""

    def breaks(request: bytes, connection: socket.socket) -> None:
        connection.sendall(answer)
        end(request, connection)

    _, url, proxy = route.to(breaks)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            request = request_to(url)
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as caught:
                await client.send(request)
            assert caught.value.__cause__ is not None
            reused, sent, received = exchange_of(request)
            assert (reused, sent) == (False, True)
            # When a connection is reset, bytes on their way may be lost.
            assert received == bool(answer) or end is resets
            assert KEY not in all_text_of(caught.value)

    asyncio.run(program())


def test_a_response_that_ends_with_its_connection(route: Route, client_tls: ssl.SSLContext) -> None:
    """A response without a length and without chunks is complete when the server closes the connection."""

    def answer(_: bytes, connection: socket.socket) -> None:
        connection.sendall(http_response(b"yes", length=False))

    _, url, proxy = route.to(answer)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
            for _ in range(2):
                assert (await client.get(url)).content == b"yes"

    asyncio.run(program())


def test_a_large_body_that_is_not_read(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """While nobody reads a body, the client holds less than 10 MB of it, and the server has to wait. Chunks are
    small.
    """
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
        async with connected(client_tls) as client, client.stream("GET", make_peer(answer).url) as response:
            tracemalloc.start()
            assert await asyncio.to_thread(is_full.wait, 10)
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
            tracemalloc.stop()
            sizes = [len(chunk) async for chunk in response.aiter_raw()]
            assert sum(sizes) == FLOOD
            assert max(sizes) < 2_000_000

    asyncio.run(program())
