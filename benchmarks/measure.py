"""One measurement, in a process of its own: `python measure.py throughput featherhq URL 200`. Prints JSON.

`bench.py` runs these side by side, several times over, and makes the table. What is not installed everywhere (openai,
httpx-aiohttp) is imported where it is measured. Memory is read from /proc, so this is for Linux.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

import httpx
from featherhq import AsyncFeather, Feather, _transport
from featherhq.sandbox import Sandbox
from featherhq_api import AuthenticatedClient
from featherhq_api.api.threads import send_message
from featherhq_api.models import SendMessageBody
from server import OPEN, SAY, THREAD_ID

AGENT_ID: Final = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
KEY: Final = "benchmark-key"
HEADERS: Final = {"X-API-Key": KEY}
PATH: Final = f"/api/v1/threads/{THREAD_ID}/messages"
STREAM: Final = f"/api/v1/threads/{THREAD_ID}/stream"
BODY: Final = {"message": "Where is my order?"}
TEXT: Final = BODY["message"]
SMALL_POOL: Final = httpx.Limits(max_connections=10)

Work = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def works(client: str, url: str, limits: httpx.Limits | None = None) -> AsyncIterator[list[Work]]:
    """What sends one message through a client and reads the answer; and, where it can, what opens a stream."""
    if client == "featherhq":
        # A small pool is no option of ours.
        small = patch.object(_transport, "_CALLS", limits) if limits else nullcontext()
        async with AsyncFeather(KEY, base_url=url, rate_limit=None) as feather:
            thread = feather.thread(THREAD_ID)

            async def converse() -> None:
                async with thread.conversation() as chat:
                    await anext(aiter(chat))

            with small:
                yield [lambda: thread.send(TEXT), converse]
    elif client == "generated":
        bare = AuthenticatedClient(base_url=url, token=KEY, prefix="", auth_header_name="X-API-Key")
        async with bare as generated:
            yield [lambda: send_message.asyncio(UUID(THREAD_ID), client=generated, body=SendMessageBody(message=TEXT))]
    elif client == "openai":
        from openai import AsyncOpenAI

        async with AsyncOpenAI(api_key=KEY, base_url=url) as openai:
            yield [lambda: openai.post(PATH, body=BODY, cast_to=object)]
    else:
        async with _plain(client, url, limits) as plain:

            async def send() -> Any:
                return (await plain.post(PATH, json=BODY)).raise_for_status().json()["messageId"]

            async def listen() -> None:
                async with plain.stream("GET", STREAM, timeout=None) as answer:
                    async for line in answer.aiter_lines():
                        if line.startswith("data:"):
                            return

            yield [send, listen]


def _plain(client: str, url: str, limits: httpx.Limits | None) -> httpx.AsyncClient:
    options: dict[str, Any] = {} if limits is None else {"limits": limits}
    if client == "httpx":
        return httpx.AsyncClient(base_url=url, headers=HEADERS, **options)
    from httpx_aiohttp import HttpxAiohttpClient

    made: httpx.AsyncClient = HttpxAiohttpClient(base_url=url, headers=HEADERS, **options)
    return made


async def throughput(client: str, url: str, tasks: str, seconds: str = "1.5") -> dict[str, float]:
    """Requests a second, and how long they took, with so many tasks that send one after the other."""
    took: list[float] = []

    async def work(send: Work, until: float) -> None:
        now = 0.0
        while now < until:
            began = time.perf_counter()
            await send()
            now = time.perf_counter()
            took.append(now - began)

    async with works(client, url) as (send, *_):
        for length in (0.4, float(seconds)):
            took.clear()
            began = time.perf_counter()
            await asyncio.gather(*(work(send, began + length) for _ in range(int(tasks))))
            elapsed = time.perf_counter() - began
    return {"rate": len(took) / elapsed, "p50": median(took) * 1000, "p99": quantiles(took, n=100)[-1] * 1000}


def sync(url: str, rounds: str = "15") -> dict[str, float]:
    """Microseconds a synchronous send by each client, in turns of fifty."""
    with ExitStack() as stack:
        feather = stack.enter_context(Feather(KEY, base_url=url, rate_limit=None))
        thread = feather.thread(THREAD_ID)
        plain = stack.enter_context(httpx.Client(base_url=url, headers=HEADERS))
        generated = stack.enter_context(
            AuthenticatedClient(base_url=url, token=KEY, prefix="", auth_header_name="X-API-Key")
        )
        clients: dict[str, Callable[[], Any]] = {
            "httpx": lambda: plain.post(PATH, json=BODY).raise_for_status().json()["messageId"],
            "generated": lambda: send_message.sync(
                UUID(THREAD_ID), client=generated, body=SendMessageBody(message=TEXT)
            ),
            "featherhq": lambda: thread.send(TEXT),
        }
        with suppress(ImportError):
            from openai import OpenAI

            openai = stack.enter_context(OpenAI(api_key=KEY, base_url=url))
            clients["openai"] = lambda: openai.post(PATH, body=BODY, cast_to=object)
        took: dict[str, list[float]] = {name: [] for name in clients}
        for number in range(int(rounds) + 3):
            for name, send in clients.items():
                began = time.perf_counter()
                for _ in range(50):
                    send()
                if number >= 3:  # the first are for warming up
                    took[name].append((time.perf_counter() - began) / 50 * 1e6)
    found = {name: median(times) for name, times in took.items()}
    pairs = zip(took["featherhq"], took["httpx"], strict=True)
    return {**found, "ratio": median(ours / theirs for ours, theirs in pairs)}


class Crowd:
    """Tasks that each hold a stream open, and what they have heard: how many seconds after it was said."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self._opened = asyncio.Semaphore(0)
        self._tasks: list[asyncio.Task[None]] = []
        self._more = asyncio.Event()

    async def grow(self, listen: Callable[[Crowd], Coroutine[Any, Any, None]], number: int) -> None:
        """Open so many more."""
        self._tasks += [asyncio.create_task(listen(self)) for _ in range(number)]
        for _ in range(number):
            await self._opened.acquire()

    def opened(self) -> None:
        """One of them is open."""
        self._opened.release()

    def hear(self, said: str) -> None:
        """One of them has heard something: the time at which it was said."""
        self.heard.append(time.monotonic() - float(said))
        self._more.set()

    async def listen(self, control: httpx.AsyncClient) -> list[float]:
        """Have something said to all: how long it took to each, in milliseconds."""
        self.heard.clear()
        await control.post(SAY)
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                while len(self.heard) < len(self._tasks):
                    self._more.clear()
                    await self._more.wait()
        return [seconds * 1000 for seconds in self.heard]

    async def leave(self) -> None:
        """Close them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def conversations(client: str, url: str, number: str = "1000", messages: str = "5") -> dict[str, Any]:
    """So many open at once: how long that takes, what they hold, and when each hears what is said to all at once."""

    async def ours(crowd: Crowd) -> None:
        async with feather.thread(THREAD_ID).conversation() as chat:
            crowd.opened()
            async for message in chat:
                crowd.hear(message.text)

    async def plain(crowd: Crowd) -> None:
        async with raw.stream("GET", STREAM) as answer:
            crowd.opened()
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    crowd.hear(json.loads(line[5:])["messageBody"])

    limits, crowd = httpx.Limits(max_connections=None), Crowd()
    listen = ours if client == "featherhq" else plain
    async with (
        AsyncFeather(KEY, base_url=url, rate_limit=None) as feather,
        httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=None, limits=limits) as raw,  # noqa: S113 - as ours
        httpx.AsyncClient(base_url=url) as control,
    ):
        # One before the others, so that what all share is not counted.
        await crowd.grow(listen, 1)
        before, cpu, began = resident(), time.process_time(), time.perf_counter()
        await crowd.grow(listen, int(number) - 1)
        opened, held = time.perf_counter() - began, resident() - before
        rounds = [await crowd.listen(control) for _ in range(int(messages))]
        cpu = time.process_time() - cpu
        await crowd.leave()
    return {
        "open": opened,
        "kb": held / (int(number) - 1) / 1024,
        "heard": sum(map(len, rounds)),
        "p50": median(map(median, rounds)),
        "p99": median(quantiles(times, n=100)[-1] for times in rounds),
        "cpu": cpu,
    }


async def storm(client: str, url: str, seconds: str = "5") -> dict[str, Any]:
    """Calls and streams cancelled at any moment, fifty at a time on a pool of ten; then a hundred calls."""
    dice = random.Random(1)  # noqa: S311 - the same storm for each

    async def cancelled(work: Work, until: float) -> None:
        while time.monotonic() < until:
            with suppress(Exception):
                async with asyncio.timeout(dice.uniform(0, 0.03)):
                    await work()

    async with works(client, url, SMALL_POOL) as some, httpx.AsyncClient(base_url=url) as control:
        until = time.monotonic() + float(seconds)
        await asyncio.gather(*(cancelled(some[number % len(some)], until) for number in range(50)))
        answers = await asyncio.gather(*(some[0]() for _ in range(100)), return_exceptions=True)
        # The server hears of what was closed a moment later.
        await asyncio.sleep(0.2)
        left = (await control.get(OPEN)).json()
    # One of the connections is what asks for their number.
    left["connections"] -= 1
    return {"succeeded": sum(not isinstance(answer, BaseException) for answer in answers), **left}


async def limiter(asks: str = "100", rate: str = "10") -> dict[str, float]:
    """So many callers at once who make a thread and ask, under the sandbox's own rate limit."""
    with Sandbox(rate_limit=float(rate)) as sandbox:
        async with AsyncFeather(sandbox.api_key, base_url=sandbox.url, rate_limit=float(rate)) as feather:

            async def ask() -> str:
                thread = await feather.threads.create(AGENT_ID)
                return (await thread.ask(TEXT)).text

            began = time.monotonic()
            replies = await asyncio.gather(*(ask() for _ in range(int(asks))))
            wall = time.monotonic() - began
        statuses = [request.status for request in sandbox.requests]
    return {
        "replies": sum(map(bool, replies)),
        "requests": len(statuses),
        "refused": statuses.count(429),
        "wall": wall,
        "ratio": wall / (len(statuses) / float(rate)),
    }


async def memory(url: str, calls: str = "10000", chats: str = "1000") -> dict[str, float]:
    """Megabytes that a process grows by in so many calls and conversations, after the first tenth of each."""
    found: dict[str, float] = {}
    async with AsyncFeather(KEY, base_url=url, rate_limit=None) as feather:
        thread = feather.thread(THREAD_ID)

        async def converse() -> None:
            async with thread.conversation():
                pass

        works: dict[str, tuple[Work, int]] = {
            "async calls": (lambda: thread.send(TEXT), int(calls)),
            "async conversations": (converse, int(chats)),
        }
        for name, (work, number) in works.items():
            for step in range(number // 50):
                if step == number // 500:
                    found[name] = -resident()
                await asyncio.gather(*(work() for _ in range(50)))
            found[name] += resident()
    with Feather(KEY, base_url=url, rate_limit=None) as blocking:
        same = blocking.thread(THREAD_ID)
        turns: dict[str, tuple[Callable[[], Any], int]] = {
            "sync calls": (lambda: same.send(TEXT), int(calls)),
            "sync conversations": (lambda: same.conversation().__enter__().close(), int(chats)),
        }
        for name, (turn, number) in turns.items():
            for step in range(number):
                if step == number // 10:
                    found[name] = -resident()
                turn()
            found[name] += resident()
    return {name: grown / 2**20 for name, grown in found.items()}


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


MEASUREMENTS: Final[dict[str, Callable[..., Any]]] = {
    kind.__name__: kind for kind in (throughput, sync, conversations, storm, limiter, memory)
}

if __name__ == "__main__":
    what = MEASUREMENTS[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(asyncio.run(what) if asyncio.iscoroutine(what) else what))
