"""The end of an aiohttp sender: it is closed, dropped, or used outside its event loop."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from aiohttp_sender_helpers import LIMITS, exchange_of, http_response, request_to
from featherhq.errors import UsageError
from httpx_face import Transport
from raw_server import Peer, TLSPeer

pytest_plugins = ["aiohttp_sender_helpers"]


def test_a_wrong_event_loop(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """A transport works only in the event loop of its first use. Elsewhere it raises an error, and nothing is sent."""
    server = make_peer()
    transport = Transport(client_tls, LIMITS)

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
        # Called outside the event loop, `aclose` leaves the work to that loop.
        with pytest.raises(StopIteration):
            transport.aclose().send(None)
        with pytest.raises(UsageError, match="closed"):
            runner.run(use())
    assert len(server.seen) == 2


def test_closing_while_a_request_waits(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """If a transport is closed, a waiting request fails and is not sent. Unused or closed transports can be closed."""
    server = make_peer()

    async def program() -> None:
        transport = Transport(client_tls, httpx.Limits(max_connections=1))
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
        await Transport(client_tls, LIMITS).aclose()

    asyncio.run(program())


@pytest.mark.parametrize("abandoned", [True, False])
@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("end", ["while its loop runs", "after its loop"])
def test_a_transport_that_is_never_closed(
    make_peer: Callable[..., Peer],
    client_tls: ssl.SSLContext,
    server_tls: ssl.SSLContext,
    end: str,
    secure: bool,
    abandoned: bool,
) -> None:
    """Its connections are closed without a warning when it is dropped, or before its event loop ends."""
    has_closed = threading.Event()

    def answer(_: bytes, connection: socket.socket) -> None:
        connection.sendall(http_response(b"yes"))
        with suppress(OSError):
            assert connection.recv(1) == b""
        has_closed.set()

    server = make_peer(answer, TLSPeer if secure else Peer, tls=server_tls)
    held: list[Transport] = []

    def drop() -> None:
        if abandoned:
            held[0].abandon()
        held.clear()
        gc.collect()

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: pytest.fail(str(context)))
        held.append(Transport(client_tls, LIMITS))
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
def test_a_loop_that_is_closed_without_cleanup(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """The sender gives no warning. Only asyncio warns, about its own transport."""
    loop = asyncio.new_event_loop()
    transport = Transport(client_tls, LIMITS)
    response = loop.run_until_complete(transport.handle_async_request(request_to(make_peer().url)))
    loop.run_until_complete(response.aread())
    loop.run_until_complete(response.aclose())
    loop.close()
    transport.abandon()
    transport.abandon()
    del transport, response
    gc.collect()
