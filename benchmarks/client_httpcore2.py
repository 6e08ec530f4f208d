"""An httpx transport over httpcore2's connection pool. It is measured beside the way that `AsyncFeather` takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpcore2
import httpx


class Httpcore2Transport(httpx.AsyncBaseTransport):
    """Sends each request through a pool of httpcore2.

    Args:
        limits: The size of the pool; `None` for httpx's default.
    """

    def __init__(self, limits: httpx.Limits | None) -> None:
        size = 100 if limits is None else limits.max_connections
        self._pool = httpcore2.AsyncConnectionPool(max_connections=size, max_keepalive_connections=20)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx's own transport does it."""
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                request.method,
                httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
