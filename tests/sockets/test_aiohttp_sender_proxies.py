"""Proxies of the aiohttp sender: credentials, certificates, tunnels and SOCKS."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from aiohttp_sender_helpers import (
    KEY,
    LIMITS,
    PASSWORD,
    Proxy,
    all_text_of,
    closes,
    connected,
    exchange_of,
    http_response,
    request_to,
    resets,
)
from featherhq.errors import UsageError
from httpx_face import Transport
from raw_server import Peer, TLSPeer

pytest_plugins = ["aiohttp_sender_helpers"]


@pytest.mark.parametrize("tunnel", [True, False])
@pytest.mark.parametrize(
    ("user", "password"), [(None, None), ("user", PASSWORD), ("user", None)], ids=["none", "both", "name"]
)
def test_the_credentials_of_a_proxy(
    make_peer: Callable[..., Peer],
    client_tls: ssl.SSLContext,
    server_tls: ssl.SSLContext,
    tunnel: bool,
    user: str | None,
    password: str | None,
) -> None:
    """The user name and the password go to the proxy only, with each request that the proxy sees."""
    server = make_peer(tls=server_tls)
    proxy = Proxy(f"http://user:secret@127.0.0.1:{server.port}", server.url, user, password)

    async def program() -> None:
        async with connected(client_tls, proxy) as client:
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


def test_the_certificate_of_a_proxy(
    make_peer: Callable[..., Peer], client_tls: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    """The client checks the certificate of a proxy. If the certificate is invalid, nothing is sent."""
    server = make_peer(kind=TLSPeer, tls=server_tls)
    trusted, other = (f"https://{host}:{server.port}" for host in ("localhost", "127.0.0.1"))

    async def program() -> None:
        async with connected(client_tls, Proxy(trusted, trusted)) as client:
            assert (await client.send(request_to("http://feather.example"))).content == b"yes"
        async with connected(client_tls, Proxy(other, other)) as client:
            request = request_to("http://feather.example")
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await client.send(request)
            assert exchange_of(request) == (False, False, False)

    asyncio.run(program())
    assert server.seen[0].startswith(b"POST http://feather.example")


def test_a_proxy_that_opens_no_tunnel(make_peer: Callable[..., Peer], client_tls: ssl.SSLContext) -> None:
    """If a proxy opens no tunnel, nothing of the request was sent. The CONNECT request does not count."""
    refusal = http_response(b"", status="407 Proxy Authentication Required")
    cases: list[tuple[Any, type[Exception]]] = [
        (closes, httpx.RemoteProtocolError),
        (resets, httpx.TransportError),
        (refusal, httpx.ProxyError),
        (http_response(b"", length=False), httpx.ConnectTimeout),
    ]

    async def program() -> None:
        for answer, kind in cases:
            server = make_peer(answer)
            async with connected(client_tls, Proxy(server.url, server.url, "user", PASSWORD)) as client:
                request = request_to("https://feather.example", timeout={"connect": 0.3})
                with pytest.raises(kind) as caught:
                    await client.send(request)
                assert exchange_of(request) == (False, False, False)
                assert server.seen[0].startswith(b"CONNECT")
                told = all_text_of(caught.value)
                assert KEY not in told
                assert base64.b64encode(f"user:{PASSWORD}".encode()).decode() not in told

    asyncio.run(program())


def test_a_socks_proxy_without_the_extra_of_httpx(client_tls: ssl.SSLContext) -> None:
    """Without httpx's extra for SOCKS, a SOCKS proxy is an error at once."""
    with pytest.raises(ImportError, match="socks"):
        Transport(client_tls, LIMITS, Proxy("socks5://u:p@127.0.0.1:1", "socks5://127.0.0.1:1", "u", "p"))


def without_proxy(given: list[tuple[str, bool]]) -> type[httpx.AsyncHTTPTransport]:
    """A transport that connects directly. It notes in `given` its proxy, and whether it has the right credentials."""

    class WithoutProxy(httpx.AsyncHTTPTransport):
        def __init__(self, verify: ssl.SSLContext, *, limits: httpx.Limits, proxy: httpx.Proxy) -> None:
            given.append((str(proxy.url), proxy.raw_auth == (b"user", PASSWORD.encode())))
            super().__init__(verify, limits=limits)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/malformed":
                raise type("ProtocolError", (Exception,), {"__module__": "socksio.exceptions"})
            return await super().handle_async_request(request)

    return WithoutProxy


@pytest.mark.parametrize("user", ["user", None])
def test_a_socks_proxy(
    make_peer: Callable[..., Peer], client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    """A SOCKS proxy gets a transport of httpx, and exchanges are noted as usual. The test connects without a proxy."""
    given: list[tuple[str, bool]] = []
    monkeypatch.setattr(httpx, "AsyncHTTPTransport", without_proxy(given))
    server, cut = make_peer(), make_peer(closes)
    todo: list[Exception | None] = [None, None, UsageError("no", hint="none")]

    def refuses(host: str) -> None:
        assert host == "127.0.0.1"
        if (problem := todo.pop(0)) is not None:
            raise problem

    async def program() -> None:
        proxy = Proxy("socks5h://proxy:1080", "socks5h://proxy:1080", user, user and PASSWORD)
        async with AsyncExitStack() as open_:
            client = await open_.enter_async_context(connected(client_tls, proxy, refuses))
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
                assert KEY not in all_text_of(caught.value)
            unguarded = await open_.enter_async_context(connected(client_tls, proxy))
            assert (await unguarded.get(server.url)).content == b"yes"

    asyncio.run(program())
    assert given == [("socks5h://proxy:1080", user is not None)] * 2
