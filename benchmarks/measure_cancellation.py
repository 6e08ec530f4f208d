"""Calls and streams that are cancelled at any moment: whether the connection pool still works afterwards."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import Any, Final

import httpx
from clients import Operation, open_client
from server_fast import OPEN

_POOL: Final = httpx.Limits(max_connections=10)
_TASKS: Final = 50
_CALLS: Final = 100
_LONGEST: Final = 0.03
"""An operation is cancelled after a random time between zero and so many seconds."""


async def cancellation(client: str, url: str, seconds: float = 5.0) -> dict[str, Any]:
    """Cancel calls and streams in 50 tasks on a pool of 10 connections. Then make 100 calls that are not cancelled.

    Args:
        client: `httpx`, `httpx-aiohttp`, `httpx-httpcore2` or `featherhq`.
        url: A running `server_fast.py`.
        seconds: How long to cancel.

    Returns:
        How many of the 100 calls `succeeded`, and how many `connections` and `streams` are still open afterwards.
    """
    dice = random.Random(1)  # noqa: S311 - the same random times for each client

    async def cancel(operation: Operation, until: float) -> None:
        while time.monotonic() < until:
            with suppress(Exception):
                async with asyncio.timeout(dice.uniform(0, _LONGEST)):
                    await operation()

    async with open_client(client, url, _POOL) as operations, httpx.AsyncClient(base_url=url) as control:
        until = time.monotonic() + seconds
        both = [operations.send, operations.listen or operations.send]
        await asyncio.gather(*(cancel(both[number % 2], until) for number in range(_TASKS)))
        answers = await asyncio.gather(*(operations.send() for _ in range(_CALLS)), return_exceptions=True)
        # The server notices a closed connection a moment later.
        await asyncio.sleep(0.2)
        left = (await control.get(OPEN)).json()
    # One connection is the one that asked for this number.
    left["connections"] -= 1
    return {"succeeded": sum(not isinstance(answer, BaseException) for answer in answers), **left}
