"""Requests with which a measurement controls `server_rate_limit.py` and reads its counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx


class Control:
    """Controls a server.

    Args:
        http: A client with the server's URL.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def report(self) -> dict[str, Any]:
        """Return what the server has counted, see `server_rate_limit.Server.report`."""
        found: dict[str, Any] = (await self._http.get("/-/report")).raise_for_status().json()
        return found

    async def order(self, what: str, **query: str) -> Any:
        """Give the server an order, see `server_rate_limit`. Return its answer."""
        return (await self._http.post(f"/-/{what}", params=query)).raise_for_status().json()


@asynccontextmanager
async def controlled(url: str) -> AsyncIterator[Control]:
    """Open the control of the server with this URL."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        yield Control(http)


def thread_ids(number: int) -> list[str]:
    """Return so many ids of threads, always the same. The server creates a thread when its id is first used."""
    return [str(UUID(int=(1 << 126) + place, version=4)) for place in range(number)]


def made_at(text: str) -> float:
    """Return when the agent wrote this message, in seconds of the monotonic clock.

    The server writes this time at the start of the text. All processes of a machine share this clock.
    """
    return float(text.partition(" ")[0])
