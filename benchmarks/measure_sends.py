"""How fast each client sends messages: requests a second, time of a synchronous send, CPU time of an async send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from statistics import median, quantiles
from typing import Any, Final
from uuid import UUID

import httpx
from clients import BODY, HEADERS, KEY, SEND_PATH, TEXT, Operation, open_client
from featherhq import Feather
from featherhq_api import AuthenticatedClient
from featherhq_api.api.threads import send_message
from featherhq_api.models import SendMessageBody
from server_fast import THREAD_ID

_SENDS_A_TURN: Final = 50


async def throughput(client: str, url: str, tasks: int, seconds: float = 1.5, warm_up: float = 0.4) -> dict[str, float]:
    """Measure async sends by several tasks at once. Each task sends one message after the other.

    Args:
        client: One of `clients.CLIENTS`.
        url: A running `server_fast.py`.
        tasks: The number of tasks.
        seconds: How long to measure.
        warm_up: How many seconds to send before that.

    Returns:
        Requests a second (`rate`), and milliseconds of a request (`p50` and `p99`).
    """
    took: list[float] = []

    async def work(send: Operation, until: float) -> None:
        now = 0.0
        while now < until:
            began = time.perf_counter()
            await send()
            now = time.perf_counter()
            took.append(now - began)

    async with open_client(client, url) as operations:
        for length in (warm_up, seconds):
            took.clear()
            began = time.perf_counter()
            await asyncio.gather(*(work(operations.send, began + length) for _ in range(tasks)))
            elapsed = time.perf_counter() - began
    return {"rate": len(took) / elapsed, "p50": median(took) * 1000, "p99": quantiles(took, n=100)[-1] * 1000}


async def cpu(url: str, slices: int = 10, seconds: float = 0.4, tasks: int = 10) -> dict[str, float]:
    """Compare the CPU time of an async send by raw aiohttp and by featherhq.

    Both clients run in this process and take turns in short slices. So a change in the machine's speed hits both.

    Args:
        url: A running `server_fast.py`.
        slices: The number of slices of each client.
        seconds: The length of a slice.
        tasks: The number of tasks that send at once.

    Returns:
        Microseconds of CPU time for one send (`aiohttp` and `featherhq`, each the median of its slices). `ratio` is
        featherhq over aiohttp: the median of the ratios of neighbouring slices.
    """
    async with open_client("aiohttp", url) as raw, open_client("featherhq", url) as ours:
        for send in (raw.send, ours.send):  # warm-up
            await _cpu_of_a_send(send, 2 * seconds, tasks)
        spent = [await _cpu_of_a_send(send, seconds, tasks) for _ in range(slices) for send in (raw.send, ours.send)]
    # Every pair of neighbours has one slice of each client. In every second pair featherhq is the first.
    ratios = [
        second / first if place % 2 == 0 else first / second for place, (first, second) in enumerate(pairwise(spent))
    ]
    return {"aiohttp": median(spent[::2]), "featherhq": median(spent[1::2]), "ratio": median(ratios)}


async def _cpu_of_a_send(send: Operation, seconds: float, tasks: int) -> float:
    """Send for so many seconds. Return the microseconds of CPU time of this process for one send."""
    sent = 0
    until = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal sent
        while time.perf_counter() < until:
            await send()
            sent += 1

    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(tasks)))
    return (time.process_time() - began) / sent * 1e6


def sync(url: str, turns: int = 15, warm_up: int = 3) -> dict[str, float]:
    """Compare the time of a synchronous send by each client. The clients take turns of fifty sends.

    Args:
        url: A running `server_fast.py`.
        turns: The number of turns of each client.
        warm_up: The number of turns before that. They do not count.

    Returns:
        Microseconds of one send by each client. `ratio` is featherhq over httpx, the median over all turns.
    """
    took: dict[str, list[float]] = {}
    with _sync_clients(url) as clients:
        for turn in range(warm_up + turns):
            for name, send in clients.items():
                began = time.perf_counter()
                for _ in range(_SENDS_A_TURN):
                    send()
                if turn >= warm_up:
                    took.setdefault(name, []).append((time.perf_counter() - began) / _SENDS_A_TURN * 1e6)
    pairs = zip(took["featherhq"], took["httpx"], strict=True)
    return {**{name: median(times) for name, times in took.items()}, "ratio": median(ours / raw for ours, raw in pairs)}


@contextmanager
def _sync_clients(url: str) -> Iterator[dict[str, Callable[[], Any]]]:
    """Open every synchronous client. Yield the function that sends one message, by the client's name."""
    with ExitStack() as stack:
        feather = stack.enter_context(Feather(KEY, base_url=url, rate_limit=None))
        thread = feather.thread(THREAD_ID)
        raw = stack.enter_context(httpx.Client(base_url=url, headers=HEADERS))
        generated = stack.enter_context(
            AuthenticatedClient(base_url=url, token=KEY, prefix="", auth_header_name="X-API-Key")
        )
        clients: dict[str, Callable[[], Any]] = {
            "httpx": lambda: raw.post(SEND_PATH, json=BODY).raise_for_status().json()["messageId"],
            "generated": lambda: send_message.sync(
                UUID(THREAD_ID), client=generated, body=SendMessageBody(message=TEXT)
            ),
            "featherhq": lambda: thread.send(TEXT),
        }
        with suppress(ImportError):
            from openai import OpenAI

            openai = stack.enter_context(OpenAI(api_key=KEY, base_url=url))
            clients["openai"] = lambda: openai.post(SEND_PATH, body=BODY, cast_to=object)
        yield clients
