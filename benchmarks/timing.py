"""Percentiles of times, and a check whether the machine was too busy to measure."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median


def percentile(times: list[float], share: float) -> float:
    """Return the time that so large a share of the times does not exceed. It is infinite if there are no times."""
    if not times:
        return math.inf
    return median(times) if share == 0.5 else sorted(times)[min(int(share * len(times)), len(times) - 1)]


@asynccontextmanager
async def loop_delays() -> AsyncIterator[list[float]]:
    """Record by how many seconds the event loop is late during the block. Long delays mean a busy machine."""
    delays = [0.0]

    async def watch() -> None:
        while True:
            due = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            delays.append(time.monotonic() - due)

    task = asyncio.create_task(watch())
    try:
        yield delays
    finally:
        task.cancel()
