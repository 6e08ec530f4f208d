"""How long a send takes while the same client opens a thousand idle conversations under the rate limit."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from typing import Any

from attrs import Factory, define
from clients import KEY
from featherhq import AsyncFeather, AsyncThread, FeatherError
from fleet import Fleet
from processes import server
from server_rate_limit_control import controlled, thread_ids
from timing import loop_delays, percentile


def idle(
    conversations: int = 1000, seconds: float = 120.0, counting: str = "bucket", *, every: float = 3.0
) -> dict[str, Any]:
    """Send messages into one thread while idle conversations open in other threads. The server cuts no stream.

    Args:
        conversations: The number of idle conversations.
        seconds: How long to go on.
        counting: How the server counts requests.
        every: Seconds between two messages.

    Returns:
        Seconds of a send (`p50`, `max`; infinite for a failed send), the `failed` ones by error, how many conversations
        were `opened` and how many `streams` are open at the end, the `errors` of opening, the `requests` by operation,
        and `refused` (429).
    """
    with server("server_rate_limit.py", "--counting", counting) as url:
        found = asyncio.run(_run(url, conversations, seconds, every))
    return {"conversations": conversations, "counting": counting, **found}


@define
class _Sends:
    """Seconds of each send, and the errors by name."""

    thread: AsyncThread
    took: list[float] = Factory(list)
    failed: Counter[str] = Factory(Counter)

    async def send(self, number: int) -> None:
        began = time.monotonic()
        try:
            await self.thread.send(str(number))
        except FeatherError as error:
            self.failed[type(error).__name__] += 1
            self.took.append(math.inf)
        else:
            self.took.append(time.monotonic() - began)


async def _run(url: str, conversations: int, seconds: float, every: float) -> dict[str, Any]:
    *ids, other = thread_ids(conversations + 1)
    async with (
        controlled(url) as control,
        AsyncFeather(KEY, base_url=url) as feather,
        loop_delays() as delays,
        Fleet(lambda thread_id: feather.thread(thread_id).conversation(), ids).running() as running,
    ):
        sends = _Sends(feather.thread(other))
        began = time.monotonic()
        tasks: list[asyncio.Task[None]] = []
        due = min(1.0, every)
        while due < seconds:
            await asyncio.sleep(began + due - time.monotonic())
            # Each send is a task, so a slow one delays no other.
            tasks.append(asyncio.create_task(sends.send(len(tasks))))
            due += every
        await asyncio.sleep(began + seconds - time.monotonic())
        await asyncio.gather(*tasks)
        report = await control.report()
    return {
        "sends": len(sends.took),
        "p50": percentile(sends.took, 0.5),
        "max": percentile(sends.took, 1),
        "failed": sends.failed,
        "messages_doubled": report["doubled"],
        "opened": len(running.opened),
        "open": percentile(running.opened, 1),
        "streams": report["streams"],
        "errors": running.received.errors,
        "requests": report["requests"],
        "refused": report["refused"],
        "lag": max(delays),
    }
