"""An httpx transport over the connections of `AsyncFeather`. With it, a test can use them through an httpx client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import httpx
from attrs import field, frozen
from featherhq._core.effects import SendRequest
from featherhq._core.exchange import EXCHANGE, Exchange
from featherhq._core.secrets import Secret
from featherhq._http.aiohttp_sender import AiohttpSender, Answer
from featherhq._http.socks import SocksClient
from featherhq._validation import KEY_HEADER


class ProxyLike(Protocol):
    """A proxy, as the package needs it."""

    @property
    def shown(self) -> str: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...


@frozen(eq=False)
class Timed(SendRequest):
    """A request with the timeouts that a test has set."""

    given: dict[str, float] = field(factory=dict)

    @property
    def timeouts(self) -> dict[str, float]:
        return self.given


class Transport(httpx.AsyncBaseTransport):
    """It sends the requests of an httpx client through the connections that an `AsyncFeather` uses."""

    def __init__(
        self,
        tls: Any,
        limits: httpx.Limits,
        proxy: ProxyLike | None = None,
        refuses: Callable[[str], None] | None = None,
    ) -> None:
        self._sender: AiohttpSender | SocksClient
        if proxy is not None and proxy.shown.startswith("socks"):
            self._sender = SocksClient(tls, limits, proxy, refuses)
        else:
            self._sender = AiohttpSender(tls, limits, proxy, refuses)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(self._sender, SocksClient):
            return await self._sender.handle(request)
        answer = await self._sender.send(await _effect(request))
        return httpx.Response(
            answer.status_code,
            headers=answer._answer.raw_headers,
            stream=_Body(answer),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        await self._sender.aclose()

    def abandon(self) -> None:
        self._sender.abandon()


async def _effect(request: httpx.Request) -> SendRequest:
    """Turn a request of httpx into the effect of a flow."""
    headers: dict[str, Any] = {
        name: value
        for name, value in request.headers.items()
        if name not in {"host", "content-length", "transfer-encoding", KEY_HEADER.lower()}
    }
    if (key := request.headers.get(KEY_HEADER)) is not None:
        headers[KEY_HEADER] = Secret(key)
    content = await request.aread()
    return Timed(
        {"method": request.method, "url": str(request.url), "headers": headers, "content": content or None},
        60.0,
        exchange=request.extensions.setdefault(EXCHANGE, Exchange()),
        given={name: value for name, value in request.extensions.get("timeout", {}).items() if value is not None},
    )


class _Body(httpx.AsyncByteStream):
    """The body of a response, for httpx."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._answer.aiter_raw():
            yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()
