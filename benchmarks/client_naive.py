"""A naive client, as a programmer writes it in an hour.

`conversation_opener` opens conversations of this client or of featherhq, so that both can be measured in the same way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final, Protocol, Self

import httpx
from clients import HEADERS, KEY
from featherhq import AsyncFeather, FeatherError, Message

ERRORS: Final = (FeatherError, httpx.HTTPError, TimeoutError)
"""What the two clients raise."""
_ATTEMPTS: Final = 3
"""For one message."""
_PATIENCE: Final = 30.0
"""Seconds to wait for a reply."""


class Conversation(Protocol):
    """An open conversation of either client."""

    async def ask(self, text: str) -> Message:
        """Send a message, and return the reply to it."""

    def replies(self, timeout: float | None = None) -> AsyncIterator[Message]:
        """Yield the agent's messages. End when none comes for so many seconds."""


Opener = Callable[[str], AbstractAsyncContextManager[Conversation]]
"""Opens the conversation of the thread with this id."""


class NaiveConversation:
    """A conversation of the naive client.

    It reads one stream and opens it again when it ends. It retries a POST after any error. It never lists messages.

    Args:
        http: A client with the server's URL, and without a limit of its connections.
        thread_id: The thread.
    """

    def __init__(self, http: httpx.AsyncClient, thread_id: str) -> None:
        self._http = http
        self._path = f"/api/v1/threads/{thread_id}"
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        self._opened = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reader = asyncio.create_task(self._read())
        await self._opened.wait()
        return self

    async def __aexit__(self, *args: object) -> None:
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def ask(self, text: str) -> Message:
        """See `Conversation.ask`. It takes the next message for the reply."""
        await self._send(text)
        async with asyncio.timeout(_PATIENCE):
            return await self._received.get()

    async def replies(self, timeout: float | None = None) -> AsyncIterator[Message]:
        """See `Conversation.replies`."""
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(timeout):
                    message = await self._received.get()
                yield message

    async def _send(self, text: str) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = await self._http.post(f"{self._path}/messages", json={"message": text})
                answer.raise_for_status()
            except httpx.HTTPError as error:
                if attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(_retry_after(error))
            else:
                return

    async def _read(self) -> None:
        while True:
            try:
                async with self._http.stream("GET", f"{self._path}/stream", timeout=None) as answer:
                    answer.raise_for_status()
                    self._opened.set()
                    async for line in answer.aiter_lines():
                        if line.startswith("data:"):
                            data = json.loads(line[5:])
                            self._received.put_nowait(Message(id=data["id"], text=data["messageBody"]))
            except httpx.HTTPError as error:
                await asyncio.sleep(_retry_after(error))


def _retry_after(error: httpx.HTTPError) -> float:
    return float(error.response.headers.get("Retry-After", 0)) if isinstance(error, httpx.HTTPStatusError) else 0.0


@asynccontextmanager
async def conversation_opener(client: str, url: str) -> AsyncIterator[Opener]:
    """Open a client, and yield the function that opens its conversations.

    Args:
        client: `featherhq`, with its default options, or `naive`.
        url: The server.
    """
    if client == "featherhq":
        async with AsyncFeather(KEY, base_url=url) as feather:
            yield lambda thread_id: feather.thread(thread_id).conversation()
    else:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, headers=HEADERS, limits=limits) as http:
            yield lambda thread_id: NaiveConversation(http, thread_id)
