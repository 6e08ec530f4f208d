"""The clients that are compared, each with the same two operations: send a message, and listen to a stream.

openai, httpx-aiohttp and httpcore2 are installed only for `make bench`, so they are imported only when they are
measured.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

import aiohttp
import httpx
from attrs import frozen
from featherhq import AsyncFeather
from featherhq_api import AuthenticatedClient
from featherhq_api.api.threads import send_message
from featherhq_api.models import SendMessageBody
from server_fast import THREAD_ID

CLIENTS: Final = ("aiohttp", "httpx", "httpx-aiohttp", "httpx-httpcore2", "generated", "openai", "featherhq")
"""All of them. “generated” is the client from the contract; “httpx-httpcore2” is httpx over the pool of httpcore2."""
AGENT_ID: Final = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
KEY: Final = "benchmark-key"
HEADERS: Final = {"X-API-Key": KEY}
SEND_PATH: Final = f"/api/v1/threads/{THREAD_ID}/messages"
STREAM_PATH: Final = f"/api/v1/threads/{THREAD_ID}/stream"
TEXT: Final = "Where is my order?"
BODY: Final = {"message": TEXT}

Operation = Callable[[], Awaitable[Any]]


@frozen
class Operations:
    """What a client can do.

    Attributes:
        send: Send one message and read the answer.
        listen: Open a stream and wait for one message. `None` if the client has no streams.
    """

    send: Operation
    listen: Operation | None = None


@asynccontextmanager
async def open_client(name: str, url: str, limits: httpx.Limits | None = None) -> AsyncIterator[Operations]:
    """Open the client with this name.

    Args:
        name: One of `CLIENTS`.
        url: The server.
        limits: The size of the connection pool, for all httpx clients and featherhq. `None`: the client's default.

    Yields:
        The client's operations.
    """
    if name == "featherhq":
        client = _featherhq(url, limits)
    elif name == "aiohttp":
        client = _aiohttp(url)
    elif name == "generated":
        client = _generated(url)
    elif name == "openai":
        client = _openai(url)
    else:
        client = _httpx(name, url, limits)
    async with client as operations:
        yield operations


@asynccontextmanager
async def _featherhq(url: str, limits: httpx.Limits | None) -> AsyncIterator[Operations]:
    # featherhq has no option for the size of its pool.
    pool = patch("featherhq._http.connections.CALL_LIMITS", limits) if limits else nullcontext()
    with pool:
        async with AsyncFeather(KEY, base_url=url, rate_limit=None) as feather:
            thread = feather.thread(THREAD_ID)

            async def listen() -> None:
                async with thread.conversation() as conversation:
                    await anext(aiter(conversation))

            yield Operations(lambda: thread.send(TEXT), listen)


@asynccontextmanager
async def _aiohttp(url: str) -> AsyncIterator[Operations]:
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def send() -> Any:
            async with session.post(url + SEND_PATH, json=BODY) as response:
                return await response.json()

        yield Operations(send)


@asynccontextmanager
async def _generated(url: str) -> AsyncIterator[Operations]:
    bare = AuthenticatedClient(base_url=url, token=KEY, prefix="", auth_header_name="X-API-Key")
    async with bare as client:
        yield Operations(
            lambda: send_message.asyncio(UUID(THREAD_ID), client=client, body=SendMessageBody(message=TEXT))
        )


@asynccontextmanager
async def _openai(url: str) -> AsyncIterator[Operations]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key=KEY, base_url=url) as client:
        yield Operations(lambda: client.post(SEND_PATH, body=BODY, cast_to=object))


@asynccontextmanager
async def _httpx(name: str, url: str, limits: httpx.Limits | None) -> AsyncIterator[Operations]:
    """The client httpx, or httpx over aiohttp (`httpx-aiohttp`), or over httpcore2 (`httpx-httpcore2`)."""
    make: Callable[..., httpx.AsyncClient] = httpx.AsyncClient
    if name == "httpx-aiohttp":
        from httpx_aiohttp import HttpxAiohttpClient

        make = HttpxAiohttpClient
    options: dict[str, Any] = {} if limits is None else {"limits": limits}
    if name == "httpx-httpcore2":
        from client_httpcore2 import Httpcore2Transport

        options = {"transport": Httpcore2Transport(limits)}
    async with make(base_url=url, headers=HEADERS, **options) as client:

        async def send() -> Any:
            return (await client.post(SEND_PATH, json=BODY)).raise_for_status().json()["messageId"]

        async def listen() -> None:
            async with client.stream("GET", STREAM_PATH, timeout=None) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data:"):
                        return

        yield Operations(send, listen)
