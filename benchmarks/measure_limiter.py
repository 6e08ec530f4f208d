"""Many callers at once under a rate limit: whether any request is refused, and how long all of them take."""

from __future__ import annotations

import asyncio
import time

from clients import AGENT_ID, TEXT
from featherhq import AsyncFeather
from featherhq.sandbox import Sandbox


async def limiter(asks: int = 100, rate: float = 10.0) -> dict[str, float]:
    """Let many callers at once create a thread and ask in it. The sandbox and the client have the same rate limit.

    Args:
        asks: The number of callers.
        rate: Requests a second.

    Returns:
        The number of `replies`, of `requests`, and of requests that were `refused` (429). The seconds until all had
        their reply (`wall`), and this time over the shortest time that the rate limit allows (`ratio`).
    """
    with Sandbox(rate_limit=rate) as sandbox:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=rate) as feather:

            async def ask() -> str:
                thread = await feather.threads.create(AGENT_ID)
                return (await thread.ask(TEXT)).text

            began = time.monotonic()
            replies = await asyncio.gather(*(ask() for _ in range(asks)))
            wall = time.monotonic() - began
        statuses = [request.status for request in sandbox.requests]
    return {
        "replies": sum(map(bool, replies)),
        "requests": len(statuses),
        "refused": statuses.count(429),
        "wall": wall,
        "ratio": wall / (len(statuses) / rate),
    }
