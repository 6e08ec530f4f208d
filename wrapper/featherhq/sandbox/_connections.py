"""The sandbox's connections, for faults that close them or write to them directly."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import frozen

from featherhq.errors import phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Scope


@frozen
class Connections:
    """The open connections.

    Attributes:
        transports: Their transports, by the client's address.
    """

    transports: Mapping[Any, asyncio.Transport]

    def abort(self, scope: Scope) -> None:
        """Close a request's connection at once."""
        # It is missing if the client has closed it already.
        with suppress(KeyError):
            self.transports[tuple(scope["client"])].abort()

    async def cut(self, scope: Scope) -> None:
        """Close a request's connection at once, so that the server expects no response."""
        self.abort(scope)
        # The server learns of it in the event loop's next iteration.
        await asyncio.sleep(0)

    async def write(self, parts: list[bytes], scope: Scope, interval: float = 0) -> None:
        """Write bytes to a request's connection, and close it.

        Args:
            parts: What to write.
            scope: The request's ASGI scope.
            interval: Seconds to wait after each part.
        """
        transport = self.transports[tuple(scope["client"])]
        for part in parts:
            if transport.is_closing():
                break
            transport.write(part)
            await asyncio.sleep(interval)
        transport.close()
        await asyncio.sleep(0)

    async def drip(self, response: Response, interval: float, scope: Scope) -> None:
        """Write a response one byte at a time, with `interval` seconds between two bytes."""
        lines = [f"HTTP/1.1 {response.status_code} {phrase(response.status_code)}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        lines += [b"connection: close"]
        whole = b"\r\n".join([*lines, b"", bytes(response.body)])
        await self.write([whole[i : i + 1] for i in range(len(whole))], scope, interval)


async def disconnected(receive: Receive) -> None:
    """Wait until the client disconnects. The request's body must have been read before."""
    # After the body, there is no other event that the server reports.
    await receive()
