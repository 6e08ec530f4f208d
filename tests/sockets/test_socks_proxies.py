"""SOCKS proxies for an `AsyncFeather`. No such proxy runs here: the requests go straight to the sandbox instead."""

from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest
from conftest import AGENT_ID
from featherhq import APIConnectionError, AsyncFeather
from featherhq.sandbox import CutBefore, Sandbox


def test_an_async_client_goes_through_a_socks_proxy(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the environment names a SOCKS proxy, httpx's transport for such proxies sends the requests.

    An error names the proxy.
    """
    asked: list[str] = []

    class Straight(httpx.AsyncHTTPTransport):
        def __init__(self, verify: ssl.SSLContext, *, limits: httpx.Limits, proxy: httpx.Proxy) -> None:
            assert str(proxy.url) == "socks5://proxy:1080"
            super().__init__(verify, limits=limits)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            request.url = request.url.copy_with(host="127.0.0.1", port=httpx.URL(sandbox.url).port)
            return await super().handle_async_request(request)

    monkeypatch.setattr(httpx, "AsyncHTTPTransport", Straight)
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1080")

    async def program() -> str:
        async with AsyncFeather(sandbox.api_key, base_url="http://feather.example", max_retries=0) as feather:
            thread = await feather.threads.create(AGENT_ID)
            reply = await thread.ask("Hello")
            sandbox.inject("getThread", CutBefore())
            with pytest.raises(APIConnectionError, match="through the proxy socks5://proxy:1080"):
                await thread.refresh()
            return reply.text

    assert asyncio.run(program()) == "echo: Hello"
    assert set(asked) == {"feather.example"}
