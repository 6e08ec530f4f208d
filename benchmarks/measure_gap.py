"""How late a reply is that the agent writes in a gap: the time between a cut of the stream and the next stream."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from typing import Any, Final

from attrs import Factory, define
from clients import KEY
from featherhq import AsyncConversation, AsyncFeather, FeatherError
from fleet import Received
from processes import server
from server_rate_limit_control import controlled, made_at, thread_ids
from timing import percentile

LONGEST: Final = 60.0
"""After so many seconds no further ask begins."""


def gap(times: int = 15, counting: str = "bucket", *, after: float = 0.05, pause: float = 1.0) -> dict[str, Any]:
    """Ask again and again. The server cuts the stream when it accepts a message, and the reply comes after the cut.

    Args:
        times: The number of asks. There are fewer if they take longer than a minute.
        counting: How the server counts requests.
        after: Seconds from the cut until the agent writes the reply.
        pause: Seconds between two asks, and a half less or more. So this is also the life of a stream.

    Returns:
        Seconds from when the agent wrote a reply until the client delivered it (`median`, `max`, and `each`; infinite
        for a failed ask), the `failed` asks by error, `replies_lost` and `replies_doubled`, the `requests` by
        operation, and `refused` (429).
    """
    with server("server_rate_limit.py", "--counting", counting) as url:
        return {"counting": counting, "after": after, **asyncio.run(_run(url, times, after, pause))}


@define
class _Asks:
    """How late each reply was, what was received, and the errors by name."""

    late: list[float] = Factory(list)
    received: Received = Factory(Received)
    failed: Counter[str] = Factory(Counter)

    async def ask(self, conversation: AsyncConversation, text: str) -> bool:
        """Ask once. Return whether a reply came."""
        try:
            reply = await conversation.ask(text)
        except FeatherError as error:
            self.failed[type(error).__name__] += 1
            self.late.append(math.inf)
            return False
        self.late.append(time.monotonic() - made_at(reply.text))
        self.received.add(reply, text)
        return True


async def _run(url: str, times: int, after: float, pause: float) -> dict[str, Any]:
    (thread_id,) = thread_ids(1)
    dice = random.Random(1)  # noqa: S311 - the same random times in each run
    asks = _Asks()
    async with controlled(url) as control, AsyncFeather(KEY, base_url=url) as feather:
        await control.order("gap", thread=thread_id, seconds=str(after))
        async with feather.thread(thread_id).conversation() as conversation:
            until = time.monotonic() + LONGEST
            for number in range(times):
                if time.monotonic() > until:
                    break
                if await asks.ask(conversation, str(number)):
                    # A random pause, so that the asks do not keep step with a timer of the client.
                    await asyncio.sleep(dice.uniform(0.5, 1.5) * pause)
            async for message in conversation.replies(timeout=1):
                asks.received.add(message)
        report = await control.report()
    received = asks.received
    return {
        "median": percentile(asks.late, 0.5),
        "max": percentile(asks.late, 1),
        "each": asks.late,
        "failed": asks.failed,
        "crossed": received.crossed,
        "replies_lost": report["replies"] - len(received.times),
        "replies_doubled": received.times.total() - len(received.times),
        "messages_doubled": report["doubled"],
        "requests": report["requests"],
        "refused": report["refused"],
    }
