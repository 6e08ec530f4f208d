"""Proxies, mocks and tracing tools between the client and the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
from conftest import AGENT_ID, THREAD_ID, Kind
from featherhq import (
    APIConnectionError,
    Feather,
    FeatherError,
)
from featherhq.sandbox import Sandbox
from peers import serve_peers
from raw_server import Peer, json_answer

serve = pytest.fixture(serve_peers)


def test_this_machine_is_reached_without_a_proxy(
    kind: Kind, sandbox: Sandbox, dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client connects to this machine directly, whatever the proxy variables of the environment contain."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, dead_url)
    for no_proxy in ("", "localhost,fd00::/8", "[::1]", "127.0.0.0/8", "*.orb.internal,0:0:0:0:0:0:0:1"):
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert kind.client(base_url=sandbox.url).threads.create(AGENT_ID).id


def test_an_error_names_the_proxy(kind: Kind, dead_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a request through a proxy names the proxy and its variable, but not its password."""
    monkeypatch.setenv("HTTPS_PROXY", dead_url.replace("//", "//user:hidden@"))
    with pytest.raises(APIConnectionError, match=rf"through the proxy {dead_url} \(HTTPS_PROXY\)") as caught:
        kind.client(base_url="https://feather.test", max_retries=0).thread(THREAD_ID).send("hello")
    assert caught.value.delivered is False
    assert "hidden" not in f"{caught.value}{caught.value.__notes__}"


def test_an_error_status_that_came_through_a_proxy(
    kind: Kind, serve: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error's note names the proxy, because the proxy itself may have sent the status."""
    peer = serve(json_answer({"message": "no"}, "403 Forbidden"))
    monkeypatch.setenv("HTTP_PROXY", peer.url)
    with pytest.raises(FeatherError) as caught:
        kind.client(base_url="http://feather.test").threads.get(THREAD_ID)
    assert f"came through the proxy {peer.url}" in str(caught.value.__notes__)


def test_a_proxy_that_closes_the_tunnel(
    kind: Kind, serve: Callable[..., Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that Feather received nothing, and the client sends the message again."""
    peer = serve(lambda _request, _connection: None)
    monkeypatch.setenv("HTTPS_PROXY", peer.url)
    with pytest.raises(APIConnectionError, match="through the proxy") as caught:
        kind.client(base_url="https://feather.test", max_retries=1, timeout=3).thread(THREAD_ID).send("hello")
    assert caught.value.delivered is False
    assert caught.value.attempts == 2
    assert all(request.startswith(b"CONNECT") for request in peer.seen)


def test_tools_that_replace_send_see_each_request(
    kind: Kind, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that replaces `send` of httpx's clients sees each request. Sentry's tracing works in this way."""
    seen: list[str] = []
    sync, asynchronous, below = httpx.Client.send, httpx.AsyncClient.send, aiohttp.ClientSession.__init__

    def send(self: Any, request: httpx.Request, **options: Any) -> httpx.Response:
        seen.append(request.method)
        return sync(self, request, **options)

    async def asend(self: Any, request: httpx.Request, **options: Any) -> httpx.Response:
        seen.append(request.method)
        return await asynchronous(self, request, **options)

    async def begins(_: Any, __: Any, told: aiohttp.TraceRequestStartParams) -> None:
        seen.append(told.method)

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        traced = aiohttp.TraceConfig()
        traced.on_request_start.append(begins)
        options["trace_configs"] = [*(options.get("trace_configs") or ()), traced]
        below(self, *arguments, **options)

    monkeypatch.setattr(httpx.Client, "send", send)
    monkeypatch.setattr(httpx.AsyncClient, "send", asend)
    monkeypatch.setattr(aiohttp.ClientSession, "__init__", init)
    kind.client(base_url=sandbox.url).threads.create(AGENT_ID).refresh()
    assert seen == ["POST", "GET"]


def test_a_patched_httpx_transport_gets_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A patched `handle_request` gets each request, and the client opens no connection. pytest-httpx
    works in this way.
    """
    url = f"https://{uuid4()}.test"

    def answer(_transport: Any, request: httpx.Request) -> httpx.Response:
        assert str(request.url).startswith(url)
        return httpx.Response(200, json={"thread": {"id": THREAD_ID}})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with Feather("key", base_url=url) as feather:
        assert feather.threads.get(THREAD_ID).details is not None


def test_a_mock_transport_in_http_client(kind: Kind) -> None:
    """Any transport in `http_client=`, such as a mock, can respond to both kinds of client."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"thread": {"id": THREAD_ID}}))
    given = (httpx.AsyncClient if kind.asynchronous else httpx.Client)(transport=transport)
    assert kind.client(base_url="https://feather.test", http_client=given).threads.get(THREAD_ID).id == THREAD_ID
