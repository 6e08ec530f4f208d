"""How much the memory of a process grows during many calls and conversations."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clients import KEY, TEXT, Operation
from featherhq import AsyncFeather, Feather
from server_fast import THREAD_ID


async def memory(url: str, calls: int = 10_000, chats: int = 1000) -> dict[str, float]:
    """Measure the growth of memory. The first tenth of each kind is a warm-up and does not count.

    Args:
        url: A running `server_fast.py`.
        calls: The number of messages to send, once async and once synchronous.
        chats: The number of conversations to open and close, once async and once synchronous.

    Returns:
        The growth in megabytes, for each of the four kinds.
    """
    grown = {**await _async_growth(url, calls, chats), **_sync_growth(url, calls, chats)}
    return {name: number / 2**20 for name, number in grown.items()}


async def _async_growth(url: str, calls: int, chats: int) -> dict[str, int]:
    grown: dict[str, int] = {}
    async with AsyncFeather(KEY, base_url=url, rate_limit=None) as feather:
        thread = feather.thread(THREAD_ID)

        async def converse() -> None:
            async with thread.conversation():
                pass

        kinds: dict[str, tuple[Operation, int]] = {
            "async calls": (lambda: thread.send(TEXT), calls),
            "async conversations": (converse, chats),
        }
        for name, (operation, number) in kinds.items():
            for step in range(number // 50):
                if step == number // 500:
                    grown[name] = -resident()
                await asyncio.gather(*(operation() for _ in range(50)))
            grown[name] += resident()
    return grown


def _sync_growth(url: str, calls: int, chats: int) -> dict[str, int]:
    grown: dict[str, int] = {}
    with Feather(KEY, base_url=url, rate_limit=None) as feather:
        thread = feather.thread(THREAD_ID)
        kinds: dict[str, tuple[Callable[[], Any], int]] = {
            "sync calls": (lambda: thread.send(TEXT), calls),
            "sync conversations": (lambda: thread.conversation().__enter__().close(), chats),
        }
        for name, (operation, number) in kinds.items():
            for step in range(number):
                if step == number // 10:
                    grown[name] = -resident()
                operation()
            grown[name] += resident()
    return grown


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
