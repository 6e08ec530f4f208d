"""A thousand open streams in one process: the time to open them, their memory, and how fast messages arrive."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from statistics import median, quantiles
from typing import Any

import httpx
from clients import HEADERS, KEY, STREAM_PATH
from featherhq import AsyncFeather
from measure_memory import resident
from server_fast import SAY, THREAD_ID

Listen = Callable[["Listeners"], Coroutine[Any, Any, None]]


class Listeners:
    """Tasks that each hold one stream open.

    Args:
        listen: What a task does: it opens a stream, calls `opened`, and calls `hear` for each message.
    """

    def __init__(self, listen: Listen) -> None:
        self.delays: list[float] = []
        self._listen = listen
        self._opened = asyncio.Semaphore(0)
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = asyncio.Event()

    async def start(self, number: int) -> None:
        """Start so many more tasks, and wait until their streams are open."""
        self._tasks += [asyncio.create_task(self._listen(self)) for _ in range(number)]
        for _ in range(number):
            await self._opened.acquire()

    def opened(self) -> None:
        """One stream is open."""
        self._opened.release()

    def hear(self, text: str) -> None:
        """One task has received a message. Its text is the time at which the server wrote it."""
        self.delays.append(time.monotonic() - float(text))
        self._heard.set()

    async def broadcast(self, order: Callable[[], Awaitable[object]]) -> list[float]:
        """Let the server write a message to every stream, and wait until all tasks have it, or for ten seconds.

        Args:
            order: Tells the server to do so.

        Returns:
            The milliseconds until the message arrived, for each stream on which it arrived.
        """
        self.delays.clear()
        await order()
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                while len(self.delays) < len(self._tasks):
                    self._heard.clear()
                    await self._heard.wait()
        return [seconds * 1000 for seconds in self.delays]

    async def stop(self) -> None:
        """End all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def conversations(client: str, url: str, number: int = 1000, messages: int = 5) -> dict[str, Any]:
    """Open many streams at once, and send messages to all of them.

    Args:
        client: `featherhq` or `httpx`.
        url: A running `server_fast.py`.
        number: The number of streams.
        messages: The number of messages to each stream.

    Returns:
        Seconds until all are open (`open`), kilobytes of memory for each stream (`kb`), the number of messages that
        arrived (`heard`), milliseconds until a message arrives (`p50`, `p99`), and seconds of CPU time (`cpu`).
    """
    listener = _featherhq if client == "featherhq" else _httpx
    async with listener(url) as listen, httpx.AsyncClient(base_url=url) as control:
        listeners = Listeners(listen)
        # The first stream is not measured: it also pays for what all streams share.
        await listeners.start(1)
        before, cpu, began = resident(), time.process_time(), time.perf_counter()
        await listeners.start(number - 1)
        opened, held = time.perf_counter() - began, resident() - before
        rounds = [await listeners.broadcast(lambda: control.post(SAY)) for _ in range(messages)]
        cpu = time.process_time() - cpu
        await listeners.stop()
    return {
        "open": opened,
        "kb": held / (number - 1) / 1024,
        "heard": sum(map(len, rounds)),
        "p50": median(map(median, rounds)),
        "p99": median(quantiles(delays, n=100)[-1] for delays in rounds),
        "cpu": cpu,
    }


@asynccontextmanager
async def _featherhq(url: str) -> AsyncIterator[Listen]:
    async def listen(listeners: Listeners) -> None:
        async with feather.thread(THREAD_ID).conversation() as conversation:
            listeners.opened()
            async for message in conversation:
                listeners.hear(message.text)

    async with AsyncFeather(KEY, base_url=url, rate_limit=None) as feather:
        yield listen


@asynccontextmanager
async def _httpx(url: str) -> AsyncIterator[Listen]:
    async def listen(listeners: Listeners) -> None:
        async with client.stream("GET", STREAM_PATH) as answer:
            listeners.opened()
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    listeners.hear(json.loads(line[5:])["messageBody"])

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=None, limits=limits) as client:  # noqa: S113 - a stream may be silent for long
        yield listen
