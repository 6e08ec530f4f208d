"""Many callers at once with a short deadline: more than the rate limit lets through in this time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attrs import define
from clients import KEY
from featherhq import AsyncFeather, DeliveryUnknownError, Feather, FeatherError
from processes import server
from server_rate_limit_control import controlled, thread_ids


def callers(number: int = 60, timeout: float = 3.0, counting: str = "bucket") -> dict[str, Any]:
    """Let many callers at once send one message each, first with tasks, then with threads on a fresh server.

    Args:
        number: The number of callers.
        timeout: The deadline of each call in seconds.
        counting: How the server counts requests.

    Returns:
        For tasks (`async`) and for threads (`sync`): how many calls `succeeded`, how many ended with
        `DeliveryUnknownError` (`unknown`), and how many `failed` with another error. How many messages of failed calls
        are on the server nevertheless (`standing`), and how many of successful calls are not (`lost`). Messages that
        are there twice (`messages_doubled`), the seconds of the longest call (`longest`), and `refused` (429).
    """
    found: dict[str, Any] = {"number": number, "timeout": timeout, "counting": counting}
    for name, call in (("async", _tasks), ("sync", _threads)):
        with server("server_rate_limit.py", "--counting", counting) as url:
            found[name] = asyncio.run(_count(url, call(url, number, timeout)))
    return found


@define
class _Call:
    """The result of one call: the text of its message, its seconds, and its error."""

    text: str
    took: float
    error: FeatherError | None


async def _tasks(url: str, number: int, timeout: float) -> list[_Call]:
    async with AsyncFeather(KEY, base_url=url, timeout=timeout) as feather:

        async def call(thread_id: str, text: str) -> _Call:
            began, failed = time.monotonic(), None
            try:
                await feather.thread(thread_id).send(text)
            except FeatherError as error:
                failed = error
            return _Call(text, time.monotonic() - began, failed)

        return await asyncio.gather(
            *(call(thread_id, f"caller {place}") for place, thread_id in enumerate(thread_ids(number)))
        )


async def _threads(url: str, number: int, timeout: float) -> list[_Call]:
    barrier = threading.Barrier(number)
    with Feather(KEY, base_url=url, timeout=timeout) as feather, ThreadPoolExecutor(number) as pool:

        def call(thread_id: str, text: str) -> _Call:
            barrier.wait()
            began, failed = time.monotonic(), None
            try:
                feather.thread(thread_id).send(text)
            except FeatherError as error:
                failed = error
            return _Call(text, time.monotonic() - began, failed)

        loop = asyncio.get_running_loop()
        return await asyncio.gather(
            *(
                loop.run_in_executor(pool, call, thread_id, f"caller {place}")
                for place, thread_id in enumerate(thread_ids(number))
            )
        )


async def _count(url: str, running: Awaitable[list[_Call]]) -> dict[str, Any]:
    calls = await running
    # Some requests may still be on their way.
    await asyncio.sleep(0.5)
    async with controlled(url) as control:
        report = await control.report()
    texts = {text for thread in report["threads"].values() for text in thread["texts"]}
    succeeded = [call.text for call in calls if call.error is None]
    failed = [call for call in calls if call.error and not isinstance(call.error, DeliveryUnknownError)]
    return {
        "succeeded": len(succeeded),
        "unknown": len(calls) - len(succeeded) - len(failed),
        "failed": Counter(type(call.error).__name__ for call in failed),
        "standing": sum(call.text in texts for call in failed),
        "lost": sum(text not in texts for text in succeeded),
        "messages_doubled": report["doubled"],
        "longest": max(call.took for call in calls),
        "requests": report["requests"],
        "refused": report["refused"],
    }
